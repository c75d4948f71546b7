//! How answers look: tables for people, JSON on request.

use std::collections::BTreeMap;

use comfy_table::{ContentArrangement, Table, presets::NOTHING};
use serde::Serialize;

use crate::{cli::Failure, model::counted};

/// Prints a value as JSON, or has it told for people.
pub(super) fn answer<T: Serialize>(json: bool, value: &T, tell: impl FnOnce(&T)) -> Result<(), Failure> {
    if json {
        let text = serde_json::to_string_pretty(value).map_err(anyhow::Error::from)?;
        anstream::println!("{text}");
    } else {
        tell(value);
    }
    Ok(())
}

/// Prints a table, or a sentence if it has no rows.
pub(super) fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>, none: &str) {
    if rows.is_empty() {
        if !none.is_empty() {
            line(none);
        }
        return;
    }
    line(&drawn(header, rows));
}

/// Draws a table without the blanks that would fill its last column.
fn drawn<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.map(str::to_uppercase));
    for row in rows {
        table.add_row(row);
    }
    let text = table.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_end().to_owned()
}

/// From how many characters on a text that several rows say is told once, below them.
const LONG: usize = 40;

/// Long texts that several rows of a table say: each is told once, below the table.
#[derive(Debug, Default)]
pub(super) struct Notes {
    texts: Vec<String>,
}

impl Notes {
    /// Finds those that are long and are said more than once.
    pub(super) fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Notes {
        let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
        let mut notes = Notes::default();
        for text in texts.filter(|text| text.chars().count() > LONG) {
            let times = seen.entry(text).or_default();
            *times += 1;
            if *times == 2 {
                notes.texts.push(text.to_owned());
            }
        }
        notes
    }

    /// Returns what a row says: the text, or the number of its note.
    pub(super) fn short(&self, text: Option<&str>) -> String {
        let text = text.unwrap_or_default();
        match self.texts.iter().position(|note| note == text) {
            Some(n) => format!("[{}]", n + 1),
            None => text.to_owned(),
        }
    }

    pub(super) fn tell(&self) {
        for (n, text) in self.texts.iter().enumerate() {
            line(&format!("[{}] {text}", n + 1));
        }
    }
}

pub(super) fn line(text: &str) {
    anstream::println!("{text}");
}

/// Says on standard error how far something has come.
pub(super) fn progress(text: &str) {
    anstream::eprintln!("{text}");
}

/// Prints as it is.
pub(super) fn raw(text: &str) {
    anstream::print!("{text}");
}

/// Returns a dash for nothing.
pub(super) fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Returns a span as people say it.
pub(super) fn span(millis: i64) -> String {
    match millis {
        i64::MIN..0 => "0s".to_owned(),
        0..1_000 => format!("{millis}ms"),
        1_000..120_000 => format!("{}s", millis / 1_000),
        120_000..7_200_000 => format!("{}m", millis / 60_000),
        7_200_000..172_800_000 => format!("{}h", millis / 3_600_000),
        _ => format!("{}d", millis / 86_400_000),
    }
}

/// Returns a number of bytes as people say it.
pub(super) fn bytes(bytes: u64) -> String {
    match bytes {
        0..10_000 => counted(bytes, "byte"),
        10_000..10_000_000 => format!("{} kB", bytes / 1_000),
        10_000_000..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{} GB", bytes / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_ends_its_lines_with_text() {
        let row = |first: &str, last: &str| [first.to_owned(), last.to_owned()];
        let text = drawn(["sku", "why"], vec![row("A", ""), row("LONGER", "it waits")]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text:?}");
        assert!(lines.iter().all(|line| !line.ends_with(' ') && !line.is_empty()), "{text:?}");
    }

    #[test]
    fn a_long_text_that_several_rows_say_is_a_note() {
        let (outage, other) = (
            "the channel's circuit is open, and nothing is looked at",
            "another text that is as long as the first",
        );
        let notes = Notes::of([outage, "short", other, "short", outage, outage].into_iter());
        let told = [Some(outage), Some("short"), Some(other), None].map(|text| notes.short(text));
        assert_eq!(told, ["[1]", "short", other, ""]);
    }

    #[test]
    fn spans_are_told_in_the_largest_unit_that_keeps_them_apart() {
        let told: Vec<String> =
            [-5, 0, 999, 1_500, 119_000, 300_000, 7_200_000, 200_000_000].into_iter().map(span).collect();
        assert_eq!(told, ["0s", "0ms", "999ms", "1s", "119s", "5m", "2h", "2d"]);
    }
}
