//! What is derived from the rows so that decisions find their work without looking at every row.
//!
//! Never stored. [`Index::of_row`] and [`Index::of_order`] say what a row contributes; replacing what it did by
//! what it does keeps the index true.

use std::collections::BTreeSet;

use crate::{
    core::{
        backoff::digest,
        leg,
        mapping::fold,
        order::Order,
        posting::Step,
        state::{ListingRef, SkuRow, State},
    },
    model::{ChannelId, FulfilledBy, IdKind, OrderKey, Policies, Quantity, Sku, Timestamp, Totals},
};

#[derive(Debug, Clone, Default)]
pub struct Index {
    work: BTreeSet<Work>,
    ids: BTreeSet<(u64, ListingRef)>,
    folded: BTreeSet<(u64, Sku)>,
}

/// Something that a row makes due. The order of the fields is the order in which work is taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A leg to be sent: lowers before raises, lowest stock first.
    Ready {
        channel: ChannelId,
        raise: bool,
        quantity: Quantity,
        listing: ListingRef,
    },
    /// A leg to be sent again.
    Retry {
        channel: ChannelId,
        at: Timestamp,
        listing: ListingRef,
    },
    /// A listing to be looked at.
    Look {
        channel: ChannelId,
        at: Timestamp,
        listing: ListingRef,
    },
    /// A read that waits for the channel's orders.
    Fencing {
        channel: ChannelId,
        listing: ListingRef,
    },
    /// A leg whose answer is awaited.
    InFlight {
        channel: ChannelId,
        listing: ListingRef,
    },
    /// A leg that people are told about if it is still unconfirmed then.
    Unseen {
        channel: ChannelId,
        deadline: Timestamp,
        listing: ListingRef,
    },
    Parked {
        channel: ChannelId,
        listing: ListingRef,
    },
    /// An order that must be fetched.
    Fetch {
        channel: ChannelId,
        order: OrderKey,
    },
    /// An order with a line that no SKU was found for.
    Unmapped {
        channel: ChannelId,
        order: OrderKey,
    },
    /// An order that an ERP must be told of.
    Post {
        channel: ChannelId,
        at: Timestamp,
        order: OrderKey,
    },
    /// A posting whose answer is awaited.
    Posting {
        channel: ChannelId,
        order: OrderKey,
    },
    PostLate {
        channel: ChannelId,
        deadline: Timestamp,
        order: OrderKey,
    },
    PostParked {
        channel: ChannelId,
        order: OrderKey,
    },
    /// An order that some ERP does not hold whole, by SKU.
    Unposted {
        sku: Sku,
        order: OrderKey,
    },
}

/// What one SKU's row contributes.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OfRow {
    work: Vec<Work>,
    ids: Vec<(u64, ListingRef)>,
}

fn id_digest(channel: &ChannelId, kind: IdKind, value: &str) -> u64 {
    digest(&[channel.as_str(), kind.name(), value])
}

impl Index {
    pub fn of_row(&self, policies: Option<&Policies>, sku: &Sku, row: &SkuRow) -> OfRow {
        let mut out = OfRow::default();
        for (at, listing) in row.listings.iter().enumerate() {
            let at = u16::try_from(at).expect("a SKU has fewer than 65,536 listings: `decide` refuses more");
            let place = || ListingRef { sku: sku.clone(), at };
            for id in listing.ids.iter() {
                out.ids.push((id_digest(&listing.channel, id.kind, &id.value), place()));
            }
            if listing.writes.look.is_some() {
                out.work.push(Work::Fencing { channel: listing.channel.clone(), listing: place() });
            }
            if let Some(leg) = &listing.leg {
                let base = listing.writes.base;
                of_leg(&mut out.work, policies, &listing.channel, leg, base, &place);
            }
        }
        out
    }

