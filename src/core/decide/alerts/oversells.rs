//! Alerts about units that were sold and are not there. A SKU has one of its own as long as few have; in a flash sale that
//! goes wrong on many, one alert tells of the rest.

use std::collections::{BTreeMap, BTreeSet};

use super::Condition;
use crate::{
    core::{
        decide::{Draft, recipes::shipped_as_own},
        ledger::Cause,
        oversold::Oversell,
        record::{AlertKind, Record},
        state::{AlertKey, SkuRow, State},
    },
    model::{Sku, shell, which},
};

/// How many SKUs have an alert of their own: those that have been oversold for longest, so that none loses its own to
/// another.
const OWN: usize = 10;
/// How many of the others are named.
const NAMED: usize = 10;
/// How many of what is made good one tick records.
const AT_ONCE: usize = 1_000;
/// The subject of the alert about the others.
const OTHERS: &str = "other SKUs";
/// The same about bundles that were shipped while they had no recipe.
const OTHER_BUNDLES: &str = "other bundles";

impl Draft<'_> {
    /// Records which SKUs are not oversold any more.
    pub(super) fn note_made_good(&mut self) {
        let over: Vec<Sku> = self.state.index.short.made_good().take(AT_ONCE).cloned().collect();
        for sku in over {
            self.emit(Record::MadeGood { sku });
        }
    }
}

/// Returns the alerts about oversells.
pub(super) fn conditions(state: &State) -> BTreeMap<AlertKey, Condition> {
    let short = &state.index.short;
    let own = short.told().take(OWN).filter_map(|sku| {
        let (last, missing) = (state.oversold.get(sku)?, short.missing(sku).units());
        let waiting = grown(usize::try_from(missing).unwrap_or(usize::MAX));
        Some((sku.to_string(), Condition { waiting, ..text(state, sku, last, missing).into() }))
    });
    let others = short.told().len().saturating_sub(OWN);
    let rest = (others > 0).then(|| {
        let names = short.told().rev().take(others.min(NAMED)).map(Sku::as_str);
        let text = format!(
            "{others} more {} oversold, of late {}; see `evenkeel explain SKU` of each",
            which(others, "SKU is", "SKUs are"),
            names.collect::<Vec<_>>().join(", ")
        );
        (OTHERS.to_owned(), Condition { waiting: grown(others), ..text.into() })
    });
    let key = |subject| AlertKey { kind: AlertKind::Oversold, subject };
    own.chain(rest).chain(shipped(state)).map(|(subject, condition)| (key(subject), condition)).collect()
}

/// Returns what is told of bundles that were shipped while they had no recipe, and were never ours to show: nobody oversold them.
fn shipped(state: &State) -> Vec<(String, Condition)> {
    let told: BTreeSet<&Sku> = state.index.short.told().map(|sku| state.canonical(sku)).collect();
    let bundles = state.index.recipes.all().map(|(sku, _)| sku).filter(|sku| !told.contains(sku));
    let mut all = bundles.filter_map(|sku| Some((sku, shipped_as_own(state, sku)?)));
    let see = |text, sku| format!("{text}; see `evenkeel explain {}`", shell(sku));
    let own = all.by_ref().take(OWN).map(|(sku, text)| (sku.to_string(), see(text, sku).into()));
    let mut own: Vec<(String, Condition)> = own.collect();
    let others: Vec<&Sku> = all.map(|(sku, _)| sku).collect();
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().take(NAMED).map(|sku| sku.as_str()).collect();
        let text = format!(
            "units of {} more {} were shipped while {} no recipe, among them {}; see `evenkeel explain SKU` of each",
            others.len(),
            which(others.len(), "bundle", "bundles"),
            which(others.len(), "it had", "they had"),
            names.join(", ")
        );
        own.push((OTHER_BUNDLES.to_owned(), Condition { waiting: grown(others.len()), ..text.into() }));
    }
    own
}

/// Returns a count that grows only when what is counted has doubled, so that people are not told of each unit.
pub(super) fn grown(count: usize) -> usize {
    count.checked_ilog2().map_or(0, |log| 1 << log)
}

fn text(state: &State, sku: &Sku, last: &Oversell, missing: i64) -> String {
    let (units, class) = (last.units, last.class);
    let by = match &last.cause {
        Cause::Order { order, .. } => format!("order {order}"),
        Cause::Count { counter, .. } => format!("a count by {counter}"),
        Cause::Edit { channel, .. } => format!("an edit on {channel}"),
        Cause::Operator { note } => format!("a person: {note}"),
        Cause::Merged { from, .. } => format!("the merge of {from}"),
        Cause::Intent { intent, .. } => format!("transfer {intent}"),
    };
    let sku_now = state.canonical(sku);
    if let Some(shipped) = shipped_as_own(state, sku_now) {
        return format!("{shipped}; see `evenkeel explain {}`", shell(sku));
    }
    if state.skus.get(sku_now).is_some_and(SkuRow::never_counted) {
        return format!(
            "{missing} {} sold of what was never counted, of late {units} by {by}; say what it is made of (`evenkeel bundles import`), or \
             count it: see `evenkeel explain {}`",
            which(missing, "unit is", "units are"),
            shell(sku)
        );
    }
    format!(
        "{missing} {} sold that {} not there, of late {units} by {by}, class {}: {}; see `evenkeel explain {}`",
        which(missing, "unit is", "units are"),
        which(missing, "is", "are"),
        class.name(),
        class.meaning(last.beyond),
        shell(sku)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_told_again_when_it_has_doubled() {
        let got = [0, 1, 2, 3, 4, 7, 8, 1_000].map(grown);
        assert_eq!(got, [0, 1, 2, 2, 4, 4, 8, 512]);
    }
}
