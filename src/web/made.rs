//! Bundles, merged SKUs and listings that are given to another SKU. Each can be tried first. Recipes always are, because
//! a file of them may move a whole catalogue: the brake judges them.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
    routing::{get, post},
};
use serde::Deserialize;
use tracing::info;

use crate::{
    core::{self, Command, Reply, decide::trial::Effect, ledger::Entry, recipe::Made, state::ListingRef},
    model::{ChannelId, Identifiers, Sku, shell},
    web::{
        Desk, Failure,
        admin::{Asked, Told, braked, query_of, read, rows},
        desk::ask,
        problem::{Answer, helped},
        query::outbox::shown,
        view::{
            ids_from, ids_of,
            made::{
                Bundle, BundleImport, Bundles, Corrected, Given, MergeRequest, Movement, RebindRequest,
                RecipeSource,
            },
        },
    },
};

pub(super) fn router() -> Router<Arc<dyn Desk>> {
    Router::new()
        .route("/v1/bundles", get(bundles).post(import))
        .route("/v1/merge", post(merge))
        .route("/v1/rebind", post(rebind))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BundlesQuery {
    limit: Option<usize>,
    after: Option<Sku>,
}

async fn bundles(State(desk): Asked, asked: Result<Query<BundlesQuery>, QueryRejection>) -> Told<Bundles> {
    let asked = query_of(asked)?;
    let limit = rows(asked.limit);
    Ok(Json(ask(desk.as_ref(), move |state| page(state, asked.after.as_ref(), limit)).await?))
}

fn page(state: &core::State, after: Option<&Sku>, limit: usize) -> Bundles {
    let source = |sku: &Sku| match state.skus.get(sku).and_then(|row| row.made.as_deref()) {
        Some(Made::Of(_)) => RecipeSource::Imported,
        Some(Made::Merged(_)) => RecipeSource::Merged,
        None => RecipeSource::Config,
    };
    let all = state.index.recipes.all().filter(|(sku, _)| after.is_none_or(|after| *sku > after));
    let bundle =
        |(sku, parts): (&Sku, &[_])| Bundle { sku: sku.clone(), parts: parts.to_vec(), from: source(sku) };
    let mut rows: Vec<Bundle> = all.take(limit + 1).map(bundle).collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|last| last.sku.clone());
    Bundles { rows, next }
}

async fn import(State(desk): Asked, body: Bytes) -> Told<Corrected> {
    let asked: BundleImport = read(&body)?;
    if asked.rows.is_empty() {
        return Err(Answer::bad("there are no recipes", "name at least one"));
    }
    let lines: Vec<_> = asked.rows.iter().map(|row| row.line).collect();
    let rows: Vec<_> = asked.rows.into_iter().map(|row| (row.sku, row.parts)).collect();
    let (checked, aside) = (rows.clone(), asked.set_aside);
    let good = ask(desk.as_ref(), move |state| {
        let told = core::decide::recipes::shipped_of(state, &checked);
        core::decide::recipes::judge(state, &checked, &lines, aside).map(|()| told)
    });
    let known = "nothing was changed; `evenkeel bundles list` shows what SKUs are made of; write a SKU as `evenkeel sku` \
                 takes it";
    let notes = good.await?.map_err(|refused| helped(Failure::Refused(refused), known))?;
    let command = Command::Recipes { rows };
    let effect = desk.try_out(vec![command.clone()]).await?;
    let held = braked(&desk, &effect, asked.confirm).await?;
    let mut told = Corrected { held, notes, ..tried(&effect, asked.dry_run) };
    if !asked.dry_run && told.held.is_none() {
        told.changed = done(&desk, command).await?;
    }
    Ok(Json(told))
}

async fn merge(State(desk): Asked, body: Bytes) -> Told<Corrected> {
    let MergeRequest { from, into, dry_run } = read(&body)?;
    let [one, other] = [&from, &into].map(shell);
    let next = format!("`evenkeel sku {one}` and `evenkeel sku {other}` show how the two stand");
    let (old, new) = (from.clone(), into.clone());
    let paused = ask(desk.as_ref(), move |state| state.pause_of_merged(&old, &new)).await?;
    let Json(told) = correct(&desk, Command::Merge { from, into }, dry_run, &next).await?;
    Ok(Json(Corrected { notes: paused.into_iter().collect(), ..told }))
}

async fn rebind(State(desk): Asked, body: Bytes) -> Told<Corrected> {
    let asked: RebindRequest = read(&body)?;
    let ids = ids_from(&asked.ids)
        .map_err(|bad| Answer::bad(bad, "name the listing, such as `asin=B0XYZ12345`"))?;
    let next = "`evenkeel map list --listings` shows what every listing goes by, and which SKU it is";
    let RebindRequest { channel, sku, dry_run, .. } = asked;
    let (on, of, to) = (channel.clone(), ids.clone(), sku.clone());
    let moved = ask(desk.as_ref(), move |state| given(state, &on, &of, &to)).await?;
    let Json(told) = correct(&desk, Command::Rebind { channel, ids, sku }, dry_run, next).await?;
    Ok(Json(Corrected { moved, ..told }))
}

/// Returns the listings that go to a SKU, as they stand.
fn given(state: &core::State, channel: &ChannelId, ids: &Identifiers, sku: &Sku) -> Vec<Given> {
    let listings = core::decide::recipes::rebinds(state, channel, ids, sku);
    let given = |listing: &ListingRef| {
        let held = state.listing(listing)?;
        Some(Given {
            channel: held.channel.clone(),
            ids: ids_of(&held.ids),
            from: listing.sku.clone(),
            to: sku.clone(),
            shows: shown(held),
            desired: held.leg.as_ref().map(|leg| leg.quantity),
            unsettled: held.writes.unsettled.len(),
        })
    };
    listings.iter().filter_map(given).collect()
}

/// Has a command done, or only tells what it would do. `next`: what helps if it is refused.
async fn correct(desk: &Arc<dyn Desk>, command: Command, dry_run: bool, next: &str) -> Told<Corrected> {
    let refused = |failure| helped(failure, next);
    if dry_run {
        let effect = desk.try_out(vec![command]).await.map_err(refused)?;
        return Ok(Json(tried(&effect, true)));
    }
    let changed = done(desk, command).await.map_err(refused)?;
    Ok(Json(Corrected { changed, ..Corrected::default() }))
}

async fn done(desk: &Arc<dyn Desk>, command: Command) -> Result<usize, Failure> {
    let what = format!("{command:?}");
    let reply = desk.submit(command).await?;
    let changed = if let Reply::Changed { changed } = reply { changed } else { 0 };
    info!(correction = %what.chars().take(200).collect::<String>(), changed, "a person has corrected what is what");
    Ok(changed)
}

fn tried(effect: &Effect, dry_run: bool) -> Corrected {
    let movement = |entry: &Entry| Movement {
        sku: entry.sku.clone(),
        location: entry.location.clone(),
        kind: entry.kind.name().to_owned(),
        quantity: entry.quantity,
    };
    Corrected {
        dry_run,
        changed: effect.changed,
        entries: effect.entries.iter().map(movement).collect(),
        effect: effect.into(),
        ..Corrected::default()
    }
}
