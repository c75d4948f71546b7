//! Whatever happens meanwhile, an intent is made whole or leaves nothing behind: limits and units at each place are compared
//! with what was asked, after every step and at the end.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::core::{
    command::{DeadLetter, Verdict},
    intent::{Step, Way},
};

const SKUS: [&str; 2] = ["A", "B"];
const CHANNELS: [&str; 2] = [SHOP, AMZ];
/// What lies in the warehouse and in the store to begin with, of each SKU.
const OPENING: [i64; 2] = [10, 2];

/// One row of what a person asks.
#[derive(Debug, Clone)]
enum Wish {
    Set(usize, usize, Option<i64>),
    Shift(usize, i64, bool),
    Go(usize, i64),
}

#[derive(Debug, Clone)]
enum Op {
    Buy(usize, usize, i64),
    Ask { wishes: Vec<Wish>, travels: bool, seen: bool, hurry: bool },
    Receive(i64, bool),
    Cancel,
    Lane(usize, u8),
    Feed(usize),
    Verdict(usize, usize, bool),
    Wait(i64),
    Crash(Option<usize>),
}

fn any_wish() -> impl Strategy<Value = Wish> {
    prop_oneof![
        2 => (0..2_usize, 0..2_usize, prop::option::weighted(0.8, 0..13_i64)).prop_map(|(s, c, n)| Wish::Set(s, c, n)),
        2 => (0..2_usize, 1..5_i64, any::<bool>()).prop_map(|(s, n, back)| Wish::Shift(s, n, back)),
        2 => (0..2_usize, 1..5_i64).prop_map(|(s, n)| Wish::Go(s, n)),
    ]
}

fn any_op() -> impl Strategy<Value = Op> {
    let ask =
        (prop::collection::vec(any_wish(), 1..4), any::<bool>(), any::<bool>(), prop::bool::weighted(0.2));
    prop_oneof![
        3 => (0..2_usize, 0..2_usize, 1..4_i64).prop_map(|(s, c, n)| Op::Buy(s, c, n)),
        6 => ask.prop_map(|(wishes, travels, seen, hurry)| Op::Ask { wishes, travels, seen, hurry }),
        2 => (1..5_i64, any::<bool>()).prop_map(|(n, lost)| Op::Receive(n, lost)),
        1 => Just(Op::Cancel),
        12 => (0..2_usize, 0..8_u8).prop_map(|(c, luck)| Op::Lane(c, luck)),
        4 => (0..2_usize).prop_map(Op::Feed),
        1 => (0..2_usize, 0..2_usize, any::<bool>()).prop_map(|(s, c, again)| Op::Verdict(s, c, again)),
        6 => prop::sample::select(vec![1, 300, 2_500, 20_000, 300_000]).prop_map(Op::Wait),
        2 => prop::option::of(0..2_usize).prop_map(Op::Crash),
    ]
}

/// One thing that an intent changes, by what was asked and what was there before.
#[derive(Debug, Clone)]
enum Change {
    Limit { at: (usize, usize), after: Option<i64> },
    Units { of: usize, units: i64, received: i64, lost: i64 },
}

/// What is in effect: limits by SKU and channel, on hand and incoming by SKU and place.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Effect {
    limits: BTreeMap<(usize, usize), i64>,
    stock: [[[i64; 2]; 2]; 2],
}

impl Effect {
    fn opening() -> Effect {
        let [wh, store] = OPENING;
        Effect { limits: BTreeMap::new(), stock: [[[wh, 0], [store, 0]]; 2] }
    }

    /// Takes in one change: all of it, or the half that can be undone.
    fn take(&mut self, change: &Change, whole: bool) {
        match change {
            Change::Limit { at, after } => {
                let before = self.limits.get(at).copied();
                let falls = after.is_some_and(|after| before.is_none_or(|before| after < before));
                if whole || falls {
                    self.limits.remove(at);
                    self.limits.extend(after.map(|after| (*at, after)));
                }
            }
            Change::Units { of, units, received, lost } => {
                let [[wh, _], [on_hand, incoming]] = &mut self.stock[*of];
                *wh -= units;
                *on_hand += if whole { units - lost } else { *received };
                *incoming += if whole { 0 } else { units - received - lost };
            }
        }
    }
}

/// A world that is told things, and what must have come of them.
struct Trial {
    world: World,
    orders: u32,
    asked: BTreeMap<Seq, Vec<Change>>,
    /// Nothing that could undo an intent has happened.
    spared: bool,
}

