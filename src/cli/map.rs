//! `evenkeel map`: the mapping between SKUs and what channels call them, as CSV and back.
//!
//! The CSV has a row per listing: `sku,channel`, then a column for each kind of identifier. What the channel calls an item that
//! waits for a row comes last, for who fills in the SKU; it says nothing when it is read.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use crate::{
    cli::{
        Failure, Global,
        client::Client,
        effect,
        failure::Kind,
        input, print,
        quarantine::caller,
        sheet::{Bad, Fields, Sheet, lines_of},
    },
    core::decide::survey::Proposal,
    model::{ChannelId, IdKind, LineId, OrderId, Sku, counted, ids::BadId, policy::MappingRow, which},
    web::view::{
        Ids, IgnoreDone, IgnoreRequest, MapImport, MapImported, MapRemove, MapRemoved, MapRow, MapSource,
        Mapping, ids_from,
    },
};

/// The column of what the channel calls an item.
const TITLE: &str = "title";

#[derive(Debug, Subcommand)]
pub(super) enum Map {
    /// Show the mapping table, what is bound, or what waits for a row.
    List(List),
    /// Add rows to the mapping table from a CSV file (`-`: standard input).
    Import {
        file: PathBuf,
        /// Only tell what it would do.
        #[arg(long, conflicts_with = "confirm")]
        dry_run: bool,
        /// Take it over although it would change more than `[brake]` allows.
        #[arg(long, visible_alias = "yes")]
        confirm: bool,
    },
    /// Add one row: what the SKU goes by on the channel.
    Set {
        channel: ChannelId,
        /// `KIND=VALUE`, as `evenkeel map list` shows it, several with commas; a bare text is the channel's SKU.
        #[arg(value_parser = identifiers)]
        identifier: Ids,
        sku: Sku,
        #[arg(long, conflicts_with = "confirm")]
        dry_run: bool,
        #[arg(long, visible_alias = "yes")]
        confirm: bool,
    },
    /// Take a row out of the table. What was bound by it stays so: `evenkeel rebind` gives a listing to another SKU.
    Remove {
        channel: ChannelId,
        /// All that the row names, as for `set`.
        #[arg(value_parser = identifiers)]
        identifier: Ids,
        /// Only tell what it would do.
        #[arg(long, conflicts_with = "confirm")]
        dry_run: bool,
        /// Do it although it would change more than `[brake]` allows.
        #[arg(long, visible_alias = "yes")]
        confirm: bool,
    },
    /// Wait for no SKU of what sells nothing that is kept in stock: a gift card, a service.
    Ignore(Ignore),
    /// Write the mapping as CSV to standard output.
    Export(List),
}

#[derive(Debug, Args)]
pub(super) struct Ignore {
    channel: ChannelId,
    /// As for `set`: everything that goes by it. Or name one line with `--order` and `--line`.
    #[arg(value_parser = identifiers, required_unless_present = "order", conflicts_with = "order")]
    identifier: Option<Ids>,
    #[arg(long, requires = "line")]
    order: Option<OrderId>,
    #[arg(long, requires = "order")]
    line: Option<LineId>,
    /// Wait for it again.
    #[arg(long)]
    undo: bool,
    #[arg(long)]
    dry_run: bool,
    /// Why, for the journal.
    #[arg(long, default_value = "")]
    note: String,
}

/// Reads `kind=value,kind=value`. A text without `=` is the channel's SKU, whole.
fn identifiers(text: &str) -> Result<Ids, String> {
    let sku = IdKind::Sku.name();
    let mut ids = Ids::new();
    let mut last: Option<&str> = None;
    for part in if text.contains('=') { text.split(',').collect() } else { vec![text] } {
        let named = part.split_once('=');
        let known = named.and_then(|(name, value)| {
            Some((IdKind::ALL.into_iter().find(|kind| kind.name() == name)?.name(), value))
        });
        match (known, last) {
            (Some((kind, value)), _) => {
                if value.is_empty() {
                    return Err(format!("`{kind}` has no value"));
                }
                if ids.insert(kind.to_owned(), value.to_owned()).is_some() {
                    return Err(format!("`{kind}` is named twice"));
                }
                last = Some(kind);
            }
            // A comma of the value before.
            (None, Some(kind)) if named.is_none() => {
                let value = ids.entry(kind.to_owned()).or_default();
                value.push(',');
                value.push_str(part);
            }
            (None, None) if named.is_none() && !text.contains('=') => {
                ids.insert(sku.to_owned(), part.to_owned());
            }
            (None, _) => {
                let name = named.map_or(part, |(name, _)| name);
                let kinds = IdKind::ALL.map(IdKind::name).join(", ");
                return Err(format!(
                    "there is no kind of identifier `{name}`; the kinds are {kinds}; a channel's SKU that holds `=` is \
                     written `{sku}=…`"
                ));
            }
        }
    }
    match ids_from(&ids) {
        Ok(_) => Ok(ids),
        Err(bad) => Err(bad.to_string()),
    }
}

