//! Taking units out of Tryton's plans: those cancelled, and those planned twice.

use crate::connectors::tryton::{
    books::{Line, Move, Sale, Shipment, ShipmentState},
    plan::{Button, Call, Need, On, Plan, Step, Want, go, is_open, ours},
};

impl Plan<'_> {
    /// Moves for more units than a line has: two requests to plan it ran at once.
    pub(super) fn surplus(&self) -> Option<Step> {
        self.processed().find_map(|sale| {
            let over = |line: &Line| (-line.unplanned()).max(0);
            let mut calls = Vec::new();
            for line in sale.lines.iter().filter(|line| over(line) > 0) {
                let moves = fitting(line, &mut over(line));
                if !moves.is_empty() {
                    calls.push(Call::Recreate { line: line.id, moves });
                }
            }
            if !calls.is_empty() {
                calls.push(Call::Press(On::Sale, sale.id, Button::Process));
                return go(calls);
            }
            let extra = sale.shipments.iter().rev().find(|shipment| {
                is_open(shipment)
                    && whole(sale, shipment, |line, m| m.quantity > 0 && m.quantity <= over(line))
            })?;
            go(vec![Call::Press(On::Shipment, extra.id, Button::Cancel)])
        })
    }

    pub(super) fn cancel(&self) -> Option<Step> {
        let need = Need::of(self, Want::to_cancel);
        if need.is_empty() {
            return None;
        }
        let step = self.ignore(&need).or_else(|| self.replan(&need));
        let step = step.or_else(|| self.cancel_shipment(&need)).or_else(|| self.shrink(&need));
        let step = step.or_else(|| self.half_cancelled());
        let why = "cannot be cancelled in the ERP: shipped, picked together with others, or in a shipment that was \
                   cancelled there and awaits a decision";
        step.or_else(|| Some(Step::Refuse(need.told(self, why))))
    }

    /// Decides cancelled moves that fit into what is to be cancelled.
    fn ignore(&self, need: &Need) -> Option<Step> {
        let mut need = need.clone();
        self.processed().find_map(|sale| {
            let mut calls = Vec::new();
            for line in &sale.lines {
                let moves = fitting(line, need.left(line.product));
                if !moves.is_empty() {
                    calls.push(Call::Ignore { line: line.id, moves });
                }
            }
            if calls.is_empty() {
                return None;
            }
            calls.push(Call::Press(On::Sale, sale.id, Button::Process));
            go(calls)
        })
    }

    /// Cancels a shipment of which no unit is to be shipped. The newest first: less has been done for it.
    fn cancel_shipment(&self, need: &Need) -> Option<Step> {
        self.processed().rev().find_map(|sale| {
            let shipment = sale.shipments.iter().rev().filter(|s| is_open(s)).find(|shipment| {
                let mut need = need.clone();
                whole(sale, shipment, |line, m| {
                    let left = need.left(line.product);
                    *left -= m.quantity;
                    *left >= 0
                })
            })?;
            go(vec![Call::Press(On::Shipment, shipment.id, Button::Cancel)])
        })
    }

    /// Takes units out of a shipment that keeps others. Tryton plans what was taken out as a shipment of its own,
    /// which can be cancelled whole. In between, no unit is free that is not to be.
    fn shrink(&self, need: &Need) -> Option<Step> {
        self.processed().rev().find_map(|sale| {
            sale.shipments.iter().rev().filter(|s| s.state <= ShipmentState::Assigned).find_map(|shipment| {
                let mut need = need.clone();
                let mut calls = Vec::new();
                for (line, m) in ours(sale, shipment) {
                    let left = need.left(line.product);
                    let taken = m.quantity.min(*left);
                    if taken > 0 {
                        *left -= taken;
                        calls.push(Call::Resize { id: m.id, quantity: m.quantity - taken });
                    }
                }
                if calls.is_empty() {
                    return None;
                }
                let wait = Call::Press(On::Shipment, shipment.id, Button::Wait);
                if shipment.state == ShipmentState::Assigned {
                    calls.insert(0, wait.clone());
                }
                calls.extend([wait, Call::Press(On::Sale, sale.id, Button::Process)]);
                go(calls)
            })
        })
    }
}

/// Tells whether `all` holds for every open move in the shipment, and all of them are the sale's own.
fn whole(sale: &Sale, shipment: &Shipment, mut all: impl FnMut(&Line, &Move) -> bool) -> bool {
    let mut count = 0;
    let ours = ours(sale, shipment).all(|(line, m)| {
        count += 1;
        all(line, m)
    });
    ours && count > 0 && count == shipment.outgoing.len()
}

/// Takes the undecided moves of a line that fit into `left`, which is lowered by them.
fn fitting(line: &Line, left: &mut i64) -> Vec<i64> {
    let mut moves = Vec::new();
    for m in line.moves.iter().filter(|m| m.is_loose()) {
        if m.quantity <= *left {
            *left -= m.quantity;
            moves.push(m.id);
        }
    }
    moves
}
