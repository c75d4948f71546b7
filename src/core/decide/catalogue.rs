//! What channels list: bound to SKUs where exactly one fits, kept as unmatched where not.

use std::collections::BTreeSet;

use crate::{
    core::{
        command::{Refused, Reply},
        decide::Draft,
        mapping::{Resolved, resolve},
        record::Record,
        state::{ListingRef, RowKey, Unmatched},
    },
    model::{CatalogueItem, ChannelId, IdKind, Observed, Policies, Sku, Timestamp, policy::MappingRow},
};

/// The most listings that one SKU may have.
const LISTINGS_MAX: usize = 1_000;

impl Draft<'_> {
    pub(super) fn configure(&mut self, policies: Policies) -> Result<Reply, Refused> {
        if self.state.policies.as_deref() == Some(&policies) {
            return Ok(Reply::Duplicate);
        }
        let instance = self.state.policies.as_ref().map(|held| held.instance.clone());
        let renamed = instance.is_some_and(|held| held != policies.instance);
        self.emit(Record::Configured { policies: Box::new(policies) });
        let skus: Vec<Sku> = self.state.skus.keys().cloned().collect();
        for sku in skus {
            if renamed {
                self.forget_bases(&sku);
            }
            self.refresh(&sku, self.now);
        }
        Ok(Reply::Done)
    }

    /// With a new instance id nothing is known of what the channels show.
    fn forget_bases(&mut self, sku: &Sku) {
        let count = self.state.skus.get(sku).map_or(0, |row| row.listings.len());
        for at in (0..count).filter_map(|at| u16::try_from(at).ok()) {
            let listing = ListingRef { sku: sku.clone(), at };
            self.learn(&listing, crate::core::record::Why::Restarted, |writes| writes.base = None);
        }
    }

    pub(super) fn catalogue(
        &mut self,
        channel: &ChannelId,
        read_at: Timestamp,
        items: Vec<CatalogueItem>,
    ) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        self.channel(channel)?;
        let master = policies.mapping.master.as_ref() == Some(channel);
        let (mut bound, mut unmatched) = (0, 0);
        let mut grown = false;
        for item in items {
            match self.place_item(channel, master, &item) {
                Ok((listing, new)) => {
                    bound += 1;
                    grown |= new;
                    if let Some(levels) = item.levels {
                        self.looked(channel, read_at, vec![(listing, Observed::Seen(levels))])?;
                    }
                }
                Err(why) => {
                    unmatched += 1;
                    self.unmatched(channel, item, why);
                }
            }
        }
        if grown {
            self.retry_unmapped(channel)?;
        }
        Ok(Reply::Catalogue { bound, unmatched })
    }

    /// Binds an item to the SKU that it is. Returns its listing and whether that is new, or why no SKU fits.
    fn place_item(
        &mut self,
        channel: &ChannelId,
        master: bool,
        item: &CatalogueItem,
    ) -> Result<(ListingRef, bool), String> {
        match resolve(self.state, channel, &item.ids) {
            Resolved::Listing(listing) if self.names_same(&listing, item) => {
                self.rebind(&listing, channel, item);
                Ok((listing, false))
            }
            Resolved::Listing(listing) => self.bind_new(channel, listing.sku, item),
            Resolved::Sku(sku) => self.bind_new(channel, sku, item),
            Resolved::Ambiguous(skus) => {
                let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
                Err(format!("fits several SKUs: {}", names.join(", ")))
            }
            Resolved::Unknown if master => {
                let text = item.ids.get(IdKind::Sku).ok_or("it has no SKU text")?;
                let sku = Sku::new(text.trim()).map_err(|bad| bad.to_string())?;
                self.bind_new(channel, sku, item)
            }
            Resolved::Unknown => Err("no SKU has this code".to_owned()),
        }
    }

    /// Tells whether an item is the listing itself, and not a sibling that shares an identifier (an ASIN, say).
    fn names_same(&self, listing: &ListingRef, item: &CatalogueItem) -> bool {
        let Some(held) = self.state.listing(listing) else { return false };
        let own = [IdKind::InventoryItem, IdKind::Record, IdKind::Sku];
        own.iter().all(|kind| match (held.ids.get(*kind), item.ids.get(*kind)) {
            (Some(held), Some(told)) => held == told,
            (None, _) | (_, None) => true,
        })
    }

    fn rebind(&mut self, listing: &ListingRef, channel: &ChannelId, item: &CatalogueItem) {
        let Some(held) = self.state.listing(listing) else { return };
        let ids = item.ids.and(&held.ids);
        let same =
            held.ids == ids && held.by == item.by && held.unwritable.as_deref() == item.unwritable.as_deref();
        if !same {
            self.emit(Record::Bound {
                sku: listing.sku.clone(),
                at: listing.at,
                channel: channel.clone(),
                ids,
                by: item.by,
                unwritable: item.unwritable.clone(),
            });
            self.refresh(&listing.sku, self.now);
        }
    }

    fn bind_new(
        &mut self,
        channel: &ChannelId,
        sku: Sku,
        item: &CatalogueItem,
    ) -> Result<(ListingRef, bool), String> {
        let count = self.state.skus.get(&sku).map_or(0, |row| row.listings.len());
        let at = u16::try_from(count).ok().filter(|_| count < LISTINGS_MAX);
        let at = at.ok_or_else(|| format!("SKU `{sku}` has more than {LISTINGS_MAX} listings"))?;
        self.emit(Record::Bound {
            sku: sku.clone(),
            at,
            channel: channel.clone(),
            ids: item.ids.clone(),
            by: item.by,
            unwritable: item.unwritable.clone(),
        });
        if self.state.unmatched.contains_key(&(channel.clone(), item.ids.clone())) {
            let (channel, ids) = (channel.clone(), item.ids.clone());
            self.emit(Record::Unmatched { channel, ids, unmatched: None });
        }
        self.refresh(&sku, self.now);
        Ok((ListingRef { sku, at }, true))
    }

    fn unmatched(&mut self, channel: &ChannelId, item: CatalogueItem, why: String) {
        let key = (channel.clone(), item.ids.clone());
        if self.state.unmatched.get(&key).is_some_and(|held| held.why == why) {
            return;
        }
        let (channel, ids) = key;
        let unmatched = Some(Unmatched { item, why, at: self.now });
        self.emit(Record::Unmatched { channel, ids, unmatched });
    }

    /// Adds rows to the mapping table, and tries everything that waited for them.
    pub(super) fn map(&mut self, rows: Vec<MappingRow>) -> Result<Reply, Refused> {
        for row in &rows {
            self.channel(&row.channel)?;
        }
        let channels: BTreeSet<ChannelId> = rows.iter().map(|row| row.channel.clone()).collect();
        for row in &rows {
            if !self.state.skus.contains_key(&row.sku) {
                return Err(Refused::Nothing(format!("SKU {}", row.sku)));
            }
        }
        self.emit(Record::Mapped { rows });
        let (mut bound, mut unmatched) = (0, 0);
        for channel in channels {
            let waiting: Vec<CatalogueItem> = self
                .state
                .unmatched
                .range((channel.clone(), Default::default())..)
                .take_while(|((of, _), _)| *of == channel)
                .map(|(_, unmatched)| unmatched.item.clone())
                .collect();
            for item in waiting {
                match self.place_item(&channel, false, &item) {
                    Ok(_) => bound += 1,
                    Err(_) => unmatched += 1,
                }
            }
            self.retry_unmapped(&channel)?;
        }
        self.state.dirty.insert(RowKey::Table);
        Ok(Reply::Catalogue { bound, unmatched })
    }
}
