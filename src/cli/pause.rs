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
    #[arg(long)]
    channel: Option<ChannelId>,
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
pub(super) struct Resume {
    #[command(flatten)]
    subject: Subject,
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
    let asked = ResumeRequest { channel: resume.subject.channel, sku: resume.subject.sku };
    let done: Done = Client::new(global)?.post("/v1/resume", &asked)?;
    print::answer(global.json, &done, |done| print::line(&done.done))
}
