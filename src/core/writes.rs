//! What is known of a listing's quantity on its channel, and what our writes may still do to it.
//!
//! Every fact here has a time: what the channel was seen to show, or acknowledged, holds as of then, and own sales
//! from before are in it already.

mod bulks;
mod reads;
mod unsettled;

use serde::{Deserialize, Serialize};
use thin_vec::ThinVec;

pub use reads::Reading;
pub use unsettled::{Lapsed, Unsettled};

use crate::{
    core::leg::{Leg, State},
    model::{Overflow, Quantity, Revision, Seq, Timestamp},
};

/// How far a channel's clock and ours are assumed to differ at most, where that only decides what is called drift.
pub const SKEW_MS: i64 = 5_000;
/// How long own sales are remembered one by one, to tell which of them a read has in it.
const MOVES_MS: i64 = 120_000;
const MOVES_MAX: usize = 16;

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
    /// Of own sales that were learnt up to this, by our clock, it is known whether they are in `base`: they are if they were
    /// taken for it. Of those that are learnt later and were sold about the time as of which it is known, it is not; see
    /// [`Reading`]. [`Timestamp::MAX`]: of all.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sure_to: Timestamp,
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
    /// What the latest write that was applied has replaced, by `trust_from` less how old a read may be at the latest, on a channel
    /// that compares and shows at once. A later read that shows it is an old copy, or somebody has written it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Quantity>,
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
    /// Units of those sales that the read may have in it all the same: it was answered later than it was sent, and clocks differ.
    #[serde(default, skip_serializing_if = "Quantity::is_zero")]
    pub about: Quantity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<Quantity>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed: Option<Quantity>,
    /// What moved what it has committed and may not be in that.
    #[serde(default, skip_serializing_if = "Turnover::is_none")]
    pub turnover: Turnover,
}

/// The most that a listing was known to show before a write that does not show yet, or since a look that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    pub at: Timestamp,
}

/// A difference that nothing explained yet when a lower of ours went over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassedOver {
    #[serde(rename = "e")]
    pub expected: Quantity,
    /// The time as of which that was known.
    pub known_at: Timestamp,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sure_to: Timestamp,
    pub look: Look,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Told>,
    /// Writes of ours that may be in it: what they might have done is told with it.
    #[serde(rename = "u", default, skip_serializing_if = "ThinVec::is_empty")]
    pub unsettled: ThinVec<Unsettled>,
    #[serde(rename = "l", default, skip_serializing_if = "Option::is_none")]
    pub lapsed: Option<Lapsed>,
}

impl Look {
    /// Returns a look of a channel that tells no more than what it shows.
    pub fn bare(seen: Quantity, at: Timestamp, seq: Seq) -> Look {
        let (since, about, turnover) = (Quantity::ZERO, Quantity::ZERO, Turnover::default());
        Look { seen, at, seq, since, about, on_hand: None, committed: None, turnover }
    }

    /// Returns what the channel shows by this look and the own sales after it.
    pub fn shown(&self) -> Result<Quantity, Overflow> {
        self.seen.add(self.since)
    }

    /// Returns the most that the channel may show by this look: none of the sales that may be in it came after it.
    pub fn most(&self) -> Result<Quantity, Overflow> {
        self.shown()?.add(self.about)
    }

    /// Takes in an own move that was learnt while this waits.
    fn moved(&mut self, own: &OwnMove) {
        if own.at > self.at {
            self.since = self.since.add(own.quantity).unwrap_or(self.since);
            let about = own.quantity.neg().and_then(|units| self.about.add(units.or_zero()));
            self.about = about.ok().filter(|_| !own.is_after(self.at)).unwrap_or(self.about);
        }
        self.turnover.note(own, own.is_after(self.at));
    }
}

/// What orders that were learnt after a read made of what a channel has committed. The times that they tell are by the channel's
/// clock, and in whole seconds: of what happened about when it was read nobody can say whether it is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Turnover {
    /// Sold after it.
    #[serde(rename = "s", default, skip_serializing_if = "Quantity::is_zero")]
    pub sold: Quantity,
    /// Sold about then.
    #[serde(rename = "t", default, skip_serializing_if = "Quantity::is_zero")]
    pub sold_about: Quantity,
    /// Shipped or cancelled after it.
    #[serde(rename = "g", default, skip_serializing_if = "Quantity::is_zero")]
    pub gone: Quantity,
    /// Shipped or cancelled about then.
    #[serde(rename = "h", default, skip_serializing_if = "Quantity::is_zero")]
    pub gone_about: Quantity,
}

impl Turnover {
    pub fn is_none(&self) -> bool {
        *self == Turnover::default()
    }

