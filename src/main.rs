//! Parses the arguments, runs the command, and turns what came of it into an exit code.

use std::process::ExitCode;

use clap::Parser;
use evenkeel::cli::{Cli, Failure};

fn main() -> ExitCode {
    match evenkeel::cli::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    failure.print();
    ExitCode::from(failure.code())
}
