//! What a person wants of several listings or places at once, all or nothing: lowers first, and only when these can no
//! longer be undone, the raises. A fact (a sale) rolls forward; an intent whose lower is refused for good rolls back.
//!
//! [`step`] is the whole transition table. An intent never holds stock numbers to be restored: rolling back takes the
//! entries and allotments back that it made, so what was sold or counted meanwhile stays.

pub mod ask;

use serde::{Deserialize, Serialize};

use crate::{
    core::state::{Listing, ListingRef, State},
    model::{LocationId, Quantity, Revision, Seq, Sku, Timestamp},
};

/// An intent, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    pub lines: Vec<Line>,
    /// Between places, the units travel: they arrive when a person has received them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub travels: bool,
    /// Raises wait until the lowers are seen live only, and not until no earlier write can undo them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub seen_is_enough: bool,
    /// When it is given up if the lowers have not been made by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// What the person's request goes by, so that its repeat is recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// A digest of what that asked, see [`ask::Ask::digest`]. An intent of an older journal has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<u64>,
    pub phase: Phase,
    pub opened_at: Timestamp,
    /// When it came to its phase.
    pub since: Timestamp,
    /// Why it is, or was, rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Undone>,
    /// The listings that it waits for, or has waited for.
    #[serde(default)]
    pub legs: Vec<Leg>,
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// One thing that is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The most that a listing may show. `None`: no such limit.
    Allot { listing: ListingRef, before: Option<Quantity>, after: Option<Quantity> },
    /// Units that go from one place to another.
    Move {
        sku: Sku,
        quantity: Quantity,
        from: LocationId,
        to: LocationId,
        #[serde(default, skip_serializing_if = "Quantity::is_zero")]
        received: Quantity,
        #[serde(default, skip_serializing_if = "Quantity::is_zero")]
        lost: Quantity,
        /// The place that they have left was counted since: nobody can say whether they are in its number, so they are not
        /// put back there.
        #[serde(default, skip_serializing_if = "is_false")]
        counted: bool,
    },
}

/// Units that are on their way between two places on paper only: who sells from both sells them all the while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moving {
    pub intent: Seq,
    pub from: LocationId,
    pub to: LocationId,
    #[serde(rename = "q")]
    pub quantity: Quantity,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// What must fall is on its way.
    Lowering,
    /// The units have left one place and not all of them have come to the other.
    InTransit,
    /// Nothing can be undone any more; what may rise is on its way.
    Raising,
    Done,
    /// What was lowered is put back.
    RollingBack,
    RolledBack,
}

impl Phase {
    pub fn ended(self) -> bool {
        matches!(self, Phase::Done | Phase::RolledBack)
    }

    /// Returns the name that people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Lowering => "lowering",
            Phase::InTransit => "in_transit",
            Phase::Raising => "raising",
            Phase::Done => "done",
            Phase::RollingBack => "rolling_back",
            Phase::RolledBack => "rolled_back",
        }
    }
}

/// Why an intent is rolled back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undone {
    /// A lower was refused for good.
    Refused { listing: ListingRef, reason: String },
    /// A person has cancelled it.
    Cancelled,
    /// The lowers were not made in the time that was given.
    Expired,
}

/// A listing that an intent waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leg {
    pub listing: ListingRef,
    pub way: Way,
    /// Done when the channel is seen to show what was wanted at this revision, or a later one.
    #[serde(rename = "r")]
    pub revision: Revision,
    pub step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    Lower,
    Raise,
    PutBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Waiting,
    /// Seen live; a write from before may still land.
    Seen {
        at: Timestamp,
    },
    /// Seen live, and nothing from before can undo it.
    Settled,
    /// It is waited for no more: a dead letter, given up, or not to be written.
    GivenUp,
}

impl Way {
    /// Returns the name that people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Way::Lower => "lower",
            Way::Raise => "raise",
            Way::PutBack => "put_back",
        }
    }
}

impl Leg {
    /// Tells whether the channel was seen to show what was wanted at its revision, or a later one.
    pub fn is_seen(&self, held: &Listing) -> bool {
        let seen = held.writes.confirmed.map_or(Revision::ZERO, |confirmed| confirmed.revision);
        seen >= self.revision
    }

    /// Tells whether something is still to happen to it.
    pub fn waits(&self) -> bool {
        match self.step {
            Step::Waiting | Step::Seen { .. } => true,
            Step::Settled | Step::GivenUp => false,
        }
    }
}

impl Intent {
    /// Tells whether a leg is what the intent waits for in its phase.
    pub fn awaits(&self, leg: &Leg) -> bool {
        let turn = match leg.way {
            Way::Lower => Phase::Lowering,
            Way::Raise => Phase::Raising,
            Way::PutBack => Phase::RollingBack,
        };
        self.phase == turn && leg.waits()
    }

    /// Tells whether all units of all lines have arrived, or are known not to.
    pub fn arrived(&self) -> bool {
        self.lines.iter().all(|line| line.on_the_way().is_zero())
    }

    /// Tells whether it may still be rolled back.
    pub fn may_be_undone(&self) -> bool {
        step(self.phase, Event::Undone).is_ok()
    }

    /// Tells whether any unit has arrived, or is known not to.
    pub fn touched(&self) -> bool {
        self.lines.iter().any(|line| {
            matches!(line, Line::Move { received, lost, .. } if !received.is_zero() || !lost.is_zero())
        })
    }
}

