//! `evenkeel audit`: the survey before the first sync. Reads every channel, writes to none, and needs no daemon; where one runs it
//! is asked for the mapping table.

mod page;
mod rules;
mod table;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::OpenOptions,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use futures::future::join_all;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::{
    cli::{
        Failure, Global,
        client::{load, secrets},
        failure::Kind,
        map, print,
    },
    clock::{Clock as _, SystemClock},
    config::Config,
    connectors::{CatalogueItem, CataloguePage, Connector, Fault, Scope},
    core::decide::survey::{OfChannel, Read, Survey, survey},
    engine::registry,
    model::{ChannelId, IdKind, counted, shell},
    telemetry::causes,
};

use rules::{Flow, Rule};
use table::Imported;

/// The most pages that are read of one channel.
const PAGES_MAX: usize = 50_000;
/// How often a page is asked for again.
const TRIES: u32 = 5;

#[derive(Debug, Args)]
pub(super) struct Audit {
    /// Write all that was found as one HTML page, which needs nothing besides itself.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write a mapping table of what no SKU was found for, with the SKUs that are proposed; `evenkeel map import` takes it.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// Replace files that are there.
    #[arg(long)]
    force: bool,
}

/// All that was found.
#[derive(Serialize)]
struct Audited {
    instance: String,
    config: String,
    at_ms: i64,
    /// What each channel said of credentials, scopes, versions and limits.
    asked: Vec<Asked>,
    /// What of the mapping table was used besides the configuration.
    mapping: Imported,
    rules: Vec<Rule>,
    flow: Flow,
    survey: Survey,
}

#[derive(Serialize)]
struct Asked {
    channel: ChannelId,
    kind: &'static str,
    /// What is worth knowing.
    facts: Vec<String>,
    /// What keeps the channel from working, and who can mend it.
    problems: Vec<String>,
    /// Why its catalogue could not be read. It is left out of the survey then.
    unread: Option<String>,
}

pub(super) fn run(global: &Global, audit: &Audit) -> Result<(), Failure> {
    let config = load(global)?;
    let secrets = secrets(global, &config)?;
    // Before minutes are spent.
    let (html, map) = (audit.html.as_deref(), audit.map.as_deref());
    for file in [html, map].into_iter().flatten() {
        free(file, audit.force).map_err(|failure| failure.as_json(global.json))?;
    }
    let connectors = registry::build(&config, &secrets)
        .map_err(|error| Failure::of(Kind::Config, &error).as_json(global.json))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bars = Bars::new(global.json);
    let reads = connectors.iter().map(|(id, connector)| ask(id, connector, &config, &bars));
    let (asked, read): (Vec<Asked>, Vec<Option<Read>>) =
        runtime.block_on(join_all(reads)).into_iter().unzip();
    let read: BTreeMap<ChannelId, Read> =
        asked.iter().zip(read).filter_map(|(asked, read)| Some((asked.channel.clone(), read?))).collect();
    let policies = config.policies(|id| registry::abilities(&connectors, id));
    let now = SystemClock.now();
    let (rows, mapping) = table::imported(global, &config.store.path);
    let found = survey(&policies, &rows, &read, now)
        .map_err(|refused| Failure::of(Kind::Refused, &refused).as_json(global.json))?;
    let audited = Audited {
        instance: config.instance.to_string(),
        config: global.config.display().to_string(),
        at_ms: now.millis(),
        rules: rules::of(&config),
        flow: Flow::of(&config),
        asked,
        mapping,
        survey: found,
    };
    if let Some(file) = html {
        write(file, page::of(&audited)?.as_bytes(), audit.force)?;
    }
    if let Some(file) = map {
        write(file, map::proposed(&audited.survey.proposals.rows)?.as_bytes(), audit.force)?;
    }
    print::answer(global.json, &audited, |audited| tell(audited, html, map))?;
    verdict(global, &audited)
}

