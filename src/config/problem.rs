//! What is wrong with a configuration: which key, where it stands, what it must be.
//!
//! Knows nothing of the keys themselves. Never holds the value of a secret.

use std::fmt;

use serde::Serialize;

/// One step on the way to a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// The way from the top of the file to a key: `channels.shopify.main.buffer`, `overrides[2].sku`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct KeyPath(Vec<Step>);

impl KeyPath {
    pub(super) fn key(&self, key: &str) -> KeyPath {
        self.with(Step::Key(key.to_owned()))
    }

    pub(super) fn index(&self, index: usize) -> KeyPath {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> KeyPath {
        let mut steps = self.0.clone();
        steps.push(step);
        KeyPath(steps)
    }

    /// Reads `store.path`. Keys that hold dots cannot be written this way.
    pub(super) fn dotted(text: &str) -> KeyPath {
        KeyPath(text.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    pub(super) fn parent(&self) -> Option<KeyPath> {
        let (_, rest) = self.0.split_last()?;
        Some(KeyPath(rest.to_vec()))
    }

    /// Says whether this is `other` or lies below it.
    pub(super) fn is_within(&self, other: &KeyPath) -> bool {
        self.0.starts_with(&other.0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) => {
                    let dot = if n == 0 { "" } else { "." };
                    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                    if !key.is_empty() && key.chars().all(bare) {
                        write!(f, "{dot}{key}")?;
                    } else {
                        write!(f, "{dot}{key:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// A place in the file. Both count from one; columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

/// The line that a problem stands on, for a caret below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snippet {
    pub text: String,
    /// How many characters the caret underlines.
    pub width: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, or the environment variable that set the value.
    pub origin: String,
    /// Where in the file. For a missing key: where its table begins.
    pub place: Option<Place>,
    /// Empty if the file as a whole is meant.
    pub key: String,
    /// What must hold, and what is there.
    pub message: String,
    /// What to do about it, where the message does not say so already.
    pub fix: Option<String>,
    #[serde(skip)]
    pub snippet: Option<Snippet>,
}

impl fmt::Display for Problem {
    /// Writes `file:line:column: key: message; fix`. The alternate form adds the line and a caret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.origin)?;
        if let Some(Place { line, column }) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(fix) = &self.fix {
            write!(f, "; {fix}")?;
        }
        if let (true, Some(snippet), Some(place)) = (f.alternate(), &self.snippet, self.place) {
            let gutter = place.line.to_string().len();
            let caret = "^".repeat(snippet.width.max(1));
            write!(f, "\n{:gutter$} |\n{} | {}\n", "", place.line, snippet.text)?;
            write!(f, "{:gutter$} | {:indent$}{caret}", "", "", indent = place.column - 1)?;
        }
        Ok(())
    }
}

/// Everything that is wrong, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(transparent)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Sorts by place; what has none comes last.
    pub(super) fn new(mut list: Vec<Problem>) -> Problems {
        let rank = |problem: &Problem| {
            let far = Place { line: usize::MAX, column: usize::MAX };
            (problem.place.unwrap_or(far), problem.origin.clone(), problem.key.clone())
        };
        list.sort_by_key(rank);
        list.dedup();
        Problems(list)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Problems {
    /// Writes one problem per line. The alternate form shows the lines, with a caret each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            if n > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

/// Finds the known word that a mistyped one was probably meant to be.
pub(super) fn closest<'w>(word: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let word = word.to_lowercase().replace('-', "_");
    let allowed = (word.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Writes `a`, `b` or `c`.
pub(super) fn any_of<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_as_in_the_file() {
        let path = KeyPath::default().key("overrides").index(2).key("sku");
        assert_eq!(path.to_string(), "overrides[2].sku");
        assert_eq!(KeyPath::dotted("a.b").key("x y").to_string(), "a.b.\"x y\"");
        assert!(path.is_within(&KeyPath::dotted("overrides")));
        assert!(!KeyPath::dotted("overrides").is_within(&path));
    }

    #[test]
    fn a_near_miss_finds_its_word_and_a_far_one_finds_none() {
        let known = ["buffer", "base_url", "max"];
        for (word, want) in [
            ("bufer", Some("buffer")),
            ("BUFFER", Some("buffer")),
            ("base-url", Some("base_url")),
            ("mx", Some("max")),
            ("colour", None),
            ("b", None),
        ] {
            assert_eq!(closest(word, known), want, "{word}");
        }
    }

    #[test]
    fn the_alternate_form_shows_the_line_and_a_caret() {
        let problem = Problem {
            origin: "evenkeel.toml".to_owned(),
            place: Some(Place { line: 41, column: 3 }),
            key: "web.queue_max".to_owned(),
            message: "must be at least `1`, is `0`".to_owned(),
            fix: None,
            snippet: Some(Snippet { text: "  queue_max = 0".to_owned(), width: 9 }),
        };
        assert_eq!(format!("{problem}"), "evenkeel.toml:41:3: web.queue_max: must be at least `1`, is `0`");
        let want = "evenkeel.toml:41:3: web.queue_max: must be at least `1`, is `0`\n   |\n41 |   queue_max = 0\n   |   ^^^^^^^^^";
        assert_eq!(format!("{problem:#}"), want);
    }
}
