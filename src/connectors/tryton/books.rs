//! What Tryton holds of one order: the documents that carry our reference, reduced to what planning needs.
//!
//! Knows no wire format and takes no decision. Quantities are whole units in the item's own unit; `decode` bounds
//! each, so that sums of a page of them cannot overflow.

use std::ops::Range;

use crate::model::{Quantity, Totals};

/// What a document of ours is for. Its letter ends the document's reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Sale,
    Return,
    /// Brings back what was shipped and, at the channel, is not any more.
    Undo,
    WriteOff,
    /// Brings back what was written off and is not any more.
    Found,
    /// Takes off what was sent back and, at the channel, was not.
    Gone,
}

impl Kind {
    const ALL: [Kind; 6] = [Kind::Sale, Kind::Return, Kind::Undo, Kind::WriteOff, Kind::Found, Kind::Gone];

    fn letter(self) -> char {
        match self {
            Kind::Sale => 's',
            Kind::Return => 'r',
            Kind::Undo => 'u',
            Kind::WriteOff => 'w',
            Kind::Found => 'f',
            Kind::Gone => 'g',
        }
    }
}

/// What follows the order's reference in a document's reference: `/s3` is the sale made for the third posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub kind: Kind,
    pub sequence: u32,
}

impl Name {
    /// Returns the whole reference of the document.
    pub(super) fn under(self, reference: &str) -> String {
        format!("{reference}/{}{}", self.kind.letter(), self.sequence)
    }

    /// Reads the name of a document, if it is one made for the order with this `reference`.
    ///
    /// The search at the ERP is by prefix and may ignore case, so it also finds other orders' documents.
    pub(super) fn parse(text: &str, reference: &str) -> Option<Name> {
        let rest = text.strip_prefix(reference)?.strip_prefix('/')?;
        Kind::ALL.into_iter().find_map(|kind| {
            let digits = rest.strip_prefix(kind.letter())?;
            let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
            let sequence = digits.parse().ok().filter(|_| plain)?;
            Some(Name { kind, sequence })
        })
    }
}

/// States of a sale, the further the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SaleState {
    Cancelled,
    Draft,
    Quotation,
    Confirmed,
    Processing,
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MoveState {
    Staging,
    Draft,
    Assigned,
    Done,
    Cancelled,
}

impl MoveState {
    pub(super) fn is_open(self) -> bool {
        match self {
            MoveState::Staging | MoveState::Draft | MoveState::Assigned => true,
            MoveState::Done | MoveState::Cancelled => false,
        }
    }
}

/// States of a customer shipment, in the order of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ShipmentState {
    Draft,
    Waiting,
    Assigned,
    Picked,
    Packed,
    Shipped,
    Done,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ReceiptState {
    Draft,
    Received,
    Done,
    Cancelled,
}

/// States of an internal shipment, the further the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum InternalState {
    Cancelled,
    Request,
    Draft,
    Waiting,
    Assigned,
    Packed,
    Shipped,
    Done,
}

/// What became of a cancelled move of a sale line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nobody has decided: Tryton calls the sale's shipment state `exception`.
    Undecided,
    /// Its units are not shipped any more.
    Ignored,
    /// Tryton plans its units anew.
    Recreated,
}

/// A stock move of a sale line: units that leave to (or come back from) the customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub id: i64,
    pub state: MoveState,
    pub quantity: i64,
    /// The customer shipment it belongs to.
    pub shipment: Option<i64>,
    /// Means something for cancelled moves only.
    pub fate: Fate,
}

impl Move {
    /// Tells whether it is cancelled and nobody has decided what is to become of its units.
    pub(super) fn is_loose(&self) -> bool {
        self.state == MoveState::Cancelled && self.fate == Fate::Undecided
    }
}

/// One item of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub id: i64,
    pub product: i64,
    /// Units sold; of a return sale, units that come back.
    pub quantity: i64,
    pub moves: Vec<Move>,
}