    /// `surely`: it came after the read, whatever the clocks say.
    fn note(&mut self, own: &OwnMove, surely: bool) {
        let Turnover { sold, sold_about, gone, gone_about } = self;
        let (sold, gone) = if surely { (sold, gone) } else { (sold_about, gone_about) };
        *sold = own.quantity.neg().and_then(|units| sold.add(units.or_zero())).unwrap_or(*sold);
        *gone = gone.add(own.gone).unwrap_or(*gone);
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
    /// What moved it since.
    #[serde(rename = "t", default, skip_serializing_if = "Turnover::is_none")]
    pub since: Turnover,
}

impl Told {
    /// Returns what a look tells, if the channel tells it.
    pub fn of(look: &Look) -> Option<Told> {
        let (on_hand, committed) = (look.on_hand?, look.committed?);
        let other = on_hand.sub(look.seen).and_then(|rest| rest.sub(committed)).ok()?;
        Some(Told { at: look.at, committed, other, since: look.turnover })
    }

    /// Returns the least and the most that the channel has committed by what is known.
    pub fn explained(&self) -> Result<(Quantity, Quantity), Overflow> {
        let Turnover { sold, sold_about, gone, gone_about } = self.since;
        let sure = self.committed.add(sold)?.sub(gone)?;
        // What is more than it had committed was not in that.
        let after = sold_about.sub(self.committed)?.or_zero();
        Ok((sure.add(after)?.sub(gone_about)?.or_zero(), sure.add(sold_about)?))
    }

    /// Returns the least that it has committed of what it had.
    pub fn left(&self) -> Result<Quantity, Overflow> {
        Ok(self.committed.sub(self.since.gone)?.sub(self.since.gone_about)?.or_zero())
    }

    /// Takes in an own move. `look`: between which times, by the channel's clock, a look was read that waits to be weighed
    /// against this.
    fn moved(&mut self, own: &OwnMove, look: Option<(Timestamp, Timestamp)>) {
        // What came after the look is not in it.
        if look.is_none_or(|(_, most)| own.at <= most) {
            let in_it = look.is_none_or(|(least, _)| own.at <= least);
            self.since.note(own, in_it && own.is_after(self.at));
        }
    }
}

/// What the channel did to its own quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    /// When, by the channel's clock.
    pub at: Timestamp,
    /// When it was learnt, by our clock; after every write that had left by then. Zero: not known.
    #[serde(rename = "l", default, skip_serializing_if = "is_zero")]
    pub learnt: Timestamp,
}

impl Move {
    /// Tells whether it was sold about the time as of which something is known.
    fn is_about(&self, known_at: Timestamp) -> bool {
        self.at.since(known_at).abs() <= SKEW_MS
    }

    fn learnt_by(&self, limit: Timestamp) -> bool {
        limit == Timestamp::MAX || (self.learnt != Timestamp::ZERO && self.learnt <= limit)
    }
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

impl OwnMove {
    /// Tells whether it came after a read that was sent at `at`, however far the channel's clock is ahead.
    fn is_after(&self, at: Timestamp) -> bool {
        self.at > at.plus_millis(SKEW_MS)
    }
}

/// Tells whether a channel that shows `shown` shows what is wanted. Below zero it sells as little as at zero, and the
/// units that it owes must not be forgiven by writing zero over them.
pub fn shows(shown: Quantity, wanted: Quantity) -> bool {
    shown == wanted || (wanted.is_zero() && shown < Quantity::ZERO)
}

impl PassedOver {
    /// What was written since undoes nothing of what was there when it was read.
    fn own_move(&mut self, own: &OwnMove, stale_ms: i64) {
        self.look.moved(own);
        if own.at > self.known_at {
            self.expected = self.expected.add(own.quantity).unwrap_or(self.expected);
        }
        if let Some(told) = &mut self.told {
            told.moved(own, Some(reads::about(self.look.at, stale_ms)));
        }
    }

    /// Returns what was known of the channel when it was read, with what was learnt since.
    pub fn writes(&self, now: &Writes) -> Writes {
        let (base, known_at, sure_to) = (Some(self.expected), self.known_at, self.sure_to);
        let (moves, told) = (now.moves.clone(), self.told.map(Box::new));
        let (unsettled, lapsed) = (self.unsettled.clone(), self.lapsed.map(Box::new));
        Writes { base, known_at, sure_to, moves, told, unsettled, lapsed, ..Writes::default() }
    }
}

impl Writes {
    /// Returns the least that the channel may be showing, as far as is known. What is above it is a raise.
    pub fn floor(&self) -> Option<Quantity> {
        let look = self.look.as_ref().and_then(|look| look.shown().ok());
        self.base.map(|base| look.map_or(base, |look| look.min(base)))
    }

