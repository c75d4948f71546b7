//! The work that rows make due, and the order in which it is taken.

use std::{cmp::Reverse, sync::LazyLock};

use crate::{
    core::{
        allocation::Pause,
        leg,
        order::{Line, Order},
        posting::Step,
        state::{Listing, ListingRef},
    },
    model::{
        ChannelId, Identifiers, OrderKey, Policies, Quantity, Seq, Sku, Timestamp, Totals, Visible,
        policy::ChannelPolicy,
    },
};

/// Something that a row makes due. The order of the fields is the order in which work is taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A leg to be sent: lowers before raises, lowest stock first. Those that wait until it is found out what the
    /// channel shows come last, so that they stand in no other's way.
    Ready {
        channel: ChannelId,
        waits: bool,
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
    /// A look that waits until the channel's orders are read from `seq` on.
    Fencing {
        channel: ChannelId,
        seq: Seq,
        listing: ListingRef,
    },
    /// A listing with writes that may still land; the oldest was given up at `at`.
    Unsettled {
        channel: ChannelId,
        at: Timestamp,
        listing: ListingRef,
    },
    /// A listing with a write of a bulk that may still land.
    Bulked {
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
    /// A leg that a person gave up.
    Dropped {
        channel: ChannelId,
        listing: ListingRef,
    },
    /// A leg that may be why requests fail, or was.
    Suspect {
        channel: ChannelId,
        listing: ListingRef,
    },
    /// A drift that waits for a person.
    Drifts {
        channel: ChannelId,
        listing: ListingRef,
    },
    /// The latest drift of a listing, the newest first.
    Drifted {
        channel: ChannelId,
        at: Reverse<Timestamp>,
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
    /// An order with a line that is booked on no SKU yet, waited for or of what the channel ships.
    Unbound {
        channel: ChannelId,
        order: OrderKey,
    },
    /// An order with a line that a person has left out.
    Ignored {
        channel: ChannelId,
        order: OrderKey,
    },
    /// What a line without a SKU goes by, and an order that has one.
    UnmappedItem {
        channel: ChannelId,
        ids: Identifiers,
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
    /// An order that an opening count of the SKU concerns: one that came before it, or is older than it and open.
    Older {
        sku: Sku,
        order: OrderKey,
    },
}

/// The kinds of work that are taken per channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ready,
    Retry,
    Look,
    Fencing,
    Unsettled,
    Bulked,
    InFlight,
    Unseen,
    Parked,
    Dropped,
    Suspect,
    Drifts,
    Drifted,
    Fetch,
    Unmapped,
    Unbound,
    Ignored,
    Post,
    Posting,
    PostLate,
    PostParked,
}

impl Kind {
    pub(super) fn least(self, channel: &ChannelId) -> Work {
        let listing = first_listing();
        let order = first_order();
        let (channel, at) = (channel.clone(), Timestamp::from_millis(i64::MIN));
        let deadline = at;
        match self {
            Kind::Ready => Work::Ready {
                channel,
                waits: false,
                raise: false,
                quantity: Quantity::new(i64::MIN),
                listing,
            },
            Kind::Retry => Work::Retry { channel, at, listing },
            Kind::Look => Work::Look { channel, at, listing },
            Kind::Fencing => Work::Fencing { channel, seq: Seq::ZERO, listing },
            Kind::Unsettled => Work::Unsettled { channel, at, listing },
            Kind::Bulked => Work::Bulked { channel, listing },
            Kind::InFlight => Work::InFlight { channel, listing },
            Kind::Unseen => Work::Unseen { channel, deadline, listing },
            Kind::Parked => Work::Parked { channel, listing },
            Kind::Dropped => Work::Dropped { channel, listing },
            Kind::Suspect => Work::Suspect { channel, listing },
            Kind::Drifts => Work::Drifts { channel, listing },
            Kind::Drifted => {
                Work::Drifted { channel, at: Reverse(Timestamp::from_millis(i64::MAX)), listing }
            }
            Kind::Fetch => Work::Fetch { channel, order },
            Kind::Unmapped => Work::Unmapped { channel, order },
            Kind::Unbound => Work::Unbound { channel, order },
            Kind::Ignored => Work::Ignored { channel, order },
            Kind::Post => Work::Post { channel, at, order },
            Kind::Posting => Work::Posting { channel, order },
            Kind::PostLate => Work::PostLate { channel, deadline, order },
            Kind::PostParked => Work::PostParked { channel, order },
        }
    }
}

/// Returns the order that sorts before all others.
pub(super) fn first_order() -> OrderKey {
    static FIRST: LazyLock<OrderKey> = LazyLock::new(|| OrderKey {
        channel: ChannelId::new("-").expect("a valid name that sorts first"),
        order: crate::model::OrderId::new("!").expect("a valid id that sorts first"),
    });
    FIRST.clone()
}

/// Returns the listing that sorts before all others.
pub(super) fn first_listing() -> ListingRef {
    static FIRST: LazyLock<ListingRef> =
        LazyLock::new(|| ListingRef { sku: Sku::new("!").expect("a valid SKU that sorts first"), at: 0 });
    FIRST.clone()
}

/// Returns the work that one listing makes due.
pub(super) fn of_listing(
    out: &mut Vec<Work>,
    policies: Option<&Policies>,
    pause: Option<Pause>,
    listing: &Listing,
    place: &dyn Fn() -> ListingRef,
) {
    let channel = || listing.channel.clone();
    for look in listing.writes.waiting() {
        out.push(Work::Fencing { channel: channel(), seq: look.seq, listing: place() });
    }
    let ages = listing.writes.unsettled.iter().filter(|write| write.bulk.is_none());
    if let Some(at) = ages.map(|write| write.at).min() {
        out.push(Work::Unsettled { channel: channel(), at, listing: place() });
    }
    if listing.writes.in_bulk() {
        out.push(Work::Bulked { channel: channel(), listing: place() });
    }
    if let Some(drift) = &listing.drift {
        out.push(Work::Drifted { channel: channel(), at: Reverse(drift.at), listing: place() });
        if drift.is_open() {
            out.push(Work::Drifts { channel: channel(), listing: place() });
        }
    }
    let Some(leg) = &listing.leg else { return };
    if leg.suspect.is_some() {
        out.push(Work::Suspect { channel: channel(), listing: place() });
    }
    // What must not be written would only stand in the way of what may.
    let frozen = pause == Some(Pause::Frozen);
    let policy = policies.and_then(|policies| policies.channels.get(&listing.channel));
    let raise = listing.writes.floor().is_none_or(|floor| leg.quantity > floor);
    let waits_for_person = listing.drifts() && raise;
    let barred = frozen || !listing.writable() || waits_for_person || (raise && waits_for_bulk(listing));
    match &leg.state {
        leg::State::Confirmed => return,
        leg::State::Dropped => {
            out.push(Work::Dropped { channel: channel(), listing: place() });
            return;
        }
        leg::State::Pending if barred => {}
        leg::State::Pending => {
            let waits = listing.writes.look.is_some()
                && policy.is_some_and(|policy| policy.abilities.compare_and_set);
            let quantity = leg.quantity;
            out.push(Work::Ready { channel: channel(), waits, raise, quantity, listing: place() });
        }
        leg::State::Retry { .. } if barred => {}
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
    if let Some(policies) = policies.filter(|_| !frozen && !waits_for_person && !is_in_bulk(listing, leg)) {
        let deadline = unseen_from(policies, policy, leg);
        out.push(Work::Unseen { channel: channel(), deadline, listing: place() });
    }
}

/// Tells whether a raise of it would overtake the bulk that it is in.
fn waits_for_bulk(listing: &Listing) -> bool {
    listing.writes.base.is_some() && listing.writes.in_bulk()
}

/// Tells whether what a leg waits for is a bulk: people are told of one that does not get done, and not of each listing in it.
fn is_in_bulk(listing: &Listing, leg: &leg::Leg) -> bool {
    matches!(&leg.state, leg::State::Accepted { sent, .. } if listing.writes.bulk_of(sent).is_some())
}

/// Returns from when on people are told of a leg that is not seen live.
fn unseen_from(policies: &Policies, policy: Option<&ChannelPolicy>, leg: &leg::Leg) -> Timestamp {
    if leg.tries >= policies.alerts.after_tries {
        return leg.since;
    }
    let later = policy.filter(|policy| policy.abilities.visible == Visible::Later);
    let visible = later.map_or(0, |policy| policy.abilities.visible_ms);
    leg.since.plus_millis(policies.alerts.after_ms.saturating_add(visible))
}

/// Returns the work that one order makes due.
pub(super) fn of_order(key: &OrderKey, order: &Order) -> Vec<Work> {
    let mut out = Vec::new();
    let channel = || key.channel.clone();
    if order.fetch_due.is_some() {
        out.push(Work::Fetch { channel: channel(), order: key.clone() });
    }
    if order.lines.values().any(Line::is_unmapped) {
        out.push(Work::Unmapped { channel: channel(), order: key.clone() });
    }
    if order.lines.values().any(|line| order.waits(line)) {
        out.push(Work::Unbound { channel: channel(), order: key.clone() });
    }
    if order.lines.values().any(|line| line.ignored.is_some()) {
        out.push(Work::Ignored { channel: channel(), order: key.clone() });
    }
    for line in order.lines.values().filter(|line| line.is_unmapped() && !line.ids.is_empty()) {
        let ids = line.ids.clone();
        out.push(Work::UnmappedItem { channel: channel(), ids, order: key.clone() });
    }
    for line in order.lines.values() {
        for share in line.shares().iter().filter(|share| share.is_older()) {
            out.push(Work::Older { sku: share.sku.clone(), order: key.clone() });
        }
    }
    for posting in &order.postings {
        let (channel, order_key) = (posting.channel.clone(), key.clone());
        let deadline = posting.since;
        match &posting.step {
            Step::Done | Step::Theirs => continue,
            Step::Dropped | Step::Watched if !posting.is_unseen(order) => continue,
            Step::Dropped | Step::Watched => {}
            Step::Pending => out.push(Work::Post { channel, at: Timestamp::ZERO, order: order_key }),
            Step::Retry { at } => out.push(Work::Post { channel, at: *at, order: order_key }),
            Step::InFlight { .. } => out.push(Work::Posting { channel, order: order_key }),
            Step::Parked { .. } => out.push(Work::PostParked { channel, order: order_key }),
        }
        if !matches!(posting.step, Step::Parked { .. } | Step::Dropped | Step::Watched) {
            let channel = posting.channel.clone();
            out.push(Work::PostLate { channel, deadline, order: key.clone() });
        }
        for line in order.lines.values().filter(|line| line.booked != Totals::default()) {
            for share in line.shares().iter() {
                out.push(Work::Unposted { sku: share.sku.clone(), order: key.clone() });
            }
        }
    }
    out
}

impl Work {
    /// Returns the order that has a line without a SKU, waited for or not.
    pub fn order(&self) -> Option<&OrderKey> {
        if let Work::Unmapped { order, .. } | Work::Unbound { order, .. } | Work::Ignored { order, .. } = self
        {
            Some(order)
        } else {
            None
        }
    }

    /// Returns the channel it is work for.
    pub fn channel(&self) -> Option<&ChannelId> {
        match self {
            Work::Ready { channel, .. }
            | Work::Retry { channel, .. }
            | Work::Look { channel, .. }
            | Work::Fencing { channel, .. }
            | Work::Unsettled { channel, .. }
            | Work::Bulked { channel, .. }
            | Work::InFlight { channel, .. }
            | Work::Unseen { channel, .. }
            | Work::Parked { channel, .. }
            | Work::Dropped { channel, .. }
            | Work::Suspect { channel, .. }
            | Work::Drifts { channel, .. }
            | Work::Drifted { channel, .. }
            | Work::Fetch { channel, .. }
            | Work::Unmapped { channel, .. }
            | Work::UnmappedItem { channel, .. }
            | Work::Unbound { channel, .. }
            | Work::Ignored { channel, .. }
            | Work::Post { channel, .. }
            | Work::Posting { channel, .. }
            | Work::PostLate { channel, .. }
            | Work::PostParked { channel, .. } => Some(channel),
            Work::Unposted { .. } | Work::Older { .. } => None,
        }
    }
}
