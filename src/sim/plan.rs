//! What a seed draws: the shop, its people, and everything that goes wrong. Each seed draws a part of the faults only, so that
//! runs in which much goes well are met as often as those in which nothing does.

use crate::{
    connectors::{amazon, shopify, tryton},
    model::{Abilities, ChannelId, Instance, Measure, Policies, Quantity, Sku, policy, policy::ChannelKind},
    sim::{
        Workload,
        market::code,
        random::Random,
        wide::{Wide, place},
    },
};

pub(super) const SHOP: usize = 0;
pub(super) const AMAZON: usize = 1;
pub(super) const ERP: usize = 2;
pub(super) const NAMES: [&str; 3] = ["shop", "amazon", "erp"];

/// How often what goes wrong, in a thousand; times in milliseconds.
#[derive(Debug, Clone, Default)]
pub(super) struct Rates {
    /// Requests that never arrive, whose answer is lost, or that are carried out after they were given up.
    pub(super) lost: u32,
    pub(super) unheard: u32,
    pub(super) late: u32,
    /// Requests that are refused for now, or by credentials.
    pub(super) throttled: u32,
    pub(super) unauthorized: u32,
    /// Queued writes that are never applied.
    pub(super) dropped: u32,
    /// Orders of a page that cannot be read, and must be fetched one by one.
    pub(super) unread: u32,
    /// Webhooks that are lost, doubled, late, or tell only a part.
    pub(super) push_lost: u32,
    pub(super) push_doubled: u32,
    pub(super) push_late: u32,
    pub(super) push_partial: u32,
    /// Wake-ups that are missed.
    pub(super) unwoken: u32,
    /// Of group commits: how many meet a power cut, a killed process, a full disk or another error of the disk.
    pub(super) power: u32,
    pub(super) killed: u32,
    pub(super) full: u32,
    pub(super) disk_error: u32,
    /// Of starts: how many find the state gone or of no use.
    pub(super) state_lost: u32,
}

/// Everything about a run that its seed draws before it begins.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) workload: Workload,
    /// Nothing goes wrong.
    pub(super) calm: bool,
    /// How many kinds of goods there are. Listings beyond these are bundles.
    pub(super) kinds: usize,
    /// What lies on the shelf, by goods.
    pub(super) stock: Vec<i64>,
    pub(super) wide: Wide,
    /// What each listing takes, by listing: goods and units.
    pub(super) parts: Vec<Vec<(usize, i64)>>,
    /// How long people are at work.
    pub(super) span: i64,
    /// From one to the next, on average; zero: never.
    pub(super) shoppers: [i64; 2],
    pub(super) staff: i64,
    pub(super) operator: i64,
    pub(super) rival: i64,
    pub(super) own_sales: i64,
    /// How often a person limits what listings may show, on average; zero: never.
    pub(super) limits: i64,
    /// Of shoppers in the shop, how many in a thousand are sold what it does not show: it continues selling when out of stock.
    pub(super) beyond: u32,
    /// How many orders were placed before the stock is opened.
    pub(super) before: i64,
    /// How often a person counts the shelf, on average, where no ERP does; zero: the ERP counts.
    pub(super) by_hand: i64,
    /// When a backup is made, and when it is restored, since people came in.
    pub(super) backup: Option<(i64, i64)>,
    /// From when to when the ERP counts nothing of anything, since people came in.
    pub(super) counts_nothing: Option<(i64, i64)>,
    pub(super) rates: Rates,
    /// Of the mishaps of disk and process, how many in a thousand are spared: long runs have enough of them all the same.
    pub(super) spared: u32,
    /// How often somebody buys just before a lower that compares is carried out, in a thousand.
    pub(super) rush: u32,
    /// Amazon tells of each change of an order in a message of its own.
    pub(super) notified: bool,
    /// Every effect and every delivery happens twice.
    pub(super) twice: bool,
    pub(super) skew: [i64; 3],
    pub(super) whole_seconds: bool,
    pub(super) deduplicates: bool,
    /// How often feeds, counts and catalogues are read.
    pub(super) poll: i64,
    pub(super) sweep: i64,
    /// The shortest look-around of loops that nothing has woken.
    pub(super) tick: i64,
    /// How long an fsync takes at most.
    pub(super) fsync: i64,
    pub(super) checkpoint: i64,
    pub(super) policies: Policies,
}

