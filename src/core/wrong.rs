//! Everything that is wrong with what a person asks for, line by line, told at once.

use crate::core::command::Refused;

/// How many problems of a request are told.
const TOLD_MAX: usize = 50;

/// Why a row cannot be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// Where it stands in a file, if it does.
    pub line: Option<u64>,
    pub why: Why,
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It names what does not exist.
    Unknown(String),
    Bad(String),
}

impl From<String> for Why {
    fn from(why: String) -> Why {
        Why::Bad(why)
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Why::Unknown(why) | Why::Bad(why)) = &self.why;
        match self.line {
            Some(line) => write!(f, "line {line}: {why}"),
            None => f.write_str(why),
        }
    }
}

/// Refuses a request with what is wrong with it. Where nothing else is wrong than that something does not exist, that is
/// what it is refused for.
pub fn refused(wrong: &[Wrong]) -> Refused {
    let text = bounded(wrong.iter().map(ToString::to_string)).join("\n");
    if wrong.iter().all(|one| matches!(one.why, Why::Unknown(_))) {
        Refused::Unknown(text)
    } else {
        Refused::Wrong(text)
    }
}

/// Returns the first of very many problems, and how many more there are.
pub fn bounded(wrong: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    let more = wrong.len().saturating_sub(TOLD_MAX);
    wrong.take(TOLD_MAX).chain((more > 0).then(|| format!("and {more} more"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_fifty_are_told_and_only_what_does_not_exist_is_missing() {
        let wrong = |line, why| Wrong { line: Some(line), why };
        let all: Vec<Wrong> = (1..=52).map(|n| wrong(n, Why::Unknown(format!("no {n}")))).collect();
        let Refused::Unknown(text) = refused(&all) else { panic!("nothing exists") };
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[50]), (51, "line 1: no 1", "and 2 more"));
        let mixed = [wrong(1, Why::Unknown("no".into())), wrong(2, Why::Bad("odd".into()))];
        assert_eq!(refused(&mixed), Refused::Wrong("line 1: no\nline 2: odd".into()));
    }
}
