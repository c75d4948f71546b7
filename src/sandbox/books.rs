//! What is true: units on the shelf, units promised, and who was promised what, on all channels together.
//!
//! Only people move the truth (shoppers, the merchant, the warehouse, a counter). What an API client writes changes
//! what a channel *shows*, never what is true; so the books can judge the client.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Where units are sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channel {
    Shopify,
    Amazon,
    Erp,
}

impl Channel {
    pub(super) const ALL: [Channel; 3] = [Channel::Shopify, Channel::Amazon, Channel::Erp];
}

pub(super) struct Books {
    skus: Vec<SkuBook>,
    sales: Vec<Sale>,
    /// Per SKU: sales that some other channel does not reflect yet, with what was left after them.
    waiting: Vec<Vec<(usize, Channel, i64)>>,
    changes: VecDeque<Change>,
    pub(super) changes_forgotten: u64,
    pub(super) orders: [u64; 3],
    /// Shoppers who found nothing to buy.
    pub(super) turned_away: u64,
}

/// The truth about one SKU.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct SkuBook {
    pub(super) opening: i64,
    pub(super) physical: i64,
    /// Sold and not yet shipped, over all channels.
    pub(super) committed: i64,
    /// Units that a channel sold when there was none left to sell.
    pub(super) oversold: i64,
    /// The same, place by place.
    pub(super) places: Vec<PlaceBook>,
    /// Left one place, and not yet at another.
    pub(super) travelling: i64,
    pub(super) tallies: [Tally; 3],
    /// What each channel shows; `None` until it first showed something.
    pub(super) shown: [Option<i64>; 3],
}

/// The truth about one SKU at one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct PlaceBook {
    pub(super) physical: i64,
    pub(super) committed: i64,
}

/// Units of one SKU on one channel, since the start.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Tally {
    pub(super) sold: i64,
    pub(super) released: i64,
    pub(super) written_off: i64,
    pub(super) shipped: i64,
    pub(super) returned: i64,
}

/// One order line at the moment it was sold.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Sale {
    pub(super) order: String,
    pub(super) channel: Channel,
    pub(super) sku: usize,
    pub(super) quantity: i64,
    pub(super) at_ms: i64,
    pub(super) oversold: i64,
    /// Per channel: when it first showed no more than was left after this sale, or is left now.
    pub(super) reflected_ms: [Option<i64>; 3],
}

/// A channel began to show another number.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Change {
    pub(super) at_ms: i64,
    pub(super) channel: Channel,
    pub(super) sku: usize,
    pub(super) shown: i64,
    pub(super) cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Cause {
    Opening,
    Order,
    Cancel,
    Return,
    Ship,
    Count,
    /// A client's API call.
    Write,
    Rival,
    Edit,
}

/// What an event on one channel did to units that are promised or on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) sku: usize,
    /// Where it lies.
    pub(super) place: usize,
    pub(super) quantity: i64,
    pub(super) what: Move,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Move {
    /// Promised to a shopper.
    Sold,
    /// Promised, cancelled, and sellable again.
    Released,
    /// Promised and cancelled because it is not there.
    WrittenOff,
    /// Promised and now off the shelf.
    Shipped,
    /// Shipped, and the shipment undone.
    Unshipped,
    /// Shipped and now back on the shelf.
    Returned,
    /// Promised, and to be shipped from another place.
    Rerouted { to: usize },
}

/// How many changes are kept; older ones are counted and forgotten.
const CHANGES_MAX: usize = 500_000;

impl SkuBook {
    /// What may truly still be sold. Below zero: oversold.
    pub(super) fn available(&self) -> i64 {
        self.physical - self.committed
    }

    /// Moves what is on the shelf of a place, and what of it is promised.
    fn shift(&mut self, place: usize, physical: i64, committed: i64) {
        self.physical += physical;
        self.committed += committed;
        if let Some(place) = self.places.get_mut(place) {
            place.physical += physical;
            place.committed += committed;
        }
    }
}

