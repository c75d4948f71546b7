//! The mapping table besides the configuration: what was imported into the store, asked of the daemon or read without it.

use std::path::Path;

use serde::Serialize;

use crate::{
    cli::{Failure, Global, client::Client, map, store::judge_reading},
    core::{Record, State, apply},
    engine::disk,
    model::{Seq, counted, policy::MappingRow},
    store,
    telemetry::causes,
};

/// Where the rows come from that were taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    Daemon,
    Store,
    /// There is no store yet.
    Nothing,
    /// It could not be read.
    Unknown,
}

/// What is known of the rows that were imported.
#[derive(Debug, Serialize)]
pub(super) struct Imported {
    imported: usize,
    from: Source,
    /// Why they are not known.
    problem: Option<String>,
}

impl Imported {
    /// Says in a sentence what was used.
    pub(super) fn told(&self) -> String {
        let rows = counted(self.imported, "row");
        match (self.from, &self.problem) {
            (Source::Daemon, _) => format!("of the mapping table {rows} of the running daemon were used"),
            (Source::Store, _) => format!("of the mapping table {rows} of the store were used"),
            (Source::Nothing, _) => {
                "there is no store yet, so of the mapping table only rows of the configuration were used"
                    .to_owned()
            }
            (Source::Unknown, why) => format!(
                "of the mapping table only rows of the configuration were used: {}",
                why.as_deref().unwrap_or("the store cannot be read")
            ),
        }
    }
}

/// Returns the rows of the mapping table that were imported, and where they are known from.
pub(super) fn imported(global: &Global, path: &Path) -> (Vec<MappingRow>, Imported) {
    let found = match asked(global) {
        Ok(rows) => Ok((rows, Source::Daemon)),
        // Where none answers, nobody changes the store; where one does not let us ask, its journal may be read all the same.
        Err(unanswered) => match store::find(path) {
            Ok(()) => {
                read(path).map(|rows| (rows, Source::Store)).map_err(|why| format!("{why}; {unanswered}"))
            }
            Err(store::Absent::Nothing { .. }) => Ok((Vec::new(), Source::Nothing)),
            Err(absent) => Err(causes(&absent)),
        },
    };
    match found {
        Ok((rows, from)) => {
            let imported = rows.len();
            (rows, Imported { imported, from, problem: None })
        }
        Err(why) => (Vec::new(), Imported { imported: 0, from: Source::Unknown, problem: Some(why) }),
    }
}

fn asked(global: &Global) -> Result<Vec<MappingRow>, Failure> {
    map::imported(&Client::new(global)?)
}

/// Reads a store's table without opening the store: nothing of it is changed, and a daemon may have it.
fn read(path: &Path) -> Result<Vec<MappingRow>, String> {
    let mut table = State::default();
    let (mut begun, mut wrong) = (false, None);
    let report = store::verify_journal(path, None, &mut |record| {
        if !std::mem::replace(&mut begun, true) && record.seq > 1 {
            match disk::base(path, record.seq) {
                Ok(Some((head, base))) => (table.table, table.seq) = (base.table, Seq(head.seq)),
                Ok(None) => wrong = Some("no checkpoint holds what came before its journal".to_owned()),
                Err(error) => wrong = Some(causes(&error)),
            }
        }
        if record.seq <= table.seq.0 {
            return;
        }
        match disk::decode(record.seq, &record.payload) {
            Ok(envelope) => {
                let of_table = |record: &&Record| {
                    matches!(record, Record::Mapped { .. } | Record::MappingRemoved { .. })
                };
                for of in envelope.records.iter().filter(of_table) {
                    apply::one(&mut table, Seq(record.seq), envelope.at, of);
                }
            }
            Err(error) => {
                let (_, next) = judge_reading(&error);
                wrong.get_or_insert(format!("{}: {next}", causes(&error)));
            }
        }
    });
    let told = |why: String| format!("the store `{}` could not be read: {why}", path.display());
    match (report, wrong) {
        (Ok(_), None) => Ok(table.table),
        (Err(error), _) => Err(told(causes(&error))),
        (Ok(_), Some(why)) => Err(told(why)),
    }
}
