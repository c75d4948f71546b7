//! `evenkeel init`: takes over the opening stock, after a summary and a yes.

use std::io::{IsTerminal, Write};

use clap::Args;

use crate::{
    cli::{Failure, Global, client::Client, failure::Kind, print},
    model::ChannelId,
    web::view::{InitDone, InitPreview, InitRequest},
};

#[derive(Debug, Args)]
pub(super) struct Init {
    /// The ERP or the channel that the opening stock is taken from.
    #[arg(long, value_name = "CHANNEL")]
    from: ChannelId,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Only show what would be done.
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
}

pub(super) fn run(global: &Global, init: &Init) -> Result<(), Failure> {
    let client = Client::new(global)?;
    let asked = InitRequest { from: init.from.clone() };
    if !init.yes {
        let preview: InitPreview = client.post("/v1/init/preview", &asked)?;
        print::answer(global.json, &preview, tell)?;
        if init.dry_run {
            return Ok(());
        }
        if !confirmed()? {
            return Err(Failure::new(Kind::Refused, "nothing was taken over")
                .next("say `y` at the question, or run with --yes")
                .as_json(global.json));
        }
    }
    let done: InitDone = client.post("/v1/init/apply", &asked)?;
    print::answer(global.json, &done, told)
}

pub(super) fn told(done: &InitDone) {
    print::line(&format!("{} SKUs with {} units were taken over from {}", done.skus, done.units, done.from));
}

fn confirmed() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print::raw("Take over this stock and start writing to the channels? [y/N] ");
    std::io::stdout().flush()?;
    let mut said = String::new();
    std::io::stdin().read_line(&mut said)?;
    Ok(matches!(said.trim(), "y" | "Y" | "yes"))
}

pub(super) fn tell(preview: &InitPreview) {
    print::line(&format!(
        "{} SKUs with {} units from {} as of {} ({} empty, {} counted items match no SKU, {} SKUs are on no channel)",
        preview.skus,
        preview.units,
        preview.from,
        preview.as_of,
        preview.empty,
        preview.unknown,
        preview.unlisted
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
        for d in channel.differences.iter().take(10) {
            print::line(&format!(
                "  {}: {} shows {}, will show {}",
                channel.channel, d.sku, d.shows, d.will_show
            ));
        }
    }
    for warning in &preview.warnings {
        print::line(&format!("warning: {warning}"));
    }
}
