//! The reference model: what is physically there, what was promised to whom, and what each party was told.
//!
//! It is kept small enough to be read in one go, knows nothing of the daemon, and decides what an oversell is and whose
//! doing that is.

use std::collections::BTreeMap;

use crate::core::oversold::Class;

/// One kind of goods.
#[derive(Debug, Clone, Default)]
pub(super) struct Goods {
    /// What lies on the shelf.
    pub(super) shelf: i64,
    /// What was sold and is neither shipped nor cancelled.
    pub(super) open: i64,
    /// What people found or lost on the shelf, added up, and when that was so.
    pub(super) found: Vec<(i64, i64)>,
    /// What was sent from here to another place, or came from there, and the daemon was told, one by one.
    pub(super) sent: Vec<(i64, i64)>,
    /// What left the shelf for an order, and what came back of it.
    pub(super) left: i64,
    pub(super) back: i64,
    /// When an order last moved units onto the shelf or off it.
    pub(super) moved_at: i64,
}

impl Goods {
    pub(super) fn available(&self) -> i64 {
        self.shelf - self.open
    }

    /// Returns what people have found in all; less than nothing was lost.
    pub(super) fn found(&self) -> i64 {
        self.found.last().map_or(0, |(_, found)| *found)
    }

    /// Returns everything that has come onto the shelf, or left it, but for orders: when, and how many.
    pub(super) fn by(&self) -> Vec<(i64, i64)> {
        let mut last = 0;
        let found = self.found.iter().map(|(at, found)| (*at, found - std::mem::replace(&mut last, *found)));
        let mut all: Vec<(i64, i64)> = found.chain(self.sent.iter().copied()).collect();
        all.sort_unstable();
        all
    }

    /// Returns the most that had come onto the shelf in all, but for orders, at any moment since.
    pub(super) fn most_moved(&self, since: i64) -> i64 {
        if self.sent.is_empty() {
            return self.most_found(since);
        }
        let (mut now, mut most) = (0, None);
        for (at, by) in self.by() {
            if at > since {
                most = most.max(Some(now));
            }
            now += by;
        }
        most.max(Some(now)).unwrap_or(now)
    }

    /// Returns the most that people had found in all, at any moment since.
    pub(super) fn most_found(&self, since: i64) -> i64 {
        let before = self.found.iter().rfind(|(at, _)| *at <= since).map_or(0, |(_, found)| *found);
        let after = self.found.iter().rev().take_while(|(at, _)| *at > since).map(|(_, found)| *found);
        after.fold(before, i64::max)
    }
}

/// Who sells, as far as that tells whose doing an oversell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seller {
    /// Nobody holds a quantity for it: the ERP's own customers.
    pub(super) uncontrolled: bool,
    /// A person has the listing frozen.
    pub(super) frozen: bool,
    /// Another writer has it show more than we had written.
    pub(super) rival: bool,
    /// How many of the units that it sells it does not show.
    pub(super) beyond: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Truth {
    pub(super) goods: Vec<Goods>,
    /// Units that were sold, or promised, and are not there.
    pub(super) oversold: BTreeMap<Class, i64>,
    pub(super) sold: i64,
}

impl Truth {
    /// Units of one kind are sold.
    pub(super) fn sell(&mut self, of: usize, units: i64, seller: Seller) {
        let goods = &mut self.goods[of];
        let short = (units - goods.available().max(0)).clamp(0, units);
        goods.open += units;
        self.sold += units;
        let class = match seller {
            Seller { uncontrolled: true, .. } => Class::Uncontrolled,
            Seller { frozen: true, .. } => Class::Override,
            Seller { rival: true, .. } => Class::RivalWriter,
            Seller { .. } => Class::Sync,
        };
        // Of what it does not show, nobody else is to blame.
        let theirs = short.min(seller.beyond);
        self.short(Class::Uncontrolled, theirs);
        self.short(class, short - theirs);
    }

    fn short(&mut self, class: Class, units: i64) {
        if units > 0 {
            *self.oversold.entry(class).or_default() += units;
        }
    }

    /// Promised units are free again.
    pub(super) fn release(&mut self, of: usize, units: i64) {
        self.goods[of].open -= units;
    }

    /// Promised units leave the shelf: they are shipped, or turn out not to be there.
    pub(super) fn leave(&mut self, now: i64, of: usize, units: i64) {
        let goods = &mut self.goods[of];
        (goods.open, goods.shelf) = (goods.open - units, goods.shelf - units);
        (goods.left, goods.moved_at) = (goods.left + units, now);
    }

    /// Shipped units come back.
    pub(super) fn come_back(&mut self, now: i64, of: usize, units: i64) {
        let goods = &mut self.goods[of];
        goods.shelf += units;
        (goods.back, goods.moved_at) = (goods.back + units, now);
    }

