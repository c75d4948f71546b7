//! What to do next so that Tryton's documents of an order reach a posting's targets.
//!
//! [`next`] is pure: it looks at what Tryton holds and names the next requests; the caller sends them and looks
//! again. So a step that was made before a crash, or by a request whose answer was lost, is simply seen as made.
//! Doubled steps are seen too, and undone: of two drafts, or two shipments of the same units, one is cancelled.
//!
//! What a person does in Tryton is left alone unless a target needs the opposite, and where that cannot be, the
//! posting is refused with a reason for a person. Items that the posting does not name are never touched.

use std::collections::BTreeMap;

use crate::{
    connectors::tryton::books::{
        Books, InternalState, Kind, Line, Move, Name, ReceiptState, Sale, SaleState, Shipment, ShipmentState,
        Sums,
    },
    connectors::tryton::plan::told::History,
    model::{PostingLine, Quantity, Totals},
};

mod cancel;
mod internal;
mod ship;
#[cfg(test)]
mod tests;
mod told;

/// A request that changes something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// Makes a draft sale of (product, units); below zero, a return of the sale `origin`.
    CreateSale {
        name: Name,
        origin: Option<i64>,
        lines: Vec<(i64, i64)>,
    },
    /// Makes a draft shipment of (product, units) between storage and lost and found; the name tells which way.
    CreateInternal {
        name: Name,
        lines: Vec<(i64, i64)>,
    },
    Press(On, i64, Button),
    /// Reserves the stock of a customer shipment; by force, if Tryton has too little of it.
    Assign(i64),
    /// Sets the quantity of a move that is not done.
    Resize {
        id: i64,
        quantity: i64,
    },
    /// Decides that cancelled moves of a sale line are not to be shipped.
    Ignore {
        line: i64,
        moves: Vec<i64>,
    },
    /// Decides that cancelled moves of a sale line do not count, so that their units are planned anew if needed.
    Recreate {
        line: i64,
        moves: Vec<i64>,
    },
}

/// What a button belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Sale,
    Shipment,
    Receipt,
    Internal,
}

impl On {
    pub(super) fn model(self) -> &'static str {
        match self {
            On::Sale => "sale.sale",
            On::Shipment => "stock.shipment.out",
            On::Receipt => "stock.shipment.out.return",
            On::Internal => "stock.shipment.internal",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Button {
    Quote,
    Confirm,
    Process,
    Cancel,
    Wait,
    AssignTry,
    AssignForce,
    Pick,
    Pack,
    Receive,
    Do,
}

impl Button {
    pub(super) fn name(self) -> &'static str {
        match self {
            Button::Quote => "quote",
            Button::Confirm => "confirm",
            Button::Process => "process",
            Button::Cancel => "cancel",
            Button::Wait => "wait",
            Button::AssignTry => "assign_try",
            Button::AssignForce => "assign_force",
            Button::Pick => "pick",
            Button::Pack => "pack",
            Button::Receive => "receive",
            Button::Do => "do",
        }
    }
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The targets are reached.
    Done,
    /// These requests, in order, until one is refused; then look again.
    Go(Vec<Call>),
    /// Tryton itself is about to process this sale; look again in a while.
    Wait { sale: i64 },
    /// Only a person can go on.
    Refuse(String),
}

/// The target of one item, and what Tryton was told of it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Want {
    /// What people call it.
    pub code: String,
    pub ordered: i64,
    /// Not to be shipped, for whatever reason.
    pub cancelled: i64,
    pub written_off: i64,
    pub fulfilled: i64,
    pub returned: i64,
    told: History,
}

impl Want {
    /// `sequence` is the posting's own.
    pub(super) fn new(code: &str, line: &PostingLine, sequence: u32) -> Want {
        let target = &line.target;
        Want {
            code: code.to_owned(),
            ordered: target.ordered.units(),
            cancelled: cancelled(target),
            written_off: target.written_off.units(),
            fulfilled: target.fulfilled.units(),
            returned: target.returned.units(),
            told: History::new(line, sequence),
        }
    }

