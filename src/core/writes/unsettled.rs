//! What our writes may still do to what a channel shows, from when they leave until their answer or their age settles them.

use serde::{Deserialize, Serialize};

use crate::{
    core::{leg::Sent, writes::Writes},
    model::{IdempotencyKey, Quantity, Timestamp},
};

/// How many unsettled writes are kept one by one; beyond it the oldest are kept as one.
const UNSETTLED_MAX: usize = 16;

/// A write that may still land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsettled {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    /// The quantity it replaces, if the channel compares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Quantity>,
    /// By how much it changes what is shown, if it does that in place of setting it.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Quantity>,
    pub key: IdempotencyKey,
    /// When we sent it, and then when we gave up waiting for it.
    pub at: Timestamp,
    /// How many writes this stands for, none of them larger.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub times: u32,
    /// Its number in the channel's open bulk, if that is how it left: until the bulk ends, it does not settle by age.
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    pub bulk: Option<u32>,
}

fn one() -> u32 {
    1
}

fn is_one(times: &u32) -> bool {
    *times == 1
}

impl Unsettled {
    pub(super) fn of(sent: &Sent) -> Unsettled {
        let Sent { quantity, compare, delta, key, at, .. } = sent.clone();
        Unsettled { quantity, compare, delta, key, at, times: 1, bulk: None }
    }

    /// Returns how many units more the channel may sell if this lands (design: exposure).
    pub fn exposure(&self) -> Quantity {
        let once = match (self.delta, self.compare) {
            (Some(delta), _) => delta.or_zero(),
            (None, Some(base)) => self.quantity.sub(base).map_or(self.quantity, Quantity::or_zero),
            (None, None) => self.quantity,
        };
        Quantity::new(once.units().saturating_mul(i64::from(self.times)))
    }
}

/// A write that was settled by age: it was assumed that it cannot land any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lapsed {
    #[serde(rename = "q")]
    pub quantity: Quantity,
    /// When it was given up.
    pub at: Timestamp,
    /// The quantity that it replaces, if the channel compares.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Quantity>,
    /// By how much it changes what is shown instead.
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    pub delta: Option<Quantity>,
    /// It was told since what became of it: by a look, or by a write that compared.
    #[serde(rename = "t", default, skip_serializing_if = "std::ops::Not::not")]
    pub told: bool,
}

impl Writes {
    /// Counts a write that is about to leave. Of many, the two oldest are counted as one from then on; what left in a bulk, of which
    /// there is at most one, ends with that, and stays by itself.
    pub fn sending(&mut self, sent: &Sent) {
        let by_itself = |write: &Unsettled| write.bulk.is_none();
        if self.unsettled.len() >= UNSETTLED_MAX
            && let Some(at) = self.unsettled.iter().position(by_itself)
        {
            let oldest = self.unsettled.remove(at);
            if let Some(next) = self.unsettled.iter_mut().find(|write| by_itself(write)) {
                next.quantity = next.quantity.max(oldest.quantity);
                (next.compare, next.delta) = (None, None);
                next.times = next.times.saturating_add(oldest.times);
            }
        }
        self.unsettled.push(Unsettled::of(sent));
    }

    /// The channel took the write: it shows that quantity, or will.
    ///
    /// Where it compared, no own sale came before the write, so those seen while it was under way came after it.
    ///
    /// `at_once`: it shows it already.
    pub fn acknowledged(&mut self, sent: &Sent, now: Timestamp, trust_from: Timestamp, at_once: bool) {
        if let Some(delta) = sent.delta {
            return self.changed(sent, delta, now, trust_from);
        }
        if let Some(most) = self.most().filter(|_| self.base.is_some() && !at_once) {
            self.may_show(most, sent.at);
        }
        let moved = match (sent.compare, self.base) {
            (Some(compared), Some(base)) => base.sub(compared).unwrap_or_default(),
            (None, _) | (_, None) => Quantity::ZERO,
        };
        self.base = Some(sent.quantity.add(moved).unwrap_or(sent.quantity));
        if sent.compare.is_some() {
            self.bear_out(sent, at_once);
        } else {
            // It lands over all that came before it left.
            (self.exact_from, self.sure_to) = (Timestamp::ZERO, sent.at);
        }
        self.known_at = self.known_at.max(sent.at);
        self.given_up(sent, now, trust_from);
        self.replaced = sent.compare.filter(|compare| at_once && *compare != sent.quantity);
    }