impl Line {
    fn sum(&self, wanted: impl Fn(&Move) -> bool) -> i64 {
        self.moves.iter().filter(|m| wanted(m)).map(|m| m.quantity).sum()
    }

    pub(super) fn done(&self) -> i64 {
        self.sum(|m| m.state == MoveState::Done)
    }

    pub(super) fn open(&self) -> i64 {
        self.sum(|m| m.state.is_open())
    }

    pub(super) fn ignored(&self) -> i64 {
        self.sum(|m| m.state == MoveState::Cancelled && m.fate == Fate::Ignored)
    }

    pub(super) fn loose(&self) -> i64 {
        self.sum(Move::is_loose)
    }

    /// Units for which Tryton has made no move yet. Below zero: it has made too many.
    pub(super) fn unplanned(&self) -> i64 {
        self.quantity - self.done() - self.open() - self.ignored() - self.loose()
    }
}

/// A move within the warehouse that brings units to the place they are shipped from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pick {
    pub id: i64,
    pub state: MoveState,
    pub quantity: i64,
    /// The outgoing move that it serves.
    pub of: Option<i64>,
}

/// A customer shipment that has moves of one of our sales.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shipment {
    pub id: i64,
    pub state: ShipmentState,
    /// The warehouse ships from where it stores: there is nothing to pick.
    pub direct: bool,
    /// Its outgoing moves that are open, ours and others'.
    pub outgoing: Vec<i64>,
    pub picks: Vec<Pick>,
}

/// A shipment that brings goods back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receipt {
    pub id: i64,
    pub state: ReceiptState,
}

/// A sale, or a return sale, that carries our reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sale {
    pub id: i64,
    pub name: Name,
    pub state: SaleState,
    /// Tryton shows a person that a cancelled move waits for a decision.
    pub exception: bool,
    pub lines: Vec<Line>,
    pub shipments: Vec<Shipment>,
    pub receipts: Vec<Receipt>,
}

impl Sale {
    /// Tells whether Tryton has planned its moves, so that it counts.
    pub(super) fn is_processed(&self) -> bool {
        matches!(self.state, SaleState::Processing | SaleState::Done)
    }

    fn lines_of(&self, product: i64) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| line.product == product)
    }

    pub(super) fn quantity_of(&self, product: i64) -> i64 {
        self.lines_of(product).map(|line| line.quantity).sum()
    }
}

/// A move of an internal shipment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Goods {
    pub id: i64,
    pub product: i64,
    pub quantity: i64,
}

/// An internal shipment to or from lost and found that carries our reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Internal {
    pub id: i64,
    pub name: Name,
    pub state: InternalState,
    pub goods: Vec<Goods>,
}

impl Internal {
    /// Tells whether it can still be changed, and is ours to finish.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, InternalState::Draft | InternalState::Waiting | InternalState::Assigned)
    }

    /// Tells whether nothing is left of it.
    pub(super) fn is_empty(&self) -> bool {
        self.goods.iter().all(|goods| goods.quantity == 0)
    }

    pub(super) fn quantity_of(&self, product: i64) -> i64 {
        self.goods.iter().filter(|goods| goods.product == product).map(|goods| goods.quantity).sum()
    }
}

/// Everything that Tryton holds under one order's reference.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Books {
    /// Sales and return sales, by id.
    pub sales: Vec<Sale>,
    pub internals: Vec<Internal>,
}

/// Units of one product over all documents of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    /// On sales in any state.
    pub sold: i64,
    /// On sales that count: processed, or cancelled.
    pub ordered: i64,
    /// Not to be shipped any more: ignored by decision, or the whole sale cancelled.
    pub cancelled: i64,
    /// Cancelled in the warehouse, with no decision yet.
    pub loose: i64,
    pub open: i64,
    pub fulfilled: i64,
    /// On return sales in any state, less what was taken off again.
    pub announced: i64,
    pub returned: i64,
    /// Sent back and on the shelf: the most that can be taken off again.
    pub back: i64,
    /// On documents that undo shipments, in any state, and what has come back by them.
    pub undone: i64,
    pub undone_back: i64,
    /// On write-offs in any state, less what was found again.
    pub lost: i64,
    pub written_off: i64,
    /// Written off and off the shelf: the most that can be found again.
    pub off: i64,
    /// What was made of it since each of these was told another way.
    pub own: Own,
}

