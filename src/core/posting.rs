//! How far each ERP has been told of an order, and what it is to be told next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        order::{Order, Still},
        share::Share,
    },
    model::{
        ChannelId, LocationId, OrderKey, Overflow, Policies, Posting, PostingLine, Quantity, Seq, Sku,
        Timestamp, Totals, policy::Posts,
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
}

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
    /// Tells whether an order is left to others and units of it are not known to be off what the ERP counts.
    pub fn is_unseen(&self, order: &Order) -> bool {
        let unseen = |item: &Item| {
            let held = crate::core::count::acked(&self.acked, &item.sku, &item.location);
            let totals = item.totals;
            totals.ordered > held.ordered
                || totals.fulfilled > held.fulfilled
                || totals.written_off > held.written_off
        };
        self.step == Step::Watched && news(order).is_ok_and(|news| news.iter().any(unseen))
    }

    /// Tells whether the order is left to others.
    pub fn is_theirs(&self) -> bool {
        matches!(self.step, Step::Theirs | Step::Watched)
    }

    /// Takes in what the ERP is known to have of an item that is left to others.
    pub fn take(&mut self, item: Item) {
        let same = |held: &&mut Item| held.sku == item.sku && held.location == item.location;
        match self.acked.iter_mut().find(same) {
            Some(held) => held.totals = item.totals,
            None => self.acked.push(item),
        }
    }

    /// Returns what an ERP was told of an order so far: nothing.
    pub fn new(channel: ChannelId, step: Step, now: Timestamp) -> PostState {
        PostState {
            channel,
            step,
            sequence: 0,
            acked: Vec::new(),
            sent: Vec::new(),
            acked_at: Seq::ZERO,
            tries: 0,
            since: now,
            unsure: false,
            fault: None,
            shadow: false,
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
    pub fn with_gone(&self, mut target: Vec<Item>) -> Vec<Item> {
        for old in self.acked.iter().chain(&self.sent) {
            let same = |item: &Item| item.sku == old.sku && item.location == old.location;
            if !target.iter().any(same) {
                target.push(Item { totals: Totals::default(), ..old.clone() });
            }
        }
        target
    }

    /// Takes in what the ERP is to hold from here on. What is under way or parked stays so.
    pub fn retarget(&mut self, target: &[Item], now: Timestamp) {
        let behind = behind(&self.acked, target);
        match &self.step {
            Step::Done | Step::Dropped if behind => {
                (self.step, self.since, self.tries) = (Step::Pending, now, 0);
                self.fault = None;
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
    /// A person gave it up.
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
        let items = held.with_gone(target(order, policy.posts, &policy.locations).ok()?);
        let mut raises = false;
        let mut lines = Vec::new();
        for item in items {
            let row = self.skus.get(&item.sku)?;
            let ids = row.listings.iter().find(|l| l.channel == *channel)?.ids.clone();
            let acked = crate::core::count::acked(&held.acked, &item.sku, &item.location);
            raises |= item.totals.released > acked.released || item.totals.returned > acked.returned;
            raises |= item.totals.ordered < acked.ordered;
            let told = held.told(&item.sku, &item.location);
            raises |= told.fulfilled > item.totals.fulfilled || told.written_off > item.totals.written_off;
            let acked = held.acked(&item.sku, &item.location);
            lines.push(PostingLine { ids, location: item.location, target: item.totals, told, acked });
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
