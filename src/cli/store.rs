//! `evenkeel verify` and `evenkeel rebuild`: the store, offline.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{Failure, Global, client::load, failure::Kind, print},
    clock::{Clock, SystemClock},
    core::{
        State, apply,
        ledger::{Entry, Stock, book},
    },
    engine::{disk, rows},
    model::{LocationId, Seq, Sku, counted},
    store::{self, Head, checkpoint::Skipped, disk::Fault},
    telemetry::causes,
};

#[derive(Debug, Args)]
pub(super) struct Verify {
    /// The store's directory, if it is not the one that the configuration names.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// The archive's directory, if it is not the one that the configuration names, or `archive` below the store's.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Prove the journal's own segments alone, without the archive: what the daemon needs.
    #[arg(long)]
    live: bool,
}

#[derive(Debug, Args)]
pub(super) struct Rebuild {
    /// The store's directory, if it is not the one that the configuration names.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// The archive's directory, if it is not the one that the configuration names, or `archive` below the store's.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
    /// Go on without acknowledged records that the journal has no more, for good.
    #[arg(long)]
    give_up_records: bool,
}

#[derive(Debug, Args)]
pub(super) struct BuildState {
    /// The store's directory.
    store: PathBuf,
    /// The record of the checkpoint to build from.
    seq: u64,
}

/// Builds a fresh state out of a checkpoint. The daemon that runs this holds the store's lock, and does the rest.
pub(super) fn build_state(global: &Global, build: &BuildState) -> Result<(), Failure> {
    disk::build_fresh(&build.store, build.seq).map_err(|error| {
        Failure::of(Kind::Failed, &error)
            .next("the daemon runs this for itself; to build the state by hand, stop it and run `evenkeel rebuild`")
            .as_json(global.json)
    })
}

#[derive(Debug, Default, Serialize)]
struct Verified {
    store: PathBuf,
    /// Journal records, each one command's.
    records: u64,
    entries: u64,
    skus: usize,
    orders: usize,
    /// The first record that was proven: more than 1 if older ones are kept elsewhere, or were given up.
    first_seq: u64,
    /// The first record that is not in the archive, and how many segments are.
    live_seq: u64,
    archived: usize,
    /// How many checkpoints are whole, and those that are not: a start passes them over.
    checkpoints: usize,
    checkpoints_unused: Vec<String>,
    /// The record that the state reflects, if a start would go on with it; and why it was not looked into, if it was not.
    state_seq: Option<u64>,
    state_unread: Option<String>,
    /// The record from which on the balances were proven; those of before are a checkpoint's.
    balances_from: u64,
    /// The last record and the hash of the chain there. Kept elsewhere, they prove later that nothing was cut off.
    seq: u64,
    head: String,
    /// Bytes at the end that were never acknowledged.
    unfinished: Option<String>,
}

/// Returns the store's directory and its archive's: those given, else those of the configuration.
pub(super) fn places(
    global: &Global,
    store: Option<&PathBuf>,
    archive: Option<&PathBuf>,
) -> Result<(PathBuf, PathBuf), Failure> {
    let (path, beside) = match store {
        Some(path) => (path.clone(), store::archive_of(path)),
        None => {
            let config = load(global)?.store;
            (config.path, config.archive)
        }
    };
    store::find(&path).map_err(|absent| {
        let (kind, next) = match &absent {
            store::Absent::Nothing { .. } if store.is_some() => {
                (Kind::NotFound, "name the store's directory with --store".to_owned())
            }
            store::Absent::Nothing { .. } => {
                let file = global.config.display();
                (
                    Kind::NotFound,
                    format!("correct `store.path` in `{file}`, or name the directory with --store"),
                )
            }
            store::Absent::Disk(_) => (Kind::Failed, WHO.to_owned()),
        };
        Failure::of(kind, &absent).next(next).as_json(global.json)
    })?;
    match archive {
        Some(archive) if !archive.is_dir() => {
            let wrong = format!("there is no archive in `{}`: there is no such directory", archive.display());
            Err(Failure::new(Kind::NotFound, wrong)
                .next("name the archive's directory with --archive, or leave it out")
                .as_json(global.json))
        }
        _ => Ok((path, archive.cloned().unwrap_or(beside))),
    }
}