impl Books {
    /// `openings`: of each SKU, what lies at each place.
    pub(super) fn new<'o>(openings: impl Iterator<Item = &'o [i64]>) -> Books {
        let book = |openings: &[i64]| {
            let units = openings.iter().sum();
            let places = openings.iter().map(|units| PlaceBook { physical: *units, committed: 0 }).collect();
            SkuBook { opening: units, physical: units, places, ..SkuBook::default() }
        };
        let skus: Vec<SkuBook> = openings.map(book).collect();
        Books {
            waiting: vec![Vec::new(); skus.len()],
            skus,
            sales: Vec::new(),
            changes: VecDeque::new(),
            changes_forgotten: 0,
            orders: [0; 3],
            turned_away: 0,
        }
    }

    pub(super) fn skus(&self) -> &[SkuBook] {
        &self.skus
    }

    pub(super) fn sales(&self) -> &[Sale] {
        &self.sales
    }

    pub(super) fn changes(&self) -> &VecDeque<Change> {
        &self.changes
    }

    pub(super) fn count_order(&mut self, channel: Channel) {
        self.orders[channel as usize] += 1;
    }

    /// Books what happened to an order's units.
    pub(super) fn book(&mut self, channel: Channel, order: &str, moves: &[Moved], now_ms: i64) {
        for moved in moves {
            let Moved { sku, place, quantity, what } = *moved;
            let book = &mut self.skus[sku];
            let tally = &mut book.tallies[channel as usize];
            match what {
                Move::Sold => self.sell(channel, order, (sku, place), quantity, now_ms),
                Move::Released => {
                    tally.released += quantity;
                    book.shift(place, 0, -quantity);
                }
                Move::WrittenOff => {
                    tally.written_off += quantity;
                    book.shift(place, -quantity, -quantity);
                }
                Move::Shipped => {
                    tally.shipped += quantity;
                    book.shift(place, -quantity, -quantity);
                }
                Move::Unshipped => {
                    tally.shipped -= quantity;
                    book.shift(place, quantity, quantity);
                }
                Move::Returned => {
                    tally.returned += quantity;
                    book.shift(place, quantity, 0);
                }
                Move::Rerouted { to } => {
                    book.shift(place, 0, -quantity);
                    book.shift(to, 0, quantity);
                }
            }
            self.note_reflected(sku, now_ms);
        }
    }

    fn sell(
        &mut self,
        channel: Channel,
        order: &str,
        (sku, place): (usize, usize),
        quantity: i64,
        now_ms: i64,
    ) {
        let book = &mut self.skus[sku];
        let oversold = (quantity - book.available().max(0)).max(0);
        book.oversold += oversold;
        book.shift(place, 0, quantity);
        book.tallies[channel as usize].sold += quantity;
        let mut reflected_ms = [None; 3];
        reflected_ms[channel as usize] = Some(now_ms);
        let order = order.to_owned();
        self.sales.push(Sale { order, channel, sku, quantity, at_ms: now_ms, oversold, reflected_ms });
        let others = Channel::ALL.into_iter().filter(|other| *other != channel);
        let sale = self.sales.len() - 1;
        let left = self.skus[sku].available().max(0);
        self.waiting[sku].extend(others.map(|other| (sale, other, left)));
    }

    /// Books what a counter found on the shelf of a place.
    pub(super) fn count(&mut self, sku: usize, place: usize, physical: i64, now_ms: i64) {
        let book = &mut self.skus[sku];
        let before = book.places.get(place).map_or(0, |place| place.physical);
        book.shift(place, physical - before, 0);
        self.note_reflected(sku, now_ms);
    }

    /// Books units that somebody carries from place to place: `None` is the road.
    pub(super) fn carry(
        &mut self,
        sku: usize,
        quantity: i64,
        [from, to]: [Option<usize>; 2],
        now_ms: i64,
    ) -> Result<(), String> {
        let book = &mut self.skus[sku];
        let there = match from {
            Some(place) => book.places.get(place).ok_or("there is no such place")?.physical,
            None => book.travelling,
        };
        if to.is_some_and(|place| place >= book.places.len()) || from == to {
            return Err("units are carried from one place to another, or to the road and from it".into());
        }
        if quantity <= 0 || quantity > there {
            return Err(format!("{there} units are there"));
        }
        match from {
            Some(place) => book.shift(place, -quantity, 0),
            None => book.travelling -= quantity,
        }
        match to {
            Some(place) => book.shift(place, quantity, 0),
            None => book.travelling += quantity,
        }
        self.note_reflected(sku, now_ms);
        Ok(())
    }

    /// Notes what a channel shows from now on.
    pub(super) fn show(&mut self, channel: Channel, sku: usize, shown: i64, cause: Cause, now_ms: i64) {
        if self.skus[sku].shown[channel as usize].replace(shown) == Some(shown) {
            return;
        }
        if self.changes.len() == CHANGES_MAX {
            self.changes.pop_front();
            self.changes_forgotten += 1;
        }
        self.changes.push_back(Change { at_ms: now_ms, channel, sku, shown, cause });
        self.note_reflected(sku, now_ms);
    }

    /// A sale is reflected on another channel once that shows no more than was left after it. Later sales do not count
    /// against it; what came back since does count for the channel.
    fn note_reflected(&mut self, sku: usize, now_ms: i64) {
        let left_now = self.skus[sku].available().max(0);
        let shown = self.skus[sku].shown;
        let sales = &mut self.sales;
        self.waiting[sku].retain(|(sale, channel, left)| {
            let reflected = shown[*channel as usize].is_none_or(|shown| shown <= left_now.max(*left));
            if reflected {
                sales[*sale].reflected_ms[*channel as usize] = Some(now_ms);
            }
            !reflected
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn books() -> Books {
        let mut books = Books::new([&[5][..]].into_iter());
        for channel in Channel::ALL {
            books.show(channel, 0, 5, Cause::Opening, 0);
        }
        books
    }

    fn book(books: &mut Books, channel: Channel, quantity: i64, what: Move, now_ms: i64) {
        books.book(channel, "order", &[Moved { sku: 0, place: 0, quantity, what }], now_ms);
    }

    #[test]
    fn units_sold_beyond_the_shelf_are_oversold() {
        let mut books = books();
        book(&mut books, Channel::Shopify, 4, Move::Sold, 10);
        book(&mut books, Channel::Amazon, 3, Move::Sold, 11);
        book(&mut books, Channel::Amazon, 1, Move::Sold, 12);
        assert_eq!(books.skus()[0].available(), -3);
        assert_eq!(books.skus()[0].oversold, 3);
        assert_eq!(books.sales().iter().map(|sale| sale.oversold).collect::<Vec<_>>(), [0, 2, 1]);
    }

    #[test]
    fn what_happens_to_an_order_moves_shelf_and_promise() {
        let mut books = books();
        let mut check = |what, expected: (i64, i64)| {
            book(&mut books, Channel::Shopify, 1, what, 10);
            let sku = &books.skus()[0];
            assert_eq!((sku.physical, sku.committed), expected, "after {what:?}");
        };
        check(Move::Sold, (5, 1));
        check(Move::Sold, (5, 2));
        check(Move::Sold, (5, 3));
        check(Move::Shipped, (4, 2));
        check(Move::Unshipped, (5, 3));
        check(Move::Shipped, (4, 2));
        check(Move::Released, (4, 1));
        check(Move::WrittenOff, (3, 0));
        check(Move::Returned, (4, 0));
        books.count(0, 0, 9, 13);
        assert_eq!(books.skus()[0].available(), 9);
    }

    #[test]
    fn each_place_has_books_of_its_own_and_what_is_on_the_road_is_nowhere() {
        let mut books = Books::new([&[5, 2][..]].into_iter());
        let told = |books: &Books| {
            let sku = &books.skus()[0];
            let at = |place: usize| (sku.places[place].physical, sku.places[place].committed);
            (at(0), at(1), sku.available(), sku.travelling)
        };
        let moved = |place, what| [Moved { sku: 0, place, quantity: 1, what }];
        books.book(Channel::Shopify, "a", &moved(0, Move::Sold), 1);
        books.book(Channel::Shopify, "a", &moved(0, Move::Rerouted { to: 1 }), 2);
        assert_eq!(told(&books), ((5, 0), (2, 1), 6, 0));
        books.book(Channel::Shopify, "a", &moved(1, Move::Shipped), 3);
        books.carry(0, 3, [Some(0), None], 4).expect("they are there");
        assert_eq!(told(&books), ((2, 0), (1, 0), 3, 3));
        books.carry(0, 2, [None, Some(1)], 5).expect("they are on the road");
        assert_eq!(told(&books), ((2, 0), (3, 0), 5, 1));
        for wrong in [[None, Some(1)], [Some(0), Some(2)], [Some(2), None], [None, None]] {
            books.carry(0, 4, wrong, 6).expect_err("it cannot be");
        }
        books.count(0, 1, 9, 7);
        assert_eq!(told(&books), ((2, 0), (9, 0), 11, 1));
    }

    #[test]
    fn a_sale_is_reflected_when_the_other_channel_shows_no_more_than_is_left() {
        let mut books = books();
        book(&mut books, Channel::Shopify, 2, Move::Sold, 10);
        books.show(Channel::Amazon, 0, 4, Cause::Write, 20);
        assert_eq!(books.sales()[0].reflected_ms, [Some(10), None, None]);
        books.show(Channel::Amazon, 0, 3, Cause::Write, 30);
        books.show(Channel::Erp, 0, 0, Cause::Write, 40);
        assert_eq!(books.sales()[0].reflected_ms, [Some(10), Some(30), Some(40)]);
    }

    #[test]
    fn a_later_sale_does_not_delay_an_earlier_ones_reflection() {
        let mut books = books();
        book(&mut books, Channel::Shopify, 1, Move::Sold, 10);
        book(&mut books, Channel::Amazon, 2, Move::Sold, 11);
        books.show(Channel::Erp, 0, 4, Cause::Write, 20);
        books.show(Channel::Erp, 0, 2, Cause::Write, 30);
        let reflected = |sale: usize| books.sales()[sale].reflected_ms[Channel::Erp as usize];
        assert_eq!((reflected(0), reflected(1)), (Some(20), Some(30)));
    }

    #[test]
    fn a_number_shown_twice_is_one_change() {
        let mut books = books();
        books.show(Channel::Erp, 0, 4, Cause::Write, 20);
        books.show(Channel::Erp, 0, 4, Cause::Write, 21);
        assert_eq!(books.changes().len(), 4);
    }
}
