//! A simulated ERP: its books of what is on hand, the documents that it holds of orders, and its list of moves.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{
        CatalogueItem, CountLine, FulfilledBy, IdKind, Identifiers, OrderKey, Posting, PostingLine, Quantity,
        Timestamp, Totals,
    },
    sim::{
        market::{code, number},
        wide::{place, place_number},
    },
};

#[derive(Debug)]
pub(super) struct Erp {
    /// How many kinds of goods it knows, at so many places.
    kinds: usize,
    pub(super) skew: i64,
    /// What its books say is on hand, by goods.
    pub(super) books: Vec<i64>,
    /// What it holds of each order, by item.
    orders: BTreeMap<OrderKey, BTreeMap<usize, Totals>>,
    /// What moved, and when.
    moves: Vec<(i64, usize)>,
}

impl Erp {
    pub(super) fn new(kinds: usize, books: Vec<i64>) -> Erp {
        Erp { kinds, skew: 0, books, orders: BTreeMap::new(), moves: Vec::new() }
    }

    pub(super) fn clock(&self, now: i64) -> i64 {
        now + self.skew
    }

    pub(super) fn ids(n: usize) -> Identifiers {
        let (code, record) = (code(n), format!("{}", n + 1));
        Identifiers::new([(IdKind::Sku, code.as_str()), (IdKind::Record, record.as_str())])
            .expect("digits and letters are good ids")
    }

    /// Moves units in its books.
    pub(super) fn move_by(&mut self, now: i64, of: usize, units: i64) {
        self.books[of] += units;
        self.moves.push((self.clock(now), of));
    }

    /// Brings its documents of an order to the targets of a posting: what is there already is not made again. Returns the goods of
    /// which shipments were undone by it.
    pub(super) fn post(&mut self, now: i64, posting: &Posting) -> Vec<usize> {
        let mut undone = Vec::new();
        for line in &posting.lines {
            let Some(of) = self.item(line) else { continue };
            let held = self.orders.entry(posting.order.clone()).or_default().entry(of).or_default();
            let lying = |t: &Totals| t.returned.units() - t.fulfilled.units() - t.written_off.units();
            let by = lying(&line.target) - lying(held);
            let gone = |t: &Totals| t.fulfilled.units() + t.written_off.units();
            if gone(&line.target) < gone(held) {
                undone.push(of);
            }
            *held = line.target;
            if by != 0 {
                self.move_by(now, of, by);
            }
        }
        undone
    }

    /// Returns what it holds of the lines of a posting.
    pub(super) fn posted(&self, posting: &Posting) -> Vec<Totals> {
        let held = self.orders.get(&posting.order);
        let of = |line: &PostingLine| held?.get(&self.item(line)?).copied();
        posting.lines.iter().map(|line| of(line).unwrap_or_default()).collect()
    }

    /// Returns what moved since, and up to when that was read.
    pub(super) fn changed(&self, now: i64, since: i64) -> (Vec<Identifiers>, i64) {
        let late = self.moves.iter().rev().take_while(|(at, _)| *at >= since);
        let mut items: Vec<usize> = late.map(|(_, of)| *of % self.kinds).collect();
        items.sort_unstable();
        items.dedup();
        (items.into_iter().map(Erp::ids).collect(), self.clock(now))
    }

    /// Counts the items named, or all.
    pub(super) fn counts(&self, items: Option<&[Identifiers]>) -> Vec<CountLine> {
        let line = |of: usize| CountLine {
            ids: Erp::ids(of % self.kinds),
            location: place(of / self.kinds),
            quantity: Quantity::new(self.books[of]),
        };
        let kinds: Option<BTreeSet<usize>> =
            items.map(|items| items.iter().filter_map(|ids| number(ids.get(IdKind::Sku)?)).collect());
        let named = |of: &usize| kinds.as_ref().is_none_or(|kinds| kinds.contains(&(of % self.kinds)));
        (0..self.books.len()).filter(named).map(line).collect()
    }

    /// Returns which goods a line of a posting is of.
    fn item(&self, line: &PostingLine) -> Option<usize> {
        let place =
            place_number(&line.location).filter(|place| (place + 1) * self.kinds <= self.books.len())?;
        Some(place * self.kinds + number(line.ids.get(IdKind::Sku)?)?)
    }

    pub(super) fn catalogue(&self, from: usize, size: usize, items: usize) -> (Vec<CatalogueItem>, bool) {
        let to = (from + size).min(items);
        let item = |n: usize| CatalogueItem {
            ids: Erp::ids(n),
            title: None,
            by: FulfilledBy::Merchant,
            levels: None,
            unwritable: None,
        };
        ((from..to).map(item).collect(), to < items)
    }

    pub(super) fn as_of(&self, now: i64) -> Timestamp {
        Timestamp::from_millis(self.clock(now))
    }
}
