//! The plan against a small Tryton that behaves as the real one was seen to (docs/CONNECTORS.md).

use proptest::prelude::*;

use super::*;
use crate::{
    connectors::tryton::books::{Fate, Goods, Internal, InternalState, MoveState, Pick, Receipt},
    model::{IdKind, Identifiers, LocationId, PostingLine, Quantity, Told},
};

mod lost;
mod moves;
mod people;

/// Just enough of Tryton: sales, shipments and moves, with its rules of what may be done when.
#[derive(Debug, Clone, Default)]
struct Mini {
    books: Books,
    last_id: i64,
    /// The warehouse ships from where it stores.
    direct: bool,
    /// It has nothing in store, by its books.
    bare: bool,
}

/// Tryton refuses; nothing was done.
#[derive(Debug, PartialEq)]
struct Refused;

impl Mini {
    fn id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    fn apply(&mut self, call: &Call) -> Result<(), Refused> {
        match call {
            Call::CreateSale { name, lines, .. } => {
                let lines = lines
                    .iter()
                    .map(|(product, units)| Line {
                        id: self.id(),
                        product: *product,
                        quantity: units.abs(),
                        moves: Vec::new(),
                    })
                    .collect();
                let id = self.id();
                let (shipments, receipts) = (Vec::new(), Vec::new());
                let (name, state) = (*name, SaleState::Draft);
                self.books.sales.push(Sale { id, name, state, exception: false, lines, shipments, receipts });
                Ok(())
            }
            Call::CreateInternal { name, lines } => {
                let goods =
                    lines.iter().map(|&(product, quantity)| Goods { id: self.id(), product, quantity });
                let (goods, id, state) = (goods.collect(), self.id(), InternalState::Draft);
                self.books.internals.push(Internal { id, name: *name, state, goods });
                Ok(())
            }
            Call::Press(On::Sale, id, button) => self.press_sale(*id, *button),
            Call::Press(On::Shipment, id, button) => self.press_shipment(*id, *button),
            Call::Press(On::Receipt, id, button) => self.press_receipt(*id, *button),
            Call::Press(On::Internal, id, button) => self.press_internal(*id, *button),
            Call::Assign(id) => self.press_shipment(*id, Button::AssignForce),
            Call::Resize { id, quantity } => self.resize(*id, *quantity),
            Call::Ignore { line, moves } => self.decide(*line, moves, Fate::Ignored),
            Call::Recreate { line, moves } => self.decide(*line, moves, Fate::Recreated),
        }
    }

    fn sale(&mut self, id: i64) -> &mut Sale {
        self.books.sales.iter_mut().find(|sale| sale.id == id).expect("the sale exists")
    }

    fn press_sale(&mut self, id: i64, button: Button) -> Result<(), Refused> {
        let sale = self.sale(id);
        match (sale.state, button) {
            (SaleState::Draft, Button::Quote) => sale.state = SaleState::Quotation,
            (SaleState::Quotation, Button::Confirm) => {
                sale.state = SaleState::Processing;
                self.process(id);
            }
            (SaleState::Processing, Button::Process) => self.process(id),
            (SaleState::Draft | SaleState::Quotation, Button::Cancel) => sale.state = SaleState::Cancelled,
            _ => return Err(Refused),
        }
        Ok(())
    }

    /// Plans what has no move, and shows what waits for a decision.
    fn process(&mut self, id: i64) {
        let (shipment, direct) = (self.id(), self.direct);
        let sale = self.sale(id).clone();
        let mut moves = Vec::new();
        for line in sale.lines.iter().filter(|line| line.unplanned() > 0) {
            let id = self.id();
            let of = if sale.name.kind == Kind::Sale { Some(shipment) } else { None };
            let (state, quantity, fate) = (MoveState::Draft, line.unplanned(), Fate::Undecided);
            moves.push((line.id, Move { id, state, quantity, shipment: of, fate }));
        }
        let sale = self.sale(id);
        for (line, m) in &moves {
            sale.lines.iter_mut().find(|l| l.id == *line).expect("its own").moves.push(m.clone());
        }
        sale.exception = sale.lines.iter().any(|line| line.moves.iter().any(Move::is_loose));
        if moves.is_empty() {
            return;
        }
        match sale.name.kind {
            Kind::Sale => {
                let outgoing = moves.iter().map(|(_, m)| m.id).collect();
                let (state, picks) = (ShipmentState::Waiting, Vec::new());
                sale.shipments.push(Shipment { id: shipment, state, direct, outgoing, picks });
                self.press_shipment(shipment, Button::Wait).expect("it is waiting");
            }
            Kind::Return | Kind::Undo => {
                sale.receipts.push(Receipt { id: shipment, state: ReceiptState::Draft })
            }
            Kind::WriteOff | Kind::Found | Kind::Gone => unreachable!("an internal shipment is no sale"),
        }
    }