    /// Returns how many units were shipped as we told it and, at the channel, are not any more. What a person has
    /// shipped ahead of us is left alone.
    fn to_undo(&self, sums: &Sums) -> i64 {
        let shipped = sums.fulfilled - sums.undone;
        (shipped - beyond(self.told.most.fulfilled, shipped + sums.own.undone) - self.fulfilled).max(0)
    }

    /// Returns how many units are still to be sold: also those that were cancelled here while they were booked at another
    /// warehouse. The ERP shows that by what it has on sales beyond the order, or by an acknowledgement that it holds
    /// fewer than are wanted now. What else is cancelled there, a person has cancelled, and that is kept.
    ///
    /// It is told from what there was before anything was sold for this, by this posting or by one before it whose answer
    /// was lost: that changes both.
    fn to_sell(&self, sums: &Sums) -> i64 {
        let beyond = sums.sold - sums.own.sold - self.ordered;
        let cancelled = sums.cancelled - sums.own.cancelled - self.cancelled;
        let more = self.told.more.map(|more| more + sums.own.unreached);
        let all = if beyond > 0 {
            (cancelled - beyond).min(more.unwrap_or(i64::MAX))
        } else {
            cancelled.clamp(0, (more.unwrap_or(0) + beyond).max(0)) - beyond
        };
        (all - sums.own.sold).max(0)
    }

    /// Returns how many units are still to be cancelled: also those that Tryton has on sales beyond the order.
    fn to_cancel(&self, sums: &Sums) -> i64 {
        (self.cancelled + (sums.sold - self.ordered).max(0) - sums.cancelled).max(0)
    }

    /// Tells whether units that wait for a decision may do so because a cancellation of ours was cut off.
    fn is_half_cancelled(&self) -> bool {
        self.told.fell
    }

    fn to_ship(&self, sums: &Sums) -> i64 {
        (self.fulfilled - sums.fulfilled).max(0)
    }
}

/// Returns what is not to be shipped.
fn cancelled(totals: &Totals) -> i64 {
    totals.released.units() + totals.written_off.units()
}

/// Returns how many of `units` there are beyond what was ever told: a person has added them.
fn beyond(told: Quantity, units: i64) -> i64 {
    (units - told.units()).max(0)
}

/// Returns what comes next for the targets by product. `sequence` is the posting's own.
pub(super) fn next<'a>(books: &'a Books, wants: &'a BTreeMap<i64, Want>, sequence: u32) -> Step {
    let of = |(&product, want): (&i64, &Want)| {
        let mut sums = books.sums_since(product, want.told.since).without_undone(want);
        sums.own.unreached = want.told.unreached(|postings| books.sold_by(product, &postings));
        (product, sums)
    };
    let sums = wants.iter().map(of).collect();
    let plan = Plan { books, wants, sums, sequence };
    let stages: [fn(&Plan<'a>) -> Option<Step>; 15] = [
        Plan::doubles,
        Plan::unneeded,
        Plan::unfinished,
        Plan::missing_sale,
        Plan::surplus,
        Plan::cancel,
        Plan::half_cancelled,
        Plan::stale_picks,
        Plan::ship,
        Plan::missing_return,
        Plan::missing_undo,
        Plan::receipts,
        Plan::missing_internal,
        Plan::internals,
        Plan::tidy,
    ];
    stages.iter().find_map(|stage| stage(&plan)).unwrap_or(Step::Done)
}

impl Sums {
    /// Leaves out the shipments that are undone, or are to be. What is done stays done in Tryton: each such unit comes
    /// back like a return, and is sold once more.
    fn without_undone(self, want: &Want) -> Sums {
        let undone = self.undone + want.to_undo(&self);
        Sums { sold: self.sold - undone, fulfilled: self.fulfilled - undone, ..self }
    }
}