/// Who may use a store's directory.
const WHO: &str = "run this as root or as the service's user (`sudo -u evenkeel evenkeel …`), and see that the disk is well";

/// Returns the kind of a journal's failure, and what helps: what does not add up is one thing, what cannot be read another.
pub(super) fn judge(error: &store::journal::Error) -> (Kind, &'static str) {
    use store::journal::Error;
    match error {
        Error::Disk(_) | Error::NoRoom(_) | Error::Poisoned(_) => (Kind::Failed, WHO),
        Error::Empty { .. } => (
            Kind::NotFound,
            "name another directory with --store, or restore the journal from a backup: see docs/OPERATIONS.md#damage",
        ),
        Error::Version { .. } => (Kind::Failed, "use the release that wrote it, or a newer one"),
        Error::Damaged { .. }
        | Error::Gap { .. }
        | Error::Short { .. }
        | Error::PayloadTooLarge { .. }
        | Error::GroupTooLarge { .. } => (Kind::Disagrees, DAMAGE),
    }
}

/// Tells whether a store cannot be opened because a process has it, mostly the daemon.
pub(super) fn in_use(error: &disk::Error) -> bool {
    matches!(error, disk::Error::Store(store::Error::Lock(store::lock::Error::Held { .. })))
}

/// Tells whether a store cannot be opened because its journal lacks records that were acknowledged.
fn lost_records(error: &disk::Error) -> bool {
    matches!(error, disk::Error::Store(store::Error::Ahead { .. } | store::Error::NoJournal { .. }))
}

const DAMAGE: &str = "keep the directory as it is, and see docs/OPERATIONS.md#damage; `evenkeel verify --live` proves \
                      what the daemon needs";

/// Returns the kind of a failure to read what the journal or a checkpoint holds, and what helps.
pub(super) fn judge_reading(error: &disk::Error) -> (Kind, &'static str) {
    match error {
        disk::Error::Journal(error) | disk::Error::Store(store::Error::Journal(error)) => judge(error),
        disk::Error::Version { .. } => (Kind::Failed, "use the release that wrote it, or a newer one"),
        disk::Error::Store(store::Error::Disk(_) | store::Error::Lock(_))
        | disk::Error::Store(store::Error::Checkpoint(store::checkpoint::Error::Disk(_)))
        | disk::Error::Marker { .. } => (Kind::Failed, WHO),
        disk::Error::Store(_) | disk::Error::State(_) | disk::Error::Rows(_) | disk::Error::Record { .. } => {
            (Kind::Disagrees, DAMAGE)
        }
    }
}

/// Balances as the entries alone add up to.
#[derive(Default)]
struct Fold {
    stock: BTreeMap<(Sku, LocationId), Stock>,
    entries: u64,
    /// Where the balances begin, if not with the first record of all.
    base: Option<Head>,
    wrong: Option<Wrong>,
}

/// What is wrong with a journal, and what helps.
struct Wrong {
    kind: Kind,
    error: String,
    next: &'static str,
}

impl Wrong {
    fn disagrees(error: String) -> Wrong {
        Wrong { kind: Kind::Disagrees, error, next: DAMAGE }
    }

    fn unread(error: &disk::Error) -> Wrong {
        let (kind, next) = judge_reading(error);
        Wrong { kind, error: causes(error), next }
    }

    fn told(self, global: &Global) -> Failure {
        Failure::new(self.kind, self.error).next(self.next).as_json(global.json)
    }
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
            self.wrong = Some(Wrong::disagrees(told));
        }
        *held = entry.after;
    }
}

/// Prepares proving the balances of a journal whose first record is `first_seq`. One that does not reach back to the
/// first record of all goes on from what a checkpoint holds. Returns the record from which on balances are proven.
fn begin(path: &Path, first_seq: u64, state: &mut State, fold: &mut Fold) -> u64 {
    if first_seq == 1 {
        return 1;
    }
    match disk::base(path, first_seq) {
        Ok(Some((head, base))) => {
            for (sku, row) in &base.skus {
                for place in &row.stock {
                    fold.stock.insert((sku.clone(), place.location.clone()), place.stock);
                }
            }
            (*state, fold.base) = (base, Some(head));
            return head.seq + 1;
        }
        Ok(None) => {
            let why =
                format!("the journal begins at record {first_seq} and no checkpoint holds what came before");
            fold.wrong = Some(Wrong::disagrees(why));
        }
        Err(error) => fold.wrong = Some(Wrong::unread(&error)),
    }
    first_seq
}

