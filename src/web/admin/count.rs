//! Counts by people, and the opening stock that they count.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    body::Bytes,
    extract::{self, Query, rejection::QueryRejection},
    http::StatusCode,
};
use tracing::info;

use crate::{
    core::{
        Refused, State,
        command::{ByHand, HandLine, LeftOut, Tally, WHOLE_MAX, Why},
        decide::by_hand::{knows_skus, look_over},
        moves::Transferred,
        wrong::{Why as Reason, Wrong, refused},
    },
    model::{Counter, DeliveryId, Sku},
    web::{
        Counting, Desk, Failure,
        admin::{Asked, NOTE_MAX, PreviewQuery, Told, read, shortened},
        desk::ask,
        problem::{Answer, helped},
        view::{
            CountRequest, CountTally, CountedLine, InitDone, InitPreview, LeftOutLine, LetterId, OPEN_FIRST,
            StockChange, TransferredSince, UNOPENED,
        },
    },
};

/// The longest name of a request, in bytes: something is added to it.
const REQUEST_MAX: usize = 128;

/// `POST /v1/count/preview`
pub(super) async fn preview(extract::State(desk): Asked, body: Bytes) -> Told<CountTally> {
    let asked = counting(&desk, read(&body)?, false).await?;
    let notes = notes(&desk, &asked).await?;
    let tally = told(desk.try_count(asked).await.map_err(helps)?);
    Ok(Json(CountTally { dry_run: true, notes, ..tally }))
}

/// `POST /v1/count`
pub(super) async fn count(extract::State(desk): Asked, body: Bytes) -> Told<CountTally> {
    let asked = counting(&desk, read(&body)?, false).await?;
    let notes = notes(&desk, &asked).await?;
    let Some(tally) = desk.count(asked).await.map_err(helps)? else {
        return Ok(Json(CountTally { again: true, ..CountTally::default() }));
    };
    let (changed, left_out) = (tally.changed, tally.left_out.len());
    info!(changed, left_out, held = ?tally.held, "a person has counted");
    Ok(Json(CountTally { notes, ..told(tally) }))
}

/// Says of some of the SKUs that were counted that they are called something else now.
async fn notes(desk: &Arc<dyn Desk>, asked: &Counting) -> Result<Vec<String>, Answer> {
    const NOTES: usize = 20;
    let named: BTreeSet<Sku> = asked.count.lines.iter().map(|line| line.sku.clone()).collect();
    let renamed = move |state: &State| {
        let mut all: Vec<String> = named.iter().filter_map(|sku| state.renamed(sku)).collect();
        let more = all.len().saturating_sub(NOTES);
        all.truncate(NOTES);
        all.extend((more > 0).then(|| format!("and {more} more are called something else now")));
        all
    };
    Ok(ask(desk.as_ref(), renamed).await?)
}

/// `POST /v1/count/opening/preview`
pub(super) async fn preview_opening(
    extract::State(desk): Asked,
    wanted: Result<Query<PreviewQuery>, QueryRejection>,
    body: Bytes,
) -> Told<InitPreview> {
    let asked = counting(&desk, read(&body)?, true).await?;
    shortened(wanted, desk.preview_counted(asked).await.map_err(helps_opening)?)
}

