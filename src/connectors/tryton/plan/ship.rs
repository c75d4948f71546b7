//! Bringing shipments to the point where their goods have left.

use crate::connectors::tryton::{
    books::{Move, Sale, Shipment, ShipmentState},
    plan::{Button, Call, Need, On, Plan, Step, Want, go, ours},
};

impl Plan<'_> {
    /// Lets Tryton plan anew what is to be picked, where units were taken out of a shipment but the button after it
    /// did not follow. Else a person would pick, and ship, what was cancelled.
    pub(super) fn stale_picks(&self) -> Option<Step> {
        self.processed().find_map(|sale| {
            let shipment = sale.shipments.iter().find(|shipment| {
                let planned = matches!(shipment.state, ShipmentState::Waiting | ShipmentState::Assigned);
                planned
                    && ours(sale, shipment).any(|(_, m)| {
                        let picks = shipment.picks.iter().filter(|p| p.of == Some(m.id) && p.state.is_open());
                        picks.map(|p| p.quantity).sum::<i64>() > m.quantity
                    })
            })?;
            go(vec![Call::Press(On::Shipment, shipment.id, Button::Wait)])
        })
    }

    pub(super) fn ship(&self) -> Option<Step> {
        let need = Need::of(self, Want::to_ship);
        if need.is_empty() {
            return None;
        }
        let shipment = self.processed().find_map(|sale| self.ship_one(sale, &need));
        let step = shipment.or_else(|| self.replan(&need)).or_else(|| self.restore(&need));
        let why = "cannot be shipped in the ERP: it holds no such open units";
        step.or_else(|| Some(Step::Refuse(need.told(self, why))))
    }

    /// Brings one shipment further, the most advanced first.
    fn ship_one(&self, sale: &Sale, need: &Need) -> Option<Step> {
        let mut shipments: Vec<&Shipment> =
            sale.shipments.iter().filter(|s| s.state < ShipmentState::Done).collect();
        shipments.sort_by_key(|s| (std::cmp::Reverse(s.state), s.id));
        shipments.into_iter().find_map(|shipment| {
            let mut need = need.clone();
            let parts: Vec<Part> = ours(sale, shipment)
                .map(|(line, m)| {
                    let left = need.left(line.product);
                    let wanted = m.quantity.min((*left).max(0));
                    *left -= wanted;
                    Part::new(shipment, m, wanted)
                })
                .collect();
            if parts.iter().all(|part| part.wanted == 0) {
                return None;
            }
            if parts.len() < shipment.outgoing.len() {
                return Some(Step::Refuse(format!(
                    "shipment {} in the ERP also holds goods of other orders; ship it there",
                    shipment.id
                )));
            }
            Some(ship_parts(shipment, &parts))
        })
    }

    /// Plans anew what a posting before this one has taken out of the warehouse's work, and come no further, if it is not to
    /// be cancelled any more.
    pub(super) fn half_cancelled(&self) -> Option<Step> {
        self.restore(&Need::of(self, |want, sums| if want.is_half_cancelled() { sums.loose } else { 0 }))
    }

    /// Plans anew what was cancelled in the warehouse and is shipped after all.
    fn restore(&self, need: &Need) -> Option<Step> {
        self.processed().find_map(|sale| {
            let mut calls = Vec::new();
            for line in sale.lines.iter().filter(|line| need.get(line.product) > 0) {
                let moves: Vec<i64> = line.moves.iter().filter(|m| m.is_loose()).map(|m| m.id).collect();
                if !moves.is_empty() {
                    calls.push(Call::Recreate { line: line.id, moves });
                }
            }
            if calls.is_empty() {
                return None;
            }
            calls.push(Call::Press(On::Sale, sale.id, Button::Process));
            go(calls)
        })
    }
}

/// How much of one outgoing move of a shipment is to leave.
struct Part {
    wanted: i64,
    /// The moves that decide how much leaves, with their quantities: those that bring it to the exit, or itself
    /// where nothing is picked.
    deciding: Vec<(i64, i64)>,
}

impl Part {
    fn new(shipment: &Shipment, m: &Move, wanted: i64) -> Part {
        let picks = shipment.picks.iter().filter(|p| p.of == Some(m.id) && p.state.is_open());
        let deciding = if shipment.direct || shipment.state >= ShipmentState::Picked {
            vec![(m.id, m.quantity)]
        } else {
            picks.map(|p| (p.id, p.quantity)).collect()
        };
        Part { wanted, deciding }
    }

    fn is_set(&self) -> bool {
        self.deciding.iter().map(|(_, quantity)| quantity).sum::<i64>() == self.wanted
    }
}

fn ship_parts(shipment: &Shipment, parts: &[Part]) -> Step {
    let press = |button| Call::Press(On::Shipment, shipment.id, button);
    let presses = |buttons: &[Button]| buttons.iter().copied().map(press).collect();
    let ready = parts.iter().all(Part::is_set);
    match shipment.state {
        ShipmentState::Waiting => {
            let mut calls = Vec::new();
            for part in parts.iter().filter(|part| !part.is_set()) {
                let [(id, _)] = part.deciding[..] else {
                    // Stock was reserved in pieces; this makes it one move again.
                    return Step::Go(presses(&[Button::Wait]));
                };
                calls.push(Call::Resize { id, quantity: part.wanted });
            }
            calls.push(Call::Assign(shipment.id));
            calls.extend(rest(shipment).into_iter().map(press));
            Step::Go(calls)
        }
        ShipmentState::Assigned if ready => Step::Go(presses(&rest(shipment))),
        ShipmentState::Draft | ShipmentState::Assigned => Step::Go(presses(&[Button::Wait])),
        ShipmentState::Picked if ready => Step::Go(presses(&[Button::Pack, Button::Do])),
        ShipmentState::Packed | ShipmentState::Shipped if ready => Step::Go(presses(&[Button::Do])),
        ShipmentState::Picked | ShipmentState::Packed | ShipmentState::Shipped => Step::Refuse(format!(
            "shipment {} in the ERP is picked with more units than were shipped; correct it there",
            shipment.id
        )),
        ShipmentState::Done | ShipmentState::Cancelled => Step::Done,
    }
}

/// The buttons of a shipment whose stock is reserved.
fn rest(shipment: &Shipment) -> Vec<Button> {
    let pick = if shipment.direct { None } else { Some(Button::Pick) };
    pick.into_iter().chain([Button::Pack, Button::Do]).collect()
}
