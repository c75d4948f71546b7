//! Why a command failed: what happened, what to do next, and the exit code that says so.

use std::fmt;

use crate::telemetry::causes;

/// A failed command.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    error: String,
    next: Option<String>,
    json: bool,
}

/// What kind of failure it is; each has an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Failed,
    /// The command was called wrongly.
    Usage,
    /// The daemon cannot be reached.
    Unreachable,
    NotFound,
    /// Refused as things stand.
    Refused,
    /// There is no room to record it. What it says tells whether it may still be recorded once there is.
    NoRoom,
    /// The journal, or the books of the demo, do not add up.
    Disagrees,
    /// It has ended to be started again.
    Again,
    /// The configuration is wrong.
    Config,
}

#[cfg(test)]
pub(super) const KINDS: [Kind; 9] = [
    Kind::Failed,
    Kind::Usage,
    Kind::Unreachable,
    Kind::NotFound,
    Kind::Refused,
    Kind::NoRoom,
    Kind::Disagrees,
    Kind::Again,
    Kind::Config,
];

impl Failure {
    pub fn new(kind: Kind, error: impl fmt::Display) -> Failure {
        Failure { kind, error: error.to_string(), next: None, json: false }
    }

    /// An error with all that caused it.
    pub fn of(kind: Kind, error: &dyn std::error::Error) -> Failure {
        Failure::new(kind, causes(error))
    }

    /// Says what to do about it.
    pub fn next(self, next: impl fmt::Display) -> Failure {
        Failure { next: Some(next.to_string()), ..self }
    }

    /// Says what else helps.
    pub(super) fn also(self, more: &str) -> Failure {
        let next = self.next.map_or_else(|| more.to_owned(), |next| format!("{next}; {more}"));
        Failure { next: Some(next), ..self }
    }

    /// Tells whether it is not known what the daemon did.
    pub fn is_unanswered(&self) -> bool {
        matches!(self.kind, Kind::Unreachable | Kind::Failed | Kind::NoRoom)
    }

    /// Makes one of several: of their kind, if they share one. What several say is said once.
    pub fn together(all: Vec<Failure>) -> Option<Failure> {
        let mut all = all.into_iter();
        let mut one = all.next()?;
        for other in all {
            if other.kind != one.kind {
                one.kind = Kind::Failed;
            }
            if !one.error.lines().any(|line| line == other.error) {
                one.error = format!("{}\n{}", one.error, other.error);
            }
        }
        Some(one)
    }

    /// Has it printed as JSON.
    pub fn as_json(self, json: bool) -> Failure {
        Failure { json, ..self }
    }

    /// Returns the exit code.
    pub fn code(&self) -> u8 {
        match self.kind {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::Unreachable => 3,
            Kind::NotFound => 4,
            Kind::Refused | Kind::NoRoom => 5,
            Kind::Disagrees => 65,
            Kind::Again => 75,
            Kind::Config => 78,
        }
    }

    /// Returns it as JSON.
    pub(super) fn told(&self) -> serde_json::Value {
        serde_json::json!({"error": self.error, "next": self.next, "code": self.code()})
    }

    /// Prints it on standard error.
    pub fn print(&self) {
        if self.json {
            return anstream::eprintln!("{}", self.told());
        }
        // Many problems stand below each other as they are, `file:line:` first, for editors and for `grep`.
        match self.error.lines().count() {
            0 | 1 => anstream::eprintln!("evenkeel: {}", self.error),
            many => anstream::eprintln!("evenkeel: {many} problems:\n{}", self.error),
        }
        if let Some(next) = &self.next {
            anstream::eprintln!("  next: {next}");
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::new(Kind::Failed, format!("{error:#}"))
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::new(Kind::Failed, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_failures_are_one_of_their_kind() {
        let check = |all: &[(Kind, &str)], want: Option<(u8, &str)>| {
            let all = all.iter().map(|(kind, error)| Failure::new(*kind, error).next("mend it")).collect();
            let one = Failure::together(all);
            let got = one.as_ref().map(|one| (one.code(), one.error.as_str()));
            assert_eq!(got, want);
            assert!(one.is_none_or(|one| one.next.as_deref() == Some("mend it")));
        };
        check(&[], None);
        check(&[(Kind::NotFound, "a")], Some((4, "a")));
        check(&[(Kind::NoRoom, "a"), (Kind::NoRoom, "a")], Some((5, "a")));
        check(&[(Kind::Failed, "a"), (Kind::Failed, "b"), (Kind::Failed, "a")], Some((1, "a\nb")));
        check(&[(Kind::NoRoom, "a"), (Kind::Unreachable, "b")], Some((1, "a\nb")));
    }
}
