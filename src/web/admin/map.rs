//! Rows of the mapping table, brought and taken out by people.

use std::collections::{BTreeMap, BTreeSet};

use axum::{Json, body::Bytes, extract};
use tracing::info;

use super::{Asked, Told, braked, read};
use crate::{
    core::{
        Command, Reply, State,
        decide::catalogue::{clashing, removable, unmappable},
        wrong::{Wrong, refused},
    },
    model::{ChannelId, IdKind, Identifiers, Sku, policy::MappingRow},
    web::{
        Failure,
        desk::ask,
        problem::{Answer, helped},
        query::mapping,
        view::{MapImport, MapImported, MapRemove, MapRemoved, MapRow, MapSource, ids_from},
    },
};

/// How many mapping rows one command brings when they are tried out.
const PART: usize = 5_000;
/// How many listings an answer names.
const NAMED: usize = 20;

/// `POST /v1/map`
pub(super) async fn import(extract::State(desk): Asked, body: Bytes) -> Told<MapImported> {
    let asked: MapImport = read(&body)?;
    let (mut rows, mut lines, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for (n, MapRow { sku, channel, ids, line, .. }) in asked.rows.into_iter().enumerate() {
        // What is wrong with its identifiers is told with all else that is.
        let ids = ids_from(&ids).unwrap_or_else(|bad| {
            let place = if line.is_some() { String::new() } else { format!("row {}: ", n + 1) };
            wrong.push(Wrong { line, why: format!("{place}{bad}").into() });
            Identifiers::default()
        });
        lines.push(line);
        rows.push(MappingRow { sku, channel, ids });
    }
    let count = rows.len();
    if count == 0 {
        return Err(Answer::bad("there are no rows", "name at least one"));
    }
    let checked = rows.clone();
    let looked = ask(desk.as_ref(), move |state| {
        let all = || lines.iter().copied().zip(&checked);
        let mut more = unmappable(state, all())?;
        more.extend(clashing(state, all()));
        let skus: BTreeSet<&Sku> = checked.iter().map(|row| &row.sku).collect();
        let mut notes: Vec<String> =
            skus.into_iter().filter_map(|sku| state.renamed(sku)).take(NAMED).collect();
        notes.extend(mapping::bound_already(state, &checked, NAMED));
        Ok((more, replaced(state, &checked), notes))
    });
    let (more, replaced, mut notes) = looked.await?.map_err(Failure::Refused)?;
    if more.is_empty() && !wrong.is_empty() {
        return Err(Answer::bad(refused(&wrong), "mend the rows; nothing was imported"));
    }
    wrong.extend(more);
    if !wrong.is_empty() {
        return Err(Failure::Refused(refused(&wrong)).into());
    }
    let commands = rows.chunks(PART).map(|part| Command::Map { rows: part.to_vec() });
    let effect = desk.try_out(commands.collect()).await?;
    notes.extend(mapping::bound_besides(&effect.found, &rows, NAMED));
    let held = braked(&desk, &effect, asked.confirm).await?;
    let mut told = MapImported {
        rows: count,
        bound: effect.bound,
        unmatched: 0,
        dry_run: asked.dry_run,
        effect: (&effect).into(),
        held,
        replaced,
        notes,
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

/// Returns rows of the table that say something else of what these rows say, the first of them.
fn replaced(state: &State, rows: &[MappingRow]) -> Vec<MapRow> {
    let new: BTreeMap<(&ChannelId, Identifiers), &Sku> =
        rows.iter().map(|row| ((&row.channel, row.ids.without(IdKind::Location)), &row.sku)).collect();
    let other = |(row, _): &(&MappingRow, MapSource)| {
        new.get(&(&row.channel, row.ids.clone())).is_some_and(|sku| **sku != row.sku)
    };
    let imported = state.table.iter().map(|row| (row, MapSource::Imported));
    let known: BTreeSet<(&ChannelId, &Identifiers)> =
        state.table.iter().map(|row| (&row.channel, &row.ids)).collect();
    // What an imported row has taken the place of says nothing already.
    let table = state.policies().into_iter().flat_map(|policies| policies.mapping.table.iter());
    let counts = table.filter(|row| !known.contains(&(&row.channel, &row.ids)));
    let all = imported.chain(counts.map(|row| (row, MapSource::Config)));
    all.filter(other).take(NAMED).map(|(row, from)| mapping::table_row(row, from)).collect()
}

/// `POST /v1/map/remove`
pub(super) async fn remove(extract::State(desk): Asked, body: Bytes) -> Told<MapRemoved> {
    let MapRemove { channel, ids, dry_run, confirm } = read(&body)?;
    let ids = ids_from(&ids).map_err(|bad| Answer::bad(bad, "name the row as `evenkeel map list` does"))?;
    let (of, by) = (channel.clone(), ids.clone());
    let found =
        ask(desk.as_ref(), move |state| removable(state, &of, &by).map(|row| mapping::row(row, state)));
    let helps = |refused| {
        helped(
            Failure::Refused(refused),
            "nothing was changed; `evenkeel map list` shows the rows of the table",
        )
    };
    let (row, mut listings) = found.await?.map_err(helps)?;
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