    fn press_shipment(&mut self, id: i64, button: Button) -> Result<(), Refused> {
        use ShipmentState as S;
        let at = self.books.sales.iter().position(|sale| sale.shipments.iter().any(|s| s.id == id));
        let at = at.expect("the shipment exists");
        let mut sale = self.books.sales[at].clone();
        let n = sale.shipments.iter().position(|s| s.id == id).expect("just found");
        let mut shipment = sale.shipments[n].clone();
        let direct = shipment.direct;
        match (shipment.state, button) {
            (S::Draft | S::Waiting | S::Assigned, Button::Wait) => {
                shipment.state = S::Waiting;
                let moves = ours(&sale, &shipment).filter(|(_, m)| m.quantity > 0 && !direct);
                let picks = moves.map(|(_, m)| Pick {
                    id: m.id + 1_000_000,
                    state: MoveState::Draft,
                    quantity: m.quantity,
                    of: Some(m.id),
                });
                shipment.picks = picks.collect();
            }
            (S::Waiting, Button::AssignForce) => shipment.state = S::Assigned,
            (S::Assigned, Button::Pick) if !direct => {
                shipment.state = S::Picked;
                let picks = shipment.picks.clone();
                each_move(&mut sale, id, |m| {
                    let of_it = picks.iter().filter(|p| p.of == Some(m.id));
                    m.quantity = of_it.map(|p| p.quantity).sum();
                });
            }
            (S::Picked, Button::Pack) => shipment.state = S::Packed,
            (S::Assigned, Button::Pack) if direct => shipment.state = S::Packed,
            (S::Packed, Button::Do) => {
                shipment.state = S::Done;
                each_move(&mut sale, id, |m| m.state = MoveState::Done);
            }
            (S::Draft | S::Waiting | S::Assigned | S::Picked | S::Packed, Button::Cancel) => {
                shipment.state = S::Cancelled;
                each_move(&mut sale, id, |m| m.state = MoveState::Cancelled);
            }
            _ => return Err(Refused),
        }
        if shipment.state == S::Packed {
            // Tryton deletes moves of nothing.
            for line in &mut sale.lines {
                line.moves.retain(|m| m.shipment != Some(id) || m.quantity > 0);
            }
        }
        shipment.outgoing = ours(&sale, &shipment).map(|(_, m)| m.id).collect();
        let left = matches!(shipment.state, S::Done | S::Cancelled);
        sale.shipments[n] = shipment;
        let sale_id = sale.id;
        self.books.sales[at] = sale;
        if left {
            self.process(sale_id);
        }
        Ok(())
    }

    fn press_receipt(&mut self, id: i64, button: Button) -> Result<(), Refused> {
        let holds = |sale: &&mut Sale| sale.receipts.iter().any(|r| r.id == id);
        let sale = self.books.sales.iter_mut().find(holds).expect("the receipt exists");
        let receipt = sale.receipts.iter_mut().find(|r| r.id == id).expect("just found");
        receipt.state = match (receipt.state, button) {
            (ReceiptState::Draft, Button::Receive) => ReceiptState::Received,
            (ReceiptState::Received, Button::Do) => ReceiptState::Done,
            _ => return Err(Refused),
        };
        for m in sale.lines.iter_mut().flat_map(|line| &mut line.moves) {
            m.state = MoveState::Done;
        }
        Ok(())
    }

    fn press_internal(&mut self, id: i64, button: Button) -> Result<(), Refused> {
        use InternalState as S;
        let bare = self.bare;
        let internal = self.books.internals.iter_mut().find(|i| i.id == id).expect("it exists");
        internal.state = match (internal.state, button) {
            (S::Draft | S::Waiting | S::Assigned, Button::Wait) => S::Waiting,
            (S::Waiting, Button::AssignTry) if bare && internal.name.kind != Kind::Found => {
                return Err(Refused);
            }
            (S::Waiting, Button::AssignTry) => S::Assigned,
            (S::Assigned, Button::Do) => S::Done,
            (S::Draft | S::Waiting | S::Assigned, Button::Cancel) => S::Cancelled,
            _ => return Err(Refused),
        };
        Ok(())
    }

