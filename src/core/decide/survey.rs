//! The survey before the first sync: what the catalogues of all channels would become, found by deciding it on an empty
//! state, and what a person should look at first.
//!
//! Pure: it is given what was read. Nothing here is a guess that takes effect: a proposal is a row of a mapping table that a
//! person may take in.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{
    core::{
        Command, Record, State,
        apply::one,
        command::{Count, Refused},
        decide,
        mapping::{Resolved, resolve},
        state::{ListingRef, SkuRow},
    },
    model::{
        CatalogueItem, ChannelId, CountLine, FulfilledBy, IdKind, Identifiers, Measure, Policies, Seq, Sku,
        Timestamp,
        policy::{ChannelKind, MappingRow},
    },
};

/// How many rows of each kind are told; all of them are counted.
pub const ROWS_MAX: usize = 500;
/// How many items one command takes in.
const PORTION: usize = 2_000;
/// The longest seller SKU that Amazon takes, in its encoded form: longer ones failed for others.
const AMAZON_SKU_MAX: usize = 40;
/// What merchants append to a SKU so that the same thing can be listed twice, as it is left of it when it is folded.
const SUFFIXES: [&str; 4] = ["fba", "fbm", "mfn", "afn"];

/// What a thing goes by, by kind.
pub type Names = BTreeMap<&'static str, String>;

fn named(ids: &Identifiers) -> Names {
    ids.iter().map(|id| (id.kind.name(), id.value.to_owned())).collect()
}

/// What was read of one channel.
#[derive(Debug, Clone, Default)]
pub struct Read {
    pub items: Vec<CatalogueItem>,
    /// What an ERP counts.
    pub counts: Vec<CountLine>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// Whose item codes are the SKUs.
    pub master: Option<ChannelId>,
    pub skus: usize,
    pub channels: Vec<OfChannel>,
    /// Items that no SKU was found for, with the one that is proposed, if exactly one comes into question.
    pub proposals: Rows<Proposal>,
}

/// Rows of which not all may be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rows<T> {
    pub count: usize,
    pub rows: Vec<T>,
}

