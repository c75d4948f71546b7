//! What channels list: bound to SKUs where exactly one fits, kept as unmatched where not.

mod clash;

use std::collections::BTreeSet;

use crate::{
    core::{
        command::{Refused, Reply},
        decide::{Draft, stands::lies_elsewhere},
        leg::{self, Event},
        mapping::{Resolved, resolve},
        record::{Record, Why},
        state::{ListingRef, State, Todo, Unmatched},
        wrong::{Why as Reason, Wrong, refused},
    },
    model::{
        CatalogueItem, ChannelId, IdKind, Identifiers, Policies, Sku, Timestamp, forms, policy::MappingRow,
    },
};

pub use clash::clashing;

/// The most listings that one SKU may have.
pub(super) const LISTINGS_MAX: usize = 1_000;
/// The most waiting items of a channel that a mapping tries at once; the rest follows in portions.
const WAITING_MAX: usize = 2_000;
/// How often these are gone through, as long as any finds its SKU.
const AGAIN_MAX: usize = 8;

/// Returns a row without what it says of an outlet: a thing is the same SKU at all of them.
fn of_the_thing(row: MappingRow) -> Result<MappingRow, Refused> {
    let ids = row.ids.without(IdKind::Location);
    if ids.is_empty() {
        return Err(Refused::NotSo(format!("a row of {} names nothing but a location", row.sku)));
    }
    Ok(MappingRow { ids, ..row })
}

/// Refuses rows that cannot be added to the mapping table. Each comes with its line in a file.
pub fn mappable<'a>(
    state: &State,
    rows: impl IntoIterator<Item = (Option<u64>, &'a MappingRow)>,
) -> Result<(), Refused> {
    let wrong = unmappable(state, rows)?;
    if wrong.is_empty() { Ok(()) } else { Err(refused(&wrong)) }
}

/// Returns everything for which rows cannot be added to the mapping table.
pub fn unmappable<'a>(
    state: &State,
    rows: impl IntoIterator<Item = (Option<u64>, &'a MappingRow)>,
) -> Result<Vec<Wrong>, Refused> {
    let policies = state.policies().ok_or(Refused::NotConfigured)?;
    let mut wrong = Vec::new();
    for (line, row) in rows {
        let mut say = |why| wrong.push(Wrong { line, why });
        let kind = policies.channels.get(&row.channel).map(|policy| policy.kind);
        if kind.is_none() {
            say(Reason::Unknown(format!("channel `{}` is not configured", row.channel)));
        }
        if !state.is_thing(&row.sku) {
            say(Reason::Unknown(format!("there is no SKU `{}`", row.sku)));
        }
        // Where it lies on the channel says nothing of what it is, and is left out.
        for id in row.ids.without(IdKind::Location).iter() {
            if let Some(why) = forms::refuse(kind, id.kind, id.value) {
                let known = kind.map_or_else(String::new, |kind| {
                    format!("; on `{}` a thing goes by {}", row.channel, forms::known(kind).join(", "))
                });
                say(Reason::Bad(format!("`{}`: {why}{known}", id.kind.name())));
            }
        }
    }
    Ok(wrong)
}

/// Finds the row of the mapping table that a person has brought, or tells why there is none to be taken out.
pub fn removable<'a>(
    state: &'a State,
    channel: &ChannelId,
    ids: &Identifiers,
) -> Result<&'a MappingRow, Refused> {
    let policies = state.policies().ok_or(Refused::NotConfigured)?;
    if !policies.channels.contains_key(channel) && !state.table.iter().any(|row| row.channel == *channel) {
        return Err(Refused::NoChannel(channel.clone()));
    }
    let ids = ids.without(IdKind::Location);
    let same = |row: &&MappingRow| row.channel == *channel && row.ids == ids;
    if let Some(row) = state.table.iter().find(same) {
        return Ok(row);
    }
    if policies.mapping.table.iter().any(|row| same(&row)) {
        return Err(Refused::NotSo(format!(
            "the row for {ids} on `{channel}` stands in the configuration: take it out of `[[mapping.table]]` and run \
             `evenkeel reload`"
        )));
    }
    let shares = |row: &&MappingRow| {
        row.channel == *channel && ids.iter().any(|id| row.ids.get(id.kind) == Some(id.value))
    };
    let near = state.table.iter().find(shares).map_or_else(String::new, |row| {
        let all = row.ids.iter().map(|id| format!("{}={}", id.kind.name(), id.value));
        format!("; a row is named by all that it names, such as `{}`", all.collect::<Vec<_>>().join(","))
    });
    Err(Refused::Unknown(format!("no row of the mapping table is for {ids} on `{channel}`{near}")))
}