    fn resize(&mut self, id: i64, quantity: i64) -> Result<(), Refused> {
        for internal in &mut self.books.internals {
            if let Some(goods) = internal.goods.iter_mut().find(|goods| goods.id == id) {
                if !matches!(internal.state, InternalState::Draft | InternalState::Waiting) {
                    return Err(Refused);
                }
                goods.quantity = quantity;
                return Ok(());
            }
        }
        let shipments = self.books.sales.iter_mut().flat_map(|sale| &mut sale.shipments);
        for shipment in shipments {
            if let Some(pick) = shipment.picks.iter_mut().find(|pick| pick.id == id) {
                if shipment.state != ShipmentState::Waiting {
                    return Err(Refused);
                }
                pick.quantity = quantity;
                return Ok(());
            }
        }
        let lines = self.books.sales.iter_mut().flat_map(|sale| &mut sale.lines);
        let m = lines.flat_map(|line| &mut line.moves).find(|m| m.id == id).expect("the move exists");
        if !m.state.is_open() {
            return Err(Refused);
        }
        m.quantity = quantity;
        Ok(())
    }

    fn decide(&mut self, line: i64, moves: &[i64], fate: Fate) -> Result<(), Refused> {
        let mut lines = self.books.sales.iter_mut().flat_map(|sale| &mut sale.lines);
        let line = lines.find(|l| l.id == line).expect("the line exists");
        for m in line.moves.iter_mut().filter(|m| moves.contains(&m.id)) {
            if m.state != MoveState::Cancelled {
                return Err(Refused);
            }
            m.fate = fate;
        }
        Ok(())
    }

    fn shelf(&self) -> i64 {
        self.shelf_of(7)
    }

    /// Units that came onto the shelf, less those that left it.
    fn shelf_of(&self, product: i64) -> i64 {
        let sums = self.books.sums(product);
        sums.returned + sums.undone_back - sums.fulfilled - sums.written_off
    }

    /// What it holds, without the units that were sold once more.
    fn held(&self) -> Totals {
        let (held, sums) = (self.books.totals(7), self.books.sums(7));
        Totals { ordered: Quantity::new(sums.ordered - sums.undone), ..held }
    }

    /// What two requests to plan one sale at once lead to: everything is planned a second time.
    fn plan_twice(&mut self, sale: i64) {
        let kept = self.sale(sale).clone();
        for line in &mut self.sale(sale).lines {
            line.moves.clear();
        }
        let planned_before = kept.shipments.len();
        self.process(sale);
        let doubled = self.sale(sale);
        assert!(doubled.shipments.len() > planned_before || doubled.lines.iter().all(|l| l.quantity == 0));
        for (line, old) in doubled.lines.iter_mut().zip(kept.lines) {
            line.moves.splice(0..0, old.moves);
        }
    }
}

fn each_move(sale: &mut Sale, shipment: i64, mut change: impl FnMut(&mut Move)) {
    for m in sale.lines.iter_mut().flat_map(|line| &mut line.moves) {
        if m.shipment == Some(shipment) && m.state.is_open() {
            change(m);
        }
    }
}

/// What a posting tells, by product.
type Lines = BTreeMap<i64, PostingLine>;

/// `ordered released written_off fulfilled returned` of the product 7. Nothing is acknowledged.
fn wants(units: [i64; 5]) -> Lines {
    BTreeMap::from([(7, line(totals(units), totals(units), None))])
}

/// The same, after another target was reached, or this one.
fn wants_after(told: [i64; 5], units: [i64; 5]) -> Lines {
    BTreeMap::from([(7, line(totals(units), totals(told), Some(totals(told))))])
}

fn line(target: Totals, told: Totals, acked: Option<Totals>) -> PostingLine {
    PostingLine {
        ids: Identifiers::new([(IdKind::Sku, "TEE")]).expect("a code"),
        location: LocationId::new("main").expect("a name"),
        target,
        told: told.most(target),
        acked,
        unanswered: Vec::new(),
    }
}

/// As [`super::next`], for what a posting tells.
fn next(books: &Books, lines: &Lines, sequence: u32) -> Step {
    let wants = lines.iter().map(|(product, line)| (*product, Want::new("TEE", line, sequence)));
    super::next(books, &wants.collect(), sequence)
}

