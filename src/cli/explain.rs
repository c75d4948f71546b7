//! `evenkeel explain`: the story of a SKU or of an order, from the journal alone, whether the daemon runs or not.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args, builder::NonEmptyStringValueParser};
use serde::Serialize;

use crate::{
    cli::{
        Failure, Global,
        failure::Kind,
        print,
        store::{judge, judge_reading, places},
    },
    core::{
        Record,
        allocation::Pause,
        drift::{Done, Drifted},
        explain::{Event, Fact, Late, Story, Subject, ToShow},
        ledger::Cause,
        oversold::moved,
        posting::{PostState, Step, said},
        record::PauseScope,
        state::ListingRef,
        which::Called,
    },
    engine::disk,
    model::{Identifiers, OrderKey, Quantity, Seq, Sku, counted},
    store,
    web::view::Time,
};

/// The most orders that one text may mean.
const ORDERS_MAX: usize = 10;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// A SKU, or an order: `CHANNEL:ORDER`, or `ORDER` alone where no other channel has the same. An order goes by its
    /// channel's own id of it, or by the number that people see, such as `#1001`.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    what: String,
    /// It is an order, also if a SKU is called the same.
    #[arg(long, conflicts_with = "sku")]
    order: bool,
    /// It is a SKU, also if an order is called the same.
    #[arg(long)]
    sku: bool,
    /// The latest events only.
    #[arg(long, default_value_t = 1_000)]
    limit: usize,
    /// The store's directory, if it is not the one that the configuration names.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// The archive's directory, if it is not the one that the configuration names, or `archive` below the store's.
    #[arg(long, value_name = "DIR")]
    archive: Option<PathBuf>,
}

/// Where the journal lies.
struct Places {
    store: PathBuf,
    archive: PathBuf,
}

/// From where to where it was read.
#[derive(Debug, Clone, Copy, Default)]
struct Range {
    from: Seq,
    to: Seq,
}

/// What is told.
#[derive(Debug, Serialize)]
struct Told {
    sku: Option<Sku>,
    /// What the SKU was merged into: from then on, what follows is told of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Sku>,
    order: Option<OrderKey>,
    /// The positions from which and up to which the journal was read. From later than 1, the beginning of the story is
    /// missing, and with it which channels older listings are on.
    from: Seq,
    seq: Seq,
    events: Vec<Row>,
    /// There were more before these.
    more: bool,
    /// Units sold that are not there, by class.
    oversold: BTreeMap<&'static str, i64>,
}

#[derive(Debug, Clone, Serialize)]
struct Row {
    seq: Seq,
    at: Time,
    /// `came`, `booked`, `commit`, `moved`, `seen`, `everywhere`, `drift`, `oversold`, `bound`, `paused`, `posting`.
    what: &'static str,
    /// The SKU that it is about, in the story of an order, or if that is another one: a part of what was sold.
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<Sku>,
    channel: Option<String>,
    /// What the listing that it is about goes by, as `evenkeel drift` names it: `kind=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    listing: Vec<String>,
    /// Of a commit: what each listing is to show.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_show: Vec<ToShowRow>,
    text: String,
    /// What was available at the place of an entry after it.
    available: Option<Quantity>,
}

/// What a listing is to show.
#[derive(Debug, Clone, Serialize)]
struct ToShowRow {
    channel: String,
    listing: Vec<String>,
    quantity: Quantity,
}

pub(super) fn run(global: &Global, explain: &Explain) -> Result<(), Failure> {
    let (store, archive) = places(global, explain.store.as_ref(), explain.archive.as_ref())?;
    let (stories, range) =
        read(explain, &Places { store, archive }).map_err(|failure| failure.as_json(global.json))?;
    let mut found: Vec<(Subject, Story)> =
        stories.into_iter().filter(|(_, story)| story.events().is_some()).collect();
    let Some((subject, story)) = found.pop().filter(|_| found.is_empty()) else {
        return Err(unclear(explain, &found).as_json(global.json));
    };
    let told = tell(subject, &story, range, explain.limit);
    print::answer(global.json, &told, show)
}

/// Says why there is not exactly one story. `others`: all that were found, but for one.
fn unclear(explain: &Explain, others: &[(Subject, Story)]) -> Failure {
    let what = &explain.what;
    if others.is_empty() {
        return Failure::new(
            Kind::NotFound,
            format!("the journal knows neither a SKU nor an order `{what}`"),
        )
        .next("write a SKU as `evenkeel sku` takes it, an order as `evenkeel order` does: CHANNEL:ORDER, or its number");
    }
    Failure::new(Kind::Refused, format!("`{what}` may mean several things"))
        .next("add --sku or --order, or name the order's channel: CHANNEL:ORDER")
}