struct Plan<'a> {
    books: &'a Books,
    wants: &'a BTreeMap<i64, Want>,
    sums: BTreeMap<i64, Sums>,
    sequence: u32,
}

impl Plan<'_> {
    fn each(&self) -> impl Iterator<Item = (i64, &Want, &Sums)> {
        self.wants.iter().map(|(product, want)| (*product, want, &self.sums[product]))
    }

    /// Sales whose moves are planned, and which ship something.
    fn processed(&self) -> impl DoubleEndedIterator<Item = &Sale> {
        self.books.sales.iter().filter(|sale| sale.name.kind == Kind::Sale && sale.is_processed())
    }

    /// Two documents of one name: a request to make it was sent twice. The one that got furthest is kept; of the
    /// others those are cancelled that have done nothing yet.
    fn doubles(&self) -> Option<Step> {
        let doubled = self.books.sales.iter().filter(|sale| self.books.has_better_sale(sale));
        let sales = doubled.filter(|sale| matches!(sale.state, SaleState::Draft | SaleState::Quotation));
        let sales = sales.map(|sale| Call::Press(On::Sale, sale.id, Button::Cancel));
        let doubled = self.books.internals.iter().filter(|one| self.books.has_better_internal(one));
        let drafts = doubled.filter(|one| one.state == InternalState::Draft);
        let internals = drafts.map(|one| Call::Press(On::Internal, one.id, Button::Cancel));
        go(sales.chain(internals).collect())
    }

    /// Sales that do not count yet.
    fn unfinished(&self) -> Option<Step> {
        self.books.sales.iter().find_map(|sale| {
            let press = |button| Call::Press(On::Sale, sale.id, button);
            match sale.state {
                SaleState::Draft | SaleState::Quotation if self.is_unwanted(sale) => {
                    go(vec![press(Button::Cancel)])
                }
                SaleState::Draft => go(vec![press(Button::Quote), press(Button::Confirm)]),
                SaleState::Quotation => go(vec![press(Button::Confirm)]),
                SaleState::Confirmed => Some(Step::Wait { sale: sale.id }),
                SaleState::Processing | SaleState::Done | SaleState::Cancelled => None,
            }
        })
    }

    /// Tells whether every unit of a sale was cancelled before it counted.
    fn is_unwanted(&self, sale: &Sale) -> bool {
        sale.name.kind == Kind::Sale
            && sale.lines.iter().all(|line| {
                let want = self.wants.get(&line.product);
                want.is_some_and(|w| w.to_cancel(&self.sums[&line.product]) >= sale.quantity_of(line.product))
            })
    }

    fn missing_sale(&self) -> Option<Step> {
        let lines = self.missing(Want::to_sell);
        let name = Name { kind: Kind::Sale, sequence: self.sequence };
        self.create(name, &lines, || Call::CreateSale { name, origin: None, lines: lines.clone() })
    }

    fn missing_return(&self) -> Option<Step> {
        self.bring_back(Kind::Return, self.missing(|want, sums| want.to_move(Kind::Return, sums)))
    }

    fn missing_undo(&self) -> Option<Step> {
        let of = |product, want: &Want| self.books.sums_since(product, want.told.since);
        let lines = self.wants.iter().map(|(&product, want)| (product, want.to_undo(&of(product, want))));
        self.bring_back(Kind::Undo, lines.filter(|(_, units)| *units > 0).collect())
    }

    fn bring_back(&self, kind: Kind, lines: Vec<(i64, i64)>) -> Option<Step> {
        let name = Name { kind, sequence: self.sequence };
        let origin = self.processed().next().map(|sale| sale.id);
        let back: Vec<_> = lines.iter().map(|(product, units)| (*product, -units)).collect();
        self.create(name, &lines, || Call::CreateSale { name, origin, lines: back })
    }

    fn missing(&self, units: impl Fn(&Want, &Sums) -> i64) -> Vec<(i64, i64)> {
        self.each()
            .map(|(product, want, sums)| (product, units(want, sums)))
            .filter(|(_, n)| *n > 0)
            .collect()
    }

    /// Makes a document, unless one of that name is there already: then a person has taken units off it.
    fn create(&self, name: Name, lines: &[(i64, i64)], call: impl FnOnce() -> Call) -> Option<Step> {
        if lines.is_empty() {
            return None;
        }
        let sales = self.books.sales.iter().map(|sale| sale.name);
        let internals = self.books.internals.iter().map(|internal| internal.name);
        if sales.chain(internals).any(|there| there == name) {
            return Some(Step::Refuse(format!(
                "the document `{}` in the ERP holds fewer units than were posted; it was changed there",
                name.under("...")
            )));
        }
        go(vec![call()])
    }

    /// Lets Tryton plan units that have no move: only a planned unit can be cancelled or shipped.
    fn replan(&self, need: &Need) -> Option<Step> {
        let sale = self
            .processed()
            .find(|sale| sale.lines.iter().any(|line| need.get(line.product) > 0 && line.unplanned() > 0))?;
        go(vec![Call::Press(On::Sale, sale.id, Button::Process)])
    }

    fn receipts(&self) -> Option<Step> {
        let returns = self.books.sales.iter().filter(|sale| sale.name.kind != Kind::Sale);
        returns.flat_map(|sale| &sale.receipts).find_map(|receipt| {
            let press = |button| Call::Press(On::Receipt, receipt.id, button);
            match receipt.state {
                ReceiptState::Draft => go(vec![press(Button::Receive), press(Button::Do)]),
                ReceiptState::Received => go(vec![press(Button::Do)]),
                ReceiptState::Done | ReceiptState::Cancelled => None,
            }
        })
    }

    /// Lets Tryton see that no cancelled move awaits a decision any more.
    fn tidy(&self) -> Option<Step> {
        let sale = self.processed().find(|sale| {
            sale.exception && sale.lines.iter().all(|line| !line.moves.iter().any(Move::is_loose))
        })?;
        go(vec![Call::Press(On::Sale, sale.id, Button::Process)])
    }
}

