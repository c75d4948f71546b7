//! `evenkeel pause` and `evenkeel resume`.

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::{
    cli::{Failure, Global, client::Client, print},
    core::allocation,
    model::{ChannelId, Sku, shell},
    web::view::{Done, PauseRequest, PausedSkus, ResumeRequest, Status},
};

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Subject {
    /// All that is listed on this channel; of an ERP, what is posted to it.
    #[arg(long)]
    channel: Option<ChannelId>,
    /// This SKU, on every channel.
    #[arg(long)]
    sku: Option<Sku>,
}

#[derive(Debug, Args)]
pub(super) struct Pause {
    #[command(flatten)]
    subject: Subject,
    /// `stopped` shows zero; `frozen` writes nothing, and what is shown still sells.
    #[arg(long, value_enum, default_value = "stopped")]
    mode: Mode,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    Frozen,
    Stopped,
}

/// Without arguments it changes nothing and lists what is paused.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct Resume {
    #[arg(long)]
    channel: Option<ChannelId>,
    #[arg(long)]
    sku: Option<Sku>,
    /// Let a store that was restored from a backup write to the channels again.
    #[arg(long)]
    live: bool,
}

pub(super) fn pause(global: &Global, pause: Pause) -> Result<(), Failure> {
    let mode = match pause.mode {
        Mode::Frozen => allocation::Pause::Frozen,
        Mode::Stopped => allocation::Pause::Stopped,
    };
    let asked = PauseRequest { channel: pause.subject.channel, sku: pause.subject.sku, mode };
    let done: Done = Client::new(global)?.post("/v1/pause", &asked)?;
    print::answer(global.json, &done, |done| print::line(&done.done))
}

pub(super) fn resume(global: &Global, resume: Resume) -> Result<(), Failure> {
    let client = Client::new(global)?;
    if !resume.live && resume.channel.is_none() && resume.sku.is_none() {
        return list(global, &client);
    }
    let done: Done = if resume.live {
        client.post("/v1/live", &serde_json::json!({}))?
    } else {
        client.post("/v1/resume", &ResumeRequest { channel: resume.channel, sku: resume.sku })?
    };
    print::answer(global.json, &done, |done| print::line(&done.done))
}

/// What is paused.
#[derive(Debug, Serialize)]
struct Paused {
    channels: Vec<PausedChannel>,
    skus: PausedSkus,
}

#[derive(Debug, Serialize)]
struct PausedChannel {
    channel: ChannelId,
    mode: allocation::Pause,
}

/// Lists what is paused.
fn list(global: &Global, client: &Client) -> Result<(), Failure> {
    let status: Status = client.get("/v1/status")?;
    let channels = status.channels.into_iter().filter_map(|of| {
        let mode = of.paused?;
        Some(PausedChannel { channel: of.channel, mode })
    });
    let paused = Paused { channels: channels.collect(), skus: status.paused_skus };
    print::answer(global.json, &paused, |paused| {
        let mode = |mode: allocation::Pause| format!("{mode:?}").to_lowercase();
        let channels = paused.channels.iter().map(|of| {
            let resume = format!("evenkeel resume --channel {}", of.channel);
            ["channel".to_owned(), of.channel.to_string(), mode(of.mode), resume]
        });
        let skus = paused.skus.some.iter().map(|of| {
            let resume = format!("evenkeel resume --sku {}", shell(&of.sku));
            ["SKU".to_owned(), of.sku.to_string(), mode(of.mode), resume]
        });
        let header = ["what", "name", "paused", "lets it go on"];
        print::table(header, channels.chain(skus).collect(), "nothing is paused");
        let more = paused.skus.count - paused.skus.some.len();
        if more > 0 {
            print::line(&format!("and {more} more SKUs, named once some of these go on"));
        }
    })
}
