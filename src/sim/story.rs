//! What happened last in a run, told in lines for whoever has to find out why it broke.

use std::collections::VecDeque;

/// The latest lines. Nothing is told, and nothing costs time, unless it was asked for.
#[derive(Debug, Default)]
pub(super) struct Story {
    keep: usize,
    lines: VecDeque<String>,
}

impl Story {
    /// Keeps the last `keep` lines.
    pub(super) fn of(keep: usize) -> Story {
        Story { keep, lines: VecDeque::new() }
    }

    pub(super) fn is_told(&self) -> bool {
        self.keep > 0
    }

    pub(super) fn tell(&mut self, at: i64, told: impl FnOnce() -> String) {
        if self.keep == 0 {
            return;
        }
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        let (seconds, millis) = (at / 1_000, at % 1_000);
        self.lines.push_back(format!("{seconds:>7}.{millis:03}  {}", told()));
    }

    pub(super) fn lines(self) -> Vec<String> {
        self.lines.into()
    }
}