/// What all workloads have in common: how many goods, how long, and from one shopper to the next.
struct Scale {
    goods: usize,
    span: i64,
    shoppers: i64,
    stock: i64,
}

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl Plan {
    pub(super) fn draw(random: &mut Random, workload: Workload, days: Option<i64>, calm: bool) -> Plan {
        // Of sources that change what the seeds play that are kept (tests/data/sim/seeds.txt), none is taken.
        let [mut later, mut hands, mut backups, mut wide, mut feeds, mut rush, mut notices] =
            [1, 2, 5, 17, 23, 29, 31].map(|of| random.fork(of));
        let Scale { goods, span, shoppers, stock } = scale(workload, random);
        let span = days.map_or(span, |days| days.saturating_mul(DAY));
        let bundles = if workload == Workload::Bundles { random.between(1, 3) } else { 0 };
        let stock: Vec<i64> = (0..goods).map(|_| random.between(0, stock * 2)).collect();
        let mut parts: Vec<Vec<(usize, i64)>> = (0..goods).map(|n| vec![(n, 1)]).collect();
        for _ in 0..bundles {
            let first = random.below(goods);
            let second = (first + 1 + random.below(goods - 1)) % goods;
            parts.push(vec![(first, random.between(1, 2)), (second, random.between(1, 3))]);
        }
        let months = workload == Workload::Months;
        let real = months || random.chance(500);
        let busy = workload == Workload::Returns;
        let some =
            |random: &mut Random, permille: u32, mean: i64| if random.chance(permille) { mean } else { 0 };
        let people = shoppers * i64::from(u8::from(!busy)) * 2 + shoppers;
        let rates = if calm { Rates::default() } else { Rates::draw(random) };
        let mut plan = Plan {
            workload,
            calm,
            policies: policies(random, real, &parts, months),
            kinds: goods,
            wide: Wide::default(),
            stock,
            parts,
            span,
            shoppers: [shoppers * 2, shoppers * random.between(2, 6)],
            staff: people,
            operator: if calm { 0 } else { some(random, 400, span / 6) },
            rival: if calm { 0 } else { some(random, 250, span / 6) },
            own_sales: if calm { 0 } else { some(random, 300, shoppers * 8) },
            beyond: if random.fork(23).chance(120) { 100 } else { 0 },
            limits: some(&mut later, 250, span / 8),
            before: if later.chance(300) { later.between(1, 8) } else { 0 },
            by_hand: 0,
            backup: None,
            counts_nothing: None,
            rates,
            spared: if months { 985 } else { 0 },
            rush: 0,
            // Each message has an order read, which makes a run twice as long.
            notified: !months && notices.chance(60),
            twice: !calm && random.chance(100),
            skew: std::array::from_fn(|_| if random.chance(500) { random.between(-3_900, 3_900) } else { 0 }),
            whole_seconds: random.chance(700),
            deduplicates: random.chance(700),
            poll: if months { 15 * MINUTE } else { *random.pick(&[20, 60, 180]).unwrap_or(&60) * SECOND },
            sweep: if months { 12 * HOUR } else { random.between(5, 40) * MINUTE },
            tick: if months { 5 * MINUTE } else { 5 * SECOND },
            fsync: *random.pick(&[1, 5, 40, 400]).unwrap_or(&5),
            checkpoint: if months { 2 * DAY } else { some(random, 600, span / 3) },
        };
        plan.draw_nothing(&mut later);
        if !calm && later.chance(200) {
            plan.rates.unread = u32::try_from(later.between(1, 300)).unwrap_or(0);
        }
        plan.draw_hands(&mut hands);
        plan.draw_backup(&mut backups);
        plan.widen(&mut wide);
        plan.draw_feeds(&mut feeds);
        plan.draw_rush(&mut rush);
        plan
    }

    fn draw_backup(&mut self, random: &mut Random) {
        if !self.calm && random.chance(100) {
            let made = random.between(0, self.span * 3 / 4);
            self.backup = Some((made, random.between(made, self.span)));
        }
    }

    /// In some runs the ERP counts nothing of anything for a while.
    fn draw_nothing(&mut self, random: &mut Random) {
        if self.calm || self.workload == Workload::Months || !random.chance(200) {
            return;
        }
        let from = random.between(0, self.span);
        self.counts_nothing = Some((from, from + random.between(self.sweep, 2 * self.sweep)));
        // So that it also holds where there is little to be emptied.
        self.policies.brake.min_skus = 1;
    }

    /// In some runs shoppers are quicker than we are, and there is enough for them.
    fn draw_rush(&mut self, random: &mut Random) {
        let share = if self.workload == Workload::Flash { 700 } else { 200 };
        if self.calm || self.workload == Workload::Months || !random.chance(share) {
            return;
        }
        self.rush = u32::try_from(random.between(500, 1_000)).unwrap_or(0);
        let own = self.own_goods();
        self.stock.iter_mut().take(own).for_each(|units| *units += random.between(10, 60));
    }

    /// In some runs no ERP counts, but people do.
    fn draw_hands(&mut self, random: &mut Random) {
        if !random.chance(150) {
            return;
        }
        self.by_hand = self.span / random.between(4, 24);
        self.counts_nothing = None;
        if random.chance(300) {
            self.policies.brake.min_skus = 1;
        }
        if let Some(erp) = self.policies.channels.get_mut(&channel(ERP)) {
            erp.abilities.counts = None;
        }
    }
}

