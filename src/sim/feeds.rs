//! Amazon's feeds in a run: many raises that leave as one, land when Amazon comes to them, in any order and after newer
//! writes, and end in every way that Amazon knows.

use crate::{
    core::{
        Command, Refused, Reply,
        bulk::{Act, Bulk, How, Refused as RefusedOf, Stage, Told, Turn},
        state::ListingRef,
    },
    model::{Outcome, Put, Timestamp},
    sim::{
        loops::Loop,
        plan::{self, AMAZON, Plan},
        random::Random,
        trips::{Answer, Ask, keyed},
        world::{Event, Then, World},
    },
};

/// What leaves with one feed.
pub(super) type Puts = Vec<(ListingRef, Put)>;

/// A feed that Amazon has taken.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    sent_at: i64,
    made_at: i64,
    puts: Vec<(usize, i64)>,
    stage: Stage,
    /// How it ends, and whether it has.
    how: How,
    through: bool,
    refused: Vec<u32>,
}

/// After how long a feed that Amazon does not list was never taken.
const LISTED: i64 = 15 * 60_000;
/// How far apart feeds begin.
const APART: i64 = 60_000;

impl Plan {
    /// In some runs more than a few raises that are due on Amazon leave as a feed.
    pub(super) fn draw_feeds(&mut self, random: &mut Random) {
        if self.span > 24 * 3_600_000 || !random.chance(200) {
            return;
        }
        let above = if random.chance(700) { 0 } else { 1 };
        if let Some(amazon) = self.policies.channels.get_mut(&plan::channel(AMAZON)) {
            amazon.bulk_above = Some(above);
        }
        // What a restored store has forgotten of a feed, nobody tells it again.
        self.backup = None;
    }

    pub(super) fn has_feeds(&self) -> bool {
        self.policies.channels[&plan::channel(AMAZON)].bulk_above.is_some()
    }
}

impl World {
    /// Tells whether none is open, where there are any.
    pub(super) fn may_begin_feed(&self) -> bool {
        let row = self.daemon.read().and_then(|state| state.channels.get(&plan::channel(AMAZON)));
        self.plan.has_feeds() && row.is_some_and(|row| row.bulk().is_none())
    }

    /// Makes the next step of a feed.
    pub(super) fn load(&mut self) {
        if self.desks[AMAZON].loading {
            return;
        }
        self.desks[AMAZON].loading = true;
        self.take_for_feed(Puts::new());
    }

    fn take_for_feed(&mut self, all: Puts) {
        let more = !all.is_empty();
        self.submit(
            Command::Bulk { channel: plan::channel(AMAZON), act: Act::Take { limit: 3, more } },
            Then::TookBulk(all),
        );
    }

    pub(super) fn took_bulk(&mut self, mut all: Puts, reply: Result<Reply, Refused>) {
        match reply {
            Ok(Reply::Bulk(Turn::Write(puts))) if !puts.is_empty() => {
                all.extend(puts);
                self.take_for_feed(all);
            }
            Ok(Reply::Bulk(Turn::Ask(bulk))) if all.is_empty() => self.ask_after(bulk),
            _ if all.is_empty() => self.loaded(),
            _ => self.send(AMAZON, Ask::Feed { puts: all }),
        }
    }

    fn ask_after(&mut self, bulk: Bulk) {
        if bulk.is_lost(Timestamp::from_millis(self.now)) {
            return self.told_of_feed(vec![Told::Ended { how: How::Lost, why: None, again_ms: 0 }]);
        }
        self.send(AMAZON, Ask::HowFar { bulk });
    }

    /// Amazon takes a feed.
    pub(super) fn take_feed(&mut self, puts: &Puts, sent_at: i64) -> Answer {
        let market = &self.markets[AMAZON];
        let found: Vec<(usize, i64)> =
            puts.iter().filter_map(|(_, put)| Some((market.find(&put.ids)?, put.quantity.units()))).collect();
        if let Some((n, _)) = found.iter().find(|(n, _)| market.keeps(*n)) {
            self.fail(format!("FBA: listing {n} is in a feed, which the channel keeps"));
        }
        let id = self.feeds.len();
        self.tell(|| format!("amazon: takes feed {id} of {found:?}"));
        let (made_at, stage, how) = (self.now, Stage::Queued, How::Done);
        self.feeds.push(Feed { sent_at, made_at, puts: found, stage, how, through: false, refused: vec![] });
        let waits = self.feed_span();
        self.after(waits, Event::Feed(id));
        Answer::Feed(id)
    }

    /// Now and then it takes long.
    fn feed_span(&mut self) -> i64 {
        let visible = self.markets[AMAZON].can.visible_ms;
        let long = !self.calm && self.random.chance(200);
        self.random.between(visible / 40, if long { visible * 2 } else { visible / 8 })
    }

