//! `evenkeel set`, `evenkeel transfer` and `evenkeel receive`: what a person wants of several listings or places at
//! once. All of it is done, or nothing.

mod file;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

use crate::{
    cli::{
        Failure, Global,
        client::{Client, part},
        commits,
        drift::listed,
        failure::Kind,
        input, print,
        sheet::lines_of,
    },
    core::intent::Phase,
    model::{ChannelId, LocationId, Quantity, Seq, Sku, counted},
    web::view::intents::{
        Commits, IntentAnswer, IntentRequest, IntentRow, IntentView, MovedView, ReceiveRequest, ShownView,
    },
};

/// How often a command that waits asks.
const ASK_EVERY: Duration = Duration::from_millis(300);
/// How many listings people are shown one by one.
const SHOWN: usize = 40;

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true
)]
pub(super) struct Set {
    #[command(subcommand)]
    import: Option<Import>,
    #[arg(required = true)]
    sku: Option<Sku>,
    #[arg(required = true)]
    channel: Option<ChannelId>,
    /// The most units that it may show; `none`: no limit but the configured one.
    #[arg(required = true, value_parser = most, allow_negative_numbers = true)]
    quantity: Option<Most>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    arg_required_else_help = true,
    override_usage = "evenkeel transfer SKU UNITS --from LOCATION --to LOCATION [OPTIONS]\n       \
                      evenkeel transfer SKU UNITS --from-channel CHANNEL --to-channel CHANNEL [OPTIONS]\n       \
                      evenkeel transfer import FILE [OPTIONS]"
)]
pub(super) struct Transfer {
    #[command(subcommand)]
    import: Option<TransferImport>,
    #[arg(required = true)]
    sku: Option<Sku>,
    #[arg(required = true, value_name = "UNITS", value_parser = units, allow_negative_numbers = true)]
    quantity: Option<Quantity>,
    /// The location that the units leave.
    #[arg(long, value_name = "LOCATION", requires = "to", conflicts_with_all = ["from_channel", "to_channel"], required_unless_present = "from_channel")]
    from: Option<LocationId>,
    /// The location that they go to.
    #[arg(long, value_name = "LOCATION", requires = "from")]
    to: Option<LocationId>,
    /// The channel that may show less.
    #[arg(long, value_name = "CHANNEL", requires = "to_channel")]
    from_channel: Option<ChannelId>,
    /// The channel that may show more.
    #[arg(long, value_name = "CHANNEL", requires = "from_channel")]
    to_channel: Option<ChannelId>,
    #[command(flatten)]
    places: Places,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Clone, Copy, Args)]
struct Places {
    /// The units travel: they are sold nowhere until `evenkeel receive` says that they have arrived.
    #[arg(long)]
    in_transit: bool,
    /// Take units too that are sold or reserved where they are, down to what is on hand. Orders that they were for are
    /// then to be filled from elsewhere.
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Subcommand)]
enum Import {
    /// Set all rows of a CSV file (`-`: standard input) at once: `sku,channel,quantity`.
    Import {
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Subcommand)]
enum TransferImport {
    /// Make all transfers of a CSV file (`-`: standard input) at once: `sku,quantity` and `from,to` (locations) or
    /// `from_channel,to_channel`.
    Import {
        file: PathBuf,
        #[command(flatten)]
        places: Places,
        #[command(flatten)]
        how: How,
    },
}

#[derive(Debug, Args)]
struct How {
    /// Only tell what would change.
    #[arg(long)]
    dry_run: bool,
    /// Do it even if the brake holds it.
    #[arg(long)]
    yes: bool,
    /// Wait for the end; exit code 5 if it is rolled back. Interrupting this ends only the waiting.
    #[arg(long)]
    wait: bool,
    /// Raise as soon as the lowers are seen live, though a write from before might still undo one.
    #[arg(long)]
    seen: bool,
    /// Roll back if the lowers are not made within this time, such as `30m`.
    #[arg(long, value_parser = span, value_name = "TIME")]
    within: Option<i64>,
    /// Why, for the journal.
    #[arg(long, default_value = "")]
    note: String,
    /// What this request goes by: said again, it is the same one and not another.
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    id: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Receive {
    /// The transfer, as `evenkeel commits` lists it, or the name that it was given with `--id`.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    id: String,
    /// How many units have come; all that are on the way, if not given.
    #[arg(long, value_parser = units, allow_negative_numbers = true)]
    quantity: Option<Quantity>,
    /// Which SKU, if several are on the way.
    #[arg(long)]
    sku: Option<Sku>,
    /// From which location, if the SKU comes from several.
    #[arg(long)]
    from: Option<LocationId>,
    /// To which location, if the SKU goes to several.
    #[arg(long)]
    to: Option<LocationId>,
    /// Nothing more will come.
    #[arg(long, requires = "lost")]
    close: bool,
    /// With `--close`: what is still on the way is written off.
    #[arg(long, requires = "close")]
    lost: bool,
    /// Why, or by whom, for the journal.
    #[arg(long, default_value = "")]
    note: String,
}

/// A limit, or none.
#[derive(Debug, Clone, Copy)]
struct Most(Option<Quantity>);

fn most(text: &str) -> Result<Most, String> {
    if text == "none" {
        return Ok(Most(None));
    }
    let units = input::units(text, 0).map(|units| Most(Some(units)));
    units.map_err(|must| format!("{must}, or `none`"))
}

fn units(text: &str) -> Result<Quantity, String> {
    input::units(text, 1)
}

fn span(text: &str) -> Result<i64, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "must be a time such as `30m` or `2h`")?;
    i64::try_from(span.as_millis()).ok().filter(|ms| *ms > 0).ok_or("must be above zero".into())
}