/// Reads the journal once, with a story for everything that the text may mean.
fn read(explain: &Explain, places: &Places) -> Result<(Vec<(Subject, Story)>, Range), Failure> {
    let mut stories: Vec<(Subject, Story)> = Vec::new();
    let begin = |subject: Subject| {
        let story = Story::of(subject.clone());
        (subject, story)
    };
    if !explain.order
        && let Ok(sku) = explain.what.parse::<Sku>()
    {
        stories.push(begin(Subject::Sku(sku)));
    }
    let called = Called::read(&explain.what);
    let exact = called.channel().and_then(|channel| called.by_id(channel));
    // Most are named by channel and id: that takes one walk.
    let meant = match (explain.sku, exact) {
        (true, _) => Vec::new(),
        (false, Some(exact)) => vec![exact],
        (false, None) => orders(&called, places)?,
    };
    stories.extend(meant.into_iter().map(|order| begin(Subject::Order(order))));
    let range = told_by(places, &mut stories)?;
    let found = stories.iter().any(|(_, story)| story.events().is_some());
    if found || explain.sku || called.channel().is_none() {
        return Ok((stories, range));
    }
    let named = orders(&called, places)?.into_iter().map(|order| begin(Subject::Order(order)));
    let mut stories: Vec<_> = named.collect();
    let range = told_by(places, &mut stories)?;
    Ok((stories, range))
}

/// Has the whole journal told to stories.
fn told_by(places: &Places, stories: &mut [(Subject, Story)]) -> Result<Range, Failure> {
    walk(places, &mut |seq, envelope| {
        for (_, story) in stories.iter_mut() {
            story.add(seq, envelope);
        }
    })
}

/// Returns the orders that are called so.
fn orders(called: &Called, places: &Places) -> Result<Vec<OrderKey>, Failure> {
    let mut found: Vec<OrderKey> = Vec::new();
    walk(places, &mut |_, envelope| {
        for record in &envelope.records {
            if let Record::Order { key, order, .. } = record {
                let fits = called.fits(key, order.name.as_deref());
                if fits && !found.contains(key) && found.len() < ORDERS_MAX {
                    found.push(key.clone());
                }
            }
        }
    })?;
    Ok(called.meant(found))
}

/// Reads the journal record by record, its archive included. Returns what it held.
fn walk(places: &Places, visit: &mut dyn FnMut(Seq, &crate::core::Envelope)) -> Result<Range, Failure> {
    let (mut bad, mut from) = (None, None);
    let archive = places.archive.is_dir().then_some(places.archive.as_path());
    let report = store::verify_journal(&places.store, archive, &mut |record| {
        from.get_or_insert(Seq(record.seq));
        match disk::decode(record.seq, &record.payload) {
            Ok(envelope) => visit(Seq(record.seq), &envelope),
            Err(error) => drop(bad.get_or_insert(error)),
        }
    });
    let report = report.map_err(|error| {
        let (kind, next) = judge(&error);
        Failure::of(kind, &error).next(next)
    })?;
    match bad {
        Some(error) => {
            let (kind, next) = judge_reading(&error);
            Err(Failure::of(kind, &error).next(next))
        }
        None => Ok(Range { from: from.unwrap_or_default(), to: Seq(report.head.seq) }),
    }
}

fn tell(subject: Subject, story: &Story, range: Range, limit: usize) -> Told {
    let mut oversold = BTreeMap::new();
    let mut events: Vec<Row> = Vec::new();
    for event in story.events().into_iter().flatten() {
        if let Fact::Oversold { units, class, .. } = &event.fact {
            *oversold.entry(class.name()).or_insert(0) += units.units();
        }
        events.push(row(event, story, &subject));
    }
    let surplus = events.len().saturating_sub(limit);
    events.drain(..surplus);
    let (sku, order) = match subject {
        Subject::Sku(sku) => (Some(sku), None),
        Subject::Order(order) => (None, Some(order)),
    };
    Told {
        sku,
        now: story.now().cloned(),
        order,
        from: range.from,
        seq: range.to,
        events,
        more: surplus > 0 || story.forgotten > 0,
        oversold,
    }
}

/// Names a listing. `None`: it is the only one of its SKU on its channel, which says enough.
fn told_apart(story: &Story, listing: &ListingRef) -> Option<String> {
    let (name, several) = story.name(listing);
    several.then(|| name_of(&name).join(" "))
}

