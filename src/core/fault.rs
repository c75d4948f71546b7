//! Why something outside failed, as people are told it.

/// The most bytes that are kept of an error's text.
const MOST: usize = 300;

/// Returns an error's text as one line that is not long.
pub fn excerpt(text: &str) -> String {
    line(text, MOST)
}

/// Returns a text as one line, of which at most so many bytes are kept.
pub fn line(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= most {
        return line;
    }
    let end = line.floor_char_boundary(most);
    format!("{}...", &line[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_one_line_and_never_longer_than_is_kept() {
        assert_eq!(
            excerpt(" channel answered 503:\n\tdown  for\nrepair "),
            "channel answered 503: down for repair"
        );
        let long = excerpt(&"ü".repeat(1_000));
        assert!(long.len() <= MOST + 3 && long.ends_with("ü..."), "{long}");
    }
}