    /// Units are sold and taken home at once, and only the ERP's count tells.
    pub(super) fn take_home(&mut self, now: i64, of: usize, units: i64) {
        self.sell(of, units, Seller { uncontrolled: true, frozen: false, rival: false, beyond: 0 });
        let goods = &mut self.goods[of];
        (goods.open, goods.shelf) = (goods.open - units, goods.shelf - units);
        goods.found.push((now, goods.found() - units));
    }

    /// People find units on the shelf, or miss some.
    pub(super) fn find(&mut self, now: i64, of: usize, units: i64) {
        let goods = &mut self.goods[of];
        let before = goods.available();
        goods.shelf += units;
        goods.found.push((now, goods.found() + units));
        let missing = |available: i64| (-available).max(0);
        let short = missing(goods.available()) - missing(before);
        self.short(Class::Physical, short);
    }

    /// Promised units are to leave another shelf than was thought.
    pub(super) fn reroute(&mut self, from: usize, to: usize, units: i64) {
        self.goods[from].open -= units;
        self.goods[to].open += units;
    }

    /// Units are put on a shelf, or taken off it, and come from another one, or go there.
    pub(super) fn carry(&mut self, now: i64, of: usize, units: i64) {
        let goods = &mut self.goods[of];
        goods.shelf += units;
        goods.found.push((now, goods.found() + units));
        goods.moved_at = now;
    }

    /// Like [`Truth::carry`], where the daemon was told.
    pub(super) fn send(&mut self, now: i64, of: usize, units: i64) {
        let goods = &mut self.goods[of];
        goods.shelf += units;
        goods.sent.push((now, units));
        goods.moved_at = now;
    }

    /// Returns how many units may be sold of goods that lie at two places. What was sold at one and is not there is owed by the
    /// other, if somebody sells from both (`shared`).
    pub(super) fn free(&self, goods: &[usize], other: Option<usize>, shared: bool) -> i64 {
        let here: i64 = goods.iter().map(|n| self.goods[*n].available()).sum();
        let owed = other.filter(|_| shared).map_or(0, |n| (-self.goods[n].available()).max(0));
        (here - owed).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: Seller = Seller { uncontrolled: false, frozen: false, rival: false, beyond: 0 };

    #[test]
    fn only_what_is_not_there_is_oversold_and_it_says_whose_doing_that_is() {
        let mut truth = Truth { goods: vec![Goods { shelf: 5, ..Goods::default() }], ..Truth::default() };
        truth.sell(0, 3, OURS);
        assert_eq!((truth.goods[0].available(), truth.oversold.len()), (2, 0));
        truth.sell(0, 3, OURS);
        truth.sell(0, 1, Seller { rival: true, ..OURS });
        truth.sell(0, 1, Seller { uncontrolled: true, ..OURS });
        truth.sell(0, 2, Seller { beyond: 1, ..OURS });
        truth.find(1, 0, -2);
        truth.find(9, 0, 7);
        assert_eq!([0, 1, 8, 9].map(|since| truth.goods[0].most_found(since)), [5, 5, 5, 5]);
        truth.find(20, 0, -4);
        assert_eq!((truth.goods[0].most_found(25), truth.goods[0].most_found(10)), (1, 5));
        truth.find(30, 0, 4);
        let all: Vec<(Class, i64)> = truth.oversold.clone().into_iter().collect();
        assert_eq!(
            all,
            [(Class::Sync, 2), (Class::Physical, 6), (Class::RivalWriter, 1), (Class::Uncontrolled, 2)]
        );
        truth.release(0, 3);
        truth.leave(40, 0, 2);
        truth.come_back(50, 0, 1);
        assert_eq!((truth.goods[0].shelf, truth.goods[0].open), (9, 5));
        assert_eq!(truth.free(&[0], None, false), 4);
    }

    #[test]
    fn what_one_place_has_sold_and_does_not_have_is_owed_by_the_other() {
        let goods = |shelf, open| Goods { shelf, open, ..Goods::default() };
        let mut truth = Truth { goods: vec![goods(9, 3), goods(1, 3)], ..Truth::default() };
        assert_eq!([false, true].map(|shared| truth.free(&[0], Some(1), shared)), [6, 4]);
        assert_eq!((truth.free(&[0, 1], None, true), truth.free(&[1], Some(0), true)), (4, 0));
        truth.reroute(1, 0, 2);
        truth.carry(60, 0, 1);
        truth.send(70, 0, -3);
        let [here, there] = [0, 1].map(|n: usize| truth.goods[n].available());
        assert_eq!((here, there, truth.goods[0].found()), (2, 0, 1));
        assert_eq!([0, 60, 70].map(|since| truth.goods[0].most_moved(since)), [1, 1, -2]);
    }
}