fn name_of(ids: &Identifiers) -> Vec<String> {
    ids.iter().map(|id| format!("{}={}", id.kind.name(), id.value)).collect()
}

/// Returns the listing that something is about, if it is about one.
fn listing(fact: &Fact) -> Option<ListingRef> {
    match fact {
        Fact::Moved { sku, n, .. } | Fact::Seen { sku, n, .. } => {
            Some(ListingRef { sku: sku.clone(), at: *n })
        }
        Fact::Drift { listing, .. } | Fact::Bound { listing, .. } => Some(listing.clone()),
        Fact::Came { .. }
        | Fact::Booked(_)
        | Fact::Commit { .. }
        | Fact::Everywhere { .. }
        | Fact::Oversold { .. }
        | Fact::Paused { .. }
        | Fact::Posting(_) => None,
    }
}

/// Says which listing a row is about, if it is about one, and in the text where that is not plain.
fn with_listing(row: Row, story: &Story, fact: &Fact) -> Row {
    let Some(about) = listing(fact) else { return row };
    let listing = name_of(&story.name(&about).0);
    let text = match told_apart(story, &about) {
        Some(name) => format!("{name}: {}", row.text),
        None => row.text,
    };
    Row { listing, text, ..row }
}

fn row(event: &Event, story: &Story, subject: &Subject) -> Row {
    let (what, channel, text) = match &event.fact {
        Fact::Came { order, pushed } => {
            let how = if *pushed { "was pushed" } else { "was read" };
            ("came", Some(order.channel.to_string()), format!("order {} {how}", order.order))
        }
        Fact::Booked(entry) => ("booked", None, booked(entry)),
        Fact::Commit { sku, revision, event_at, legs } => {
            let legs: Vec<String> = legs.iter().map(|leg| to_show(story, leg)).collect();
            let (event_at, legs) = (Time(*event_at), legs.join(", "));
            (
                "commit",
                None,
                format!("{sku} revision {revision}, for what happened at {event_at}: to show {legs}"),
            )
        }
        Fact::Moved { why, leg, base, note, .. } => {
            let state = leg.as_ref().map_or(String::new(), |leg| {
                let by = leg.sent().and_then(|sent| sent.delta);
                let by = by.map_or(String::new(), |by| format!(" by a change of {by}"));
                format!(": {}{by} ({} wanted, revision {})", leg.name(), leg.quantity, leg.revision)
            });
            let base = base.map_or("nothing is known".to_owned(), |base| format!("{base} expected there"));
            let note = note.as_ref().map_or(String::new(), |note| format!("; {note}"));
            let why = serde_json::to_value(why).ok();
            let why = why.as_ref().and_then(|why| why.as_str()).unwrap_or("moved").to_owned();
            ("moved", None, format!("{why}{state}, {base}{note}"))
        }
        Fact::Seen { quantity, revision, .. } => {
            ("seen", None, format!("seen live: {quantity}, revision {revision}"))
        }
        Fact::Everywhere { revision, .. } => {
            ("everywhere", None, format!("revision {revision} is live everywhere"))
        }
        Fact::Drift { drifted, ended, .. } => ("drift", None, differed(drifted, *ended)),
        Fact::Oversold { units, class, beyond, late, channel, .. } => {
            let late = late.as_ref().map_or(String::new(), |late| {
                interleaving(channel.as_ref().map(crate::model::ChannelId::as_str), late)
            });
            let text =
                format!("OVERSOLD by {units}, class {}: {}{late}", class.name(), class.meaning(*beyond));
            ("oversold", None, text)
        }
        Fact::Bound { .. } => ("bound", None, "listed".to_owned()),
        Fact::Paused { scope, pause } => ("paused", None, stood_still(scope, *pause)),
        Fact::Posting(posting) => ("posting", Some(posting.channel.to_string()), posted(posting)),
    };
    let named = match &event.fact {
        Fact::Moved { channel, .. }
        | Fact::Seen { channel, .. }
        | Fact::Drift { channel, .. }
        | Fact::Bound { channel, .. } => Some(channel.to_string()),
        Fact::Oversold { channel, .. } => channel.as_ref().map(ToString::to_string),
        Fact::Came { .. }
        | Fact::Booked(_)
        | Fact::Commit { .. }
        | Fact::Everywhere { .. }
        | Fact::Paused { .. }
        | Fact::Posting(_) => channel,
    };
    let available = if let Fact::Booked(entry) = &event.fact { entry.after.available().ok() } else { None };
    let sku = of(&event.fact).filter(|sku| !matches!(subject, Subject::Sku(of) if of == *sku)).cloned();
    let (seq, at, to_show) = (event.seq, event.at.into(), to_show_rows(story, &event.fact));
    let row = Row { seq, at, what, sku, channel: named, listing: Vec::new(), to_show, text, available };
    with_listing(row, story, &event.fact)
}

