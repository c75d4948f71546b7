//! When two states are the same: what is decided from here on is the same.
//!
//! Positions in the journal and revisions are only ever compared, so their ranks count; keys only name. What is kept for people
//! alone is left out: entries, commits, alerts, measurements, since when something is unconfirmed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::{
    core::{
        circuit::Circuit,
        drift::Drifted,
        leg::{Lapsed, Leg, Writes},
        order::Order,
        state::{ChannelRow, Fed},
    },
    model::{IdempotencyKey, OrderKey, Revision, Seq, Timestamp},
};

use super::{
    market::{Placed, Read, Write},
    model::{Left, Model},
};

/// Tells states apart.
pub(super) type Print = u128;

#[derive(Serialize)]
struct Whole<'a> {
    began: &'a [i64],
    left: &'a Left,
    stock: i64,
    markets: Vec<One<'a>>,
}

/// One channel: as it is, and as it is known.
#[derive(Serialize)]
struct One<'a> {
    shown: i64,
    under_way: Vec<Write>,
    placed: Vec<Placed>,
    read: Option<Read>,
    past: Vec<(i64, i64)>,
    applied: Vec<String>,
    mistaken: bool,
    orders: Vec<(&'a OrderKey, Order)>,
    fed: Option<Fed>,
    circuit: Circuit,
    leg: Option<Leg>,
    writes: Writes,
    drift: Option<Box<Drifted>>,
}

impl Model {
    pub(super) fn print(&self) -> Print {
        let mut whole = self.whole();
        whole.rank();
        whole.name();
        whole.markets.iter_mut().for_each(|one| one.order(&self.began));
        let sum = Sha256::digest(serde_json::to_vec(&whole).expect("rows encode"));
        sum.iter().take(16).fold(0, |print, byte| print << 8 | Print::from(*byte))
    }

    fn whole(&self) -> Whole<'_> {
        let markets = self.markets.iter().map(|market| {
            let held = self.held(market);
            let counted = |key: &str| held.writes.unsettled.iter().any(|write| write.key.as_str() == key);
            let orders = self.state.orders.iter().filter(|(key, _)| key.channel == market.id);
            One {
                shown: market.shown,
                under_way: market.writes.clone(),
                placed: market.orders.clone(),
                read: market.read.clone(),
                past: market.past.clone(),
                applied: market.applied.iter().filter(|key| counted(key)).cloned().collect(),
                mistaken: market.mistaken,
                orders: orders.map(|(key, order)| (key, order.clone())).collect(),
                fed: self.state.channels.get(&market.id).and_then(|row| row.fed),
                circuit: circuit(self.state.channels.get(&market.id)),
                leg: held.leg.clone().map(leg),
                writes: Writes { lapsed: lapsed(&held.writes), ..held.writes.clone() },
                drift: held.drift.clone(),
            }
        });
        let markets = markets.collect();
        Whole { began: &self.began, left: &self.left, stock: self.available(), markets }
    }
}

/// The leg without since when it is unconfirmed. In these worlds no lower is refused so often that it is contended by itself.
fn leg(leg: Leg) -> Leg {
    let contended = leg.contended.clone().filter(|_| leg.contended_since().is_some());
    Leg { since: Timestamp::ZERO, contended, ..leg }
}

/// Of what was settled by age, a delta may explain what is read yet.
fn lapsed(writes: &Writes) -> Option<Box<Lapsed>> {
    writes.lapsed.clone().filter(|lapsed| lapsed.delta.is_some() && !lapsed.told)
}

/// How the circuit stands, without what only people are told.
fn circuit(row: Option<&ChannelRow>) -> Circuit {
    let mut circuit = row.map(|row| row.circuit.clone()).unwrap_or_default();
    let (Circuit::Closed { failing, .. } | Circuit::Open { failing, .. }) = &mut circuit;
    *failing = None;
    circuit
}

