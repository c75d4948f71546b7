//! `evenkeel count`: what a person has counted, one SKU or a file of them.

mod file;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::{
    cli::{Failure, Global, client::Client, failure::Kind, init, input, once::Once, print, sheet::lines_of},
    clock::{Clock as _, SystemClock},
    model::{LocationId, Measure, Quantity, Sku, counted, shell, which},
    web::view::{
        CountRequest, CountTally, CountedLine, InitDone, InitPreview, LeftOutLine, OPEN_FIRST, Outbox, Time,
        TransferredSince, UNOPENED,
    },
};

/// How many lines of a file that are left out are named.
const SOME: usize = 20;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Count {
    #[command(subcommand)]
    command: Option<Import>,
    #[arg(required = true)]
    sku: Option<Sku>,
    #[arg(required = true)]
    location: Option<LocationId>,
    /// The units that were counted.
    #[arg(required = true, value_parser = units, allow_negative_numbers = true)]
    quantity: Option<Quantity>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Subcommand)]
enum Import {
    /// Take over a CSV file (`-`: standard input) with the columns sku, location, quantity, and perhaps as_of and note.
    Import(File),
}

#[derive(Debug, Args)]
struct File {
    file: PathBuf,
    /// Where rows were counted that name no location.
    #[arg(long)]
    location: Option<LocationId>,
    /// All that lies at the locations of the file is in it: what has stock there and is not named, is counted as zero.
    #[arg(long)]
    full: bool,
    /// Leave out the rows of SKUs that are not known. Otherwise nothing is taken over where there are such.
    #[arg(long, conflicts_with = "full")]
    skip_unknown: bool,
    /// Open the stock with it, once, in place of `evenkeel init`.
    #[arg(long, conflicts_with = "full")]
    opening: bool,
    /// With `--opening`: name every listing that will show something else. So does --json.
    #[arg(long, requires = "opening")]
    all: bool,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// When it was counted, such as 2026-11-23T08:00:00Z, at most seven days ago; now, if not given.
    #[arg(long, value_name = "TIME")]
    as_of: Option<Time>,
    /// What was counted: all that lies there, sold or not, or what is left to be sold.
    #[arg(long, value_enum, default_value = "on-hand")]
    measure: Counted,
    /// Why, or by whom, for the journal.
    #[arg(long, default_value = "")]
    note: String,
    /// Only show what would be done.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Do not ask. What the brake holds waits as a dead letter.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    once: Once,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Counted {
    OnHand,
    Free,
}

fn units(text: &str) -> Result<Quantity, String> {
    input::units(text, 0)
}

pub(super) fn run(global: &Global, count: Count) -> Result<(), Failure> {
    if let Some(Import::Import(file)) = count.command {
        return import(global, file);
    }
    let (Some(sku), Some(location), Some(quantity)) = (count.sku, count.location, count.quantity) else {
        return Err(Failure::new(Kind::Usage, "name a SKU, a location and the units")
            .next("`evenkeel count SKU LOCATION UNITS`, or `evenkeel count import FILE`; `--help` tells more")
            .as_json(global.json));
    };
    let (as_of, note) = (None, count.how.note.clone());
    let line = CountedLine { line: None, sku, location, quantity, as_of, note };
    take_over(global, &count.how, request(&count.how, vec![line], false, false)?)
}

/// The as-of is fixed here: a repeat after a lost answer must not claim to have counted later.
fn request(
    how: &How,
    lines: Vec<CountedLine>,
    full: bool,
    skip_unknown: bool,
) -> Result<CountRequest, Failure> {
    let measure = match how.measure {
        Counted::OnHand => Measure::OnHand,
        Counted::Free => Measure::Free,
    };
    let as_of = Some(how.as_of.unwrap_or_else(|| Time(SystemClock.now())));
    let request = Some(how.once.id());
    Ok(CountRequest { lines, measure, as_of, full, believed: false, skip_unknown, request })
}

fn import(global: &Global, file: File) -> Result<(), Failure> {
    let text = input::file(global, &file.file)?;
    let lines = file::parse(&text, file.location.as_ref(), &file.how.note).map_err(|mut bad| {
        let mut next = "mend the lines named; nothing was taken over";
        if is_unopened(global) {
            bad.wrong.insert(0, UNOPENED.to_owned());
            next = OPEN_FIRST;
        }
        bad.told(global, next, |client, lines| {
            let Ok(asked) = request(&file.how, lines, false, file.skip_unknown) else { return Vec::new() };
            if file.opening {
                return lines_of::<InitPreview>(client.post("/v1/count/opening/preview", &asked));
            }
            lines_of::<CountTally>(client.post("/v1/count/preview", &asked))
        })
    })?;
    let asked = request(&file.how, lines, file.full, file.skip_unknown)?;
    if file.opening {
        return open(global, &file.how, &asked, file.all);
    }
    take_over(global, &file.how, asked)
}