    pub fn of_order(key: &OrderKey, order: &Order) -> Vec<Work> {
        let mut out = Vec::new();
        let channel = || key.channel.clone();
        if order.fetch_due.is_some() {
            out.push(Work::Fetch { channel: channel(), order: key.clone() });
        }
        let unmapped = |line: &crate::core::order::Line| {
            line.bound.is_none() && line.by != FulfilledBy::Channel && line.ordered_most > Quantity::ZERO
        };
        if order.lines.values().any(unmapped) {
            out.push(Work::Unmapped { channel: channel(), order: key.clone() });
        }
        for posting in &order.postings {
            let (channel, order_key) = (posting.channel.clone(), key.clone());
            match &posting.step {
                Step::Done | Step::Dropped => continue,
                Step::Pending => {
                    out.push(Work::Post { channel, at: Timestamp::ZERO, order: order_key });
                }
                Step::Retry { at } => out.push(Work::Post { channel, at: *at, order: order_key }),
                Step::InFlight { .. } => out.push(Work::Posting { channel, order: order_key }),
                Step::Parked { .. } => out.push(Work::PostParked { channel, order: order_key }),
            }
            out.push(Work::PostLate {
                channel: posting.channel.clone(),
                deadline: posting.since,
                order: key.clone(),
            });
            for line in order.lines.values().filter(|line| line.booked != Totals::default()) {
                if let Some(bound) = &line.bound {
                    out.push(Work::Unposted { sku: bound.sku.clone(), order: key.clone() });
                }
            }
        }
        out
    }

    pub fn replace(&mut self, before: OfRow, after: OfRow) {
        if before.ids != after.ids {
            for id in &before.ids {
                self.ids.remove(id);
            }
            self.ids.extend(after.ids);
        }
        self.replace_work(&before.work, after.work);
    }

    pub fn replace_order(&mut self, _: &OrderKey, before: &[Work], after: Vec<Work>) {
        self.replace_work(before, after);
    }

    fn replace_work(&mut self, before: &[Work], after: Vec<Work>) {
        if before == after.as_slice() {
            return;
        }
        for work in before {
            self.work.remove(work);
        }
        self.work.extend(after);
    }

    pub fn add_sku(&mut self, policies: Option<&Policies>, sku: &Sku) {
        if let Some(policies) = policies {
            self.folded.insert((digest(&[&fold(&policies.mapping, sku.as_str())]), sku.clone()));
        }
    }

    /// Returns the SKUs whose folded text may be `folded` (compare again: digests may collide).
    pub fn folded(&self, folded: &str) -> impl Iterator<Item = &Sku> {
        let hash = digest(&[folded]);
        let least = Sku::new("!").expect("a valid SKU that sorts first among printable ones");
        self.folded.range((hash, least)..).take_while(move |(h, _)| *h == hash).map(|(_, sku)| sku)
    }

    /// Returns the listings on `channel` that carry the identifier.
    pub fn listings(&self, state: &State, channel: &ChannelId, kind: IdKind, value: &str) -> Vec<ListingRef> {
        let hash = id_digest(channel, kind, value);
        let least = ListingRef { sku: Sku::new("!").expect("a valid SKU"), at: 0 };
        let same = |listing: &&ListingRef| {
            state.listing(listing).is_some_and(|l| l.channel == *channel && l.ids.get(kind) == Some(value))
        };
        let near = self.ids.range((hash, least)..).take_while(|(h, _)| *h == hash);
        near.map(|(_, listing)| listing).filter(same).cloned().collect()
    }

    /// Returns the work from `from` (inclusive) on, in order, while `belongs` says so.
    pub fn work<'a>(
        &'a self,
        from: Work,
        belongs: impl Fn(&Work) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Work> + 'a {
        self.work.range(from..).take_while(move |work| belongs(work))
    }

    /// Returns the work of one kind for one channel, in the order in which it is to be taken.
    pub fn of<'a>(&'a self, kind: Kind, channel: &'a ChannelId) -> impl Iterator<Item = &'a Work> + 'a {
        let from = kind.least(channel);
        let same = std::mem::discriminant(&from);
        self.work(from, move |work| {
            std::mem::discriminant(work) == same && work.channel().is_some_and(|c| c == channel)
        })
    }

    /// Returns the listings on a channel that are ready for a raise, lowest stock first.
    pub fn raises<'a>(&'a self, channel: &'a ChannelId) -> impl Iterator<Item = &'a ListingRef> + 'a {
        let listing = ListingRef { sku: Sku::new("!").expect("a valid SKU that sorts first"), at: 0 };
        let quantity = Quantity::new(i64::MIN);
        let from = Work::Ready { channel: channel.clone(), raise: true, quantity, listing };
        self.work.range(from..).map_while(move |work| match work {
            Work::Ready { channel: of, listing, .. } if of == channel => Some(listing),
            _ => None,
        })
    }

    /// Returns the orders that some ERP does not hold whole and that move `sku`.
    pub fn unposted<'a>(&'a self, sku: &'a Sku) -> impl Iterator<Item = &'a OrderKey> + 'a {
        let order = first_order();
        let from = Work::Unposted { sku: sku.clone(), order };
        self.work.range(from..).map_while(move |work| match work {
            Work::Unposted { sku: of, order } if of == sku => Some(order),
            _ => None,
        })
    }

    /// Builds the index anew, after the policies or many rows changed.
    pub fn rebuild(state: &mut State) {
        let mut index = Index::default();
        let policies = state.policies.as_deref();
        for (sku, row) in &state.skus {
            index.add_sku(policies, sku);
            let of = index.of_row(policies, sku, row);
            index.ids.extend(of.ids);
            index.work.extend(of.work);
        }
        for (key, order) in &state.orders {
            index.work.extend(Index::of_order(key, order));
        }
        state.index = index;
    }
}