fn totals(units: [i64; 5]) -> Totals {
    let [ordered, released, written_off, fulfilled, returned] = units.map(Quantity::new);
    Totals { ordered, released, written_off, fulfilled, returned }
}

/// Follows the plan until it is done, and returns how many requests that took.
#[track_caller]
fn follow(mini: &mut Mini, wants: &Lines, sequence: u32) -> usize {
    let mut requests = 0;
    for _ in 0..100 {
        match next(&mini.books, wants, sequence) {
            Step::Done => return requests,
            Step::Go(calls) => {
                for call in calls {
                    requests += 1;
                    if mini.apply(&call).is_err() {
                        break;
                    }
                }
            }
            step @ (Step::Wait { .. } | Step::Refuse(_)) => panic!("{step:?} with {:#?}", mini.books),
        }
    }
    panic!("no end: {:#?} of {:#?}", next(&mini.books, wants, sequence), mini.books);
}

/// Posts each target in turn. `requests` are those of the last one.
#[track_caller]
fn check(targets: &[[i64; 5]], requests: usize) {
    for direct in [false, true] {
        let mut mini = Mini { direct, ..Mini::default() };
        let (mut last, mut told) = (0, [0; 5]);
        for (n, target) in (1..).zip(targets) {
            let wants = wants_after(told, *target);
            last = follow(&mut mini, &wants, n);
            assert_eq!(mini.held(), totals(*target), "{target:?}, direct: {direct}");
            assert_eq!(mini.shelf(), target[4] - target[3] - target[2], "{target:?}, direct: {direct}");
            told = *target;
            assert!(mini.books.sales.iter().all(|sale| !sale.exception), "{target:?}");
        }
        // A shipment takes one request less where nothing is picked.
        let fulfilled = |n: usize| targets.len().checked_sub(n).map_or(0, |n| targets[n][3]);
        let saved = usize::from(direct && fulfilled(1) > fulfilled(2));
        assert_eq!(last, requests - saved, "direct: {direct}");
    }
}

#[test]
fn a_target_is_reached_with_the_fewest_requests() {
    check(&[[5, 0, 0, 0, 0]], 3);
    check(&[[5, 0, 0, 0, 0], [5, 0, 0, 0, 0]], 0);
    // What comes back of a sale that Tryton was never told of.
    check(&[[0, 0, 0, 0, 2]], 5);
    check(&[[5, 0, 0, 0, 0], [5, 0, 0, 5, 0]], 4);
    check(&[[5, 0, 0, 0, 0], [5, 0, 0, 2, 0]], 5);
    check(&[[5, 0, 0, 2, 0], [5, 0, 0, 5, 0]], 4);
    check(&[[5, 0, 0, 0, 0], [5, 5, 0, 0, 0]], 3);
    check(&[[5, 0, 0, 0, 0], [5, 2, 0, 0, 0]], 6);
    check(&[[5, 0, 0, 2, 0], [5, 3, 0, 2, 0]], 3);
    check(&[[5, 5, 0, 0, 0]], 2);
    check(&[[5, 0, 0, 5, 0], [5, 0, 0, 5, 2]], 5);
    check(&[[5, 5, 0, 0, 0], [5, 4, 1, 0, 0]], 4);
    check(&[[2, 0, 0, 0, 0], [5, 0, 0, 0, 0]], 3);
}

#[test]
fn what_was_shipped_and_is_not_any_more_comes_back_and_is_sold_once_more() {
    check(&[[2, 0, 0, 2, 0], [2, 0, 0, 0, 0]], 8);
    check(&[[2, 0, 0, 2, 0], [2, 0, 0, 1, 0], [2, 0, 0, 1, 0]], 0);
    check(&[[2, 0, 0, 2, 0], [2, 0, 0, 0, 0], [2, 0, 0, 2, 0]], 4);
    check(&[[2, 0, 0, 2, 0], [2, 0, 0, 0, 0], [2, 0, 0, 2, 0], [2, 0, 0, 0, 0]], 8);
    check(&[[2, 0, 0, 2, 0], [2, 2, 0, 0, 0]], 7);
    check(&[[2, 0, 0, 2, 1], [2, 0, 0, 1, 1]], 8);
    check(&[[1, 0, 0, 1, 0], [1, 0, 0, 0, 0], [1, 0, 0, 1, 0], [2, 0, 0, 1, 1]], 8);
}

