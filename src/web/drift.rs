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
    core::{Command, Refused, command::DriftAct, decide::drift, order::Still},
    model::{ChannelId, Identifiers, LocationId},
    web::{
        Desk, Failure,
        admin::{Told, known, query_of, read, rows},
        desk::ask,
        problem::{Answer, helped},
        query,
        view::{Done, DriftRequest, Drifts, ReconcilePage, ReconcileRequest, ids_from},
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
    let asked: DriftRequest = read(&body)?;
    let said = |meant: &Meant| match &meant.counter {
        Some((counter, location)) => format!(
            "is taken as it is there; `{counter}` counts `{location}`, and its next count outweighs this: correct it there too"
        ),
        None => "is taken as it is there".to_owned(),
    };
    let act_of = asked.expected.map_or(DriftAct::Accept, DriftAct::AcceptFrom);
    act(&desk, asked, act_of, &said).await
}

pub(super) async fn repair(State(desk): Asked, body: Bytes) -> Told<Done> {
    let said = |meant: &Meant| format!("is written again{}", meant.later());
    act(&desk, read(&body)?, DriftAct::Repair, &said).await
}

pub(super) async fn release(State(desk): Asked, body: Bytes) -> Told<Done> {
    let said = |meant: &Meant| format!("is released and written again{}", meant.later());
    act(&desk, read(&body)?, DriftAct::Release, &said).await
}

/// The listing that a person means.
struct Meant {
    /// What it is called now, if it goes by another name.
    renamed: Option<String>,
    /// `SKU on channel`, with what tells it from the other listings there.
    name: String,
    counter: Option<(ChannelId, LocationId)>,
    still: Option<Still>,
}

impl Meant {
    /// Says when something is written, if nothing is by now.
    fn later(&self) -> &'static str {
        match self.still {
            None => "",
            Some(Still::Shadow) => " once the mode is `live`; in shadow mode nothing is",
            Some(Still::Restored) => " after `evenkeel resume --live`; before that nothing is",
        }
    }
}

fn meant(state: &crate::core::State, asked: &DriftRequest, listing: &Identifiers) -> Result<Meant, Refused> {
    let DriftRequest { sku, channel, seq, .. } = asked;
    let of = drift::meant(state, sku, channel, listing, *seq)?;
    let several = state.listed(&of.sku, channel).len() > 1;
    let which = if several { format!(" ({})", state.listing_name(&of)) } else { String::new() };
    let name = format!("SKU `{}` on `{channel}`{which}", of.sku);
    let counter = query::drift::recounted(state, &of);
    Ok(Meant { renamed: state.renamed(sku), name, counter, still: state.still() })
}

async fn act(
    desk: &Arc<dyn Desk>,
    asked: DriftRequest,
    act: DriftAct,
    said: &(dyn Fn(&Meant) -> String + Sync),
) -> Told<Done> {
    let listing = match asked.listing.is_empty() {
        true => Identifiers::default(),
        false => ids_from(&asked.listing).map_err(|bad| {
            Answer::bad(bad, "name the listing as `evenkeel drift` does, such as `location_id=655441491`")
        })?,
    };
    let open =
        |failure| helped(failure, "`evenkeel drift` lists what is open, and what was done about the others");
    known(desk, Some(&asked.channel)).await?;
    let (of, name) = (asked.clone(), listing.clone());
    let meant = ask(desk.as_ref(), move |state| meant(state, &of, &name)).await?;
    let meant = meant.map_err(|refused| open(Failure::Refused(refused)))?;
    let DriftRequest { sku, channel, seq, .. } = asked;
    let command = Command::Drift { sku: sku.clone(), channel: channel.clone(), listing, seq, act };
    desk.submit(command).await.map_err(open)?;
    info!(%sku, %channel, listing = %meant.name, ?act, "a person has dealt with a drift");
    let renamed = meant.renamed.as_ref().map(|renamed| format!("{renamed}; ")).unwrap_or_default();
    Ok(Json(Done { done: format!("{renamed}{} {}", meant.name, said(&meant)) }))
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
