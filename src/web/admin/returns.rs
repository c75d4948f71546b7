//! Units that came back, and what people do with them.

use std::sync::Arc;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
};
use serde::Deserialize;
use tracing::info;

use super::{Asked, NOTE_MAX, Told, count, query_of, read, rows};
use crate::{
    core::{Command, Reply},
    model::{LocationId, Quantity, Sku},
    web::{
        Desk,
        desk::ask,
        problem::{Answer, helped},
        query,
        view::{ReturnedDone, ReturnedRequest, Returns},
    },
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReturnsQuery {
    limit: Option<usize>,
}

/// `GET /v1/returns`
pub(super) async fn list(
    State(desk): Asked,
    asked: Result<Query<ReturnsQuery>, QueryRejection>,
) -> Told<Returns> {
    let limit = rows(query_of(asked)?.limit);
    Ok(Json(ask(desk.as_ref(), move |state| query::returns::returns(state, limit)).await?))
}

/// `POST /v1/returns`
pub(super) async fn returned(State(desk): Asked, body: Bytes) -> Told<ReturnedDone> {
    let ReturnedRequest { sku, location, quantity, fate, note, request } = read(&body)?;
    if note.len() > NOTE_MAX {
        return Err(Answer::bad(format!("a note has at most {NOTE_MAX} bytes"), "shorten it"));
    }
    let asked = sku.clone();
    let sku = ask(desk.as_ref(), move |state| state.canonical(&asked).clone()).await?;
    let (of, named) = (sku.clone(), location.clone());
    let mut command = Command::Returned { sku: of, location, quantity, fate, note };
    if let Some(request) = count::request(request)? {
        command = Command::Once { request, command: command.into() };
    }
    let held = |failure| helped(failure, "`evenkeel returns list` shows what is held back, and where");
    let Reply::Returned { location, quantity, left } = desk.submit(command).await.map_err(held)? else {
        return returned_before(&desk, sku, named).await;
    };
    info!(%sku, %location, %quantity, ?fate, "a person has dealt with returned units");
    Ok(Json(ReturnedDone { sku, location, quantity, left, again: false }))
}

/// Answers a request that was carried out before.
async fn returned_before(desk: &Arc<dyn Desk>, sku: Sku, location: Option<LocationId>) -> Told<ReturnedDone> {
    let of = sku.clone();
    let left = ask(desk.as_ref(), move |state| {
        let places = &state.skus.get(&of)?.stock;
        let named = places.iter().find(|place| location.as_ref().is_none_or(|at| place.location == *at))?;
        Some((named.location.clone(), named.stock.reserved))
    });
    let Some((location, left)) = left.await? else {
        return Err(Answer::missing(format!("there is no SKU `{sku}`"), "see how it is written in the ERP"));
    };
    Ok(Json(ReturnedDone { sku, location, quantity: Quantity::ZERO, left, again: true }))
}