/// A line may be booked at another warehouse for a while: there the units are cancelled, and may come back.
#[test]
fn what_went_elsewhere_and_comes_back_is_sold_anew() {
    for direct in [false, true] {
        let mut mini = Mini { direct, ..Mini::default() };
        let mut told = [0; 5];
        let targets = [[3, 0, 0, 0, 0], [0; 5], [1, 0, 0, 0, 0], [2, 1, 0, 0, 0], [2, 1, 0, 1, 0]];
        for (n, target) in (1..).zip(targets) {
            follow(&mut mini, &wants_after(told, target), n);
            let open = target[0] - target[1] - target[2] - target[3];
            assert_eq!((mini.books.sums(7).open, mini.shelf()), (open, -target[3]), "{target:?}");
            told = target;
        }
    }
}

#[test]
fn what_went_elsewhere_as_a_whole_and_comes_back_as_a_whole_is_sold_anew() {
    for direct in [false, true] {
        let mut mini = Mini { direct, ..Mini::default() };
        let mut told = [0; 5];
        let targets = [3, 0, 3, 1, 4, 0, 4].map(|ordered| [ordered, 0, 0, 0, 0]);
        for (n, target) in (1..).zip(targets) {
            follow(&mut mini, &wants_after(told, target), n);
            assert_eq!(mini.books.sums(7).open, target[0], "{target:?}");
            // What was answered and lost is planned anew from what is there, which is all.
            let again = next(&mini.books, &wants_after(told, target), n + 1);
            assert_eq!(again, Step::Done, "{target:?}");
            told = target;
        }
        assert_eq!(mini.shelf(), 0);
    }
}

#[test]
fn what_a_person_cancels_of_a_sale_stays_cancelled() {
    let mut mini = Mini::default();
    let first = BTreeMap::from([(7, line(totals([3, 0, 0, 0, 0]), totals([0; 5]), None))]);
    follow(&mut mini, &first, 1);
    let shipment = mini.books.sales[0].shipments[0].id;
    mini.apply(&Call::Press(On::Shipment, shipment, Button::Cancel)).expect("it waits");
    let line = mini.books.sales[0].lines[0].clone();
    let moves = line.moves.iter().map(|m| m.id).collect();
    mini.apply(&Call::Ignore { line: line.id, moves }).expect("they are cancelled");
    let sale = mini.books.sales[0].id;
    mini.apply(&Call::Press(On::Sale, sale, Button::Process)).expect("nothing awaits a decision");
    // Whether or not the sale was acknowledged before.
    for wants in [first, wants([3, 0, 0, 0, 0])] {
        assert_eq!((next(&mini.books, &wants, 2), mini.books.sums(7).open), (Step::Done, 0));
    }
}

#[test]
fn what_a_person_ships_ahead_of_us_is_not_taken_back() {
    let mut mini = Mini::default();
    follow(&mut mini, &wants([5, 0, 0, 0, 0]), 1);
    let id = mini.books.sales[0].shipments[0].id;
    for button in [Button::AssignForce, Button::Pick, Button::Pack, Button::Do] {
        mini.press_shipment(id, button).expect("the buttons are in order");
    }
    assert_eq!(follow(&mut mini, &wants([5, 0, 0, 0, 0]), 2), 0);
    assert_eq!(follow(&mut mini, &wants_after([5, 0, 0, 0, 0], [5, 0, 0, 3, 0]), 2), 0);
}

#[test]
fn items_that_the_posting_does_not_name_are_left_alone() {
    let mut mini = Mini::default();
    let name = Name { kind: Kind::Sale, sequence: 1 };
    let create = Call::CreateSale { name, origin: None, lines: vec![(7, 2), (8, 3)] };
    mini.apply(&create).expect("a sale can be made");
    follow(&mut mini, &wants([2, 2, 0, 0, 0]), 2);
    assert_eq!(mini.books.totals(8), totals([3, 0, 0, 0, 0]));
    assert_eq!(mini.books.totals(7), totals([2, 2, 0, 0, 0]));
}

