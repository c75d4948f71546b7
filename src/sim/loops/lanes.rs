//! A channel's lane: takes work, carries it out, reports what came of it.

use crate::{
    core::{Command, Refused, Reply, circuit::Health, command::Apart, index::Kind, state::ListingRef},
    model::{Identifiers, Put, Timestamp},
    sim::{
        loops::Loop,
        plan::{self, AMAZON},
        trips::{Answer, Ask, keyed},
        world::{Then, World},
    },
};

/// How many requests with what may be why requests fail are under way at once.
const APART: usize = 4;

impl World {
    pub(super) fn lane(&mut self, channel: usize) {
        if self.desks[channel].writing {
            return;
        }
        // What may leave as a feed is looked through before the lane takes it.
        if channel == AMAZON && self.may_begin_feed() {
            self.load();
        }
        let desk = &mut self.desks[channel];
        desk.writing = true;
        desk.asked = self.now;
        let apart = APART.saturating_sub(desk.apart);
        let limit = usize::try_from(self.markets[channel].can.batch).unwrap_or(1);
        self.submit(Command::Take { channel: plan::channel(channel), limit, apart }, Then::Took(channel));
    }

    pub(in crate::sim) fn took(&mut self, channel: usize, reply: Result<Reply, Refused>) {
        self.desks[channel].writing = false;
        let Ok(Reply::Work { puts, looks, apart: Apart { puts: requests, looks: apart } }) = reply else {
            return self.rest(channel, Loop::Lane, &LANE);
        };
        // What was found to need a look first has taken a place as well.
        if puts.len() + looks.len() < usize::try_from(self.markets[channel].can.batch).unwrap_or(1) {
            let asked = self.desks[channel].asked;
            let left = self.checks.lowers_left(&self.daemon.durable, &plan::channel(channel), asked);
            self.heed(left);
        }
        let mut hints = std::mem::take(&mut self.desks[channel].hints);
        hints.retain(|hint| !looks.contains(hint));
        let looks: Vec<_> = looks.into_iter().chain(hints).collect();
        if !looks.is_empty() && !self.desks[channel].looking {
            self.desks[channel].looking = true;
            self.send(channel, Ask::Look { listings: looks, apart: false });
        }
        if !apart.is_empty() && !self.desks[channel].looking_apart {
            self.desks[channel].looking_apart = true;
            self.send(channel, Ask::Look { listings: apart, apart: true });
        }
        for request in requests {
            self.desks[channel].apart += 1;
            self.send(channel, Ask::Write { puts: request, apart: true });
        }
        if puts.is_empty() {
            return self.rest(channel, Loop::Lane, &LANE);
        }
        self.desks[channel].writing = true;
        self.send(channel, Ask::Write { puts, apart: false });
    }

    pub(in crate::sim) fn write_answered(
        &mut self,
        channel: usize,
        puts: Vec<(ListingRef, Put)>,
        apart: bool,
        answer: Answer,
    ) {
        let outcomes = answer.outcomes(puts.len());
        let answers = keyed(puts).zip(outcomes).map(|((listing, key), outcome)| (listing, key, outcome));
        let answer = Command::Answer { channel: plan::channel(channel), answers: answers.collect() };
        self.submit_fact(answer, Then::Wrote(channel, apart));
    }

    pub(in crate::sim) fn wrote(&mut self, channel: usize, apart: bool) {
        let desk = &mut self.desks[channel];
        if apart {
            desk.apart = desk.apart.saturating_sub(1);
        } else {
            desk.writing = false;
        }
        self.wake_at(channel, Loop::Lane, self.now);
    }

    pub(in crate::sim) fn look_answered(
        &mut self,
        channel: usize,
        listings: Vec<(ListingRef, Identifiers)>,
        apart: bool,
        sent_at: i64,
        answer: Answer,
    ) {
        let id = plan::channel(channel);
        if let Answer::Seen(seen) = answer {
            let seen = listings.into_iter().map(|(listing, _)| listing).zip(seen).collect();
            let looked = Command::Looked { channel: id, read_at: Timestamp::from_millis(sent_at), seen };
            return self.submit_fact(looked, Then::Saw(channel, apart));
        }
        let health = if let Answer::Unauthorized = answer {
            Some(Health::Unauthorized("403".into()))
        } else {
            matches!(answer, Answer::Silence).then(|| Health::Silent("no answer".into()))
        };
        self.saw(channel, apart);
        self.again(channel, Loop::Lane, &answer);
        if let Some(health) = health {
            let alone = if let [(listing, _)] = listings.as_slice() { Some(listing.clone()) } else { None };
            self.submit(Command::ReadFailed { channel: id, health, alone }, Then::Nothing);
        }
    }

    pub(in crate::sim) fn saw(&mut self, channel: usize, apart: bool) {
        let desk = &mut self.desks[channel];
        if apart {
            desk.looking_apart = false;
        } else {
            desk.looking = false;
        }
        self.wake_at(channel, Loop::Lane, self.now + 1);
    }
}

/// What of a lane comes due by the clock alone.
const LANE: [Kind; 3] = [Kind::Retry, Kind::Look, Kind::Unsettled];
