//! Snapshots of large accounts, by Amazon's report of all listings: one for each marketplace.
//!
//! Nobody can tell when a row of a report was so: Amazon makes a report at some moment after it was asked for, and hands out
//! one of up to six hours ago for another. So its rows are [`reported`](CataloguePage::reported): they bind what is new, and
//! tell what is to be read again, by [`Amazon::look`]; no quantity of a report is taken for what is shown.
//!
//! A report that is under way is waited for, and not asked for twice: Amazon itself is asked which there are, so a process
//! that died in between leaves none behind. Where no report can be had, or its header is not understood, the catalogue is
//! read page by page instead, and people are told why.
//! <https://developer-docs.amazon.com/sp-api/docs/report-type-values-inventory>

mod file;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use self::{
    file::{File, Line},
    table::{Row, Table},
};
use super::{
    Amazon,
    decode::{self, Listing, Unread},
    encode::{self, ALL_LISTINGS, PAGE_MAX},
    listings::Reading,
    passing,
};
use crate::{
    clock::Clock,
    connectors::{CatalogueItem, CataloguePage, Cursor, Fault, http},
    model::{FulfilledBy, IdKind, Identifiers, Timestamp},
};

#[cfg(test)]
mod tests;

/// How many rows one page brings at most.
const ROWS_MAX: usize = 5_000;
/// How long it is waited before a report is asked for again: at first, and at most.
const POLL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How long a report is waited for before the catalogue is read page by page instead. It stays the one that is waited for.
const WAIT_MAX: Duration = Duration::from_secs(2 * 3600);
/// From how long ago a report that is under way is believed to end, and how long ago one may have been done to be read.
const PENDING_MS: i64 = 24 * 3_600_000;
const DONE_MS: i64 = 30 * 60_000;
/// How often in a row reports may fail in passing to be asked for before it is done without.
const ASK_TRIES: u32 = 3;
/// How many rows that are not understood are named in the log; all are counted.
const NAMED_MAX: u64 = 20;
/// How many snapshots are kept that nobody reads at the moment.
const RUNS_MAX: usize = 4;
/// How many pages the listings of twenty products may have.
const SPOILT_PAGES_MAX: usize = 10;

/// What is known of the account's reports.
#[derive(Debug, Default)]
pub(super) struct Reports {
    /// The snapshots that are being read, but for those of which a step is being made, the one that was read last at the end.
    /// What is lost here is begun anew.
    kept: Mutex<VecDeque<Run>>,
    runs: AtomicU64,
    failed: AtomicU32,
    /// When the latest report of a marketplace was made that has been read.
    read: Mutex<BTreeMap<String, Timestamp>>,
    /// What is wrong with them, as far as the last snapshot tells. `None`: there was none since the start.
    verdict: Mutex<Option<Verdict>>,
}

/// What came of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Why it was not read from reports, or not whole. It holds nothing that differs from one report to the next, so that
    /// people are told once.
    Wrong(String),
}

/// Where a snapshot goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum At {
    Report {
        report: Step,
    },
    /// A cursor of the catalogue's pages.
    Pages {
        pages: Option<String>,
    },
}

/// A step of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Step {
    run: u64,
    step: u64,
}

/// A snapshot that is being read.
#[derive(Debug)]
struct Run {
    at: Step,
    /// The reports that are not read yet. The first is waited for, or read.
    asked: VecDeque<Asked>,
    stage: Stage,
    /// Products of which a row's code lost characters: they are read before the report goes on.
    spoilt: BTreeSet<String>,
    /// What is wrong with the reports that were read.
    wrong: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Asked {
    id: String,
    marketplace: String,
}

#[derive(Debug)]
enum Stage {
    Wait { polls: u32, since: Instant },
    Read(Box<Document>),
}

/// The document of a report, and how far it was read.
#[derive(Debug)]
struct Document {
    file: File,
    table: Option<Table>,
    made_at: Timestamp,
    rows: u64,
    unread: u64,
    /// The first row that was not understood, and why.
    first: Option<String>,
}

/// What is told of a report.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    report_id: String,
    report_type: String,
    created_time: jiff::Timestamp,
    processing_status: String,
    processing_end_time: Option<jiff::Timestamp>,
    report_document_id: Option<String>,
    marketplace_ids: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
struct ToldAll {
    reports: Vec<Told>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Created {
    report_id: String,
}

/// Reads the answer to an operation about reports.
#[cfg(test)]
pub(super) fn readable(operation: &str, body: &[u8]) -> Result<(), String> {
    match operation {
        "getReports" => http::json::<ToldAll>(body).map(drop),
        "createReport" => http::json::<Created>(body).map(drop),
        "getReport" => http::json::<Told>(body).map(drop),
        "getReportDocument" => http::json::<super::documents::Told>(body).map(drop),
        other => Err(format!("`{other}` is not about reports")),
    }
}

/// What a step came to.
enum Done {
    /// There is more to be done.
    More(CataloguePage),
    Whole,
    /// It cannot be gone on with, for this reason.
    GivenUp(String),
}

impl At {
    fn cursor(&self) -> Result<Cursor, Fault> {
        serde_json::to_string(self).map(Cursor).map_err(|e| Fault::Malformed(e.to_string()))
    }
}

impl Reports {
    /// Returns what a person should know of them.
    pub(super) fn wrong(&self) -> Option<String> {
        match &*self.verdict.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Verdict::Wrong(why)) => Some(why.clone()),
            Some(Verdict::Good) | None => None,
        }
    }

