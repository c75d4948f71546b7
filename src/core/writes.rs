//! What is known of a listing's quantity on its channel, and what our writes may still do to it.
//!
//! Every fact here has a time: what the channel was seen to show, or acknowledged, holds as of then, and own sales
//! from before are in it already.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thin_vec::ThinVec;

use crate::{
    core::leg::Sent,
    model::{IdempotencyKey, Overflow, Quantity, Revision, Seq, Timestamp},
};

/// How far a channel's clock and ours are assumed to differ at most, where that only decides what is called drift.
pub const SKEW_MS: i64 = 5_000;
/// How long own sales are remembered one by one, to tell which of them a read has in it.
const MOVES_MS: i64 = 120_000;
const MOVES_MAX: usize = 16;
/// How many ways to explain a read are weighed; what would take more is not explained.
const EXPLANATIONS_MAX: usize = 4_096;
/// How many unsettled writes are kept one by one; beyond it the oldest are kept as one.
const UNSETTLED_MAX: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Writes {
    /// The newest revision seen live. Never falls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Confirmed>,
    /// What the channel is expected to show: the last acknowledged quantity, less its own sales seen since, plus
    /// what it restocked itself. `None`: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Quantity>,
    /// The time as of which `base` is known: the channel's own sales from before are in it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub known_at: Timestamp,
    /// The time from which on own sales that are learnt yet are not in `base`, if that is not `known_at`: a write that
    /// compared would have been refused if one had come between.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub exact_from: Timestamp,
    /// A read that is sent before this says nothing, unless it shows what was written: the last write may not show
    /// yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub trust_from: Timestamp,
    /// Writes that may still land: their answer is unknown, or the channel only queued them. They leave by their
    /// answer, or by age beyond the connector's `late` bound, never because an equal quantity was read.
    #[serde(default, skip_serializing_if = "ThinVec::is_empty")]
    pub unsettled: ThinVec<Unsettled>,
    /// A read that nothing explains yet: it waits for its fence, until the orders of the channel up to it are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Box<Look>>,
    /// The latest own sales and restocks of the channel, in the order in which they were learnt.
    #[serde(default, skip_serializing_if = "ThinVec::is_empty")]
    pub moves: ThinVec<Move>,
    /// What the channel told besides the last quantity that was explained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Box<Told>>,
    /// The latest write that was settled by age, and when it was given up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapsed: Option<Box<Lapsed>>,
    /// What it may show yet in place of what is expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Box<Shown>>,
    /// A difference that a lower went over at once. What it was shows after its fence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed_over: Option<Box<PassedOver>>,
}

fn is_zero(at: &Timestamp) -> bool {
    *at == Timestamp::ZERO
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    /// The quantity it replaces, if the channel compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Quantity>,
    pub key: IdempotencyKey,
    /// When we sent it, and then when we gave up waiting for it.
    pub at: Timestamp,
    /// How many writes this stands for, none of them larger.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub times: u32,
}

fn one() -> u32 {
    1
}

fn is_one(times: &u32) -> bool {
    *times == 1
}

impl Unsettled {
    /// Returns how many units more the channel may sell if this lands (design: exposure).
    pub fn exposure(&self) -> Quantity {
        let once = match self.compare {
            Some(base) => self.quantity.sub(base).map_or(self.quantity, Quantity::or_zero),
            None => self.quantity,
        };
        Quantity::new(once.units().saturating_mul(i64::from(self.times)))
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
    /// What it has shipped, or was cancelled, after the read.
    #[serde(default, skip_serializing_if = "Quantity::is_zero")]
    pub gone: Quantity,
}

/// The most that a listing was known to show before a write that does not show yet, or since a look that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    pub at: Timestamp,
}

/// A difference that nothing explained yet when a lower of ours went over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    #[serde(rename = "e")]
    pub expected: Quantity,
    /// The time as of which that was known.
    pub known_at: Timestamp,
    pub look: Look,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
}

impl Look {
    /// Returns a look of a channel that tells no more than what it shows.
    pub fn bare(seen: Quantity, at: Timestamp, seq: Seq) -> Look {
        let none = Quantity::ZERO;
        Look { seen, at, seq, since: none, on_hand: None, committed: None, gone: none }
    }

    /// Returns what the channel shows by this look and the own sales after it.
    pub fn shown(&self) -> Result<Quantity, Overflow> {
        self.seen.add(self.since)
    }
}

