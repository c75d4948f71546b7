//! `evenkeel pause` and `evenkeel resume`.

use clap::{Args, ValueEnum};

use crate::{
    cli::{Failure, Global, client::Client, print},
    core::allocation,
    model::{ChannelId, Sku},
    web::view::{Done, PauseRequest, ResumeRequest},
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

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
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
    let done: Done = if resume.live {
        client.post("/v1/live", &serde_json::json!({}))?
    } else {
        client.post("/v1/resume", &ResumeRequest { channel: resume.channel, sku: resume.sku })?
    };
    print::answer(global.json, &done, |done| print::line(&done.done))
}