fn row(sku: Sku) -> IntentRow {
    let (line, quantity, channel) = (None, None, None);
    let (from_channel, to_channel, from, to) = (None, None, None, None);
    IntentRow { line, sku, quantity, channel, from_channel, to_channel, from, to }
}

pub(super) fn set(global: &Global, set: Set) -> Result<(), Failure> {
    if let Some(Import::Import { file, how }) = set.import {
        let rows = file::read(global, &file, file::Shape::Set, look(None, &how))?;
        return intend(global, rows, None, how);
    }
    let (Some(sku), Some(quantity)) = (set.sku, set.quantity) else { unreachable!("clap requires them") };
    let row = IntentRow { channel: set.channel, quantity: quantity.0, ..row(sku) };
    intend(global, vec![row], None, set.how)
}

pub(super) fn transfer(global: &Global, transfer: Transfer) -> Result<(), Failure> {
    if let Some(TransferImport::Import { file, places, how }) = transfer.import {
        let rows = file::read(global, &file, file::Shape::Transfer, look(Some(places), &how))?;
        return intend(global, rows, Some(places), how);
    }
    let Transfer { sku, quantity, from, to, from_channel, to_channel, places, how, .. } = transfer;
    let Some(sku) = sku else { unreachable!("clap requires it") };
    let row = IntentRow { quantity, from, to, from_channel, to_channel, ..row(sku) };
    intend(global, vec![row], Some(places), how)
}

fn request(rows: Vec<IntentRow>, places: Option<Places>, how: &How) -> IntentRequest {
    IntentRequest {
        id: how.id.clone(),
        rows,
        in_transit: places.is_some_and(|places| places.in_transit),
        force: places.is_some_and(|places| places.force),
        seen: how.seen,
        within_ms: how.within,
        note: how.note.clone(),
        yes: how.yes,
        dry_run: how.dry_run,
    }
}

/// Has the daemon say what it would refuse of rows.
fn look(places: Option<Places>, how: &How) -> impl FnOnce(&Client, Vec<IntentRow>) -> Vec<String> {
    move |client, rows| {
        let asked = IntentRequest { dry_run: true, ..request(rows, places, how) };
        lines_of::<IntentAnswer>(client.post("/v1/intents", &asked))
    }
}

fn intend(global: &Global, rows: Vec<IntentRow>, places: Option<Places>, how: How) -> Result<(), Failure> {
    let asked = request(rows, places, &how);
    let client = Client::new(global)?;
    let answer: IntentAnswer = client.post("/v1/intents", &asked)?;
    let Some(intent) = answer.intent.as_ref().filter(|_| how.wait) else {
        return print::answer(global.json, &answer, tell);
    };
    if !global.json {
        tell(&answer);
    }
    let ended = wait(&client, intent.id, global.json)?;
    if global.json {
        print::answer(true, &IntentAnswer { intent: Some(ended.clone()), ..answer }, |_| {})?;
    }
    outcome(&ended).map_err(|failure| failure.as_json(global.json))
}

/// Asks until an intent has ended, travels, or waits for a person.
fn wait(client: &Client, id: Seq, quiet: bool) -> Result<IntentView, Failure> {
    let mut told = None;
    loop {
        let commits: Commits = client.get(&format!("/v1/commits?intent={id}&limit=100"))?;
        let gone = || Failure::new(Kind::NotFound, format!("intent {id} is not known any more"));
        let intent = commits.intents.into_iter().next().ok_or_else(gone)?;
        let (phase, waiting) = (intent.phase, intent.waiting);
        if !quiet && told != Some((phase, waiting)) {
            let rest =
                if waiting > 0 { format!(", {} to go", counted(waiting, "listing")) } else { String::new() };
            print::line(&format!("{id} is {}{rest}", phase.name()));
            told = Some((phase, waiting));
        }
        if phase.ended() || phase == Phase::InTransit || (phase == Phase::Raising && intent.stuck) {
            return Ok(intent);
        }
        std::thread::sleep(ASK_EVERY);
    }
}