impl Whole<'_> {
    /// Puts ranks in the place of positions and revisions.
    fn rank(&mut self) {
        let (mut seqs, mut revisions) = (BTreeSet::new(), BTreeSet::new());
        self.seqs(&mut |seq| seqs.extend([*seq]));
        self.revisions(&mut |revision| revisions.extend([*revision]));
        self.seqs(&mut |seq| *seq = Seq(seqs.range(..*seq).count() as u64));
        self.revisions(&mut |revision| *revision = Revision(revisions.range(..*revision).count() as u64));
    }

    fn seqs(&mut self, each: &mut impl FnMut(&mut Seq)) {
        for one in &mut self.markets {
            one.leg.iter_mut().for_each(|leg| each(&mut leg.cause));
            one.fed.iter_mut().for_each(|fed| each(&mut fed.begun));
            one.drift.iter_mut().for_each(|drift| each(&mut drift.seq));
            one.writes.look.iter_mut().for_each(|look| each(&mut look.seq));
            one.writes.passed_over.iter_mut().for_each(|over| each(&mut over.look.seq));
            for (_, order) in &mut one.orders {
                order.whole_push.iter_mut().for_each(|rank| each(&mut rank.received));
                order.whole_fetch.iter_mut().for_each(|rank| each(&mut rank.begun));
                order.fetch_due.iter_mut().chain(&mut order.fetch_since).for_each(&mut *each);
                for line in order.lines.values_mut() {
                    line.pushed.iter_mut().for_each(|told| each(&mut told.rank.received));
                    line.fetched.iter_mut().for_each(|told| each(&mut told.rank.begun));
                }
            }
        }
    }

    fn revisions(&mut self, each: &mut impl FnMut(&mut Revision)) {
        use crate::core::leg::State::{Accepted, InFlight, Probing};
        for one in &mut self.markets {
            one.writes.confirmed.iter_mut().for_each(|seen| each(&mut seen.revision));
            let Some(leg) = &mut one.leg else { continue };
            each(&mut leg.revision);
            if let InFlight(sent) | Accepted { sent, .. } | Probing { sent, .. } = &mut leg.state {
                each(&mut sent.revision);
            }
        }
    }

    /// Names writes by the order in which they are met.
    fn name(&mut self) {
        use crate::core::leg::State::{
            Accepted, Confirmed, Dropped, InFlight, Looking, Parked, Pending, Probing, Retry,
        };
        let mut names: BTreeMap<String, usize> = BTreeMap::new();
        let mut name = |key: &str| {
            let next = names.len();
            format!("k{}", names.entry(key.to_owned()).or_insert(next))
        };
        for one in &mut self.markets {
            let under_way = one.under_way.iter_mut().map(|write| &mut write.key);
            under_way.chain(&mut one.applied).for_each(|key| *key = name(key));
            let sent = one.leg.as_mut().and_then(|leg| match &mut leg.state {
                InFlight(sent) | Accepted { sent, .. } | Probing { sent, .. } => Some(&mut sent.key),
                Pending | Looking { .. } | Retry { .. } | Confirmed | Parked { .. } | Dropped => None,
            });
            let unsettled = one.writes.unsettled.iter_mut().map(|write| &mut write.key);
            for key in sent.into_iter().chain(unsettled) {
                *key = IdempotencyKey::new(&name(key.as_str())).expect("a good key");
            }
        }
    }
}

/// How many milliseconds of a time only tell what came first.
const FINE_MS: i64 = 100;

