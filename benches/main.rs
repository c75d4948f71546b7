//! The figures of docs/PERFORMANCE.md: what the daemon takes, each beside a yardstick from the same run.
//!
//! ```text
//! cargo bench                      all of them
//! cargo bench -- intake decide     some of them: intake, down, decide, sale, memory, snapshot, repair
//! cargo bench -- --quick           a smoke: small numbers, so the figures say little
//! cargo bench -- long              ten million records, by name only: see scripts/ten-million
//! ```
//!
//! The daemon is the real binary as a process of its own, on a store in the target directory; load and channels come
//! from this process, over loopback. Both share the machine's cores, so the generator is kept cheap: requests are made
//! and signed beforehand, sent from one thread, and answers are hardly looked at.

#![expect(clippy::print_stdout, reason = "figures are for people")]

mod catalogue;
mod daemon;
mod decide;
mod down;
mod intake;
mod load;
mod long;
mod machine;
mod memory;
mod order;
mod repair;
mod report;
mod sale;
mod settings;
mod snapshot;
mod tap;

use std::process::ExitCode;

use crate::report::Report;

/// How much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Full,
    Quick,
}

impl Size {
    pub(crate) fn of<T>(self, full: T, quick: T) -> T {
        match self {
            Size::Full => full,
            Size::Quick => quick,
        }
    }
}

type Bench = fn(Size, &mut Report);

/// Runs only if it is named: it takes an hour and some gigabytes of the disk. See `scripts/ten-million`.
const LONG: (&str, Bench) = ("long", long::run);

const BENCHES: [(&str, Bench); 7] = [
    ("decide", decide::run),
    ("intake", intake::run),
    ("down", down::run),
    ("sale", sale::run),
    ("memory", memory::run),
    ("snapshot", snapshot::run),
    ("repair", repair::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == intake::YARDSTICK) {
        intake::serve_yardstick();
        return ExitCode::SUCCESS;
    }
    if let [what, address] = &args[..]
        && [snapshot::READER, snapshot::DOWNLOADER].contains(&what.as_str())
    {
        snapshot::be_child(what, address);
        return ExitCode::SUCCESS;
    }
    let quick = args.iter().any(|arg| arg == "--quick");
    let named: Vec<&str> = args.iter().map(String::as_str).filter(|arg| !arg.starts_with('-')).collect();
    let known = |name: &str| name == LONG.0 || BENCHES.iter().any(|(known, _)| *known == name);
    if let Some(unknown) = named.iter().find(|name| !known(name)) {
        let all = BENCHES.map(|(name, _)| name).join(", ");
        println!("no bench `{unknown}`; there are {all}, and {}", LONG.0);
        return ExitCode::FAILURE;
    }
    println!("{}", machine::described());
    let size = if quick { Size::Quick } else { Size::Full };
    let mut report = Report::default();
    for (name, bench) in BENCHES {
        if named.is_empty() || named.contains(&name) {
            println!("\n{name} (load average {})", machine::load_average());
            bench(size, &mut report);
        }
    }
    if named.contains(&LONG.0) {
        println!("\n{} (load average {})", LONG.0, machine::load_average());
        LONG.1(size, &mut report);
    }
    println!("\n{report}");
    if quick {
        println!("A smoke (--quick): these figures say little.");
    }
    ExitCode::SUCCESS
}
