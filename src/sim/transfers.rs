//! People who have goods brought from place to place, and tell the daemon: before the goods leave, when they have come, or that they
//! will not. What is not answered is said again, under the same name.
//!
//! They keep to docs/OPERATIONS.md: goods are set apart before the daemon is asked, and the ERP is told; they come to another shelf before
//! that is said, and the ERP is told after it; nobody counts goods of which something was said that is not answered yet.

use crate::{
    core::{
        Command, Refused, Reply,
        intent::{
            Phase,
            ask::{Ask, Receipt, Row, What},
        },
    },
    model::{DeliveryId, Quantity, Seq},
    sim::{
        plan,
        wide::place,
        world::{Event, Then, World},
    },
};

/// A transfer, as the people know it.
#[derive(Debug, Clone)]
pub(super) struct Transfer {
    from: usize,
    to: usize,
    units: i64,
    /// What has left and has not come.
    left: i64,
    travels: bool,
    ask: Ask,
    id: Option<Seq>,
    stage: Stage,
    said: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The daemon was asked, and has not answered.
    Asked,
    /// The goods are on their way.
    OnTheWay,
    /// So many have come, and it was said; the rest is lost, or still comes.
    Come { units: i64, lost: bool },
    /// They are back where they came from, and it was said.
    Back,
    /// All is said; it has to end.
    Ending,
}

fn is_undone(phase: Phase) -> bool {
    matches!(phase, Phase::RollingBack | Phase::RolledBack)
}

/// After how long without an answer something is said again, and how often it is looked how far a transfer is.
const AGAIN: i64 = 30_000;

impl World {
    /// A person wants goods brought to the other place.
    pub(super) fn transfer(&mut self) {
        if self.calm {
            return;
        }
        let next = self.random.about(self.plan.wide.transfers);
        self.after(next, Event::Transfer);
        let (kind, at) = (self.random.below(self.plan.kinds), self.random.below(2));
        let [from, to] = [at, 1 - at].map(|at| self.plan.goods_at(kind, at));
        let units = self.random.between(1, 5).min(self.truth.goods[from].shelf);
        if units < 1 || self.is_pending(from) || self.is_pending(to) {
            return;
        }
        let number = self.number();
        let what = What::Move {
            sku: plan::sku(kind),
            quantity: Quantity::new(units),
            from: place(at),
            to: place(1 - at),
        };
        let travels = self.random.chance(600);
        let ask = Ask {
            rows: vec![Row { line: None, what }],
            travels,
            seen_is_enough: self.random.chance(500),
            until: self.random.chance(200).then(|| crate::model::Timestamp::from_millis(self.now + 120_000)),
            request: Some(format!("transfer {number}")),
            force: self.random.chance(100),
            confirmed: true,
            ..Ask::default()
        };
        let stage = Stage::Asked;
        let transfer = Transfer { from, to, units, left: 0, travels, ask, id: None, stage, said: 0 };
        self.transfers.insert(number, transfer);
        self.tell(|| {
            format!("staff: transfer {number}, {units} of goods {from} to {to}, travels: {travels}")
        });
        self.shelve(from, -units);
        self.erp_moves(from, -units);
        self.say(number);
    }

    /// Tells whether something of these goods is being moved that not everybody knows of: nobody counts them.
    pub(super) fn is_pending(&self, goods: usize) -> bool {
        self.transfers.values().any(|held| match held.stage {
            Stage::Asked => held.from == goods || held.to == goods,
            Stage::Ending if !held.travels => held.from == goods || held.to == goods,
            // The daemon has put them back, and the people have not heard of it.
            Stage::OnTheWay => held.from == goods && self.phase(held).is_some_and(is_undone),
            Stage::Ending => false,
            Stage::Come { .. } => held.to == goods,
            Stage::Back => held.from == goods,
        })
    }

    /// Returns how far the daemon says that a transfer is.
    fn phase(&self, held: &Transfer) -> Option<Phase> {
        Some(self.daemon.durable.intents.get(&held.id?)?.phase)
    }

    /// Says of a transfer what is to be said, or looks how far it is.
    pub(super) fn say(&mut self, number: u64) {
        let Some(held) = self.transfers.get(&number).cloned() else { return };
        self.after(AGAIN, Event::Say(number));
        if self.daemon.read().is_none() {
            return;
        }
        let phase = self.phase(&held);
        let undone = phase.is_some_and(is_undone);
        let id = held.id.unwrap_or_default();
        let command = match held.stage {
            Stage::Asked => Command::Intend(Box::new(held.ask)),
            Stage::OnTheWay if undone => return self.brought_back(number),
            Stage::Ending if undone && !held.travels => return self.brought_back(number),
            Stage::Ending if held.left > 0 && !held.travels => return self.arrive(number, phase),
            Stage::Ending if phase.is_none_or(Phase::ended) => return drop(self.transfers.remove(&number)),
            Stage::OnTheWay | Stage::Ending => return,
            Stage::Come { units, lost } => {
                let quantity = (units > 0).then(|| Quantity::new(units));
                Command::Receive { id, receipt: Receipt { quantity, lost, ..Receipt::default() } }
            }
            Stage::Back => Command::CancelIntent { id },
        };
        let request = DeliveryId::new(&format!("transfer {number}, {}", held.said)).expect("a good id");
        let command = if held.stage == Stage::Asked {
            command
        } else {
            Command::Once { request, command: command.into() }
        };
        self.submit_fact(command, Then::Said(number));
    }