    /// Amazon begins with a feed, or is through with it.
    pub(super) fn feed_goes_on(&mut self, id: usize) {
        let Some(feed) = self.feeds.get(id).cloned() else { return };
        if feed.stage == Stage::Working {
            self.tell(|| format!("amazon: is through with feed {id}"));
            self.feeds[id].through = true;
            return;
        }
        if !self.calm && self.random.chance(100) {
            self.tell(|| format!("amazon: feed {id} is taken back"));
            (self.feeds[id].how, self.feeds[id].through) = (How::Cancelled, true);
            return;
        }
        self.feeds[id].stage = Stage::Working;
        let (works, can) = (self.feed_span(), self.markets[AMAZON].can);
        let given_up = !self.calm && self.random.chance(100);
        let (dropped, late) = (self.plan.rates.dropped, self.plan.rates.late);
        let luck = |permille: u32, world: &mut World| !world.calm && world.random.chance(permille);
        for (number, (listing, quantity)) in feed.puts.iter().copied().enumerate() {
            if (given_up && luck(500, self)) || luck(dropped, self) {
                continue;
            }
            if !given_up && luck(dropped.min(20), self) {
                self.feeds[id].refused.push(u32::try_from(number).unwrap_or(u32::MAX));
                continue;
            }
            let late = late > 0 && luck(150, self);
            let most = if late { can.late_ms * 8 / 10 } else { can.visible_ms * 7 / 10 };
            let wait = self.random.between(1, works + most);
            self.after(wait, Event::FeedLands { listing, quantity, sent_at: feed.sent_at });
        }
        if given_up {
            self.feeds[id].how = How::Failed;
        }
        self.after(works, Event::Feed(id));
    }

    /// One quantity of a feed lands, over whatever was written there since.
    pub(super) fn feed_lands(&mut self, listing: usize, quantity: i64, sent_at: i64) {
        self.lost_sight(AMAZON, listing, sent_at);
        let latest = self.markets[AMAZON].listed[listing].latest;
        self.markets[AMAZON].listed[listing].latest = latest.max(sent_at);
        self.markets[AMAZON].set(self.now, listing, quantity);
        self.ours_landed(AMAZON, listing, quantity);
        if sent_at < latest {
            self.puzzle(AMAZON, listing);
        }
    }

    /// What Amazon says of a feed.
    pub(super) fn how_far(&self, bulk: &Bulk) -> Answer {
        let ended = |how| Told::Ended { how, why: None, again_ms: APART };
        let Some(id) = bulk.id.as_ref().and_then(|id| id.parse::<usize>().ok()) else {
            let made = |feed: &Feed| feed.made_at >= bulk.at.millis();
            let told = match self.feeds.iter().rposition(made) {
                Some(id) => Told::Found { id: id.to_string() },
                None if self.now - bulk.at.millis() >= LISTED => ended(How::Lost),
                None => Told::At(Stage::Unsure),
            };
            return Answer::HowFar(vec![told]);
        };
        let Some(feed) = self.feeds.get(id) else { return Answer::HowFar(vec![ended(How::Lost)]) };
        if !feed.through {
            return Answer::HowFar(vec![Told::At(feed.stage)]);
        }
        let reason = || "it does not like it".to_owned();
        let row = |number: &u32| RefusedOf { number: Some(*number), sku: None, reason: reason() };
        let rows: Vec<RefusedOf> = feed.refused.iter().map(row).collect();
        let refused = (!rows.is_empty()).then_some(Told::Refused(rows));
        Answer::HowFar(refused.into_iter().chain([ended(feed.how)]).collect())
    }

    /// The answer to a feed, or to the question how far it is, is in.
    pub(super) fn feed_answered(&mut self, puts: Puts, answer: Answer) {
        let (told, outcome) = if let Answer::Feed(id) = answer {
            let id = id.to_string();
            (Told::Taken { id: id.clone() }, Outcome::Accepted { submission: Some(id) })
        } else if let Answer::Throttled(again_ms) = answer {
            not_begun(again_ms)
        } else if let Answer::Unauthorized = answer {
            not_begun(APART)
        } else {
            (Told::Unsure, Outcome::Unknown { fault: "no answer".into() })
        };
        let channel = plan::channel(AMAZON);
        self.submit_fact(Command::Bulk { channel: channel.clone(), act: Act::Told(told) }, Then::Nothing);
        let answers = keyed(puts).map(|(listing, key)| (listing, key, outcome.clone())).collect();
        self.submit_fact(Command::Answer { channel, answers }, Then::Loaded);
    }

    pub(super) fn how_far_answered(&mut self, answer: Answer) {
        if let Answer::HowFar(told) = answer {
            self.told_of_feed(told);
        } else {
            self.loaded();
        }
    }

    fn told_of_feed(&mut self, all: Vec<Told>) {
        for told in all {
            self.submit_fact(
                Command::Bulk { channel: plan::channel(AMAZON), act: Act::Told(told) },
                Then::Nothing,
            );
        }
        self.loaded();
    }

    /// A step has been made.
    pub(super) fn loaded(&mut self) {
        self.desks[AMAZON].loading = false;
        let wait = self.feed_pause();
        self.wake_at(AMAZON, Loop::Load, self.now + wait);
    }
}

fn not_begun(again_ms: i64) -> (Told, Outcome) {
    let told = Told::Ended { how: How::NotBegun, why: None, again_ms };
    (told, Outcome::Throttled { retry_after_ms: 0 })
}
