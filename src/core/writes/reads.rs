//! What a read of a listing may mean: the weighing of what was seen there against what is known.

use std::collections::BTreeSet;

use crate::{
    core::{
        leg::{Leg, Sent, State},
        writes::{Look, MOVES_MS, Move, OwnMove, SKEW_MS, Writes, shows},
    },
    model::{Abilities, Levels, Overflow, Quantity, Seq, Timestamp},
};

/// How many ways to explain a read are weighed; what would take more is not explained.
const EXPLANATIONS_MAX: usize = 4_096;

/// How a listing is read, and what is wanted of it.
///
/// A channel tells times by its own clock and in whole seconds. So of an own sale that was told about the time as of which a
/// quantity is known, and learnt after it, nobody can say whether it is in that quantity: it is *in doubt*. A read that shows
/// otherwise than expected may be explained by it, and what is expected is corrected then. But somebody else may have taken,
/// or sold unseen, as many. What tells them apart:
///
/// - what was learnt before the read, or the write that replaced everything, left, had happened before it;
/// - a write that compared and was applied met what was expected, and so did a look that shows just that, once all that was
///   sold about the time in doubt must be in it: from then on nothing is in doubt;
/// - what the channel has committed moves with a sale, and not with an edit or another app.
///
/// A blind channel has only the first of these and the look. Beyond them nothing tells the two apart, ever: each shows the same
/// numbers and the same orders. So nothing is raised by a correction there: if less than is wanted would be shown, the difference
/// stays unexplained, and what becomes of it is the drift policy's. Elsewhere a raise is still refused if the quantity moved, but
/// long after the time in doubt it is left to a person as well. What is lower than was expected, and wanted so, is shown already;
/// what is more is lowered at once. So where a correction is wrong, it only ever lowers, and hides whose doing it was (ADR 022).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// How old the read may be.
    pub stale_ms: i64,
    /// Whether a write is refused if something else is shown than expected.
    pub compares: bool,
    /// What the listing is to show, if anything is.
    pub wanted: Option<Quantity>,
    /// The write whose answer is not known, and when it left: however long ago, no look has told yet what became of it.
    pub unanswered: Option<(Quantity, Timestamp)>,
    /// The same, if it is a delta.
    pub delta: Option<(Quantity, Timestamp)>,
}

impl Reading {
    pub fn of(abilities: &Abilities, leg: Option<&Leg>) -> Reading {
        let wanted = leg.map(|leg| leg.quantity);
        let probed = leg.filter(|leg| matches!(leg.state, State::Probing { .. })).and_then(Leg::sent);
        let delta = probed.and_then(|sent| Some((sent.delta?, sent.at)));
        let unanswered = probed.filter(|_| delta.is_none()).map(|sent| (sent.quantity, sent.at));
        let (stale_ms, compares) = (abilities.stale_ms, abilities.compare_and_set);
        Reading { stale_ms, compares, wanted, unanswered, delta }
    }
}

/// Returns between which times, by a channel's clock, an own sale may or may not be in a read.
pub(super) fn about(at: Timestamp, stale_ms: i64) -> (Timestamp, Timestamp) {
    (at.plus_millis(-stale_ms - SKEW_MS), at.plus_millis(SKEW_MS))
}

