//! On which line of a file a row begins. The CSV reader tells where the row before it ended, which is another line after
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