#[derive(Debug, Default, Args)]
pub(super) struct List {
    /// What waits for a row: catalogue items and order lines that no SKU was found for.
    #[arg(long, conflicts_with = "listings")]
    unmatched: bool,
    /// Of what waits for a row, only the order lines.
    #[arg(long, conflicts_with = "listings")]
    lines: bool,
    /// What no SKU is waited for.
    #[arg(long, conflicts_with_all = ["listings", "unmatched", "lines"])]
    ignored: bool,
    /// Every listing that is bound to a SKU.
    #[arg(long)]
    listings: bool,
    #[arg(long)]
    channel: Option<ChannelId>,
}

pub(super) fn run(global: &Global, command: &Map) -> Result<(), Failure> {
    match command {
        Map::List(list) => show(global, list),
        Map::Export(list) => export(global, list),
        Map::Import { file, dry_run, confirm } => import(global, file, *dry_run, *confirm),
        Map::Set { channel, identifier, sku, dry_run, confirm } => {
            let (channel, ids, sku) = (channel.clone(), identifier.clone(), sku.clone());
            add(global, vec![MapRow { sku, channel, ids, from: None, line: None }], *dry_run, *confirm)
        }
        Map::Remove { channel, identifier, dry_run, confirm } => {
            let (channel, ids) = (channel.clone(), identifier.clone());
            remove(global, &MapRemove { channel, ids, dry_run: *dry_run, confirm: *confirm })
        }
        Map::Ignore(ignored) => ignore(global, ignored),
    }
}

/// Asks for all pages.
fn fetch(client: &Client, list: &List) -> Result<Mapping, Failure> {
    let mut all = Mapping::default();
    let mut after: Option<String> = None;
    loop {
        let mut path = format!(
            "/v1/map?unmatched={}&listings={}&lines={}&ignored={}",
            list.unmatched, list.listings, list.lines, list.ignored
        );
        if let Some(channel) = &list.channel {
            path.push_str(&format!("&channel={channel}"));
        }
        if let Some(after) = &after {
            path.push_str(&format!("&after={}", crate::cli::client::part(after)));
        }
        let page: Mapping = client.get(&path)?;
        all.rows.extend(page.rows);
        all.unmatched.extend(page.unmatched);
        all.unmapped.extend(page.unmapped);
        all.ignored.extend(page.ignored);
        match page.next {
            None => return Ok(all),
            Some(next) => after = Some(next),
        }
    }
}

/// Asks for the rows of the table that were imported.
pub(super) fn imported(client: &Client) -> Result<Vec<MappingRow>, Failure> {
    let table = fetch(client, &List::default())?;
    let rows = table.rows.into_iter().filter(|row| row.from == Some(MapSource::Imported));
    let row = |MapRow { sku, channel, ids, .. }: MapRow| match ids_from(&ids) {
        Ok(ids) => Ok(MappingRow { channel, ids, sku }),
        Err(bad) => Err(Failure::new(Kind::Failed, format!("the daemon's answer was not understood: {bad}"))),
    };
    rows.map(row).collect()
}