/// Returns the SKU that a fact is about, if it is about one.
fn of(fact: &Fact) -> Option<&Sku> {
    match fact {
        Fact::Booked(entry) => Some(&entry.sku),
        Fact::Commit { sku, .. }
        | Fact::Moved { sku, .. }
        | Fact::Seen { sku, .. }
        | Fact::Everywhere { sku, .. }
        | Fact::Oversold { sku, .. } => Some(sku),
        Fact::Came { .. }
        | Fact::Drift { .. }
        | Fact::Bound { .. }
        | Fact::Paused { .. }
        | Fact::Posting(_) => None,
    }
}

fn to_show_rows(story: &Story, fact: &Fact) -> Vec<ToShowRow> {
    let Fact::Commit { legs, .. } = fact else { return Vec::new() };
    let row = |leg: &ToShow| ToShowRow {
        channel: leg.channel.to_string(),
        listing: name_of(&story.name(&leg.listing).0),
        quantity: leg.quantity,
    };
    legs.iter().map(row).collect()
}

fn to_show(story: &Story, leg: &ToShow) -> String {
    let ToShow { listing, channel, quantity, owed } = leg;
    let channel = match told_apart(story, listing) {
        Some(name) => format!("{channel} ({name})"),
        None => channel.to_string(),
    };
    if owed.is_zero() {
        return format!("{channel} {quantity}");
    }
    format!("{channel} {quantity} ({owed} more lie there, owed to what was sold at another place)")
}

fn booked(entry: &crate::core::ledger::Entry) -> String {
    let cause = match &entry.cause {
        Cause::Order { order, line } => format!("order {order} line {line}"),
        Cause::Count { counter, as_of } => format!("a count by {counter} as of {}", Time(*as_of)),
        Cause::Operator { note } if note.is_empty() => "a person".to_owned(),
        Cause::Operator { note } => format!("a person: {note}"),
        Cause::Merged { from, into } => format!("the merge of {from} into {into}"),
        Cause::Intent { intent, note } if note.is_empty() => format!("transfer {intent}"),
        Cause::Intent { intent, note } => format!("transfer {intent}: {note}"),
        Cause::Edit { channel, expected, observed } => {
            format!("an edit on {channel} from {expected} to {observed}")
        }
    };
    let moved = moved(entry).unwrap_or_default();
    format!(
        "{} of {} {} at {} ({moved} available), {}, by {cause}; on_hand {} committed {} reserved {}",
        entry.kind.name(),
        entry.quantity,
        entry.sku,
        entry.location,
        happened(entry),
        entry.after.on_hand,
        entry.after.committed,
        entry.after.reserved
    )
}

/// Says when something happened. Of an edit a channel tells no time: it came about between two reads, and what may be in a count is taken
/// as of that one of them by which least is promised.
fn happened(entry: &crate::core::ledger::Entry) -> String {
    let at = Time(entry.event_at);
    match &entry.cause {
        Cause::Edit { .. } if entry.quantity > Quantity::ZERO => format!("after {at}"),
        Cause::Edit { .. } => format!("by {at} at the latest"),
        Cause::Order { .. }
        | Cause::Count { .. }
        | Cause::Operator { .. }
        | Cause::Merged { .. }
        | Cause::Intent { .. } => format!("at {at} by its source"),
    }
}

fn differed(drifted: &Drifted, ended: bool) -> String {
    let (found, done) = (drifted.found.name(), drifted.done.name());
    if ended {
        return format!("the drift of record {} is {done}", drifted.seq);
    }
    // What comes of that is told by the lines that follow; in shadow mode, nothing.
    let done = if drifted.done == Done::Repaired { "to be repaired" } else { done };
    let why = drifted.why.as_ref().map_or(String::new(), |why| format!("; {why}"));
    format!("it shows {} and not {}: {found}, {done}{why}", drifted.observed, drifted.expected)
}

fn stood_still(scope: &PauseScope, pause: Option<Pause>) -> String {
    let whose = match scope {
        PauseScope::Channel(channel) => format!("channel {channel}"),
        PauseScope::Sku(sku) => format!("SKU {sku}"),
    };
    let mode = pause.map_or("goes on".to_owned(), |pause| format!("is {pause:?}").to_lowercase());
    format!("{whose} {mode}")
}

