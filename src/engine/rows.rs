//! The state's rows as the store keeps them: keys that tell rows apart, values that hold them whole.
//!
//! Values are MessagePack with field names, so a field that is added later does not make old rows unreadable. A row
//! that is longer than the store takes is kept in pieces.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        index::Index,
        intent::Intent,
        ledger::Cause,
        order::Order,
        oversold::Oversell,
        record::HeldCount,
        state::{
            Alert, AlertKey, ChannelRow, HeldConfig, Ignored, Opened, Quarantined, RowKey, SkuRow, State,
            Unmatched,
        },
        tombstone::Tombstone,
    },
    model::{
        ChannelId, Counter, DeliveryId, Identifiers, LocationId, OrderKey, Policies, Seq, Sku, Timestamp,
        policy::MappingRow,
    },
};

/// The version of the rows: those of another version are built anew from the journal.
pub const ROWS_VERSION: u32 = 8;
/// The longest piece of a value.
const PIECE: usize = 60 * 1024;

/// A key and its new value; `None`: the row is gone.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// Why rows cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a row of the state cannot be read")]
    Decode(#[from] rmp_serde::decode::Error),
    #[error("a row of the state cannot be written")]
    Encode(#[from] rmp_serde::encode::Error),
    #[error("a row of the state lacks its piece {0}")]
    Piece(usize),
}

/// A row with its key. The names of the fields are short because they are stored with each row.
#[derive(Serialize, Deserialize)]
enum Row<'a> {
    Meta {
        seq: Seq,
        epoch: u32,
        initialised: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        restored: Option<Timestamp>,
        held_config: Option<HeldConfig>,
    },
    Policies(Box<Policies>),
    Table(Vec<MappingRow>),
    Sku(Sku, Cow<'a, SkuRow>),
    Order(OrderKey, Cow<'a, Order>),
    Channel(ChannelId, Box<ChannelRow>),
    Delivery(ChannelId, DeliveryId, Timestamp),
    Alert(AlertKey, Alert),
    Held(Seq, HeldCount),
    Quarantine(Seq, Quarantined),
    Unmatched(ChannelId, Identifiers, Box<Unmatched>),
    Intent(Seq, Box<Intent>),
    Ignored(ChannelId, Identifiers, Ignored),
    Tombstone(OrderKey, Tombstone),
    Oversold(Sku, Oversell),
}

/// Returns the changes that bring the stored rows named to what the state holds.
pub fn changes<'a>(state: &State, keys: impl IntoIterator<Item = &'a RowKey>) -> Result<Vec<Change>, Error> {
    let mut out = Vec::new();
    for key in keys {
        let id = id(key);
        match row(state, key) {
            Some(row) => pieces(&id, &rmp_serde::to_vec_named(&row)?, &mut out),
            None => out.push((piece_key(&id, 0), None)),
        }
    }
    Ok(out)
}

/// Returns every row of the state, one at a time: all of them at once take more than the state.
pub fn each(state: &State) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), Error>> {
    keys_after(state, None).flat_map(|key| {
        let changes = changes(state, [&key]);
        let (rows, failed) = changes.map_or_else(|e| (Vec::new(), Some(e)), |rows| (rows, None));
        let rows = rows.into_iter().filter_map(|(key, value)| Some(Ok((key, value?))));
        rows.chain(failed.map(Err))
    })
}

/// Returns every row of the state.
pub fn all(state: &State) -> Result<Vec<Change>, Error> {
    let keys: Vec<RowKey> = keys_after(state, None).collect();
    changes(state, &keys)
}

/// Returns the keys of all rows after `after`, in their order.
pub fn keys_after<'a>(state: &'a State, after: Option<&'a RowKey>) -> impl Iterator<Item = RowKey> + 'a {
    macro_rules! rest {
        ($map:ident, $kind:ident($($part:ident),+)) => {{
            let held = |key: &RowKey| match key {
                #[allow(unused_parens, reason = "some keys have one part, some have two")]
                RowKey::$kind($($part),+) => Some(($($part.clone()),+)),
                _ => None,
            };
            #[allow(unused_parens, reason = "some keys have one part, some have two")]
            rest(&state.$map, after, held, |($($part),+)| RowKey::$kind($($part),+))
        }};
    }
    let single = [RowKey::Meta, RowKey::Policies, RowKey::Table];
    let single: Vec<RowKey> =
        single.into_iter().filter(|key| after.is_none_or(|after| after < key)).collect();
    single
        .into_iter()
        .chain(rest!(skus, Sku(sku)))
        .chain(rest!(orders, Order(order)))
        .chain(rest!(channels, Channel(channel)))
        .chain(rest!(deliveries, Delivery(channel, id)))
        .chain(rest!(alerts, Alert(key)))
        .chain(rest!(held, Held(id)))
        .chain(rest!(quarantine, Quarantine(id)))
        .chain(rest!(unmatched, Unmatched(channel, ids)))
        .chain(rest!(intents, Intent(id)))
        .chain(rest!(ignored, Ignored(channel, ids)))
        .chain(rest!(tombstones, Tombstone(order)))
        .chain(rest!(oversold, Oversold(sku)))
}

