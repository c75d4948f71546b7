//! Requests on their way between the daemon and its channels, and what may become of them there and back.

use crate::{
    connectors::By,
    core::{
        bulk::{Bulk, Told},
        command::Count,
        state::ListingRef,
    },
    model::{
        CatalogueItem, CountLine, IdempotencyKey, Identifiers, Observed, OrderId, OrderSnapshot, Outcome,
        Posting, Put, Quantity, Seq, Timestamp, Totals,
    },
    sim::{
        feeds::Puts,
        loops::Loop,
        market::{self, Page},
        plan::{self, AMAZON, ERP},
        world::{Event, World},
    },
};

/// What is asked of a channel.
#[derive(Debug, Clone)]
pub(super) enum Ask {
    Write {
        puts: Vec<(ListingRef, Put)>,
        apart: bool,
    },
    Look {
        listings: Vec<(ListingRef, Identifiers)>,
        apart: bool,
    },
    Orders {
        by: By,
        since: i64,
        after: Option<(i64, usize)>,
        begun: Seq,
    },
    Order {
        order: OrderId,
        begun: Seq,
    },
    Catalogue {
        from: usize,
    },
    Changed {
        since: i64,
    },
    Counts {
        items: Option<Vec<Identifiers>>,
        begun: Seq,
        through: i64,
    },
    /// Which of the orders the counter holds, after a count was read.
    LookUp {
        postings: Vec<Posting>,
        count: Box<Count>,
        through: i64,
        sweep: bool,
    },
    Post(Box<Posting>),
    /// What lies with the channel itself.
    Kept,
    Feed {
        puts: Puts,
    },
    HowFar {
        bulk: Bulk,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Answer {
    Written(Vec<Outcome>),
    Seen(Vec<Observed>),
    Orders(Page),
    Order(Option<Box<OrderSnapshot>>),
    Catalogue(Vec<CatalogueItem>, bool),
    Changed(Vec<Identifiers>, i64),
    Counted(Vec<CountLine>, Timestamp),
    Held(Vec<Vec<Totals>>),
    Posted,
    /// A feed was taken, by its number.
    Feed(usize),
    HowFar(Vec<Told>),
    /// Nothing definite.
    Silence,
    Throttled(i64),
    Unauthorized,
}

impl Answer {
    /// Returns what an answer means for what was asked to be done.
    pub(super) fn outcome(&self) -> Outcome {
        if let Answer::Posted = self {
            Outcome::Applied
        } else if let Answer::Throttled(retry_after_ms) = self {
            Outcome::Throttled { retry_after_ms: *retry_after_ms }
        } else if let Answer::Unauthorized = self {
            Outcome::Unauthorized { reason: "403".into() }
        } else {
            Outcome::Unknown { fault: "no answer".into() }
        }
    }

    /// Returns the outcomes of so many writes.
    pub(super) fn outcomes(self, puts: usize) -> Vec<Outcome> {
        if let Answer::Written(outcomes) = self { outcomes } else { vec![self.outcome(); puts] }
    }
}

#[derive(Debug)]
pub(super) struct Trip {
    pub(super) life: u64,
    pub(super) channel: usize,
    pub(super) ask: Ask,
    /// Our clock when it was sent.
    pub(super) sent_at: i64,
    answer: Option<Answer>,
}

/// How long the daemon waits for an answer at most.
const TIMEOUT: i64 = 30_000;

impl World {
    /// Sends a request. What becomes of it is drawn here.
    pub(super) fn send(&mut self, channel: usize, ask: Ask) {
        let locked = self.is_locked(channel);
        let rates = &self.plan.rates;
        let calm = self.calm;
        let luck = |permille: u32, random: &mut crate::sim::random::Random| !calm && random.chance(permille);
        let random = &mut self.random;
        let there = random.between(20, 400);
        let back = random.between(10, 200);
        let timeout = random.between(TIMEOUT / 6, TIMEOUT);
        let writes = matches!(ask, Ask::Write { .. } | Ask::Post(_));
        let late_ms = self.plan.policies.channels[&plan::channel(channel)].abilities.late_ms;
        let (arrives, answers, answer) = if locked {
            (None, there + back, Some(Answer::Unauthorized))
        } else if luck(rates.lost, random) {
            (None, timeout, Some(Answer::Silence))
        } else if luck(rates.unheard, random) {
            (Some(there.min(timeout - 1)), timeout, Some(Answer::Silence))
        } else if writes && luck(rates.late, random) {
            // The bound is counted from when the daemon gave it up, which may be at once: it may have died.
            let late = random.between(timeout, (late_ms * 9 / 10).max(timeout));
            (Some(late), timeout, Some(Answer::Silence))
        } else if luck(rates.throttled, random) {
            let wait = random.between(500, 20_000);
            (None, there + back, Some(Answer::Throttled(wait)))
        } else if luck(rates.unauthorized, random) {
            (None, there + back, Some(Answer::Unauthorized))
        } else {
            (Some(there), there + back, None)
        };
        let trip = self.number();
        let told = if self.story.is_told() { told(&ask) } else { String::new() };
        self.tell(|| format!("{}: sent {told}", plan::NAMES[channel]));
        let (life, sent_at) = (self.daemon.life, self.now);
        self.trips.insert(trip, Trip { life, channel, ask, sent_at, answer });
        if let Some(span) = arrives {
            self.after(span, Event::Arrives(trip));
        }
        self.after(answers, Event::Answers(trip));
    }

    /// A request comes to its channel, which does what it is asked.
    pub(super) fn arrives(&mut self, number: u64) {
        let Some(Trip { channel, ask, sent_at, .. }) = self.trips.get(&number) else { return };
        let (channel, ask, sent_at) = (*channel, ask.clone(), *sent_at);
        let twice = self.plan.twice && matches!(ask, Ask::Write { .. } | Ask::Post(_));
        let answer = self.carry_out(channel, &ask, sent_at);
        if twice {
            drop(self.carry_out(channel, &ask, sent_at));
        }
        if let Some(trip) = self.trips.get_mut(&number) {
            trip.answer.get_or_insert(answer);
        }
    }

    fn carry_out(&mut self, channel: usize, ask: &Ask, sent_at: i64) -> Answer {
        let now = self.now;
        let stale = self.plan.policies.channels[&plan::channel(channel)].abilities.stale_ms;
        // What is read may be that old when it is asked for.
        let oldest = sent_at - stale * 8 / 10;
        let seen_at =
            if self.calm || self.random.chance(700) { now } else { self.random.between(oldest, now) };
        match ask {
            Ask::Write { puts, .. } => Answer::Written(self.write(channel, puts, sent_at)),
            Ask::Look { listings, .. } => {
                let market = &self.markets[channel];
                let seen = |(_, ids): &(ListingRef, Identifiers)| match market.find(ids) {
                    Some(n) => market.read(n, seen_at),
                    None => Observed::Absent,
                };
                Answer::Seen(listings.iter().map(seen).collect())
            }
            Ask::Orders { by, since, after, .. } => {
                let page = self.markets[channel].orders(now, *by, *since, *after, PAGE);
                for n in self.markets[channel].unheard_of() {
                    self.puzzle(channel, n);
                }
                Answer::Orders(page)
            }
            Ask::Order { order, .. } => {
                let market = &self.markets[channel];
                let n = market::order_number(order).filter(|n| *n < market.sales());
                Answer::Order(n.map(|n| Box::new(market.snapshot(n, true))))
            }
            Ask::Catalogue { from } if channel == ERP => {
                let (items, more) = self.erp.catalogue(*from, PAGE * 4, self.plan.kinds);
                Answer::Catalogue(items, more)
            }
            Ask::Catalogue { from } => {
                let (items, more) = self.markets[channel].catalogue(*from, PAGE * 4, seen_at);
                Answer::Catalogue(items, more)
            }
            Ask::Changed { since } => {
                let (items, through) = self.erp.changed(now, *since);
                Answer::Changed(items, through)
            }
            Ask::Counts { items, .. } => {
                let mut lines = self.erp.counts(items.as_deref());
                let as_of = self.erp.as_of(now);
                self.tear(&mut lines);
                if self.counts_nothing() {
                    lines.iter_mut().for_each(|line| line.quantity = line.quantity.min(Quantity::ZERO));
                    self.untrue.insert(as_of);
                    self.tell(|| "erp: counts nothing of anything".to_owned());
                }
                Answer::Counted(lines, as_of)
            }
            Ask::LookUp { postings, .. } => {
                Answer::Held(postings.iter().map(|posting| self.erp.posted(posting)).collect())
            }
            Ask::Post(posting) => {
                for goods in self.erp.post(now, posting) {
                    self.put_back.push((sent_at, goods));
                }
                Answer::Posted
            }
            Ask::Kept => Answer::Counted(self.kept_stock(), Timestamp::from_millis(sent_at)),
            Ask::Feed { puts } => self.take_feed(puts, sent_at),
            Ask::HowFar { bulk } => self.how_far(bulk),
        }
    }

    /// Tells whether the ERP is not itself: it counts nothing of anything.
    fn counts_nothing(&self) -> bool {
        let since = self.now - self.began - 60_000;
        !self.calm && self.plan.counts_nothing.is_some_and(|(from, to)| since >= from && since < to)
    }

    fn write(&mut self, channel: usize, puts: &[(ListingRef, Put)], sent_at: i64) -> Vec<Outcome> {
        let market = &self.markets[channel];
        let found: Vec<(usize, &Put)> =
            puts.iter().filter_map(|(_, put)| Some((market.find(&put.ids)?, put))).collect();
        if let Some((n, _)) = found.iter().find(|(n, _)| market.keeps(*n)) {
            self.fail(format!("FBA: listing {n} is written, which the channel keeps"));
            return Vec::new();
        }
        if self.plan.wide.refused > 0 && !self.calm {
            return self.write_some(channel, &found, sent_at);
        }
        self.write_all(channel, &found, sent_at)
    }

    /// Carries out a request to write of which the channel refuses a part for good.
    fn write_some(&mut self, channel: usize, found: &[(usize, &Put)], sent_at: i64) -> Vec<Outcome> {
        let rate = self.plan.wide.refused;
        let mut verdict = |(_, put): &(usize, &Put)| {
            let drawn = self.random.chance(rate);
            *self.verdicts.entry(put.key.clone()).or_insert(drawn)
        };
        let refused: Vec<bool> = found.iter().map(&mut verdict).collect();
        self.refused += refused.iter().filter(|refused| **refused).count() as u64;
        let good = found.iter().zip(&refused).filter(|(_, refused)| !**refused).map(|(put, _)| *put);
        let good: Vec<(usize, &Put)> = good.collect();
        let mut outcomes = self.write_all(channel, &good, sent_at).into_iter();
        let rejected = || Outcome::Rejected { reason: "it does not like it".to_owned() };
        let of = |refused: bool| if refused { Some(rejected()) } else { outcomes.next() };
        refused.into_iter().filter_map(of).collect()
    }

    fn write_all(&mut self, channel: usize, found: &[(usize, &Put)], sent_at: i64) -> Vec<Outcome> {
        if channel == AMAZON {
            for (listing, put) in found {
                self.queue_write(channel, *listing, put.quantity.units(), sent_at);
            }
            return self.markets[channel].write(self.now, found);
        }
        for (listing, put) in found {
            self.rush(channel, *listing, put);
            // Whoever sent it may have known of sales that the restored store has not read yet.
            if !self.lost_sight(channel, *listing, sent_at) {
                self.about_to_set(channel, *listing, put);
            }
        }
        let outcomes = self.markets[channel].write(self.now, found);
        for ((listing, put), outcome) in found.iter().zip(&outcomes) {
            if *outcome == Outcome::Applied && put.delta.is_some() {
                self.changed(channel, *listing);
            } else if *outcome == Outcome::Applied {
                self.ours_landed(channel, *listing, put.quantity.units());
            }
        }
        outcomes
    }

    /// Amazon has taken a write. It shows later, or never, and an older one may come after a newer one.
    fn queue_write(&mut self, channel: usize, listing: usize, quantity: i64, sent_at: i64) {
        let can = self.markets[channel].can;
        if !self.calm && self.random.chance(self.plan.rates.dropped) {
            return self.tell(|| format!("amazon: drops what it accepted for listing {listing}"));
        }
        let slow = !self.calm && self.plan.rates.late > 0 && self.random.chance(150);
        let wait = if slow {
            self.random.between(can.visible_ms / 2, can.late_ms * 8 / 10)
        } else {
            self.random.between(can.visible_ms / 20, can.visible_ms * 7 / 10)
        };
        let latest = sent_at + can.late_ms * 9 / 10;
        let wait = wait.min((latest - self.now).max(1));
        self.after(wait, Event::Lands { channel, listing, quantity, sent_at });
    }

    pub(super) fn lands(&mut self, channel: usize, listing: usize, quantity: i64, sent_at: i64) {
        let now = self.now;
        self.lost_sight(channel, listing, sent_at);
        let latest = &mut self.markets[channel].listed[listing].latest;
        if sent_at < *latest {
            self.puzzle(channel, listing);
        } else {
            *latest = sent_at;
        }
        self.markets[channel].set(now, listing, quantity);
        self.ours_landed(channel, listing, quantity);
    }

    /// The answer is in, or is given up. One that was sent in an earlier life is answered to nobody.
    pub(super) fn answers(&mut self, number: u64) {
        let Some(trip) = self.trips.get_mut(&number) else { return };
        let answer = trip.answer.take().unwrap_or(Answer::Silence);
        let (life, channel, ask, sent_at) = (trip.life, trip.channel, trip.ask.clone(), trip.sent_at);
        // A request that is late still comes to its channel.
        trip.answer = Some(Answer::Silence);
        if !matches!(answer, Answer::Silence) {
            self.trips.remove(&number);
        }
        if life != self.daemon.life || !self.daemon.is_up() {
            return;
        }
        match ask {
            Ask::Write { puts, apart } => self.write_answered(channel, puts, apart, answer),
            Ask::Look { listings, apart } => self.look_answered(channel, listings, apart, sent_at, answer),
            Ask::Orders { begun, .. } => self.page_answered(channel, begun, answer),
            Ask::Order { order, begun } => self.order_answered(channel, &order, begun, answer),
            Ask::Catalogue { from } => self.catalogue_answered(channel, from, sent_at, answer),
            Ask::Changed { .. } => self.changed_answered(answer),
            Ask::Counts { items, begun, through } => {
                self.counts_answered(items.is_none(), begun, through, answer);
            }
            Ask::LookUp { postings, count, through, sweep } => {
                self.looked_up(&postings, *count, (through, sweep), answer);
            }
            Ask::Post(posting) => self.post_answered(&posting, &answer),
            Ask::Kept => self.kept_answered(sent_at, answer),
            Ask::Feed { puts } => self.feed_answered(puts, answer),
            Ask::HowFar { .. } => self.how_far_answered(answer),
        }
    }

    /// Has a loop look around again after a read that failed.
    pub(super) fn again(&mut self, channel: usize, of: Loop, answer: &Answer) {
        let wait =
            if let Answer::Throttled(wait) = answer { *wait } else { self.random.between(500, 30_000) };
        self.wake_at(channel, of, self.now + wait);
    }
}

/// How many orders one page of a feed holds.
const PAGE: usize = 25;

pub(super) fn keyed(puts: Vec<(ListingRef, Put)>) -> impl Iterator<Item = (ListingRef, IdempotencyKey)> {
    puts.into_iter().map(|(listing, put)| (listing, put.key))
}

fn told(ask: &Ask) -> String {
    match ask {
        Ask::Write { puts, .. } => {
            let put = |(listing, put): &(ListingRef, Put)| match (put.compare, put.delta) {
                (Some(compare), _) => format!("{} {compare} -> {}", listing.sku, put.quantity),
                (None, Some(delta)) => format!("{} by {delta} -> {}", listing.sku, put.quantity),
                (None, None) => format!("{} -> {}", listing.sku, put.quantity),
            };
            format!("write {}", puts.iter().map(put).collect::<Vec<_>>().join(", "))
        }
        Ask::Look { listings, .. } => {
            format!(
                "look at {}",
                listings.iter().map(|(l, _)| l.sku.to_string()).collect::<Vec<_>>().join(", ")
            )
        }
        Ask::Orders { by, since, begun, .. } => format!("orders by {by:?} since {since}, begun at {begun}"),
        Ask::Order { order, .. } => format!("order {order}"),
        Ask::Catalogue { from } => format!("catalogue from {from}"),
        Ask::Changed { since } => format!("what moved since {since}"),
        Ask::Counts { begun, .. } => format!("counts, begun at {begun}"),
        Ask::LookUp { postings, .. } => format!("look-up of {} orders", postings.len()),
        Ask::Kept => "what lies there".to_owned(),
        Ask::Feed { puts } => format!("a feed of {}", puts.len()),
        Ask::HowFar { bulk } => format!("how far feed {:?} is", bulk.id),
        Ask::Post(posting) => format!("posting {} of {}", posting.sequence, posting.order),
    }
}
