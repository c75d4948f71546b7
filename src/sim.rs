//! The deterministic simulator: the real core and the real journal against simulated channels, people and disks.
//!
//! A run is drawn from its seed: the shop, everybody in it, and everything that goes wrong. Time is virtual, chance comes from
//! the seed alone, and nothing else of the machine is read, so that a seed always plays the same. After every record the
//! checks of [`check`] must hold, and when all mishaps are over everything must come to rest at what the reference model
//! ([`truth`]) knows to be true.
//!
//! What is real: `core::decide` and `apply`, the encoding of records and rows, the journal, checkpoints and archive. What is
//! simulated: channels (as the connectors tell them, not byte for byte), the ERP, the disk, and the engine's loops, which are
//! told by the same commands. docs/TESTING.md tells what it can find and what not.

mod backup;
mod by_hand;
mod check;
mod daemon;
mod erp;
#[cfg(test)]
mod exhaustive;
mod feeds;
mod kept;
mod loops;
mod market;
mod office;
mod people;
mod places;
mod plan;
mod random;
mod rest;
mod story;
#[cfg(test)]
mod tests;
mod transfers;
mod trips;
mod truth;
mod wide;
mod world;

use std::{collections::BTreeMap, panic, str::FromStr};

use serde::Serialize;

use plan::Plan;
use random::Random;
use story::Story;
use world::World;

/// What kind of business a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    Steady,
    /// Many shoppers at once.
    Flash,
    /// Everybody wants the same.
    HotSku,
    ManySkus,
    Bundles,
    /// Much is cancelled, edited and sent back.
    Returns,
    /// A month of a middling shop, or as many days as are asked for.
    Months,
}

impl Workload {
    pub const ALL: [Workload; 7] = [
        Workload::Steady,
        Workload::Flash,
        Workload::HotSku,
        Workload::ManySkus,
        Workload::Bundles,
        Workload::Returns,
        Workload::Months,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Workload::Steady => "steady",
            Workload::Flash => "flash",
            Workload::HotSku => "hot-sku",
            Workload::ManySkus => "many-skus",
            Workload::Bundles => "bundles",
            Workload::Returns => "returns",
            Workload::Months => "months",
        }
    }

    /// Returns the workload of a seed that names none: the small ones by turns, the larger ones seldom.
    fn of(random: &mut Random) -> Workload {
        const SMALL: [Workload; 5] =
            [Workload::Steady, Workload::Flash, Workload::HotSku, Workload::Bundles, Workload::Returns];
        if random.chance(5) { Workload::ManySkus } else { SMALL[random.below(SMALL.len())] }
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Workload, String> {
        let names = || Workload::ALL.map(Workload::name).join(", ");
        let found = Workload::ALL.into_iter().find(|workload| workload.name() == text);
        found.ok_or_else(|| format!("`{text}` is no workload; there are {}", names()))
    }
}

/// What to run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    pub seed: u64,
    /// `None`: the seed draws it.
    pub workload: Option<Workload>,
    /// How long people are at work, in days. `None`: as the workload has it.
    pub days: Option<i64>,
    /// Nothing goes wrong.
    pub calm: bool,
    /// All clocks agree, to the millisecond.
    pub exact_clocks: bool,
    /// How many of the latest lines of the story are kept.
    pub story: usize,
}

/// What came of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub seed: u64,
    pub workload: Workload,
    /// What does not hold. `None`: all does.
    pub broken: Option<String>,
    /// What happened last, if it was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub story: Vec<String>,
    pub figures: Figures,
}

/// What happened in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub events: u64,
    pub commands: u64,
    pub records: u64,
    pub orders: u64,
    pub writes: u64,
    /// Of the writes, those that went as deltas.
    pub deltas: u64,
    pub starts: u64,
    pub drifts: u64,
    /// Counts by people that were taken over.
    pub hand_counts: u64,
    /// Backups that were restored.
    pub restores: u64,
    /// Order lines that were moved between a shop's locations, goods that were carried and the ERP told, transfers that were made.
    pub rerouted: u64,
    pub carried: u64,
    pub transfers: u64,
    /// Times that somebody bought what lies with Amazon.
    pub kept_sold: u64,
    /// Mappings that people made late, and writes that were refused for good.
    pub mapped: u64,
    pub refused: u64,
    /// Feeds that Amazon took.
    pub feeds: u64,
    pub virtual_ms: i64,
    /// Units oversold, as the reference model classes them.
    pub oversold: BTreeMap<&'static str, i64>,
    /// The hash of the journal's chain at the end: the same seed gives the same.
    pub end: String,
}

impl Figures {
    /// Adds what happened in another run.
    pub fn add(&mut self, other: &Figures) {
        self.events += other.events;
        self.commands += other.commands;
        self.records += other.records;
        self.orders += other.orders;
        self.writes += other.writes;
        self.deltas += other.deltas;
        self.starts += other.starts;
        self.drifts += other.drifts;
        self.hand_counts += other.hand_counts;
        self.restores += other.restores;
        self.rerouted += other.rerouted;
        self.carried += other.carried;
        self.transfers += other.transfers;
        self.kept_sold += other.kept_sold;
        self.mapped += other.mapped;
        self.refused += other.refused;
        self.feeds += other.feeds;
        self.virtual_ms += other.virtual_ms;
        for (class, units) in &other.oversold {
            *self.oversold.entry(class).or_default() += units;
        }
        self.end.clone_from(&other.end);
    }
}

/// Plays one seed. A panic of what is simulated is a failure of the seed.
pub fn run(options: Options) -> Report {
    let mut random = Random::new(options.seed);
    let workload = Workload::of(&mut random);
    let workload = options.workload.unwrap_or(workload);
    let played = panic::catch_unwind(|| play(options, workload, random));
    played.unwrap_or_else(|cause| {
        let told = cause.downcast_ref::<String>().cloned();
        let told = told.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let broken = Some(format!("panicked: {}", told.unwrap_or_default()));
        Report { seed: options.seed, workload, broken, story: Vec::new(), figures: Figures::default() }
    })
}

fn play(options: Options, workload: Workload, mut random: Random) -> Report {
    let mut plan = Plan::draw(&mut random, workload, options.days, options.calm);
    if options.exact_clocks {
        (plan.skew, plan.whole_seconds) = ([0; 3], false);
    }
    let span = plan.span;
    let mut world = World::new(plan, random, Story::of(options.story));
    world.open();
    world.run_until(world.now + 60_000 + span);
    if world.broken.is_none() {
        world.come_to_rest();
    }
    let replays = world.replays();
    world.heed(replays);
    let figures = world.figures();
    Report { seed: options.seed, workload, broken: world.broken, story: world.story.lines(), figures }
}
