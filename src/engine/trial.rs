//! Tries commands out on a copy of the state, which is taken in portions so that the ledger is not held up.

use std::{borrow::Cow, ops::Bound};

use crate::{
    clock::Clock,
    core::{
        Command, State,
        decide::trial::{self, Effect},
        index::Index,
    },
    engine::ledger::{Error, Ledger},
    model::{ChannelId, Identifiers, OrderKey, Sku},
};

/// How many rows are copied in one go.
const PORTION: usize = 5_000;

/// Returns what these commands would do to what listings show, and to what waits for a SKU. Nothing is recorded.
pub async fn try_out(ledger: &Ledger, clock: &dyn Clock, commands: Vec<Command>) -> Result<Effect, Error> {
    let (mut state, now) = (copy(ledger, trial::rebound(&commands)).await?, clock.now());
    let tried = tokio::task::spawn_blocking(move || {
        Index::rebuild(&mut state);
        trial::try_out(&mut state, commands, now)
    });
    Ok(tried.await.map_err(|_| Error::Stopped)??)
}

/// Listings that are given to another SKU.
type Rebound = Vec<(ChannelId, Identifiers)>;

/// Copies what decides what listings show, as [`trial::copy`] does in one go.
async fn copy(ledger: &Ledger, rebound: Rebound) -> Result<State, Error> {
    let mut all = ledger.read(trial::frame).await?;
    let mut after: Option<Sku> = None;
    loop {
        let from = after.clone();
        let skus = move |state: &State| {
            let from = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let rows = state.skus.range::<Sku, _>((from, Bound::Unbounded)).take(PORTION);
            rows.map(|(sku, row)| (sku.clone(), row.clone())).collect::<Vec<_>>()
        };
        let rows = ledger.read(skus).await?;
        let whole = rows.len() == PORTION;
        after = rows.last().map(|(sku, _)| sku.clone());
        all.skus.extend(rows);
        if !whole {
            break;
        }
    }
    copy_items(ledger, &mut all).await?;
    copy_orders(ledger, &mut all, rebound).await?;
    Ok(all)
}

async fn copy_items(ledger: &Ledger, all: &mut State) -> Result<(), Error> {
    type Key = (ChannelId, Identifiers);
    let mut after: Option<Key> = None;
    loop {
        let from = after.clone();
        let items = move |state: &State| {
            let from = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let rows = state.unmatched.range::<Key, _>((from, Bound::Unbounded)).take(PORTION);
            rows.map(|(key, held)| (key.clone(), held.clone())).collect::<Vec<_>>()
        };
        let rows = ledger.read(items).await?;
        let whole = rows.len() == PORTION;
        after = rows.last().map(|(key, _)| key.clone());
        all.unmatched.extend(rows);
        if !whole {
            return Ok(());
        }
    }
}

async fn copy_orders(ledger: &Ledger, all: &mut State, rebound: Rebound) -> Result<(), Error> {
    let named = move |state: &State| trial::orders(state, &rebound).into_iter().collect::<Vec<OrderKey>>();
    for keys in ledger.read(named).await?.chunks(PORTION) {
        let keys = keys.to_vec();
        let orders = move |state: &State| {
            let held = |key: OrderKey| state.order(&key).map(Cow::into_owned).map(|order| (key, order));
            keys.into_iter().filter_map(held).collect::<Vec<_>>()
        };
        all.orders.extend(ledger.read(orders).await?);
    }
    Ok(())
}
