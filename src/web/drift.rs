//! The admin API's part on drift: what there is, what a person says about it, and a comparison now.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use tracing::info;

use crate::{
    core::{Command, command::DriftAct},
    model::ChannelId,
    web::{
        Desk,
        admin::{Told, known, query_of, read, rows},
        desk::ask,
        problem::helped,
        query,
        view::{Done, DriftRequest, Drifts, ReconcilePage, ReconcileRequest},
    },
};

type Asked = State<Arc<dyn Desk>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DriftQuery {
    channel: Option<ChannelId>,
    limit: Option<usize>,
}

pub(super) async fn drifts(
    State(desk): Asked,
    asked: Result<Query<DriftQuery>, QueryRejection>,
) -> Told<Drifts> {
    let (asked, now) = (query_of(asked)?, desk.vitals().now);
    known(&desk, asked.channel.as_ref()).await?;
    let limit = rows(asked.limit);
    let read =
        move |state: &crate::core::State| query::drift::drifts(state, asked.channel.as_ref(), limit, now);
    Ok(Json(ask(desk.as_ref(), read).await?))
}

pub(super) async fn accept(State(desk): Asked, body: Bytes) -> Told<Done> {
    let DriftRequest { sku, channel, expected, .. } = read(&body)?;
    let counter = ask(desk.as_ref(), move |state| query::drift::recounted(state, &sku, &channel)).await?;
    let said = match counter {
        Some((counter, location)) => format!(
            "is taken as it is there; `{counter}` counts `{location}`, and its next count outweighs this: correct it there too"
        ),
        None => "is taken as it is there".to_owned(),
    };
    act(&desk, &body, expected.map_or(DriftAct::Accept, DriftAct::AcceptFrom), &said).await
}

pub(super) async fn repair(State(desk): Asked, body: Bytes) -> Told<Done> {
    act(&desk, &body, DriftAct::Repair, "is written again").await
}

pub(super) async fn release(State(desk): Asked, body: Bytes) -> Told<Done> {
    act(&desk, &body, DriftAct::Release, "is released and written again").await
}

async fn act(desk: &Arc<dyn Desk>, body: &Bytes, act: DriftAct, said: &str) -> Told<Done> {
    let DriftRequest { sku, channel, seq, .. } = read(body)?;
    let command = Command::Drift { sku: sku.clone(), channel: channel.clone(), seq, act };
    let open =
        |failure| helped(failure, "`evenkeel drift` lists what is open, and what was done about the others");
    desk.submit(command).await.map_err(open)?;
    info!(%sku, %channel, ?act, "a person has dealt with a drift");
    Ok(Json(Done { done: format!("SKU `{sku}` on `{channel}` {said}") }))
}

/// Compares one page. Without `dry_run` what was read is taken in as the regular comparison does, so that what differs
/// is judged once the channel's orders are read.
pub(super) async fn reconcile(State(desk): Asked, body: Bytes) -> Told<ReconcilePage> {
    let ReconcileRequest { channel, dry_run, after, edits } = read(&body)?;
    // What is taken in is known to the brake by itself.
    let edits = edits.filter(|_| dry_run);
    known(&desk, Some(&channel)).await?;
    let (read_at, page) = desk.catalogue(&channel, after).await?;
    let next = page.next.map(|cursor| cursor.0);
    let (of, now, items) = (channel.clone(), desk.vitals().now, page.items.clone());
    let compared = ask(desk.as_ref(), move |state: &crate::core::State| {
        query::drift::page(state, &of, &items, [read_at, now], edits)
    });
    let compared = compared.await?;
    if !dry_run {
        let (items, unread) = (page.items, page.unread);
        desk.submit(Command::Catalogue { channel: channel.clone(), read_at, items, unread }).await?;
        if next.is_none() {
            desk.submit(Command::Catalogued { channel: channel.clone() }).await?;
            desk.submit(Command::Swept { channel: channel.clone() }).await?;
            // Its orders are read, so that what differs can be judged.
            desk.poll(&channel);
        }
    }
    Ok(Json(ReconcilePage { next, ..compared }))
}