/// Units of one product on documents of the latest postings, in any state; how many postings is told for each kind by [`Since`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Own {
    pub sold: i64,
    pub cancelled: i64,
    /// Told to be sold before that, and never were.
    pub unreached: i64,
    /// On return sales.
    pub announced: i64,
    /// Of what was shipped.
    pub undone: i64,
    /// On write-offs.
    pub lost: i64,
    /// Of what was written off.
    pub found: i64,
    /// Of what was sent back.
    pub gone: i64,
}

/// The number of a posting for each kind of document: those of later postings are [`Own`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Since {
    pub sale: u32,
    pub back: u32,
    pub undo: u32,
    pub write_off: u32,
    pub found: u32,
    pub gone: u32,
}

impl Since {
    /// Leaves out all documents.
    pub(super) const NONE: Since = Since::all(u32::MAX);

    pub(super) const fn all(sequence: u32) -> Since {
        let [sale, back, undo, write_off, found, gone] = [sequence; 6];
        Since { sale, back, undo, write_off, found, gone }
    }

    fn is_own(&self, name: Name) -> bool {
        name.sequence
            > match name.kind {
                Kind::Sale => self.sale,
                Kind::Return => self.back,
                Kind::Undo => self.undo,
                Kind::WriteOff => self.write_off,
                Kind::Found => self.found,
                Kind::Gone => self.gone,
            }
    }
}

impl Books {
    /// Tells whether another sale of the same name got further, so that this one was made by a doubled request.
    pub(super) fn has_better_sale(&self, sale: &Sale) -> bool {
        let rank = |s: &Sale| (s.state, -s.id);
        self.sales.iter().any(|s| s.name == sale.name && rank(s) > rank(sale))
    }

    /// As [`Books::has_better_sale`], of internal shipments. What was emptied before it was cancelled is the one that was kept.
    pub(super) fn has_better_internal(&self, one: &Internal) -> bool {
        let rank = |i: &Internal| (i.state, i.is_empty(), -i.id);
        self.internals.iter().any(|i| i.name == one.name && rank(i) > rank(one))
    }

    pub(super) fn sums(&self, product: i64) -> Sums {
        self.sums_since(product, Since::NONE)
    }

    /// As [`Books::sums`], with what later postings have made of it.
    pub(super) fn sums_since(&self, product: i64, since: Since) -> Sums {
        let mut sums = Sums::default();
        // A doubled document that was cancelled is none.
        let counts = |s: &&Sale| s.state != SaleState::Cancelled || !self.has_better_sale(s);
        for sale in self.sales.iter().filter(counts) {
            let before = sums;
            for line in sale.lines_of(product) {
                match sale.name.kind {
                    Kind::Sale => sums.add_sold(sale, line),
                    Kind::Return => {
                        sums.announced += line.quantity;
                        sums.returned += line.done();
                        sums.back += line.done();
                    }
                    Kind::Undo => {
                        sums.undone += line.quantity;
                        sums.undone_back += line.done();
                    }
                    Kind::WriteOff | Kind::Found | Kind::Gone => {}
                }
            }
            if since.is_own(sale.name) {
                sums.own.sold += sums.sold - before.sold;
                sums.own.cancelled += sums.cancelled - before.cancelled;
                sums.own.announced += sums.announced - before.announced;
                sums.own.undone += sums.undone - before.undone;
            }
        }
        let counts = |i: &&Internal| i.state != InternalState::Cancelled || !self.has_better_internal(i);
        for internal in self.internals.iter().filter(counts) {
            sums.add_internal(internal, internal.quantity_of(product), since.is_own(internal.name));
        }
        sums
    }

