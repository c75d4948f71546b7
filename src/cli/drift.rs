//! `evenkeel drift`: what another writer changed on a channel, and what is done about it; `evenkeel reconcile`:
//! the comparison of a channel with what it should show, now.

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    cli::{
        Failure, Global,
        client::Client,
        made::identifier,
        print::{self, span},
    },
    model::{ChannelId, LocationId, Quantity, Seq, Sku, counted},
    web::view::{
        Done, DriftRequest, DriftView, Drifts, ReconcilePage, ReconcileRequest, ReconcileRow, Status,
        TooSoonRow,
    },
};

/// The most pages of one channel.
const PAGES_MAX: usize = 10_000;
/// How many differences are printed one by one.
const SHOWN_MAX: usize = 200;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Drift {
    #[command(subcommand)]
    act: Option<Act>,
    /// Only this channel.
    #[arg(long)]
    channel: Option<ChannelId>,
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Take what the channel shows: an edit of the stock moves the ledger, anything else stays until the stock changes.
    Accept {
        #[command(flatten)]
        of: Of,
        /// What it should have shown, where that is not known: one of the quantities that `evenkeel drift` names.
        #[arg(long)]
        expected: Option<i64>,
    },
    /// Write ours again.
    Repair(Of),
    /// Go on with a listing that is held because two writers undo each other. Stop the other one first.
    Release(Of),
}

