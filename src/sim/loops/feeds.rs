//! A channel's order feed and its catalogue, read page by page; single orders that must be fetched.

use crate::{
    connectors::By,
    core::{
        Command, Refused, Reply,
        circuit::Health,
        decide::lane::read_wanted,
        index::{Kind, Work},
        state::ChannelRow,
    },
    model::{OrderId, Seq, Timestamp},
    sim::{
        loops::{List, Loop, Place},
        plan::{self, AMAZON},
        trips::{Answer, Ask},
        world::{Then, World},
    },
};

/// The shortest pause between two reads of Amazon's orders.
const AMAZON_GAP: i64 = 178_572;
/// How far a read goes back behind where the last one ended.
const OVERLAP: [i64; 2] = [120_000, 300_000];
/// How often in a row a page may fail before its read is begun anew.
const PAGE_TRIES: u32 = 5;
const LOOKBACK: i64 = 60 * 86_400_000;

impl World {
    pub(super) fn feed(&mut self, channel: usize) {
        if self.desks[channel].reading {
            return;
        }
        let Some(state) = self.daemon.read() else { return };
        let (id, now) = (plan::channel(channel), self.now);
        let desk = &self.desks[channel];
        let wants = desk.owed || desk.place.is_some() || read_wanted(state, &id, Timestamp::from_millis(now));
        let early = channel == AMAZON && desk.place.is_none() && now - desk.last_read < AMAZON_GAP;
        let due = |order: &OrderId| desk.unread.get(order).is_none_or(|again| *again <= now);
        let mut fetches = state
            .index
            .of(Kind::Fetch, &id)
            .filter_map(|work| if let Work::Fetch { order, .. } = work { Some(&order.order) } else { None });
        let fetch = fetches.find(|order| due(order)).cloned();
        drop(fetches);
        if let Some(order) = fetch {
            let begun = self.daemon.durable.seq;
            self.desks[channel].reading = true;
            return self.send(channel, Ask::Order { order, begun });
        }
        if wants && !early {
            self.desks[channel].reading = true;
            return self.read_page(channel);
        }
        self.wake_at(channel, Loop::Feed, now + if wants { 2_000 } else { self.tick() });
    }

    fn read_page(&mut self, channel: usize) {
        let (now, begun) = (self.now, self.daemon.durable.seq);
        let place = match self.desks[channel].place {
            Some(place) => place,
            None => {
                let row = self.daemon.durable.channels.get(&plan::channel(channel));
                let held = row.and_then(ChannelRow::watermark).map(Timestamp::millis);
                let since = held.map_or(now - LOOKBACK, |held| held - OVERLAP[channel]);
                let desk = &mut self.desks[channel];
                (desk.last_read, desk.owed) = (now, false);
                // Amazon's lists are read in turn.
                let by = match desk.last {
                    Some(List { by: By::Change, .. }) if channel == AMAZON => By::Placement,
                    _ => By::Change,
                };
                Place { by, since, begun, begun_at: now, after: None, failures: 0 }
            }
        };
        self.desks[channel].place = Some(place);
        self.send(channel, Ask::Orders { by: place.by, since: place.since, after: place.after, begun });
    }

    pub(in crate::sim) fn page_answered(&mut self, channel: usize, begun: Seq, answer: Answer) {
        let Answer::Orders(page) = answer else {
            let desk = &mut self.desks[channel];
            desk.reading = false;
            if let Some(place) = &mut desk.place {
                place.failures += 1;
            }
            if desk.place.is_some_and(|place| place.failures >= PAGE_TRIES) {
                desk.feed_broken();
            }
            self.tell_unauthorized(channel, &answer);
            return self.again(channel, Loop::Feed, &answer);
        };
        let (next, through) = (page.next, page.read_through);
        let rate = if self.calm { 0 } else { self.plan.rates.unread };
        let (unread, orders): (Vec<_>, Vec<_>) =
            page.orders.into_iter().partition(|_| self.random.chance(rate));
        if orders.is_empty() && unread.is_empty() {
            return self.page_taken(channel, next, through, &Ok(Reply::Done));
        }
        if !unread.is_empty() {
            let orders = unread.into_iter().map(|order| order.order).collect();
            self.submit_fact(Command::Unread { channel: plan::channel(channel), orders }, Then::Nothing);
        }
        let orders = Command::Orders { channel: plan::channel(channel), begun, orders };
        self.submit_fact(orders, Then::Page { channel, next, through });
    }