    pub(super) fn said(&mut self, number: u64, reply: &Result<Reply, Refused>) {
        let Some(held) = self.transfers.get(&number).cloned() else { return };
        // The answer may be lost.
        if !self.calm && self.random.chance(self.plan.rates.unheard) {
            return;
        }
        match (held.stage, reply) {
            (Stage::Asked, Ok(Reply::Intent { id, phase, .. })) => {
                self.set_out(number, *id, is_undone(*phase));
            }
            (Stage::Asked, Ok(_) | Err(_)) => {
                self.tell(|| format!("transfer {number} is not made: {reply:?}"));
                self.brought_back(number);
            }
            (Stage::Come { units, .. }, Ok(_)) => {
                self.erp_moves(held.to, units);
                self.go_on(number, if held.left > 0 { Stage::OnTheWay } else { Stage::Ending });
                if held.left > 0 {
                    self.set_out_again(number);
                }
            }
            (Stage::Back, Ok(_)) => {
                self.erp_moves(held.from, held.left);
                self.go_on(number, Stage::Ending);
            }
            // It still lowers what is shown, or went another way: said again, unless it has ended.
            (Stage::Come { .. } | Stage::Back, Err(refused)) => {
                self.tell(|| format!("transfer {number}: {refused}"));
            }
            (Stage::OnTheWay | Stage::Ending, _) => {}
        }
    }

    fn go_on(&mut self, number: u64, stage: Stage) {
        if let Some(held) = self.transfers.get_mut(&number) {
            (held.stage, held.said) = (stage, held.said + 1);
        }
    }

    fn erp_moves(&mut self, goods: usize, units: i64) {
        if units != 0 {
            self.erp.move_by(self.now, goods, units);
        }
    }

    /// Goods are put on a shelf, or taken off it.
    fn shelve(&mut self, goods: usize, units: i64) {
        self.truth.send(self.now, goods, units);
        self.spoil(goods);
    }

    /// The daemon has said yes: the goods leave.
    fn set_out(&mut self, number: u64, id: Seq, undone: bool) {
        if undone {
            return self.brought_back(number);
        }
        let Some(held) = self.transfers.get_mut(&number) else { return };
        (held.id, held.left) = (Some(id), held.units);
        let travels = held.travels;
        self.sent += 1;
        self.go_on(number, if travels { Stage::OnTheWay } else { Stage::Ending });
        if travels {
            self.set_out_again(number);
        } else {
            self.say(number);
        }
    }

    /// Goods that do not travel are put on the other shelf once nothing can bring them back any more.
    fn arrive(&mut self, number: u64, phase: Option<Phase>) {
        if phase == Some(Phase::Lowering) {
            return;
        }
        let Some(held) = self.transfers.get_mut(&number) else { return };
        let (to, units) = (held.to, std::mem::take(&mut held.left));
        self.shelve(to, units);
        self.erp_moves(to, units);
    }

    fn set_out_again(&mut self, number: u64) {
        let wait = self.random.about(self.plan.span / 12);
        self.after(wait, Event::Come(number));
    }

    /// Goods come to where they were sent, or back.
    pub(super) fn come(&mut self, number: u64) {
        let Some(held) = self.transfers.get(&number).cloned() else { return };
        let phase = self.phase(&held);
        if held.stage != Stage::OnTheWay {
            return;
        }
        if phase != Some(Phase::InTransit) {
            // What was rolled back is brought back, see `say`; what is still lowered waits.
            return self.after(AGAIN, Event::Come(number));
        }
        let whole = held.left == held.units;
        if whole && !self.calm && self.random.chance(200) {
            self.tell(|| format!("staff: transfer {number} comes back"));
            self.shelve(held.from, held.left);
            self.go_on(number, Stage::Back);
            return self.say(number);
        }
        let some = self.calm || self.random.chance(850);
        let units = if some { self.random.between(1, held.left) } else { 0 };
        let lost = units == 0 || self.random.chance(200);
        if let Some(held) = self.transfers.get_mut(&number) {
            held.left = if lost { 0 } else { held.left - units };
        }
        self.tell(|| format!("staff: {units} of transfer {number} have come, the rest is lost: {lost}"));
        if units > 0 {
            self.shelve(held.to, units);
        }
        self.go_on(number, Stage::Come { units, lost });
        self.say(number);
    }

    /// The daemon has rolled a transfer back: the goods go back to where they were.
    fn brought_back(&mut self, number: u64) {
        let Some(Transfer { from, units, .. }) = self.transfers.remove(&number) else { return };
        self.tell(|| format!("staff: transfer {number} was rolled back, and so are the goods"));
        self.shelve(from, units);
        self.erp_moves(from, units);
    }
}
