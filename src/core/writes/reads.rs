//! What a read of a listing may mean: the weighing of what was seen there against what is known.

use std::collections::BTreeSet;

use crate::{
    core::writes::{MOVES_MS, Move, SKEW_MS, Unsettled, Writes},
    model::{Overflow, Quantity, Timestamp},
};

/// How many ways to explain a read are weighed; what would take more is not explained.
const EXPLANATIONS_MAX: usize = 4_096;

impl Writes {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::{leg::Sent, writes::OwnMove},
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
        Sent { quantity: q(quantity), revision: Revision(1), compare: compare.map(q), key, at: at(when) }
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
}
