//! How far each ERP has been told of an order, and what it is to be told next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        order::{Order, Still},
        share::Share,
    },
    model::{
        ChannelId, Identifiers, LocationId, OrderKey, Overflow, Policies, Posting, PostingLine, Quantity,
        Seq, Sku, Timestamp, Told, Totals, policy::Posts,
    },
};

/// One ERP's knowledge of one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostState {
    pub channel: ChannelId,
    pub step: Step,
    /// Grows with each posting; with the order's reference it is the key of that posting.
    pub sequence: u32,
    /// What the ERP has acknowledged. Of an order that is left to others: what its counts, or a person, have shown that it has.
    pub acked: Vec<Item>,
    /// The most that it was told since, whatever came of that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent: Vec<Item>,
    /// What each posting since told, as far as it is not known whether it went through: the latest [`UNANSWERED_MAX`] that told
    /// something else than the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unanswered: Vec<Attempt>,
    /// The position at which it did.
    pub acked_at: Seq,
    pub tries: u32,
    /// Since when the ERP is behind.
    pub since: Timestamp,
    /// Whether an earlier posting has no definite answer: the ERP may hold more than it has acknowledged.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unsure: bool,
    /// Why the last try did not go through; see [`excerpt`](crate::core::fault::excerpt). `None`: it did, or a person gave it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Whether the order came in while the mode was `shadow`, and no person has said since whether the ERP has it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// Whether a person gave it up and keeps the ERP right by hand: until its counts show that units of the order were taken off, they
    /// are taken off them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
}

/// What one posting told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub sequence: u32,
    pub target: Vec<Item>,
}

/// How many of them are kept.
pub const UNANSWERED_MAX: usize = 16;

/// Why a person is asked about an order that the ERP was never told of.
pub const OLDER: &str = "placed before the opening stock, so this ERP may have it already";
pub const ADDED: &str = "placed before this ERP was told of orders, so it may have it already";
pub const IN_SHADOW: &str = "came in while the mode was `shadow`, so this ERP may have it already";
pub const RESTORED: &str =
    "came in between a restore and `evenkeel resume --live`, so this ERP may have it already";
/// What was recorded where that is not known.
pub const STILL: &str = "placed while the mode was `shadow`, so this ERP may have it already";
/// What people are told then.
pub const WHILE_STILL: &str = "came in while the mode was `shadow`, or between a restore and `evenkeel resume --live`, so this ERP may \
    have it already";

/// Returns why a posting waits for a person, in words for people.
pub fn said(reason: &str) -> &str {
    if reason == STILL { WHILE_STILL } else { reason }
}

/// Returns why a person is asked about an order that came in while nothing was written.
pub fn in_shadow(order: &Order) -> &'static str {
    match order.first.and_then(|first| first.still) {
        Some(Still::Shadow) => IN_SHADOW,
        Some(Still::Restored) => RESTORED,
        None => STILL,
    }
}

impl PostState {
    /// Tells whether an order is left to others, or was given up, and units of it are not known to be off what the ERP counts.
    pub fn is_unseen(&self, order: &Order) -> bool {
        let unseen = |item: &Item| {
            let held = crate::core::count::acked(&self.acked, &item.sku, &item.location);
            let totals = item.totals;
            totals.ordered > held.ordered
                || totals.fulfilled > held.fulfilled
                || totals.written_off > held.written_off
        };
        self.is_watched() && news(order).is_ok_and(|news| news.iter().any(unseen))
    }

    /// Tells whether others than us tell the ERP of the order: it is left to them, or was given up.
    pub fn is_theirs(&self) -> bool {
        self.step == Step::Theirs || self.is_watched()
    }

    /// Tells whether the counts of the ERP are to show what others have booked of the order.
    pub fn is_watched(&self) -> bool {
        self.step == Step::Watched || (self.step == Step::Dropped && self.by_hand)
    }

    /// Takes in what the ERP is known to have of an item that is left to others.
    pub fn take(&mut self, item: Item) {
        let same = |held: &&mut Item| held.sku == item.sku && held.location == item.location;
        match self.acked.iter_mut().find(same) {
            Some(held) => held.totals = item.totals,
            None => self.acked.push(item),
        }
    }

    /// Takes in what an order moves at locations that the ERP does not have: it counts nothing there, so no count shows it.
    pub fn take_elsewhere(&mut self, news: Vec<Item>, locations: &[LocationId]) {
        let elsewhere = |item: &Item| !locations.contains(&item.location);
        news.into_iter().filter(elsewhere).for_each(|item| self.take(item));
    }

    /// Returns what an ERP was told of an order so far: nothing.
    pub fn new(channel: ChannelId, step: Step, now: Timestamp) -> PostState {
        PostState {
            channel,
            step,
            sequence: 0,
            acked: Vec::new(),
            sent: Vec::new(),
            unanswered: Vec::new(),
            acked_at: Seq::ZERO,
            tries: 0,
            since: now,
            unsure: false,
            fault: None,
            shadow: false,
            by_hand: false,
        }
    }

