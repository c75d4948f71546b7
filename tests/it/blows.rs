//! Blows that a store must take: flipped bits, and power cuts at any moment.
//!
//! `EVENKEEL_BLOWS=10` plays ten times as many; `EVENKEEL_BLOWS_SEED` is the first seed. A failure names the seed
//! that meets it first when it is given.

mod flips;
mod history;
pub(crate) mod power;

use std::process::Command;

use tempfile::TempDir;

/// Returns how many rounds are to be played where CI plays `few`.
fn rounds(few: u64) -> u64 {
    let times = std::env::var("EVENKEEL_BLOWS").ok();
    few * times.map_or(1, |text| text.parse().expect("EVENKEEL_BLOWS is a number"))
}

/// Returns a directory in memory, if there is such a file system: what is made there ends with the test, and no sync
/// waits for a drive.
fn quick_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory")
}

/// Returns the first seed: the one asked for, or one drawn from the commit, so that whoever commits can play the same
/// before.
fn first_seed() -> u64 {
    if let Ok(text) = std::env::var("EVENKEEL_BLOWS_SEED") {
        return text.parse().expect("EVENKEEL_BLOWS_SEED is a number");
    }
    let said =
        Command::new("git").args(["rev-parse", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let head = said.ok().and_then(|said| String::from_utf8(said.stdout).ok()).unwrap_or_default();
    let digits = head.get(..12).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    digits.unwrap_or(1)
}
