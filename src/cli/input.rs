//! What people give the command line: a file, and a yes.

use std::{
    io::{IsTerminal, Read, Write},
    path::Path,
};

use crate::{
    cli::{Failure, Global, failure::Kind, print},
    model::Quantity,
};

/// Reads a file, or standard input for `-`.
pub(super) fn file(global: &Global, file: &Path) -> Result<Vec<u8>, Failure> {
    if file.as_os_str() != "-" {
        return std::fs::read(file).map_err(|error| {
            Failure::new(Kind::Failed, format!("cannot read `{}`: {error}", file.display()))
                .next("give the path of a file that you may read, or `-` for standard input")
                .as_json(global.json)
        });
    }
    let mut text = Vec::new();
    std::io::stdin().read_to_end(&mut text)?;
    Ok(text)
}

/// Reads a number of units, from `least` on.
pub(super) fn units(text: &str, least: i64) -> Result<Quantity, String> {
    let units = text.parse::<i64>().ok().filter(|units| *units >= least);
    let bounded = units.and_then(|units| Quantity::bounded(units).ok());
    bounded.ok_or_else(|| format!("must be a whole number from {least} to {}", Quantity::LIMIT))
}

/// Asks a person. Without a terminal nobody has said yes.
pub(super) fn confirmed(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    print::raw(&format!("{question} [y/N] "));
    std::io::stdout().flush()?;
    let mut said = String::new();
    std::io::stdin().read_line(&mut said)?;
    Ok(matches!(said.trim(), "y" | "Y" | "yes"))
}
