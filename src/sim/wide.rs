//! What only a part of the runs has: several places, a shop with locations of its own, transfers, goods that lie with Amazon.
//!
//! Goods are numbered by kind and place: the kinds at the first place, then those at the second, then those that lie with Amazon.
//! All of it is drawn from a source of its own, so that a run without any of it plays as it always did.

use std::collections::BTreeMap;

use crate::{
    model::{LocationId, Quantity, policy},
    sim::{
        Workload,
        plan::{AMAZON, ERP, Plan, SHOP, channel},
        random::Random,
    },
};

/// The merchant's two places, and Amazon's.
pub(super) const PLACES: [&str; 3] = ["wh", "store", "fba"];
/// What lies with Amazon.
pub(super) const KEPT: usize = 2;
/// What the shop calls its own locations, one for each of the merchant's places.
pub(super) const OUTLETS: [&str; 2] = ["7001", "7002"];

#[derive(Debug, Clone)]
pub(super) struct Wide {
    /// How many places the merchant has.
    pub(super) places: usize,
    /// The places that a channel draws on, by channel; its sales are booked at the first.
    pub(super) drawn: [Vec<usize>; 2],
    /// The shop has a location for each place, and its staff moves orders from one to the other so often, on average.
    pub(super) outlets: Option<i64>,
    /// How often goods are carried from place to place and the ERP is told, on average; zero: never.
    pub(super) carries: i64,
    /// How often a person asks for a transfer, on average; zero: never.
    pub(super) transfers: i64,
    /// A count of the ERP lacks a line so often, in a thousand.
    pub(super) torn: u32,
    /// From one shopper to the next who buys what lies with Amazon; zero: nothing does.
    pub(super) kept: i64,
    /// What Amazon calls by a name that no SKU has, and when a person says what it is, since people came in.
    pub(super) late: BTreeMap<usize, i64>,
    /// Whose credentials end, and from when to when.
    pub(super) locked: Option<(usize, i64, i64)>,
    /// Writes that are refused for good, in a thousand; how often a person looks through them, on average.
    pub(super) refused: u32,
    pub(super) dead_letters: i64,
    /// How often the merchant changes what channels may show, on average; zero: never.
    pub(super) reloads: i64,
}

impl Default for Wide {
    fn default() -> Wide {
        let drawn = [vec![0], vec![0]];
        Wide {
            places: 1,
            drawn,
            outlets: None,
            carries: 0,
            transfers: 0,
            torn: 0,
            kept: 0,
            late: BTreeMap::new(),
            locked: None,
            refused: 0,
            dead_letters: 0,
            reloads: 0,
        }
    }
}

pub(super) fn place(n: usize) -> LocationId {
    LocationId::new(PLACES[n]).expect("a good name")
}

/// Returns which place this is.
pub(super) fn place_number(location: &LocationId) -> Option<usize> {
    PLACES.iter().position(|name| *name == location.as_str())
}

impl Plan {
    /// Draws what only a part of the runs has.
    pub(super) fn widen(&mut self, random: &mut Random) {
        if self.workload == Workload::Months || !random.chance(150) {
            return;
        }
        if random.chance(700) {
            self.draw_places(random);
        }
        if random.chance(400) {
            self.draw_kept(random);
        }
        if !self.calm {
            self.draw_office(random);
        }
    }

    fn draw_office(&mut self, random: &mut Random) {
        if random.chance(300) {
            let late = (0..self.kinds).filter(|_| random.chance(500)).collect::<Vec<_>>();
            self.wide.late = late.into_iter().map(|n| (n, random.between(0, self.span))).collect();
            // What of an order from before the opening was over by then is not known of one that is mapped later.
            self.before = 0;
        }
        if random.chance(300) {
            let from = random.between(0, self.span);
            let to = from + random.between(0, self.span / 3);
            self.wide.locked = Some((random.below(3), from, to));
        }
        if random.chance(300) {
            self.wide.refused = 60;
            self.wide.dead_letters = self.span / random.between(4, 20);
        }
        if random.chance(300) {
            self.wide.reloads = self.span / random.between(4, 20);
        }
    }