impl One<'_> {
    /// Puts ranks in the place of the milliseconds that only tell what came first on this channel.
    fn order(&mut self, began: &[i64]) {
        let place = |at: i64| began.iter().rposition(|began| *began <= at);
        let mut met: BTreeSet<(usize, i64)> = BTreeSet::new();
        self.times(&mut |at| met.extend(place(*at).map(|n| (n, (*at - began[n]) % FINE_MS))));
        self.times(&mut |at| {
            let Some(n) = place(*at) else { return };
            let fine = (*at - began[n]) % FINE_MS;
            let rank = met.range((n, 0)..(n, fine)).count();
            *at += i64::try_from(rank).expect("few") - fine;
        });
    }

    fn times(&mut self, each: &mut impl FnMut(&mut i64)) {
        for placed in &mut self.placed {
            each(&mut placed.at);
            placed.cancelled_at.iter_mut().for_each(&mut *each);
        }
        self.under_way.iter_mut().filter_map(|write| write.given_up.as_mut()).for_each(&mut *each);
        self.read.iter_mut().for_each(|read| each(&mut read.sent));
        self.past.iter_mut().for_each(|(until, _)| each(until));
        let mut each = |at: &mut Timestamp| {
            let mut millis = at.millis();
            each(&mut millis);
            *at = Timestamp::from_millis(millis);
        };
        if let Some(Fed { begun_at, through, at, .. }) = &mut self.fed {
            [begun_at, through, at].into_iter().for_each(&mut each);
        }
        match &mut self.circuit {
            Circuit::Closed { since, .. } => since.iter_mut().for_each(&mut each),
            Circuit::Open { until, .. } => each(until),
        }
        self.leg.iter_mut().for_each(|leg| of_leg(leg, &mut each));
        of_writes(&mut self.writes, &mut each);
        if let Some(drift) = self.drift.as_deref_mut() {
            each(&mut drift.at);
            drift.between.iter_mut().for_each(|(from, to)| [from, to].into_iter().for_each(&mut each));
            drift.read_at.iter_mut().for_each(&mut each);
            drift.repairs.iter_mut().chain(&mut drift.lowered).for_each(|repaired| each(&mut repaired.at));
        }
        for (_, order) in &mut self.orders {
            each(&mut order.placed_at);
            order.whole_push.iter_mut().for_each(|rank| each(&mut rank.version));
            order.whole_fetch.iter_mut().for_each(|rank| each(&mut rank.version));
            for line in order.lines.values_mut() {
                line.pushed.iter_mut().for_each(|told| each(&mut told.rank.version));
                line.fetched.iter_mut().for_each(|told| each(&mut told.rank.version));
            }
        }
    }
}

fn of_leg(leg: &mut Leg, each: &mut impl FnMut(&mut Timestamp)) {
    use crate::core::leg::State;
    each(&mut leg.caused_at);
    leg.suspect.iter_mut().for_each(|suspect| each(&mut suspect.at));
    leg.contended.iter_mut().for_each(|contended| each(&mut contended.since));
    match &mut leg.state {
        State::InFlight(sent) => each(&mut sent.at),
        State::Accepted { sent, look_at, .. } | State::Probing { sent, look_at, .. } => {
            each(&mut sent.at);
            each(look_at);
        }
        State::Looking { look_at, .. } => each(look_at),
        State::Retry { at } | State::Parked { at, .. } => each(at),
        State::Pending | State::Confirmed | State::Dropped => {}
    }
}

fn of_writes(writes: &mut Writes, each: &mut impl FnMut(&mut Timestamp)) {
    [&mut writes.known_at, &mut writes.exact_from, &mut writes.trust_from].into_iter().for_each(&mut *each);
    writes.confirmed.iter_mut().for_each(|seen| each(&mut seen.at));
    writes.unsettled.iter_mut().for_each(|write| each(&mut write.at));
    writes.lapsed.iter_mut().for_each(|write| each(&mut write.at));
    writes.moves.iter_mut().for_each(|own| each(&mut own.at));
    writes.shown.iter_mut().for_each(|shown| each(&mut shown.at));
    writes.look.iter_mut().for_each(|look| each(&mut look.at));
    if let Some(over) = writes.passed_over.as_deref_mut() {
        each(&mut over.known_at);
        each(&mut over.look.at);
    }
}