/// Says whether an intent came to a good end.
fn outcome(intent: &IntentView) -> Result<(), Failure> {
    let id = intent.id;
    match intent.phase {
        Phase::RolledBack | Phase::RollingBack => {
            let why = intent.undone.clone().unwrap_or_default();
            Err(Failure::new(Kind::Refused, format!("intent {id} was rolled back: {why}"))
                .next("what was lowered is put back; mend the cause and ask again"))
        }
        Phase::Raising => Err(Failure::new(
            Kind::Refused,
            format!("intent {id} has lowered everything, and a channel refuses a raise"),
        )
        .next("`evenkeel dead-letters list` tells why; retry it there")),
        Phase::Lowering | Phase::InTransit | Phase::Done => Ok(()),
    }
}

/// Says which units go, and what the places have before and after.
fn tell_moves(answer: &IntentAnswer) {
    let turns = |[before, after]: [Quantity; 2]| format!("{before} -> {after}");
    let row = |m: &MovedView| {
        let (from, to) = (&m.from, &m.to);
        [
            m.sku.to_string(),
            m.quantity.to_string(),
            from.location.to_string(),
            turns(from.on_hand),
            turns(from.available),
            to.location.to_string(),
            turns(to.on_hand),
            turns(to.available),
        ]
    };
    let rows: Vec<_> = answer.moves.iter().take(SHOWN).map(row).collect();
    if !rows.is_empty() {
        let header = ["sku", "units", "from", "on_hand", "available", "to", "on_hand", "available"];
        print::table(header, rows, "");
    }
}

/// Says what becomes of what a listing shows.
fn falls_or_rises(shown: &ShownView) -> &'static str {
    // What another writer shows, while that is asked about, may be less than ours.
    let less = shown.before.is_some() && shown.lowered > shown.before;
    match (shown.lowered < shown.before, less || shown.after > shown.lowered) {
        (true, true) => "falls, then rises",
        (true, false) => "falls",
        (false, true) => "rises",
        (false, false) => "stays",
    }
}

fn tell(answer: &IntentAnswer) {
    tell_moves(answer);
    let summary = answer.channels.iter().map(|c| {
        let [lowers, raises, zeroed] = [c.lowers, c.raises, c.zeroed].map(|n| n.to_string());
        [c.channel.to_string(), lowers, raises, zeroed]
    });
    let none = "no listing shows anything else";
    print::table(["channel", "lowers", "raises", "to zero"], summary.collect(), none);
    let row = |s: &ShownView| {
        let figures = [s.before, s.lowered, s.after].map(print::or_dash);
        let [before, lowered, after] = figures;
        let (sku, channel) = (s.sku.to_string(), s.channel.to_string());
        let listing = listed(&s.listing, &s.locations);
        [sku, channel, listing, before, lowered, after, falls_or_rises(s).to_owned()]
    };
    let shown: Vec<_> = answer.shown.iter().take(SHOWN).map(row).collect();
    if !shown.is_empty() {
        print::table(["sku", "channel", "listing", "shows", "first", "then", "what"], shown, "");
    }
    if answer.more || answer.shown.len() > SHOWN || answer.moves.len() > SHOWN {
        print::line("there are more; --json tells them");
    }
    answer.notes.iter().for_each(|note| print::line(&format!("note: {note}")));
    match &answer.intent {
        None => {
            let brake = answer.brake.as_ref();
            let held =
                brake.map(|why| format!("the brake would hold it ({why}); --yes does it all the same"));
            print::line(held.as_deref().unwrap_or("nothing was changed: this was a dry run"));
        }
        Some(intent) => {
            let (id, phase) = (intent.id, intent.phase.name());
            print::line(&format!("intent {id} is {phase}; `evenkeel commits --intent {id}` follows it"));
        }
    }
}

pub(super) fn receive(global: &Global, receive: Receive) -> Result<(), Failure> {
    let Receive { id, quantity, sku, from, to, lost, note, .. } = receive;
    let asked = ReceiveRequest { sku, from, to, quantity, lost, note };
    let intent: IntentView =
        Client::new(global)?.post(&format!("/v1/intents/{}/receive", part(&id)), &asked)?;
    print::answer(global.json, &intent, commits::tell_intent)
}
