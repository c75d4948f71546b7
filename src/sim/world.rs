//! The world of one run: what is due when, and what follows from it. Time passes only from one event to the next.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{Command, Refused, Reply, decide::lane::read_wanted, index::Kind as Due},
    model::{IdempotencyKey, Timestamp},
    sim::{
        backup::Backup,
        by_hand::Sheet,
        check::{Causes, Checks},
        daemon::{Daemon, Fate, Mishap},
        erp::Erp,
        feeds::{Feed, Puts},
        loops::{Desk, Loop},
        market::{Kind, Market},
        people::Push,
        plan::{self, AMAZON, ERP, Plan, SHOP},
        random::Random,
        story::Story,
        transfers::Transfer,
        trips::Trip,
        truth::{Goods, Truth},
        wide::OUTLETS,
    },
};

/// Something that is due.
#[derive(Debug)]
pub(super) enum Event {
    /// Somebody comes to buy on this channel.
    Shopper(usize),
    /// Somebody ships, cancels, loses, takes back, or counts the shelf.
    Staff,
    Operator,
    Rival,
    OwnSale,
    /// A person limits what listings may show.
    Limit,
    /// A person looks at the shelf, at all of it if it is said so, and enters what they saw.
    Look {
        all: bool,
    },
    Enter(u64),
    Backup,
    /// The backup is put back, and the daemon started on it.
    Restore,
    /// A person lets a restored store write.
    Live,
    /// The shop's staff has an order shipped from elsewhere.
    Reroute,
    /// Goods are carried from place to place.
    Carry,
    /// A person wants a transfer; says something of one; its goods come.
    Transfer,
    Say(u64),
    Come(u64),
    /// Somebody comes to buy what lies with Amazon.
    KeptShopper,
    /// A person says what something is; looks through the dead letters; changes the configuration.
    Map(usize),
    DeadLetters,
    Reload,
    /// A loop of the daemon looks around.
    Wake(usize, Loop),
    /// What waits is decided together.
    Commit,
    Arrives(u64),
    Answers(u64),
    Lands {
        channel: usize,
        listing: usize,
        quantity: i64,
        sent_at: i64,
    },
    /// Amazon begins with a feed, or is through with it.
    Feed(usize),
    FeedLands {
        listing: usize,
        quantity: i64,
        sent_at: i64,
    },
    Webhook(u64),
    Boot {
        power: bool,
        whim: u64,
    },
    Room,
    Checkpoint,
}

/// What is done with the reply to a command.
#[derive(Debug)]
pub(super) enum Then {
    Nothing,
    Pushed(u64),
    Took(usize),
    Wrote(usize, bool),
    Saw(usize, bool),
    /// What has been taken for a feed so far.
    TookBulk(Puts),
    Loaded,
    Page {
        channel: usize,
        next: Option<(i64, usize)>,
        through: Option<i64>,
    },
    Fed(usize),
    Fetched(usize),
    Listed {
        channel: usize,
        next: Option<usize>,
    },
    Counted {
        through: i64,
        sweep: bool,
    },
    CountEnded,
    TookPostings,
    Posted,
    Entered(u64),
    Said(u64),
}