/// What keeps a first sync from being right ends the command with a failure.
fn verdict(global: &Global, audited: &Audited) -> Result<(), Failure> {
    let unread = audited.asked.iter().filter(|asked| asked.unread.is_some()).count();
    let refused = audited.asked.iter().filter(|asked| !asked.problems.is_empty()).count();
    let mut wrong = Vec::new();
    if unread > 0 {
        wrong.push(format!("{} could not be read", counted(unread, "channel")));
    }
    if refused > 0 {
        wrong.push(format!("{} would not work as they are", counted(refused, "channel")));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let failure = Failure::new(Kind::Refused, wrong.join("; "));
    Err(failure.next("mend what the channel's line says, and audit again").as_json(global.json))
}

/// Refuses a file that is there, and what other commands take for standard output.
fn free(file: &Path, force: bool) -> Result<(), Failure> {
    if file == Path::new("-") {
        let why = "neither the page nor the table is written to standard output";
        return Err(Failure::new(Kind::Refused, why)
            .next("name a file (one that is called `-` is `./-`); --json prints what was found"));
    }
    if !force && file.exists() {
        let why = format!("`{}` is there already", file.display());
        return Err(Failure::new(Kind::Refused, why).next("name another file, or replace it with --force"));
    }
    Ok(())
}

fn write(file: &Path, text: &[u8], force: bool) -> Result<(), Failure> {
    let mut options = OpenOptions::new();
    options.write(true).truncate(force).create(force).create_new(!force);
    let written = options.open(file).and_then(|mut open| open.write_all(text));
    written.map_err(|error| {
        Failure::new(Kind::Failed, format!("`{}` could not be written: {error}", file.display()))
    })
}

/// Asks a channel what it is, and reads all of it.
async fn ask(
    id: &ChannelId,
    connector: &Arc<dyn Connector>,
    config: &Config,
    bars: &Bars,
) -> (Asked, Option<Read>) {
    let bar = bars.of(id);
    let kind = config.channels().get(id).map_or("unknown", |kind| kind.name());
    let mut asked =
        Asked { channel: id.clone(), kind, facts: Vec::new(), problems: Vec::new(), unread: None };
    match connector.check().await {
        Ok(checked) => (asked.facts, asked.problems) = (checked.facts, checked.problems),
        Err(fault) => asked.problems.push(causes(&fault)),
    }
    let read = match read(connector.as_ref(), &bar).await {
        Ok(read) => Some(read),
        Err(fault) => {
            asked.unread = Some(causes(&fault));
            None
        }
    };
    asked.facts.extend(rules::limits(
        config,
        id,
        &connector.abilities(),
        read.as_ref().map_or(0, |read| read.items.len()),
    ));
    let done = match &asked.unread {
        None => format!("{}, {}", counted(bar.position(), "item"), "done"),
        Some(why) => why.clone(),
    };
    bar.finish_with_message(done);
    (asked, read)
}

async fn read(connector: &dyn Connector, bar: &ProgressBar) -> Result<Read, Fault> {
    let (mut read, mut reported) = (Read::default(), Reported::default());
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let mut page = again(|| connector.snapshot(after.as_ref())).await?;
        let next = page.next.take();
        reported.take(page, &mut read.items);
        bar.set_position(read.items.len() as u64);
        match next {
            None => return counts(connector, read, bar).await,
            Some(next) if after.as_ref() == Some(&next) => break,
            Some(next) => after = Some(next),
        }
    }
    Err(Fault::Malformed("the catalogue does not end".to_owned()))
}

/// What was told of by a report: those of several marketplaces tell of the same listings, and so may what is read by itself.
#[derive(Default)]
struct Reported {
    any: bool,
    skus: BTreeSet<String>,
}

impl Reported {
    /// Adds what a page tells, each listing of a report once.
    fn take(&mut self, page: CataloguePage, items: &mut Vec<CatalogueItem>) {
        let known = |told: &mut BTreeSet<String>, item: &CatalogueItem| {
            item.ids.get(IdKind::Sku).is_some_and(|sku| !told.insert(sku.to_owned()))
        };
        // What is known of what could not be read is worth telling: that it could not is why it is not written.
        for item in page.items.into_iter().chain(page.unread) {
            if !known(&mut self.skus, &item) || !self.any {
                items.push(item);
            }
        }
        self.any |= !page.reported.is_empty();
        items.extend(page.reported.into_iter().filter(|row| !known(&mut self.skus, row)));
    }
}