/// Prepares with `before`, then expects the posting of `target` to be refused with `reason`.
#[track_caller]
fn check_refused(before: impl FnOnce(&mut Mini), target: [i64; 5], reason: &str) {
    let mut mini = Mini::default();
    follow(&mut mini, &wants([5, 0, 0, 0, 0]), 1);
    before(&mut mini);
    let step = next(&mini.books, &wants(target), 2);
    let Step::Refuse(got) = step else { panic!("{step:?}, wanted a refusal with `{reason}`") };
    assert!(got.contains(reason), "{got}");
}

#[test]
fn what_only_a_person_can_decide_is_refused_with_a_reason() {
    let press = |buttons: &'static [Button]| {
        move |mini: &mut Mini| {
            let id = mini.books.sales[0].shipments[0].id;
            for button in buttons {
                mini.press_shipment(id, *button).expect("the buttons are in order");
            }
        }
    };
    let picked = press(&[Button::AssignForce, Button::Pick]);
    check_refused(picked, [5, 1, 0, 0, 0], "1 of `TEE` cannot be cancelled");
    check_refused(press(&[Button::AssignForce, Button::Pick]), [5, 0, 0, 1, 0], "picked with more units");
    let shipped = press(&[Button::AssignForce, Button::Pick, Button::Pack, Button::Do]);
    check_refused(shipped, [5, 2, 0, 3, 0], "2 of `TEE` cannot be cancelled");
    check_refused(press(&[Button::Cancel]), [5, 2, 0, 0, 0], "2 of `TEE` cannot be cancelled");
    let taken_off = |mini: &mut Mini| {
        mini.books.sales[0].name.sequence = 2;
        mini.books.sales[0].lines[0].quantity = 4;
    };
    check_refused(taken_off, [5, 0, 0, 0, 0], "`.../s2` in the ERP holds fewer");
    let merged = |mini: &mut Mini| mini.books.sales[0].shipments[0].outgoing.push(99);
    check_refused(merged, [5, 0, 0, 5, 0], "goods of other orders");
    let ignored = |mini: &mut Mini| {
        let id = mini.books.sales[0].shipments[0].id;
        mini.press_shipment(id, Button::Cancel).expect("it waits");
        mini.books.sales[0].lines[0].moves[0].fate = Fate::Ignored;
    };
    check_refused(ignored, [5, 0, 0, 5, 0], "5 of `TEE` cannot be shipped");
}

#[test]
fn a_cancellation_never_frees_more_than_it_is_to() {
    let mut mini = Mini::default();
    follow(&mut mini, &wants([5, 0, 0, 0, 0]), 1);
    let wants = wants([5, 2, 0, 0, 0]);
    while let Step::Go(calls) = next(&mini.books, &wants, 2) {
        for call in calls {
            mini.apply(&call).expect("the plan fits");
            let open: i64 = mini.books.sales[0].lines.iter().map(Line::open).sum();
            assert!(open >= 3, "{call:?} leaves {open} units reserved");
        }
    }
}

#[test]
fn of_doubled_documents_one_is_kept() {
    let name = Name { kind: Kind::Sale, sequence: 1 };
    let create = Call::CreateSale { name, origin: None, lines: vec![(7, 5)] };
    let mut mini = Mini::default();
    for _ in 0..3 {
        mini.apply(&create).expect("a sale can be made");
    }
    let second = mini.books.sales[1].id;
    mini.press_sale(second, Button::Quote).expect("it is a draft");
    follow(&mut mini, &wants([5, 0, 0, 0, 0]), 1);
    let kept = mini.books.sales.iter().filter(|sale| sale.state != SaleState::Cancelled);
    assert_eq!(kept.map(|sale| sale.id).collect::<Vec<_>>(), [second]);
    assert_eq!(mini.books.totals(7), totals([5, 0, 0, 0, 0]));
    // One that lands only now changes nothing.
    mini.apply(&create).expect("a sale can be made");
    assert_eq!(follow(&mut mini, &wants([5, 0, 0, 0, 0]), 1), 1);
    assert_eq!(mini.books.totals(7), totals([5, 0, 0, 0, 0]));

    // Two that count already: the second is cancelled like any units beyond the order.
    let mut mini = Mini::default();
    for n in 0..2 {
        mini.apply(&create).expect("a sale can be made");
        let id = mini.books.sales[n].id;
        for button in [Button::Quote, Button::Confirm] {
            mini.press_sale(id, button).expect("it is a draft");
        }
    }
    follow(&mut mini, &wants([5, 0, 0, 5, 0]), 1);
    assert_eq!(mini.books.totals(7), totals([10, 5, 0, 5, 0]));
}