/// `POST /v1/count/opening`
pub(super) async fn open(extract::State(desk): Asked, body: Bytes) -> Told<InitDone> {
    let asked = counting(&desk, read(&body)?, true).await?;
    let done = desk.initialise_counted(asked).await.map_err(helps_opening)?;
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

/// Reads what was counted. What is wrong with the lines by themselves is told together with what the ledger says of them.
async fn counting(desk: &Arc<dyn Desk>, asked: CountRequest, opening: bool) -> Result<Counting, Answer> {
    let now = desk.vitals().now;
    let CountRequest { lines, measure, as_of, full, believed, skip_unknown, request: named } = asked;
    if lines.is_empty() {
        return Err(Answer::bad("nothing was counted", "name at least one SKU"));
    }
    if lines.len() > WHOLE_MAX {
        let why = format!("{} lines are too many, at most {WHOLE_MAX} may be", lines.len());
        return Err(Answer::bad(why, "count in several parts"));
    }
    let as_of = as_of.map_or(now, |time| time.0);
    let whole: BTreeSet<_> = lines.iter().map(|line| line.location.clone()).filter(|_| full).collect();
    let (mut all, mut wrong) = (Vec::with_capacity(lines.len()), Vec::new());
    for of in lines {
        let CountedLine { line, sku, location, quantity, as_of: own, note } = of;
        if note.len() > NOTE_MAX {
            let why = format!("a note has at most {NOTE_MAX} bytes");
            wrong.push(Wrong { line, why: why.into() });
        }
        let as_of = own.map_or(as_of, |time| time.0);
        all.push(HandLine { sku, location, line, quantity, as_of, note });
    }
    let count = ByHand { by: Counter::Person, measure, lines: all, opening, believed };
    let unopened =
        ask(desk.as_ref(), |state| state.policies().is_some() && state.initialised.is_none()).await?;
    // An opening reads every catalogue and all orders first; what makes no sense is told before that, all of it at once.
    if !wrong.is_empty() || opening || unopened {
        let looked = ByHand { opening: opening || unopened, ..count.clone() };
        let more = ask(desk.as_ref(), move |state| {
            let ((_, left_out), wrong) = look_over(state, &looked, now)?;
            let known = state.policies().is_some_and(|policies| knows_skus(state, policies));
            let telling = !skip_unknown && (known || !looked.opening);
            let unknown = left_out.into_iter().filter(|of| telling && of.why == Why::NoSku);
            Ok((wrong, unknown.map(no_sku).collect::<Vec<_>>()))
        });
        let (more, unknown) = more.await?.map_err(|refused| helps(Failure::Refused(refused)))?;
        wrong.extend(more);
        // Alone, it is told when the catalogues have been read. Where nothing is opened, that is now.
        let rest = if wrong.is_empty() && opening { Vec::new() } else { unknown };
        wrong.extend(rest);
    }
    if unopened && !opening {
        return Err(never_opened(&wrong));
    }
    if !wrong.is_empty() {
        let failure = Failure::Refused(refused(&wrong));
        return Err(if unopened { helps_opening(failure) } else { helps(failure) });
    }
    Ok(Counting { request: request(named)?, count, full: whole, as_of, skip_unknown })
}

fn no_sku(line: LeftOut) -> Wrong {
    let why = Reason::Unknown(format!("there is no SKU `{}`", line.sku));
    Wrong { line: line.line, why }
}

/// Refuses a count of stock that is not open yet, with what is wrong with its lines besides.
fn never_opened(wrong: &[Wrong]) -> Answer {
    if wrong.is_empty() {
        let answer = Answer::from(Failure::Refused(Refused::NotInitialised));
        return Answer::new(answer.status, UNOPENED, &answer.problem.next);
    }
    let answer = helps_opening(Failure::Refused(refused(wrong)));
    Answer { status: StatusCode::CONFLICT, ..answer }
}

/// Says of an opening stock that is wrong that there is none so far, and what helps.
fn helps_opening(failure: Failure) -> Answer {
    let wrong = matches!(failure, Failure::Refused(Refused::Unknown(_) | Refused::Wrong(_)));
    let answer = helps(failure);
    if !wrong {
        return answer;
    }
    Answer::new(answer.status, format!("{UNOPENED}\n{}", answer.problem.error), OPEN_FIRST)
}

/// Says what helps where a count is refused.
fn helps(failure: Failure) -> Answer {
    let next = if matches!(failure, Failure::Refused(Refused::Unknown(_))) {
        "nothing was taken over; locations are named in `[[locations]]` of the configuration, write a SKU as \
         `evenkeel sku` takes it; `--skip-unknown` of `count import` leaves out the lines of SKUs that are not known"
    } else {
        "`evenkeel status` says whether the stock is open; `evenkeel count` counts what is"
    };
    helped(failure, next)
}

fn told(mut tally: Tally) -> CountTally {
    tally.left_out.sort_by_key(|line| line.line);
    let change = |(sku, location, before, after)| StockChange { sku, location, before, after };
    let since = |(sku, location, Transferred { left, came })| TransferredSince { sku, location, left, came };
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
        transferred: tally.transferred.into_iter().map(since).collect(),
        left_out: tally.left_out.into_iter().map(left_out).collect(),
        brake: tally.brake,
        held: tally.held.map(LetterId::Count),
        notes: Vec::new(),
        again: false,
        dry_run: false,
    }
}

fn left_out(line: LeftOut) -> LeftOutLine {
    let LeftOut { line, sku, location, why } = line;
    let reason = match &why {
        Why::NoSku => "no_sku",
        Why::Bundle(_) => "bundle",
        Why::CountedLater(_) => "counted_later",
        Why::Partial => "partial",
        Why::NotKnown(_) => "not_known",
    };
    LeftOutLine { line, sku, location, reason: reason.to_owned(), why: why.to_string() }
}