fn interleaving(channel: Option<&str>, late: &Late) -> String {
    let there = channel.unwrap_or("there");
    let sent = match late.sent_at {
        Some(at) => format!("was sent to {there} at {} and not seen live there yet", Time(at)),
        None => format!("was not sent to {there} yet"),
    };
    let Late { sku, seq, at, quantity, .. } = late;
    format!(". The change of {sku} to {quantity} of record {seq} ({}) {sent}", Time(*at))
}

fn posted(posting: &PostState) -> String {
    match &posting.step {
        Step::Done => "the ERP has taken it".to_owned(),
        Step::Pending => "to be posted".to_owned(),
        Step::InFlight { .. } => "is being posted".to_owned(),
        Step::Retry { at } => {
            let why = posting.fault.as_ref().map_or(String::new(), |fault| format!(" ({fault})"));
            format!("tried in vain{why}, again at {}", Time(*at))
        }
        Step::Parked { reason } if posting.is_asked() => format!("a person is asked: {}", said(reason)),
        Step::Parked { reason } => format!("refused: {reason}"),
        Step::Dropped => "given up by a person".to_owned(),
        Step::Theirs | Step::Watched => "left to whoever enters it there".to_owned(),
    }
}

/// Folds what came and changed nothing: of such lines that follow each other and say the same, one is told, with how
/// many there were and until when.
fn folded(events: &[Row]) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::with_capacity(events.len());
    let mut same = 0_u32;
    for row in events {
        let again = row.what == "came"
            && all.last().is_some_and(|last| {
                last.what == "came" && last.channel == row.channel && last.text.starts_with(&row.text)
            });
        match all.last_mut().filter(|_| again) {
            Some(last) => {
                same += 1;
                last.text = format!("{}, {} more until {}", row.text, counted(same, "time"), row.at);
            }
            None => {
                same = 0;
                all.push(row.clone());
            }
        }
    }
    all
}

fn show(told: &Told) {
    let subject = match (&told.sku, &told.order) {
        (Some(sku), _) => format!("SKU {sku}"),
        (None, Some(order)) => format!("order {order}"),
        (None, None) => String::new(),
    };
    print::line(&format!("{subject}, by the journal from {} to {}", told.from, told.seq));
    if let (Some(sku), Some(now)) = (&told.sku, &told.now) {
        print::line(&format!("`{sku}` is now `{now}`: since then, what is told is of `{now}` too"));
    }
    if told.more {
        print::line("there was more before; see --limit");
    }
    let rows = folded(&told.events);
    let rows = rows.iter().map(|row| {
        [
            row.seq.to_string(),
            row.at.to_string(),
            row.what.to_owned(),
            row.channel.clone().unwrap_or_default(),
            row.available.map_or(String::new(), |units| units.to_string()),
            about(row),
        ]
    });
    print::table(
        ["seq", "recorded", "what", "channel", "available", "told"],
        rows.collect(),
        "nothing happened",
    );
    for (class, units) in &told.oversold {
        print::line(&format!("oversold {}, class {class}", counted(units, "unit")));
    }
}

/// Returns what is told, with the SKU that it is about where the text does not name it.
fn about(row: &Row) -> String {
    match &row.sku {
        Some(sku) if !matches!(row.what, "booked" | "commit") => format!("{sku}: {}", row.text),
        Some(_) | None => row.text.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    #[test]
    fn reads_that_change_nothing_are_one_line_with_their_count() {
        let row = |seq: u64, what: &'static str, text: &str| Row {
            seq: Seq(seq),
            at: Time(Timestamp::from_millis(i64::try_from(seq).expect("small") * 60_000)),
            what,
            sku: None,
            channel: Some("shop".to_owned()),
            listing: Vec::new(),
            to_show: Vec::new(),
            text: text.to_owned(),
            available: None,
        };
        let read = "order 1 was read";
        let events = [
            row(1, "came", read),
            row(2, "booked", "sale of 1"),
            row(3, "came", read),
            row(4, "came", read),
            row(5, "came", read),
            row(6, "came", "order 1 was pushed"),
            row(7, "came", read),
        ];
        let told: Vec<String> =
            folded(&events).iter().map(|row| format!("{} {}", row.seq, row.text)).collect();
        let until = Time(Timestamp::from_millis(300_000));
        let wanted = [
            "1 order 1 was read".to_owned(),
            "2 sale of 1".to_owned(),
            format!("3 order 1 was read, 2 times more until {until}"),
            "6 order 1 was pushed".to_owned(),
            "7 order 1 was read".to_owned(),
        ];
        assert_eq!(told, wanted);
    }
}
