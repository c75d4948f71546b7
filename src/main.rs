//! Parses the arguments, runs the command, and turns what came of it into an exit code.

use std::process::ExitCode;

use evenkeel::cli::{self, Failure};

fn main() -> ExitCode {
    match cli::parse().and_then(cli::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure),
    }
}

fn report(failure: &Failure) -> ExitCode {
    failure.print();
    ExitCode::from(failure.code())
}
