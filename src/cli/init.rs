//! `evenkeel init`: takes over the opening stock, after a summary and a yes.

use clap::Args;

use crate::{
    cli::{Failure, Global, client::Client, drift::listed, failure::Kind, input, print},
    model::{ChannelId, LocationId, counted, which},
    web::view::{InitDone, InitPreview, InitRequest, OpenOrders},
};

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The ERP or the channel that the opening stock is taken from.
    #[arg(long, value_name = "CHANNEL")]
    from: ChannelId,
    /// Where all of it lies that a channel shows of several places together.
    #[arg(long, value_name = "LOCATION")]
    at: Option<LocationId>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Only show what would be done.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Name every listing that will show something else, not only the ten largest changes of each channel. So does --json.
    #[arg(long)]
    all: bool,
}

pub(super) fn run(global: &Global, init: &Init) -> Result<(), Failure> {
    let client = Client::new(global)?.patient();
    let asked = InitRequest { from: init.from.clone(), at: init.at.clone() };
    if !init.yes {
        let all = init.all || global.json;
        let preview: InitPreview = client.post(&format!("/v1/init/preview?all={all}"), &asked)?;
        print::answer(global.json, &preview, |preview| tell(preview, init.all))?;
        if init.dry_run {
            return Ok(());
        }
        if !input::confirmed(
            "Take over this stock? Unless the mode is `shadow`, channels are written to from then on.",
        )? {
            return Err(Failure::new(Kind::Refused, "nothing was taken over")
                .next("say `y` at the question, or run with --yes")
                .as_json(global.json));
        }
    }
    let done: InitDone = client.post("/v1/init/apply", &asked)?;
    print::answer(global.json, &done, |done| told(done, init.yes))
}

/// Tells what was taken over. `unseen`: nobody was shown before what to look at.
pub(super) fn told(done: &InitDone, unseen: bool) {
    print::line(&format!(
        "{} with {} {} taken over from {}",
        counted(done.skus, "SKU"),
        counted(done.units, "unit"),
        which(done.skus, "was", "were"),
        done.from
    ));
    done.open_orders.iter().for_each(open);
    done.unmapped_orders.iter().for_each(lost);
    done.warnings.iter().filter(|_| unseen).for_each(|warning| print::line(&format!("warning: {warning}")));
}

/// Tells of orders that an ERP may or may not have, and what a person is to say.
fn open(of: &OpenOrders) {
    let OpenOrders { channel, orders, units, .. } = of;
    print::line(&format!(
        "{} with {} {} open and older than this stock: {}",
        counted(*orders, "order"),
        counted(*units, "unit"),
        which(*orders, "is", "are"),
        named(of)
    ));
    print::line(&format!(
        "  if `{channel}` lacks them: evenkeel dead-letters retry --channel {channel} --reason opening"
    ));
    print::line(&format!(
        "  if others enter them there: evenkeel dead-letters discard --channel {channel} --reason opening"
    ));
}

/// Tells of open orders that sell something of which it is not known what it is.
fn lost(of: &OpenOrders) {
    let OpenOrders { channel, orders, units, .. } = of;
    print::line(&format!(
        "{} of `{channel}` {} open with {} of which it is not known what they are: {}",
        counted(*orders, "order"),
        which(*orders, "is", "are"),
        counted(*units, "unit"),
        named(of)
    ));
    print::line("  they are taken off nothing until they are mapped: see `evenkeel map list --lines`");
}

/// Names some orders, and says how many more there are.
fn named(of: &OpenOrders) -> String {
    let some: Vec<String> = of.some.iter().map(ToString::to_string).collect();
    let more = of.orders.saturating_sub(some.len());
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    format!("{}{more}", some.join(", "))
}

/// How many differences of a channel are told where not all are asked for.
const SOME: usize = 10;

pub(super) fn tell(preview: &InitPreview, all: bool) {
    print::line(&format!(
        "{} with {} from {} as of {} ({} empty; counted, but no SKU: {}; on no channel: {})",
        counted(preview.skus, "SKU"),
        counted(preview.units, "unit"),
        preview.from,
        preview.as_of,
        preview.empty,
        counted(preview.unknown, "item"),
        counted(preview.unlisted, "SKU")
    ));
    let rows = preview.channels.iter().map(|c| {
        let figures = [c.bound, c.unmatched, c.unwritable, c.uncounted, c.differing].map(|n| n.to_string());
        let [bound, unmatched, unwritable, uncounted, differing] = figures;
        let moved = format!("-{} +{}", c.lowered_units, c.raised_units);
        [c.channel.to_string(), bound, unmatched, unwritable, uncounted, differing, moved]
    });
    let header = ["channel", "bound", "unmatched", "unwritable", "uncounted", "differ", "units"];
    print::table(header, rows.collect(), "no selling channels");
    for channel in &preview.channels {
        let told = if all { channel.differences.len() } else { channel.differences.len().min(SOME) };
        for d in &channel.differences[..told] {
            print::line(&format!(
                "  {}: {} shows {}, will show {}",
                channel.channel,
                listed(&[d.sku.to_string()], &d.locations),
                d.shows,
                d.will_show
            ));
        }
        if channel.differing > told {
            let more = channel.differing - told;
            print::line(&format!("  {}: and {more} more; --all names them", channel.channel));
        }
    }
    preview.open_orders.iter().for_each(open);
    preview.unmapped_orders.iter().for_each(lost);
    for warning in &preview.warnings {
        print::line(&format!("warning: {warning}"));
    }
}
