//! Time spans as text: `250ms`, `30s`, `5m`, `1h 30m`, `14d`.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};

/// Reads a span. A day is 24 hours; months and years are refused.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let span: Span = text.parse().map_err(|_| "not a time span".to_owned())?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "months and years have no fixed length".to_owned())?;
    Duration::try_from(duration).map_err(|_| "it is below zero".to_owned())
}

/// Writes a span as one would in the file.
pub(super) fn human(span: Duration) -> String {
    const UNITS: [(u128, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let mut left = span.as_millis();
    let mut parts = Vec::new();
    for (millis, unit) in UNITS {
        let count = left / millis;
        left %= millis;
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") }
}

/// Returns whole milliseconds, as the journal keeps them.
pub(super) fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_back() {
        for (text, millis) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("5m", 300_000),
            ("1h 30m", 5_400_000),
            ("14d", 1_209_600_000),
            ("0s", 0),
        ] {
            let span = parse(text).expect(text);
            assert_eq!(span.as_millis(), millis, "{text}");
            assert_eq!(human(span), text);
        }
        assert_eq!(parse("2w").map(human), Ok("14d".to_owned()));
        assert_eq!(parse("90 minutes").map(human), Ok("1h 30m".to_owned()));
    }

    #[test]
    fn what_is_no_fixed_positive_span_is_refused() {
        for text in ["", "5", "-5m", "5m ago", "1mo", "1y", "soon"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
