//! Counts by people: judged as a whole by the brake, taken over in parts that fit the journal. A SKU's lines stay
//! together, because the counts of several locations apply as one set.

use std::collections::BTreeSet;

use crate::{
    core::{
        Command, Refused, Reply, State,
        backoff::digest,
        command::{ByHand, HandLine, Tally, Why},
        count::ByPlace,
        decide::{
            by_hand::{changes, look_over, tally},
            counts::braked,
        },
        wrong::{Why as Reason, Wrong, refused},
    },
    engine::{
        ledger::{Error, Ledger},
        parts::{LINES, portions},
    },
    model::{DeliveryId, LocationId, Quantity, Sku, Timestamp},
    web::Counting,
};

/// How many SKUs one read of the state walks over.
const WALK: usize = 5_000;

/// Tells what a count would do.
pub async fn preview(ledger: &Ledger, now: Timestamp, asked: Counting) -> Result<Tally, Error> {
    let strict = Strict::of(&asked);
    let parts = cut(whole(ledger, asked).await?);
    let (mut told, changes) = judged(ledger, now, &parts).await?.all_good(strict)?;
    told.brake = ledger.read(move |state| braked(state, &changes)).await?;
    Ok(told)
}

/// Returns an opening count, unless it is refused for SKUs that are not known now that the catalogues were read.
pub async fn known(ledger: &Ledger, now: Timestamp, asked: Counting) -> Result<ByHand, Error> {
    let strict = Strict::of(&asked);
    judged(ledger, now, &cut(asked.count.clone())).await?.all_good(strict)?;
    Ok(asked.count)
}

/// Takes a count over, or has it held. `None`: that was done before for the same request.
pub async fn count(ledger: &Ledger, now: Timestamp, asked: Counting) -> Result<Option<Tally>, Error> {
    let (request, full, strict) = (asked.request.clone(), !asked.full.is_empty(), Strict::of(&asked));
    let count = whole(ledger, asked).await?;
    let mut parts = cut(count.clone());
    let judged = judged(ledger, now, &parts).await?;
    if full || parts.len() > 1 {
        let (_, changes) = judged.all_good(strict)?;
        let brake = ledger.read(move |state| braked(state, &changes)).await?;
        if let Some(why) = brake.filter(|_| !count.believed) {
            return one(ledger, request, Command::HoldByHand { count, why }).await;
        }
        // Judged as a whole, so no part of it is judged again.
        parts.iter_mut().for_each(|part| part.believed = true);
    } else if strict.unknown(&judged.told).next().is_some() {
        judged.all_good(strict)?;
    }
    // What else is wrong with a single part, the ledger says: it knows whether it was asked before.
    if parts.len() == 1 {
        return one(ledger, request, Command::CountByHand(parts.remove(0))).await;
    }
    let mut done: Option<Tally> = None;
    for part in parts {
        let request = request.as_ref().map(|request| of_part(request, &part)).transpose()?;
        if let Some(more) = one(ledger, request, Command::CountByHand(part)).await? {
            done = Some(done.unwrap_or_default().plus(more));
        }
    }
    Ok(done)
}

async fn one(ledger: &Ledger, request: Option<DeliveryId>, command: Command) -> Result<Option<Tally>, Error> {
    let command = match request {
        Some(request) => Command::Once { request, command: command.into() },
        None => command,
    };
    let Reply::CountedByHand(tally) = ledger.submit(command).await? else { return Ok(None) };
    Ok(Some(tally))
}

/// A part goes by what is in it: the next try of the same request may be cut in another way.
fn of_part(request: &DeliveryId, part: &ByHand) -> Result<DeliveryId, Error> {
    let lines = part.lines.iter().flat_map(|line| {
        let (quantity, as_of) = (line.quantity.to_string(), line.as_of.millis().to_string());
        [line.sku.to_string(), line.location.to_string(), quantity, as_of]
    });
    let lines: Vec<String> = lines.collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let text = format!("{request}.{:016x}", digest(&lines));
    DeliveryId::new(&text).map_err(|bad| Refused::NotSo(bad.to_string()).into())
}

/// What becomes of lines of SKUs that are not known.
#[derive(Clone, Copy)]
enum Strict {
    /// They are left out.
    No,
    /// Nothing is taken over: they are perhaps mistyped.
    Yes,
    /// Nor here: the SKU that was meant would be set to zero.
    Full,
}

impl Strict {
    fn of(asked: &Counting) -> Strict {
        match (asked.full.is_empty(), asked.skip_unknown) {
            (false, _) => Strict::Full,
            (true, false) => Strict::Yes,
            (true, true) => Strict::No,
        }
    }