/// Tells whether identifiers are those of the same record of a channel, as far as both name it. Its own id of it decides.
fn same_record(one: &Identifiers, other: &Identifiers) -> Option<bool> {
    let own = [IdKind::InventoryItem, IdKind::Record, IdKind::Sku];
    own.iter().find_map(|kind| Some(one.get(*kind)? == other.get(*kind)?))
}

impl Draft<'_> {
    pub(super) fn configure(&mut self, policies: Policies) -> Result<Reply, Refused> {
        let same = self.state.policies.as_deref() == Some(&policies);
        if same && self.state.held_config.is_none() {
            return Ok(Reply::Duplicate);
        }
        let before = self.state.policies.clone();
        self.emit(Record::Configured { policies: Box::new(policies) });
        if !same {
            self.reread_moved(before.as_deref());
            self.state.recheck.sold = Todo::All;
            self.recheck_unmapped();
            self.recheck_ignored();
            self.recheck_skus();
        }
        Ok(Reply::Done)
    }

    /// Wants open orders to be read again where a channel's own locations are others, or more: what was booked at one of our places by what
    /// they stood for may lie at another, and would be on sale there.
    fn reread_moved(&mut self, before: Option<&Policies>) {
        let Some(policies) = self.state.policies.clone() else { return };
        for (channel, policy) in &policies.channels {
            let was = before.and_then(|before| before.channels.get(channel));
            let open =
                || self.state.orders.iter().any(|(key, order)| key.channel == *channel && order.is_open());
            if lies_elsewhere(was, policy) && open() {
                self.emit(Record::Reread { channel: channel.clone() });
            }
        }
    }

    /// The file is not believed without a person. What is in effect stays so.
    pub(super) fn hold_config(&mut self, why: String) -> Result<Reply, Refused> {
        if self.state.held_config.as_ref().is_some_and(|held| held.why == why) {
            return Ok(Reply::Duplicate);
        }
        self.note(Record::ConfigHeld { why })
    }

    pub(super) fn catalogue(
        &mut self,
        channel: &ChannelId,
        read_at: Timestamp,
        items: Vec<CatalogueItem>,
        unread: Vec<CatalogueItem>,
    ) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let policy = self.channel(channel)?;
        let master = policies.mapping.master.as_ref() == Some(channel);
        let (mut bound, mut unmatched) = (0, 0);
        let mut grown = false;
        for item in items {
            match self.place_item(channel, master, &item) {
                Ok((listing, new)) => {
                    bound += 1;
                    grown |= new;
                    // Where we write nothing, what is there is counted, and is not ours to compare.
                    if let Some(levels) = item.levels.filter(|_| policy.abilities.quantities) {
                        self.seen(&policy, &listing, read_at, levels);
                    }
                }
                Err(why) => {
                    unmatched += 1;
                    self.unmatched(channel, item, why);
                }
            }
        }
        for item in unread {
            // What is known of a listing stays so: that it could not be read says nothing of it.
            if let Resolved::Listing(_) = resolve(self.state, channel, &item.ids) {
                bound += 1;
                self.matched(channel, &item.ids);
            } else {
                unmatched += 1;
                let why = item.unwritable.clone().unwrap_or_else(|| "it could not be read".to_owned());
                self.unmatched(channel, item, why);
            }
        }
        if grown {
            self.recheck_orders();
        }
        self.heard(channel);
        Ok(Reply::Catalogue { bound, unmatched })
    }

    /// A catalogue was read whole: the SKUs that it brought may be what others waited for.
    pub(super) fn catalogued(&mut self, channel: ChannelId) -> Result<Reply, Refused> {
        self.known(&channel)?;
        self.emit(Record::Catalogued { channel });
        self.recheck_unmapped();
        Ok(Reply::Done)
    }

    /// Binds an item to the SKU that it is. Returns its listing and whether that is new, or why no SKU fits.
    pub(super) fn place_item(
        &mut self,
        channel: &ChannelId,
        master: bool,
        item: &CatalogueItem,
    ) -> Result<(ListingRef, bool), String> {
        match resolve(self.state, channel, &item.ids) {
            Resolved::Listing(listing) if self.names_same(channel, &listing, item) => {
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

    /// Tells whether an item is the listing itself, and not a sibling that shares an identifier (an ASIN, say), or the same
    /// thing at another outlet. The channel's own record of it decides; its SKU text may have been edited.
    pub(super) fn names_same(&self, channel: &ChannelId, listing: &ListingRef, item: &CatalogueItem) -> bool {
        let Some(held) = self.state.listing(listing) else { return false };
        let policy = self.state.policies().and_then(|policies| policies.channels.get(channel));
        if !policy.is_none_or(|policy| policy.same_outlet(&held.ids, &item.ids)) {
            return false;
        }
        same_record(&held.ids, &item.ids) != Some(false)
    }

    fn rebind(&mut self, listing: &ListingRef, channel: &ChannelId, item: &CatalogueItem) {
        self.matched(channel, &item.ids);
        let Some(held) = self.state.listing(listing) else { return };
        let ids = item.ids.and(&held.ids);
        let unwritable = item.unwritable.clone().or_else(|| self.renamed(listing, item));
        let same =
            held.ids == ids && held.by == item.by && held.unwritable.as_deref() == unwritable.as_deref();
        if same {
            return;
        }
        self.emit(Record::Bound {
            sku: listing.sku.clone(),
            at: listing.at,
            channel: channel.clone(),
            ids,
            by: item.by,
            unwritable,
        });
        self.follow_writable(listing);
        self.refresh_sellers(&listing.sku);
    }

    /// Returns why a listing must not be written whose SKU text names another SKU by now: a person has to say which
    /// of the two it is.
    fn renamed(&self, listing: &ListingRef, item: &CatalogueItem) -> Option<String> {
        let text = Sku::new(item.ids.get(IdKind::Sku)?).ok()?;
        let other = text != listing.sku && self.state.skus.contains_key(&text);
        // A person has said which of the two it is.
        let said = self.state.index.mapped(self.state, &self.state.listing(listing)?.channel, &item.ids);
        let other = other && said.as_ref() != Some(&listing.sku);
        other.then(|| format!("its SKU text is `{text}`, but it is bound to `{}`", listing.sku))
    }

    /// Parks what can no longer be written, and takes up again what can.
    fn follow_writable(&mut self, listing: &ListingRef) {
        let Some(held) = self.state.listing(listing) else { return };
        let parked = matches!(held.leg.as_ref().map(|leg| &leg.state), Some(leg::State::Parked { .. }));
        if held.writable() {
            if parked {
                self.advance(listing, Event::Retried, Why::Retried, None, |_| {});
            }
            return;
        }
        let confirmed = held.leg.as_ref().is_none_or(|leg| matches!(leg.state, leg::State::Confirmed));
        if !confirmed {
            self.park_unwritable(listing);
        }
    }

    /// Parks what is to be sent, or sent again, to a listing that must not be written any more: by an answer, or by a look after one
    /// that told nothing.
    pub(super) fn follow_unwritable(&mut self, listing: &ListingRef) {
        let Some(held) = self.state.listing(listing).filter(|held| !held.writable()) else { return };
        let leg = held.leg.as_ref().map(|leg| &leg.state);
        if matches!(leg, Some(leg::State::Pending | leg::State::Retry { .. })) {
            self.park_unwritable(listing);
        }
    }

    fn park_unwritable(&mut self, listing: &ListingRef) {
        let Some(held) = self.state.listing(listing) else { return };
        let reason = held.unwritable.as_deref().unwrap_or("its stock is not the merchant's").to_owned();
        let note = Some(reason.clone());
        self.advance(listing, Event::Parked { reason }, Why::Absent, note, |_| {});
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
        self.matched(channel, &item.ids);
        self.refresh_sellers(&sku);
        Ok((ListingRef { sku, at }, true))
    }

    /// What is bound waits for a SKU no more, under whatever identifiers it was told: a report names less of it than a read of it
    /// by itself.
    pub(super) fn matched(&mut self, channel: &ChannelId, ids: &Identifiers) {
        for ids in self.waiting_as(channel, ids) {
            self.emit(Record::Unmatched { channel: channel.clone(), ids, unmatched: None });
        }
    }

    /// Returns the identifiers under which a record of a channel waits for a SKU.
    fn waiting_as(&self, channel: &ChannelId, ids: &Identifiers) -> Vec<Identifiers> {
        let policy = self.state.policies().and_then(|policies| policies.channels.get(channel));
        let same = |told: &&Identifiers| {
            let outlet = policy.is_none_or(|policy| policy.same_outlet(told, ids));
            *told == ids || (outlet && same_record(told, ids) == Some(true))
        };
        let code = ids.get(IdKind::Sku);
        let by_code = code.and_then(|code| Identifiers::new([(IdKind::Sku, code)]).ok());
        let from = (channel.clone(), by_code.unwrap_or_else(|| ids.clone()));
        let waiting = self.state.unmatched.range(from..).map(|((of, told), _)| (of, told));
        let near = |(of, told): &(&ChannelId, &Identifiers)| {
            *of == channel && if code.is_some() { told.get(IdKind::Sku) == code } else { *told == ids }
        };
        waiting.take_while(near).map(|(_, told)| told).filter(same).cloned().collect()
    }

    pub(super) fn unmatched(&mut self, channel: &ChannelId, item: CatalogueItem, why: String) {
        let key = (channel.clone(), item.ids.clone());
        if self.state.unmatched.get(&key).is_some_and(|held| held.why == why) {
            return;
        }
        let (channel, ids) = key;
        // Of what names more of it than another, it waits once.
        for less in
            self.waiting_as(&channel, &ids).into_iter().filter(|less| *less != ids && less.and(&ids) == ids)
        {
            self.emit(Record::Unmatched { channel: channel.clone(), ids: less, unmatched: None });
        }
        let unmatched = Some(Unmatched { item, why, at: self.now });
        self.emit(Record::Unmatched { channel, ids, unmatched });
    }

    /// Adds rows to the mapping table, and tries everything that waited for them.
    pub(super) fn map(&mut self, rows: Vec<MappingRow>) -> Result<Reply, Refused> {
        mappable(self.state, rows.iter().map(|row| (None, row)))?;
        let rows = rows.into_iter().map(of_the_thing).collect::<Result<Vec<_>, _>>()?;
        let channels: BTreeSet<ChannelId> = rows.iter().map(|row| row.channel.clone()).collect();
        self.emit(Record::Mapped { rows });
        let (mut bound, mut unmatched) = (0, 0);
        for channel in channels {
            let mut waiting: Vec<CatalogueItem> = self
                .state
                .unmatched
                .range((channel.clone(), Default::default())..)
                .take_while(|((of, _), _)| *of == channel)
                .take(WAITING_MAX)
                .map(|(_, unmatched)| unmatched.item.clone())
                .collect();
            // What is bound may be what another item was waiting for, by an identifier that they share.
            for _ in 0..AGAIN_MAX {
                let before = waiting.len();
                waiting.retain(|item| self.place_item(&channel, false, item).is_err());
                bound += before - waiting.len();
                if waiting.len() == before {
                    break;
                }
            }
            unmatched += waiting.len();
        }
        self.recheck_unmapped();
        self.recheck_ignored();
        Ok(Reply::Catalogue { bound, unmatched })
    }

    /// Takes a row out of the mapping table. What was bound by it stays so: that a listing is another SKU, or a line sold
    /// something else, is a correction of its own.
    pub(super) fn unmap(&mut self, channel: &ChannelId, ids: &Identifiers) -> Result<Reply, Refused> {
        let MappingRow { channel, ids, .. } = removable(self.state, channel, ids)?.clone();
        self.emit(Record::MappingRemoved { channel, ids });
        self.recheck_unmapped();
        self.recheck_ignored();
        Ok(Reply::Changed { changed: 1 })
    }
}
