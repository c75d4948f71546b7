//! Counts by people, and the opening stock that they count.

use std::collections::BTreeSet;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
};
use tracing::info;

use crate::{
    core::command::{ByHand, HandLine, LeftOut, Tally, WHOLE_MAX, Why},
    model::{Counter, DeliveryId, Timestamp},
    web::{
        Counting,
        admin::{Asked, NOTE_MAX, PreviewQuery, Told, read, shortened},
        problem::Answer,
        view::{CountRequest, CountTally, InitDone, InitPreview, LeftOutLine, LetterId, StockChange},
    },
};

/// The longest name of a request, in bytes: something is added to it.
const REQUEST_MAX: usize = 128;

/// `POST /v1/count/preview`
pub(super) async fn preview(State(desk): Asked, body: Bytes) -> Told<CountTally> {
    let asked = counting(read(&body)?, desk.vitals().now)?;
    Ok(Json(told(desk.try_count(asked).await?)))
}

/// `POST /v1/count`
pub(super) async fn count(State(desk): Asked, body: Bytes) -> Told<CountTally> {
    let asked = counting(read(&body)?, desk.vitals().now)?;
    let Some(tally) = desk.count(asked).await? else {
        return Ok(Json(CountTally { again: true, ..CountTally::default() }));
    };
    let (changed, left_out) = (tally.changed, tally.left_out.len());
    info!(changed, left_out, held = ?tally.held, "a person has counted");
    Ok(Json(told(tally)))
}

/// `POST /v1/count/opening/preview`
pub(super) async fn preview_opening(
    State(desk): Asked,
    wanted: Result<Query<PreviewQuery>, QueryRejection>,
    body: Bytes,
) -> Told<InitPreview> {
    let asked = counting(read(&body)?, desk.vitals().now)?;
    shortened(wanted, desk.preview_counted(ByHand { opening: true, ..asked.count }).await?)
}

/// `POST /v1/count/opening`
pub(super) async fn open(State(desk): Asked, body: Bytes) -> Told<InitDone> {
    let asked = counting(read(&body)?, desk.vitals().now)?;
    let done = desk.initialise_counted(ByHand { opening: true, ..asked.count }).await?;
    info!(skus = done.skus, units = %done.units, "the opening stock was taken over from a person's count");
    Ok(Json(done))
}

/// Refuses a name of a request that is too long to be remembered.
pub(super) fn request(request: Option<DeliveryId>) -> Result<Option<DeliveryId>, Answer> {
    if request.as_ref().is_some_and(|id| id.as_str().len() > REQUEST_MAX) {
        let why = format!("a request's name has at most {REQUEST_MAX} bytes");
        return Err(Answer::bad(why, "shorten it"));
    }
    Ok(request)
}

fn counting(asked: CountRequest, now: Timestamp) -> Result<Counting, Answer> {
    let CountRequest { lines, measure, as_of, full, believed, request: named } = asked;
    if lines.is_empty() {
        return Err(Answer::bad("nothing was counted", "name at least one SKU"));
    }
    if lines.len() > WHOLE_MAX {
        let why = format!("{} lines are too many, at most {WHOLE_MAX} may be", lines.len());
        return Err(Answer::bad(why, "count in several parts"));
    }
    let as_of = as_of.map_or(now, |time| time.0);
    let whole: BTreeSet<_> = lines.iter().map(|line| line.location.clone()).filter(|_| full).collect();
    let mut all = Vec::with_capacity(lines.len());
    for line in lines {
        if line.note.len() > NOTE_MAX {
            return Err(Answer::bad(format!("a note has at most {NOTE_MAX} bytes"), "shorten it"));
        }
        let (sku, location, quantity, note) = (line.sku, line.location, line.quantity, line.note);
        let as_of = line.as_of.map_or(as_of, |time| time.0);
        all.push(HandLine { sku, location, quantity, as_of, note });
    }
    let count = ByHand { by: Counter::Person, measure, lines: all, opening: false, believed };
    Ok(Counting { request: request(named)?, count, full: whole, as_of })
}

fn told(tally: Tally) -> CountTally {
    let change = |(sku, location, before, after)| StockChange { sku, location, before, after };
    CountTally {
        changed: tally.changed,
        unchanged: tally.unchanged,
        up: tally.up,
        up_units: tally.up_units,
        down: tally.down,
        down_units: tally.down_units,
        zeroed: tally.zeroed,
        opened: tally.opened,
        some: tally.some.into_iter().map(change).collect(),
        left_out: tally.left_out.into_iter().map(left_out).collect(),
        brake: tally.brake,
        held: tally.held.map(LetterId::Count),
        again: false,
    }
}

fn left_out(line: LeftOut) -> LeftOutLine {
    let LeftOut { sku, location, why } = line;
    let reason = match why {
        Why::NoSku => "no_sku",
        Why::Bundle => "bundle",
        Why::CountedLater(_) => "counted_later",
        Why::NotKnown(_) => "not_known",
    };
    LeftOutLine { sku, location, reason: reason.to_owned(), why: why.to_string() }
}