pub(super) struct World {
    pub(super) now: i64,
    pub(super) plan: Plan,
    pub(super) random: Random,
    pub(super) truth: Truth,
    pub(super) markets: Vec<Market>,
    pub(super) erp: Erp,
    pub(super) daemon: Daemon,
    pub(super) checks: Checks,
    pub(super) desks: Vec<Desk>,
    pub(super) trips: BTreeMap<u64, Trip>,
    pub(super) pushes: BTreeMap<u64, Push>,
    /// The times as of which the ERP has counted what is not so.
    pub(super) untrue: BTreeSet<Timestamp>,
    /// What people saw on the shelf and have not entered yet.
    pub(super) sheets: BTreeMap<u64, Sheet>,
    /// Goods of which people have said a wrong moment, and that moment.
    pub(super) misdated: BTreeSet<(usize, Timestamp)>,
    pub(super) backup: Option<Backup>,
    /// When the backup was put back last.
    pub(super) restored_at: i64,
    /// When postings were sent by which the ERP undid shipments, and of which goods.
    pub(super) put_back: Vec<(i64, usize)>,
    pub(super) restores: u64,
    /// What people have brought from place to place, as they know it.
    pub(super) transfers: BTreeMap<u64, Transfer>,
    pub(super) rerouted: u64,
    pub(super) carried: u64,
    pub(super) sent: u64,
    pub(super) kept_sold: u64,
    pub(super) mapped: u64,
    pub(super) refused: u64,
    /// Whether the channel refuses a write for good: the same each time it comes.
    pub(super) verdicts: BTreeMap<IdempotencyKey, bool>,
    /// The feeds that Amazon took.
    pub(super) feeds: Vec<Feed>,
    pub(super) story: Story,
    /// People and mishaps are over: everything has to come to rest.
    pub(super) calm: bool,
    pub(super) began: i64,
    pub(super) events: u64,
    pub(super) orders: u64,
    pub(super) broken: Option<String>,
    queue: BTreeMap<(i64, u64), Event>,
    numbers: u64,
    waiting: Vec<(Command, Then)>,
    committing: bool,
    wakes: BTreeMap<(usize, Loop), i64>,
}

/// How many commands are decided together at most.
const GROUP_MAX: usize = 64;

