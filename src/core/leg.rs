//! The machine that carries one desired quantity to one listing until it is seen live there.
//!
//! [`step`] is the whole transition table. *Confirmed* (seen live) is what people look at; whether a write is
//! *settled* (cannot land any more) is a different fact, kept beside the leg in [`Writes`].

use serde::{Deserialize, Serialize};

pub use crate::core::writes::{Confirmed, Lapsed, Look, Unsettled, Writes};
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
    /// Lowers that compared were refused, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contended: Option<Box<Contended>>,
    /// A request that held it failed and named no one: it may be what makes requests fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<Box<Suspect>>,
    /// Where in the journal the desire arose, and when: a raise waits until the channel's orders are read past it.
    pub cause: Seq,
    pub caused_at: Timestamp,
}

fn is_zero(tries: &u32) -> bool {
    *tries == 0
}

/// How a leg goes on after a request that held it failed as a whole: apart from those that nothing is held against,
/// with fewer and fewer others, until what makes requests fail is alone. From then on only it waits (I8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// The most that one request may hold with it.
    #[serde(rename = "m")]
    pub most: u16,
    /// When it last failed.
    pub at: Timestamp,
}

/// How often in a row a lower that compares is refused before it may go as a delta. What is compared with is read anew each time,
/// so one refusal is common where a listing sells, and two are met by chance; what sells so quickly that three come in a row, sells
/// on. A rival writer is named by then, or with the next read of the orders (ADR 031).
const CONTENDED: u32 = 3;

/// How a lower has fared that compares: the channel sells so quickly that it comes too late each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contended {
    /// How often in a row it was refused.
    #[serde(rename = "n")]
    pub times: u32,
    /// What it compared with the last time.
    #[serde(rename = "c")]
    pub compared: Quantity,
    /// When it was refused first.
    pub since: Timestamp,
}

/// Into how many parts the listings of a failed request are cut. Each round costs what it takes to learn that a write
/// has not landed, several seconds, and a call costs little: with eight, 250 listings are told apart in three rounds.
const PARTS: usize = 8;