    /// Stops, and asks a person whether the ERP has the order already.
    pub fn asked(self, why: &str) -> PostState {
        let step = Step::Parked { reason: why.to_owned() };
        PostState { step, tries: 0, fault: None, shadow: false, ..self }
    }

    /// Tells whether a person is asked whether the ERP has the order already: it was never told of it.
    pub fn is_asked(&self) -> bool {
        self.sequence == 0 && matches!(self.step, Step::Parked { .. })
    }

    /// Notes what the next posting tells.
    pub fn attempt(&mut self, target: &[Item]) {
        self.sequence += 1;
        if self.unanswered.last().is_some_and(|last| last.target == target) {
            return;
        }
        self.unanswered.push(Attempt { sequence: self.sequence, target: target.to_vec() });
        if self.unanswered.len() > UNANSWERED_MAX {
            // The first tells which documents are older than all of them.
            self.unanswered.remove(1);
        }
    }

    /// Forgets the last posting: nothing of it was sent.
    pub fn unsent(&mut self) {
        self.unanswered.pop_if(|last| last.sequence == self.sequence);
    }

    /// Returns what an item's line of the next posting tells.
    pub fn line(&self, ids: Identifiers, item: &Item) -> PostingLine {
        let (sku, location) = (&item.sku, &item.location);
        let of = |attempt: &Attempt| Told {
            sequence: attempt.sequence,
            totals: crate::core::count::acked(&attempt.target, sku, location),
        };
        PostingLine {
            ids,
            location: location.clone(),
            target: item.totals,
            told: self.told(sku, location),
            acked: self.acked(sku, location),
            unanswered: self.unanswered.iter().map(of).collect(),
        }
    }

    /// Returns the most that the ERP was told to hold of a SKU at a location.
    pub fn told(&self, sku: &Sku, location: &LocationId) -> Totals {
        let of = |items: &[Item]| crate::core::count::acked(items, sku, location);
        of(&self.acked).most(of(&self.sent))
    }

    /// Returns what the ERP has acknowledged of a SKU at a location, if it was ever told of it.
    pub fn acked(&self, sku: &Sku, location: &LocationId) -> Option<Totals> {
        let held = self.acked.iter().find(|item| item.sku == *sku && item.location == *location);
        held.map(|item| item.totals)
    }

    /// Returns a target with what the ERP was told to hold elsewhere, or of another SKU, and is not to hold there any more.
    /// `locations`: those that the ERP has. What it was told at others stays as it is.
    pub fn with_gone(&self, mut target: Vec<Item>, locations: &[LocationId]) -> Vec<Item> {
        let here = |old: &&Item| locations.contains(&old.location);
        for old in self.acked.iter().chain(&self.sent).filter(here) {
            let same = |item: &Item| item.sku == old.sku && item.location == old.location;
            if !target.iter().any(same) {
                target.push(Item { totals: Totals::default(), ..old.clone() });
            }
        }
        target
    }

    /// Tells whether the ERP lacks something of a target at the locations that it has.
    pub fn is_behind(&self, target: &[Item], locations: &[LocationId]) -> bool {
        let here = self.acked.iter().filter(|item| locations.contains(&item.location));
        behind(&here.cloned().collect::<Vec<_>>(), target)
    }

    /// Returns what the ERP holds once it has taken in `told`: what it held at locations that it does not have any more stays.
    pub fn holding(&self, mut told: Vec<Item>, locations: &[LocationId]) -> Vec<Item> {
        for old in self.acked.iter().filter(|item| !locations.contains(&item.location)) {
            if !told.iter().any(|item| item.sku == old.sku && item.location == old.location) {
                told.push(old.clone());
            }
        }
        told
    }

