//! What was measured, and whether it is what was aimed at.

use std::{fmt, time::Duration};

use comfy_table::{Table, presets::ASCII_MARKDOWN};
use hdrhistogram::Histogram;

/// The figures of one run, in the order in which they were taken.
#[derive(Default)]
pub(crate) struct Report {
    rows: Vec<[String; 5]>,
}

impl Report {
    /// Adds a figure. `good`: whether it meets the aim; `None`: there is none.
    pub(crate) fn add(&mut self, what: &str, figure: &str, yardstick: &str, aim: &str, good: Option<bool>) {
        let verdict = match good {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        };
        println!("  {what}: {figure} (yardstick: {yardstick}) {verdict}");
        self.rows.push([what, figure, yardstick, aim, verdict].map(str::to_owned));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN);
        table.set_header(["what", "figure", "yardstick", "aim", ""]);
        for row in &self.rows {
            table.add_row(row);
        }
        write!(f, "{table}")
    }
}

/// Times that were taken.
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Times {
        Times(Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("good bounds"))
    }

    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn add(&mut self, other: &Times) {
        self.0.add(&other.0).expect("the same bounds");
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// Returns the time that this share of all did not exceed.
    pub(crate) fn at(&self, share: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_quantile(share))
    }

    pub(crate) fn max(&self) -> Duration {
        Duration::from_nanos(self.0.max())
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [half, most, max] = [self.at(0.5), self.at(0.99), self.max()].map(short);
        write!(f, "p50 {half}, p99 {most}, max {max}")
    }
}

/// Writes a time with three digits.
pub(crate) fn short(time: Duration) -> String {
    let nanos = time.as_secs_f64() * 1e9;
    match nanos {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.*} µs", digits(n / 1e3), n / 1e3),
        n if n < 1e9 => format!("{:.*} ms", digits(n / 1e6), n / 1e6),
        n => format!("{:.*} s", digits(n / 1e9), n / 1e9),
    }
}

fn digits(value: f64) -> usize {
    match value {
        v if v < 10.0 => 2,
        v if v < 100.0 => 1,
        _ => 0,
    }
}