impl Trial {
    fn step(&mut self, op: &Op) {
        let last = self.world.state.intents.keys().next_back().copied();
        match op {
            Op::Buy(of, c, units) => self.buy(SKUS[*of], CHANNELS[*c], *units),
            Op::Ask { wishes, travels, seen, hurry } => self.ask(wishes, *travels, *seen, *hurry),
            Op::Receive(n, lost) => {
                let travel = self.world.state.intents.iter().rfind(|(_, i)| i.phase == Phase::InTransit);
                let Some(id) = travel.map(|(id, _)| *id) else { return };
                self.receive(id, Some(*n), *lost);
            }
            Op::Cancel => {
                self.spared = false;
                last.into_iter().for_each(|id| self.told(Command::CancelIntent { id }));
            }
            Op::Lane(c, luck) => {
                let luck = match luck {
                    0 => says_no(),
                    1 => Luck::Lost,
                    2 => Luck::Unheard,
                    3 => Luck::Late(7_000),
                    _ => Luck::Fine,
                };
                self.spared &= luck != says_no();
                self.world.lane(CHANNELS[*c], &mut || luck.clone());
            }
            Op::Feed(c) => self.world.feed(CHANNELS[*c]),
            Op::Verdict(of, c, again) => {
                let verdict = if *again { Verdict::Retry } else { Verdict::Discard };
                self.verdict(SKUS[*of], CHANNELS[*c], verdict);
            }
            Op::Wait(millis) => {
                self.world.now += millis;
                self.told(Command::Tick);
            }
            Op::Crash(taken) => {
                // What was under way is not heard of again; whether it arrived is not known.
                if let Some(c) = taken {
                    drop(self.world.take(CHANNELS[*c]));
                }
                self.world.restart();
            }
        }
        self.check();
    }

    /// Says something that may be refused, as things stand.
    fn told(&mut self, command: Command) {
        drop(self.world.run(command));
    }

    fn buy(&mut self, of: &str, channel: &str, units: i64) {
        self.world.land(channel);
        let units = units.min(self.world.shows(of, channel));
        if units > 0 {
            self.orders += 1;
            self.world.sell(channel, &format!("o{}", self.orders), of, units);
        }
    }

    fn verdict(&mut self, of: &str, channel: &str, verdict: Verdict) {
        let letter = DeadLetter::Leg(self.world.listing(of, channel));
        self.told(Command::Dead { letter, verdict });
    }

    /// Returns what a wish changes, by what is in effect and what is shown.
    fn changes(&self, wish: &Wish) -> Vec<Change> {
        let limits = self.effect().limits;
        let most = |at: (usize, usize)| {
            let shown = self.world.held(SKUS[at.0], CHANNELS[at.1]).leg.as_ref();
            limits.get(&at).copied().or(shown.map(|leg| leg.quantity.units())).unwrap_or_default()
        };
        match wish {
            Wish::Set(of, c, after) => vec![Change::Limit { at: (*of, *c), after: *after }],
            Wish::Shift(of, n, back) => {
                let (from, to) = ((*of, usize::from(*back)), (*of, usize::from(!*back)));
                let limit = |at, after| Change::Limit { at, after: Some(after) };
                vec![limit(from, most(from) - n), limit(to, most(to) + n)]
            }
            Wish::Go(of, n) => vec![Change::Units { of: *of, units: *n, received: 0, lost: 0 }],
        }
    }

    fn ask(&mut self, wishes: &[Wish], travels: bool, seen_is_enough: bool, hurry: bool) {
        let row = |wish: &Wish| match wish {
            Wish::Set(of, c, most) => set(SKUS[*of], CHANNELS[*c], *most),
            Wish::Shift(of, n, back) => {
                shift(SKUS[*of], *n, CHANNELS[usize::from(*back)], CHANNELS[usize::from(!*back)])
            }
            Wish::Go(of, n) => go(SKUS[*of], *n),
        };
        let changes: Vec<Change> = wishes.iter().flat_map(|wish| self.changes(wish)).collect();
        let until = hurry.then(|| ms(self.world.now + 5_000));
        let rows = wishes.iter().map(row).collect();
        let wanted = Ask { travels, seen_is_enough, until, confirmed: true, ..ask(rows) };
        if let Ok(Reply::Intent { id, .. }) = self.world.run(Command::Intend(Box::new(wanted))) {
            self.asked.insert(id, changes);
            self.spared &= !hurry;
        }
    }

    /// Takes in units of an intent that travels: `units` of the first SKU that is on its way, or all of them.
    fn receive(&mut self, id: Seq, units: Option<i64>, lost: bool) {
        let way = |change: &Change| match change {
            Change::Units { of, units, received, lost } => Some((*of, units - received - lost)),
            Change::Limit { .. } => None,
        };
        let changes = &self.asked[&id];
        let Some((first, _)) = changes.iter().filter_map(way).find(|(_, left)| *left > 0) else { return };
        let receipt =
            Receipt { sku: Some(sku(SKUS[first])), quantity: units.map(q), lost, ..Receipt::default() };
        if self.world.run(Command::Receive { id, receipt }).is_err() {
            return;
        }
        // What is received of one SKU fills its lines in order.
        let mut came = units.unwrap_or(if lost { 0 } else { i64::MAX });
        for change in self.asked.get_mut(&id).into_iter().flatten() {
            let left = way(change).filter(|(of, _)| *of == first).map_or(0, |(_, left)| left);
            if let Change::Units { received, lost: gone, .. } = change {
                let here = came.min(left);
                came -= here;
                *received += here;
                *gone += if lost { left - here } else { 0 };
            }
        }
    }