    /// Returns the most that the channel may be showing, as far as anything is known of it, leaving out what may still land.
    pub fn most(&self) -> Option<Quantity> {
        // What no number holds is more than any.
        let look = self.look.as_ref().map(|look| look.most().unwrap_or(Quantity::new(i64::MAX)));
        let shown = self.shown.as_ref().map(|shown| shown.quantity);
        self.base.into_iter().chain(look).chain(shown).max()
    }

    /// Tells whether the channel shows no more than this, leaving out what may still land. What nobody knows may be more than
    /// anything.
    pub fn shows_at_most(&self, quantity: Quantity) -> bool {
        self.base.is_some() && self.most().is_some_and(|most| most <= quantity)
    }

    /// Tells whether the channel shows no more than this, whatever of our writes may still land.
    pub fn stays_at_most(&self, quantity: Quantity) -> bool {
        self.shows_at_most(quantity) && !self.may_land_above(quantity)
    }

    /// Tells whether a write that may still land would make the channel show more than this.
    pub fn may_land_above(&self, quantity: Quantity) -> bool {
        let changes = self.unsettled.iter().filter_map(|write| write.delta).map(|delta| delta.units().max(0));
        let more = changes.fold(0, i64::saturating_add);
        let raised = self.most().map_or(0, Quantity::units).saturating_add(more);
        (more > 0 && raised > quantity.units())
            || self.unsettled.iter().any(|write| write.quantity > quantity)
    }

    /// Returns how many units the channel has surely sold beyond what it can have shown, as far as is known.
    pub fn sold_beyond(&self) -> Result<Quantity, Overflow> {
        let oversold = self.base.is_some_and(|base| base < Quantity::ZERO);
        let Some(mut most) = self.most().filter(|_| oversold) else { return Ok(Quantity::ZERO) };
        for write in &self.unsettled {
            most = most.add(write.exposure())?;
        }
        // What was sold about when this was known may be in it.
        let from = self.counts_from();
        let doubted = |held: &&Move| held.at > from && held.is_about(from) && !held.learnt_by(self.sure_to);
        for held in self.moves.iter().filter(doubted) {
            most = most.sub(held.quantity)?;
        }
        Ok(most.neg()?.or_zero())
    }

    /// Returns the time from which on own sales that are learnt yet are not in `base`.
    pub(in crate::core) fn counts_from(&self) -> Timestamp {
        if self.exact_from == Timestamp::ZERO { self.known_at } else { self.exact_from }
    }

    /// What can no longer land is settled: a raise waits for the orders up to here, and what is expected stays exact.
    pub fn known_from(&mut self, now: Timestamp) {
        self.exact_from = self.counts_from();
        self.known_at = self.known_at.max(now);
    }

    /// Takes in what the channel did to its own quantity. `overwritten`: a write of ours that is not seen yet may
    /// have undone it, so it does not count as done. `stale_ms`: how old a read may be.
    pub fn own_move(&mut self, own: OwnMove, overwritten: bool, now: Timestamp, stale_ms: i64) {
        let OwnMove { quantity, at, .. } = own;
        if let Some(passed) = self.passed_over.as_deref_mut() {
            passed.own_move(&own, stale_ms);
        }
        let read = self.look.as_deref().map(|look| reads::about(look.at, stale_ms));
        if let Some(look) = self.look.as_deref_mut() {
            look.moved(&own);
        }
        if let Some(shown) = self.shown.as_mut().filter(|shown| quantity > Quantity::ZERO || at > shown.at) {
            shown.quantity = shown.quantity.add(quantity).unwrap_or(shown.quantity);
        }
        // What is older than the fact that the base rests on is in it already. Where the clocks differ, the base may
        // be left too high by this: a write that compares is then refused, and the look after it corrects it.
        if overwritten {
            // Until the write has landed, what was put back may be bought.
            let restocked = self.base.filter(|_| quantity > Quantity::ZERO && self.shown.is_none());
            restocked
                .and_then(|base| base.add(quantity).ok())
                .into_iter()
                .for_each(|most| self.may_show(most, at));
        } else if at > self.counts_from() {
            self.base = self.base.and_then(|base| base.add(quantity).ok());
        }
        if let Some(told) = self.told.as_mut() {
            told.moved(&own, read);
        }
        if quantity.is_zero() {
            return;
        }
        // A look that waits is still to be weighed against those from about its time, and a write that may still land, or may
        // have landed before it was given up, against those from about when it left.
        let lapsed = self.lapsed.iter().map(|write| write.at).filter(|at| self.counts_from() <= *at);
        let oldest = self.unsettled.iter().map(|write| write.at).chain(lapsed).min();
        let oldest = oldest.map_or(now, |at| at.min(now));
        let from = self.look.as_ref().map_or(oldest, |look| look.at.min(oldest)).plus_millis(-MOVES_MS);
        // So is what may or may not be in what is known.
        let (known_at, sure_to) = (self.counts_from(), self.sure_to);
        let doubted = |held: &Move| held.is_about(known_at) && !held.learnt_by(sure_to);
        self.moves.retain(|held| held.at > from || doubted(held));
        // Our clock may stand still, or go back.
        let left = self.unsettled.iter().map(|write| write.at.plus_millis(1)).max();
        let learnt = left.map_or(now, |left| left.max(now));
        self.moves.push(Move { quantity, at, learnt });
        let surplus = self.moves.len().saturating_sub(MOVES_MAX);
        self.moves.drain(..surplus);
    }