/// What a channel told of a listing's stock besides what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Our clock when the read was sent.
    pub at: Timestamp,
    /// Sold there and not shipped, by the channel's own books.
    #[serde(rename = "c")]
    pub committed: Quantity,
    /// on_hand that is neither available nor committed. Neither a sale, a shipment, an edit of the stock nor a write of
    /// ours moves it.
    #[serde(rename = "o", default, skip_serializing_if = "Quantity::is_zero")]
    pub other: Quantity,
    /// Own sales that were learnt since.
    #[serde(rename = "s", default, skip_serializing_if = "Quantity::is_zero")]
    pub sold: Quantity,
    /// Of what was committed there, what was shipped or cancelled since.
    #[serde(rename = "g", default, skip_serializing_if = "Quantity::is_zero")]
    pub gone: Quantity,
}

impl Told {
    /// Returns what a look tells, if the channel tells it.
    pub fn of(look: &Look) -> Option<Told> {
        let (on_hand, committed) = (look.on_hand?, look.committed?);
        let other = on_hand.sub(look.seen).and_then(|rest| rest.sub(committed)).ok()?;
        let committed = committed.sub(look.gone).ok()?;
        let sold = look.since.neg().map(Quantity::or_zero).ok()?;
        Some(Told { at: look.at, committed, other, sold, gone: Quantity::ZERO })
    }

    /// Returns the most that the channel may have committed by what is known.
    pub fn explained(&self) -> Result<Quantity, Overflow> {
        self.committed.add(self.sold)?.sub(self.gone)
    }

    fn moved(&mut self, own: &OwnMove) {
        if own.quantity < Quantity::ZERO {
            self.sold = self.sold.sub(own.quantity).unwrap_or(self.sold);
        }
        self.gone = self.gone.add(own.gone).unwrap_or(self.gone);
    }
}

/// A write that was settled by age: it was assumed that it cannot land any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapsed {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    /// When it was given up.
    pub at: Timestamp,
}

/// What the channel did to its own quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    /// When, by the channel's clock.
    pub at: Timestamp,
}

/// What an order made the channel do to its own books of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnMove {
    /// How the quantity that it shows changed.
    pub quantity: Quantity,
    /// How many units it has not committed any more, because they were shipped or cancelled.
    pub gone: Quantity,
    /// When, by the channel's clock.
    pub at: Timestamp,
}

/// Tells whether a channel that shows `shown` shows what is wanted. Below zero it sells as little as at zero, and the
/// units that it owes must not be forgiven by writing zero over them.
pub fn shows(shown: Quantity, wanted: Quantity) -> bool {
    shown == wanted || (wanted.is_zero() && shown < Quantity::ZERO)
}

impl PassedOver {
    /// What was written since undoes nothing of what was there when it was read.
    fn own_move(&mut self, own: &OwnMove) {
        if own.at > self.look.at {
            self.look.since = self.look.since.add(own.quantity).unwrap_or(self.look.since);
        }
        if own.at > self.known_at {
            self.expected = self.expected.add(own.quantity).unwrap_or(self.expected);
        }
        if let Some(told) = &mut self.told {
            told.moved(own);
        }
    }

    /// Returns what was known of the channel when it was read, with what was learnt since.
    pub fn writes(&self, now: &Writes) -> Writes {
        let (base, known_at) = (Some(self.expected), self.known_at);
        Writes { base, known_at, moves: now.moves.clone(), ..Writes::default() }
    }
}

impl Writes {
    /// Returns the least that the channel may be showing, as far as is known. What is above it is a raise.
    pub fn floor(&self) -> Option<Quantity> {
        let look = self.look.as_ref().and_then(|look| look.shown().ok());
        self.base.map(|base| look.map_or(base, |look| look.min(base)))
    }

    /// Returns the time from which on own sales that are learnt yet are not in `base`.
    fn counts_from(&self) -> Timestamp {
        if self.exact_from == Timestamp::ZERO { self.known_at } else { self.exact_from }
    }

    /// What can no longer land is settled: a raise waits for the orders up to here, and what is expected stays exact.
    pub fn known_from(&mut self, now: Timestamp) {
        self.exact_from = self.counts_from();
        self.known_at = self.known_at.max(now);
    }

