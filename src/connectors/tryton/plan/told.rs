//! What Tryton was told of an item by postings whose answers are not known: what of its documents they have made, and what
//! only a person can have done.

use std::ops::Range;

use crate::{
    connectors::tryton::{books::Since, plan::cancelled},
    model::{PostingLine, Told, Totals},
};

/// What follows from the postings since the last answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct History {
    /// The most that was told, and with it what was acknowledged. What Tryton has beyond it is a person's doing.
    pub most: Totals,
    /// The least that was told. What Tryton lacks of it is a person's doing, too.
    pub least: Totals,
    /// Units that were told to be sold, or not to be cancelled after all, since fewer were. `None`: never fewer.
    pub more: Option<i64>,
    /// How many were told to be sold until then, by which posting.
    run: Vec<(u32, i64)>,
    /// Whether a posting whose answer is not known told that fewer are to be sold: it may be half made.
    pub fell: bool,
    /// Documents of later postings were made for what is told now; those of earlier ones are what these found.
    pub since: Since,
}

impl History {
    pub(super) fn new(line: &PostingLine, sequence: u32) -> History {
        let first = line.unanswered.first().map_or(sequence, |told| told.sequence);
        let acked = line.acked.unwrap_or_default();
        let mut all = vec![Told { sequence: first.saturating_sub(1), totals: acked }];
        all.extend(&line.unanswered);
        if all.len() == 1 || all.last().is_none_or(|last| last.totals != line.target) {
            all.push(Told { sequence, totals: line.target });
        }
        let fewer = last(&all, |before, after| more(before, after) < 0);
        let fell = fewer.sequence > all[0].sequence;
        let known = line.acked.is_some() || fell;
        let run = all.iter().filter(|told| told.sequence <= fewer.sequence);
        let least = all.iter().fold(line.target, |least, told| least.least(told.totals));
        History {
            most: line.told.most(line.target),
            least,
            more: known.then(|| more(&fewer.totals, &line.target).max(0)),
            run: run.map(|told| (told.sequence, kept(&told.totals))).collect(),
            fell,
            since: Since {
                sale: fewer.sequence,
                back: last(&all, |before, after| after.returned < before.returned).sequence,
                gone: last(&all, |before, after| after.returned > before.returned).sequence,
                undo: last(&all, |before, after| after.fulfilled > before.fulfilled).sequence,
                write_off: last(&all, |before, after| after.written_off < before.written_off).sequence,
                found: last(&all, |before, after| after.written_off > before.written_off).sequence,
            },
        }
    }
}

impl History {
    /// Returns how many units less Tryton has had to sell than were told when fewer were told last: postings that told more
    /// have sold them only if their documents (`sold`) show it.
    pub(super) fn unreached(&self, sold: impl Fn(Range<u32>) -> i64) -> i64 {
        let mut there = self.run.first().map_or(0, |(_, kept)| *kept);
        let ends =
            self.run.iter().skip(2).map(|(sequence, _)| *sequence).chain([self.since.sale.saturating_add(1)]);
        for ((sequence, kept), end) in self.run.iter().skip(1).zip(ends) {
            there = if *kept < there { *kept } else { (*kept).min(there + sold(*sequence..end)) };
        }
        self.run.last().map_or(0, |(_, kept)| kept - there)
    }
}

/// Returns what was told when it last went one way; if it never did, what was acknowledged.
fn last(all: &[Told], went: impl Fn(&Totals, &Totals) -> bool) -> Told {
    let turns = all.windows(2).rev().find(|two| went(&two[0].totals, &two[1].totals));
    turns.map_or(all[0], |two| two[1])
}

fn kept(totals: &Totals) -> i64 {
    totals.ordered.units() - cancelled(totals)
}

/// Returns how many more units are to be sold, or below zero how many fewer; what was shipped and is not any more is sold once more.
fn more(before: &Totals, target: &Totals) -> i64 {
    let undone = (before.fulfilled.units() - target.fulfilled.units()).max(0);
    kept(target) - kept(before) + undone
}
