//! The command line. Each command has a file; most only ask the running daemon over its socket and print.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the daemon cannot be reached, 4 there is no such thing, 5 refused as
//! things stand, 65 the journal, the demo or a simulation does not add up, 75 the daemon has ended to be started again,
//! 78 the configuration is wrong.

mod audit;
mod backup;
mod check;
mod client;
mod commits;
mod count;
mod dead_letters;
mod demo;
mod drift;
mod effect;
mod explain;
mod failure;
mod init;
mod input;
mod intents;
mod lines;
mod made;
mod map;
mod once;
mod pause;
mod print;
mod quarantine;
mod reload;
mod returns;
mod run;
mod sandbox;
mod sheet;
mod show;
mod simulate;
mod store;
mod usage;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use failure::Failure;

use crate::model::{ChannelId, Sku};

/// Where the configuration is looked for if nothing else is said.
pub const CONFIG: &str = "/etc/evenkeel/evenkeel.toml";

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the daemon cannot be reached, 4 there is no \
    such thing, 5 refused as things stand, 65 the journal, the demo or a simulation does not add up, 75 the daemon has ended \
    in order to be started again, 78 the configuration is wrong.";

/// Keeps stock true on every sales channel.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version, about, after_help = EXIT_CODES, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Args)]
struct Global {
    /// The configuration file.
    #[arg(short, long, global = true, env = "EVENKEEL_CONFIG", default_value = CONFIG, value_name = "FILE")]
    config: PathBuf,
    /// The daemon's socket, if it is not the one that the configuration names.
    #[arg(long, global = true, env = "EVENKEEL_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Run(run::Run),
    /// Make the changed configuration effective without a restart, or tell what it would do.
    Reload(reload::Reload),
    /// Check the configuration, its secrets, and the places that it names; with `--online` also every channel.
    Check(check::Check),
    /// Read every channel before the first sync, and tell what would be matched, what would be shown, and what to mend before.
    /// Writes to no channel and needs no daemon.
    Audit(audit::Audit),
    /// Take over the opening stock, once, from the ERP or from a channel.
    Init(init::Init),
    /// Show how the daemon and its channels are.
    Status,
    /// Show the balances, listings and latest movements of a SKU.
    Sku {
        /// As the ERP (`mapping.master`) writes it.
        sku: Sku,
    },
    /// Show an order: its lines, what is booked, and what the ERP was told.
    Order(show::Order),
    /// Show what has not arrived yet; in shadow mode, what would be written.
    Outbox(show::Outbox),
    /// Show the alerts that fire.
    Alerts,
    /// List, retry or discard what waits for a person.
    DeadLetters {
        #[command(subcommand)]
        command: dead_letters::DeadLetters,
    },
    /// List what another writer changed on a channel; accept it, repair it, or release what is held.
    Drift(drift::Drift),
    /// Compare channels with what they should show, now.
    Reconcile(drift::Reconcile),
    /// Tell the story of a SKU or an order from the journal: what came, what followed, what was seen where and when, and
    /// whose doing an oversell is. Reads the store itself, whether the daemon runs or not.
    Explain(explain::Explain),
    /// List, show, read again or discard the messages that could not be read.
    Quarantine {
        #[command(subcommand)]
        command: quarantine::Quarantine,
    },
    /// List, set, import or export the mapping between SKUs and channels.
    Map {
        #[command(subcommand)]
        command: map::Map,
    },
    /// List what bundles are made of, and take recipes in from CSV.
    Bundles {
        #[command(subcommand)]
        command: made::Command,
    },
    /// Make a SKU part of another one, with its stock, its open orders and its listings.
    Merge(made::Merge),
    /// Give a listing to another SKU, with its order lines.
    Rebind(made::Rebind),
    /// Keep a channel or a SKU from selling; keep an ERP from being told of orders.
    Pause(pause::Pause),
    /// End a pause, or let a restored store write. Without arguments: list what is paused.
    Resume(pause::Resume),
    /// List the returned units that are held back, and put them on sale again or take them off the books.
    Returns {
        #[command(subcommand)]
        command: returns::Returns,
    },
    /// Tell what was counted on a shelf: one SKU, or a file of them.
    Count(count::Count),
    /// Set the most that a listing may show, or those of a file: all of it or nothing, lowers first.
    Set(intents::Set),
    /// Move stock between locations, or what may be shown between channels: all of it or nothing, lowers first.
    Transfer(intents::Transfer),
    /// Say that units of a transfer have arrived.
    Receive(intents::Receive),
    /// Show the stock changes that are on their way, and what was set and transferred; cancel one.
    Commits(commits::Commits),
    /// Read a channel's orders, and an ERP's movements, now.
    Poll {
        /// All channels, if none is named.
        channel: Option<ChannelId>,
    },
    /// Write a checkpoint of the state now.
    Checkpoint,
    /// Prove the journal offline: every checksum, the hash chain, and that the balances follow from the entries.
    Verify(store::Verify),
    /// Build the state anew from checkpoint and journal. The daemon must be stopped.
    Rebuild(store::Rebuild),
    /// Build a fresh state beside the one in use: what the daemon runs for itself.
    #[command(hide = true)]
    BuildState(store::BuildState),
    /// Write a backup into one file and prove it; the daemon may run.
    Backup(backup::Backup),
    /// Make a store out of a backup. It writes to no channel until `evenkeel resume --live`.
    Restore(backup::Restore),
    /// Serve a simulated Shopify, Amazon and ERP on this machine.
    Sandbox(sandbox::SandboxArgs),
    /// Run the sandbox and the daemon together, sell, break things, and compare the books.
    Demo(demo::Demo),
    /// Play the daemon's core against simulated channels, people, clocks and disks, and check that what it promises holds.
    Simulate(simulate::Simulate),
    /// Print the completions of a shell.
    Completions {
        #[arg(value_enum)]
        shell: Shell,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Zsh,
}

/// Reads the arguments of the process. Help, the version, and wrong usage that is not to be told as JSON end it here.
pub fn parse() -> Result<Cli, Failure> {
    let args: Vec<OsString> = std::env::args_os().collect();
    Cli::try_parse_from(&args).map_err(|error| match usage::failure(&error, &args) {
        Some(failure) => failure,
        None => error.exit(),
    })
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> Result<(), Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Run(args) => run::run(&global, args),
        Command::Check(check) => check::run(&global, &check),
        Command::Audit(asked) => audit::run(&global, &asked),
        Command::Verify(verify) => store::verify(&global, &verify),
        Command::Backup(backup) => backup::backup(&global, &backup),
        Command::Restore(restore) => backup::restore(&global, &restore),
        Command::Rebuild(rebuild) => store::rebuild(&global, &rebuild),
        Command::BuildState(build) => store::build_state(&global, &build),
        Command::Sandbox(args) => sandbox::run(&global, &args),
        Command::Demo(demo) => demo::run(&global, demo),
        Command::Simulate(args) => simulate::run(&global, &args),
        Command::Completions { shell } => {
            completions(shell);
            Ok(())
        }
        Command::Init(init) => init::run(&global, &init),
        Command::Status => show::status(&global),
        Command::Sku { sku } => show::sku(&global, &sku),
        Command::Order(order) => show::order(&global, &order),
        Command::Outbox(outbox) => show::outbox(&global, &outbox),
        Command::Alerts => show::alerts(&global),
        Command::DeadLetters { command } => dead_letters::run(&global, &command),
        Command::Drift(drift) => drift::drift(&global, drift),
        Command::Reconcile(reconcile) => drift::reconcile(&global, reconcile),
        Command::Explain(explain) => explain::run(&global, &explain),
        Command::Reload(reload) => reload::run(&global, &reload),
        Command::Quarantine { command } => quarantine::run(&global, command),
        Command::Map { command } => map::run(&global, &command),
        Command::Bundles { command } => made::bundles(&global, &command),
        Command::Merge(asked) => made::merge(&global, asked),
        Command::Rebind(asked) => made::rebind(&global, asked),
        Command::Pause(pause) => pause::pause(&global, pause),
        Command::Resume(resume) => pause::resume(&global, resume),
        Command::Returns { command } => returns::run(&global, command),
        Command::Count(count) => count::run(&global, count),
        Command::Set(set) => intents::set(&global, set),
        Command::Transfer(transfer) => intents::transfer(&global, transfer),
        Command::Receive(receive) => intents::receive(&global, receive),
        Command::Commits(commits) => commits::run(&global, &commits),
        Command::Poll { channel } => show::poll(&global, channel),
        Command::Checkpoint => show::checkpoint(&global),
    }
}

fn completions(shell: Shell) {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Elvish => clap_complete::Shell::Elvish,
        Shell::Fish => clap_complete::Shell::Fish,
        Shell::Zsh => clap_complete::Shell::Zsh,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "evenkeel", &mut script);
    print::raw(&String::from_utf8_lossy(&script));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_and_the_readme_tell_the_same_exit_codes() {
        let codes = |text: &str, before: char| -> Vec<u8> {
            let parts = text.split(before).map(|part| part.trim_start_matches("Exit codes:").trim());
            parts.filter_map(|part| part.split(' ').next()?.parse().ok()).collect()
        };
        let readme = include_str!("../README.md");
        let table = readme.split("### Exit codes").nth(1).and_then(|rest| rest.split("\n## ").next());
        let told = codes(table.expect("it is there"), '|');
        assert_eq!(told, codes(EXIT_CODES, ','));
        let kinds = failure::KINDS.map(|kind| Failure::new(kind, "").code());
        assert!(kinds.iter().all(|code| told.contains(code)), "{kinds:?} {told:?}");
    }
}
