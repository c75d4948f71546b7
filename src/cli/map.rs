//! `evenkeel map`: the mapping between SKUs and what channels call them, as CSV and back.
//!
//! The CSV has a row per listing: `sku,channel`, then a column for each kind of identifier.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use crate::{
    cli::{Failure, Global, client::Client, failure::Kind, input, lines::Lines, print},
    model::{ChannelId, IdKind},
    web::view::{Ids, MapImport, MapImported, MapRow, Mapping},
};

#[derive(Debug, Subcommand)]
pub(super) enum Map {
    /// Show the mapping table, what is bound, or what waits for a row.
    List(List),
    /// Add rows to the mapping table from a CSV file (`-`: standard input).
    Import {
        file: PathBuf,
        /// Only check the file.
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the mapping as CSV to standard output.
    Export(List),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// What waits for a row: catalogue items and order lines that no SKU was found for.
    #[arg(long, conflicts_with = "listings")]
    unmatched: bool,
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
        Map::Import { file, dry_run } => import(global, file, *dry_run),
    }
}

/// Asks for all pages.
fn fetch(client: &Client, list: &List) -> Result<Mapping, Failure> {
    let mut all = Mapping::default();
    let mut after: Option<String> = None;
    loop {
        let mut path = format!("/v1/map?unmatched={}&listings={}", list.unmatched, list.listings);
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
        match page.next {
            None => return Ok(all),
            Some(next) => after = Some(next),
        }
    }
}

fn show(global: &Global, list: &List) -> Result<(), Failure> {
    let mapping = fetch(&Client::new(global)?, list)?;
    print::answer(global.json, &mapping, |mapping| {
        if list.unmatched {
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
    let mut csv = csv::Writer::from_writer(Vec::new());
    let kinds = IdKind::ALL.map(IdKind::name);
    let wrong = |error: csv::Error| Failure::new(Kind::Failed, error);
    csv.write_record(["sku", "channel"].into_iter().chain(kinds)).map_err(wrong)?;
    let waiting = mapping.unmatched.iter().map(|u| (String::new(), u.channel.to_string(), &u.ids));
    let rows = mapping.rows.iter().map(|r| (r.sku.to_string(), r.channel.to_string(), &r.ids));
    for (sku, channel, ids) in rows.chain(waiting) {
        let ids = kinds.iter().map(|kind| ids.get(*kind).cloned().unwrap_or_default());
        csv.write_record([sku, channel].into_iter().chain(ids)).map_err(wrong)?;
    }
    let text = csv.into_inner().map_err(|error| Failure::new(Kind::Failed, error.to_string()))?;
    print::raw(&String::from_utf8_lossy(&text));
    Ok(())
}

fn import(global: &Global, file: &Path, dry_run: bool) -> Result<(), Failure> {
    let text = input::file(global, file)?;
    let rows = parse(&text).map_err(|wrong| {
        Failure::new(Kind::Refused, wrong.join("\n"))
            .next("mend the lines named; nothing was imported")
            .as_json(global.json)
    })?;
    let count = rows.len();
    if dry_run {
        let imported = MapImported { rows: count, bound: 0, unmatched: 0 };
        return print::answer(global.json, &imported, |i| print::line(&format!("{} rows are good", i.rows)));
    }
    let imported: MapImported = Client::new(global)?.post("/v1/map", &MapImport { rows })?;
    print::answer(global.json, &imported, |i| {
        let told = format!(
            "{} rows imported; {} items found their SKU, {} still have none",
            i.rows, i.bound, i.unmatched
        );
        print::line(&told);
    })
}

/// Reads the CSV. Returns every problem of the file at once, with its line.
fn parse(text: &[u8]) -> Result<Vec<MapRow>, Vec<String>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut csv = csv::ReaderBuilder::new().trim(csv::Trim::None).from_reader(text);
    let header = csv.headers().map_err(|error| vec![error.to_string()])?.clone();
    let known =
        |name: &str| ["sku", "channel"].contains(&name) || IdKind::ALL.iter().any(|kind| kind.name() == name);
    let mut wrong: Vec<String> = header
        .iter()
        .filter(|name| !known(name))
        .map(|name| format!("line 1: there is no column `{name}`"))
        .collect();
    let mut rows = Vec::new();
    let mut lines = Lines::of(text);
    for record in csv.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                wrong.push(error.to_string());
                continue;
            }
        };
        let line = lines.begin(record.position());
        let fields: BTreeMap<&str, &str> = header.iter().zip(record.iter()).collect();
        match row(&fields) {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => {}
            Err(why) => wrong.push(format!("line {line}: {why}")),
        }
    }
    if wrong.is_empty() { Ok(rows) } else { Err(wrong) }
}

/// Reads one row. A row without a SKU is one that nobody has filled in yet: it is left out.
fn row(fields: &BTreeMap<&str, &str>) -> Result<Option<MapRow>, String> {
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    if field("sku").is_empty() {
        return Ok(None);
    }
    let sku = field("sku").parse().map_err(|bad: crate::model::ids::BadId| bad.to_string())?;
    let channel = field("channel").parse().map_err(|bad: crate::model::ids::BadId| bad.to_string())?;
    let kinds = IdKind::ALL.map(IdKind::name).into_iter();
    // A thing is the same SKU at all of a channel's locations.
    let kinds = kinds.filter(|kind| *kind != IdKind::Location.name());
    let ids: Ids =
        kinds.filter(|k| !field(k).is_empty()).map(|k| (k.to_owned(), field(k).to_owned())).collect();
    if ids.is_empty() {
        return Err("it names no identifier".to_owned());
    }
    Ok(Some(MapRow { sku, channel, ids, from: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_with_quotes_bom_and_empty_columns() {
        let text = b"\xef\xbb\xbfsku,channel,asin,channel_sku\nTSHIRT-BL-M,us,B0XYZ123,\n\"A,B\",main,,\"x \"\"y\"\"\"\n,us,B0,\n";
        let rows = parse(text).expect("good");
        let told: Vec<String> =
            rows.iter().map(|r| format!("{} {} {}", r.sku, r.channel, names(&r.ids))).collect();
        assert_eq!(told, ["TSHIRT-BL-M us asin=B0XYZ123", "A,B main channel_sku=x \"y\""]);
    }

    #[test]
    fn every_problem_of_a_file_is_told_with_its_line() {
        let wrong = parse(b"sku,channel,upc\r\n A,us,1\r\n\r\nB,US,1\r\nC,us,1\r\n").expect_err("bad");
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        assert!(
            wrong[0].contains("upc")
                && wrong[1].starts_with("line 2")
                && wrong[3].starts_with("line 5: it names no identifier")
        );
    }
}
