//! Which listing's drift a person means: a SKU may be listed several times on a channel, at several of its own locations.

use crate::{
    core::{
        State,
        command::Refused,
        state::{Listing, ListingRef},
    },
    model::{ChannelId, Identifiers, Seq, Sku, shell},
};

/// Finds the one listing whose open drift a person means: by the SKU's name as it is listed, or by another one that it has; by what
/// the listing goes by; by the record of the drift.
pub fn meant(
    state: &State,
    sku: &Sku,
    channel: &ChannelId,
    name: &Identifiers,
    seq: Option<Seq>,
) -> Result<ListingRef, Refused> {
    if !state.skus.contains_key(sku) {
        return Err(Refused::Nothing(format!("SKU `{sku}`")));
    }
    let drifts = |listing: &ListingRef| state.listing(listing).is_some_and(Listing::drifts);
    let of =
        |name: &Sku| -> Vec<ListingRef> { state.listed(name, channel).into_iter().filter(drifts).collect() };
    let own = of(sku);
    let all: Vec<ListingRef> = state.names_of(sku).iter().flat_map(of).collect();
    if all.is_empty() {
        return Err(Refused::Nothing(format!("open drift of SKU `{sku}` on `{channel}`")));
    }
    let choices =
        |open: &[ListingRef]| open.iter().map(|listing| said(state, listing)).collect::<Vec<_>>().join(", ");
    let fits = |listing: &&ListingRef| {
        let of = state.listing(listing).and_then(|held| held.drift.as_deref()).map(|drift| drift.seq);
        seq.is_none_or(|seq| of == Some(seq))
    };
    let called = |open: &[ListingRef]| -> Vec<ListingRef> {
        open.iter().filter(fits).filter(|listing| state.is_called(listing, name)).cloned().collect()
    };
    // By its other names only where nothing under its own is meant.
    let (open, called) = match called(&own) {
        found if found.is_empty() => (&all, called(&all)),
        found => (&own, found),
    };
    if let Some(seq) = seq.filter(|_| !all.iter().any(|listing| fits(&listing))) {
        let why = format!("the drift of record {seq} is over; what is open now: {}", choices(open));
        return Err(Refused::NotSo(why));
    }
    match called[..] {
        [ref one] => Ok(one.clone()),
        [] => Err(Refused::NotSo(format!(
            "no open drift of SKU `{sku}` on `{channel}` goes by `{name}`; what is open now: {}",
            choices(open)
        ))),
        _ => Err(Refused::NotSo(format!(
            "SKU `{sku}` has {} open drifts on `{channel}`; add one of: {}",
            called.len(),
            choices(open)
        ))),
    }
}

/// Says which listing's drift it is, as a command takes it, and of what numbers.
fn said(state: &State, listing: &ListingRef) -> String {
    let name = state.listing_name(listing);
    let options = name.iter().map(|id| format!("--listing {}={}", id.kind.name(), shell(id.value)));
    let options = options.collect::<Vec<_>>().join(" ");
    let drift = state.listing(listing).and_then(|held| held.drift.as_deref());
    let numbers = drift.map_or(String::new(), |drift| {
        format!(" (record {}, which shows {} and not {})", drift.seq, drift.observed, drift.expected)
    });
    format!("`{options}`{numbers}")
}