    /// Takes in what the channel did to its own quantity. `overwritten`: a write of ours that is not seen yet may
    /// have undone it, so it does not count as done.
    pub fn own_move(&mut self, own: OwnMove, overwritten: bool, now: Timestamp) {
        let OwnMove { quantity, at, gone } = own;
        if let Some(passed) = self.passed_over.as_deref_mut() {
            passed.own_move(&own);
        }
        let after = self.look.as_deref_mut().filter(|look| at > look.at);
        let before = after.is_none();
        if let Some(look) = after {
            look.since = look.since.add(quantity).unwrap_or(look.since);
            look.gone = look.gone.add(gone).unwrap_or(look.gone);
        }
        if let Some(shown) = self.shown.as_mut().filter(|shown| quantity > Quantity::ZERO || at > shown.at) {
            shown.quantity = shown.quantity.add(quantity).unwrap_or(shown.quantity);
        }
        // What is older than the fact that the base rests on is in it already. Where the clocks differ, the base may
        // be left too high by this: a write that compares is then refused, and the look after it corrects it.
        if !overwritten && at > self.counts_from() {
            self.base = self.base.and_then(|base| base.add(quantity).ok());
        }
        if let Some(told) = self.told.as_mut() {
            told.moved(&if before { own } else { OwnMove { gone: Quantity::ZERO, ..own } });
        }
        if quantity.is_zero() {
            return;
        }
        // A look that waits is still to be weighed against those from about its time, and a write that may still land against
        // those from about when it left.
        let oldest = self.unsettled.iter().map(|write| write.at).min().map_or(now, |at| at.min(now));
        let from = self.look.as_ref().map_or(oldest, |look| look.at.min(oldest)).plus_millis(-MOVES_MS);
        self.moves.retain(|held| held.at > from);
        self.moves.push(Move { quantity, at });
        let surplus = self.moves.len().saturating_sub(MOVES_MAX);
        self.moves.drain(..surplus);
    }

    /// Returns what the own sales and restocks after `at` add up to.
    pub fn moved_since(&self, at: Timestamp) -> Result<Quantity, Overflow> {
        self.moves.iter().filter(|m| m.at > at).try_fold(Quantity::ZERO, |sum, m| sum.add(m.quantity))
    }

    /// Tells whether the channel shows what it should, by a read that was sent at `at` and may be `stale_ms` old:
    /// of the own sales and restocks from about then, any may be in it and any may not.
    ///
    /// A sale is in it whole or not at all, so that somebody else's change by other units shows at once. Of what was
    /// restocked a part may be in it: several cancellations may have been learnt as one.
    pub fn explains(&self, seen: Quantity, at: Timestamp, stale_ms: i64) -> bool {
        let Some(base) = self.base else { return false };
        self.explanations(base, seen, at, stale_ms).is_ok_and(|mut found| found.any(|other| other == base))
    }

    /// Returns what the channel should show instead of what is expected, if own sales and restocks from about the time as of
    /// which that is known explain such a read: a channel tells times by its own clock, and in whole seconds, so what was
    /// taken to be in it already may have come after it, and the other way round.
    ///
    /// Where there are several answers, the least. Only so long after that time: what a later read shows has another cause.
    pub fn corrected(&self, seen: Quantity, at: Timestamp, stale_ms: i64) -> Option<Quantity> {
        let base = self.base.filter(|_| at.since(self.counts_from()) <= MOVES_MS)?;
        self.explanations(base, seen, at, stale_ms).ok()?.filter(|other| *other != base).min()
    }

    /// Returns what the channel may have been meant to show, for it to have been read so.
    fn explanations(
        &self,
        base: Quantity,
        seen: Quantity,
        at: Timestamp,
        stale_ms: i64,
    ) -> Result<impl Iterator<Item = Quantity>, Overflow> {
        let (least, most) = (at.plus_millis(-stale_ms - SKEW_MS), at.plus_millis(SKEW_MS));
        let from = self.counts_from();
        let rest = base.sub(seen.add(self.moved_since(most)?)?)?;
        let mut restocked = Quantity::ZERO;
        // What the read differs by, and what the base is to be corrected by.
        let mut found = BTreeSet::from([(Quantity::ZERO, Quantity::ZERO)]);
        for Move { quantity, at } in self.moves.iter().copied() {
            let mut ways = Vec::new();
            let read_without = at > least && at <= most;
            if read_without && quantity > Quantity::ZERO {
                restocked = restocked.add(quantity)?;
            } else if read_without {
                ways.push((quantity, Quantity::ZERO));
            }
            let other = at.since(from).abs() <= SKEW_MS;
            if other && at > from {
                ways.push((quantity, quantity.neg()?));
            } else if other {
                ways.push((quantity.neg()?, quantity));
                ways.extend(read_without.then_some((Quantity::ZERO, quantity)));
            }
            for (differs, corrects) in found.clone() {
                for (more, by) in &ways {
                    found.insert((differs.add(*more)?, corrects.add(*by)?));
                }
            }
            if found.len() > EXPLANATIONS_MAX {
                return Err(Overflow);
            }
        }
        let least = rest.sub(restocked)?;
        let fits = found.into_iter().filter(move |(differs, _)| (least..=rest).contains(differs));
        let bases = fits.map(|(_, by)| base.add(by)).collect::<Result<BTreeSet<_>, _>>()?;
        Ok(bases.into_iter())
    }

