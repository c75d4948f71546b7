//! From a channel's identifiers to the canonical SKU. Ambiguity is an error that a person resolves, never a guess.

use std::collections::BTreeSet;

use crate::{
    core::state::{ListingRef, State},
    model::{ChannelId, FulfilledBy, IdKind, Identifiers, Sku, policy::MappingRules},
};

/// What identifiers turned out to mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// A listing that is already bound.
    Listing(ListingRef),
    /// A SKU that has no such listing yet.
    Sku(Sku),
    /// Several SKUs would fit.
    Ambiguous(Vec<Sku>),
    Unknown,
}

impl Resolved {
    pub fn sku(&self) -> Option<&Sku> {
        match self {
            Resolved::Listing(listing) => Some(&listing.sku),
            Resolved::Sku(sku) => Some(sku),
            Resolved::Ambiguous(_) | Resolved::Unknown => None,
        }
    }
}

/// What names one listing, strongest first.
const OWN: [IdKind; 5] = [IdKind::InventoryItem, IdKind::Variant, IdKind::Record, IdKind::Sku, IdKind::Fnsku];
/// What several listings may share.
const SHARED: [IdKind; 2] = [IdKind::Asin, IdKind::Barcode];

/// Finds the SKU: a bound listing's own identifiers, the same text as a SKU, shared identifiers, the rules, and last
/// the mapping table, which also resolves what is ambiguous.
pub fn resolve(state: &State, channel: &ChannelId, ids: &Identifiers) -> Resolved {
    let text = ids.get(IdKind::Sku);
    let mut guess = by_listings(state, channel, ids, &OWN);
    if guess == Resolved::Unknown {
        let exact = text.and_then(|text| Sku::new(text).ok()).filter(|sku| state.skus.contains_key(sku));
        guess = exact.map_or(Resolved::Unknown, Resolved::Sku);
    }
    if guess == Resolved::Unknown {
        guess = by_listings(state, channel, ids, &SHARED);
    }
    if let (Resolved::Unknown, Some(text)) = (&guess, text) {
        guess = by_rules(state, text);
    }
    match guess {
        Resolved::Ambiguous(_) | Resolved::Unknown => {
            state.index.mapped(state, channel, ids).map_or(guess, Resolved::Sku)
        }
        Resolved::Listing(_) | Resolved::Sku(_) => guess,
    }
}

/// Returns who ships the listing that identifiers name. `None`: no such listing is known, or they disagree. What only
/// shares an ASIN with it says nothing: the same one may be sold by the merchant and from the channel's warehouse.
pub fn listed_by(state: &State, channel: &ChannelId, ids: &Identifiers) -> Option<FulfilledBy> {
    let own = OWN.iter().any(|kind| ids.get(*kind).is_some());
    let kinds: &[IdKind] = if own { &OWN } else { &SHARED };
    let listings = kinds.iter().find_map(|kind| {
        let found = state.index.listings(state, channel, *kind, ids.get(*kind)?);
        (!found.is_empty()).then_some(found)
    })?;
    let all: BTreeSet<FulfilledBy> =
        listings.iter().filter_map(|listing| state.listing(listing)).map(|held| held.by).collect();
    all.first().copied().filter(|by| all.len() == 1 && *by != FulfilledBy::Unknown)
}

fn by_listings(state: &State, channel: &ChannelId, ids: &Identifiers, kinds: &[IdKind]) -> Resolved {
    for kind in kinds {
        let Some(value) = ids.get(*kind) else { continue };
        let found = state.index.listings(state, channel, *kind, value);
        let skus: BTreeSet<Sku> = found.iter().map(|l| l.sku.clone()).collect();
        match of_outlet(state, channel, ids, found) {
            Some(listing) if skus.len() == 1 => return Resolved::Listing(listing),
            Some(_) => return Resolved::Ambiguous(skus.into_iter().collect()),
            None => {}
        }
    }
    Resolved::Unknown
}

/// Returns the listing of the outlet that identifiers name, or else the first: it tells the SKU at least.
fn of_outlet(
    state: &State,
    channel: &ChannelId,
    ids: &Identifiers,
    found: Vec<ListingRef>,
) -> Option<ListingRef> {
    let policy = state.policies().and_then(|policies| policies.channels.get(channel));
    let same = |listing: &ListingRef| {
        let held = state.listing(listing);
        policy.zip(held).is_some_and(|(policy, held)| policy.same_outlet(&held.ids, ids))
    };
    let at = found.iter().position(same).unwrap_or(0);
    found.into_iter().nth(at)
}

fn by_rules(state: &State, text: &str) -> Resolved {
    let Some(policies) = &state.policies else { return Resolved::Unknown };
    let rules = &policies.mapping;
    let mut fits: BTreeSet<Sku> = BTreeSet::new();
    let stripped = rules.strip_prefixes.iter().filter_map(|prefix| text.strip_prefix(prefix.as_str()));
    for text in stripped.chain([text]) {
        let folded = fold(rules, text);
        fits.extend(state.index.folded(&folded).filter(|sku| fold(rules, sku.as_str()) == folded).cloned());
    }
    let mut fits: Vec<Sku> = fits.into_iter().collect();
    match (fits.pop(), fits.is_empty()) {
        (Some(sku), true) => Resolved::Sku(sku),
        (Some(sku), false) => {
            fits.push(sku);
            Resolved::Ambiguous(fits)
        }
        (None, _) => Resolved::Unknown,
    }
}

/// Folds a SKU text as the rules say, so that variants of it become equal.
pub fn fold(rules: &MappingRules, text: &str) -> String {
    let text = if rules.trim { text.trim() } else { text };
    if rules.ignore_case { text.to_lowercase() } else { text.to_owned() }
}