    /// Returns how many units of a product were sold by postings of these numbers.
    pub(super) fn sold_by(&self, product: i64, postings: &Range<u32>) -> i64 {
        let counts = |s: &&Sale| s.state != SaleState::Cancelled || !self.has_better_sale(s);
        let sales = self.sales.iter().filter(counts).filter(|s| s.name.kind == Kind::Sale);
        sales.filter(|s| postings.contains(&s.name.sequence)).map(|s| s.quantity_of(product)).sum()
    }

    /// Returns the cumulative quantities that Tryton holds of a product.
    pub(super) fn totals(&self, product: i64) -> Totals {
        let sums = self.sums(product);
        let written_off = sums.written_off.min(sums.cancelled);
        Totals {
            ordered: Quantity::new(sums.ordered),
            // A cancelled shipment frees its units at once, whatever is decided later.
            released: Quantity::new(sums.cancelled + sums.loose - written_off),
            written_off: Quantity::new(written_off),
            fulfilled: Quantity::new(sums.fulfilled - sums.undone_back),
            returned: Quantity::new(sums.returned),
        }
    }
}

impl Sums {
    fn add_sold(&mut self, sale: &Sale, line: &Line) {
        self.sold += line.quantity;
        if sale.state == SaleState::Cancelled {
            self.ordered += line.quantity;
            self.cancelled += line.quantity;
        } else if sale.is_processed() {
            self.ordered += line.quantity;
            self.cancelled += line.ignored();
            self.loose += line.loose();
            self.open += line.open();
            self.fulfilled += line.done();
        }
    }

    fn add_internal(&mut self, internal: &Internal, units: i64, own: bool) {
        let state = internal.state;
        let when = |so: bool| if so { units } else { 0 };
        // One that a person has cancelled is settled too: that person knows that the ERP had no such unit.
        let settled = when(matches!(state, InternalState::Done | InternalState::Cancelled));
        let (done, kept) = (when(state == InternalState::Done), when(state != InternalState::Cancelled));
        match internal.name.kind {
            Kind::WriteOff => {
                self.lost += units;
                self.written_off += settled;
                self.off += done;
                self.own.lost += when(own);
            }
            Kind::Found => {
                self.lost -= units;
                self.written_off -= settled;
                self.off -= kept;
                self.own.found += when(own);
            }
            Kind::Gone => {
                self.announced -= units;
                self.returned -= settled;
                self.back -= kept;
                self.own.gone += when(own);
            }
            Kind::Sale | Kind::Return | Kind::Undo => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_only_under_its_own_reference() {
        #[track_caller]
        fn check(text: &str, want: Option<(Kind, u32)>) {
            let got = Name::parse(text, "evk:shop:1001");
            assert_eq!(got, want.map(|(kind, sequence)| Name { kind, sequence }), "{text}");
            if let Some(name) = got {
                assert_eq!(name.under("evk:shop:1001"), text);
            }
        }
        check("evk:shop:1001/s1", Some((Kind::Sale, 1)));
        check("evk:shop:1001/r20", Some((Kind::Return, 20)));
        check("evk:shop:1001/u3", Some((Kind::Undo, 3)));
        check("evk:shop:1001/w4294967295", Some((Kind::WriteOff, u32::MAX)));
        check("evk:shop:1001/f4", Some((Kind::Found, 4)));
        check("evk:shop:1001/g5", Some((Kind::Gone, 5)));
        check("evk:shop:10011/s1", None);
        check("evk:shop:1001/s1/s1", None);
        check("EVK:shop:1001/s1", None);
        check("evk:shop:1001/s", None);
        check("evk:shop:1001/s+1", None);
        check("evk:shop:1001/s01", None);
        check("evk:shop:1001/s4294967296", None);
        check("evk:shop:1001/x1", None);
        check("evk:shop:1001", None);
    }
}