/// What goes wrong with one request.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    /// It is done, and nobody learns of it.
    LostAnswer,
    /// It is not done, and nobody learns of that either.
    LostRequest,
    /// It is done twice, the second time at the same moment.
    Doubled,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        6 => Just(Trouble::None),
        2 => Just(Trouble::LostAnswer),
        1 => Just(Trouble::LostRequest),
        1 => Just(Trouble::Doubled),
    ]
}

/// Targets of one item, as an order can have them: they grow, but shipments can be undone.
fn targets() -> impl Strategy<Value = Vec<[i64; 5]>> {
    let step = (0..4_i64, 0..3_i64, 0..2_i64, 0..4_i64, 0..2_i64, 0..3_i64);
    prop::collection::vec(step, 1..6).prop_map(|steps| {
        let mut all = Vec::new();
        let mut t = [0_i64; 5];
        for (ordered, released, written_off, fulfilled, returned, undone) in steps {
            t[3] -= undone.min(t[3] - t[4]);
            t[0] += ordered;
            let open = |t: &[i64; 5]| t[0] - t[1] - t[2] - t[3];
            t[3] += fulfilled.min(open(&t));
            t[1] += released.min(open(&t));
            t[2] += written_off.min(open(&t));
            t[4] += returned.min(t[3] - t[4]);
            all.push(t);
        }
        all
    })
}

/// Sends the calls of one step with trouble, as far as the caller would.
fn send(mini: &mut Mini, calls: &[Call], troubles: &mut impl Iterator<Item = Trouble>) {
    for call in calls {
        match troubles.next().unwrap_or(Trouble::None) {
            Trouble::None => {
                if mini.apply(call).is_err() {
                    return;
                }
            }
            Trouble::LostAnswer => {
                let _done = mini.apply(call);
                return;
            }
            Trouble::LostRequest => return,
            Trouble::Doubled => {
                let done = mini.apply(call);
                if matches!(call, Call::CreateSale { .. } | Call::CreateInternal { .. }) {
                    mini.apply(call).expect("nothing stops a second one");
                }
                let plans = matches!(call, Call::Press(On::Sale, _, Button::Confirm | Button::Process));
                if let (Call::Press(_, id, _), true, true) = (call, plans, done.is_ok()) {
                    // Only what this request planned is planned twice; a sale that it planned whole shows that.
                    let sale = mini.sale(*id);
                    if sale.shipments.len() == 1 && sale.lines.iter().all(|l| l.open() == l.quantity) {
                        mini.plan_twice(*id);
                    }
                }
                return;
            }
        }
    }
}

proptest! {
    #[test]
    fn every_target_is_reached_through_any_trouble(
        targets in targets(),
        troubles in prop::collection::vec(trouble(), 0..60),
        direct in any::<bool>(),
    ) {
        let mut mini = Mini { direct, ..Mini::default() };
        let mut troubles = troubles.into_iter();
        let mut told = [0; 5];
        for (n, target) in (1..).zip(&targets) {
            let wants = wants_after(told, *target);
            told = *target;
            let mut steps = 0;
            loop {
                match next(&mini.books, &wants, n) {
                    Step::Done => break,
                    Step::Go(calls) => send(&mut mini, &calls, &mut troubles),
                    step @ (Step::Wait { .. } | Step::Refuse(_)) => {
                        prop_assert!(false, "{step:?} at {target:?} with {:#?}", mini.books);
                    }
                }
                steps += 1;
                prop_assert!(steps < 200, "no end at {target:?} with {:#?}", mini.books);
            }
            prop_assert_eq!(mini.held(), totals(*target));
            prop_assert_eq!(mini.shelf(), target[4] - target[3] - target[2]);
            prop_assert!(mini.books.sales.iter().all(|sale| !sale.exception));
            let sums = mini.books.sums(7);
            let open = target[0] - target[1] - target[2] - target[3];
            prop_assert_eq!(sums.open, open, "with {:#?}", mini.books);
            // A person who picks what is planned picks nothing that was cancelled.
            for shipment in mini.books.sales.iter().flat_map(|sale| &sale.shipments).filter(|s| is_open(s)) {
                let picked: i64 = shipment.picks.iter().map(|pick| pick.quantity).sum();
                prop_assert!(picked <= open, "with {:#?}", mini.books);
            }
        }
    }
}
