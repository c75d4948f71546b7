//! Cuts commands that are too much for one record of the journal into parts.
//!
//! Each part makes sense by itself, so a crash between two of them does no harm: a SKU's lines stay together, because
//! the counts of several locations apply as one set; a count is judged by the brake as a whole before any part of it
//! is taken over; mapping rows are checked as a whole before any is added.

use std::ops::Range;

use crate::{
    core::{
        Command, Refused, Reply, State,
        command::{Count, DeadLetter, Verdict},
        count::ByPlace,
        decide::{
            catalogue::mappable,
            counts::{braked, changes},
        },
        mapping::resolve,
        record::HeldCount,
    },
    engine::ledger::{Error, Ledger},
    model::{CountLine, Seq, Sku, policy::MappingRow},
};

/// The most lines of a part of a count, but for a SKU that has more.
pub const LINES: usize = 2_000;
/// The most rows of a part of a mapping table. Each part writes the whole table to the state.
pub const ROWS: usize = 5_000;

/// Has a command decided, in parts if it is large, and waits until its records are durable.
pub async fn submit(ledger: &Ledger, command: Command) -> Result<Reply, Error> {
    if let Command::Dead { letter: DeadLetter::Count(id), verdict: Verdict::Retry } = command {
        return released(ledger, id).await;
    }
    if let Command::Map { rows } = command {
        return mapped(ledger, rows).await;
    }
    if let Command::Count(count) = command {
        return counted(ledger, count).await;
    }
    ledger.submit(command).await
}

/// Cuts a count. Lines without a SKU belong to no part; returns how many there are.
pub fn cut(state: &State, count: Count) -> (Vec<Count>, usize) {
    let skus = skus(state, &count);
    arrange(count, skus)
}

fn skus(state: &State, count: &Count) -> Vec<Option<Sku>> {
    let sku =
        |line: &CountLine| Some(state.canonical(resolve(state, &count.counter, &line.ids).sku()?).clone());
    count.lines.iter().map(sku).collect()
}

/// Puts the lines of a SKU together, and as many SKUs into a part as it takes.
fn arrange(mut count: Count, skus: Vec<Option<Sku>>) -> (Vec<Count>, usize) {
    let lines = std::mem::take(&mut count.lines);
    let all = lines.len();
    let mut known: Vec<_> =
        skus.into_iter().zip(lines).filter_map(|(sku, line)| Some((sku?, line))).collect();
    known.sort_by(|(a, _), (b, _)| a.cmp(b));
    let unknown = all - known.len();
    let parts = portions(&known, LINES, |(a, _), (b, _)| a == b);
    let parts = parts.into_iter().map(|part| {
        let lines = known[part].iter().map(|(_, line)| line.clone()).collect();
        Count { lines, ..count.clone() }
    });
    (parts.collect(), unknown)
}

/// Cuts what is sorted into ranges of at most `most`, or more where items belong together.
pub(super) fn portions<T>(sorted: &[T], most: usize, together: impl Fn(&T, &T) -> bool) -> Vec<Range<usize>> {
    let mut parts: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    for group in sorted.chunk_by(together) {
        let end = at + group.len();
        match parts.last_mut() {
            Some(part) if end - part.start <= most => part.end = end,
            Some(_) | None => parts.push(at..end),
        }
        at = end;
    }
    parts
}

async fn counted(ledger: &Ledger, count: Count) -> Result<Reply, Error> {
    if count.lines.len() <= LINES {
        return ledger.submit(Command::Count(count)).await;
    }
    let (parts, mut unknown) = resolved(ledger, count.clone()).await?;
    let (mut changed, mut deferred) = (0, 0);
    if !count.opening
        && let Some(why) = held(ledger, &parts).await?
    {
        return ledger.submit(Command::HoldCount { count, why }).await;
    }
    for part in parts {
        let reply = ledger.submit(Command::CountPart(part)).await?;
        if let Reply::Counted { changed: more, deferred: later, unknown: lost, .. } = reply {
            (changed, deferred, unknown) = (changed + more, deferred + later, unknown + lost);
        }
    }
    Ok(Reply::Counted { changed, deferred, held: None, unknown })
}

/// Finds the SKU of each line, some lines at a time, so that the ledger is not held up.
async fn resolved(ledger: &Ledger, count: Count) -> Result<(Vec<Count>, usize), Error> {
    let mut all = Vec::with_capacity(count.lines.len());
    for lines in count.lines.chunks(LINES) {
        let some = Count { lines: lines.to_vec(), absent: Vec::new(), ..count.clone() };
        all.extend(ledger.read(move |state| skus(state, &some)).await?);
    }
    Ok(arrange(count, all))
}

/// Asks the brake about all parts together.
async fn held(ledger: &Ledger, parts: &[Count]) -> Result<Option<String>, Error> {
    let mut all = ByPlace::default();
    for part in parts {
        let part = part.clone();
        all.extend(ledger.read(move |state| changes(state, &part)).await??);
    }
    ledger.read(move |state| braked(state, &all)).await
}

async fn mapped(ledger: &Ledger, rows: Vec<MappingRow>) -> Result<Reply, Error> {
    if rows.len() <= ROWS {
        return ledger.submit(Command::Map { rows }).await;
    }
    for part in rows.chunks(ROWS) {
        let part = part.to_vec();
        ledger.read(move |state| mappable(state, part.iter().map(|row| (None, row)))).await??;
    }
    let (mut all_bound, mut left) = (0, 0);
    for part in rows.chunks(ROWS) {
        let reply = ledger.submit(Command::Map { rows: part.to_vec() }).await?;
        if let Reply::Catalogue { bound, unmatched } = reply {
            (all_bound, left) = (all_bound + bound, unmatched);
        }
    }
    Ok(Reply::Catalogue { bound: all_bound, unmatched: left })
}

/// Releases a held count. It stays held until its last part is taken over.
async fn released(ledger: &Ledger, id: Seq) -> Result<Reply, Error> {
    let parts = ledger.read(move |state| state.held.get(&id).map(held_parts)).await?;
    let parts = parts.ok_or_else(|| Refused::Nothing(format!("held count `{id}`")))?;
    let (mut changed, mut deferred) = (0, 0);
    for lines in parts {
        let reply = ledger.submit(Command::ReleasePart { id, lines }).await?;
        if let Reply::Counted { changed: more, deferred: later, .. } = reply {
            (changed, deferred) = (changed + more, deferred + later);
        }
    }
    Ok(Reply::Counted { changed, deferred, held: None, unknown: 0 })
}

/// Cuts a held count, whose lines are in the order of their SKUs.
fn held_parts(held: &HeldCount) -> Vec<Range<usize>> {
    let parts = portions(&held.lines, LINES, |(a, ..), (b, ..)| a == b);
    // One without lines is released by a part without any.
    if parts.is_empty() { Vec::from([Range::default()]) } else { parts }
}
