//! The machine that carries one desired quantity to one listing until it is seen live there.
//!
//! [`step`] is the whole transition table. *Confirmed* (seen live) is what people look at; whether a write is
//! *settled* (cannot land any more) is a different fact, kept beside the leg in [`Writes`].

use serde::{Deserialize, Serialize};

use crate::model::{IdempotencyKey, Quantity, Revision, Seq, Timestamp};

/// What a listing should show, and how far that has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub state: State,
    /// The newest desired quantity and its revision; a newer one replaces a waiting one.
    #[serde(rename = "q")]
    pub quantity: Quantity,
    #[serde(rename = "r")]
    pub revision: Revision,
    /// Tries in a row without success.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// Since when it is unconfirmed.
    pub since: Timestamp,
    /// Where in the journal the desire arose: a raise waits until the channel's orders are read past it.
    pub cause: Seq,
}

fn is_zero(tries: &u32) -> bool {
    *tries == 0
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// To be written, or to be looked at if the channel should already show it.
    Pending,
    /// A request has been journalled and may have been sent; its answer is awaited.
    InFlight(Sent),
    /// The channel took it. It counts when it is seen.
    Accepted { sent: Sent, look_at: Timestamp, looks: u32 },
    /// No definite answer: look before writing again.
    Probing { sent: Sent, look_at: Timestamp, looks: u32 },
    /// To be looked at before any write: compare-and-set was refused, or the channel should show it already.
    Looking { look_at: Timestamp, looks: u32 },
    /// Tried in vain; due again at `at`.
    Retry { at: Timestamp },
    /// Seen live.
    Confirmed,
    /// Cannot go on without a person: a dead letter.
    Parked { reason: String, at: Timestamp },
    /// A person gave it up; the next desire starts again.
    Dropped,
}

/// A request as it went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    #[serde(rename = "r")]
    pub revision: Revision,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Quantity>,
    pub key: IdempotencyKey,
    pub at: Timestamp,
}

/// What can happen to a leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The listing should show something else (or the same, for a newer reason).
    Desired {
        quantity: Quantity,
        revision: Revision,
        cause: Seq,
    },
    /// A request for the newest quantity is about to leave.
    Sending(Sent),
    /// The channel should already show it: only look.
    Expected {
        look_at: Timestamp,
    },
    Applied {
        look_at: Timestamp,
    },
    Accepted {
        look_at: Timestamp,
    },
    Stale {
        look_at: Timestamp,
    },
    Rejected {
        reason: String,
    },
    /// Not executed; goes again without counting as a failed try.
    Deferred {
        until: Timestamp,
    },
    /// Not executed; counts as a failed try.
    NotSent {
        until: Timestamp,
    },
    Unknown {
        look_at: Timestamp,
    },
    /// The channel shows the newest quantity.
    SeenWanted,
    /// The channel shows what was sent, which is not what is wanted any more.
    SeenSent,
    /// The channel shows something else; look again then.
    SeenOther {
        look_at: Timestamp,
    },
    /// The channel shows something else, and waiting longer is pointless: write again.
    GiveUpLooking {
        until: Timestamp,
    },
    /// The channel's orders were read past the look and the base is known anew.
    Fenced,
    /// Nothing explains what the channel shows: write it again.
    Repair {
        cause: Seq,
    },
    /// Only a person can tell what to do.
    Parked {
        reason: String,
    },
    /// A person says: try again.
    Retried,
    /// A person says: leave it as it is.
    Discarded,
}

/// An event that makes no sense in a state. Late answers are normal: the caller logs and ignores it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{event:?}` makes no sense for a leg that is `{state:?}`")]
pub struct Illegal {
    pub state: State,
    pub event: Event,
}