fn show(global: &Global, list: &List) -> Result<(), Failure> {
    let mapping = fetch(&Client::new(global)?, list)?;
    print::answer(global.json, &mapping, |mapping| {
        if list.ignored {
            let rows = mapping.ignored.iter().map(|i| {
                [i.channel.to_string(), names(&i.ids), i.since.to_string(), i.by.clone(), i.note.clone()]
            });
            let header = ["channel", "identifiers", "since", "by", "note"];
            print::table(header, rows.collect(), "nothing is ignored");
        } else if list.unmatched || list.lines {
            let items = mapping.unmatched.iter().map(|u| {
                [u.channel.to_string(), names(&u.ids), u.title.clone().unwrap_or_default(), u.why.clone()]
            });
            let lines = mapping.unmapped.iter().map(|u| {
                [
                    u.channel.to_string(),
                    names(&u.ids),
                    format!("order {} line {}", u.order, u.line),
                    u.why.clone(),
                ]
            });
            let rows = items.chain(lines).collect();
            print::table(["channel", "identifiers", "what", "why"], rows, "nothing waits for a mapping");
        } else {
            let rows = mapping.rows.iter().map(|r| {
                let from = r.from.map_or(String::new(), |from| format!("{from:?}").to_lowercase());
                [r.sku.to_string(), r.channel.to_string(), names(&r.ids), from]
            });
            print::table(
                ["sku", "channel", "identifiers", "from"],
                rows.collect(),
                "the mapping table is empty",
            );
        }
    })
}

fn names(ids: &Ids) -> String {
    ids.iter().map(|(kind, id)| format!("{kind}={id}")).collect::<Vec<_>>().join(" ")
}

fn export(global: &Global, list: &List) -> Result<(), Failure> {
    let mapping = fetch(&Client::new(global)?, list)?;
    if global.json {
        return print::answer(true, &mapping, |_| {});
    }
    print::raw(&written(&mapping)?);
    Ok(())
}

/// Writes what an audit proposes as a table that can be imported.
pub(super) fn proposed(rows: &[Proposal]) -> Result<String, Failure> {
    let row = |row: &Proposal| {
        let sku = row.sku.as_ref().map(ToString::to_string).unwrap_or_default();
        let ids = row.ids.iter().map(|(kind, id)| ((*kind).to_owned(), id.clone())).collect();
        (sku, row.channel.to_string(), ids, row.title.clone())
    };
    table(rows.iter().map(row).collect())
}

/// Writes what is mapped, and what waits for a row.
fn written(mapping: &Mapping) -> Result<String, Failure> {
    // A line that names nothing cannot be told apart by a row. What several lines and items go by needs one row.
    let items = mapping.unmatched.iter().map(|u| (&u.channel, &u.ids, u.title.clone()));
    let lines = mapping.unmapped.iter().filter(|u| !u.ids.is_empty()).map(|u| (&u.channel, &u.ids, None));
    let mut told = BTreeSet::new();
    let waiting = items.chain(lines).filter(|(channel, ids, _)| told.insert((*channel, *ids)));
    let waiting = waiting.map(|(channel, ids, title)| (String::new(), channel.to_string(), ids, title));
    let rows = mapping.rows.iter().map(|r| (r.sku.to_string(), r.channel.to_string(), &r.ids, None));
    table(rows.chain(waiting).map(|(sku, channel, ids, title)| (sku, channel, ids.clone(), title)).collect())
}

/// Writes rows (SKU, channel, identifiers, title).
fn table(rows: Vec<(String, String, Ids, Option<String>)>) -> Result<String, Failure> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let kinds = IdKind::ALL.map(IdKind::name);
    let wrong = |error: csv::Error| Failure::new(Kind::Failed, error);
    let titled = rows.iter().any(|(.., title)| title.is_some());
    let header = ["sku", "channel"].into_iter().chain(kinds);
    csv.write_record(header.chain(titled.then_some(TITLE))).map_err(wrong)?;
    for (sku, channel, ids, title) in rows {
        let ids = kinds.iter().map(|kind| ids.get(*kind).cloned().unwrap_or_default());
        let title = titled.then(|| unformulated(title.unwrap_or_default()));
        csv.write_record([sku, channel].into_iter().chain(ids).chain(title)).map_err(wrong)?;
    }
    let text = csv.into_inner().map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Keeps a spreadsheet from taking a text for a formula: whoever names things in a shop must not run anything where they are mapped. Only
/// what nothing reads back, a SKU or an identifier must stay as it is.
fn unformulated(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) { format!("'{text}") } else { text }
}