impl Writes {
    /// Returns what a read tells with the own sales and restocks that are known: it was sent at `at` and may be `stale_ms` old. What
    /// was learnt before that is in it, whatever the channel's clock says. `seq`: the journal's position when the answer was in.
    pub fn look(&self, levels: Levels, at: Timestamp, seq: Seq, stale_ms: i64) -> Look {
        let Levels { available, on_hand, committed, .. } = levels;
        let mut look = Look { on_hand, committed, ..Look::bare(available, at, seq) };
        let before = at.plus_millis(-stale_ms - 1);
        for held in self.moves.iter().filter(|held| !held.learnt_by(before)) {
            look.moved(&OwnMove { quantity: held.quantity, gone: Quantity::ZERO, at: held.at });
        }
        look
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

    /// Returns what the channel should show instead of what is expected, if own sales and restocks that are in doubt explain
    /// such a read: see [`Reading`]. `told`: whether all else that the channel tells agrees with it.
    ///
    /// Where there are several answers, what was read, as if all that was sold about then is in it: where that is wrong, the next read
    /// corrects it, but for what was taken for sold after this one nothing would. Else the least.
    pub fn corrected(
        &self,
        seen: Quantity,
        at: Timestamp,
        reading: Reading,
        told: impl Fn(Quantity) -> bool,
    ) -> Option<Quantity> {
        let base = self.base?;
        let late = at.since(self.counts_from()) > MOVES_MS;
        let raises = |to: Quantity| {
            to < base && reading.wanted.is_some_and(|wanted| wanted > to && !shows(to, wanted))
        };
        let may = |to: &Quantity| *to != base && told(*to) && !(raises(*to) && (late || !reading.compares));
        let read = self.moved_after(at).and_then(|after| seen.add(after)).ok();
        let found: BTreeSet<_> =
            self.explanations(base, seen, at, reading.stale_ms).ok()?.filter(may).collect();
        read.filter(|read| found.contains(read)).or_else(|| found.first().copied())
    }

    /// Returns what the channel may have been meant to show, for it to have been read so.
    fn explanations(
        &self,
        base: Quantity,
        seen: Quantity,
        at: Timestamp,
        stale_ms: i64,
    ) -> Result<impl Iterator<Item = Quantity>, Overflow> {
        let (least, most) = about(at, stale_ms);
        // What was learnt by then is in the read, whatever the channel's clock says.
        let read_from = at.plus_millis(-stale_ms - 1);
        let from = self.counts_from();
        let rest = base.sub(seen.add(self.moved_after(most)?)?)?;
        let mut restocked = Quantity::ZERO;
        // What the read differs by, and what the base is to be corrected by.
        let mut found = BTreeSet::from([(Quantity::ZERO, Quantity::ZERO)]);
        for held in self.moves.iter().copied() {
            let Move { quantity, at, .. } = held;
            let mut ways = Vec::new();
            let read_without = at > least && at <= most && !held.learnt_by(read_from);
            if read_without && quantity > Quantity::ZERO {
                restocked = restocked.add(quantity)?;
            } else if read_without {
                ways.push((quantity, Quantity::ZERO));
            }
            let doubted = held.is_about(from) && !held.learnt_by(self.sure_to);
            if doubted && at > from {
                ways.push((quantity, quantity.neg()?));
            } else if doubted {
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

    /// Returns how many units that count as put back after the time as of which something is known may have been in it.
    pub(in crate::core) fn put_back_in_doubt(&self) -> Result<Quantity, Overflow> {
        let from = self.counts_from();
        let doubted = |held: &&Move| {
            held.quantity > Quantity::ZERO
                && held.at > from
                && held.is_about(from)
                && !held.learnt_by(self.sure_to)
        };
        self.moves.iter().filter(doubted).try_fold(Quantity::ZERO, |sum, held| sum.add(held.quantity))
    }

    fn moved_after(&self, at: Timestamp) -> Result<Quantity, Overflow> {
        let mut after = self.moves.iter().filter(|held| held.at > at);
        after.try_fold(Quantity::ZERO, |sum, held| sum.add(held.quantity))
    }

    /// Ends every doubt if a read shows just what is expected, has in it all that was sold about the time as of which that is
    /// known, and no own sale is near to it.
    pub fn look_bears_out(&mut self, seen: Quantity, at: Timestamp, stale_ms: i64) {
        let (least, most) = about(at, stale_ms);
        let later = least >= self.counts_from().plus_millis(SKEW_MS);
        let near = self.moves.iter().any(|held| held.at > least && held.at <= most);
        let shown = self.moved_after(most).and_then(|after| seen.add(after)).ok();
        if later && !near && shown.is_some() && shown == self.base {
            self.end_doubt();
            // As of a time from which on nothing of what was settled by age can land.
            self.tell_lapsed(at.plus_millis(-stale_ms));
        }
    }

    /// Ends doubts by a write that compared and was applied: what it replaced was what was expected when it left. If that was
    /// long after the time as of which that was known, it ends them all.
    pub(super) fn bear_out(&mut self, sent: &Sent, applied: bool) {
        let from = self.counts_from();
        self.exact_from = from;
        if !applied {
            return;
        }
        self.tell_lapsed(sent.at);
        // What was learnt under way may be in what was read, and was taken off all the same.
        let under_way = self.moves.iter().any(|held| held.is_about(from) && !held.learnt_by(sent.at));
        if sent.at >= from.plus_millis(2 * SKEW_MS) && !under_way {
            self.end_doubt();
        } else {
            self.sure_to = self.sure_to.max(sent.at);
        }
    }

    /// What is expected was met as of a time: what compared, and was settled by age before that, is not in it besides.
    fn tell_lapsed(&mut self, as_of: Timestamp) {
        // It is known since then that it cannot land any more.
        let settled = as_of >= self.known_at;
        if let Some(lapsed) = self.lapsed.as_deref_mut().filter(|lapsed| lapsed.compare.is_some()) {
            lapsed.told |= settled;
        }
    }

    /// Tells whether a write without an answer is known not to have landed: the latest one that was applied has lowered just what
    /// this one compared with, and nothing was put back since, so that it found something else there ever after unless somebody else
    /// has raised it. `at`: when it was given up.
    fn is_ruled_out(&self, compare: Option<Quantity>, at: Timestamp) -> bool {
        let Some(compare) = compare.filter(|compare| self.replaced == Some(*compare)) else { return false };
        let put_back = |held: &Move| held.quantity > Quantity::ZERO && held.at > at.plus_millis(-SKEW_MS);
        self.base.is_some_and(|base| base < compare) && !self.moves.iter().any(put_back)
    }

    /// What is expected was met long after the time as of which it is known. So whatever was sold about then is in it if it is
    /// only learnt from here on, whatever time it tells.
    fn end_doubt(&mut self) {
        if self.sure_to != Timestamp::MAX {
            self.exact_from = self.counts_from().plus_millis(SKEW_MS);
            self.sure_to = Timestamp::MAX;
        }
    }

    /// Tells whether a write that may still land, or that may have landed before that was given up, would make the channel
    /// show this, with its own sales since.
    pub fn may_have_landed(&self, shown: Quantity, reading: Reading) -> bool {
        let raises = reading.wanted.is_some_and(|wanted| wanted > shown && !shows(shown, wanted));
        // That a sale came after it which was told before what is known may have another cause.
        let after =
            if raises && !reading.compares { self.counts_from() } else { Timestamp::from_millis(i64::MIN) };
        let sets = self.unsettled.iter().filter(|write| write.delta.is_none());
        let unsettled = sets.map(|write| (write.quantity, write.at));
        // What is known from later on has it in it, if it landed.
        let unanswered = reading.unanswered.filter(|(_, sent_at)| self.counts_from() <= *sent_at);
        unsettled.chain(unanswered).any(|write| self.shows_after(write, shown, after))
    }

    /// Returns the deltas without an answer that may be in what a channel shows.
    pub fn deltas(&self, reading: Reading) -> impl Iterator<Item = Quantity> {
        let unanswered = reading.delta.filter(|(_, sent_at)| self.counts_from() <= *sent_at);
        let lapsed = self.lapsed.as_deref().filter(|lapsed| !lapsed.told).and_then(|lapsed| lapsed.delta);
        let unsettled = self.unsettled.iter().filter_map(|write| write.delta);
        unsettled.chain(lapsed).chain(unanswered.map(|(delta, _)| delta))
    }

    /// Returns what else the channel may have been meant to show: what is expected, if a write of ours without an answer is in it that
    /// nothing has told of since. Only where writes compare, so that what was sold since surely came after it.
    /// `shown`: what it shows. If that is more, somebody may have raised it meanwhile to what the write compares with.
    pub fn if_landed(&self, leg: Option<&Leg>, shown: Quantity) -> BTreeSet<Quantity> {
        let Some(base) = self.base else { return BTreeSet::new() };
        let may_have = |compare, at| shown > base || !self.is_ruled_out(compare, at);
        let unsettled = self.unsettled.iter().filter(|write| may_have(write.compare, write.at));
        let unsettled = unsettled.map(|write| (write.quantity, write.compare, write.delta));
        let probed = leg.filter(|leg| matches!(leg.state, State::Probing { .. })).and_then(Leg::sent);
        let probed = probed.filter(|sent| self.counts_from() <= sent.at);
        let lapsed = self.lapsed.as_deref().filter(|lapsed| !lapsed.told && self.counts_from() <= lapsed.at);
        let lapsed = lapsed.filter(|lapsed| may_have(lapsed.compare, lapsed.at));
        let writes = unsettled.chain(probed.map(|sent| (sent.quantity, sent.compare, sent.delta)));
        let writes = writes.chain(lapsed.map(|lapsed| (lapsed.quantity, lapsed.compare, lapsed.delta)));
        let with = |(quantity, compare, delta): (Quantity, Option<Quantity>, Option<Quantity>)| {
            base.add(delta.or_else(|| quantity.sub(compare?).ok())?).ok()
        };
        writes.filter_map(with).filter(|other| *other != base).collect()
    }

    /// Tells whether a write that landed before some of the latest own sales and restocks, and after the others, would
    /// make the channel show this.
    fn shows_after(&self, (quantity, at): (Quantity, Timestamp), shown: Quantity, after: Timestamp) -> bool {
        let from = at.plus_millis(-MOVES_MS).max(after);
        let mut moves: Vec<Move> = self.moves.iter().filter(|held| held.at > from).copied().collect();
        moves.sort_by_key(|held| std::cmp::Reverse(held.at));
        let mut left = Some(quantity);
        let mut shows = left == Some(shown);
        for held in moves {
            left = left.and_then(|sum| sum.add(held.quantity).ok());
            shows |= left == Some(shown);
        }
        shows
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        core::leg::Sent,
        model::{IdempotencyKey, Revision},
    };

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
        let compare = compare.map(q);
        Sent { quantity: q(quantity), revision: Revision(1), compare, delta: None, key, at: at(when) }
    }

    /// Base 10 with own sales of one unit at these times: is a read of `seen` at 100,000 explained?
    #[track_caller]
    fn check_explained(sold_at: &[i64], seen: i64, stale_ms: i64, want: bool) {
        let mut writes = Writes { base: Some(q(10)), ..Writes::default() };
        for when in sold_at {
            writes.own_move(own(-1, *when), false, at(120_000), 0);
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
            writes.own_move(own(*units, 100_000), true, at(120_000), 0);
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

    /// A write of 8 that may have landed, own sales (units, time) since: may the channel show `shown`?
    #[track_caller]
    fn check_landed(moves: &[(i64, i64)], shown: i64, want: bool) {
        let mut writes = Writes { base: Some(q(10)), ..Writes::default() };
        writes.sending(&sent(8, Some(10), "k", 100_000));
        for (units, when) in moves {
            writes.own_move(own(*units, *when), false, at(*when), 0);
        }
        assert_eq!(writes.may_have_landed(q(shown), Reading::default()), want, "{writes:?}");
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

    /// Own sales (units, time told, time learnt) about what is known to be 10 as of 100,000, and a read of `seen`, of `wanted`
    /// units, long after -> what is expected instead.
    #[track_caller]
    fn check_corrected(sold: &[(i64, i64, i64)], seen: i64, wanted: i64, compares: bool, want: Option<i64>) {
        let mut writes =
            Writes { base: Some(q(10)), known_at: at(100_000), sure_to: at(100_000), ..Writes::default() };
        for (units, when, learnt) in sold {
            writes.own_move(own(*units, *when), false, at(*learnt), 0);
        }
        let wanted = Some(q(wanted));
        let reading = Reading { compares, wanted, ..Reading::default() };
        assert_eq!(writes.corrected(q(seen), at(160_000), reading, |_| true), want.map(q), "{writes:?}");
    }

    #[test]
    fn a_sale_that_was_learnt_after_what_is_known_and_told_about_then_may_be_in_it_or_not() {
        for compares in [true, false] {
            check_corrected(&[(-3, 101_000, 120_000)], 10, 7, compares, Some(10)); // it was in it
            check_corrected(&[(-3, 99_000, 120_000)], 7, 7, compares, Some(7)); // it came after it
            check_corrected(&[(-3, 99_000, 120_000)], 8, 7, compares, None);
            check_corrected(&[(-3, 99_000, 99_500)], 7, 7, compares, None); // it was known by then
            check_corrected(&[(-3, 94_000, 120_000)], 7, 7, compares, None); // no clock is that far off
            check_corrected(&[(-3, 99_000, 120_000), (-2, 99_000, 120_000)], 7, 5, compares, Some(7));
        }
        // A raise would follow.
        check_corrected(&[(-3, 99_000, 120_000)], 7, 10, true, Some(7));
        check_corrected(&[(-3, 99_000, 120_000)], 7, 10, false, None);
        check_corrected(&[(-3, 99_000, 120_000)], 7, 8, false, None);
    }

    #[test]
    fn what_may_have_been_sold_before_a_read_or_after_it_is_in_it_first() {
        let (known, read) = (at(100_965), at(101_000));
        let mut writes = Writes { base: Some(q(71)), known_at: known, sure_to: known, ..Writes::default() };
        writes.own_move(own(-1, 100_000), false, at(100_980), 0);
        writes.own_move(own(-1, 100_000), false, at(101_003), 0);
        assert_eq!(writes.base, Some(q(71)), "by the times that are told, both are in it");
        let corrected = |seen| {
            writes.corrected(q(seen), read, Reading { compares: true, ..Reading::default() }, |_| true)
        };
        assert_eq!(corrected(70), Some(q(70)), "one came after what was known");
        assert_eq!(corrected(69), Some(q(69)), "both did");
    }

    /// A write of 8 over 10 is given up at 100,000, and the next one is applied.
    fn written_again() -> Writes {
        let mut writes = Writes { base: Some(q(10)), known_at: at(50_000), ..Writes::default() };
        let (lost, again) = (sent(8, Some(10), "k1", 99_000), sent(8, Some(10), "k2", 102_000));
        writes.sending(&lost);
        writes.given_up(&lost, at(100_000), at(100_000));
        assert_eq!(writes.if_landed(None, q(0)), BTreeSet::from([q(8)]), "nothing is known of it");
        writes.sending(&again);
        writes.acknowledged(&again, at(102_100), at(102_100), true);
        writes.settle(&again);
        writes
    }

    #[test]
    fn a_write_that_would_have_replaced_what_the_next_one_did_has_not_landed() {
        let mut writes = written_again();
        assert_eq!(writes.if_landed(None, q(0)), BTreeSet::new());
        assert_eq!(writes.if_landed(None, q(9)), BTreeSet::from([q(6)]), "it may have been raised to ten");
        writes.own_move(own(-1, 102_500), false, at(102_600), 0);
        assert_eq!(writes.if_landed(None, q(0)), BTreeSet::new());
        // What was put back may have made it what it compares with.
        writes.own_move(own(3, 103_000), false, at(103_100), 0);
        assert_eq!((writes.base, writes.if_landed(None, q(0))), (Some(q(10)), BTreeSet::from([q(8)])));
        writes.own_move(own(-1, 103_500), false, at(103_600), 0);
        assert_eq!((writes.base, writes.if_landed(None, q(0))), (Some(q(9)), BTreeSet::from([q(7)])));
    }

    #[test]
    fn what_was_settled_by_age_is_told_by_an_exact_look_or_by_what_compared_since() {
        let lapsed = || {
            let mut writes = written_again();
            writes.own_move(own(3, 103_000), false, at(103_100), 0);
            writes.own_move(own(-2, 103_500), false, at(103_600), 0);
            assert!(writes.settle_older(at(104_000), None, at(106_000)));
            writes.known_from(at(106_000));
            assert_eq!((writes.base, writes.if_landed(None, q(0))), (Some(q(9)), BTreeSet::from([q(7)])));
            writes
        };
        let looked = |seen: i64, when: i64, stale_ms: i64| {
            let mut writes = lapsed();
            writes.look_bears_out(q(seen), at(when), stale_ms);
            writes.if_landed(None, q(0)).is_empty()
        };
        assert!(looked(9, 120_000, 5_000));
        assert!(!looked(7, 120_000, 5_000), "it shows something else");
        assert!(!looked(9, 120_000, 15_000), "it may be from before");
        assert!(!looked(9, 105_900, 0), "it might have landed yet");
        let compared = |when: i64, at_once: bool| {
            let mut writes = lapsed();
            let next = sent(6, Some(9), "k3", when);
            writes.sending(&next);
            writes.acknowledged(&next, at(when + 100), at(when + 100), at_once);
            writes.settle(&next);
            writes.if_landed(None, q(0)).is_empty()
        };
        assert!(compared(107_000, true));
        assert!(!compared(105_900, true), "it might have landed yet");
    }

    proptest! {
        /// Whatever was sold, told and shown: on a blind channel a correction is never what a raise would go over, and once
        /// a look has ended all doubt, there is none.
        #[test]
        fn a_correction_of_a_blind_channel_only_ever_lowers(
            sold in proptest::collection::vec((-4_i64..4, 90_000_i64..111_000, 95_000_i64..150_000), 0..6),
            seen in -3_i64..15,
            wanted in 0_i64..15,
            read_at in 100_000_i64..400_000,
            stale_ms in 0_i64..70_000,
        ) {
            let mut writes = Writes { base: Some(q(7)), known_at: at(100_000), ..Writes::default() };
            for (units, when, learnt) in sold {
                writes.own_move(own(units, when), false, at(learnt), 0);
            }
            let before = writes.base.expect("known");
            let reading = Reading { stale_ms, wanted: Some(q(wanted)), ..Reading::default() };
            if let Some(to) = writes.corrected(q(seen), at(read_at), reading, |_| true) {
                prop_assert!(to > before || to >= q(wanted) || shows(to, q(wanted)), "{to} of {before}");
            }
            writes.look_bears_out(before, at(400_000), stale_ms);
            prop_assert_eq!(writes.corrected(q(seen), at(read_at), reading, |_| true), None);
        }
    }
}
