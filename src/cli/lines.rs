//! On which line of a file a row begins, and a quote that is never closed. The CSV reader tells where the row before it ended, which is another line after
//! `\r\n` and after blank lines.

/// Counts lines as rows come, in their order.
pub(super) struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    pub(super) fn of(text: &'a [u8]) -> Lines<'a> {
        Lines { text, at: 0, line: 1 }
    }

    /// Returns the line on which a row begins whose position was told.
    pub(super) fn begin(&mut self, position: Option<&csv::Position>) -> u64 {
        let told = position.map_or(self.at, |position| usize::try_from(position.byte()).unwrap_or(self.at));
        let rest = self.text.get(told..).unwrap_or_default();
        let begin = told + rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let passed = self.text.get(self.at..begin).unwrap_or_default();
        let ends = passed.iter().filter(|byte| **byte == b'\n').count();
        self.line += u64::try_from(ends).unwrap_or(0);
        self.at = begin.max(self.at);
        self.line
    }
}

/// A quote that begins a field and that nothing closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclosed {
    /// Where its row begins in the text.
    pub(super) row: usize,
    pub(super) line: u64,
}

/// Finds the quote that is open at the end of a text.
pub(super) fn unclosed(text: &[u8], delimiter: u8) -> Option<Unclosed> {
    enum At {
        Begin,
        Plain,
        Quoted(Unclosed),
        /// After a quote within quotes: it ends the field, or stands for one of two.
        Quote(Unclosed),
    }
    let (mut at, mut row, mut line) = (At::Begin, 0, 1);
    for (n, byte) in text.iter().enumerate() {
        let ends_row = matches!(byte, b'\n' | b'\r');
        at = match at {
            At::Quoted(open) if *byte == b'"' => At::Quote(open),
            At::Quoted(open) => At::Quoted(open),
            At::Quote(open) if *byte == b'"' => At::Quoted(open),
            At::Begin if *byte == b'"' => At::Quoted(Unclosed { row, line }),
            At::Begin | At::Plain | At::Quote(_) if ends_row => {
                row = n + 1;
                At::Begin
            }
            At::Begin | At::Plain | At::Quote(_) if *byte == delimiter => At::Begin,
            At::Begin | At::Plain | At::Quote(_) => At::Plain,
        };
        line += u64::from(*byte == b'\n');
    }
    if let At::Quoted(open) = at { Some(open) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_that_nothing_closes_is_found() {
        let check = |text: &str, want: Option<(usize, u64)>| {
            let got = unclosed(text.as_bytes(), b',').map(|open| (open.row, open.line));
            assert_eq!(got, want, "{text:?}");
        };
        check("a,b\n\"x\",2\n", None);
        check("a,b\n\"x \"\"y\"\"\",2\n", None);
        check("a,b\n5\" pipe,2\n", None);
        check("a,b\n\"two\nlines\",2\nc,3", None);
        check("a,b\nc,\"2\nd,3\n", Some((4, 2)));
        check("a,b\r\n\"two\r\nlines\",\"2\r\nd,3\r\n", Some((5, 3)));
        check("\"a,b\n", Some((0, 1)));
        check("a,b\n\"x\"\"", Some((4, 2)));
    }
}
