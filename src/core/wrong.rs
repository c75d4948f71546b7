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

/// Refuses a request with what is wrong with it, in the order of its lines. Where nothing else is wrong than that something does not exist, that is
/// what it is refused for.
pub fn refused(wrong: &[Wrong]) -> Refused {
    let mut sorted: Vec<&Wrong> = wrong.iter().collect();
    sorted.sort_by_key(|wrong| wrong.line);
    let text = bounded(sorted.into_iter().map(ToString::to_string)).join("\n");
    if wrong.iter().all(|one| matches!(one.why, Why::Unknown(_))) {
        Refused::Unknown(text)
    } else {
        Refused::Wrong(text)
    }
}

/// Returns the first of very many problems, and how many more there are.
pub fn bounded(wrong: impl ExactSizeIterator<Item = String>) -> Vec<String> {
    first(wrong, 0)
}

/// Returns one list of problems where each of two was [`bounded`], in the order of their lines.
pub fn merged(one: Vec<String>, other: Vec<String>) -> Vec<String> {
    let more = |text: &str| text.strip_prefix("and ")?.strip_suffix(" more")?.parse::<usize>().ok();
    let line = |text: &str| text.strip_prefix("line ")?.split_once(':')?.0.parse::<u64>().ok();
    let (rest, mut all): (Vec<_>, Vec<_>) =
        one.into_iter().chain(other).partition(|text| more(text).is_some());
    all.sort_by_key(|text| line(text));
    all.dedup();
    first(all.into_iter(), rest.iter().filter_map(|text| more(text)).sum())
}

fn first(wrong: impl ExactSizeIterator<Item = String>, more: usize) -> Vec<String> {
    let more = wrong.len().saturating_sub(TOLD_MAX).saturating_add(more);
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
        let mixed = [wrong(2, Why::Bad("odd".into())), wrong(1, Why::Unknown("no".into()))];
        assert_eq!(refused(&mixed), Refused::Wrong("line 1: no\nline 2: odd".into()));
    }

    #[test]
    fn what_two_have_found_is_told_by_line() {
        let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let told =
            merged(texts(&["line 2: a", "line 10: b"]), texts(&["it is odd", "line 9: c", "line 2: a"]));
        assert_eq!(told, ["it is odd", "line 2: a", "line 9: c", "line 10: b"]);
        let many = |from: u32| bounded((from..from + 52).map(|n| format!("line {n}: bad")));
        let told = merged(many(1), many(100));
        assert_eq!((told.len(), told[49].as_str(), told[50].as_str()), (51, "line 50: bad", "and 54 more"));
    }
}