    /// Takes in what the channel told besides a quantity that is explained.
    pub fn heed(&mut self, look: &Look) {
        if let Some(told) = Told::of(look) {
            self.told = Some(Box::new(told));
        }
    }

    /// Tells whether a write that may still land would make the channel show this, with its own sales since.
    pub fn may_have_landed(&self, shown: Quantity) -> bool {
        self.unsettled.iter().any(|write| self.shows_after(write, shown))
    }

    /// Tells whether a write that landed before some of the latest own sales and restocks, and after the others, would
    /// make the channel show this.
    fn shows_after(&self, write: &Unsettled, shown: Quantity) -> bool {
        let from = write.at.plus_millis(-MOVES_MS);
        let mut moves: Vec<Move> = self.moves.iter().filter(|held| held.at > from).copied().collect();
        moves.sort_by_key(|held| std::cmp::Reverse(held.at));
        let mut after = Some(write.quantity);
        let mut shows = after == Some(shown);
        for held in moves {
            after = after.and_then(|sum| sum.add(held.quantity).ok());
            shows |= after == Some(shown);
        }
        shows
    }

    /// Believes that the channel showed `shown` as of `at`.
    pub fn believe(&mut self, shown: Quantity, at: Timestamp) {
        self.base = Some(shown);
        self.known_at = self.known_at.max(at);
        self.exact_from = Timestamp::ZERO;
        self.look = None;
        self.saw(at);
    }

    /// Expects what own sales from about the time of what was known make of it. Until it is seen it may be as it was thought.
    pub fn correct(&mut self, expected: Quantity, at: Timestamp) {
        let before = self.base;
        self.believe(expected, at);
        if let Some(before) = before.filter(|before| *before > expected) {
            self.may_show(before, at);
        }
    }

    /// What is expected was seen, by a read that was sent at `at`.
    pub fn saw(&mut self, at: Timestamp) {
        if self.shown.as_ref().is_some_and(|shown| shown.at <= at) {
            self.shown = None;
        }
    }

    /// Notes what the channel may show yet, whatever is expected.
    pub fn may_show(&mut self, quantity: Quantity, at: Timestamp) {
        let held = self.shown.as_deref();
        let quantity = held.map_or(quantity, |held| held.quantity.max(quantity));
        let at = held.map_or(at, |held| held.at.max(at));
        self.shown = Some(Box::new(Shown { quantity, at }));
    }

    /// Believes what a look shows although nothing explains it yet, so that a lower need not wait. What it was is still
    /// to be told.
    pub fn pass_over(&mut self, shown: Quantity, at: Timestamp) {
        if let (Some(look), Some(expected), None) = (self.look.as_deref(), self.base, &self.passed_over) {
            let told = self.told.as_deref().copied();
            let known_at = self.counts_from();
            self.passed_over = Some(Box::new(PassedOver { expected, known_at, look: *look, told }));
        }
        self.believe(shown, at);
    }

    /// Returns the looks that wait for their fence.
    pub fn waiting(&self) -> impl Iterator<Item = &Look> {
        let passed = self.passed_over.as_deref().map(|passed| &passed.look);
        passed.into_iter().chain(self.look.as_deref())
    }

    /// Counts a write that is about to leave.
    pub fn sending(&mut self, sent: &Sent) {
        let Sent { quantity, compare, key, at, .. } = sent.clone();
        if self.unsettled.len() >= UNSETTLED_MAX {
            let oldest = self.unsettled.remove(0);
            let next = &mut self.unsettled[0];
            next.quantity = next.quantity.max(oldest.quantity);
            next.compare = None;
            next.times = next.times.saturating_add(oldest.times);
        }
        self.unsettled.push(Unsettled { quantity, compare, key, at, times: 1 });
    }

