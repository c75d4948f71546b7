//! What a person should know of a channel beyond what its reads and writes tell.

use std::collections::BTreeMap;

use crate::{
    core::{
        command::{Refused, Reply},
        decide::Draft,
        fault::line,
        record::Record,
    },
    model::{ChannelId, Notice},
};

/// The most notices of one channel.
const NOTICES_MAX: usize = 16;
/// The most bytes that are kept of what a notice is about, and of what it says.
const KIND_MAX: usize = 32;
const TEXT_MAX: usize = 1_000;

impl Draft<'_> {
    /// Takes over what was found out, where it differs from what is known.
    pub(super) fn tended(
        &mut self,
        channel: ChannelId,
        found: Vec<Notice>,
        unsure: &[String],
    ) -> Result<Reply, Refused> {
        self.known(&channel)?;
        let held = self.state.channels.get(&channel).map(|row| row.notices.clone()).unwrap_or_default();
        let stand = held.iter().filter(|notice| unsure.contains(&notice.kind)).cloned();
        let all = stand.chain(found.into_iter().map(|notice| Notice {
            kind: line(&notice.kind, KIND_MAX),
            text: line(&notice.text, TEXT_MAX),
            ..notice
        }));
        // The later ones count: what was found out goes before what stands.
        let all: BTreeMap<String, Notice> = all.map(|notice| (notice.kind.clone(), notice)).collect();
        let notices: Vec<Notice> = all.into_values().take(NOTICES_MAX).collect();
        if notices == held {
            return Ok(Reply::Done);
        }
        self.note(Record::Noticed { channel, notices })
    }
}
