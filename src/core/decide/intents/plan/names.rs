//! Which listings of a SKU are meant on a channel: it may go by several names, and be listed several times.

use super::{Planning, Why, bad, no_sku};
use crate::{
    core::state::{Listing, ListingRef},
    model::{ChannelId, Sku, shell},
};

impl<'a> Planning<'a> {
    /// Says that a SKU goes by another name by now, and which listings of it are not meant, because they go by another one.
    pub(super) fn note_names(&mut self, sku: &Sku, channel: &ChannelId) {
        let mut names = self.state.names_of(sku);
        names.retain(|name| !self.writable(name, channel).0.is_empty());
        let mut names = names.into_iter();
        let meant = names.next();
        for other in names {
            let quoted = [shell(&other), shell(channel)].join(" ");
            self.note(format!(
                "its other listing on `{channel}`, as `{other}`, stays as it is: `evenkeel set {quoted} UNITS` sets that one"
            ));
        }
        if let Some(meant) = meant.filter(|meant| meant != sku) {
            self.note(format!("it is listed on `{channel}` as `{meant}`"));
        }
    }

    /// Finds the listings of a SKU on a channel that may be written.
    pub(super) fn listings(&self, sku: &Sku, channel: &ChannelId) -> Result<Vec<ListingRef>, Why> {
        self.channel(channel)?;
        if !self.state.skus.contains_key(sku) {
            return Err(no_sku(sku));
        }
        let mut unwritable = None;
        for name in self.state.names_of(sku) {
            let (good, why) = self.writable(&name, channel);
            if !good.is_empty() {
                return Ok(good);
            }
            unwritable = unwritable.or(why);
        }
        let why = unwritable
            .map_or("is not listed there".to_owned(), |why| format!("must not be written there: {why}"));
        bad(format!("`{sku}` cannot be set on `{channel}`: it {why}"))
    }

    /// Returns the listings of a SKU on a channel that may be written, under this very name, or why there are none.
    pub(super) fn writable(&self, sku: &Sku, channel: &ChannelId) -> (Vec<ListingRef>, Option<&'a str>) {
        let held = |listing: &ListingRef| self.state.listing(listing);
        let (good, other): (Vec<_>, Vec<_>) = self
            .state
            .listed(sku, channel)
            .into_iter()
            .partition(|listing| held(listing).is_some_and(Listing::writable));
        (good, other.first().and_then(held).and_then(Listing::why_unwritable))
    }

    /// Finds the one listing of a SKU on a channel.
    pub(super) fn one(&self, sku: &Sku, channel: &ChannelId) -> Result<ListingRef, Why> {
        let mut all = self.listings(sku, channel)?;
        match (all.pop(), all.is_empty()) {
            (Some(one), true) => Ok(one),
            _ => bad(format!(
                "`{sku}` has several listings on `{channel}`, and units cannot be moved to or from one of several; \
                 `evenkeel set {} {channel} UNITS` sets the same limit on each of them, on the other channel another one",
                shell(sku)
            )),
        }
    }

    /// Fails for what is made of others: it lies nowhere by itself.
    pub(super) fn not_made(&self, sku: &Sku) -> Result<(), Why> {
        if self.state.index.recipes.direct(sku).is_none() {
            return Ok(());
        }
        bad(format!("`{sku}` is a bundle and has no stock of its own: transfer {}", self.state.parts_of(sku)))
    }
}