/// What was found of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OfChannel {
    pub channel: ChannelId,
    pub kind: &'static str,
    /// What is listed there; at several of the channel's own locations it is one.
    pub items: usize,
    /// Items that are bound to a SKU, by how.
    pub bound: BTreeMap<&'static str, usize>,
    pub unmatched: usize,
    /// Items that are never written, by why.
    pub unwritable: BTreeMap<String, usize>,
    /// SKUs that several items of one outlet are bound to: each of them shows all of the stock.
    pub shared: Rows<Shared>,
    /// The same ASIN sold by the merchant and from the channel's own warehouse.
    pub twins: Rows<Twin>,
    /// SKUs that are not listed here.
    pub missing: Rows<Sku>,
    /// Texts that are known to make trouble.
    pub awkward: Rows<Awkward>,
    /// Items that show, wherever they are listed, what they would by the counts that were read and before open orders are taken off.
    pub agree: usize,
    /// What shows something else, at each of the channel's own locations.
    pub differ: Rows<Differs>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shared {
    pub sku: Sku,
    pub listings: Vec<Names>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Twin {
    pub asin: String,
    pub merchant: Vec<String>,
    pub channel: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Awkward {
    pub text: String,
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Differs {
    pub sku: Sku,
    /// At which of the channel's own locations, where it has several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    pub shown: i64,
    pub would_be: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proposal {
    pub channel: ChannelId,
    pub ids: Names,
    pub title: Option<String>,
    /// What is proposed.
    pub sku: Option<Sku>,
    pub why: String,
}

impl<T> Rows<T> {
    fn of(mut rows: Vec<T>) -> Rows<T> {
        let count = rows.len();
        rows.truncate(ROWS_MAX);
        Rows { count, rows }
    }
}

/// Looks at what was read. Proposals are told whole: they become a table. `table`: the rows of the mapping table besides those of the
/// configuration.
pub fn survey(
    policies: &Policies,
    table: &[MappingRow],
    read: &BTreeMap<ChannelId, Read>,
    now: Timestamp,
) -> Result<Survey, Refused> {
    let state = opened(policies, table, read, now)?;
    let looks = Looks::of(&state, read);
    let mut proposals = Vec::new();
    let mut channels = Vec::new();
    for (channel, read) in read {
        let Some(policy) = policies.channels.get(channel) else { continue };
        let things = things(&read.items);
        channels.push(of_channel(&state, channel, policy.kind, &things));
        for Thing { item, items } in &things {
            if items.iter().all(|item| resolve(&state, channel, &item.ids).sku().is_none()) {
                let resolved = resolve(&state, channel, &item.ids);
                proposals.push(looks.propose(channel, item, &resolved));
            }
        }
    }
    let count = proposals.len();
    Ok(Survey {
        master: policies.mapping.master.clone(),
        skus: state.skus.len(),
        channels,
        proposals: Rows { count, rows: proposals },
    })
}

/// One thing that a channel lists, once for each of its outlets.
struct Thing<'a> {
    /// The first of them.
    item: &'a CatalogueItem,
    items: Vec<&'a CatalogueItem>,
}

/// Puts items of several outlets together that are one thing.
fn things(items: &[CatalogueItem]) -> Vec<Thing<'_>> {
    let mut things: Vec<Thing<'_>> = Vec::new();
    let mut known: BTreeMap<Identifiers, usize> = BTreeMap::new();
    for item in items {
        let at = *known.entry(item.ids.without(IdKind::Location)).or_insert(things.len());
        match things.get_mut(at) {
            Some(thing) => thing.items.push(item),
            None => things.push(Thing { item, items: vec![item] }),
        }
    }
    things
}

/// Returns the state that all of it would become: the mapping table, the catalogues, the master's first, and the counts as the
/// opening stock.
fn opened(
    policies: &Policies,
    table: &[MappingRow],
    read: &BTreeMap<ChannelId, Read>,
    now: Timestamp,
) -> Result<State, Refused> {
    let mut state = State::default();
    decide(&mut state, Command::Configure(Box::new(policies.clone())), now).1?;
    // As they were taken in: of a SKU that is not there any more they say nothing.
    let mapped = Record::Mapped { rows: table.to_vec() };
    let seq = state.seq.next();
    one(&mut state, seq, now, &mapped);
    let mut run = |command| decide(&mut state, command, now).1.map(drop);
    let master = policies.mapping.master.as_ref();
    let first = master.and_then(|master| read.get_key_value(master));
    let others = read.iter().filter(|(channel, _)| Some(*channel) != master);
    for (channel, read) in first.into_iter().chain(others) {
        for items in read.items.chunks(PORTION) {
            let (channel, items) = (channel.clone(), items.to_vec());
            run(Command::Catalogue { channel, read_at: now, items, unread: Vec::new() })?;
        }
        run(Command::Catalogued { channel: channel.clone() })?;
    }
    for (channel, read) in read {
        let measure = policies.channels.get(channel).and_then(|policy| policy.abilities.counts);
        for lines in whole_skus(&read.counts) {
            run(Command::Count(opening(channel, measure.unwrap_or(Measure::OnHand), now, lines)))?;
        }
    }
    run(Command::Initialise)?;
    Ok(state)
}

/// Cuts counts into portions that hold all lines of an item.
fn whole_skus(lines: &[CountLine]) -> Vec<Vec<CountLine>> {
    let mut sorted = lines.to_vec();
    sorted.sort_by(|a, b| (&a.ids, &a.location).cmp(&(&b.ids, &b.location)));
    let mut portions: Vec<Vec<CountLine>> = Vec::new();
    for line in sorted {
        let fits = |portion: &&mut Vec<CountLine>| {
            portion.len() < PORTION || portion.last().is_some_and(|last| last.ids == line.ids)
        };
        match portions.last_mut().filter(fits) {
            Some(portion) => portion.push(line),
            None => portions.push(vec![line]),
        }
    }
    portions
}

fn opening(channel: &ChannelId, measure: Measure, as_of: Timestamp, lines: Vec<CountLine>) -> Count {
    Count {
        counter: channel.clone(),
        measure,
        as_of,
        begun: Seq(0),
        lines,
        opening: true,
        absent: Vec::new(),
        set: BTreeSet::new(),
    }
}

fn of_channel(state: &State, channel: &ChannelId, kind: ChannelKind, things: &[Thing<'_>]) -> OfChannel {
    let firsts = || things.iter().map(|thing| thing.item);
    let mut found = OfChannel {
        channel: channel.clone(),
        kind: kind.name(),
        items: things.len(),
        bound: BTreeMap::new(),
        unmatched: 0,
        unwritable: BTreeMap::new(),
        shared: Rows::of(shared(state, channel)),
        twins: Rows::of(twins(firsts())),
        missing: Rows::of(missing(state, channel)),
        awkward: Rows::of(firsts().filter_map(|item| awkward(kind, &item.ids)).collect()),
        agree: 0,
        differ: Rows::of(Vec::new()),
    };
    let mut differ = Vec::new();
    for thing in things {
        let listed = thing.items.iter().filter_map(|item| match resolve(state, channel, &item.ids) {
            Resolved::Listing(listing) => Some((*item, listing)),
            Resolved::Sku(_) | Resolved::Ambiguous(_) | Resolved::Unknown => None,
        });
        let listed: Vec<(&CatalogueItem, ListingRef)> = listed.collect();
        let Some((item, listing)) = listed.first() else {
            found.unmatched += 1;
            continue;
        };
        *found.bound.entry(how(state, channel, &listing.sku, &item.ids)).or_default() += 1;
        let why: BTreeSet<String> = listed.iter().filter_map(|(item, _)| never_written(item)).collect();
        for why in why {
            *found.unwritable.entry(why).or_default() += 1;
        }
        let compared: Vec<Differs> =
            listed.iter().filter_map(|(item, listing)| differs(state, listing, item)).collect();
        let (same, other): (Vec<_>, Vec<_>) = compared.into_iter().partition(|row| row.shown == row.would_be);
        found.agree += usize::from(other.is_empty() && !same.is_empty());
        differ.extend(other);
    }
    // What would fall first: it is what may be oversold today.
    differ.sort_by_key(|row| (row.would_be - row.shown, row.sku.clone(), row.at.clone()));
    found.differ = Rows::of(differ);
    found
}

/// Says by what an item is bound.
fn how(state: &State, channel: &ChannelId, sku: &Sku, ids: &Identifiers) -> &'static str {
    let text = ids.get(IdKind::Sku);
    if state.index.mapped(state, channel, ids).as_ref() == Some(sku) {
        "mapping table"
    } else if text == Some(sku.as_str()) {
        "same text"
    } else {
        "rules of the configuration, or an identifier that it shares"
    }
}

fn never_written(item: &CatalogueItem) -> Option<String> {
    match item.by {
        FulfilledBy::Channel => Some("shipped by the channel from its own warehouse".to_owned()),
        FulfilledBy::Unknown => Some("who ships it is not known".to_owned()),
        FulfilledBy::Merchant => item.unwritable.clone(),
    }
}

/// Compares what is shown with what would be.
fn differs(state: &State, listing: &ListingRef, item: &CatalogueItem) -> Option<Differs> {
    let held = state.listing(listing)?;
    let would_be = held.leg.as_ref()?.quantity.units();
    let shown = item.levels.as_ref()?.available.units();
    let at = item.ids.get(IdKind::Location).map(str::to_owned);
    held.writable().then(|| Differs { sku: listing.sku.clone(), at, shown, would_be })
}

/// Returns the SKUs that several listings of one outlet show.
fn shared(state: &State, channel: &ChannelId) -> Vec<Shared> {
    let mut all = Vec::new();
    for (sku, row) in &state.skus {
        let here =
            row.listings.iter().filter(|held| held.channel == *channel && held.by == FulfilledBy::Merchant);
        let mut at: BTreeMap<Option<&str>, BTreeSet<Names>> = BTreeMap::new();
        for held in here {
            let thing = named(&held.ids.without(IdKind::Location));
            at.entry(held.ids.get(IdKind::Location)).or_default().insert(thing);
        }
        let several = at.into_values().filter(|listings| listings.len() > 1);
        let listings: BTreeSet<Names> = several.flatten().collect();
        if !listings.is_empty() {
            all.push(Shared { sku: sku.clone(), listings: listings.into_iter().collect() });
        }
    }
    all
}

fn twins<'a>(items: impl Iterator<Item = &'a CatalogueItem>) -> Vec<Twin> {
    let mut by_asin: BTreeMap<&str, [Vec<String>; 2]> = BTreeMap::new();
    for item in items {
        let Some(asin) = item.ids.get(IdKind::Asin) else { continue };
        let side = match item.by {
            FulfilledBy::Merchant => 0,
            FulfilledBy::Channel => 1,
            FulfilledBy::Unknown => continue,
        };
        let text = item.ids.get(IdKind::Sku).unwrap_or_default().to_owned();
        by_asin.entry(asin).or_default()[side].push(text);
    }
    let both = by_asin.into_iter().filter(|(_, sides)| sides.iter().all(|side| !side.is_empty()));
    both.map(|(asin, [merchant, channel])| Twin { asin: asin.to_owned(), merchant, channel }).collect()
}

/// Returns the SKUs that a selling channel does not list.
fn missing(state: &State, channel: &ChannelId) -> Vec<Sku> {
    let sells = state.policies().and_then(|policies| policies.channels.get(channel));
    if !sells.is_some_and(|policy| policy.abilities.sells) {
        return Vec::new();
    }
    let listed = |row: &SkuRow| row.listings.iter().any(|held| held.channel == *channel);
    state.skus.iter().filter(|(_, row)| !listed(row)).map(|(sku, _)| sku.clone()).collect()
}

/// Says why the text that an item goes by may make trouble.
fn awkward(kind: ChannelKind, ids: &Identifiers) -> Option<Awkward> {
    let Some(text) = ids.get(IdKind::Sku) else {
        return (kind == ChannelKind::Shopify).then(|| Awkward {
            text: ids.get(IdKind::Variant).unwrap_or_default().to_owned(),
            why: "it has no SKU text: only a row of the mapping table can bind it".to_owned(),
        });
    };
    let mut why = Vec::new();
    if text.trim() != text {
        why.push("there is white space around it".to_owned());
    }
    if kind == ChannelKind::Amazon {
        let odd: Vec<char> = ['/', '|', '+', ' '].into_iter().filter(|c| text.contains(*c)).collect();
        if !odd.is_empty() || !text.is_ascii() {
            why.push(
                "Amazon is known to mishandle such characters in addresses: look at its first writes"
                    .to_owned(),
            );
        }
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        let encoded: usize = text.bytes().map(|b| if plain(b) { 1 } else { 3 }).sum();
        if encoded > AMAZON_SKU_MAX && encoded > text.len() {
            why.push(format!("encoded it is longer than {AMAZON_SKU_MAX} characters"));
        }
    }
    (!why.is_empty()).then(|| Awkward { text: text.to_owned(), why: why.join("; ") })
}

/// What SKUs are looked up by, more loosely than the daemon ever binds.
struct Looks {
    by_barcode: BTreeMap<String, BTreeSet<Sku>>,
    by_text: BTreeMap<String, BTreeSet<Sku>>,
    by_title: BTreeMap<String, BTreeSet<Sku>>,
    /// Titles that several items of one channel have: they tell nothing.
    repeated: BTreeSet<(ChannelId, String)>,
}

impl Looks {
    fn of(state: &State, read: &BTreeMap<ChannelId, Read>) -> Looks {
        let mut looks = Looks {
            by_barcode: BTreeMap::new(),
            by_text: BTreeMap::new(),
            by_title: BTreeMap::new(),
            repeated: BTreeSet::new(),
        };
        for sku in state.skus.keys() {
            looks.by_text.entry(loose(sku.as_str())).or_default().insert(sku.clone());
        }
        for (channel, read) in read {
            let mut titles: BTreeMap<String, Identifiers> = BTreeMap::new();
            for item in &read.items {
                let resolved = resolve(state, channel, &item.ids);
                if let (Some(barcode), Some(sku)) = (item.ids.get(IdKind::Barcode), resolved.sku()) {
                    looks.by_barcode.entry(barcode.to_owned()).or_default().insert(sku.clone());
                }
                let Some(title) = title_of(item) else { continue };
                if let Some(sku) = resolved.sku() {
                    looks.by_title.entry(title.clone()).or_default().insert(sku.clone());
                }
                let thing = item.ids.without(IdKind::Location);
                if titles.insert(title.clone(), thing.clone()).is_some_and(|other| other != thing) {
                    looks.repeated.insert((channel.clone(), title));
                }
            }
        }
        looks
    }

    /// Returns the SKUs whose items are called the same.
    fn titled(&self, channel: &ChannelId, item: &CatalogueItem) -> Option<&BTreeSet<Sku>> {
        let title =
            title_of(item).filter(|title| !self.repeated.contains(&(channel.clone(), title.clone())))?;
        self.by_title.get(&title)
    }

    /// Proposes the SKU of an item, if exactly one comes into question.
    fn propose(&self, channel: &ChannelId, item: &CatalogueItem, resolved: &Resolved) -> Proposal {
        let told = |sku: Option<&Sku>, why: String| Proposal {
            channel: channel.clone(),
            ids: named(&item.ids.without(IdKind::Location)),
            title: item.title.clone(),
            sku: sku.cloned(),
            why,
        };
        if let Resolved::Ambiguous(skus) = resolved {
            return told(None, format!("fits several SKUs: {}", names(skus)));
        }
        let barcode = item.ids.get(IdKind::Barcode);
        let by_barcode = barcode.and_then(|barcode| self.by_barcode.get(barcode));
        if let Some(found) = by_barcode {
            return match one_of(found) {
                Ok(sku) => told(Some(sku), "the same barcode".to_owned()),
                Err(several) => told(None, format!("its barcode is that of several SKUs: {several}")),
            };
        }
        let key = loose(item.ids.get(IdKind::Sku).unwrap_or_default());
        let ends = SUFFIXES.iter().filter_map(|suffix| key.strip_suffix(suffix));
        let tries = [(key.as_str(), "the same but for case, spaces and punctuation")].into_iter();
        let tries = tries.chain(ends.map(|stem| (stem, "the same but for what is appended to it")));
        for (key, why) in tries {
            if let Some(found) = self.by_text.get(key).filter(|_| !key.is_empty()) {
                return match one_of(found) {
                    Ok(sku) => told(Some(sku), why.to_owned()),
                    Err(several) => told(None, format!("{why}, as several SKUs are: {several}")),
                };
            }
        }
        match self.titled(channel, item).map(one_of) {
            Some(Ok(sku)) => told(Some(sku), "the same title, and nothing else has it".to_owned()),
            Some(Err(several)) => {
                told(None, format!("only its title is known, and is that of several SKUs: {several}"))
            }
            None if key.is_empty() => {
                told(None, "it has no SKU text, and no barcode or title that is known".to_owned())
            }
            None => told(None, "no SKU is like it".to_owned()),
        }
    }
}

fn title_of(item: &CatalogueItem) -> Option<String> {
    item.title.as_deref().map(loose).filter(|title| !title.is_empty())
}

fn one_of(skus: &BTreeSet<Sku>) -> Result<&Sku, String> {
    match skus.iter().collect::<Vec<_>>().as_slice() {
        [one] => Ok(one),
        _ => Err(names(skus)),
    }
}

fn names<'a>(skus: impl IntoIterator<Item = &'a Sku>) -> String {
    let names: Vec<&str> = skus.into_iter().map(Sku::as_str).take(5).collect();
    names.join(", ")
}

/// Returns what is left of a text without case, spaces and punctuation.
fn loose(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
