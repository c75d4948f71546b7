//! When something is done again and again: a fixed interval, or a cron expression in UTC.

use std::{fmt, time::Duration};

use croner::parser::{CronParser, Seconds, Year};

use crate::config::span;

/// When a loop is woken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    Every(Duration),
    /// Six fields, seconds first, in UTC.
    Cron(String),
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Schedule::Every(span) => write!(f, "every {}", span::human(*span)),
            Schedule::Cron(cron) => write!(f, "cron {cron}"),
        }
    }
}

/// Checks an expression with the parser and the settings that tokio-cron-scheduler uses, less its optional
/// year, which would make a schedule end.
pub(super) fn check_cron(cron: &str) -> Result<(), String> {
    let parser =
        CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(true).build();
    parser.parse(cron).map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use tokio_cron_scheduler::Job;

    use super::*;

    #[track_caller]
    fn check(cron: &str, good: bool) {
        assert_eq!(check_cron(cron).is_ok(), good, "{cron}: {:?}", check_cron(cron));
        if good {
            assert!(Job::new(cron, |_, _| {}).is_ok(), "the scheduler refuses `{cron}`");
        }
    }

    #[test]
    fn what_is_accepted_is_accepted_by_the_scheduler() {
        check("0 */5 * * * *", true);
        check("30 0 3 * * MON-FRI", true);
        check("0 0 0 L * *", true);
        check("@daily", true);
        check("*/5 * * * *", false); // five fields: seconds are missing
        check("0 0 0 1 1 * 2027", false); // a year would end it
        check("61 * * * * *", false);
        check("every five minutes", false);
        check("", false);
    }
}
