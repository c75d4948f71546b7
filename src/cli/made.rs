//! `evenkeel bundles`, `merge` and `rebind`: what SKUs are made of, and corrections of what is what.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use crate::{
    cli::{
        Failure, Global,
        client::{self, Client},
        effect,
        failure::Kind,
        input, print,
        sheet::{Bad, Fields, Sheet, lines_of},
    },
    model::{ChannelId, IdKind, Quantity, Sku, counted, policy::Part},
    web::view::{
        Ids,
        made::{Bundle, BundleImport, Bundles, Corrected, Given, MergeRequest, RebindRequest, RecipeRow},
    },
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List every SKU that is made of others: bundles, and what was merged.
    List,
    /// Take recipes in from a CSV file (`-`: standard input) with the columns sku, component, units: one row for each
    /// component. All of the file counts, or nothing of it.
    Import {
        file: PathBuf,
        /// Only tell what would change.
        #[arg(long, conflicts_with = "confirm")]
        dry_run: bool,
        /// Take them over although they would change more than `[brake]` allows.
        #[arg(long, visible_alias = "yes")]
        confirm: bool,
        /// Also make bundles of SKUs with stock of their own: that stays in the books and is sold nowhere.
        #[arg(long)]
        set_aside: bool,
    },
    /// End what was imported for a bundle: the configuration's recipe counts again, if there is one.
    Remove {
        sku: Sku,
        /// Only tell what would change.
        #[arg(long, conflicts_with = "confirm")]
        dry_run: bool,
        /// Remove it although that would change more than `[brake]` allows.
        #[arg(long, visible_alias = "yes")]
        confirm: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Merge {
    /// The SKU that ends, or a name that no SKU has yet.
    from: Sku,
    /// The SKU that takes over its stock, its open orders and its listings.
    into: Sku,
    /// Only tell what would change.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct Rebind {
    channel: ChannelId,
    /// What the listing goes by there, such as `asin=B0XYZ12345` or `inventory_item=47223456`.
    #[arg(value_parser = identifier)]
    listing: (String, String),
    /// The SKU that it is.
    sku: Sku,
    /// Only tell what would change.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Reads what a listing goes by.
pub(super) fn identifier(text: &str) -> Result<(String, String), String> {
    let kinds = IdKind::ALL.map(IdKind::name);
    match text.split_once('=') {
        Some((kind, value)) if kinds.contains(&kind) && !value.is_empty() => {
            Ok((kind.to_owned(), value.to_owned()))
        }
        _ => {
            Err(format!("must be a kind and a value, such as `asin=B0XYZ12345`; kinds: {}", kinds.join(", ")))
        }
    }
}

pub(super) fn bundles(global: &Global, command: &Command) -> Result<(), Failure> {
    match command {
        Command::List => list(global),
        Command::Import { file, dry_run, confirm, set_aside } => {
            import(global, file, [*dry_run, *confirm, *set_aside])
        }
        Command::Remove { sku, dry_run, confirm } => {
            let rows = vec![RecipeRow { line: None, sku: sku.clone(), parts: Vec::new() }];
            let (dry_run, confirm) = (*dry_run, *confirm);
            put(global, &BundleImport { rows, dry_run, confirm, set_aside: false })
        }
    }
}

fn list(global: &Global) -> Result<(), Failure> {
    let client = Client::new(global)?;
    let mut all = Bundles { rows: Vec::new(), next: None };
    loop {
        let after = all.next.map(|sku| format!("?after={}", client::part(sku.as_str()))).unwrap_or_default();
        let page: Bundles = client.get(&format!("/v1/bundles{after}"))?;
        all.rows.extend(page.rows);
        all.next = page.next;
        if all.next.is_none() {
            break;
        }
    }
    print::answer(global.json, &all, |all| {
        let row = |bundle: &Bundle| {
            let parts: Vec<String> =
                bundle.parts.iter().map(|part| format!("{} x {}", part.units, part.sku)).collect();
            [bundle.sku.to_string(), parts.join(" + "), format!("{:?}", bundle.from).to_lowercase()]
        };
        print::table(
            ["sku", "made of", "from"],
            all.rows.iter().map(row).collect(),
            "no SKU is made of others",
        );
    })
}

fn import(global: &Global, file: &Path, [dry_run, confirm, set_aside]: [bool; 3]) -> Result<(), Failure> {
    let text = input::file(global, file)?;
    let rows = parse(&text).map_err(|bad| {
        bad.told(global, "mend the lines named; nothing was imported", |client, rows| {
            let asked = BundleImport { rows, dry_run: true, confirm: false, set_aside };
            lines_of::<Corrected>(client.post("/v1/bundles", &asked))
        })
    })?;
    put(global, &BundleImport { rows, dry_run, confirm, set_aside })
}

/// Has recipes taken over, or tells what that would do.
fn put(global: &Global, asked: &BundleImport) -> Result<(), Failure> {
    let done: Corrected = Client::new(global)?.post("/v1/bundles", asked)?;
    print::answer(global.json, &done, tell)?;
    match done.held {
        Some(why) if !asked.dry_run => {
            Err(Failure::new(Kind::Refused, format!("held: {why}; nothing was changed"))
                .next("if that is meant, run it with --confirm; otherwise mend the recipes")
                .as_json(global.json))
        }
        _ => Ok(()),
    }
}

/// Reads the CSV. Returns every problem of the file at once, with its line.
fn parse(text: &[u8]) -> Result<Vec<RecipeRow>, Bad<RecipeRow>> {
    let columns = ["sku", "component", "units"];
    let sheet = Sheet { columns: &columns, needed: &columns, exact: false };
    let read = sheet.read(text, |line, fields| part(fields).map(|(sku, part)| Some((line, sku, part))));
    read.map(collected).map_err(|Bad { rows, wrong }| Bad { rows: collected(rows), wrong })
}

/// Puts the components of each bundle together.
fn collected(parts: Vec<(u64, Sku, Part)>) -> Vec<RecipeRow> {
    let mut recipes: BTreeMap<Sku, (u64, Vec<Part>)> = BTreeMap::new();
    for (line, sku, part) in parts {
        recipes.entry(sku).or_insert((line, Vec::new())).1.push(part);
    }
    let row = |(sku, (line, parts))| RecipeRow { line: Some(line), sku, parts };
    recipes.into_iter().map(row).collect()
}

/// Reads one row, or tells all that is wrong with it.
fn part(fields: &Fields<'_>) -> Result<(Sku, Part), Vec<String>> {
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    let sku = |name: &str| -> Result<Sku, String> {
        field(name).parse().map_err(|bad: crate::model::ids::BadId| format!("{name}: {bad}"))
    };
    let units = field("units").parse::<i64>().ok().filter(|units| (1..=1_000_000).contains(units));
    let units = units.ok_or_else(|| format!("units must be 1 to 1000000, is `{}`", field("units")));
    match (sku("sku"), sku("component"), units) {
        (Ok(sku), Ok(component), Ok(units)) => {
            Ok((sku, Part { sku: component, units: Quantity::new(units) }))
        }
        (sku, component, units) => {
            Err([sku.err(), component.err(), units.err()].into_iter().flatten().collect())
        }
    }
}

pub(super) fn merge(global: &Global, asked: Merge) -> Result<(), Failure> {
    let Merge { from, into, dry_run, yes } = asked;
    let question = format!("Merge {from} into {into}? It cannot be undone.");
    let request = |dry_run| MergeRequest { from: from.clone(), into: into.clone(), dry_run };
    ask_and_do(global, "/v1/merge", &request, dry_run, yes, &question)
}

pub(super) fn rebind(global: &Global, asked: Rebind) -> Result<(), Failure> {
    let Rebind { channel, listing, sku, dry_run, yes } = asked;
    let question = format!("Give {}={} on {channel} to {sku}?", listing.0, listing.1);
    let ids = Ids::from([listing]);
    let request =
        |dry_run| RebindRequest { channel: channel.clone(), ids: ids.clone(), sku: sku.clone(), dry_run };
    ask_and_do(global, "/v1/rebind", &request, dry_run, yes, &question)
}

/// Shows what a correction would do, asks, and has it done.
fn ask_and_do<T: serde::Serialize>(
    global: &Global,
    path: &str,
    request: &dyn Fn(bool) -> T,
    dry_run: bool,
    yes: bool,
    question: &str,
) -> Result<(), Failure> {
    let client = Client::new(global)?;
    if dry_run || !yes {
        let would: Corrected = client.post(path, &request(true))?;
        if dry_run {
            return print::answer(global.json, &would, tell);
        }
        tell(&would);
        if !input::confirmed(question)? {
            return Err(Failure::new(Kind::Refused, "nothing was changed")
                .next("say `y` at the question, or run with --yes")
                .as_json(global.json));
        }
    }
    let done: Corrected = client.post(path, &request(false))?;
    print::answer(global.json, &done, tell)
}

/// Says what changed, or would: listings that move are named by themselves.
fn changed(done: &Corrected) -> String {
    let would = if done.dry_run { "would change" } else { "changed" };
    let lines = done.changed.saturating_sub(done.moved.len());
    match (done.moved.len(), lines) {
        (0, 0) => format!("nothing {would}: it is so already"),
        (0, _) => format!("{} {would}", counted(done.changed, "SKU")),
        (listings, lines) => {
            format!("{} and {} {would}", counted(listings, "listing"), counted(lines, "order line"))
        }
    }
}

fn tell_moved(moved: &[Given]) {
    let row = |given: &Given| {
        let ids = given.ids.iter().map(|(kind, id)| format!("{kind}={id}")).collect::<Vec<_>>().join(" ");
        let (channel, from, to) = (given.channel.to_string(), given.from.to_string(), given.to.to_string());
        let unsettled = match given.unsettled {
            0 => "-".to_owned(),
            n => n.to_string(),
        };
        [channel, ids, from, to, print::or_dash(given.shows), print::or_dash(given.desired), unsettled]
    };
    if !moved.is_empty() {
        let header = ["channel", "listing", "from", "to", "shows", "desired so far", "writes that may land"];
        print::table(header, moved.iter().map(row).collect(), "");
    }
}

fn tell(done: &Corrected) {
    tell_moved(&done.moved);
    done.notes.iter().for_each(|note| print::line(note));
    if !done.dry_run && done.held.is_none() {
        return print::line(&changed(done));
    }
    let entries = done.entries.iter().map(|entry| {
        [entry.sku.to_string(), entry.location.to_string(), entry.kind.clone(), entry.quantity.to_string()]
    });
    print::table(["sku", "location", "entry", "units"], entries.collect(), "nothing is booked");
    effect::tell(&done.effect);
    print::line(&match &done.held {
        Some(why) => format!("the brake holds it: {why}"),
        None => changed(done),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sheet;

    #[test]
    fn components_of_a_bundle_are_collected_and_every_problem_is_told() {
        let good =
            parse(b"\xef\xbb\xbfsku,component,units\r\nSET,A,1\r\nDUO, A ,2\r\nSET,B,2\r\n").expect("good");
        let told: Vec<_> = good.iter().map(|row| (row.sku.as_str(), row.parts.len())).collect();
        assert_eq!(told, [("DUO", 1), ("SET", 2)]);
        let wrong = parse(b"sku,component,units\nSET,A,0\nSET,,1\nSET,B,x\n").expect_err("bad").wrong;
        assert_eq!(wrong.len(), 3, "{wrong:?}");
        assert!(
            wrong[0].starts_with("line 2: units") && wrong[1].starts_with("line 3: component"),
            "{wrong:?}"
        );
        let wrong = parse(b"sku,component,units\r\nSET,A,1\r\n\r\nSET,B,x\r\n").expect_err("bad").wrong;
        assert!(wrong[0].starts_with("line 4: "), "{wrong:?}");
        assert!(parse(b"bundle,component\n").expect_err("bad").wrong[0].contains("no column `bundle`"));
        assert!(parse(b"sku,component,units\n").expect_err("bad").wrong[0].starts_with("there are no rows"));
    }

    #[test]
    fn what_changed_is_said_with_the_listings_that_moved() {
        let given = Given {
            channel: "main".parse().expect("a name"),
            ids: Ids::new(),
            from: "A".parse().expect("a SKU"),
            to: "B".parse().expect("a SKU"),
            shows: None,
            desired: None,
            unsettled: 0,
        };
        let of = |moved: Vec<Given>, changed: usize, dry_run: bool| Corrected {
            moved,
            changed,
            dry_run,
            ..Corrected::default()
        };
        assert_eq!(changed(&of(vec![given.clone()], 1, false)), "1 listing and 0 order lines changed");
        assert_eq!(changed(&of(vec![given], 3, true)), "1 listing and 2 order lines would change");
        assert_eq!(changed(&of(Vec::new(), 2, true)), "2 SKUs would change");
        assert_eq!(changed(&of(Vec::new(), 0, false)), "nothing changed: it is so already");
    }

    #[test]
    fn a_listing_is_named_by_kind_and_value() {
        assert_eq!(identifier("asin=B0"), Ok(("asin".to_owned(), "B0".to_owned())));
        for bad in ["B0", "asin=", "upc=1"] {
            assert!(identifier(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fuzzed() {
        sheet::fuzzed(bolero::check!(), &["sku,component,units\nSET,A,1\nSET,B,2\n"], parse);
    }
}