/// What was made from the journal: no later record is missing from it than these reflect.
struct Made {
    checkpoints: Vec<Result<Head, Skipped>>,
    state: Result<Option<u64>, store::Error>,
}

impl Made {
    /// Reads it. Before the journal is read, as a daemon that runs on the store goes on meanwhile.
    fn of(path: &Path) -> Result<Made, Fault> {
        let options = store::state::Options { rows_version: rows::ROWS_VERSION, ..Default::default() };
        Ok(Made {
            checkpoints: store::survey_checkpoints(path, rows::ROWS_VERSION)?,
            state: store::state_position(path, options),
        })
    }

    /// Returns how a journal that ends at `last` has lost records, if these show it.
    fn ahead(&self, last: u64) -> Option<store::Error> {
        let newest = self.checkpoints.iter().flatten().map(|head| head.seq).max();
        let state = self.state.as_ref().ok().copied().flatten();
        let found = [("the state", state), ("the newest checkpoint", newest)];
        let (what, seq) =
            found.into_iter().filter_map(|(what, seq)| Some((what, seq?))).max_by_key(|(_, seq)| *seq)?;
        (seq > last).then_some(store::Error::Ahead { what, seq, last })
    }

    /// Says what there is.
    fn tell(self, verified: &mut Verified) {
        verified.checkpoints = self.checkpoints.iter().flatten().count();
        let unused = self.checkpoints.iter().filter_map(|found| Some(found.as_ref().err()?.to_string()));
        verified.checkpoints_unused = unused.collect();
        match self.state {
            Ok(seq) => verified.state_seq = seq,
            Err(why) => verified.state_unread = Some(causes(&why)),
        }
    }
}

pub(super) fn verify(global: &Global, verify: &Verify) -> Result<(), Failure> {
    let (path, archive) = places(global, verify.store.as_ref(), verify.archive.as_ref())?;
    let made =
        Made::of(&path).map_err(|fault| Failure::of(Kind::Failed, &fault).next(WHO).as_json(global.json))?;
    let archive = (!verify.live).then_some(archive);
    let mut state = State::default();
    let mut fold = Fold::default();
    let mut unreadable = None;
    let mut from = None;
    let report = store::verify_journal(&path, archive.as_deref(), &mut |record| {
        from.get_or_insert_with(|| begin(&path, record.seq, &mut state, &mut fold));
        if fold.base.is_some_and(|base| base.seq == record.seq && base.hash != record.hash) {
            let why = format!("the checkpoint at record {} is of another journal", record.seq);
            fold.wrong = Some(Wrong::disagrees(why));
        }
        if record.seq <= state.seq.0 {
            return;
        }
        match disk::decode(record.seq, &record.payload) {
            Ok(envelope) => {
                for of in &envelope.records {
                    of.entries().iter().for_each(|entry| fold.add(record.seq, entry));
                }
                apply(&mut state, Seq(record.seq), &envelope);
            }
            Err(error) => drop(unreadable.get_or_insert(Wrong::unread(&error))),
        }
    });
    let report = report.map_err(|error| {
        let (kind, next) = judge(&error);
        Failure::of(kind, &error).next(next).as_json(global.json)
    })?;
    let ahead = made.ahead(report.head.seq).map(|ahead| Wrong::disagrees(causes(&ahead)));
    if let Some(wrong) = unreadable.or(fold.wrong).or(ahead) {
        return Err(wrong.told(global));
    }
    for (sku, row) in &state.skus {
        for place in &row.stock {
            let key = (sku.clone(), place.location.clone());
            if fold.stock.get(&key).copied().unwrap_or_default() != place.stock {
                let why = format!("the balance of SKU `{sku}` is not what its entries add up to");
                return Err(Wrong::disagrees(why).told(global));
            }
        }
    }
    let mut verified = Verified {
        store: path,
        records: report.records,
        first_seq: report.first_seq,
        live_seq: report.live_seq,
        archived: report.archived,
        balances_from: from.unwrap_or(report.first_seq),
        entries: fold.entries,
        skus: state.skus.len(),
        orders: state.orders_known(),
        seq: report.head.seq,
        head: report.head.hash.to_string(),
        unfinished: report.tail.map(|tail| tail.to_string()),
        ..Verified::default()
    };
    made.tell(&mut verified);
    print::answer(global.json, &verified, tell)
}

