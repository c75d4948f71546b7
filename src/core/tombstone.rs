//! What is left of an order that was finished long ago: all that was told and booked of it, packed.
//!
//! A source may tell of any order again, years later: what it tells is news only by what the order's registers hold
//! (see [`crate::core::order`]), and a late return is worth only what is not booked yet. So nothing of them is given up.
//! An order in use takes about four kilobytes of memory, for its work and its lines can change at any moment; its
//! tombstone takes the bytes that say the same. Unpacked it is the order that it was.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned};

use crate::{
    core::{
        order::{Binding, Fetched, First, Ignore, Line, Order, Pushed, Told},
        posting::{Item, PostState, Step},
        share::Share,
    },
    model::{
        ChannelId, FulfilledBy, Identifiers, LineId, LocationId, Quantity, Rest, Returns, Seq, Sku,
        Timestamp, Totals,
    },
};

/// An order, packed.
#[derive(Clone, PartialEq, Eq)]
pub struct Tombstone(Box<[u8]>);

// Fields by their place: their names would be most of it. A field that is added goes to the end, and the version of the
// rows grows.
type PackedTold<R> = (R, Totals5, Rest, Vec<(LocationId, Totals5)>, Option<LocationId>);
type PackedBinding = (Sku, LocationId, bool, bool);
type PackedShare = (Sku, LocationId, Quantity, Totals5, bool, bool, Option<Totals5>);
type PackedItem = (Sku, LocationId, Totals5);
type PackedPosting =
    (ChannelId, Step, u32, Vec<PackedItem>, Vec<PackedItem>, Seq, u32, Timestamp, bool, bool);
type Rank = (Timestamp, Seq);
type Totals5 = [Quantity; 5];

#[derive(Serialize, Deserialize)]
struct PackedLine(
    LineId,
    Identifiers,
    (FulfilledBy, Option<FulfilledBy>, Option<LocationId>),
    (Option<PackedTold<Rank>>, Option<PackedTold<Rank>>),
    Quantity,
    Option<PackedBinding>,
    Totals5,
    Vec<PackedShare>,
    Option<Ignore>,
    Vec<PackedTold<Rank>>,
    Option<Returns>,
);

#[derive(Serialize, Deserialize)]
struct PackedOrder(
    Option<String>,
    Timestamp,
    (Option<Rank>, Option<Rank>),
    Vec<PackedLine>,
    (Option<Seq>, Option<Seq>),
    Vec<PackedPosting>,
    Option<(Seq, bool, bool)>,
);

impl Tombstone {
    pub fn of(order: &Order) -> Tombstone {
        let packed = rmp_serde::to_vec(&pack(order)).expect("an order holds nothing that cannot be packed");
        Tombstone(packed.into_boxed_slice())
    }

    /// Returns the order that it was.
    pub fn order(&self) -> Order {
        unpack(read(&self.0).expect("it was made of an order, or proven when it was read"))
    }

    /// Returns how many bytes it takes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, rmp_serde::decode::Error> {
    rmp_serde::from_slice(bytes)
}

fn pack(order: &Order) -> PackedOrder {
    let Order {
        name,
        placed_at,
        whole_push,
        whole_fetch,
        lines,
        fetch_due,
        fetch_since,
        postings,
        first,
        left: _,
    } = order;
    PackedOrder(
        name.clone(),
        *placed_at,
        (whole_push.map(of_push), whole_fetch.map(of_fetch)),
        lines.iter().map(|(id, line)| pack_line(id, line)).collect(),
        (*fetch_due, *fetch_since),
        postings.iter().map(pack_posting).collect(),
        // Why nothing was written then is of no use any more.
        first.map(|First { seq, opened, shadow, still: _ }| (seq, opened, shadow)),
    )
}

fn unpack(packed: PackedOrder) -> Order {
    let PackedOrder(name, placed_at, (push, fetch), lines, (fetch_due, fetch_since), postings, first) =
        packed;
    Order {
        name,
        placed_at,
        whole_push: push.map(to_push),
        whole_fetch: fetch.map(to_fetch),
        lines: lines.into_iter().map(unpack_line).collect(),
        fetch_due,
        fetch_since,
        postings: postings.into_iter().map(unpack_posting).collect(),
        first: first.map(|(seq, opened, shadow)| First { seq, opened, shadow, still: None }),
        left: None,
    }
}