/// What is seldom there is boxed: nearly all listings are at rest, and there are very many.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// To be written, or to be looked at if the channel should already show it.
    Pending,
    /// A request has been journalled and may have been sent; its answer is awaited.
    InFlight(Box<Sent>),
    /// The channel took it. It counts when it is seen.
    Accepted { sent: Box<Sent>, look_at: Timestamp, looks: u32 },
    /// No definite answer: look before writing again.
    Probing { sent: Box<Sent>, look_at: Timestamp, looks: u32 },
    /// To be looked at before any write: the channel should show it already, or a write was refused because the
    /// channel did not show what it compared with (`refused`).
    Looking {
        look_at: Timestamp,
        looks: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refused: Option<Quantity>,
    },
    /// Tried in vain; due again at `at`.
    Retry { at: Timestamp },
    /// Seen live.
    Confirmed,
    /// Cannot go on without a person: a dead letter.
    Parked { reason: Box<str>, at: Timestamp },
    /// A person gave it up, or the policy leaves another writer's number there; the next desire starts again.
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
    /// It changed what is shown by so much instead, whatever that was.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Quantity>,
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
    Sending(Box<Sent>),
    /// The channel should already show it, or was seen to, and it is not sure that it still does: only look.
    Expected {
        look_at: Timestamp,
    },
    Applied {
        look_at: Timestamp,
    },
    Accepted {
        look_at: Timestamp,
    },
    /// `explained`: nothing but orders has explained the refusals before it, as far as is known.
    Stale {
        look_at: Timestamp,
        explained: bool,
    },
    Rejected {
        reason: String,
    },
    /// Not executed; goes again without counting as a failed try.
    Deferred {
        until: Timestamp,
    },
    /// Not executed; counts as a failed try. `among`: so many listings may be why; zero: none is.
    NotSent {
        until: Timestamp,
        among: usize,
    },
    /// `among`: so many listings of the request had no answer; zero: that says nothing of them.
    Unknown {
        look_at: Timestamp,
        among: usize,
    },
    /// The channel shows the newest quantity.
    SeenWanted,
    /// The channel shows what was sent, which is not what is wanted any more.
    SeenSent,
    /// The channel shows something else; look again then.
    SeenOther {
        look_at: Timestamp,
    },
    /// What the channel shows could not be read; counts as a failed try.
    Unread {
        look_at: Timestamp,
    },
    /// The channel shows something else, and waiting longer is pointless: write again.
    GiveUpLooking {
        until: Timestamp,
    },
    /// What the channel shows is explained: write what is wanted.
    Fenced,
    /// A blind channel shows more than is wanted, whatever becomes of a write without an answer: the lower goes.
    SeenHigher,
    /// Nothing explains what the channel shows: write what is wanted, once its orders are read past `cause`.
    Repair {
        cause: Seq,
    },
    /// Only a person can tell what to do.
    Parked {
        reason: String,
    },
    /// The bulk that it is in, or was, has ended: from here on it is looked at.
    BulkEnded {
        look_at: Timestamp,
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
    let anew = |state: S| Leg { state, tries: 0, since: now, ..leg.clone() };
    let cleared = |leg: Leg| Leg { suspect: None, ..leg };
    let calm = |leg: Leg| Leg { contended: None, ..leg };
    let blamed = |leg: Leg, among: usize| Leg {
        suspect: blame(leg.suspect.as_deref(), among, now).map(Box::new),
        ..leg
    };
    Ok(match (&leg.state, event) {
        (state, E::Desired { quantity, revision, cause }) => {
            let held = if restarts(state) {
                anew(S::Pending)
            } else if gives_way(leg, quantity) {
                to(S::Pending)
            } else {
                leg.clone()
            };
            Leg { quantity, revision, cause, caused_at: now, ..held }
        }

        (S::Pending, E::Sending(sent)) => to(S::InFlight(sent)),
        (S::Retry { at }, E::Sending(sent)) if *at <= now => to(S::InFlight(sent)),
        (S::Pending | S::Retry { .. }, E::Expected { look_at }) => {
            to(S::Looking { look_at, looks: 0, refused: None })
        }
        // It was seen live: that it is looked at again is not late.
        (S::Confirmed, E::Expected { look_at }) => anew(S::Looking { look_at, looks: 0, refused: None }),

        // A "200 OK" proves nothing. It counts when it is seen live; a newer lower goes out first.
        (S::InFlight(sent), E::Applied { .. } | E::Accepted { .. }) if leg.quantity < sent.quantity => {
            calm(cleared(to(S::Pending)))
        }
        (S::InFlight(sent), E::Applied { look_at } | E::Accepted { look_at }) => {
            calm(cleared(to(S::Accepted { sent: sent.clone(), look_at, looks: 0 })))
        }
        (S::InFlight(sent), E::Stale { look_at, explained }) => {
            let held = leg.contended.as_deref().filter(|_| explained);
            let leg = cleared(failed(S::Looking { look_at, looks: 0, refused: sent.compare }));
            Leg { contended: contend(held, sent, now).map(Box::new), ..leg }
        }
        // Refused by the channel, or looked at and found to be gone or not to be written.
        (
            S::InFlight(_) | S::Accepted { .. } | S::Probing { .. } | S::Looking { .. },
            E::Rejected { reason },
        ) => cleared(failed(S::Parked { reason: reason.into(), at: now })),
        (S::InFlight(_), E::Deferred { until }) => to(S::Retry { at: until }),
        (S::InFlight(_), E::NotSent { until, among }) => blamed(failed(S::Retry { at: until }), among),
        // The write may have landed, or may land later. Look before writing again (I7).
        (S::InFlight(sent), E::Unknown { look_at, among }) => {
            blamed(failed(S::Probing { sent: sent.clone(), look_at, looks: 0 }), among)
        }

        (state, E::SeenWanted) if !matches!(state, S::InFlight(_)) => {
            calm(cleared(Leg { tries: 0, ..to(S::Confirmed) }))
        }
        // Only now can it show.
        (S::Accepted { sent, .. }, E::BulkEnded { look_at }) => {
            anew(S::Accepted { sent: sent.clone(), look_at, looks: 0 })
        }
        (S::Probing { sent, .. }, E::BulkEnded { look_at }) => {
            to(S::Probing { sent: sent.clone(), look_at, looks: 0 })
        }
        (S::Confirmed, E::BulkEnded { look_at }) => anew(S::Looking { look_at, looks: 0, refused: None }),
        (S::Accepted { .. } | S::Probing { .. }, E::SeenSent) => cleared(anew(S::Pending)),
        (state @ (S::Accepted { .. } | S::Probing { .. } | S::Looking { .. }), E::SeenOther { look_at }) => {
            to(looked(state, look_at))
        }
        (state @ (S::Accepted { .. } | S::Probing { .. } | S::Looking { .. }), E::Unread { look_at }) => {
            blamed(failed(looked(state, look_at)), 1)
        }
        (S::Accepted { .. } | S::Probing { .. } | S::Looking { .. }, E::GiveUpLooking { until }) => {
            failed(S::Retry { at: until })
        }
        (S::Accepted { .. } | S::Probing { .. } | S::Looking { .. }, E::Fenced) => to(S::Pending),
        (S::Probing { .. }, E::SeenHigher) => to(S::Pending),
        (S::Confirmed | S::Dropped, E::Repair { cause }) => Leg { cause, caused_at: now, ..anew(S::Pending) },
        (S::Accepted { .. } | S::Probing { .. } | S::Looking { .. }, E::Repair { cause }) => {
            Leg { cause, caused_at: now, ..to(S::Pending) }
        }
        (S::Pending | S::Retry { .. }, E::Repair { cause }) => Leg { cause, caused_at: now, ..leg.clone() },

        (S::InFlight(_), event @ E::Parked { .. }) => {
            return Err(Illegal { state: leg.state.clone(), event });
        }
        (_, E::Parked { reason }) => to(S::Parked { reason: reason.into(), at: now }),
        (S::Parked { .. }, E::Retried) => anew(S::Pending),
        (S::Retry { .. }, E::Retried) => to(S::Pending),
        (S::Parked { .. }, E::Discarded) => to(S::Dropped),

        (state, event) => return Err(Illegal { state: state.clone(), event }),
    })
}