    /// Takes in what the channel told besides a quantity that is explained. Also if it told just the same before: what was booked
    /// since it last told decides whether an edit is taken over or asked about, and that look may be what shows that it has
    /// all of it. So a reconcile of a channel that tells this rewrites each listing's row.
    pub fn heed(&mut self, look: &Look) {
        if let Some(told) = Told::of(look) {
            self.told = Some(Box::new(told));
        }
    }

    /// Believes that the channel shows `shown` by a look, which may be `stale_ms` old. Until it is seen, it may show as much as the
    /// look allows.
    pub fn believe(&mut self, shown: Quantity, look: &Look, stale_ms: i64) {
        let at = look.at;
        self.base = Some(shown);
        self.known_at = self.known_at.max(at);
        self.exact_from = Timestamp::ZERO;
        // What was learnt before it was sent had happened.
        self.sure_to = at.plus_millis(-stale_ms - 1);
        self.look = None;
        self.saw(at);
        if let Ok(most) = look.most()
            && most > shown
        {
            self.may_show(most, at);
        }
    }

    /// Expects what own sales from about the time of what was known make of it, the least that explains the look. Until that is
    /// seen it may be as it was thought.
    pub fn correct(&mut self, expected: Quantity, look: &Look, stale_ms: i64) {
        let before = self.base;
        self.believe(expected, look, stale_ms);
        if let Some(before) = before.filter(|before| *before > expected) {
            self.may_show(before, look.at);
        }
    }

    /// What is expected was seen, by a read that was sent at `at`.
    pub fn saw(&mut self, at: Timestamp) {
        if let Some(lapsed) = self.lapsed.as_deref_mut().filter(|lapsed| lapsed.delta.is_some()) {
            lapsed.told |= lapsed.at <= at;
        }
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
    /// to be told. `leg`: what is wanted, with the write whose answer may not be known.
    pub fn pass_over(&mut self, shown: Quantity, look: &Look, stale_ms: i64, leg: Option<&Leg>) {
        if let (Some(waits), Some(expected), None) =
            (self.look.as_deref().copied(), self.base, &self.passed_over)
        {
            let told = self.told.as_deref().copied();
            let (known_at, sure_to) = (self.counts_from(), self.sure_to);
            let mut unsettled = self.unsettled.clone();
            let probed = leg.filter(|leg| matches!(leg.state, State::Probing { .. })).and_then(Leg::sent);
            let probed = probed.filter(|sent| known_at <= sent.at);
            if let Some(sent) = probed.filter(|sent| unsettled.iter().all(|held| held.key != sent.key)) {
                unsettled.push(Unsettled::of(sent));
            }
            let lapsed =
                self.lapsed.as_deref().copied().filter(|lapsed| !lapsed.told && known_at <= lapsed.at);
            let passed = PassedOver { expected, known_at, sure_to, look: waits, told, unsettled, lapsed };
            self.passed_over = Some(Box::new(passed));
        }
        self.believe(shown, look, stale_ms);
    }

    /// Returns the looks that wait for their fence.
    pub fn waiting(&self) -> impl Iterator<Item = &Look> {
        let passed = self.passed_over.as_deref().map(|passed| &passed.look);
        passed.into_iter().chain(self.look.as_deref())
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

    /// The base after own moves (units, time), known as of `known_at`.
    #[track_caller]
    fn check_moves(known_at: i64, moves: &[(i64, i64)], want: i64) {
        let mut writes = Writes { base: Some(q(10)), known_at: at(known_at), ..Writes::default() };
        for (units, when) in moves {
            writes.own_move(own(*units, *when), false, at(*when), 0);
        }
        assert_eq!(writes.base, Some(q(want)));
    }

    #[test]
    fn an_own_sale_lowers_the_base_unless_the_base_was_known_later() {
        check_moves(100_000, &[(-1, 100_001), (-2, 130_000)], 7);
        check_moves(100_000, &[(-1, 99_000), (-1, 100_000)], 10);
        check_moves(0, &[(-3, 10), (2, 50)], 9);
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