/// Returns the keys of one map that come after `after`. `held` takes a key of this map out of a row's key.
fn rest<'a, K: Ord + Clone + 'a, V>(
    map: &'a BTreeMap<K, V>,
    after: Option<&'a RowKey>,
    held: impl Fn(&RowKey) -> Option<K>,
    key: impl Fn(K) -> RowKey + Copy + 'a,
) -> impl Iterator<Item = RowKey> + 'a {
    let from = match after.map(|after| (after, held(after))) {
        None => Some(Bound::Unbounded),
        Some((_, Some(held))) => Some(Bound::Excluded(held)),
        // Against a key of another kind, all of a map compare alike.
        Some((after, None)) => {
            let later = map.first_key_value().is_some_and(|(first, _)| key(first.clone()) > *after);
            later.then_some(Bound::Unbounded)
        }
    };
    from.into_iter()
        .flat_map(move |from| map.range((from, Bound::Unbounded)).map(move |(held, _)| key(held.clone())))
}

/// Builds a state from stored rows, in any order but that the pieces of one row follow each other: the order of their
/// keys, as in the store, and that of [`all`] are such.
///
/// Each row is let go before the next one is read: all of them at once take about as much as the state.
pub fn load<E: From<Error>>(
    rows: impl IntoIterator<Item = Result<(Vec<u8>, Vec<u8>), E>>,
) -> Result<State, E> {
    let mut loading = Loading::default();
    let mut whole: Option<(Vec<u8>, Vec<u8>, usize)> = None;
    for row in rows {
        let (key, value) = row?;
        let (id, piece) = split_key(&key).ok_or(Error::Piece(0))?;
        let Some((&last, body)) = value.split_first() else { return Err(Error::Piece(piece).into()) };
        match &mut whole {
            Some((held, bytes, next)) if *held == id => {
                if *next != piece {
                    continue; // left over from when the row was longer
                }
                bytes.extend_from_slice(body);
                *next += 1;
            }
            _ if piece == 0 => whole = Some((id.to_vec(), body.to_vec(), 1)),
            _ => continue,
        }
        if last == 1
            && let Some((_, bytes, next)) = &mut whole
        {
            loading.put(rmp_serde::from_slice(bytes).map_err(Error::from)?);
            *next = usize::MAX;
        }
    }
    Ok(loading.state())
}

/// A state that is being loaded. What there is much of is gathered first: a map that is made of all its rows at once is
/// dense, one that grows row by row is half empty.
#[derive(Default)]
struct Loading {
    state: State,
    skus: Vec<(Sku, SkuRow)>,
    orders: Vec<(OrderKey, Order)>,
    tombstones: Vec<(OrderKey, Tombstone)>,
    deliveries: Vec<((ChannelId, DeliveryId), Timestamp)>,
    /// Names that very many rows have, so that they share them.
    channels: BTreeSet<ChannelId>,
    locations: BTreeSet<LocationId>,
}

impl Loading {
    fn put(&mut self, row: Row<'_>) {
        let state = &mut self.state;
        match row {
            Row::Sku(sku, row) => {
                let mut row = row.into_owned();
                self.share(&sku, &mut row);
                self.skus.push((sku, row));
            }
            Row::Order(mut key, order) => {
                shared(&mut self.channels, &mut key.channel);
                self.orders.push((key, order.into_owned()));
            }
            Row::Delivery(mut channel, id, at) => {
                shared(&mut self.channels, &mut channel);
                self.deliveries.push(((channel, id), at));
            }
            Row::Meta { seq, epoch, initialised, restored, held_config } => {
                (state.seq, state.epoch, state.initialised) = (seq, epoch, initialised);
                (state.restored, state.held_config) = (restored, held_config);
            }
            Row::Policies(policies) => state.policies = Some((*policies).into()),
            Row::Table(rows) => state.table = rows,
            Row::Channel(channel, row) => drop(state.channels.insert(channel, *row)),
            Row::Alert(key, alert) => drop(state.alerts.insert(key, alert)),
            Row::Held(id, count) => drop(state.held.insert(id, count)),
            Row::Quarantine(id, item) => drop(state.quarantine.insert(id, item)),
            Row::Unmatched(channel, ids, unmatched) => {
                drop(state.unmatched.insert((channel, ids), *unmatched));
            }
            Row::Intent(id, intent) => drop(state.intents.insert(id, *intent)),
            Row::Ignored(channel, ids, ignored) => drop(state.ignored.insert((channel, ids), ignored)),
            Row::Oversold(sku, last) => drop(state.oversold.insert(sku, last)),
            Row::Tombstone(mut key, tombstone) => {
                shared(&mut self.channels, &mut key.channel);
                self.tombstones.push((key, tombstone));
            }
        }
    }

