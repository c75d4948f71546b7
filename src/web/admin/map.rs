//! Rows of the mapping table, brought and taken out by people.

use axum::{Json, body::Bytes, extract::State};
use tracing::info;

use super::{Asked, Told, braked, read};
use crate::{
    core::{
        Command, Reply,
        decide::catalogue::{mappable, removable},
    },
    model::policy::MappingRow,
    web::{
        Failure,
        desk::ask,
        problem::Answer,
        query::mapping,
        view::{MapImport, MapImported, MapRemove, MapRemoved, ids_from},
    },
};

/// How many mapping rows one command brings when they are tried out.
const PART: usize = 5_000;
/// How many listings an answer names.
const NAMED: usize = 20;

/// `POST /v1/map`
pub(super) async fn import(State(desk): Asked, body: Bytes) -> Told<MapImported> {
    let asked: MapImport = read(&body)?;
    let mut rows = Vec::with_capacity(asked.rows.len());
    let mut lines = Vec::with_capacity(asked.rows.len());
    for (n, row) in asked.rows.into_iter().enumerate() {
        let place = row.line.map_or_else(|| format!("row {}", n + 1), |line| format!("line {line}"));
        let bad = |error| Answer::bad(format!("{place}: {error}"), "mend the row; nothing was imported");
        let ids = ids_from(&row.ids).map_err(bad)?;
        lines.push(row.line);
        rows.push(MappingRow { sku: row.sku, channel: row.channel, ids });
    }
    let count = rows.len();
    if count == 0 {
        return Err(Answer::bad("there are no rows", "name at least one"));
    }
    let checked = rows.clone();
    let good = ask(desk.as_ref(), move |state| mappable(state, lines.into_iter().zip(&checked)));
    good.await?.map_err(Failure::Refused)?;
    let commands = rows.chunks(PART).map(|part| Command::Map { rows: part.to_vec() });
    let effect = desk.try_out(commands.collect()).await?;
    let held = braked(&desk, &effect, asked.confirm).await?;
    let mut told = MapImported {
        rows: count,
        bound: effect.bound,
        unmatched: 0,
        dry_run: asked.dry_run,
        effect: (&effect).into(),
        held,
    };
    if asked.dry_run || told.held.is_some() {
        return Ok(Json(told));
    }
    if let Reply::Catalogue { bound, unmatched } = desk.submit(Command::Map { rows }).await? {
        (told.bound, told.unmatched) = (bound, unmatched);
    }
    info!(rows = count, bound = told.bound, orders = told.effect.mapped_orders, "mapping rows imported");
    Ok(Json(told))
}

/// `POST /v1/map/remove`
pub(super) async fn remove(State(desk): Asked, body: Bytes) -> Told<MapRemoved> {
    let MapRemove { channel, ids, dry_run, confirm } = read(&body)?;
    let ids = ids_from(&ids).map_err(|bad| Answer::bad(bad, "name the row as `evenkeel map list` does"))?;
    let (of, by) = (channel.clone(), ids.clone());
    let found =
        ask(desk.as_ref(), move |state| removable(state, &of, &by).map(|row| mapping::row(row, state)));
    let (row, mut listings) = found.await?.map_err(Failure::Refused)?;
    let more = listings.len() > NAMED;
    listings.truncate(NAMED);
    let command = Command::Unmap { channel, ids };
    let effect = desk.try_out(vec![command.clone()]).await?;
    let held = braked(&desk, &effect, confirm).await?;
    let told = MapRemoved { dry_run, row, listings, more, effect: (&effect).into(), held };
    if !dry_run && told.held.is_none() {
        desk.submit(command).await?;
        let (sku, channel) = (&told.row.sku, &told.row.channel);
        info!(%sku, %channel, "a person has taken a row out of the mapping table");
    }
    Ok(Json(told))
}