/// Advances a leg. Total: every pair of state and event is a transition or [`Illegal`].
pub fn step(leg: &Leg, event: Event, now: Timestamp) -> Result<Leg, Illegal> {
    use {Event as E, State as S};
    let to = |state: S| Leg { state, ..leg.clone() };
    let failed = |state: S| Leg { state, tries: leg.tries.saturating_add(1), ..leg.clone() };
    Ok(match (&leg.state, event) {
        // A newer desire replaces a waiting one. What is in flight stays in flight (I4).
        (S::Pending | S::Looking { .. }, E::Desired { quantity, revision, cause }) => {
            Leg { quantity, revision, cause, ..leg.clone() }
        }
        (S::InFlight(_) | S::Probing { .. }, E::Desired { quantity, revision, cause }) => {
            Leg { quantity, revision, cause, ..leg.clone() }
        }
        // A retry keeps its place: the channel is failing, whatever we want of it.
        (S::Retry { .. }, E::Desired { quantity, revision, cause }) => {
            Leg { quantity, revision, cause, ..leg.clone() }
        }
        // A lower passes a write that was only accepted; a raise waits until that one is seen.
        (S::Accepted { sent, .. }, E::Desired { quantity, revision, cause }) => {
            let state = if quantity < sent.quantity { S::Pending } else { leg.state.clone() };
            Leg { state, quantity, revision, cause, ..leg.clone() }
        }
        (S::Parked { .. } | S::Dropped, E::Desired { quantity, revision, cause }) => {
            Leg { state: S::Pending, quantity, revision, cause, ..leg.clone() }
        }
        (S::Confirmed, E::Desired { quantity, revision, cause }) => {
            Leg { state: S::Pending, quantity, revision, cause, since: now, tries: 0 }
        }

        (S::Pending, E::Sending(sent)) => to(S::InFlight(sent)),
        (S::Retry { at }, E::Sending(sent)) if *at <= now => to(S::InFlight(sent)),
        (S::Pending | S::Retry { .. }, E::Expected { look_at }) => to(S::Looking { look_at, looks: 0 }),

        // A "200 OK" proves nothing. It counts when it is seen live; a newer desire goes out first.
        (S::InFlight(sent), E::Applied { look_at } | E::Accepted { look_at }) => {
            if leg.quantity < sent.quantity {
                to(S::Pending)
            } else {
                to(S::Accepted { sent: sent.clone(), look_at, looks: 0 })
            }
        }
        (S::InFlight(_), E::Stale { look_at }) => failed(S::Looking { look_at, looks: 0 }),
        (S::InFlight(_), E::Rejected { reason }) => failed(S::Parked { reason, at: now }),
        // Looked at, and found to be gone or not to be written.
        (S::Accepted { .. } | S::Probing { .. } | S::Looking { .. }, E::Rejected { reason }) => {
            failed(S::Parked { reason, at: now })
        }
        (S::Pending, E::Parked { reason }) => to(S::Parked { reason, at: now }),
        (S::InFlight(_), E::Deferred { until }) => to(S::Retry { at: until }),
        (S::InFlight(_), E::NotSent { until }) => failed(S::Retry { at: until }),
        // The write may have landed, or may land later. Look before writing again.
        (S::InFlight(sent), E::Unknown { look_at }) => {
            failed(S::Probing { sent: sent.clone(), look_at, looks: 0 })
        }

        (S::Accepted { .. } | S::Probing { .. } | S::Looking { .. }, E::SeenWanted) => {
            Leg { state: S::Confirmed, tries: 0, ..leg.clone() }
        }
        (S::Accepted { .. } | S::Probing { .. }, E::SeenSent) => {
            Leg { state: S::Pending, tries: 0, ..leg.clone() }
        }
        (S::Accepted { sent, looks, .. }, E::SeenOther { look_at }) => {
            to(S::Accepted { sent: sent.clone(), look_at, looks: looks + 1 })
        }
        (S::Probing { sent, looks, .. }, E::SeenOther { look_at }) => {
            to(S::Probing { sent: sent.clone(), look_at, looks: looks + 1 })
        }
        (S::Looking { looks, .. }, E::SeenOther { look_at }) => to(S::Looking { look_at, looks: looks + 1 }),
        (S::Accepted { .. } | S::Probing { .. } | S::Looking { .. }, E::GiveUpLooking { until }) => {
            failed(S::Retry { at: until })
        }
        (S::Looking { .. } | S::Probing { .. } | S::Accepted { .. }, E::Fenced) => to(S::Pending),

        (S::Confirmed, E::SeenWanted) => leg.clone(),
        (S::Confirmed, E::Repair { cause }) => {
            Leg { state: S::Pending, since: now, cause, tries: 0, ..leg.clone() }
        }

        (S::Parked { .. }, E::Retried) => Leg { state: S::Pending, tries: 0, ..leg.clone() },
        (S::Retry { .. }, E::Retried) => Leg { state: S::Pending, ..leg.clone() },
        (S::Parked { .. }, E::Discarded) => to(S::Dropped),

        (state, event) => return Err(Illegal { state: state.clone(), event }),
    })
}

