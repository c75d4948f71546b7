//! The state's rows as the store keeps them: keys that tell rows apart, values that hold them whole.
//!
//! Values are MessagePack with field names, so a field that is added later does not make old rows unreadable. A row
//! that is longer than the store takes is kept in pieces.

use std::{collections::BTreeMap, ops::Bound};

use serde::{Deserialize, Serialize};

use crate::{
    core::{
        index::Index,
        order::Order,
        record::HeldCount,
        state::{Alert, AlertKey, ChannelRow, Quarantined, RowKey, SkuRow, State, Unmatched},
    },
    model::{
        ChannelId, DeliveryId, Identifiers, OrderKey, Policies, Seq, Sku, Timestamp, policy::MappingRow,
    },
};

/// The version of the rows: those of another version are built anew from the journal.
pub const ROWS_VERSION: u32 = 1;
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
enum Row {
    Meta { seq: Seq, epoch: u32, initialised: Option<Timestamp> },
    Policies(Box<Policies>),
    Table(Vec<MappingRow>),
    Sku(Sku, SkuRow),
    Order(OrderKey, Box<Order>),
    Channel(ChannelId, ChannelRow),
    Delivery(ChannelId, DeliveryId, Timestamp),
    Alert(AlertKey, Alert),
    Held(Seq, HeldCount),
    Quarantine(Seq, Quarantined),
    Unmatched(ChannelId, Identifiers, Box<Unmatched>),
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

/// Builds a state from stored rows, in any order.
pub fn load(rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<State, Error> {
    let mut state = State::default();
    let mut whole: Option<(Vec<u8>, Vec<u8>, usize)> = None;
    // Pieces of one row follow each other, because their keys differ in the last bytes only.
    let mut rows: Vec<(Vec<u8>, Vec<u8>)> = rows.into_iter().collect();
    rows.sort_unstable();
    for (key, value) in rows {
        let (id, piece) = split_key(&key).ok_or(Error::Piece(0))?;
        let Some((&last, body)) = value.split_first() else { return Err(Error::Piece(piece)) };
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
            put(&mut state, rmp_serde::from_slice(bytes)?);
            *next = usize::MAX;
        }
    }
    Index::rebuild(&mut state);
    state.dirty.clear();
    Ok(state)
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
        RowKey::Unmatched(channel, ids) => {
            let mut parts = vec![channel.as_str()];
            parts.extend(ids.iter().flat_map(|id| [id.kind.name(), &*id.value]));
            // Six identifiers of 255 bytes would be longer than a key may be.
            let digest = crate::core::backoff::digest(&parts);
            let again = crate::core::backoff::digest(&[&parts.concat(), channel.as_str()]);
            text(b'u', &[channel.as_str(), &format!("{digest:016x}{again:016x}")])
        }
    }
}

fn row(state: &State, key: &RowKey) -> Option<Row> {
    Some(match key {
        RowKey::Meta => Row::Meta { seq: state.seq, epoch: state.epoch, initialised: state.initialised },
        RowKey::Policies => Row::Policies(Box::new(state.policies.as_deref()?.clone())),
        RowKey::Table => Row::Table(state.table.clone()),
        RowKey::Sku(sku) => Row::Sku(sku.clone(), state.skus.get(sku)?.clone()),
        RowKey::Order(key) => Row::Order(key.clone(), Box::new(state.orders.get(key)?.clone())),
        RowKey::Channel(channel) => Row::Channel(channel.clone(), state.channels.get(channel)?.clone()),
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
    })
}

fn put(state: &mut State, row: Row) {
    match row {
        Row::Meta { seq, epoch, initialised } => {
            (state.seq, state.epoch, state.initialised) = (seq, epoch, initialised);
        }
        Row::Policies(policies) => state.policies = Some((*policies).into()),
        Row::Table(rows) => state.table = rows,
        Row::Sku(sku, row) => drop(state.skus.insert(sku, row)),
        Row::Order(key, order) => drop(state.orders.insert(key, *order)),
        Row::Channel(channel, row) => drop(state.channels.insert(channel, row)),
        Row::Delivery(channel, id, at) => drop(state.deliveries.insert((channel, id), at)),
        Row::Alert(key, alert) => drop(state.alerts.insert(key, alert)),
        Row::Held(id, count) => drop(state.held.insert(id, count)),
        Row::Quarantine(id, item) => drop(state.quarantine.insert(id, item)),
        Row::Unmatched(channel, ids, unmatched) => {
            drop(state.unmatched.insert((channel, ids), *unmatched));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            load(stored.clone()).expect("decodes").table.len()
        };
        assert_eq!(store(&state), 5_000);
        state.table.truncate(3);
        assert_eq!(store(&state), 3);
    }
}