/// Units by product that are still to be dealt with.
#[derive(Debug, Clone)]
struct Need(BTreeMap<i64, i64>);

impl Need {
    fn of(plan: &Plan<'_>, units: fn(&Want, &Sums) -> i64) -> Need {
        let each = plan.each().map(|(product, want, sums)| (product, units(want, sums)));
        Need(each.filter(|(_, units)| *units > 0).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, product: i64) -> i64 {
        self.0.get(&product).copied().unwrap_or(0)
    }

    fn left(&mut self, product: i64) -> &mut i64 {
        self.0.entry(product).or_insert(0)
    }

    fn told(&self, plan: &Plan<'_>, why: &str) -> String {
        let units: Vec<String> = self
            .0
            .iter()
            .map(|(product, units)| format!("{units} of `{}`", plan.wants[product].code))
            .collect();
        format!("{} {why}", units.join(", "))
    }
}

/// Tells whether its goods have not left, so that it can be cancelled.
fn is_open(shipment: &Shipment) -> bool {
    shipment.state < ShipmentState::Shipped
}

/// Returns the open moves of `sale` in `shipment`, with their lines.
fn ours<'a>(sale: &'a Sale, shipment: &'a Shipment) -> impl Iterator<Item = (&'a Line, &'a Move)> {
    let moves = sale.lines.iter().flat_map(|line| line.moves.iter().map(move |m| (line, m)));
    moves.filter(|(_, m)| m.state.is_open() && m.shipment == Some(shipment.id))
}

fn go(calls: Vec<Call>) -> Option<Step> {
    if calls.is_empty() { None } else { Some(Step::Go(calls)) }
}