    /// The channel took the write: it shows that quantity, or will.
    ///
    /// Where it compared, no own sale came before the write, so those seen while it was under way came after it.
    ///
    /// `at_once`: it shows it already.
    pub fn acknowledged(&mut self, sent: &Sent, now: Timestamp, trust_from: Timestamp, at_once: bool) {
        if let Some(base) = self.base.filter(|_| !at_once) {
            let look = self.look.as_ref().and_then(|look| look.shown().ok());
            self.may_show(look.map_or(base, |look| look.max(base)), sent.at);
        }
        let moved = match (sent.compare, self.base) {
            (Some(compared), Some(base)) => base.sub(compared).unwrap_or_default(),
            (None, _) | (_, None) => Quantity::ZERO,
        };
        self.base = Some(sent.quantity.add(moved).unwrap_or(sent.quantity));
        self.exact_from = if sent.compare.is_some() { self.counts_from() } else { Timestamp::ZERO };
        self.known_at = self.known_at.max(sent.at);
        self.given_up(sent, now, trust_from);
    }

    /// Nothing more is heard of a write: it may land until the `late` bound from here. Looks from before are void.
    pub fn given_up(&mut self, sent: &Sent, now: Timestamp, trust_from: Timestamp) {
        for write in self.unsettled.iter_mut().filter(|write| write.key == sent.key) {
            write.at = now;
        }
        self.trust_from = trust_from;
        self.look = None;
    }

    /// The answer is definite: the write cannot land any more, or has.
    pub fn settle(&mut self, sent: &Sent) {
        self.unsettled.retain(|write| write.key != sent.key);
    }