    fn share(&mut self, sku: &Sku, row: &mut SkuRow) {
        for place in &mut row.stock {
            shared(&mut self.locations, &mut place.location);
            if let Some(Opened { counter: Counter::Channel(counter), .. }) = &mut place.opened {
                shared(&mut self.channels, counter);
            }
        }
        for listing in &mut row.listings {
            shared(&mut self.channels, &mut listing.channel);
        }
        for entry in row.recent.iter_mut().map(|booked| &mut booked.entry) {
            if entry.sku == *sku {
                entry.sku = sku.clone();
            }
            shared(&mut self.locations, &mut entry.location);
            match &mut entry.cause {
                Cause::Order { order, .. } => shared(&mut self.channels, &mut order.channel),
                Cause::Count { counter, .. } => shared(&mut self.channels, counter),
                Cause::Edit { channel, .. } => shared(&mut self.channels, channel),
                Cause::Operator { .. } | Cause::Intent { .. } | Cause::Merged { .. } => {}
            }
        }
    }

    fn state(self) -> State {
        let Loading { mut state, skus, orders, tombstones, deliveries, .. } = self;
        state.skus = skus.into_iter().collect();
        state.orders = orders.into_iter().collect();
        state.tombstones = tombstones.into_iter().collect();
        state.deliveries = deliveries.into_iter().collect();
        Index::rebuild(&mut state);
        state.dirty.clear();
        state
    }
}

/// Replaces a name by the one that is held already, if it is.
fn shared<T: Clone + Ord>(held: &mut BTreeSet<T>, name: &mut T) {
    match held.get(name) {
        Some(known) => *name = known.clone(),
        None => drop(held.insert(name.clone())),
    }
}

/// Cuts a value into pieces. Each begins with a byte that says whether it is the last.
fn pieces(id: &[u8], bytes: &[u8], out: &mut Vec<Change>) {
    let count = bytes.len().div_ceil(PIECE).max(1);
    for (n, piece) in bytes.chunks(PIECE).enumerate() {
        let mut value = Vec::with_capacity(piece.len() + 1);
        value.push(u8::from(n + 1 == count));
        value.extend_from_slice(piece);
        out.push((piece_key(id, n), Some(value)));
    }
}

fn piece_key(id: &[u8], piece: usize) -> Vec<u8> {
    let mut key = id.to_vec();
    key.extend_from_slice(&u32::try_from(piece).unwrap_or(u32::MAX).to_be_bytes());
    key
}

/// Tells whether a key is that of a row's first piece.
pub(super) fn begins(key: &[u8]) -> bool {
    split_key(key).is_some_and(|(_, piece)| piece == 0)
}

/// Returns the part of a key that all pieces of a row share.
pub(super) fn id_of(key: &[u8]) -> &[u8] {
    split_key(key).map_or(key, |(id, _)| id)
}

fn split_key(key: &[u8]) -> Option<(&[u8], usize)> {
    let (id, piece) = key.split_last_chunk::<4>()?;
    Some((id, usize::try_from(u32::from_be_bytes(*piece)).ok()?))
}