fn import(global: &Global, file: &Path, dry_run: bool, confirm: bool) -> Result<(), Failure> {
    let text = input::file(global, file)?;
    let rows = parse(&text).map_err(|bad| {
        bad.told(global, "mend the lines named; nothing was imported", |client, rows| {
            let asked = MapImport { rows, dry_run: true, confirm: false };
            lines_of::<MapImported>(client.post("/v1/map", &asked))
        })
    })?;
    if rows.is_empty() {
        let why = "no row of the file names a SKU, so there is nothing to import";
        return Err(Failure::new(Kind::Refused, why)
            .next("fill in the column `sku` of the rows that are to count; those without are left out")
            .as_json(global.json));
    }
    add(global, rows, dry_run, confirm)
}

/// Adds rows, or tells what that would do.
fn add(global: &Global, rows: Vec<MapRow>, dry_run: bool, confirm: bool) -> Result<(), Failure> {
    let channels: BTreeSet<String> = rows.iter().map(|row| format!("`{}`", row.channel)).collect();
    let channels = channels.into_iter().collect::<Vec<_>>().join(", ");
    let imported: MapImported =
        Client::new(global)?.post("/v1/map", &MapImport { rows, dry_run, confirm })?;
    print::answer(global.json, &imported, |i| {
        i.notes.iter().for_each(|note| print::line(note));
        effect::tell(&i.effect);
        replaced(i);
        print::line(&match (&i.held, i.dry_run) {
            (Some(why), _) => format!("the brake holds it: {why}"),
            (None, true) => format!(
                "{} {} good; nothing was imported",
                counted(i.rows, "row"),
                which(i.rows, "is", "are")
            ),
            (None, false) => format!(
                "{} imported; {} found a SKU; of {channels}, {} still {} none",
                counted(i.rows, "row"),
                counted(i.bound, "item"),
                i.unmatched,
                which(i.unmatched, "has", "have")
            ),
        });
    })?;
    match imported.held {
        Some(why) if !dry_run => {
            Err(Failure::new(Kind::Refused, format!("held: {why}; nothing was imported"))
                .next("if that is meant, run it with --confirm; otherwise mend the rows")
                .as_json(global.json))
        }
        _ => Ok(()),
    }
}

/// Says of which rows these take the place.
fn replaced(imported: &MapImported) {
    let kept = imported.dry_run || imported.held.is_some();
    for MapRow { sku, channel, ids, from, .. } in &imported.replaced {
        let place = match (from, kept) {
            (Some(MapSource::Config), true) => "would count no more, and stays in the configuration",
            (Some(MapSource::Config), false) => "counts no more, and stays in the configuration",
            (_, true) => "would be replaced",
            (_, false) => "is replaced",
        };
        print::line(&format!("the row of SKU `{sku}` for {} on `{channel}` {place}", names(ids)));
    }
    if !imported.replaced.is_empty() {
        print::line("what was bound by it stays so: `evenkeel rebind` gives a listing to another SKU");
    }
}

/// Takes a row out, or tells what that would do.
fn remove(global: &Global, asked: &MapRemove) -> Result<(), Failure> {
    let removed: MapRemoved = Client::new(global)?.post("/v1/map/remove", asked)?;
    print::answer(global.json, &removed, |removed| {
        let MapRow { sku, channel, ids, .. } = &removed.row;
        for bound in &removed.listings {
            print::line(&format!("stays bound to {sku}: {} on {channel}", names(&bound.ids)));
        }
        if removed.more {
            print::line("and more listings");
        }
        if !removed.listings.is_empty() {
            print::line("`evenkeel rebind` gives a listing to another SKU, with its order lines");
        }
        effect::tell(&removed.effect);
        print::line(&match (&removed.held, removed.dry_run) {
            (Some(why), _) => format!("the brake holds it: {why}"),
            (None, true) => format!("the row of {sku} for {} on {channel} would be removed", names(ids)),
            (None, false) => format!("the row of {sku} for {} on {channel} is removed", names(ids)),
        });
    })?;
    match removed.held {
        Some(why) if !asked.dry_run => {
            Err(Failure::new(Kind::Refused, format!("held: {why}; nothing was removed"))
                .next("if that is meant, run it with --confirm")
                .as_json(global.json))
        }
        _ => Ok(()),
    }
}

