//! The daemon's loops, as the engine has them: lanes, feeds, counters, posters, catalogues, ticks. They hold nothing that
//! matters: what is due follows from the state, and a process that dies forgets them.

mod counts;
mod feeds;
mod lanes;

use std::collections::BTreeMap;

use crate::{
    connectors::By,
    core::state::ListingRef,
    core::{
        Command,
        index::{Kind, Work},
    },
    model::{Identifiers, OrderId, Seq, Timestamp},
    sim::{
        plan::{self, AMAZON, ERP, NAMES},
        world::{Then, World},
    },
};

/// What looks around by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Loop {
    Lane,
    Feed,
    /// A feed whose schedule is due.
    Poll,
    Reconcile,
    Counter,
    Sweep,
    Poster,
    /// What a channel itself keeps and ships is read.
    Kept,
    /// Many raises leave as one.
    Load,
    Tick,
}

/// What the loops of one channel keep in mind.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// A take, or the write that came of it, is under way.
    writing: bool,
    /// When the lane last asked for work.
    asked: i64,
    apart: usize,
    looking: bool,
    looking_apart: bool,
    pub(super) hints: Vec<(ListingRef, Identifiers)>,
    /// A read of the feed, or of a single order, is under way.
    reading: bool,
    owed: bool,
    place: Option<Place>,
    /// The list of orders that was read last.
    last: Option<List>,
    last_read: i64,
    /// Orders that could not be read, and from when on they are worth another try.
    unread: BTreeMap<OrderId, i64>,
    pub(super) listing: bool,
    /// A step of a feed is under way.
    pub(super) loading: bool,
    counting: bool,
    pub(super) posting: usize,
}

/// Where a read of a feed is.
#[derive(Debug, Clone, Copy)]
struct Place {
    by: By,
    since: i64,
    begun: Seq,
    begun_at: i64,
    after: Option<(i64, usize)>,
    failures: u32,
}

/// A list of orders that was read to its end.
#[derive(Debug, Clone, Copy)]
struct List {
    by: By,
    begun: Seq,
    begun_at: i64,
    through: i64,
}

impl Desk {
    pub(super) fn lane_idle(&mut self) {
        (self.writing, self.looking, self.looking_apart, self.apart) = (false, false, false, 0);
    }

    pub(super) fn feed_broken(&mut self) {
        (self.reading, self.place, self.owed) = (false, None, true);
    }
}

impl World {
    /// The daemon has started: every loop looks around at once, and then when it thinks it should.
    pub(super) fn begin_loops(&mut self) {
        let (now, kept, feeds) = (self.now, self.plan.wide.kept > 0, self.plan.has_feeds());
        for channel in 0..NAMES.len() {
            let own: &[Loop] = if channel == ERP {
                &[Loop::Reconcile, Loop::Counter, Loop::Sweep, Loop::Poster]
            } else {
                &[Loop::Lane, Loop::Poll, Loop::Reconcile, Loop::Kept]
            };
            for of in own.iter().filter(|of| **of != Loop::Kept || (kept && channel == AMAZON)) {
                let soon = now + self.random.between(1, 500);
                self.wake_at(channel, *of, soon);
            }
        }
        if feeds {
            self.wake_at(AMAZON, Loop::Load, now + 700);
        }
        self.wake_at(0, Loop::Tick, now + 1_000);
    }

    pub(super) fn look_around(&mut self, channel: usize, of: Loop) {
        if !self.daemon.is_up() {
            return;
        }
        if self.daemon.owes() {
            return self.wake_at(channel, of, self.now + 5_000);
        }
        match of {
            Loop::Lane => self.lane(channel),
            Loop::Feed => self.feed(channel),
            Loop::Poll => {
                self.desks[channel].owed = true;
                self.wake_at(channel, Loop::Poll, self.now + self.poll());
                self.feed(channel);
            }
            Loop::Reconcile => self.reconcile(channel),
            Loop::Counter => {
                self.wake_at(channel, Loop::Counter, self.now + self.poll());
                self.counter(false);
            }
            Loop::Sweep => {
                self.wake_at(channel, Loop::Sweep, self.now + self.plan.sweep);
                self.counter(true);
            }
            Loop::Poster => self.poster(),
            Loop::Kept => self.read_kept(),
            Loop::Load => self.load(),
            Loop::Tick => {
                self.submit(Command::Tick, Then::Nothing);
                self.wake_at(0, Loop::Tick, self.now + self.tick() * 2);
            }
        }
    }

    /// Returns how often a loop looks around that nothing wakes. At the end, when less and less is to be done, seldom.
    fn tick(&self) -> i64 {
        if self.calm { self.plan.tick.max(600_000) } else { self.plan.tick }
    }

    /// Returns how long it is until the next step of a feed.
    pub(super) fn feed_pause(&self) -> i64 {
        if self.calm { 60_000 } else { self.plan.tick }
    }

    fn poll(&self) -> i64 {
        if self.calm { self.plan.poll.max(600_000) } else { self.plan.poll }
    }

    /// Returns when something of a channel is due next by the clock alone.
    fn next_due(&self, channel: usize, kinds: &[Kind]) -> Option<i64> {
        let state = self.daemon.read()?;
        let id = plan::channel(channel);
        let late = self.plan.policies.channels[&id].abilities.late_ms;
        let at = |work: &Work| -> Option<Timestamp> {
            if let Work::Retry { at, .. } | Work::Look { at, .. } | Work::Post { at, .. } = work {
                return Some(*at);
            }
            if let Work::Unsettled { at, .. } = work { Some(at.plus_millis(late)) } else { None }
        };
        let first = kinds.iter().filter_map(|kind| at(state.index.of(*kind, &id).next()?));
        first.min().map(Timestamp::millis)
    }

    /// Has a loop look around when something is due, and otherwise after a tick.
    fn rest(&mut self, channel: usize, of: Loop, kinds: &[Kind]) {
        let idle = self.now + self.tick();
        // A restored store does nothing of what is due until a person lets it write.
        let held = self.daemon.read().is_some_and(|state| state.restored.is_some());
        let due = self.next_due(channel, kinds).filter(|_| !held);
        let due = due.map_or(idle, |due| due.clamp(self.now + 50, idle));
        self.wake_at(channel, of, due);
    }
}