    /// Settles by age what was given up before `limit`, except what still awaits its answer.
    pub fn settle_older(&mut self, limit: Timestamp, in_flight: Option<&Sent>) {
        let stays =
            |write: &Unsettled| write.at > limit || in_flight.is_some_and(|sent| sent.key == write.key);
        if let Some(write) = self.unsettled.iter().rfind(|write| !stays(write)) {
            self.lapsed = Some(Box::new(Lapsed { quantity: write.quantity, at: write.at }));
        }
        self.unsettled.retain(stays);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(units: i64) -> Quantity {
        Quantity::new(units)
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn own(units: i64, when: i64) -> OwnMove {
        OwnMove { quantity: q(units), gone: q(0), at: at(when) }
    }

    fn sent(quantity: i64, compare: Option<i64>, key: &str, when: i64) -> Sent {
        let key = IdempotencyKey::new(key).expect("a good key");
        Sent { quantity: q(quantity), revision: Revision(1), compare: compare.map(q), key, at: at(when) }
    }

    /// The base after own moves (units, time), known as of `known_at`.
    #[track_caller]
    fn check_moves(known_at: i64, moves: &[(i64, i64)], want: i64) {
        let mut writes = Writes { base: Some(q(10)), known_at: at(known_at), ..Writes::default() };
        for (units, when) in moves {
            writes.own_move(own(*units, *when), false, at(*when));
        }
        assert_eq!(writes.base, Some(q(want)));
    }

    #[test]
    fn an_own_sale_lowers_the_base_unless_the_base_was_known_later() {
        check_moves(100_000, &[(-1, 100_001), (-2, 130_000)], 7);
        check_moves(100_000, &[(-1, 99_000), (-1, 100_000)], 10);
        check_moves(0, &[(-3, 10), (2, 50)], 9);
    }

    /// Base 10 with own sales of one unit at these times: is a read of `seen` at 100,000 explained?
    #[track_caller]
    fn check_explained(sold_at: &[i64], seen: i64, stale_ms: i64, want: bool) {
        let mut writes = Writes { base: Some(q(10)), ..Writes::default() };
        for when in sold_at {
            writes.own_move(own(-1, *when), false, at(120_000));
        }
        assert_eq!(writes.explains(q(seen), at(100_000), stale_ms), want, "{writes:?}");
    }

    #[test]
    fn a_read_may_or_may_not_have_the_own_sales_from_about_its_time() {
        check_explained(&[], 10, 0, true);
        check_explained(&[], 9, 0, false);
        check_explained(&[50_000], 9, 0, true);
        check_explained(&[50_000], 10, 0, false); // sold long before: it must be in the read
        check_explained(&[50_000], 10, 60_000, true); // unless the read is that old
        check_explained(&[98_000], 10, 0, true);
        check_explained(&[98_000], 9, 0, true);
        check_explained(&[102_000], 9, 0, true);
        check_explained(&[110_000], 9, 0, false); // sold long after: it cannot be in the read
        check_explained(&[110_000], 10, 0, true);
        check_explained(&[97_000, 98_000, 110_000], 9, 0, true);
        check_explained(&[97_000, 98_000, 110_000], 7, 0, false);
        check_explained(&[97_000, 98_000, 110_000], 11, 0, false);
    }

    /// Base 10 with own sales and restocks (units) about the time of a read of `seen`: is it explained?
    #[track_caller]
    fn check_whole(moves: &[i64], seen: i64, want: bool) {
        let mut writes = Writes { base: Some(q(10)), ..Writes::default() };
        for units in moves {
            writes.own_move(own(*units, 100_000), true, at(120_000));
        }
        assert_eq!(writes.explains(q(seen), at(100_000), 0), want, "{writes:?}");
    }

    #[test]
    fn a_sale_is_in_a_read_whole_or_not_at_all() {
        check_whole(&[-3], 10, true);
        check_whole(&[-3], 13, true);
        check_whole(&[-3], 12, false); // somebody took one about the time of the sale
        check_whole(&[-3], 11, false);
        check_whole(&[-3, -2], 12, true);
        check_whole(&[-3, -2], 15, true);
        check_whole(&[-3, -2], 11, false);
        check_whole(&[2], 9, true); // two cancellations that were learnt as one
        check_whole(&[-3, 2], 11, true);
        check_whole(&[-3, 2], 14, false);
        check_whole(&[-3, 2], 7, false);
        check_whole(&[i64::MIN, i64::MIN], 10, false); // out of range is not explained
    }

    #[test]
    fn a_sale_while_a_compared_write_was_under_way_came_after_it() {
        let mut writes = Writes { base: Some(q(10)), ..Writes::default() };
        let write = sent(8, Some(10), "k", 100_000);
        writes.sending(&write);
        writes.own_move(own(-1, 100_100), false, at(100_200));
        writes.acknowledged(&write, at(100_300), at(105_300), true);
        writes.settle(&write);
        assert_eq!((writes.base, writes.unsettled.len()), (Some(q(7)), 0));
    }

    #[test]
    fn what_may_still_land_is_bounded_and_never_counted_lower() {
        let mut writes = Writes::default();
        let mut exposure = 0;
        for n in 0..40_i64 {
            writes.sending(&sent(n % 7, None, &format!("k{n}"), n));
            exposure += n % 7;
        }
        assert_eq!(writes.unsettled.len(), UNSETTLED_MAX);
        let kept: i64 = writes.unsettled.iter().map(|w| w.exposure().units()).sum();
        assert!(kept >= exposure, "{kept} must cover {exposure}");
        writes.settle_older(at(100), Some(&sent(4, None, "k39", 39)));
        assert_eq!(writes.unsettled.len(), 1, "what is in flight does not settle by age");
    }

    /// A write of 8 that may have landed, own sales (units, time) since: may the channel show `shown`?
    #[track_caller]
    fn check_landed(moves: &[(i64, i64)], shown: i64, want: bool) {
        let mut writes = Writes { base: Some(q(10)), ..Writes::default() };
        writes.sending(&sent(8, Some(10), "k", 100_000));
        for (units, when) in moves {
            writes.own_move(own(*units, *when), false, at(*when));
        }
        assert_eq!(writes.may_have_landed(q(shown)), want, "{writes:?}");
    }

    #[test]
    fn a_write_that_landed_was_sold_from_since() {
        check_landed(&[], 8, true);
        check_landed(&[], 7, false);
        check_landed(&[(-1, 100_500)], 7, true);
        check_landed(&[(-1, 100_500), (-2, 100_600)], 6, true); // it landed between the two
        check_landed(&[(-1, 100_500), (-2, 100_600)], 5, true);
        check_landed(&[(-1, 100_500), (-2, 400_000)], 5, true); // however slowly its orders are learnt
        check_landed(&[(-1, 100_500), (-2, 100_600)], 7, false); // the later sale came after it as well
    }

    #[test]
    fn below_zero_shows_as_little_as_zero() {
        assert!(shows(q(-2), q(0)) && shows(q(0), q(0)) && shows(q(3), q(3)));
        assert!(!shows(q(-2), q(1)) && !shows(q(1), q(0)));
    }

    #[test]
    fn the_floor_is_the_least_that_may_be_shown() {
        let look = Look { since: q(-1), ..Look::bare(q(8), at(1), Seq(1)) };
        let writes = Writes { base: Some(q(10)), look: Some(Box::new(look)), ..Writes::default() };
        assert_eq!(writes.floor(), Some(q(7)));
        assert_eq!(Writes { look: Some(Box::new(look)), ..Writes::default() }.floor(), None);
    }
}