fn tell(v: &Verified) {
    print::line(&format!(
        "good: {}, {}, {}, {}; head {} {}",
        counted(v.records, "record"),
        counted(v.entries, "entry"),
        counted(v.skus, "SKU"),
        counted(v.orders, "order"),
        v.seq,
        v.head
    ));
    if v.archived > 0 {
        print::line(&format!(
            "records {} to {} are in {}, those from {} on in the journal",
            v.first_seq,
            v.live_seq - 1,
            counted(v.archived, "archived segment"),
            v.live_seq
        ));
    }
    if v.first_seq > 1 {
        print::line(&format!(
            "not proven: records 1 to {}, which are not here; the balances are proven from record {} on",
            v.first_seq - 1,
            v.balances_from
        ));
    }
    print::line(&match (v.checkpoints, v.state_seq) {
        (0, None) => "no checkpoint is whole, and no state fits: a start reads all of the journal".to_owned(),
        (whole, None) => {
            format!("{} whole; the state is built anew by the next start", counted(whole, "checkpoint"))
        }
        (whole, Some(seq)) => {
            format!("{} whole; the state reflects record {seq}", counted(whole, "checkpoint"))
        }
    });
    if let Some(why) = &v.state_unread {
        print::line(&format!("not compared with the state: {why}"));
    }
    for unused in &v.checkpoints_unused {
        print::line(&format!("{unused}; `evenkeel checkpoint` writes another"));
    }
    if let Some(tail) = &v.unfinished {
        print::line(&format!("an unfinished end that nobody was promised: {tail}"));
    }
}

#[derive(Serialize)]
struct Rebuilt {
    store: PathBuf,
    seq: u64,
    skus: usize,
    orders: usize,
    /// How many acknowledged records were given up.
    given_up: u64,
}

pub(super) fn rebuild(global: &Global, rebuild: &Rebuild) -> Result<(), Failure> {
    let (path, archive) = places(global, rebuild.store.as_ref(), rebuild.archive.as_ref())?;
    let options = store::Options {
        force_rebuild: true,
        give_up: rebuild.give_up_records,
        archive: Some(archive),
        ..store::Options::default()
    };
    let (state, store) = disk::open(&path, options, SystemClock.now()).map_err(|error| {
        let (kind, next) = if in_use(&error) {
            (Kind::Refused, "stop the daemon first (`systemctl stop evenkeel`)")
        } else if lost_records(&error) {
            (
                Kind::Disagrees,
                "keep the directory as it is, and see docs/OPERATIONS.md#restore; what becomes of records that are given \
                 up stands in docs/OPERATIONS.md#rebuild",
            )
        } else {
            (Kind::Failed, "if the journal is damaged, run `evenkeel verify`")
        };
        Failure::of(kind, &error).next(next).as_json(global.json)
    })?;
    let given_up = store.notes().iter().filter_map(|note| {
        let store::Note::GivenUp { first, last } = note else { return None };
        Some(last - first + 1)
    });
    let rebuilt = Rebuilt {
        seq: state.seq.0,
        skus: state.skus.len(),
        orders: state.orders_known(),
        given_up: given_up.sum(),
        store: path,
    };
    crate::engine::ledger::Durable::close(Box::new(store))
        .map_err(|error| Failure::of(Kind::Failed, &error).next(WHO).as_json(global.json))?;
    print::answer(global.json, &rebuilt, |r| {
        print::line(&format!(
            "rebuilt up to record {}: {}, {}",
            r.seq,
            counted(r.skus, "SKU"),
            counted(r.orders, "order")
        ));
        if r.given_up > 0 {
            print::line(&format!("{} given up for good", counted(r.given_up, "acknowledged record")));
        }
    })
}