fn ignore(global: &Global, ignored: &Ignore) -> Result<(), Failure> {
    let asked = IgnoreRequest {
        channel: ignored.channel.clone(),
        ids: ignored.identifier.clone().unwrap_or_default(),
        order: ignored.order.clone(),
        line: ignored.line.clone(),
        undo: ignored.undo,
        dry_run: ignored.dry_run,
        note: ignored.note.clone(),
        by: caller(),
    };
    let done: IgnoreDone = Client::new(global)?.post("/v1/map/ignore", &asked)?;
    print::answer(global.json, &done, |done| {
        effect::tell(&done.effect);
        done.notes.iter().for_each(|note| print::line(note));
        if let Some(none) = idle(done, asked.undo) {
            print::line(none);
        }
        print::line(if done.dry_run { "nothing was changed" } else { "done" });
    })
}

/// Says that an entry fits nothing so far: it may be a slip, or be meant for what is still to come.
fn idle(done: &IgnoreDone, undo: bool) -> Option<&'static str> {
    let none = "nothing that goes by it waits for a SKU now; what comes later is left out: see that it is written as the channel \
        has it (`evenkeel map list --unmatched`), `--undo` takes it back";
    (done.waiting == 0 && !undo).then_some(none)
}

/// Reads the CSV. Returns every problem of the file at once, with its line.
fn parse(text: &[u8]) -> Result<Vec<MapRow>, Bad<MapRow>> {
    let kinds = IdKind::ALL.map(IdKind::name).into_iter();
    let columns: Vec<&str> = ["sku", "channel"].into_iter().chain(kinds).chain([TITLE]).collect();
    let sheet = Sheet { columns: &columns, needed: &columns[..2], exact: true };
    sheet.read(text, row)
}