impl Leg {
    /// Returns the request whose answer or sight is awaited, if there is one.
    pub fn sent(&self) -> Option<&Sent> {
        match &self.state {
            State::InFlight(sent) | State::Accepted { sent, .. } | State::Probing { sent, .. } => Some(sent),
            State::Pending
            | State::Looking { .. }
            | State::Retry { .. }
            | State::Confirmed
            | State::Parked { .. }
            | State::Dropped => None,
        }
    }

    /// Returns when the listing is to be looked at, if it is.
    pub fn look_at(&self) -> Option<Timestamp> {
        match &self.state {
            State::Accepted { look_at, .. }
            | State::Probing { look_at, .. }
            | State::Looking { look_at, .. } => Some(*look_at),
            State::Pending
            | State::InFlight(_)
            | State::Retry { .. }
            | State::Confirmed
            | State::Parked { .. }
            | State::Dropped => None,
        }
    }

    /// Returns the state's name, as people see it.
    pub fn name(&self) -> &'static str {
        match &self.state {
            State::Pending => "pending",
            State::InFlight(_) => "in_flight",
            State::Accepted { .. } => "accepted",
            State::Probing { .. } => "probing",
            State::Looking { .. } => "looking",
            State::Dropped => "dropped",
            State::Retry { .. } => "retry",
            State::Confirmed => "confirmed",
            State::Parked { .. } => "parked",
        }
    }
}

/// What writes may still do to a listing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Writes {
    /// The newest revision seen live. Never falls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmed>,
    /// What the channel is expected to show: the last acknowledged quantity, less its own sales seen since, plus
    /// what it restocked itself. `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Quantity>,
    /// Writes that may still land: their answer is unknown, or the channel only queued them. They leave by age
    /// beyond the connector's `late` bound, never because an equal quantity was read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unsettled: Vec<Unsettled>,
    /// A read that waits for its fence: the orders of the channel up to it are not all in yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    #[serde(rename = "r")]
    pub revision: Revision,
    pub at: Timestamp,
}

/// A write that may still land.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    /// The quantity it replaces, if the channel compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Quantity>,
    /// When we sent it.
    pub at: Timestamp,
}

impl Unsettled {
    /// Returns how many units more the channel may sell if this lands (design: exposure).
    pub fn exposure(&self) -> Quantity {
        match self.compare {
            Some(base) => self.quantity.sub(base).map_or(self.quantity, Quantity::or_zero),
            None => self.quantity,
        }
    }
}

/// A quantity read from the channel, not yet believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    #[serde(rename = "v")]
    pub seen: Quantity,
    /// Our clock when the read was sent.
    pub at: Timestamp,
    /// The journal's position when the answer was in: the orders must be read from here on.
    pub seq: Seq,
    /// What own sales placed after the read have changed since.
    #[serde(default, skip_serializing_if = "Quantity::is_zero")]
    pub since: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<Quantity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Quantity>,
}

#[cfg(test)]
mod tests;
