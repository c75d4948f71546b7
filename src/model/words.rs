//! Counted things, as people say them, and words as a shell takes them.

use std::fmt::Display;

/// Says how many there are of something, of which `one` is the word for a single one: `1 row`, `2 rows`, `0 entries`.
pub fn counted(count: impl Display, one: &str) -> String {
    let count = count.to_string();
    if matches!(count.as_str(), "1" | "-1") {
        return format!("{count} {one}");
    }
    match one.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        Some(stem) => format!("{count} {stem}ies"),
        None => format!("{count} {one}s"),
    }
}

/// Chooses the word that goes with a count: `1 row is good`, `2 rows are good`.
pub fn which<'a>(count: impl Display, one: &'a str, many: &'a str) -> &'a str {
    if count.to_string() == "1" { one } else { many }
}

/// Quotes a word so that a shell takes it for one, whatever it holds: for commands that people are told to run.
pub fn shell(word: impl Display) -> String {
    let word = word.to_string();
    // Only a NUL cannot be quoted, and no argument can hold one.
    shlex::try_quote(&word).map(|quoted| quoted.into_owned()).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_everything_else_plural() {
        let told: Vec<String> = [0, 1, 2].into_iter().map(|count| counted(count, "row")).collect();
        assert_eq!(told, ["0 rows", "1 row", "2 rows"]);
        assert_eq!((counted(2, "entry"), counted(1, "entry")), ("2 entries".into(), "1 entry".into()));
        assert_eq!(
            (counted(3, "day"), counted(2, "dead letter")),
            ("3 days".into(), "2 dead letters".into())
        );
        assert_eq!([which(1, "is", "are"), which(0, "is", "are")], ["is", "are"]);
    }

    #[test]
    fn a_shell_takes_a_quoted_word_for_the_one_that_it_was() {
        assert_eq!(shell("TSHIRT/BL-M"), "TSHIRT/BL-M");
        assert_eq!(shell("A B"), "'A B'");
        for word in
            ["", "A B", "12' $x", "a|b", "\"5\" `id`", "größe!", "*", "~", "#1001", "a\\b", "é'\"$`\\ !"]
        {
            assert_eq!(shlex::split(&shell(word)), Some(vec![word.to_owned()]), "{word}");
        }
    }
}