    pub(in crate::sim) fn page_taken(
        &mut self,
        channel: usize,
        next: Option<(i64, usize)>,
        through: Option<i64>,
        reply: &Result<Reply, Refused>,
    ) {
        if let Err(refused) = reply {
            return self.fail(format!("a page of orders was refused: {refused}"));
        }
        let Some(place) = &mut self.desks[channel].place else { return };
        (place.after, place.failures) = (next, 0);
        let Some(through) = through else { return self.read_page(channel) };
        let Place { by, begun, begun_at, .. } = *place;
        let list = List { by, begun, begun_at, through };
        self.desks[channel].place = None;
        let whole = match self.desks[channel].last.replace(list) {
            _ if channel != AMAZON => list,
            Some(earlier) => List {
                by,
                begun: begun.min(earlier.begun),
                begun_at: begun_at.min(earlier.begun_at),
                through: through.min(earlier.through),
            },
            None => return self.read_page(channel),
        };
        let List { begun, begun_at, through, .. } = whole;
        let (begun_at, through) = (Timestamp::from_millis(begun_at), Timestamp::from_millis(through));
        let fed = Command::Fed { channel: plan::channel(channel), begun, begun_at, through };
        self.submit_fact(fed, Then::Fed(channel));
    }

    pub(in crate::sim) fn fed(&mut self, channel: usize) {
        self.desks[channel].reading = false;
        self.wake_at(channel, Loop::Feed, self.now + 200);
    }

    pub(in crate::sim) fn order_answered(
        &mut self,
        channel: usize,
        order: &OrderId,
        begun: Seq,
        answer: Answer,
    ) {
        let id = plan::channel(channel);
        let Answer::Order(read) = answer else {
            let again = self.now + self.random.between(1_000, 60_000);
            let desk = &mut self.desks[channel];
            desk.reading = false;
            desk.unread.insert(order.clone(), again);
            self.tell_unauthorized(channel, &answer);
            return self.again(channel, Loop::Feed, &answer);
        };
        let command = match read {
            Some(read) => Command::Orders { channel: id, begun, orders: vec![*read] },
            None => Command::NoOrder { channel: id, order: order.clone() },
        };
        self.desks[channel].unread.remove(order);
        self.submit_fact(command, Then::Fetched(channel));
    }

    pub(in crate::sim) fn fetched(&mut self, channel: usize) {
        self.desks[channel].reading = false;
        self.wake_at(channel, Loop::Feed, self.now);
    }

    fn tell_unauthorized(&mut self, channel: usize, answer: &Answer) {
        if matches!(answer, Answer::Unauthorized) {
            let health = Health::Unauthorized("403".into());
            let failed = Command::ReadFailed { channel: plan::channel(channel), health, alone: None };
            self.submit(failed, Then::Nothing);
        }
    }

    // ---- catalogues -----------------------------------------------------------------------------------------------

    pub(super) fn reconcile(&mut self, channel: usize) {
        self.wake_at(channel, Loop::Reconcile, self.now + self.plan.sweep);
        if !self.desks[channel].listing {
            self.desks[channel].listing = true;
            self.send(channel, Ask::Catalogue { from: 0 });
        }
    }

    pub(in crate::sim) fn catalogue_answered(
        &mut self,
        channel: usize,
        from: usize,
        sent_at: i64,
        answer: Answer,
    ) {
        let Answer::Catalogue(items, more) = answer else {
            self.desks[channel].listing = false;
            return self.again(channel, Loop::Reconcile, &answer);
        };
        let next = more.then_some(from + items.len());
        let read_at = Timestamp::from_millis(sent_at);
        let page = Command::Catalogue { channel: plan::channel(channel), read_at, items, unread: Vec::new() };
        self.submit_fact(page, Then::Listed { channel, next });
    }

    pub(in crate::sim) fn catalogued(&mut self, channel: usize, next: Option<usize>) {
        match next {
            Some(from) => self.send(channel, Ask::Catalogue { from }),
            None => {
                let id = plan::channel(channel);
                self.desks[channel].listing = false;
                self.submit(Command::Catalogued { channel: id.clone() }, Then::Nothing);
                self.submit(Command::Swept { channel: id }, Then::Nothing);
            }
        }
    }
}
