//! Compares what a channel was read to show with what it should, without recording anything.

use crate::{
    core::{
        count::Edits,
        decide::drift::{Difference, judge::Judge},
        drift::{Drifted, Verdict, judge},
        leg::{self, Leg},
        mapping::{Resolved, resolve},
        state::{ListingRef, State},
        writes::{Reading, shows},
    },
    model::{CatalogueItem, ChannelId, Quantity, Timestamp},
};

/// What one item of a catalogue shows, against what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    pub listing: ListingRef,
    pub shown: Quantity,
    pub expected: Option<Quantity>,
    pub wanted: Option<Quantity>,
    pub means: Means,
}

/// What that means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Means {
    /// It shows what it should.
    Agrees,
    /// A change is under way there, or it shows what is expected until it goes.
    UnderWay,
    /// It was not known before what it shows.
    Unknown,
    /// What was read may be an old copy, and says nothing: it would be looked at again.
    TooSoon,
    /// Nothing explains it so far. Once the channel's orders are read past this, this would be recorded of it.
    Differs(Box<Drifted>),
}

/// Compares an item. `None`: it is bound to no SKU, tells no quantity, or is never written. `edits`: what the brake will
/// know of the edits that were told before it, and then with this one.
pub fn compare(
    state: &State,
    channel: &ChannelId,
    item: &CatalogueItem,
    read_at: Timestamp,
    now: Timestamp,
    edits: &mut Option<Edits>,
) -> Option<Compared> {
    let Resolved::Listing(listing) = resolve(state, channel, &item.ids) else { return None };
    let policy = state.policies()?.channels.get(channel)?;
    let (held, levels) = (state.listing(&listing)?, item.levels?);
    if !held.writable() || !policy.abilities.quantities {
        return None;
    }
    let look = held.writes.look(levels, read_at, state.seq, policy.abilities.stale_ms);
    let wanted = held.leg.as_ref().map(|leg| leg.quantity);
    let agrees = wanted.is_some_and(|wanted| shows(levels.available, wanted));
    let under_way = held.leg.as_ref().is_some_and(|leg| leg.look_at().is_some() || leg.sent().is_some());
    let reading = Reading::of(&policy.abilities, held.leg.as_ref());
    let means = match judge(&held.writes, &look, reading).ok()? {
        Verdict::Explained if agrees || wanted.is_none() => Means::Agrees,
        Verdict::Landed { .. }
        | Verdict::Corrected { .. }
        | Verdict::Learnt { .. }
        | Verdict::Unexplained { .. }
            if read_at < held.writes.trust_from =>
        {
            if held.leg.as_ref().is_some_and(looked_at_again) {
                Means::TooSoon
            } else {
                Means::UnderWay
            }
        }
        Verdict::Explained | Verdict::Landed { .. } | Verdict::Corrected { .. } => Means::UnderWay,
        Verdict::Unexplained { .. } if under_way || agrees => Means::UnderWay,
        Verdict::Learnt { .. } => Means::Unknown,
        Verdict::Unexplained { expected, shown } => {
            let (told, known_at) = (held.writes.told.as_deref().copied(), held.writes.known_at);
            let or = held.writes.if_landed(held.leg.as_ref(), shown);
            let difference = Difference {
                expected,
                or,
                observed: shown,
                look,
                open: None,
                told,
                known_at,
                passed_over: false,
            };
            let (edits_held, learnt) = (edits.clone(), Quantity::ZERO);
            let judge = Judge { state, now, seq: state.seq.next(), edits: edits_held, learnt };
            let (drifted, with) = judge.drifted(policy, &listing, &difference);
            *edits = with.or(edits.take());
            Means::Differs(Box::new(drifted))
        }
    };
    Some(Compared { listing, shown: levels.available, expected: held.writes.base, wanted, means })
}

/// Tells whether a listing that was read too soon becomes due to be looked at for that: what is looked at anyhow, or waits for
/// a person, does not.
fn looked_at_again(leg: &Leg) -> bool {
    matches!(leg.state, leg::State::Pending | leg::State::Retry { .. } | leg::State::Confirmed)
}