    /// Tells whether no snapshot was read since the start, so that what was told before stands.
    pub(super) fn is_unsure(&self) -> bool {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    fn note(&self, wrong: Option<String>) {
        let verdict = wrong.map_or(Verdict::Good, Verdict::Wrong);
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
    }

    /// Keeps a snapshot to be gone on with. Of too many, the one that was left longest ago is dropped.
    fn keep(&self, run: Run) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(run);
        if kept.len() > RUNS_MAX {
            kept.pop_front();
        }
    }

    /// Takes out the snapshot that goes on with this step.
    fn take(&self, step: Step) -> Option<Run> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|run| run.at == step)?;
        kept.remove(at)
    }

    /// Notes that a report of a marketplace was read that was made at that time.
    fn was_read(&self, marketplace: String, made_at: Timestamp) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let latest = read.entry(marketplace).or_insert(made_at);
        *latest = made_at.max(*latest);
    }

    /// Has the catalogue read page by page.
    fn give_up(&self, why: String) -> Result<CataloguePage, Fault> {
        warn!(%why, "the catalogue is read page by page, and not from a report");
        self.note(Some(why));
        let next = Some(At::Pages { pages: None }.cursor()?);
        Ok(CataloguePage { next, ..CataloguePage::default() })
    }
}

impl Amazon {
    /// Reads one page of a snapshot: of pages, or of reports where there are more listings than `report_above`.
    pub(super) async fn snapshot_page(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        let Some(Cursor(text)) = after else { return self.begin().await };
        let at = serde_json::from_str(text).map_err(|e| Fault::Refused(format!("not a cursor: {e}")))?;
        match at {
            At::Pages { pages } => paged(self.catalogue_page(pages.map(Cursor).as_ref()).await?),
            At::Report { report } => self.go_on(report).await,
        }
    }

    /// Reads the first page, which tells how many listings there are.
    async fn begin(&self) -> Result<CataloguePage, Fault> {
        let (page, total) = self.listed(None).await?;
        if total <= self.options.report_above {
            self.reports.note(None);
            return paged(page);
        }
        let asked = match self.ask().await {
            Ok(asked) => asked,
            Err(fault)
                if passing(&fault) && self.reports.failed.fetch_add(1, Ordering::Relaxed) < ASK_TRIES =>
            {
                return Err(fault);
            }
            Err(fault) => {
                self.reports.failed.store(0, Ordering::Relaxed);
                warn!(%fault, "Amazon gives no reports");
                self.reports.give_up(format!("Amazon gives no reports: {}", steady(&fault)))?;
                return paged(page);
            }
        };
        self.reports.failed.store(0, Ordering::Relaxed);
        info!(listings = total, reports = ?asked, "the catalogue is read from reports");
        let at = Step { run: self.reports.runs.fetch_add(1, Ordering::Relaxed) + 1, step: 0 };
        let stage = Stage::wait();
        self.reports.keep(Run { at, asked, stage, spoilt: BTreeSet::new(), wrong: None });
        Ok(CataloguePage { next: Some(At::Report { report: at }.cursor()?), ..page })
    }