/// Returns how often in a row a lower was refused that compared: each time with something else than the time before, because what
/// is shown was found to have changed. One that compares with the same again has come upon something else than sales.
fn contend(held: Option<&Contended>, sent: &Sent, now: Timestamp) -> Option<Contended> {
    let compared = sent.compare.filter(|compared| sent.quantity < *compared)?;
    let held = held.filter(|held| held.compared != compared);
    let (times, since) = held.map_or((0, now), |held| (held.times, held.since));
    Some(Contended { times: times.saturating_add(1), compared, since })
}

/// Returns what is held against a leg after a request that failed for one of `among` listings.
fn blame(held: Option<&Suspect>, among: usize, now: Timestamp) -> Option<Suspect> {
    if among == 0 {
        return held.copied();
    }
    let most = u16::try_from(among / PARTS).unwrap_or(u16::MAX).max(1);
    Some(Suspect { most: held.map_or(most, |held| held.most.min(most)), at: now })
}

/// Returns the same state after one more look, with the next one at `look_at`.
fn looked(state: &State, at: Timestamp) -> State {
    let mut state = state.clone();
    if let State::Accepted { look_at, looks, .. }
    | State::Probing { look_at, looks, .. }
    | State::Looking { look_at, looks, .. } = &mut state
    {
        *look_at = at;
        *looks = looks.saturating_add(1);
    }
    state
}

/// Tells whether a newer desire starts the leg again.
fn restarts(state: &State) -> bool {
    matches!(state, State::Confirmed | State::Parked { .. } | State::Dropped)
}

/// Tells whether what the leg waits for gives way to a newer desire: a lower passes a write that was only accepted
/// and a look that only verifies; a raise waits for both. What is in flight or unknown stays so (I4, I7), and a
/// retry keeps its place: the channel is failing, whatever we want of it.
fn gives_way(leg: &Leg, quantity: Quantity) -> bool {
    match &leg.state {
        State::Accepted { sent, .. } => quantity < sent.quantity,
        State::Looking { refused: None, .. } => quantity < leg.quantity,
        State::Looking { refused: Some(_), .. }
        | State::Pending
        | State::InFlight(_)
        | State::Probing { .. }
        | State::Retry { .. }
        | State::Confirmed
        | State::Parked { .. }
        | State::Dropped => false,
    }
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

    /// Returns since when a lower that compares was refused so often in a row that it may go as a delta.
    pub fn contended_since(&self) -> Option<Timestamp> {
        let contended = self.contended.as_deref().filter(|held| held.times >= CONTENDED);
        contended.map(|held| held.since)
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

#[cfg(test)]
mod tests;