/// Tells whether the daemon says that there is no opening stock yet.
fn is_unopened(global: &Global) -> bool {
    let told = Client::new(global).and_then(|client| client.get::<Outbox>("/v1/outbox?limit=1"));
    told.is_ok_and(|told| told.unopened)
}

fn open(global: &Global, how: &How, asked: &CountRequest, all: bool) -> Result<(), Failure> {
    let client = Client::new(global)?.patient();
    if !how.yes {
        let path = format!("/v1/count/opening/preview?all={}", all || global.json);
        let preview: InitPreview = client.post(&path, asked)?;
        print::answer(global.json, &preview, |preview| init::tell(preview, all))?;
        if how.dry_run {
            return Ok(());
        }
        if !input::confirmed(
            "Take over this stock? Unless the mode is `shadow`, channels are written to from then on.",
        )? {
            return Err(nothing(global));
        }
    }
    let done: InitDone = client.post("/v1/count/opening", asked)?;
    print::answer(global.json, &done, |done| init::told(done, how.yes))
}

fn take_over(global: &Global, how: &How, mut asked: CountRequest) -> Result<(), Failure> {
    let client = Client::new(global)?;
    if !how.yes {
        let preview: CountTally = client.post("/v1/count/preview", &asked)?;
        print::answer(global.json, &preview, |tally| tell(tally, "would be"))?;
        if let Some(failure) = none_taken(&preview) {
            return Err(failure.as_json(global.json));
        }
        if how.dry_run {
            return Ok(());
        }
        let question = match &preview.brake {
            Some(why) => format!("The brake would hold this: {why}. Take it over all the same?"),
            None => "Take this count over?".to_owned(),
        };
        if !input::confirmed(&question)? {
            return Err(nothing(global));
        }
        asked.believed = preview.brake.is_some();
    }
    let id = asked.request.clone().unwrap_or_else(|| how.once.id());
    let as_of = asked.as_of.map_or_else(String::new, |as_of| format!(" --as-of {}", shell(as_of)));
    let done: CountTally =
        client.post("/v1/count", &asked).map_err(|failed| how.once.lost(failed, &id, &as_of))?;
    print::answer(global.json, &done, |tally| tell(tally, "were"))?;
    match (&done.held, &done.brake) {
        (Some(held), why) => {
            let why = why.as_deref().unwrap_or("it moves too much");
            Err(Failure::new(Kind::Refused, format!("the brake holds this count: {why}"))
                .next(format!("`evenkeel dead-letters retry {held}` takes it over, `discard` throws it away"))
                .as_json(global.json))
        }
        (None, _) => none_taken(&done).map_or(Ok(()), |failure| Err(failure.as_json(global.json))),
    }
}

/// Fails if nothing of a count was taken over, or would be: every line of it was left out.
fn none_taken(tally: &CountTally) -> Option<Failure> {
    let taken = tally.changed + tally.unchanged;
    if taken > 0 || tally.again || tally.held.is_some() {
        return None;
    }
    let why = match &tally.left_out[..] {
        [] => return None,
        [one] => format!("the count was not taken over: {}", at(one)),
        many => format!("nothing of the count was taken over: all {} lines of it are left out", many.len()),
    };
    let next = match &tally.left_out[..] {
        [one] => format!("see what is known with `evenkeel sku {}`, and count again", shell(&one.sku)),
        _ => "each line that is left out is named with its reason; mend these, or count again".to_owned(),
    };
    Some(Failure::new(Kind::Refused, why).next(next))
}

fn at(line: &LeftOutLine) -> String {
    let told = format!("SKU `{}` at `{}`: {}", line.sku, line.location, line.why);
    match line.line {
        Some(n) => format!("line {n}: {told}"),
        None => told,
    }
}

fn nothing(global: &Global) -> Failure {
    Failure::new(Kind::Refused, "nothing was taken over")
        .next("say `y` at the question, or run with --yes")
        .as_json(global.json)
}

