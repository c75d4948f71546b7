//! What lies in quarantine.

use crate::{
    core::{State, state::Quarantined},
    model::Seq,
    web::view::{Meant, QuarantineItem},
};

/// Returns the items that are meant, the oldest first, at most `limit`, and whether there are more.
pub(in crate::web) fn items(state: &State, meant: &Meant, limit: usize) -> (Vec<QuarantineItem>, bool) {
    let fits = |(id, item): &(&Seq, &Quarantined)| {
        (meant.all || meant.ids.contains(id))
            && meant.channel.as_ref().is_none_or(|channel| item.channel == *channel)
            && meant.topic.as_ref().is_none_or(|topic| item.topic == *topic)
    };
    let all = state.quarantine.iter().filter(fits).map(|(id, item)| view(*id, item));
    let mut items: Vec<QuarantineItem> = all.take(limit.saturating_add(1)).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    (items, more)
}

/// Whether the body is kept, the store's directory tells.
fn view(id: Seq, item: &Quarantined) -> QuarantineItem {
    QuarantineItem {
        id,
        channel: item.channel.clone(),
        topic: item.topic.clone(),
        subject: item.id.clone(),
        why: item.why.clone(),
        since: item.at.into(),
        sha256: item.sha256.clone(),
        kept: false,
    }
}