async fn counts(connector: &dyn Connector, mut read: Read, bar: &ProgressBar) -> Result<Read, Fault> {
    if connector.abilities().counts.is_none() {
        return Ok(read);
    }
    let mut after = None;
    for _ in 0..PAGES_MAX {
        let page = again(|| connector.counts(&Scope::All, after.as_ref())).await?;
        read.counts.extend(page.lines);
        bar.set_message(format!("{} read", counted(read.counts.len(), "count")));
        match page.next {
            None => return Ok(read),
            Some(next) if after.as_ref() == Some(&next) => break,
            Some(next) => after = Some(next),
        }
    }
    Err(Fault::Malformed("the counts do not end".to_owned()))
}

/// Asks again where a channel throttles, or fails in passing.
async fn again<T, F: Future<Output = Result<T, Fault>>>(ask: impl Fn() -> F) -> Result<T, Fault> {
    let mut tries = 0;
    loop {
        let fault = match ask().await {
            Ok(told) => return Ok(told),
            Err(fault) => fault,
        };
        tries += 1;
        let wait = match &fault {
            Fault::Throttled { retry_after } => *retry_after,
            Fault::Timeout(_) | Fault::Disconnected(_) | Fault::Server { .. } => {
                Duration::from_millis(250) * 2_u32.pow(tries)
            }
            Fault::Unauthorized(_) | Fault::Refused(_) | Fault::Malformed(_) | Fault::NotOffered(_) => {
                return Err(fault);
            }
        };
        if tries >= TRIES {
            return Err(fault);
        }
        tokio::time::sleep(wait).await;
    }
}

/// How far each channel has come, for people.
struct Bars {
    all: MultiProgress,
}

impl Bars {
    fn new(json: bool) -> Bars {
        let target = if json { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Bars { all: MultiProgress::with_draw_target(target) }
    }

    fn of(&self, channel: &ChannelId) -> ProgressBar {
        let bar = self.all.add(ProgressBar::no_length());
        let style = ProgressStyle::with_template("{elapsed_precise} {prefix}: {human_pos} items {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.set_prefix(channel.to_string());
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

fn tell(audited: &Audited, html: Option<&Path>, map: Option<&Path>) {
    let survey = &audited.survey;
    let answer = |asked: &Asked| {
        let said = asked.problems.iter().cloned().chain(asked.unread.clone());
        let said: Vec<String> = said.collect();
        if said.is_empty() { "good".to_owned() } else { said.join("; ") }
    };
    let rows = audited.asked.iter();
    let rows = rows.map(|asked| {
        [asked.channel.to_string(), asked.kind.to_owned(), answer(asked), asked.facts.join("; ")]
    });
    print::table(["channel", "kind", "answer", "notes"], rows.collect(), "no channels are configured");
    print::line("");
    let figures = |found: &OfChannel| {
        [
            found.channel.to_string(),
            found.items.to_string(),
            found.bound.values().sum::<usize>().to_string(),
            found.unmatched.to_string(),
            found.unwritable.values().sum::<usize>().to_string(),
            found.missing.count.to_string(),
            found.shared.count.to_string(),
            found.twins.count.to_string(),
            found.agree.to_string(),
            found.differ.count.to_string(),
        ]
    };
    let header = [
        "channel",
        "items",
        "matched",
        "unmatched",
        "never written",
        "missing",
        "shared",
        "fba twins",
        "same",
        "differ",
    ];
    print::table(header, survey.channels.iter().map(figures).collect(), "");
    print::line(&format!("{} ({})", counted(survey.skus, "SKU"), master(survey)));
    print::line(&audited.mapping.told());
    let proposed = survey.proposals.rows.iter().filter(|row| row.sku.is_some()).count();
    if survey.proposals.count > 0 {
        let written = match map {
            Some(file) => format!(
                "they are in {}: look at each, then `evenkeel map import --dry-run {}`",
                file.display(),
                shell(file.display())
            ),
            None => "--map FILE writes them as a table for `evenkeel map import`".to_owned(),
        };
        let items = counted(survey.proposals.count, "item");
        print::line(&format!("{items} without a SKU; for {proposed} of them one is proposed. {written}"));
    }
    match html {
        Some(file) => print::line(&format!("all of it is in {}", file.display())),
        None => print::line("--html FILE writes all of it as a page, --json prints it"),
    }
}

fn master(survey: &Survey) -> String {
    match &survey.master {
        Some(master) => format!("the item codes of `{master}`"),
        None => "`mapping.master` names no channel, so only bundles of the configuration are SKUs".to_owned(),
    }
}

/// Says when it was, for people.
fn at(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| millis.to_string(), |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