fn pack_line(id: &LineId, line: &Line) -> PackedLine {
    let Line {
        ids,
        by,
        listed,
        location,
        pushed,
        fetched,
        trail,
        ordered_most,
        bound,
        booked,
        ignored,
        shares,
        returns,
    } = line;
    let bound = bound.as_ref().map(|bound| {
        let Binding { sku, location, baseline, early } = bound.clone();
        (sku, location, baseline, early)
    });
    let share = |share: &Share| {
        let Share { sku, location, units, booked, baseline, early, before } = share.clone();
        (sku, location, units, five(booked), baseline, early, before.map(five))
    };
    PackedLine(
        id.clone(),
        ids.clone(),
        (*by, *listed, location.clone()),
        (pushed.as_ref().map(|t| pack_told(t, of_push)), fetched.as_ref().map(|t| pack_told(t, of_fetch))),
        *ordered_most,
        bound,
        five(*booked),
        shares.iter().map(share).collect(),
        *ignored,
        trail.iter().map(|told| pack_told(told, of_fetch)).collect(),
        *returns,
    )
}

fn unpack_line(packed: PackedLine) -> (LineId, Line) {
    let PackedLine(id, ids, whose, told, ordered_most, bound, booked, shares, ignored, trail, returns) =
        packed;
    let ((by, listed, location), (pushed, fetched)) = (whose, told);
    let share = |(sku, location, units, booked, baseline, early, before): PackedShare| {
        let (booked, before) = (totals(booked), before.map(totals));
        Share { sku, location, units, booked, baseline, early, before }
    };
    let line = Line {
        ids,
        by,
        listed,
        location,
        pushed: pushed.map(|told| unpack_told(told, to_push)),
        fetched: fetched.map(|told| unpack_told(told, to_fetch)),
        trail: trail.into_iter().map(|told| unpack_told(told, to_fetch)).collect(),
        ordered_most,
        bound: bound.map(|(sku, location, baseline, early)| Binding { sku, location, baseline, early }),
        booked: totals(booked),
        ignored,
        shares: shares.into_iter().map(share).collect(),
        returns,
    };
    (id, line)
}

fn pack_told<R: Copy>(told: &Told<R>, rank: impl Fn(R) -> Rank) -> PackedTold<Rank> {
    let places = told.places.iter().map(|(location, totals)| (location.clone(), five(*totals)));
    (rank(told.rank), five(told.totals), told.rest, places.collect(), told.unplaced_at.clone())
}

fn unpack_told<R>(told: PackedTold<Rank>, rank: impl Fn(Rank) -> R) -> Told<R> {
    let (at, told, rest, places, unplaced_at) = told;
    let places = places.into_iter().map(|(location, at)| (location, totals(at))).collect();
    Told { rank: rank(at), totals: totals(told), rest, places, unplaced_at }
}

fn pack_posting(posting: &PostState) -> PackedPosting {
    let posting = posting.clone();
    let PostState { channel, step, sequence, acked, sent, acked_at, tries, since, unsure, shadow, .. } =
        posting;
    let items = |items: Vec<Item>| {
        let pack = |Item { sku, location, totals }| (sku, location, five(totals));
        items.into_iter().map(pack).collect()
    };
    (channel, step, sequence, items(acked), items(sent), acked_at, tries, since, unsure, shadow)
}

fn unpack_posting(packed: PackedPosting) -> PostState {
    let (channel, step, sequence, acked, sent, acked_at, tries, since, unsure, shadow) = packed;
    let items = |items: Vec<PackedItem>| {
        let unpack = |(sku, location, of): PackedItem| Item { sku, location, totals: totals(of) };
        items.into_iter().map(unpack).collect()
    };
    let (acked, sent) = (items(acked), items(sent));
    // Of what went through, or was given up, there is none.
    let (fault, unanswered) = (None, Vec::new());
    PostState {
        channel,
        step,
        sequence,
        acked,
        sent,
        unanswered,
        acked_at,
        tries,
        since,
        unsure,
        fault,
        shadow,
        by_hand: false,
    }
}

fn of_push(Pushed { version, received }: Pushed) -> Rank {
    (version, received)
}

fn to_push((version, received): Rank) -> Pushed {
    Pushed { version, received }
}

fn of_fetch(Fetched { begun, version }: Fetched) -> Rank {
    (version, begun)
}

fn to_fetch((version, begun): Rank) -> Fetched {
    Fetched { begun, version }
}

fn five(Totals { ordered, released, written_off, fulfilled, returned }: Totals) -> Totals5 {
    [ordered, released, written_off, fulfilled, returned]
}

fn totals([ordered, released, written_off, fulfilled, returned]: Totals5) -> Totals {
    Totals { ordered, released, written_off, fulfilled, returned }
}

impl fmt::Debug for Tombstone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tombstone").field(&self.order()).finish()
    }
}

impl Serialize for Tombstone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Tombstone {
    /// Takes nothing that is not a whole order.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tombstone, D::Error> {
        struct Bytes;
        impl de::Visitor<'_> for Bytes {
            type Value = Tombstone;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an order, packed")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Tombstone, E> {
                read::<PackedOrder>(bytes).map_err(E::custom)?;
                Ok(Tombstone(bytes.into()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests;