    /// Takes in what the ERP is to hold from here on at the locations that it has. What is under way or parked stays so.
    pub fn retarget(&mut self, target: &[Item], locations: &[LocationId], now: Timestamp) {
        let behind = self.is_behind(target, locations);
        match &self.step {
            Step::Done | Step::Dropped if behind => {
                (self.step, self.since, self.tries) = (Step::Pending, now, 0);
                (self.fault, self.by_hand) = (None, false);
            }
            Step::Pending | Step::Retry { .. } if !behind && !self.unsure => {
                (self.step, self.tries, self.fault) = (Step::Done, 0, None);
            }
            Step::Done
            | Step::Dropped
            | Step::Theirs
            | Step::Watched
            | Step::Pending
            | Step::Retry { .. }
            | Step::InFlight { .. }
            | Step::Parked { .. } => {}
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The ERP knows all there is to know.
    Done,
    Pending,
    /// Journalled, and may have been sent. What it carries is frozen.
    InFlight {
        target: Vec<Item>,
    },
    /// Due again at `at`; every posting looks up what the ERP holds before it writes.
    Retry {
        at: Timestamp,
    },
    /// Cannot go on without a person: a dead letter.
    Parked {
        reason: String,
    },
    /// A person gave it up. If it counts, see [`PostState::by_hand`].
    Dropped,
    /// A person said that the ERP has the order by other hands, or will: it is never told of it, and its counts stand as they are.
    /// It does not count, or an older release was told so.
    Theirs,
    /// The same; but until its counts show that units of it were taken off, they are taken off them.
    Watched,
}

/// Totals of one SKU at one location.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    pub sku: Sku,
    pub location: LocationId,
    pub totals: Totals,
}

/// Returns what an ERP is to hold of an order: what is news to it, as far as it is told of that.
pub fn target(order: &Order, posts: Posts, locations: &[LocationId]) -> Result<Vec<Item>, Overflow> {
    let here = news(order)?.into_iter().filter(|item| locations.contains(&item.location));
    Ok(here.map(|item| Item { totals: told(item.totals, posts), ..item }).collect())
}

/// Returns the booked totals of an order's lines, summed per SKU and location.
///
/// Of an order older than the opening count, what was over by then is left out: the ERP's own count has it.
pub fn news(order: &Order) -> Result<Vec<Item>, Overflow> {
    let mut sums: BTreeMap<(Sku, LocationId), Totals> = BTreeMap::new();
    for line in order.lines.values() {
        for share in line.shares().iter() {
            let sum = sums.entry((share.sku.clone(), share.location.clone())).or_default();
            *sum = sum.plus(share.news()?)?;
        }
    }
    Ok(sums.into_iter().map(|((sku, location), totals)| Item { sku, location, totals }).collect())
}

/// Tells whether an ERP that counts at the opening may have an order by other hands: some of what it is to hold of it was
/// placed before.
pub fn is_older(order: &Order, posts: Posts, locations: &[LocationId]) -> bool {
    let is_news = |share: &Share| share.news().is_ok_and(|news| told(news, posts) != Totals::default());
    let older = |share: &Share| share.baseline && locations.contains(&share.location) && is_news(share);
    order.lines.values().any(|line| line.shares().iter().any(older))
}

pub fn told(totals: Totals, posts: Posts) -> Totals {
    let when = |on: bool, quantity| if on { quantity } else { Quantity::ZERO };
    Totals {
        ordered: when(posts.sales, totals.ordered),
        released: when(posts.sales, totals.released),
        written_off: when(posts.shipments, totals.written_off),
        fulfilled: when(posts.shipments, totals.fulfilled),
        returned: when(posts.returns, totals.returned),
    }
}

/// Joins what was sent before with a new target.
pub fn most(sent: &[Item], target: &[Item]) -> Vec<Item> {
    let mut all = target.to_vec();
    for old in sent {
        let same = |item: &&mut Item| item.sku == old.sku && item.location == old.location;
        match all.iter_mut().find(same) {
            Some(item) => item.totals = item.totals.most(old.totals),
            None => all.push(old.clone()),
        }
    }
    all
}

/// Tells whether an ERP that holds `acked` still lacks something of `target`.
pub fn behind(acked: &[Item], target: &[Item]) -> bool {
    let zero = Totals::default();
    let held = |item: &Item, of: &[Item]| {
        of.iter().find(|i| i.sku == item.sku && i.location == item.location).map_or(zero, |i| i.totals)
    };
    target.iter().any(|item| held(item, acked) != item.totals)
        || acked.iter().any(|item| held(item, target) != item.totals)
}

impl Order {
    pub fn posting(&self, channel: &ChannelId) -> Option<&PostState> {
        self.postings.iter().find(|p| p.channel == *channel)
    }

    pub fn posting_mut(&mut self, channel: &ChannelId) -> Option<&mut PostState> {
        self.postings.iter_mut().find(|p| p.channel == *channel)
    }
}

impl crate::core::State {
    /// Returns what an ERP is to hold of an order, for a look-up, and whether some of what it has not acknowledged
    /// raises the stock. `None`: the ERP is not told of it, or lacks one of its items.
    pub fn posting(&self, channel: &ChannelId, key: &OrderKey) -> Option<(Posting, bool)> {
        let policies = self.policies()?;
        let policy = policies.channels.get(channel)?;
        let order = self.orders.get(key)?;
        let held = order.posting(channel)?;
        let items = held.with_gone(target(order, policy.posts, &policy.locations).ok()?, &policy.locations);
        let mut raises = false;
        let mut lines = Vec::new();
        for item in items {
            let row = self.skus.get(&item.sku)?;
            let ids = row.called_on(channel)?.clone();
            let acked = crate::core::count::acked(&held.acked, &item.sku, &item.location);
            raises |= item.totals.released > acked.released || item.totals.returned > acked.returned;
            raises |= item.totals.ordered < acked.ordered;
            let told = held.told(&item.sku, &item.location);
            raises |= told.fulfilled > item.totals.fulfilled || told.written_off > item.totals.written_off;
            lines.push(held.line(ids, &item));
        }
        let reference = reference(policies, key);
        let (sequence, placed_at) = (held.sequence, order.placed_at);
        Some((Posting { order: key.clone(), reference, sequence, placed_at, lines }, raises))
    }
}

/// Returns what every document that an ERP holds for an order begins with.
pub fn reference(policies: &Policies, key: &OrderKey) -> String {
    format!("{}:{}:{}", policies.instance, key.channel, key.order)
}