    /// Returns a report for each marketplace: one that is there and was not read, or one that is asked for.
    async fn ask(&self) -> Result<VecDeque<Asked>, Fault> {
        let now = self.clock.now();
        let told = self.caller.read(&encode::reports(now.plus_millis(-PENDING_MS))).await?;
        let told: ToldAll = http::json(&told.body).map_err(Fault::Malformed)?;
        let mut asked = VecDeque::new();
        for marketplace in &self.options.marketplace_ids {
            let read = self.read_of(marketplace);
            let known = told.reports.iter().filter(|told| told.is_of(marketplace) && told.is_good(read, now));
            let id = match known.max_by_key(|told| told.created_time) {
                Some(told) => told.report_id.clone(),
                None => {
                    let answer = self.caller.read(&encode::create_report(marketplace)).await?;
                    http::json::<Created>(&answer.body).map_err(Fault::Malformed)?.report_id
                }
            };
            asked.push_back(Asked { id, marketplace: marketplace.clone() });
        }
        Ok(asked)
    }

    fn read_of(&self, marketplace: &str) -> Option<Timestamp> {
        let read = self.reports.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.get(marketplace).copied()
    }

    async fn go_on(&self, step: Step) -> Result<CataloguePage, Fault> {
        // What is dropped half-way is begun anew: its document may have been read further than was told.
        let Some(mut run) = self.reports.take(step) else {
            return Err(Fault::Refused("the report is not one that is being read here".to_owned()));
        };
        let done = match self.step(&mut run).await {
            Ok(done) => done,
            Err(fault) if passing(&fault) => {
                self.reports.keep(run);
                return Err(fault);
            }
            Err(fault) => Done::GivenUp(fault.to_string()),
        };
        match done {
            Done::More(page) => {
                run.at.step += 1;
                let next = Some(At::Report { report: run.at }.cursor()?);
                self.reports.keep(run);
                Ok(CataloguePage { next, ..page })
            }
            Done::Whole => {
                self.reports.note(run.wrong.take());
                Ok(CataloguePage::default())
            }
            Done::GivenUp(why) => {
                let asked = run.asked.front();
                warn!(report = asked.map(|asked| asked.id.as_str()), why, "a report is done without");
                let of = asked.map(|asked| format!("the report of `{}`: ", asked.marketplace));
                self.reports.give_up(of.unwrap_or_default() + &why)
            }
        }
    }

    async fn step(&self, run: &mut Run) -> Result<Done, Fault> {
        if !run.spoilt.is_empty() {
            return self.read_spoilt(run).await.map(Done::More);
        }
        let Some(asked) = run.asked.front().cloned() else { return Ok(Done::Whole) };
        match &mut run.stage {
            Stage::Wait { polls, since } => match self.wait(&asked, *polls, *since).await? {
                Waited::Yet => {
                    *polls = polls.saturating_add(1);
                    Ok(Done::More(CataloguePage::default()))
                }
                Waited::Done(document) => {
                    run.stage = Stage::Read(document);
                    Ok(Done::More(CataloguePage::default()))
                }
                Waited::Vain(why) => Ok(Done::GivenUp(why)),
            },
            Stage::Read(document) => {
                let (page, spoilt, ended) = self.read_rows(&asked, document).await?;
                run.spoilt.extend(spoilt);
                if ended {
                    let wrong = document.ended(&asked);
                    run.wrong = run.wrong.take().or(wrong);
                    self.reports.was_read(asked.marketplace, document.made_at);
                    run.asked.pop_front();
                    run.stage = Stage::wait();
                }
                Ok(Done::More(page))
            }
        }
    }

    /// Asks how far a report is, and waits a while if it is under way.
    async fn wait(&self, asked: &Asked, polls: u32, since: Instant) -> Result<Waited, Fault> {
        let request = encode::report(&asked.id).map_err(|e| Fault::Malformed(e.to_string()))?;
        let told: Told = http::json(&self.caller.read(&request).await?.body).map_err(Fault::Malformed)?;
        Ok(match (told.processing_status.as_str(), &told.report_document_id) {
            (status @ ("IN_QUEUE" | "IN_PROGRESS"), _) if since.elapsed() >= WAIT_MAX => {
                warn!(report = asked.id, status, since = %told.created_time, "a report does not get done");
                Waited::Vain(
                    "it does not get done within two hours: it is waited for again at the next comparison, for a day; if \
                     others stay so too, open a case with Amazon"
                        .to_owned(),
                )
            }
            ("IN_QUEUE" | "IN_PROGRESS", _) => {
                let (first, most) = POLL;
                sleep((first * polls.saturating_add(1)).min(most)).await;
                Waited::Yet
            }
            ("DONE", Some(id)) => {
                let file = File::new(id.clone(), asked.marketplace.clone());
                let made_at = Timestamp::from_millis(told.created_time.as_millisecond());
                Waited::Done(Box::new(Document { file, table: None, made_at, rows: 0, unread: 0, first: None }))
            }
            ("DONE", None) => Waited::Vain("it is done and has no document".to_owned()),
            ("CANCELLED", _) => Waited::Vain(
                "it was cancelled: by somebody, or by Amazon because there are no listings in that marketplace; see what the \
                 All Listings Report says in Seller Central (Inventory, Inventory Reports)"
                    .to_owned(),
            ),
            ("FATAL", document) => {
                let said = self.last_words(document.as_deref(), &asked.marketplace).await;
                Waited::Vain(format!(
                    "Amazon gave it up (FATAL){said}; see whether the All Listings Report works in Seller Central \
                     (Inventory, Inventory Reports), and if not, open a case with Amazon that names it, as the log does"
                ))
            }
            (status, _) => {
                let status = http::excerpt(status.as_bytes());
                Waited::Vain(format!("it has the status `{status}`, which is not known"))
            }
        })
    }

