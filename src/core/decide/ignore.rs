//! What sells nothing that is kept in stock (a gift card, a service), by a person's word: no SKU is waited for.
//!
//! A mapping goes before it: what a SKU is found for after all is booked like everything else, as long as its order is kept. One
//! that was over long ago is pruned, and what was left out of it stays so.

use crate::{
    core::{
        command::{Refused, Reply},
        decide::Draft,
        order::{Ignore, Line},
        record::Record,
        state::{Ignorable, Ignored, Note},
    },
    model::ChannelId,
};

/// The most entries. Each line that has no SKU is held against all of its channel's.
const IGNORED_MAX: usize = 10_000;

impl Draft<'_> {
    pub(super) fn ignore_by_hand(
        &mut self,
        what: Ignorable,
        ignored: bool,
        note: Note,
    ) -> Result<Reply, Refused> {
        let held = match &what {
            Ignorable::Item { channel, ids } => {
                self.channel(channel)?;
                if ids.is_empty() {
                    return Err(Refused::NotSo("it names no identifier".to_owned()));
                }
                self.state.ignored.contains_key(&(channel.clone(), ids.clone()))
            }
            Ignorable::Line { order, line } => {
                let held = self.state.orders.get(order).and_then(|order| order.lines.get(line));
                let nothing = || Refused::Nothing(format!("line `{line}` of order `{order}`"));
                let held = held.ok_or_else(nothing)?;
                if !held.lacks_sku() {
                    return Err(Refused::NotSo(format!("line {line} of order {order} waits for no SKU")));
                }
                held.ignored == Some(Ignore::Line)
            }
        };
        match (held, ignored) {
            (true, true) => return Ok(Reply::Duplicate),
            (false, false) => return Err(Refused::Nothing(format!("an ignored entry for {what}"))),
            (false, true) if self.state.ignored.len() >= IGNORED_MAX => {
                return Err(Refused::NotSo(format!(
                    "{IGNORED_MAX} entries are ignored already; no more are taken"
                )));
            }
            (false, true) | (true, false) => {}
        }
        let ignored = ignored.then_some(Ignored { at: self.now, note });
        self.emit(Record::Ignored { what, ignored });
        self.recheck_unmapped();
        self.recheck_ignored();
        Ok(Reply::Done)
    }

    /// Notes whether a line that has no SKU is to be left out. What a person said of this one line stays.
    pub(super) fn ignore(&self, channel: &ChannelId, line: &mut Line) {
        if line.ignored != Some(Ignore::Line) {
            line.ignored = self.state.ignores(channel, &line.ids).then_some(Ignore::Item);
        }
    }
}
