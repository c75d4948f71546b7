//! What people give the command line: a file, and a yes.

use std::{
    io::{IsTerminal, Read, Write},
    path::Path,
};

use crate::cli::{Failure, Global, failure::Kind, print};

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