    /// The channel has changed what it shows by so much, whatever that was: it may show fewer than none by now, because as many
    /// were sold unseen. So what is freed counts until a read shows it.
    fn changed(&mut self, sent: &Sent, delta: Quantity, now: Timestamp, trust_from: Timestamp) {
        if let Some(base) = self.base {
            self.may_show(base, sent.at);
            self.base = Some(base.add(delta).unwrap_or(base));
        }
        self.given_up(sent, now, trust_from);
    }

    /// Nothing more is heard of a write: it may land until the `late` bound from here. Looks from before are void.
    pub fn given_up(&mut self, sent: &Sent, now: Timestamp, trust_from: Timestamp) {
        for write in self.unsettled.iter_mut().filter(|write| write.key == sent.key) {
            write.at = now;
        }
        self.trust_from = trust_from;
        self.look = None;
        self.replaced = None;
    }

    /// The answer is definite: the write cannot land any more, or has.
    pub fn settle(&mut self, sent: &Sent) {
        self.unsettled.retain(|write| write.key != sent.key);
    }

    /// Settles by age what was given up before `limit`, except what still awaits its answer. It cannot land any more, and may
    /// have landed: until a look tells, that counts. Returns whether a look would tell anything: a lower that was put back, and
    /// landed after that, is seen by nobody else.
    pub fn settle_older(&mut self, limit: Timestamp, in_flight: Option<&Sent>, now: Timestamp) -> bool {
        let stays = |write: &Unsettled| {
            let awaited = in_flight.is_some_and(|sent| sent.key == write.key);
            write.at > limit || write.bulk.is_some() || awaited
        };
        if let Some(write) = self.unsettled.iter().rfind(|write| !stays(write)) {
            let (quantity, at) = (write.quantity, write.at);
            let (compare, delta) = (write.compare, write.delta);
            self.lapsed = Some(Box::new(Lapsed { quantity, at, compare, delta, told: false }));
        }
        let settles = self.unsettled.iter().any(|write| !stays(write));
        let lapsed = self.unsettled.iter().filter(|write| !stays(write));
        let more = lapsed.map(|write| write.exposure().units()).fold(0, i64::saturating_add);
        self.unsettled.retain(stays);
        if more > 0
            && let Some(most) = self.most().filter(|_| self.base.is_some())
        {
            let most = most.or_zero();
            self.may_show(most.add(Quantity::new(more)).unwrap_or(most), now);
        }
        settles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{core::writes::OwnMove, model::Revision};

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

    #[test]
    fn a_sale_while_a_compared_write_was_under_way_came_after_it() {
        let mut writes = Writes { base: Some(q(10)), ..Writes::default() };
        let write = sent(8, Some(10), "k", 100_000);
        writes.sending(&write);
        writes.own_move(own(-1, 100_100), false, at(100_200), 0);
        writes.acknowledged(&write, at(100_300), at(105_300), true);
        writes.settle(&write);
        assert_eq!((writes.base, writes.unsettled.len()), (Some(q(7)), 0));
    }

    #[test]
    fn a_bulk_that_is_refused_settles_no_write_that_went_by_itself() {
        let mut writes = Writes { base: Some(q(10)), ..Writes::default() };
        writes.sending(&sent(50, None, "k0", 0));
        writes.sending_in_bulk(0);
        let lowers = 40;
        for n in 1..=lowers {
            writes.sending(&sent(50 - n, None, &format!("k{n}"), n));
        }
        let exposed =
            |writes: &Writes| -> i64 { writes.unsettled.iter().map(|held| held.exposure().units()).sum() };
        let (all, alone) = ((0..=lowers).map(|n| 50 - n).sum(), (1..=lowers).map(|n| 50 - n).sum());
        assert!(exposed(&writes) >= all && writes.unsettled.len() <= UNSETTLED_MAX, "{writes:?}");
        writes.refused_in_bulk(at(100), false);
        assert!(exposed(&writes) >= alone, "{} of {alone}", exposed(&writes));
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
        writes.settle_older(at(100), Some(&sent(4, None, "k39", 39)), at(100));
        assert_eq!(writes.unsettled.len(), 1, "what is in flight does not settle by age");
    }
}