impl World {
    pub(super) fn new(plan: Plan, random: Random, story: Story) -> World {
        let items = plan.parts.len();
        let can = |n: usize| plan.policies.channels[&plan::channel(n)].abilities;
        let market = |n: usize, kind: Kind| {
            let outlets: &[&str] = if plan.shows_at(n) > 1 { &OUTLETS } else { &[] };
            let kept = if kind == Kind::Amazon && plan.wide.kept > 0 { plan.kinds } else { 0 };
            let mut market = Market::new(kind, can(n), items, outlets, kept);
            market.skew = plan.skew[n];
            market.whole_seconds = plan.whole_seconds && kind == Kind::Shopify;
            market.deduplicates = plan.deduplicates;
            market
        };
        let goods = plan.stock.iter().map(|units| Goods { shelf: *units, ..Goods::default() }).collect();
        let began = 1_800_000_000_000;
        let mut erp = Erp::new(plan.kinds, plan.stock[..plan.own_goods()].to_vec());
        erp.skew = plan.skew[ERP];
        let causes = Causes {
            rival: plan.rival > 0,
            frozen: plan.operator > 0,
            physical: plan.staff > 0 || plan.counts_nothing.is_some(),
            own_sales: plan.own_sales > 0,
            beyond: plan.beyond > 0,
            surprises: !plan.calm,
        };
        World {
            now: began,
            markets: vec![market(SHOP, Kind::Shopify), market(AMAZON, Kind::Amazon)],
            erp,
            truth: Truth { goods, ..Truth::default() },
            daemon: Daemon::new(),
            checks: Checks::of(causes),
            desks: (0..plan::NAMES.len()).map(|_| Desk::default()).collect(),
            trips: BTreeMap::new(),
            pushes: BTreeMap::new(),
            untrue: BTreeSet::new(),
            sheets: BTreeMap::new(),
            misdated: BTreeSet::new(),
            backup: None,
            restored_at: 0,
            put_back: Vec::new(),
            restores: 0,
            transfers: BTreeMap::new(),
            rerouted: 0,
            carried: 0,
            sent: 0,
            kept_sold: 0,
            mapped: 0,
            refused: 0,
            verdicts: BTreeMap::new(),
            feeds: Vec::new(),
            story,
            calm: false,
            began,
            events: 0,
            orders: 0,
            broken: None,
            queue: BTreeMap::new(),
            numbers: 0,
            waiting: Vec::new(),
            committing: false,
            wakes: BTreeMap::new(),
            plan,
            random,
        }
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn at(&mut self, at: i64, event: Event) {
        let n = self.number();
        self.queue.insert((at.max(self.now), n), event);
    }

    pub(super) fn after(&mut self, span: i64, event: Event) {
        self.at(self.now + span, event);
    }

    pub(super) fn fail(&mut self, why: String) {
        self.broken.get_or_insert(why);
    }

    pub(super) fn heed(&mut self, checked: Result<(), String>) {
        if let Err(why) = checked {
            self.fail(why);
        }
    }

    pub(super) fn tell(&mut self, told: impl FnOnce() -> String) {
        self.story.tell(self.now - self.began, told);
    }

    /// Lets everything happen that is due by `until`, unless something breaks.
    pub(super) fn run_until(&mut self, until: i64) {
        while self.broken.is_none() {
            let Some(first) = self.queue.first_entry() else { break };
            if first.key().0 > until {
                break;
            }
            let ((at, _), event) = first.remove_entry();
            self.now = at;
            self.events += 1;
            self.happen(event);
        }
        self.now = self.now.max(until);
    }

    /// Lets something happen at this moment.
    pub(super) fn happen_now(&mut self, event: Event) {
        self.happen(event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Shopper(channel) => self.shopper(channel),
            Event::Staff => self.staff(),
            Event::Operator => self.operator(),
            Event::Rival => self.rival(),
            Event::OwnSale => self.own_sale(),
            Event::Limit => self.limit(),
            Event::Look { all } => self.look_at_shelf(all),
            Event::Enter(sheet) => self.enter(sheet),
            Event::Backup => self.back_up(),
            Event::Restore => self.restore(),
            Event::Live => self.let_write(),
            Event::Reroute => self.reroute(),
            Event::Carry => self.carry(),
            Event::Transfer => self.transfer(),
            Event::Say(n) => self.say(n),
            Event::Come(n) => self.come(n),
            Event::KeptShopper => self.kept_shopper(),
            Event::Map(n) => self.map(n),
            Event::DeadLetters => self.dead_letters(),
            Event::Reload => self.reload_policies(),
            Event::Wake(channel, of) => {
                if self.wakes.get(&(channel, of)) == Some(&self.now) {
                    self.wakes.remove(&(channel, of));
                    self.look_around(channel, of);
                }
            }
            Event::Commit => self.commit(),
            Event::Arrives(trip) => self.arrives(trip),
            Event::Answers(trip) => self.answers(trip),
            Event::Lands { channel, listing, quantity, sent_at } => {
                self.lands(channel, listing, quantity, sent_at)
            }
            Event::Feed(n) => self.feed_goes_on(n),
            Event::FeedLands { listing, quantity, sent_at } => self.feed_lands(listing, quantity, sent_at),
            Event::Webhook(n) => self.deliver(n),
            Event::Boot { power, whim } => self.boot(power, whim),
            Event::Room => self.room(),
            Event::Checkpoint => self.checkpoint(),
        }
    }

    /// Has a loop look around at `at`, unless it does so earlier anyway.
    pub(super) fn wake_at(&mut self, channel: usize, of: Loop, at: i64) {
        let held = self.wakes.get(&(channel, of)).copied();
        if held.is_none_or(|held| held > at || held < self.now) {
            self.wakes.insert((channel, of), at);
            self.at(at, Event::Wake(channel, of));
        }
    }

    // ---- the ledger's queue -------------------------------------------------------------------------------------

    /// Queues a command. What is queued while an fsync is under way is decided together.
    pub(super) fn submit(&mut self, command: Command, then: Then) {
        self.waiting.push((command, then));
        if !self.committing {
            self.committing = true;
            let wait = self.random.between(0, self.plan.fsync);
            self.after(wait, Event::Commit);
        }
    }

    /// Like [`World::submit`], twice where everything happens twice.
    pub(super) fn submit_fact(&mut self, command: Command, then: Then) {
        if self.plan.twice {
            self.submit(command.clone(), Then::Nothing);
        }
        self.submit(command, then);
    }

    fn commit(&mut self) {
        self.committing = false;
        if !self.daemon.is_up() || self.waiting.is_empty() {
            self.waiting.clear();
            return;
        }
        let rest = self.waiting.split_off(self.waiting.len().min(GROUP_MAX));
        let group = std::mem::replace(&mut self.waiting, rest);
        if !self.waiting.is_empty() {
            self.committing = true;
            self.after(self.plan.fsync, Event::Commit);
        }
        if self.daemon.owes() {
            for (_, then) in group {
                self.turned_away(then);
            }
            return;
        }
        let mishap = self.mishap();
        let (commands, thens): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let names: Vec<String> =
            if self.story.is_told() { commands.iter().map(name_of).collect() } else { Vec::new() };
        let before = self.daemon.durable.seq;
        match self.daemon.submit(commands, self.now, mishap, &mut self.checks) {
            Ok(Fate::Replies(replies)) => {
                let after = self.daemon.durable.seq;
                if after > before {
                    self.tell(|| format!("daemon: {} -> record {after}", names.join(", ")));
                    self.wake_all();
                }
                self.counts_are_true();
                self.hand_counts_are_true();
                for (then, reply) in thens.into_iter().zip(replies) {
                    self.replied(then, reply);
                }
            }
            Ok(Fate::NoRoom) => {
                self.tell(|| "the disk is full".to_owned());
                for then in thens {
                    self.turned_away(then);
                }
                let wait = self.random.between(1_000, 120_000);
                self.after(wait, Event::Room);
            }
            Ok(Fate::Died(why)) => {
                // What it has counted may be durable, and is judged as of now.
                self.counts_are_true();
                self.died(&why, matches!(mishap, Mishap::Power(_)));
            }
            Err(why) => self.fail(why),
        }
    }

    fn mishap(&mut self) -> Mishap {
        if self.calm || self.random.chance(self.plan.spared) {
            return Mishap::None;
        }
        let rates = self.plan.rates.clone();
        let random = &mut self.random;
        if random.chance(rates.power) {
            return Mishap::Power(random.below(4) as u64);
        }
        if random.chance(rates.killed) {
            return Mishap::Killed { durable: random.chance(500) };
        }
        if random.chance(rates.full) {
            return Mishap::Full;
        }
        if random.chance(rates.disk_error) {
            return Mishap::Error(random.below(3) as u64);
        }
        Mishap::None
    }

    /// The process is gone: what it had in mind is lost, and it is started again after a while.
    pub(super) fn died(&mut self, why: &str, power: bool) {
        self.tell(|| format!("the daemon died: {why}"));
        self.waiting.clear();
        self.desks = (0..plan::NAMES.len()).map(|_| Desk::default()).collect();
        let whim = self.random.next();
        let power = power || self.random.chance(300);
        let wait = if self.random.chance(850) {
            self.random.between(500, 20_000)
        } else {
            self.random.between(60_000, 900_000)
        };
        self.after(wait, Event::Boot { power, whim });
    }

    fn boot(&mut self, power: bool, whim: u64) {
        let state_lost = !self.calm && self.random.chance(self.plan.rates.state_lost);
        let configure = Command::Configure(Box::new(self.plan.policies.clone()));
        let started = self.daemon.start(self.now, (power, whim), state_lost, configure, &mut self.checks);
        match started {
            Err(why) => self.fail(why),
            Ok(Some(why)) => self.died(&why, false),
            Ok(None) => {
                let (seq, epoch) = (self.daemon.durable.seq, self.daemon.durable.epoch);
                self.tell(|| format!("the daemon starts at record {seq}, epoch {epoch}"));
                self.begin_loops();
            }
        }
    }

    /// There is room again: what is owed is recorded, and what was in flight is unknown, as after a start.
    fn room(&mut self) {
        self.daemon.make_room();
        if !self.daemon.owes() {
            return;
        }
        match self.daemon.pay(&mut self.checks) {
            Err(why) => self.fail(why),
            Ok(Fate::Died(why)) => self.died(&why, false),
            Ok(Fate::NoRoom) => self.after(1_000, Event::Room),
            Ok(Fate::Replies(_)) => {
                let epoch = self.daemon.durable.epoch;
                self.tell(|| "there is room again".to_owned());
                let start = vec![Command::Start { epoch }];
                let started = self.daemon.submit(start, self.now, Mishap::None, &mut self.checks);
                self.heed(started.map(drop));
                self.wake_all();
            }
        }
    }

    fn checkpoint(&mut self) {
        let made = self.daemon.checkpoint();
        let rates = &self.plan.rates;
        let sound = rates.power + rates.full + rates.disk_error == 0;
        match made {
            Err(why) if sound => self.fail(why),
            Err(why) => self.tell(|| why),
            Ok(()) => self.tell(|| "a checkpoint".to_owned()),
        }
        if !self.calm {
            let wait = self.random.about(self.plan.checkpoint);
            self.after(wait, Event::Checkpoint);
        }
    }

    // ---- wake-ups -----------------------------------------------------------------------------------------------

    /// Something was recorded: the loops that have something to do are woken. A wake-up may be missed.
    fn wake_all(&mut self) {
        for channel in 0..plan::NAMES.len() {
            if !self.calm && self.random.chance(self.plan.rates.unwoken) {
                continue;
            }
            let Some(state) = self.daemon.read() else { return };
            let (id, now) = (plan::channel(channel), Timestamp::from_millis(self.now));
            let any = |kind| state.index.of(kind, &id).next().is_some();
            let lane = any(Due::Ready) || any(Due::Retry) || any(Due::Look);
            let feed = channel != ERP && (any(Due::Fetch) || read_wanted(state, &id, now));
            let posts = channel == ERP && any(Due::Post);
            let soon = self.now + self.random.between(0, 20);
            if lane && channel != ERP {
                self.wake_at(channel, Loop::Lane, soon);
            }
            if feed {
                self.wake_at(channel, Loop::Feed, soon);
            }
            if posts {
                self.wake_at(channel, Loop::Poster, soon);
            }
        }
    }

    fn replied(&mut self, then: Then, reply: Result<Reply, Refused>) {
        match then {
            Then::Nothing => {}
            Then::Pushed(n) => self.pushed(n, reply),
            Then::Took(channel) => self.took(channel, reply),
            Then::Wrote(channel, apart) => self.wrote(channel, apart),
            Then::Saw(channel, apart) => self.saw(channel, apart),
            Then::TookBulk(all) => self.took_bulk(all, reply),
            Then::Loaded => self.loaded(),
            Then::Page { channel, next, through } => self.page_taken(channel, next, through, &reply),
            Then::Fed(channel) => self.fed(channel),
            Then::Fetched(channel) => self.fetched(channel),
            Then::Listed { channel, next } => self.catalogued(channel, next),
            Then::Counted { through, sweep } => self.counted(through, sweep, &reply),
            Then::CountEnded => self.count_ended(),
            Then::TookPostings => self.took_postings(reply),
            Then::Posted => self.posted(),
            Then::Entered(sheet) => self.entered(sheet, reply),
            Then::Said(n) => self.said(n, &reply),
        }
    }

    /// There is no room for a command: it was not decided. Whoever asked goes on as after a failure.
    fn turned_away(&mut self, then: Then) {
        match then {
            // Whoever said something says it again.
            Then::Nothing | Then::Entered(_) | Then::Said(_) => {}
            Then::Pushed(n) => self.refused_push(n),
            Then::Took(channel) | Then::Wrote(channel, _) | Then::Saw(channel, _) => {
                self.desks[channel].lane_idle();
                self.wake_at(channel, Loop::Lane, self.now + 5_000);
            }
            // What was taken and not sent is asked after: nobody knows any more that it was not.
            Then::TookBulk(_) | Then::Loaded => self.loaded(),
            Then::Page { channel, .. } | Then::Fed(channel) | Then::Fetched(channel) => {
                self.desks[channel].feed_broken();
                self.wake_at(channel, Loop::Feed, self.now + 5_000);
            }
            Then::Listed { channel, .. } => {
                self.desks[channel].listing = false;
                self.wake_at(channel, Loop::Reconcile, self.now + 5_000);
            }
            Then::Counted { .. } | Then::CountEnded => self.count_ended(),
            Then::TookPostings | Then::Posted => {
                self.desks[ERP].posting = self.desks[ERP].posting.saturating_sub(1);
                self.wake_at(ERP, Loop::Poster, self.now + 5_000);
            }
        }
    }
}

fn name_of(command: &Command) -> String {
    let told = format!("{command:?}");
    let end = told.char_indices().nth(300).map_or(told.len(), |(at, _)| at);
    told[..end].to_owned()
}
