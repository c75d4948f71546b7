//! `evenkeel verify` and `evenkeel rebuild`: the store, offline.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{Failure, Global, client::load, failure::Kind, print},
    clock::{Clock, SystemClock},
    core::{
        State, apply,
        ledger::{Entry, Stock, book},
    },
    engine::disk,
    model::{LocationId, Seq, Sku},
    store,
};

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The store's directory, if it is not the one that the configuration names.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Rebuild {
    /// The store's directory, if it is not the one that the configuration names.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

#[derive(Debug, Default, Serialize)]
struct Verified {
    store: PathBuf,
    /// Journal records, each one command's.
    records: u64,
    entries: u64,
    skus: usize,
    orders: usize,
    /// The last record and the hash of the chain there. Kept elsewhere, they prove later that nothing was cut off.
    seq: u64,
    head: String,
    /// Bytes at the end that were never acknowledged.
    unfinished: Option<String>,
}

pub(super) fn path(global: &Global, given: Option<&PathBuf>) -> Result<PathBuf, Failure> {
    match given {
        Some(path) => Ok(path.clone()),
        None => Ok(load(global)?.store.path),
    }
}

/// Balances as the entries alone add up to.
#[derive(Default)]
struct Fold {
    stock: BTreeMap<(Sku, LocationId), Stock>,
    entries: u64,
    wrong: Option<String>,
}

impl Fold {
    fn add(&mut self, seq: u64, entry: &Entry) {
        self.entries += 1;
        let held = self.stock.entry((entry.sku.clone(), entry.location.clone())).or_default();
        let after = book(*held, entry.kind, entry.quantity);
        if after != Ok(entry.after) && self.wrong.is_none() {
            let told = format!(
                "record {seq}: the balances after an entry of SKU `{}` do not follow from the entry and what was before",
                entry.sku
            );
            self.wrong = Some(told);
        }
        *held = entry.after;
    }
}

pub(super) fn verify(global: &Global, verify: &Verify) -> Result<(), Failure> {
    let path = path(global, verify.store.as_ref())?;
    let mut state = State::default();
    let mut fold = Fold::default();
    let mut unreadable = None;
    let report =
        store::verify_journal(&path, &mut |record| match disk::decode(record.seq, &record.payload) {
            Ok(envelope) => {
                for of in &envelope.records {
                    of.entries().iter().for_each(|entry| fold.add(record.seq, entry));
                }
                apply(&mut state, Seq(record.seq), &envelope);
            }
            Err(error) => drop(unreadable.get_or_insert(error.to_string())),
        });
    let disagrees = |error: String| {
        Failure::new(Kind::Disagrees, error)
            .next("keep the directory as it is, and restore from a backup; see docs/OPERATIONS.md")
            .as_json(global.json)
    };
    let report = report.map_err(|error| disagrees(format!("{:#}", anyhow::Error::from(error))))?;
    if let Some(wrong) = unreadable.or(fold.wrong) {
        return Err(disagrees(wrong));
    }
    for (sku, row) in &state.skus {
        for place in &row.stock {
            let key = (sku.clone(), place.location.clone());
            if fold.stock.get(&key).copied().unwrap_or_default() != place.stock {
                return Err(disagrees(format!(
                    "the balance of SKU `{sku}` is not what its entries add up to"
                )));
            }
        }
    }
    let verified = Verified {
        store: path,
        records: report.records,
        entries: fold.entries,
        skus: state.skus.len(),
        orders: state.orders.len(),
        seq: report.head.seq,
        head: report.head.hash.to_string(),
        unfinished: report.tail.map(|tail| tail.to_string()),
    };
    print::answer(global.json, &verified, |v| {
        print::line(&format!(
            "good: {} records, {} entries, {} SKUs, {} orders; head {} {}",
            v.records, v.entries, v.skus, v.orders, v.seq, v.head
        ));
        if let Some(tail) = &v.unfinished {
            print::line(&format!("an unfinished end that nobody was promised: {tail}"));
        }
    })
}

#[derive(Serialize)]
struct Rebuilt {
    store: PathBuf,
    seq: u64,
    skus: usize,
    orders: usize,
}

pub(super) fn rebuild(global: &Global, rebuild: &Rebuild) -> Result<(), Failure> {
    let path = path(global, rebuild.store.as_ref())?;
    let options = store::Options { force_rebuild: true, ..store::Options::default() };
    let (state, store) = disk::open(&path, options, SystemClock.now()).map_err(|error| {
        Failure::new(Kind::Failed, format!("{:#}", anyhow::Error::from(error)))
            .next("stop the daemon first; if the journal is damaged, run `evenkeel verify`")
            .as_json(global.json)
    })?;
    let rebuilt =
        Rebuilt { seq: state.seq.0, skus: state.skus.len(), orders: state.orders.len(), store: path };
    crate::engine::ledger::Durable::close(Box::new(store))
        .map_err(|error| Failure::new(Kind::Failed, error))?;
    print::answer(global.json, &rebuilt, |r| {
        print::line(&format!("rebuilt up to record {}: {} SKUs, {} orders", r.seq, r.skus, r.orders));
    })
}