    /// Returns what Amazon says of a report that it gave up, if it does.
    async fn last_words(&self, document: Option<&str>, marketplace: &str) -> String {
        let Some(document) = document else { return String::new() };
        let mut file = File::new(document.to_owned(), marketplace.to_owned());
        match file.line(&self.caller).await {
            Ok(Some(Line::Whole(line))) => format!(": {}", http::excerpt(&line)),
            Ok(Some(Line::TooLong) | None) | Err(_) => String::new(),
        }
    }

    /// Reads rows. Returns them, the products of which a code lost characters, and whether these were the last.
    async fn read_rows(
        &self,
        asked: &Asked,
        document: &mut Document,
    ) -> Result<(CataloguePage, BTreeSet<String>, bool), Fault> {
        let (mut page, mut spoilt) = (CataloguePage::default(), BTreeSet::new());
        while page.reported.len() + spoilt.len() < ROWS_MAX {
            let line = match document.file.line(&self.caller).await {
                Ok(Some(line)) => line,
                Ok(None) if document.table.is_none() => {
                    return Err(Fault::Malformed("its document is empty".to_owned()));
                }
                Ok(None) => return Ok((page, spoilt, true)),
                // What was read is told; it goes on there.
                Err(fault) if passing(&fault) && !(page.reported.is_empty() && spoilt.is_empty()) => {
                    return Ok((page, spoilt, false));
                }
                Err(fault) => return Err(fault),
            };
            match document.take(&asked.id, line).map_err(Fault::Malformed)? {
                Some(Row::Item(item)) => {
                    if item.by != FulfilledBy::Merchant
                        && let Some(sku) = item.ids.get(IdKind::Sku)
                    {
                        self.guard.forbid(sku);
                    }
                    page.reported.push(item);
                }
                Some(Row::Spoilt(asin)) => drop(spoilt.insert(asin)),
                None => {}
            }
        }
        Ok((page, spoilt, false))
    }

    /// Reads the listings of some products, whose codes a report does not tell.
    async fn read_spoilt(&self, run: &mut Run) -> Result<CataloguePage, Fault> {
        let asins: Vec<String> = run.spoilt.iter().take(PAGE_MAX).cloned().collect();
        let mut page = CataloguePage::default();
        let mut token = None;
        for _ in 0..SPOILT_PAGES_MAX {
            let request = encode::search_asins(&self.options, &asins, token.as_deref());
            let answer = self.caller.read(&request).await?;
            let found = decode::page(&answer.body, &self.options.marketplace_ids)?;
            for listing in found.listings {
                match listing {
                    Ok(listing) => page.items.push(self.noted(listing)),
                    Err(unread) => page.unread.push(unread.row()),
                }
            }
            token = found.next;
            if token.is_none() {
                break;
            }
        }
        if token.is_some() {
            warn!(?asins, pages = SPOILT_PAGES_MAX, "products have more listings than are read of them");
            let wrong = "products whose listings have codes that lost characters in a report have more listings than are read \
                         of them, as the log names them: the others are not compared";
            run.wrong.get_or_insert_with(|| wrong.to_owned());
        }
        run.spoilt.retain(|asin| !asins.contains(asin));
        Ok(page)
    }

    /// Reads listings as of now.
    pub(super) async fn listings_of(&self, ids: &[Identifiers]) -> Result<CataloguePage, Fault> {
        let skus: BTreeSet<&str> = ids.iter().filter_map(|ids| ids.get(IdKind::Sku)).collect();
        let mut page = CataloguePage::default();
        for (sku, reading) in self.look(&skus).await? {
            match reading {
                Reading::Listing(listing) => page.items.push(listing.row()),
                // It was taken off since the report was made, which says nothing of what becomes of it.
                Reading::Absent => {}
                Reading::Unreadable(why) | Reading::Garbled(why) | Reading::Failed(why) => {
                    page.unread.push(Unread { sku: Some(sku), why }.row());
                }
            }
        }
        Ok(page)
    }