/// Reads one row, or tells all that is wrong with it. A row without a SKU is one that nobody has filled in yet: it is
/// left out.
fn row(line: u64, fields: &Fields<'_>) -> Result<Option<MapRow>, Vec<String>> {
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    if field("sku").is_empty() {
        return Ok(None);
    }
    let kinds = IdKind::ALL.map(IdKind::name).into_iter();
    // A thing is the same SKU at all of a channel's locations.
    let kinds = kinds.filter(|kind| *kind != IdKind::Location.name());
    let ids: Ids =
        kinds.filter(|k| !field(k).is_empty()).map(|k| (k.to_owned(), field(k).to_owned())).collect();
    let sku = field("sku").parse().map_err(|bad: BadId| bad.to_string());
    let channel = field("channel").parse().map_err(|bad: BadId| bad.to_string());
    let none = ids.is_empty().then(|| "it names no identifier".to_owned());
    match (sku, channel, none) {
        (Ok(sku), Ok(channel), None) => Ok(Some(MapRow { sku, channel, ids, from: None, line: Some(line) })),
        (sku, channel, none) => Err([sku.err(), channel.err(), none].into_iter().flatten().collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sheet;
    use crate::web::view::{EffectView, Unmapped, Unmatched};

    #[test]
    fn who_ignores_what_nothing_goes_by_is_told_so() {
        let check = |waiting: usize, undo: bool, told: bool| {
            let done =
                IgnoreDone { dry_run: false, waiting, effect: EffectView::default(), notes: Vec::new() };
            assert_eq!(idle(&done, undo).is_some(), told, "{waiting} {undo}");
        };
        check(0, false, true);
        check(1, false, false);
        check(0, true, false);
    }

    #[test]
    fn rows_are_read_with_quotes_bom_and_empty_columns() {
        let text = b"\xef\xbb\xbfsku,channel,asin,channel_sku\nTSHIRT-BL-M,us,B0XYZ123,\n\"A,B\",main,,\"x \"\"y\"\"\"\n,us,B0,\n";
        let rows = parse(text).expect("good");
        let told: Vec<String> =
            rows.iter().map(|r| format!("{} {} {}", r.sku, r.channel, names(&r.ids))).collect();
        assert_eq!(told, ["TSHIRT-BL-M us asin=B0XYZ123", "A,B main channel_sku=x \"y\""]);
    }

    #[test]
    fn items_and_order_lines_that_wait_are_written_with_one_row_for_each_way_to_name_them() {
        let ids = |sku: &str| Ids::from([("channel_sku".to_owned(), sku.to_owned())]);
        let channel = || ChannelId::new("us").expect("a name");
        let why = || "no SKU has this code".to_owned();
        let item = |sku: &str| Unmatched {
            channel: channel(),
            ids: ids(sku),
            title: None,
            why: why(),
            since: crate::web::view::Time(crate::model::Timestamp::ZERO),
        };
        let line = |line: &str, ids: Ids| Unmapped {
            channel: channel(),
            order: "1".parse().expect("an id"),
            line: line.parse().expect("an id"),
            ids,
            why: why(),
        };
        let mapping = Mapping {
            unmatched: vec![item("A")],
            unmapped: vec![
                line("1", ids("A")),
                line("2", ids("B")),
                line("3", ids("B")),
                line("4", Ids::default()),
            ],
            ..Mapping::default()
        };
        let text = written(&mapping).expect("written");
        assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), [",us,A,,,,,,,", ",us,B,,,,,,,"]);
        assert_eq!(parse(text.as_bytes()), Ok(Vec::new()), "nobody has filled it in yet");
    }

    #[test]
    fn what_waits_is_written_with_what_the_channel_calls_it_and_that_says_nothing_when_it_is_read() {
        for (title, want) in [
            ("=1+1", "'=1+1"),
            ("+49 mug", "'+49 mug"),
            ("-10% mug", "'-10% mug"),
            ("@mug", "'@mug"),
            ("\t=1", "'\t=1"),
            ("Mug = red", "Mug = red"),
            ("", ""),
        ] {
            assert_eq!(unformulated(title.to_owned()), want, "a spreadsheet computes nothing of it");
        }
        let item = |sku: &str, title: Option<&str>| Unmatched {
            channel: ChannelId::new("us").expect("a name"),
            ids: Ids::from([("channel_sku".to_owned(), sku.to_owned())]),
            title: title.map(str::to_owned),
            why: String::new(),
            since: crate::web::view::Time(crate::model::Timestamp::ZERO),
        };
        let unmatched = vec![item("A", Some("Mug, red")), item("B", None), item("-C", Some("=1+1"))];
        let text = written(&Mapping { unmatched, ..Mapping::default() }).expect("written");
        assert!(text.lines().next().is_some_and(|header| header.ends_with(",title")), "{text}");
        assert!(text.contains(",us,A,") && text.contains(",\"Mug, red\""), "{text}");
        assert!(text.contains(",us,-C,") && text.contains(",'=1+1\n"), "{text}");
        let filled = text.replacen("\n,us,A", "\nMUG,us,A", 1).replacen("\n,us,-C", "\nCUP,us,-C", 1);
        let rows = parse(filled.as_bytes()).expect("good");
        let told: Vec<String> = rows.iter().map(|r| format!("{} {}", r.sku, names(&r.ids))).collect();
        assert_eq!(told, ["MUG channel_sku=A", "CUP channel_sku=-C"]);
    }

    #[test]
    fn identifiers_name_their_kind_or_are_the_channels_sku() {
        let told = |text: &str| identifiers(text).map(|ids| names(&ids));
        assert_eq!(told("ANY/Text, with a comma").as_deref(), Ok("channel_sku=ANY/Text, with a comma"));
        assert_eq!(told("asin=B0XYZ12345,barcode=1").as_deref(), Ok("asin=B0XYZ12345 barcode=1"));
        assert_eq!(told("channel_sku=A,B=C"), told("B=C"), "a kind that is none is not a part of a SKU");
        assert_eq!(told("channel_sku=A,B,asin=X").as_deref(), Ok("asin=X channel_sku=A,B"));
        for (bad, why) in
            [("upc=1", "no kind of identifier `upc`"), ("asin=", "no value"), ("asin=A,asin=B", "twice")]
        {
            assert!(told(bad).is_err_and(|told| told.contains(why)), "{bad}");
        }
    }

    #[test]
    fn every_problem_of_a_file_is_told_with_its_line() {
        let wrong = parse(b"sku,channel,upc\r\n A,us,1\r\n\r\nB,US,1\r\nC,us,1\r\n").expect_err("bad").wrong;
        assert_eq!(wrong.len(), 6, "{wrong:?}");
        assert!(
            wrong[0].contains("upc")
                && wrong[1].starts_with("line 2")
                && wrong[5].starts_with("line 5: it names no identifier")
        );
    }

    #[test]
    fn fuzzed() {
        let samples = ["sku,channel,inventory_item,asin\nA,shop,11,\nB,amz,,B0XYZ12345\n,amz,,B0XYZ12346\n"];
        sheet::fuzzed(bolero::check!(), &samples, parse);
    }
}