fn scale(workload: Workload, random: &mut Random) -> Scale {
    let (goods, span, shoppers, stock) = match workload {
        Workload::Steady => (random.between(2, 6), 30 * MINUTE, 30 * SECOND, 20),
        Workload::Flash => (random.between(1, 3), 4 * MINUTE, 2 * SECOND, 40),
        Workload::HotSku => (1, 15 * MINUTE, 12 * SECOND, 12),
        Workload::ManySkus => (400, 20 * MINUTE, 10 * SECOND, 30),
        Workload::Bundles => (random.between(2, 4), 30 * MINUTE, 30 * SECOND, 15),
        Workload::Returns => (random.between(1, 4), 40 * MINUTE, 30 * SECOND, 15),
        Workload::Months => (200, 30 * DAY, 2 * MINUTE, 3_000),
    };
    Scale { goods: usize::try_from(goods).expect("few"), span, shoppers, stock }
}

impl Rates {
    fn draw(random: &mut Random) -> Rates {
        let mut some = |most: i64| {
            let drawn = random.chance(450);
            let rate = random.between(1, most);
            if drawn { u32::try_from(rate).unwrap_or(0) } else { 0 }
        };
        Rates {
            lost: some(150),
            unheard: some(150),
            late: some(100),
            throttled: some(100),
            unauthorized: some(20),
            dropped: some(100),
            unread: 0,
            push_lost: some(400),
            push_doubled: some(300),
            push_late: some(300),
            push_partial: some(300),
            unwoken: some(300),
            power: some(12),
            killed: some(12),
            full: some(8),
            disk_error: some(8),
            state_lost: some(500),
        }
    }
}

pub(super) fn channel(n: usize) -> ChannelId {
    ChannelId::new(NAMES[n]).expect("a good name")
}

pub(super) fn sku(n: usize) -> Sku {
    Sku::new(&code(n)).expect("a good code")
}

/// Amazon as it is documented, or as quick as in a demonstration.
fn amazon_can(real: bool) -> Abilities {
    let quick = amazon::Timing {
        late_ms: 10 * MINUTE,
        stale_ms: 2 * SECOND,
        feed_lag_ms: 3 * MINUTE,
        visible_ms: 30 * SECOND,
        look_ms: 2 * SECOND,
    };
    amazon::abilities(&if real { amazon::Timing::default() } else { quick })
}

fn policies(random: &mut Random, real: bool, parts: &[Vec<(usize, i64)>], months: bool) -> Policies {
    let of = |n: usize| match n {
        SHOP => (ChannelKind::Shopify, shopify::ABILITIES),
        AMAZON => (ChannelKind::Amazon, amazon_can(real)),
        _ => (ChannelKind::Tryton, tryton::abilities(Measure::OnHand, 2 * MINUTE)),
    };
    let buffer = [0, if random.chance(200) { random.between(1, 3) } else { 0 }, 0];
    let channel_of = |n: usize| {
        let (kind, abilities) = of(n);
        policy::ChannelPolicy {
            kind,
            abilities,
            locations: vec![place(0)],
            own_location: None,
            outlets: Vec::new(),
            warehouses: Vec::new(),
            buffer: Quantity::new(buffer[n]),
            min: Quantity::ZERO,
            max: None,
            posts: policy::Posts { sales: true, shipments: true, returns: true },
            feed_late_ms: 10 * MINUTE,
            drift: policy::ChannelDrift::default(),
            account: None,
            bulk_above: None,
        }
    };
    let part = |(of, units): &(usize, i64)| policy::Part { sku: sku(*of), units: Quantity::new(*units) };
    let bundles = parts.iter().enumerate().filter(|(_, parts)| parts.len() > 1);
    let recipe = |(n, parts): (usize, &Vec<(usize, i64)>)| policy::Recipe {
        bundle: sku(n),
        parts: parts.iter().map(part).collect(),
    };
    Policies {
        instance: Instance::new("sim").expect("a good name"),
        mode: policy::Mode::Live,
        locations: vec![place(0)],
        channels: (0..NAMES.len()).map(|n| (channel(n), channel_of(n))).collect(),
        allocation: policy::Allocation::default(),
        overrides: Vec::new(),
        returns: policy::Returns::Restock,
        mapping: policy::MappingRules { master: Some(channel(ERP)), ..policy::MappingRules::default() },
        bundles: bundles.map(recipe).collect(),
        brake: policy::Brake { zero_percent: 20, move_percent: 50, min_skus: 10 },
        retry: policy::Retry {
            base_ms: SECOND,
            cap_ms: MINUTE,
            circuit_failures: 5,
            circuit_open_ms: 30 * SECOND,
        },
        alerts: policy::AlertPolicy {
            after_tries: 5,
            after_ms: 15 * MINUTE,
            repeat_ms: 0,
            webhook: false,
            oversold_units: 1,
        },
        drift: policy::DriftPolicy::default(),
        keep_orders_ms: months.then_some(3 * DAY),
    }
}