impl Line {
    pub fn sku(&self) -> &Sku {
        match self {
            Line::Allot { listing, .. } => &listing.sku,
            Line::Move { sku, .. } => sku,
        }
    }

    /// Returns how many units have not arrived, of those that travel.
    pub fn on_the_way(&self) -> Quantity {
        match self {
            Line::Allot { .. } => Quantity::ZERO,
            Line::Move { quantity, received, lost, .. } => {
                quantity.sub(*received).and_then(|left| left.sub(*lost)).unwrap_or_default()
            }
        }
    }
}

/// What can happen to an intent as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// All lowers are made. `travels`: units must arrive before anything may rise.
    Lowered { travels: bool },
    /// It cannot, or shall not, be.
    Undone,
    /// All units that travel have arrived, or are known not to.
    Arrived,
    /// Everything that the phase has waited for has ended.
    Ended,
}

/// An event that makes no sense in a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`{event:?}` makes no sense for an intent that is `{}`", phase.name())]
pub struct Illegal {
    pub phase: Phase,
    pub event: Event,
}

/// Advances an intent. Total: every pair of phase and event is a transition or [`Illegal`]. Once it raises, nothing rolls
/// it back.
pub fn step(phase: Phase, event: Event) -> Result<Phase, Illegal> {
    use {Event as E, Phase as P};
    Ok(match (phase, event) {
        (P::Lowering, E::Lowered { travels: true }) => P::InTransit,
        (P::Lowering, E::Lowered { travels: false }) => P::Raising,
        (P::Lowering | P::InTransit, E::Undone) => P::RollingBack,
        (P::InTransit, E::Arrived) => P::Raising,
        (P::Raising, E::Ended) => P::Done,
        (P::RollingBack, E::Ended) => P::RolledBack,
        (phase, event) => return Err(Illegal { phase, event }),
    })
}

/// Returns the lines, of intents that may still be rolled back, of which this is so.
pub fn left(state: &State, is_so: impl Fn(&Intent, &Line) -> bool) -> Vec<(Seq, u32)> {
    let open = state.intents.iter().filter(|(_, held)| held.may_be_undone());
    let lines =
        open.flat_map(|(id, held)| held.lines.iter().zip(0..).map(move |(line, n)| (id, held, line, n)));
    lines.filter(|(_, held, line, _)| is_so(held, line)).map(|(id, _, _, n)| (*id, n)).collect()
}

/// What a record says of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is begun; its id is the position of this record.
    Opened(Box<Intent>),
    /// It waits for these listings as well.
    Awaits(Vec<Leg>),
    /// A leg has come further.
    Leg { n: u32, step: Step },
    /// It has come to its next phase.
    Moved {
        phase: Phase,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        undone: Option<Undone>,
    },
    /// Units of these lines have arrived, or are known not to: line, received, lost.
    Received(Vec<(u32, Quantity, Quantity)>),
}

#[cfg(test)]
mod tests {
    use super::*;

    const PHASES: [Phase; 6] = [
        Phase::Lowering,
        Phase::InTransit,
        Phase::Raising,
        Phase::Done,
        Phase::RollingBack,
        Phase::RolledBack,
    ];

    /// An event -> where each phase leads, in their order; `None`: it makes no sense there.
    #[track_caller]
    fn check(event: Event, want: [Option<Phase>; 6]) {
        for (phase, want) in PHASES.into_iter().zip(want) {
            let got = step(phase, event);
            assert_eq!(got, want.ok_or(Illegal { phase, event }), "{phase:?} {event:?}");
        }
    }

    #[test]
    fn every_phase_knows_what_each_event_means() {
        use Phase::{Done, InTransit, Raising, RolledBack, RollingBack};
        let no = None;
        check(Event::Lowered { travels: false }, [Some(Raising), no, no, no, no, no]);
        check(Event::Lowered { travels: true }, [Some(InTransit), no, no, no, no, no]);
        check(Event::Undone, [Some(RollingBack), Some(RollingBack), no, no, no, no]);
        check(Event::Arrived, [no, Some(Raising), no, no, no, no]);
        check(Event::Ended, [no, no, Some(Done), no, Some(RolledBack), no]);
    }

    #[test]
    fn nothing_leads_back_once_it_raises_and_every_way_ends() {
        let events = [
            Event::Lowered { travels: false },
            Event::Lowered { travels: true },
            Event::Undone,
            Event::Arrived,
            Event::Ended,
        ];
        for phase in PHASES {
            let next: Vec<Phase> = events.iter().filter_map(|event| step(phase, *event).ok()).collect();
            assert_eq!(next.is_empty(), phase.ended(), "{phase:?}");
            if phase == Phase::Raising {
                assert_eq!(next, [Phase::Done]);
            }
            // Phases stand in the order in which they can be come to, so no way goes round in circles.
            assert!(next.iter().all(|next| *next > phase), "{phase:?} {next:?}");
        }
    }

    #[test]
    fn what_is_on_the_way_is_what_has_neither_arrived_nor_been_lost() {
        let q = Quantity::new;
        let place = |name| LocationId::new(name).expect("a name");
        let line = |received, lost| Line::Move {
            sku: Sku::new("A").expect("a sku"),
            quantity: q(5),
            from: place("wh"),
            to: place("store"),
            received: q(received),
            lost: q(lost),
            counted: false,
        };
        assert_eq!([line(0, 0), line(2, 0), line(2, 3)].map(|l| l.on_the_way()), [q(5), q(3), q(0)]);
    }
}