    fn draw_places(&mut self, random: &mut Random) {
        self.wide.places = 2;
        let more: Vec<i64> = self.stock.iter().map(|units| random.between(0, units + 6)).collect();
        self.stock.extend(more);
        // Orders from before the opening are for one place.
        self.before = 0;
        let both = [vec![0, 1], vec![1, 0], vec![0]];
        self.wide.drawn = [0, 1].map(|_| random.pick(&both).cloned().unwrap_or_default());
        if random.chance(600) {
            self.wide.outlets = Some(self.span / random.between(10, 60));
            self.wide.drawn[SHOP] = vec![0];
        }
        let torn = !self.calm && random.chance(300);
        self.wide.torn = if torn { 250 } else { 0 };
        let carries = torn || random.chance(500);
        self.wide.carries = if carries { self.span / random.between(8, 30) } else { 0 };
        if random.chance(600) {
            self.wide.transfers = self.span / random.between(4, 20);
            // What a restored store has forgotten of transfers, nobody tells it again.
            self.backup = None;
        }
        let all = [0, 1].map(place);
        self.policies.locations = all.to_vec();
        for (n, drawn) in self.wide.drawn.iter().enumerate() {
            if let Some(policy) = self.policies.channels.get_mut(&channel(n)) {
                policy.locations = drawn.iter().map(|n| place(*n)).collect();
            }
        }
        if let Some(policy) = self.policies.channels.get_mut(&channel(ERP)) {
            policy.locations = all.to_vec();
        }
        if let Some(policy) = self.policies.channels.get_mut(&channel(SHOP))
            && self.wide.outlets.is_some()
        {
            policy.locations = all.to_vec();
            let outlet =
                |(n, id): (usize, &&str)| policy::Outlet { id: (*id).to_owned(), locations: vec![place(n)] };
            policy.outlets = OUTLETS.iter().enumerate().map(outlet).collect();
        }
    }

    fn draw_kept(&mut self, random: &mut Random) {
        self.wide.kept = self.shoppers[AMAZON].max(self.span / 60);
        self.stock.resize(KEPT * self.kinds, 0);
        let kept: Vec<i64> = (0..self.kinds).map(|_| random.between(0, 20)).collect();
        self.stock.extend(kept);
        self.policies.locations.push(place(KEPT));
        if let Some(policy) = self.policies.channels.get_mut(&channel(AMAZON)) {
            policy.own_location = Some(place(KEPT));
        }
    }

    /// Returns how many goods lie at the merchant's own places.
    pub(super) fn own_goods(&self) -> usize {
        self.kinds * self.wide.places
    }

    /// Returns which goods a kind at a place is.
    pub(super) fn goods_at(&self, kind: usize, place: usize) -> usize {
        place * self.kinds + kind
    }

    /// Returns the kind of goods, and the place where they lie.
    pub(super) fn kind_of(&self, goods: usize) -> (usize, usize) {
        (goods % self.kinds, goods / self.kinds)
    }

    /// Returns what of one listing is shown where: one number for each place that has a listing of its own.
    pub(super) fn shows_at(&self, channel: usize) -> usize {
        if channel == SHOP && self.wide.outlets.is_some() { OUTLETS.len() } else { 1 }
    }

    /// Returns the places that a listing draws on. `slot`: which of the channel's own locations it is of.
    pub(super) fn drawn(&self, channel: usize, slot: usize) -> Vec<usize> {
        if self.shows_at(channel) > 1 { vec![slot] } else { self.wide.drawn[channel].clone() }
    }

    /// Tells whether somebody sells from both places.
    pub(super) fn is_shared(&self) -> bool {
        let both = |channel: usize| self.shows_at(channel) == 1 && self.wide.drawn[channel].len() > 1;
        both(SHOP) || both(AMAZON)
    }

    /// Returns what a channel shows of so many units that it may.
    pub(super) fn shows_of(&self, n: usize, units: i64) -> i64 {
        let policy = &self.policies.channels[&channel(n)];
        let most = policy.max.map_or(i64::MAX, Quantity::units);
        let shown = (units - policy.buffer.units()).max(0).min(most);
        if shown < policy.min.units() { 0 } else { shown }
    }
}