/// Says in one line what a count does, and nothing of what it does not.
fn summed(tally: &CountTally, verb: &str) -> String {
    let CountTally { changed, unchanged, up, down, zeroed, opened, .. } = *tally;
    let down_units = tally.down_units.neg().unwrap_or(tally.down_units);
    let mut moved = Vec::new();
    if up > 0 {
        moved.push(format!("{up} up by {}", counted(tally.up_units, "unit")));
    }
    if down > 0 {
        moved.push(format!("{down} down by {}", counted(down_units, "unit")));
    }
    if zeroed > 0 {
        moved.push(format!("{zeroed} of them to zero"));
    }
    let mut parts = match changed {
        0 => vec![format!("no stock {} changed", if verb == "were" { "was" } else { verb })],
        _ => {
            let verb = if verb == "were" { which(changed, "was", "were") } else { verb };
            vec![format!("{} {verb} changed ({})", counted(changed, "stock"), moved.join(", "))]
        }
    };
    let more = [(opened, "opened"), (unchanged, "as before")];
    parts.extend(more.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    if !tally.left_out.is_empty() {
        parts.push(format!("{} left out", counted(tally.left_out.len(), "line")));
    }
    parts.join("; ")
}

/// Says what of transfers after the as-of is taken off a count, and what is not added to it.
fn since(of: &TransferredSince) -> Vec<String> {
    let TransferredSince { sku, location, left, came } = of;
    let went = |units: Quantity| format!("{} {}", counted(units, "unit"), which(units, "was", "were"));
    let mut all = Vec::new();
    if *left > Quantity::ZERO {
        let went = went(*left);
        all.push(format!(
            "{sku} at {location}: {went} transferred from here after the count, and taken off it"
        ));
    }
    if *came > Quantity::ZERO {
        let went = went(*came);
        all.push(format!(
            "{sku} at {location}: {went} transferred to here after the count, and not added: if they are not in the number, \
             count again"
        ));
    }
    all
}

fn tell(tally: &CountTally, verb: &str) {
    // Of the only line of a count, the failure says why it is left out.
    if tally.left_out.len() == 1 && none_taken(tally).is_some() {
        return tally.notes.iter().for_each(|note| print::line(note));
    }
    if tally.again {
        print::line("this was done before; nothing was changed");
        return;
    }
    tally.notes.iter().for_each(|note| print::line(note));
    let held = tally.brake.as_ref().filter(|_| verb == "would be");
    let verb = if tally.held.is_some() { "would be" } else { verb };
    print::line(&summed(tally, verb));
    for change in &tally.some {
        let (sku, location) = (&change.sku, &change.location);
        print::line(&format!("  {sku} at {location}: {} -> {}", change.before, change.after));
    }
    if tally.changed > tally.some.len() {
        print::line(&format!("  and {} more", tally.changed - tally.some.len()));
    }
    let since: Vec<String> = tally.transferred.iter().flat_map(since).collect();
    since.iter().take(SOME).for_each(|line| print::line(line));
    if since.len() > SOME {
        print::line(&format!("and {} more transfers; --json names all", since.len() - SOME));
    }
    for line in tally.left_out.iter().take(SOME) {
        print::line(&format!("left out: {}", at(line)));
    }
    if tally.left_out.len() > SOME {
        print::line(&format!("left out: {} more; --json names all", tally.left_out.len() - SOME));
    }
    if let Some(why) = held {
        print::line(&format!("the brake would hold it, for a person to answer as a dead letter: {why}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_count_does_is_summed_up_without_noughts() {
        let check = |tally: CountTally, verb: &str, want: &str| assert_eq!(summed(&tally, verb), want);
        let (one, two) = (Quantity::new(1), Quantity::new(2));
        let none = CountTally::default;
        check(none(), "were", "no stock was changed");
        check(
            CountTally { unchanged: 1, opened: 1, ..none() },
            "would be",
            "no stock would be changed; 1 opened; 1 as before",
        );
        let up = CountTally { changed: 1, up: 1, up_units: one, ..none() };
        check(up, "were", "1 stock was changed (1 up by 1 unit)");
        let told = |left, came| {
            let [left, came] = [left, came].map(Quantity::new);
            let (sku, location) = ("A".parse().expect("a SKU"), "store".parse().expect("a location"));
            since(&TransferredSince { sku, location, left, came })
        };
        assert_eq!(
            told(4, 0),
            ["A at store: 4 units were transferred from here after the count, and taken off it"]
        );
        let came = "A at store: 1 unit was transferred to here after the count, and not added: if they are not in the \
                    number, count again";
        assert_eq!(told(0, 1), [came]);
        let down_units = Quantity::new(-1);
        let both = CountTally { changed: 2, up: 1, up_units: two, down: 1, down_units, zeroed: 1, ..none() };
        check(both, "were", "2 stocks were changed (1 up by 2 units, 1 down by 1 unit, 1 of them to zero)");
    }
}