/// Returns what tells the row apart: a letter for its kind, then its key, parts ended by a zero byte (which no id
/// contains).
fn id(key: &RowKey) -> Vec<u8> {
    let text = |letter: u8, parts: &[&str]| {
        let mut out = vec![letter];
        for part in parts {
            out.extend_from_slice(part.as_bytes());
            out.push(0);
        }
        out
    };
    match key {
        RowKey::Meta => text(b'm', &[]),
        RowKey::Policies => text(b'p', &[]),
        RowKey::Table => text(b't', &[]),
        RowKey::Sku(sku) => text(b's', &[sku.as_str()]),
        RowKey::Order(key) => text(b'o', &[key.channel.as_str(), key.order.as_str()]),
        RowKey::Channel(channel) => text(b'c', &[channel.as_str()]),
        RowKey::Delivery(channel, id) => text(b'd', &[channel.as_str(), id.as_str()]),
        RowKey::Alert(key) => text(b'a', &[key.kind.name(), &key.subject]),
        RowKey::Held(id) => text(b'h', &[&id.to_string()]),
        RowKey::Quarantine(id) => text(b'q', &[&id.to_string()]),
        RowKey::Intent(id) => text(b'i', &[&id.to_string()]),
        RowKey::Unmatched(channel, ids) => text(b'u', &[channel.as_str(), &of_ids(channel, ids)]),
        RowKey::Ignored(channel, ids) => text(b'g', &[channel.as_str(), &of_ids(channel, ids)]),
        RowKey::Tombstone(key) => text(b'b', &[key.channel.as_str(), key.order.as_str()]),
        RowKey::Oversold(sku) => text(b'x', &[sku.as_str()]),
    }
}

/// Returns a digest of identifiers: six of 255 bytes would be longer than a key may be.
fn of_ids(channel: &ChannelId, ids: &Identifiers) -> String {
    let mut parts = vec![channel.as_str()];
    parts.extend(ids.iter().flat_map(|id| [id.kind.name(), id.value]));
    let digest = crate::core::backoff::digest(&parts);
    let again = crate::core::backoff::digest(&[&parts.concat(), channel.as_str()]);
    format!("{digest:016x}{again:016x}")
}