    /// Returns what must be in effect: all that was asked by intents that are made, nothing of those that are undone, and of
    /// the others what can be taken back.
    fn effect(&self) -> Effect {
        let mut effect = Effect::opening();
        for (id, changes) in &self.asked {
            let whole = match phase(&self.world, *id) {
                Phase::Raising | Phase::Done => true,
                Phase::Lowering | Phase::InTransit => false,
                Phase::RollingBack | Phase::RolledBack => continue,
            };
            changes.iter().for_each(|change| effect.take(change, whole));
        }
        effect
    }

    /// Returns what is in effect.
    fn found(&self) -> Effect {
        let all = (0..2).flat_map(|of| (0..2).map(move |c| (of, c)));
        let limits = all.filter_map(|(of, c)| Some(((of, c), allotted(&self.world, SKUS[of], CHANNELS[c])?)));
        Effect { limits: limits.collect(), stock: SKUS.map(|of| stock(&self.world, of)) }
    }

    /// All is as it was asked or as it was, nothing rises before it has fallen, and what is on its way is known.
    fn check(&self) {
        assert_eq!(self.found(), self.effect(), "{:#?}", self.world.state.intents);
        assert!(self.world.state.intents.keys().eq(self.asked.keys()));
        for (id, intent) in &self.world.state.intents {
            let fallen =
                intent.legs.iter().filter(|leg| leg.way == Way::Lower).all(|leg| leg.step == Step::Settled);
            let raised = matches!(intent.phase, Phase::Raising | Phase::Done);
            assert!(!raised || fallen, "{id}: {intent:#?}");
            for (n, of) in SKUS.iter().enumerate() {
                let moves = self.asked[id]
                    .iter()
                    .any(|change| matches!(change, Change::Units { of, .. } if *of == n));
                let row = &self.world.state.skus[&sku(of)];
                assert_eq!(
                    row.moving.iter().any(|moving| moving.intent == *id),
                    intent.phase == Phase::Lowering && !intent.travels && moves,
                );
            }
        }
        self.world.index_is_true();
    }

    /// Lets people work, and then some time go by.
    fn pass(&mut self) {
        for id in self.asked.keys().copied().collect::<Vec<_>>() {
            for _ in 0..3 {
                self.receive(id, None, false);
            }
        }
        for of in SKUS {
            CHANNELS.iter().for_each(|channel| self.verdict(of, channel, Verdict::Retry));
        }
        // A sweep: what was sold in the very moment of a look is seen by the next.
        for (of, channel) in SKUS.iter().flat_map(|of| CHANNELS.map(|channel| (of, channel))) {
            self.world.look(of, channel);
        }
        for _ in 0..40 {
            for channel in CHANNELS {
                self.world.lane(channel, &mut || Luck::Fine);
                self.world.feed(channel);
            }
            self.world.now += 1_000;
            self.told(Command::Tick);
        }
    }

    /// Nothing is left to do: every intent has ended, and every number was seen live.
    fn rests(&self) -> bool {
        self.world.state.intents.values().all(|intent| intent.phase.ended()) && self.world.all_confirmed()
    }

    /// Receives what travels, retries what was refused, and lets everything end: until it has, and for a while after that.
    fn end(&mut self) {
        let mut rested = 0;
        for _ in 0..40 {
            self.pass();
            rested = if self.rests() { rested + 1 } else { 0 };
            if rested > 2 {
                break;
            }
        }
        self.check();
        for (id, intent) in &self.world.state.intents {
            assert!(intent.phase.ended(), "{id}: {intent:#?}");
            assert!(!self.spared || intent.phase == Phase::Done, "nothing undid {id}: {intent:#?}");
        }
        assert!(self.world.all_confirmed());
        for of in SKUS {
            CHANNELS.iter().for_each(|channel| self.check_shown(of, channel));
        }
    }

    /// At rest a channel shows all that is for sale where it sells from, up to its limit.
    fn check_shown(&self, of: &str, channel: &str) {
        let row = &self.world.state.skus[&sku(of)];
        let available = |place: &LocationId| {
            row.place(place).map_or(0, |held| held.stock.available().expect("small").units())
        };
        let sells_from = &self.world.state.policies().expect("configured").channels[&ch(channel)].locations;
        let there = sells_from.iter().map(available).sum::<i64>().max(0);
        let most = allotted(&self.world, of, channel).map_or(there, |most| most.min(there));
        let shown = self.world.shows(of, channel);
        // What is owed elsewhere is not for sale here.
        let owes = [wh(), store()].iter().any(|place| available(place) < 0);
        assert!(
            shown == most || (owes && shown < most),
            "{of} on {channel} shows {shown} of {most}: {row:#?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_meanwhile_all_of_it_is_done_or_nothing(
        ops in prop::collection::vec(any_op(), 1..40),
        both in any::<bool>(),
    ) {
        let amz = if both { vec![wh(), store()] } else { vec![store()] };
        let world = stocked(places(&amz), OPENING);
        let mut trial = Trial { world, orders: 0, asked: BTreeMap::new(), spared: true };
        for op in &ops {
            trial.step(op);
        }
        trial.end();
    }
}