    /// Returns what is wrong with lines of SKUs that are not known.
    fn unknown(self, told: &Tally) -> impl Iterator<Item = Wrong> {
        let unknown = told.left_out.iter().filter(|line| line.why == Why::NoSku);
        unknown.filter_map(move |of| {
            let why = match self {
                Strict::No => return None,
                Strict::Yes => Reason::Unknown(format!("there is no SKU `{}`", of.sku)),
                Strict::Full => Reason::Bad(format!(
                    "SKU `{}`: no SKU is called so; in a full count, the SKU that was meant would be set to zero",
                    of.sku
                )),
            };
            Some(Wrong { line: of.line, why })
        })
    }
}

/// What all parts of a count would do, and what is wrong with their lines.
struct Judged {
    told: Tally,
    changes: ByPlace,
    wrong: Vec<Wrong>,
}

impl Judged {
    /// Fails with everything that is wrong.
    fn all_good(mut self, strict: Strict) -> Result<(Tally, ByPlace), Error> {
        self.wrong.extend(strict.unknown(&self.told));
        if self.wrong.is_empty() { Ok((self.told, self.changes)) } else { Err(refused(&self.wrong).into()) }
    }
}

/// Cuts a count into parts of whole SKUs.
pub(super) fn cut(mut count: ByHand) -> Vec<ByHand> {
    let mut lines = std::mem::take(&mut count.lines);
    lines.sort();
    let parts = portions(&lines, LINES, |a, b| a.sku == b.sku);
    let part = |lines: &[HandLine]| ByHand { lines: lines.to_vec(), ..count.clone() };
    if parts.is_empty() {
        vec![part(&[])]
    } else {
        parts.into_iter().map(|range| part(&lines[range])).collect()
    }
}

async fn judged(ledger: &Ledger, now: Timestamp, parts: &[ByHand]) -> Result<Judged, Error> {
    let mut all = Judged { told: Tally::default(), changes: ByPlace::default(), wrong: Vec::new() };
    for part in parts {
        let part = part.clone();
        let judged = ledger.read(move |state| {
            let ((lines, left_out), wrong) = look_over(state, &part, now)?;
            Ok::<_, Refused>((tally(&lines, left_out), changes(&lines), wrong))
        });
        let (more, changes, bad) = judged.await??;
        all.told = all.told.plus(more);
        all.changes.extend(changes);
        all.wrong.extend(bad);
    }
    Ok(all)
}

/// Adds what a full count does not name: it is not there.
async fn whole(ledger: &Ledger, asked: Counting) -> Result<ByHand, Error> {
    let Counting { mut count, full, as_of, .. } = asked;
    let mut lines = Vec::with_capacity(count.lines.len());
    for some in count.lines.chunks(LINES) {
        let some = some.to_vec();
        lines.extend(
            ledger
                .read(move |state| some.into_iter().map(|l| canonical(state, l)).collect::<Vec<_>>())
                .await?,
        );
    }
    count.lines = lines;
    if full.is_empty() {
        return Ok(count);
    }
    let named: BTreeSet<(Sku, LocationId)> =
        count.lines.iter().map(|line| (line.sku.clone(), line.location.clone())).collect();
    let mut after: Option<Sku> = None;
    loop {
        let (from, full) = (after.clone(), full.clone());
        let (held, last) = ledger.read(move |state| stocked(state, from.as_ref(), &full)).await?;
        let rest = held.into_iter().filter(|place| !named.contains(place));
        count.lines.extend(rest.map(|(sku, location)| HandLine {
            sku,
            location,
            quantity: Quantity::ZERO,
            as_of,
            note: "not in a full count".to_owned(),
            line: None,
        }));
        match last {
            Some(last) => after = Some(last),
            None => return Ok(count),
        }
    }
}

/// A SKU that became part of another one is counted as that one.
fn canonical(state: &State, line: HandLine) -> HandLine {
    HandLine { sku: state.canonical(&line.sku).clone(), ..line }
}

/// Returns where some SKUs have stock, and the SKU that the walk goes on after.
fn stocked(
    state: &State,
    after: Option<&Sku>,
    full: &BTreeSet<LocationId>,
) -> (Vec<(Sku, LocationId)>, Option<Sku>) {
    use std::ops::Bound;
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let some: Vec<_> = state.skus.range::<Sku, _>((from, Bound::Unbounded)).take(WALK).collect();
    let last = some.last().filter(|_| some.len() == WALK).map(|(sku, _)| (*sku).clone());
    let places = some.into_iter().flat_map(|(sku, row)| {
        let held = row.stock.iter().filter(|place| full.contains(&place.location));
        let held = held.filter(|place| place.opened.is_some() && !place.stock.on_hand.is_zero());
        held.map(move |place| (sku.clone(), place.location.clone()))
    });
    (places.collect(), last)
}