fn row<'a>(state: &'a State, key: &RowKey) -> Option<Row<'a>> {
    Some(match key {
        RowKey::Meta => Row::Meta {
            seq: state.seq,
            epoch: state.epoch,
            initialised: state.initialised,
            restored: state.restored,
            held_config: state.held_config.clone(),
        },
        RowKey::Policies => Row::Policies(Box::new(state.policies.as_deref()?.clone())),
        RowKey::Table => Row::Table(state.table.clone()),
        RowKey::Sku(sku) => Row::Sku(sku.clone(), Cow::Borrowed(state.skus.get(sku)?)),
        RowKey::Order(key) => Row::Order(key.clone(), Cow::Borrowed(state.orders.get(key)?)),
        RowKey::Channel(channel) => {
            Row::Channel(channel.clone(), Box::new(state.channels.get(channel)?.clone()))
        }
        RowKey::Delivery(channel, id) => {
            let at = *state.deliveries.get(&(channel.clone(), id.clone()))?;
            Row::Delivery(channel.clone(), id.clone(), at)
        }
        RowKey::Alert(key) => Row::Alert(key.clone(), state.alerts.get(key)?.clone()),
        RowKey::Held(id) => Row::Held(*id, state.held.get(id)?.clone()),
        RowKey::Quarantine(id) => Row::Quarantine(*id, state.quarantine.get(id)?.clone()),
        RowKey::Unmatched(channel, ids) => {
            let unmatched = state.unmatched.get(&(channel.clone(), ids.clone()))?.clone();
            Row::Unmatched(channel.clone(), ids.clone(), Box::new(unmatched))
        }
        RowKey::Intent(id) => Row::Intent(*id, Box::new(state.intents.get(id)?.clone())),
        RowKey::Ignored(channel, ids) => {
            let ignored = state.ignored.get(&(channel.clone(), ids.clone()))?.clone();
            Row::Ignored(channel.clone(), ids.clone(), ignored)
        }
        RowKey::Tombstone(key) => Row::Tombstone(key.clone(), state.tombstones.get(key)?.clone()),
        RowKey::Oversold(sku) => Row::Oversold(sku.clone(), state.oversold.get(sku)?.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::state::Listing;

    #[test]
    fn a_walk_from_any_key_on_meets_the_rest_in_order() {
        let state = crate::web::tests::world::busy();
        let all: Vec<RowKey> = keys_after(&state, None).collect();
        assert!(all.is_sorted() && all.len() > 8, "{all:?}");
        for (n, key) in all.iter().enumerate() {
            assert!(keys_after(&state, Some(key)).eq(all[n + 1..].iter().cloned()), "{key:?}");
        }
    }

    #[test]
    fn a_row_longer_than_a_piece_survives_and_a_shorter_one_leaves_no_trace_of_it() {
        let mut state = State::default();
        let row = |n: usize| MappingRow {
            sku: Sku::new(&format!("SKU-{n}")).expect("valid"),
            channel: ChannelId::new("main").expect("valid"),
            ids: Identifiers::new([(crate::model::IdKind::Asin, "B0XYZ123")]).expect("valid"),
        };
        state.table = (0..5_000).map(row).collect();
        let mut stored: std::collections::BTreeMap<Vec<u8>, Vec<u8>> = std::collections::BTreeMap::new();
        let mut store = |state: &State| {
            for (key, value) in changes(state, &[RowKey::Meta, RowKey::Table]).expect("encodes") {
                match value {
                    Some(value) => drop(stored.insert(key, value)),
                    None => drop(stored.remove(&key)),
                }
            }
            load(stored.clone().into_iter().map(Ok::<_, Error>)).expect("decodes").table.len()
        };
        assert_eq!(store(&state), 5_000);
        state.table.truncate(3);
        assert_eq!(store(&state), 3);
    }

    #[test]
    fn intents_and_what_they_change_of_a_sku_are_kept() {
        use crate::core::intent::{Intent, Line, Moving, Phase};
        let place = |name| LocationId::new(name).expect("valid");
        let sku = Sku::new("A").expect("valid");
        let quantity = crate::model::Quantity::new(3);
        let (from, to, lost) = (place("wh"), place("store"), crate::model::Quantity::ZERO);
        let moves = Line::Move {
            sku: sku.clone(),
            quantity,
            from: from.clone(),
            to: to.clone(),
            received: lost,
            lost,
            counted: true,
        };
        let intent = Intent {
            lines: vec![moves],
            travels: true,
            seen_is_enough: true,
            until: Some(Timestamp::ZERO),
            note: "why".to_owned(),
            request: Some("r".to_owned()),
            asked: Some(u64::MAX),
            phase: Phase::InTransit,
            opened_at: Timestamp::ZERO,
            since: Timestamp::ZERO,
            undone: None,
            legs: Vec::new(),
        };
        let moving = [Moving { intent: Seq(4), from, to, quantity }].into();
        let mut row = SkuRow { moving, transferred: Seq(4), ..SkuRow::default() };
        row.place_mut(&place("store")).stock.incoming = quantity;
        let mut state = State::default();
        state.skus.insert(sku, row);
        state.intents.insert(Seq(4), intent);
        let stored = all(&state).expect("encodes").into_iter();
        let stored = stored.filter_map(|(key, value)| Some(Ok::<_, Error>((key, value?))));
        let loaded = load(stored).expect("decodes");
        assert_eq!((loaded.skus, loaded.intents), (state.skus, state.intents));
    }

    #[test]
    fn what_is_oversold_and_why_requests_fail_outlive_a_restart() {
        use crate::core::{
            circuit::{Circuit, Failing},
            oversold::Class,
        };
        let cause = Cause::Operator { note: "torn".to_owned() };
        let last = Oversell {
            since: Seq(3),
            units: crate::model::Quantity::new(2),
            class: Class::Physical,
            beyond: true,
            cause,
        };
        let failing = Some(Failing { since: Timestamp::from_millis(7), last: "503".to_owned() }.into());
        let mut state = State::default();
        state.oversold.insert(Sku::new("CAP").expect("valid"), last);
        state.change_channel(&ChannelId::new("main").expect("valid"), |row| {
            row.circuit = Circuit::Closed { failures: 1, alone: Vec::new(), since: None, failing };
        });
        let stored = all(&state).expect("encodes").into_iter();
        let stored = stored.filter_map(|(key, value)| Some(Ok::<_, Error>((key, value?))));
        let loaded = load(stored).expect("decodes");
        assert_eq!((loaded.oversold, loaded.channels), (state.oversold, state.channels));
    }

    #[test]
    fn rows_that_are_loaded_share_the_names_that_very_many_have() {
        let listing = || Listing {
            channel: ChannelId::new("main").expect("valid"),
            ids: Identifiers::new([(crate::model::IdKind::Asin, "B0XYZ123")]).expect("valid"),
            by: crate::model::FulfilledBy::Merchant,
            unwritable: None,
            allotted: None,
            leg: None,
            writes: crate::core::leg::Writes::default(),
            drift: None,
        };
        let mut state = State::default();
        for sku in ["A", "B"] {
            let row = SkuRow { listings: [listing(), listing()].into(), ..SkuRow::default() };
            state.skus.insert(Sku::new(sku).expect("valid"), row);
        }
        let rows =
            all(&state).expect("encodes").into_iter().filter_map(|(key, value)| Some(Ok((key, value?))));
        let loaded = load::<Error>(rows).expect("decodes");
        assert_eq!(loaded.skus, state.skus);
        let names = loaded.skus.values().flat_map(|row| &row.listings).map(|l| l.channel.as_str().as_ptr());
        assert_eq!(names.collect::<BTreeSet<_>>().len(), 1);
    }
}
