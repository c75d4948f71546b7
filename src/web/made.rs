//! Bundles, merged SKUs and listings that are given to another SKU. Each can be tried first: the command is decided on a
//! copy of the state, and what it would do is told.

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
    core::{self, Command, Envelope, Record, Refused, Reply, decide, recipe::Made},
    model::{Sku, Timestamp},
    web::{
        Desk,
        admin::{Asked, Told, query_of, read, rows},
        desk::ask,
        problem::Answer,
        view::{
            ids_from,
            made::{
                Bundle, BundleImport, Bundles, Change, Corrected, MergeRequest, Movement, RebindRequest,
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
    let rows = asked.rows.into_iter().map(|row| (row.sku, row.parts)).collect();
    correct(&desk, Command::Recipes { rows }, asked.dry_run).await
}

async fn merge(State(desk): Asked, body: Bytes) -> Told<Corrected> {
    let MergeRequest { from, into, dry_run } = read(&body)?;
    correct(&desk, Command::Merge { from, into }, dry_run).await
}

async fn rebind(State(desk): Asked, body: Bytes) -> Told<Corrected> {
    let asked: RebindRequest = read(&body)?;
    let ids = ids_from(&asked.ids)
        .map_err(|bad| Answer::bad(bad, "name the listing, such as `asin=B0XYZ12345`"))?;
    correct(&desk, Command::Rebind { channel: asked.channel, ids, sku: asked.sku }, asked.dry_run).await
}

/// Tells what a command would do, and then has it done unless that was all.
async fn correct(desk: &Arc<dyn Desk>, command: Command, dry_run: bool) -> Told<Corrected> {
    let (tried, now) = (command.clone(), desk.vitals().now);
    let told = ask(desk.as_ref(), move |state| tell(state, tried, now)).await?;
    let told = told.map_err(|refused| Answer::from(crate::web::Failure::Refused(refused)))?;
    if dry_run {
        return Ok(Json(told));
    }
    let what = format!("{command:?}");
    let reply = desk.submit(command).await?;
    let changed = if let Reply::Changed { changed } = reply { changed } else { 0 };
    info!(correction = %what.chars().take(200).collect::<String>(), changed, "a person has corrected what is what");
    Ok(Json(Corrected { dry_run: false, changed, ..told }))
}

fn tell(state: &core::State, command: Command, now: Timestamp) -> Result<Corrected, Refused> {
    let mut copy = state.clone();
    let (envelope, reply) = decide(&mut copy, command, now);
    let changed = if let Reply::Changed { changed } = reply? { changed } else { 0 };
    let (entries, listings) = envelope.map(|envelope| effects(state, &copy, &envelope)).unwrap_or_default();
    Ok(Corrected { dry_run: true, changed, entries, listings })
}

fn effects(before: &core::State, after: &core::State, envelope: &Envelope) -> (Vec<Movement>, Vec<Change>) {
    let entries = envelope.records.iter().flat_map(Record::entries);
    let movement = |entry: &core::ledger::Entry| Movement {
        sku: entry.sku.clone(),
        location: entry.location.clone(),
        kind: entry.kind.name().to_owned(),
        quantity: entry.quantity,
    };
    let mut listings = Vec::new();
    for record in &envelope.records {
        let Record::Commit { sku, legs, .. } = record else { continue };
        for (at, leg) in legs {
            let listing = |state: &core::State| {
                state.skus.get(sku).and_then(|row| row.listings.get(usize::from(*at)).cloned())
            };
            let Some(held) = listing(after) else { continue };
            let before = listing(before).and_then(|held| held.leg).map(|leg| leg.quantity);
            let (sku, after) = (sku.clone(), leg.quantity);
            listings.push(Change { sku, channel: held.channel, before, after });
        }
    }
    (entries.map(movement).collect(), listings)
}
