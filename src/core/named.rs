//! What people call things: a SKU by a name that it had before, and one of several listings of a SKU on a channel.

use crate::{
    core::state::{Listing, ListingRef, State},
    model::{ChannelId, IdKind, Identifiers, LocationId, Sku, policy::ChannelPolicy},
};

/// In which order the kinds of identifier are tried as the name of a listing: where it is comes first.
const NAMES: [IdKind; 8] = [
    IdKind::Location,
    IdKind::Sku,
    IdKind::Variant,
    IdKind::InventoryItem,
    IdKind::Asin,
    IdKind::Fnsku,
    IdKind::Record,
    IdKind::Barcode,
];

impl State {
    /// Says what a SKU is called now, if it became part of another one.
    pub fn renamed(&self, sku: &Sku) -> Option<String> {
        let now = self.canonical(sku);
        (now != sku).then(|| format!("`{sku}` is now `{now}`"))
    }

    /// Returns the names that a SKU may be listed by: the one given first, then what it is called now, then what else was
    /// merged into that.
    pub fn names_of(&self, sku: &Sku) -> Vec<Sku> {
        let others = self.known_as(self.canonical(sku)).into_iter().filter(|name| name != sku);
        std::iter::once(sku.clone()).chain(others).collect()
    }

    /// Returns the listings of a SKU on a channel, under this very name.
    pub fn listed(&self, sku: &Sku, channel: &ChannelId) -> Vec<ListingRef> {
        let row = self.skus.get(sku);
        let all = row.into_iter().flat_map(|row| (0_u16..).zip(&row.listings));
        let here = all.filter(|(_, held)| held.channel == *channel && !held.given_away());
        here.map(|(at, _)| ListingRef { sku: sku.clone(), at }).collect()
    }

    /// Returns the fewest identifiers that tell a listing from the others of its SKU on its channel.
    pub fn listing_name(&self, listing: &ListingRef) -> Identifiers {
        let Some(held) = self.listing(listing) else { return Identifiers::default() };
        let own = self.told_ids(held);
        let others = self.listed(&listing.sku, &held.channel);
        let others = others.iter().filter(|other| *other != listing).filter_map(|other| self.listing(other));
        let others: Vec<Identifiers> = others.map(|held| self.told_ids(held)).collect();
        fewest(&own, &others)
    }

    /// Returns what a listing goes by. One that does not say at which of the channel's own locations it is, is at the first.
    fn told_ids(&self, held: &Listing) -> Identifiers {
        let policy = self.policies().and_then(|policies| policies.channels.get(&held.channel));
        held.ids.and(&policy.map(first_outlet).unwrap_or_default())
    }

    /// Tells whether a listing goes by all of these.
    pub fn is_called(&self, listing: &ListingRef, name: &Identifiers) -> bool {
        self.listing(listing).is_some_and(|held| goes_by(&self.told_ids(held), name))
    }

    /// Returns where a listing draws its stock from.
    pub fn drawn(&self, held: &Listing) -> &[LocationId] {
        let policy = self.policies().and_then(|policies| policies.channels.get(&held.channel));
        policy.and_then(|policy| policy.drawn(&held.ids)).unwrap_or_default()
    }
}

/// Returns how the first of a channel's own locations is named there, if it has any.
pub(super) fn first_outlet(policy: &ChannelPolicy) -> Identifiers {
    let first = policy.outlets.first();
    let place = first.and_then(|first| Identifiers::new([(IdKind::Location, first.id.as_str())]).ok());
    place.unwrap_or_default()
}

/// Returns the fewest identifiers of those of a listing that tell it from others.
pub(super) fn fewest(own: &Identifiers, others: &[Identifiers]) -> Identifiers {
    let alone = |name: &Identifiers| others.iter().all(|other| !goes_by(other, name));
    // Where there is but one, where it is need not be said.
    let kinds = &NAMES[usize::from(others.is_empty())..];
    let one = kinds.iter().map(|kind| only(own, &[*kind])).filter(|name| !name.is_empty()).find(alone);
    let two = || {
        let pairs = NAMES.iter().flat_map(|a| NAMES.iter().map(move |b| [*a, *b]));
        pairs.map(|pair| only(own, &pair)).find(alone)
    };
    one.or_else(two).unwrap_or_else(|| own.clone())
}

fn goes_by(ids: &Identifiers, name: &Identifiers) -> bool {
    name.iter().all(|id| ids.get(id.kind) == Some(id.value))
}

fn only(ids: &Identifiers, kinds: &[IdKind]) -> Identifiers {
    let kept = IdKind::ALL.into_iter().filter(|kind| !kinds.contains(kind));
    kept.fold(ids.clone(), |ids, kind| ids.without(kind))
}