#[derive(Debug, Args)]
struct Of {
    sku: Sku,
    channel: ChannelId,
    /// Which of several listings of the SKU there, as `evenkeel drift` lists it, such as `location_id=655441491`.
    #[arg(long, value_name = "KIND=VALUE", value_parser = identifier)]
    listing: Vec<(String, String)>,
    /// The record of the drift that is meant, as `evenkeel drift` lists it: refused if another one is open by now.
    #[arg(long)]
    record: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct Reconcile {
    /// All channels, if none is named.
    channel: Option<ChannelId>,
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn drift(global: &Global, drift: Drift) -> Result<(), Failure> {
    let client = Client::new(global)?;
    let mut from = None;
    let (path, Of { sku, channel, listing, record }) = match drift.act {
        None => return list(global, &client, drift.channel.as_ref(), drift.limit),
        Some(Act::Accept { of, expected }) => {
            from = expected.map(Quantity::new);
            ("/v1/drift/accept", of)
        }
        Some(Act::Repair(of)) => ("/v1/drift/repair", of),
        Some(Act::Release(of)) => ("/v1/drift/release", of),
    };
    let (listing, seq) = (listing.into_iter().collect(), record.map(Seq));
    let done: Done = client.post(path, &DriftRequest { sku, channel, listing, seq, expected: from })?;
    print::answer(global.json, &done, |done| print::line(&done.done))
}

fn list(global: &Global, client: &Client, channel: Option<&ChannelId>, limit: usize) -> Result<(), Failure> {
    let channel = channel.map(|channel| format!("&channel={channel}")).unwrap_or_default();
    let drifts: Drifts = client.get(&format!("/v1/drift?limit={limit}{channel}"))?;
    print::answer(global.json, &drifts, |drifts| {
        let rows = drifts.rows.iter().map(row).collect();
        let header = [
            "channel", "sku", "listing", "age", "expected", "shown", "found", "done", "open", "record", "why",
        ];
        print::table(header, rows, "no listing was changed by another writer");
        if drifts.more {
            print::line("there are more; see --limit");
        }
    })
}

/// Names a listing, and where it draws its stock from.
pub(super) fn listed(name: &[String], locations: &[LocationId]) -> String {
    let (name, at) =
        (name.join(" "), locations.iter().map(LocationId::as_str).collect::<Vec<_>>().join(", "));
    if at.is_empty() { name } else { format!("{name} ({at})") }
}

fn row(drift: &DriftView) -> [String; 11] {
    let again = if drift.repairs > 0 { format!(" ({} lately)", drift.repairs) } else { String::new() };
    [
        drift.channel.to_string(),
        drift.sku.to_string(),
        listed(&drift.listing, &drift.locations),
        span(drift.age_ms),
        drift.expected.to_string(),
        drift.observed.to_string(),
        drift.found.name().to_owned(),
        format!("{}{again}", if drift.unwritten { "to be repaired" } else { drift.done.name() }),
        if drift.open { "yes" } else { "" }.to_owned(),
        drift.seq.to_string(),
        drift.why.clone().unwrap_or_default(),
    ]
}

/// What a comparison found.
#[derive(Debug, Default, Serialize)]
struct Compared {
    dry_run: bool,
    channels: Vec<OfChannel>,
    /// Those that could not be compared.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<NotCompared>,
}

#[derive(Debug, Serialize)]
struct NotCompared {
    channel: ChannelId,
    error: String,
}

#[derive(Debug, Serialize)]
struct OfChannel {
    channel: ChannelId,
    items: usize,
    skipped: usize,
    agree: usize,
    under_way: usize,
    unknown: usize,
    too_soon: Vec<TooSoonRow>,
    differ: Vec<ReconcileRow>,
}

impl OfChannel {
    fn of(channel: ChannelId) -> OfChannel {
        OfChannel {
            channel,
            items: 0,
            skipped: 0,
            agree: 0,
            under_way: 0,
            unknown: 0,
            too_soon: Vec::new(),
            differ: Vec::new(),
        }
    }
}

pub(super) fn reconcile(global: &Global, asked: Reconcile) -> Result<(), Failure> {
    let client = Client::new(global)?;
    let channels = match asked.channel {
        Some(channel) => vec![channel],
        None => {
            let status: Status = client.get("/v1/status")?;
            status.channels.into_iter().map(|channel| channel.channel).collect()
        }
    };
    let of = |channel: &ChannelId| one(global, &client, channel, asked.dry_run);
    let (compared, failures) = each(channels, asked.dry_run, of);
    if failures.is_empty() || !compared.channels.is_empty() {
        print::answer(global.json, &compared, tell)?;
    }
    Failure::together(failures).map_or(Ok(()), Err)
}

/// Compares each channel; one that cannot be read does not keep the others from it.
fn each(
    channels: Vec<ChannelId>,
    dry_run: bool,
    mut of: impl FnMut(&ChannelId) -> Result<OfChannel, Failure>,
) -> (Compared, Vec<Failure>) {
    let mut compared = Compared { dry_run, ..Compared::default() };
    let mut failures = Vec::new();
    for channel in channels {
        match of(&channel) {
            Ok(found) => compared.channels.push(found),
            Err(failure) => {
                compared.failed.push(NotCompared { channel, error: failure.to_string() });
                failures.push(failure);
            }
        }
    }
    (compared, failures)
}

/// Compares one channel page by page, and says how far it has come.
fn one(global: &Global, client: &Client, channel: &ChannelId, dry_run: bool) -> Result<OfChannel, Failure> {
    let mut sum = OfChannel::of(channel.clone());
    let (mut after, mut edits) = (None, None);
    for _ in 0..PAGES_MAX {
        let request = ReconcileRequest { channel: channel.clone(), dry_run, after: after.clone(), edits };
        let page: ReconcilePage = client.post("/v1/reconcile", &request)?;
        edits = page.edits;
        sum.items += page.items;
        sum.skipped += page.skipped;
        sum.agree += page.agree;
        sum.under_way += page.under_way;
        sum.unknown += page.unknown;
        sum.too_soon.extend(page.too_soon);
        sum.differ.extend(page.differ);
        if !global.json {
            print::progress(&format!(
                "{channel}: {}, {} differ",
                counted(sum.items, "item"),
                sum.differ.len()
            ));
        }
        if page.next.is_none() || page.next == after {
            return Ok(sum);
        }
        after = page.next;
    }
    Ok(sum)
}

/// Names what was read so soon after a change that it says nothing.
fn tell_too_soon(compared: &Compared) {
    let all = || compared.channels.iter().flat_map(|of| of.too_soon.iter().map(move |row| (of, row)));
    let verb = if compared.dry_run { "would be" } else { "is" };
    let rows = all().take(SHOWN_MAX).map(|(of, row)| {
        let why = format!("{verb} looked at again: an old copy may have answered, so soon after a change");
        let expected = print::or_dash(row.expected);
        let listing = listed(&row.listing, &row.locations);
        [of.channel.to_string(), row.sku.to_string(), listing, expected, row.shown.to_string(), why]
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        print::table(["channel", "sku", "listing", "expected", "shown", "what"], rows, "");
    }
    if all().count() > SHOWN_MAX {
        print::line("there are more; see --json");
    }
}

fn tell(compared: &Compared) {
    let rows = compared.channels.iter().map(|of| {
        let (again, differ) = (of.too_soon.len(), of.differ.len());
        let figures = [of.items, of.agree, of.under_way, of.unknown, again, differ, of.skipped];
        let [items, agree, under_way, unknown, again, differ, skipped] =
            figures.map(|figure| figure.to_string());
        [of.channel.to_string(), items, agree, under_way, unknown, again, differ, skipped]
    });
    let header =
        ["channel", "items", "agree", "under way", "not known before", "too soon", "differ", "not compared"];
    print::table(header, rows.collect(), "no channels are configured");
    tell_too_soon(compared);
    let all = || compared.channels.iter().flat_map(|of| of.differ.iter().map(move |row| (of, row)));
    let rows: Vec<[String; 9]> = all()
        .take(SHOWN_MAX)
        .map(|(of, row)| {
            [
                of.channel.to_string(),
                row.sku.to_string(),
                listed(&row.listing, &row.locations),
                row.expected.to_string(),
                row.shown.to_string(),
                print::or_dash(row.wanted),
                row.found.name().to_owned(),
                if row.unwritten { "repaired once live" } else { row.will_be.name() }.to_owned(),
                row.why.clone().unwrap_or_default(),
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    let header = ["channel", "sku", "listing", "expected", "shown", "to show", "found", "will be", "why"];
    print::table(header, rows, "");
    if all().count() > SHOWN_MAX {
        print::line("there are more; see --json");
    }
    print::line(if compared.dry_run {
        "nothing was recorded; an order that was not read yet may explain some of it"
    } else {
        "judged once the channel's orders are read past this: see `evenkeel drift`"
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::failure::Kind;

    #[test]
    fn a_channel_that_cannot_be_read_does_not_keep_the_others_from_being_compared() {
        let channels: Vec<ChannelId> =
            ["a", "b", "c"].iter().map(|name| name.parse().expect("a name")).collect();
        let of = |channel: &ChannelId| match channel.as_str() {
            "a" => Err(Failure::new(Kind::Failed, "`a` could not be read: no answer")),
            _ => Ok(OfChannel::of(channel.clone())),
        };
        let (compared, failures) = each(channels, true, of);
        let done: Vec<&str> = compared.channels.iter().map(|of| of.channel.as_str()).collect();
        assert_eq!(done, ["b", "c"]);
        let failed = serde_json::to_value(&compared).expect("JSON")["failed"].clone();
        assert_eq!(
            failed,
            serde_json::json!([{"channel": "a", "error": "`a` could not be read: no answer"}])
        );
        assert_eq!(Failure::together(failures).map(|failure| failure.code()), Some(1));
    }
}