/// The kinds of work that are taken per channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ready,
    Retry,
    Look,
    Fencing,
    InFlight,
    Unseen,
    Parked,
    Fetch,
    Unmapped,
    Post,
    Posting,
    PostLate,
    PostParked,
}

impl Kind {
    fn least(self, channel: &ChannelId) -> Work {
        let listing = ListingRef { sku: Sku::new("!").expect("a valid SKU that sorts first"), at: 0 };
        let order = first_order();
        let (channel, at) = (channel.clone(), Timestamp::from_millis(i64::MIN));
        let deadline = at;
        match self {
            Kind::Ready => Work::Ready { channel, raise: false, quantity: Quantity::new(i64::MIN), listing },
            Kind::Retry => Work::Retry { channel, at, listing },
            Kind::Look => Work::Look { channel, at, listing },
            Kind::Fencing => Work::Fencing { channel, listing },
            Kind::InFlight => Work::InFlight { channel, listing },
            Kind::Unseen => Work::Unseen { channel, deadline, listing },
            Kind::Parked => Work::Parked { channel, listing },
            Kind::Fetch => Work::Fetch { channel, order },
            Kind::Unmapped => Work::Unmapped { channel, order },
            Kind::Post => Work::Post { channel, at, order },
            Kind::Posting => Work::Posting { channel, order },
            Kind::PostLate => Work::PostLate { channel, deadline, order },
            Kind::PostParked => Work::PostParked { channel, order },
        }
    }
}

/// Returns the order that sorts before all others.
fn first_order() -> OrderKey {
    OrderKey {
        channel: ChannelId::new("-").expect("a valid name that sorts first"),
        order: crate::model::OrderId::new("!").expect("a valid id that sorts first"),
    }
}

fn of_leg(
    out: &mut Vec<Work>,
    policies: Option<&Policies>,
    channel: &ChannelId,
    leg: &leg::Leg,
    base: Option<Quantity>,
    place: &dyn Fn() -> ListingRef,
) {
    let channel = || channel.clone();
    match &leg.state {
        leg::State::Confirmed | leg::State::Dropped => return,
        leg::State::Pending => {
            let raise = base.is_none_or(|base| leg.quantity > base);
            let quantity = leg.quantity;
            out.push(Work::Ready { channel: channel(), raise, quantity, listing: place() });
        }
        leg::State::Retry { at } => {
            out.push(Work::Retry { channel: channel(), at: *at, listing: place() });
        }
        leg::State::InFlight(_) => out.push(Work::InFlight { channel: channel(), listing: place() }),
        leg::State::Accepted { look_at, .. }
        | leg::State::Probing { look_at, .. }
        | leg::State::Looking { look_at, .. } => {
            out.push(Work::Look { channel: channel(), at: *look_at, listing: place() });
        }
        leg::State::Parked { .. } => {
            out.push(Work::Parked { channel: channel(), listing: place() });
            return;
        }
    }
    if let Some(policies) = policies {
        let tried = leg.tries >= policies.alerts.after_tries;
        let deadline = if tried { leg.since } else { leg.since.plus_millis(policies.alerts.after_ms) };
        out.push(Work::Unseen { channel: channel(), deadline, listing: place() });
    }
}

impl Work {
    /// Returns the channel it is work for.
    pub fn channel(&self) -> Option<&ChannelId> {
        match self {
            Work::Ready { channel, .. }
            | Work::Retry { channel, .. }
            | Work::Look { channel, .. }
            | Work::Fencing { channel, .. }
            | Work::InFlight { channel, .. }
            | Work::Unseen { channel, .. }
            | Work::Parked { channel, .. }
            | Work::Fetch { channel, .. }
            | Work::Unmapped { channel, .. }
            | Work::Post { channel, .. }
            | Work::Posting { channel, .. }
            | Work::PostLate { channel, .. }
            | Work::PostParked { channel, .. } => Some(channel),
            Work::Unposted { .. } => None,
        }
    }
}