    /// Returns a listing's row of the catalogue, once the guard knows of it.
    fn noted(&self, listing: Listing) -> CatalogueItem {
        self.note(&listing.sku, &Reading::Listing(listing.clone()));
        listing.row()
    }
}

/// What waiting for a report came to.
enum Waited {
    Yet,
    Done(Box<Document>),
    Vain(String),
}

impl Stage {
    fn wait() -> Stage {
        Stage::Wait { polls: 0, since: Instant::now() }
    }
}

impl Told {
    fn is_of(&self, marketplace: &str) -> bool {
        self.report_type == ALL_LISTINGS
            && self
                .marketplace_ids
                .as_deref()
                .is_some_and(|all| all.first().is_some_and(|id| id == marketplace))
    }

    /// Tells whether it will do: it is under way, or was done lately, and is newer than what was `read`.
    fn is_good(&self, read: Option<Timestamp>, now: Timestamp) -> bool {
        let at = |time: jiff::Timestamp| Timestamp::from_millis(time.as_millisecond());
        let created = at(self.created_time);
        let (age, most) = match self.processing_status.as_str() {
            "IN_QUEUE" | "IN_PROGRESS" => (now.since(created), PENDING_MS),
            "DONE" => (now.since(self.processing_end_time.map_or(created, at)), DONE_MS),
            _ => return false,
        };
        age < most && read.is_none_or(|read| created > read)
    }
}

impl Document {
    /// Takes a line in. Err: its header is not understood.
    fn take(&mut self, report: &str, line: Line) -> Result<Option<Row>, String> {
        if matches!(&line, Line::Whole(line) if line.trim_ascii().is_empty()) {
            return Ok(None);
        }
        let Some(table) = &self.table else {
            let (Line::Whole(header), Some(charset)) = (line, self.file.charset()) else {
                return Err("its header is too long".to_owned());
            };
            let advice = "set the language of reports in Seller Central (Settings, Account Info, language for feed processing \
                          reports) to English, or have this one taught to a newer release of Evenkeel";
            let table = Table::of(&header, charset).map_err(|why| format!("{why}; {advice}"))?;
            self.table = Some(table);
            return Ok(None);
        };
        self.rows += 1;
        let read = match line {
            Line::Whole(line) => table.row(&line),
            Line::TooLong => Err("it is too long".to_owned()),
        };
        match read {
            Ok(row) => Ok(Some(row)),
            // The others are not held up by it, and what is known of its listing stays so.
            Err(why) => {
                self.unread += 1;
                if self.unread <= NAMED_MAX {
                    warn!(report, row = self.rows, %why, "a row of the report was not understood");
                }
                let row = self.rows;
                self.first.get_or_insert_with(|| format!("row {row}: {why}"));
                Ok(None)
            }
        }
    }

    /// Tells how it went. Returns what a person should know.
    fn ended(&mut self, asked: &Asked) -> Option<String> {
        let (rows, unread) = (self.rows, self.unread);
        let first = mem::take(&mut self.first).unwrap_or_default();
        if unread == 0 {
            info!(report = asked.id, marketplace = asked.marketplace, rows, "a report was read");
            return None;
        }
        warn!(
            report = asked.id,
            marketplace = asked.marketplace,
            rows,
            unread,
            first,
            "a report was read in part"
        );
        let many = unread.saturating_mul(10) > rows;
        many.then(|| {
            format!(
                "more than a tenth of the rows of the report of `{}` were not understood, as the log names them: these listings \
                 are not compared",
                asked.marketplace
            )
        })
    }
}

/// Says what failed in the words that it always has.
fn steady(fault: &Fault) -> String {
    match fault {
        Fault::Throttled { .. } => "throttled".to_owned(),
        Fault::Disconnected(_) => "connection failed".to_owned(),
        Fault::Timeout(_)
        | Fault::Server { .. }
        | Fault::Unauthorized(_)
        | Fault::Refused(_)
        | Fault::Malformed(_)
        | Fault::NotOffered(_) => fault.to_string(),
    }
}

/// Has a page of the catalogue gone on with as a page of a snapshot.
fn paged(page: CataloguePage) -> Result<CataloguePage, Fault> {
    let next = page.next.map(|cursor| At::Pages { pages: Some(cursor.0) }.cursor()).transpose()?;
    Ok(CataloguePage { next, ..page })
}
