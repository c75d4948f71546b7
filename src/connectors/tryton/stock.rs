//! What Tryton counts: levels of all products or of some, and which products moved.
//!
//! *On hand* is Tryton's `quantity` over the whole warehouse: it falls when a shipment is done, not when it is picked.
//! *Free* is that less every open move that leaves the warehouse. Tryton's own `forecast_quantity` is not used: it
//! forgets a planned shipment the day after it was due, and counts receipts that have not come.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::{
    connectors::{
        CatalogueItem, CataloguePage, Changed, CountLine, CountPage, Cursor, Fault, Observed, Scope,
        Unreadable, onward,
        tryton::{
            Tryton,
            decode::{self, Id, Level, Unread},
            encode::{self, PAGE, Place, Search},
        },
    },
    model::{FulfilledBy, IdKind, Identifiers, Levels, LocationId, Measure, Quantity, Timestamp},
};

/// How many named items one request asks for: their codes must fit into a URL of 4 KB.
pub(super) const NAMED: usize = 20;

/// How many pages of moves one poll may read before something must be wrong.
const PAGES_MAX: usize = 2_000;

const LEVEL_FIELDS: &[&str] = &["code", "name", "quantity"];

/// One page of products.
struct Page {
    counted: Vec<Counted>,
    /// Rows that could not be read.
    unread: Vec<Unread>,
    at: Timestamp,
    /// Where the next page begins, if there is one.
    next: Option<Cursor>,
}

/// A product with both quantities, over all warehouses and in each, in their order.
struct Counted {
    level: Level,
    free: f64,
    /// On hand, free.
    at: Vec<(f64, f64)>,
}

impl Tryton {
    /// Reads one page of the levels of all goods.
    async fn all_levels(&self, after: Option<&Cursor>) -> Result<Page, Fault> {
        let page = self.levels(goods(last_id(after)?)).await?;
        Ok(Page { next: onward(after, page.next)?, ..page })
    }

    /// Reads the levels of the products that `domain` finds, at most a page of them, in order of id.
    async fn levels(&self, domain: Value) -> Result<Page, Fault> {
        let places = self.places().await?;
        let Some((first, others)) = places.split_first() else {
            return Err(Fault::Refused("no warehouse is configured".to_owned()));
        };
        let mut page = self.levels_at(&first.1, domain).await?;
        let Some((low, high)) = span(page.counted.iter().map(|c| c.level.id)) else { return Ok(page) };
        let same = json!([["id", ">=", low], ["id", "<=", high]]);
        for (_, place) in others {
            let here = self.levels_at(place, same.clone()).await?;
            let mut rows: BTreeMap<i64, Counted> =
                here.counted.into_iter().map(|c| (c.level.id, c)).collect();
            // What is counted first is as old as the whole.
            page.at = page.at.min(here.at);
            page.counted.retain_mut(|counted| match rows.remove(&counted.level.id) {
                Some(here) => {
                    counted.level.quantity += here.level.quantity;
                    counted.free += here.free;
                    counted.at.extend(here.at);
                    true
                }
                None => {
                    let why = "its level in one of the warehouses could not be read".to_owned();
                    page.unread.push(Unread { id: Some(counted.level.id), why });
                    false
                }
            });
        }
        Ok(page)
    }

    /// Reads the levels in one warehouse.
    async fn levels_at(&self, place: &Place, domain: Value) -> Result<Page, Fault> {
        let mut search = Search { model: "product.product", domain, fields: LEVEL_FIELDS };
        let mut leaving = BTreeMap::new();
        let mut at = None;
        if self.options.measure == Measure::Free {
            // First what leaves, then what is there: a shipment done in between is then subtracted twice until the
            // next read, and not forgotten.
            let which = Search { fields: &["id"], ..search.clone() };
            let read = self.api.search(&which, &json!({ "company": place.company })).await?;
            at = Some(read.at);
            let ids: Vec<Id> = decode::json(&read.body)?;
            let Some((first, last)) = span(ids.iter().map(|found| found.id)) else {
                return Ok(Page { counted: Vec::new(), unread: Vec::new(), at: read.at, next: None });
            };
            search.domain = json!([["id", ">=", first], ["id", "<=", last], search.domain]);
            let products = json!([["product", ">=", first], ["product", "<=", last]]);
            leaving = self.leaving(place, products).await?;
        }
        let context = json!({
            "company": place.company,
            "locations": [place.warehouse],
            "with_childs": true,
        });
        let read = self.api.search(&search, &context).await?;
        let rows = decode::each::<Level>(&read.body)?;
        let next = more(&rows)?;
        let (mut counted, mut unread) = (Vec::new(), Vec::new());
        for row in rows {
            match row {
                Ok(level) => {
                    let free = level.quantity - leaving.get(&level.id).copied().unwrap_or(0.0);
                    let at = vec![(level.quantity, free)];
                    counted.push(Counted { level, free, at });
                }
                Err(row) => unread.push(row),
            }
        }
        Ok(Page { counted, unread, at: at.unwrap_or(read.at), next })
    }

    /// Adds up what is about to leave the warehouse, by product.
    async fn leaving(&self, place: &Place, products: Value) -> Result<BTreeMap<i64, f64>, Fault> {
        let mut sums = BTreeMap::new();
        let mut after = 0;
        for _ in 0..PAGES_MAX {
            let search = encode::leaving(place.warehouse, products.clone(), after);
            let read = self.api.search(&search, &json!({ "company": place.company })).await?;
            let (count, last) = decode::leaving(&read.body, &mut sums)?;
            if count < PAGE {
                return Ok(sums);
            }
            after = grown(after, last)?;
        }
        Err(endless())
    }

    fn measured(&self, (on_hand, free): (f64, f64)) -> f64 {
        match self.options.measure {
            Measure::OnHand => on_hand,
            Measure::Free => free,
        }
    }

    fn shown(&self, counted: &Counted) -> Result<Levels, String> {
        let available = self.whole(self.measured((counted.level.quantity, counted.free)))?;
        let on_hand = self.whole(counted.level.quantity)?;
        Ok(Levels { on_hand: Some(on_hand), ..Levels::of(available) })
    }

    fn whole(&self, quantity: f64) -> Result<Quantity, String> {
        let odd = || format!("the quantity `{quantity}` is not a whole number of units");
        decode::units(quantity).map(Quantity::new).ok_or_else(odd)
    }

    pub(super) async fn read_catalogue(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        let Page { counted, unread, next, .. } = self.all_levels(after).await?;
        let unread = unread.into_iter().map(|row| CatalogueItem {
            ids: row.id.map(record).unwrap_or_default(),
            title: None,
            by: FulfilledBy::Merchant,
            levels: None,
            unwritable: Some(format!("what the ERP tells of it was not understood: {}", row.why)),
        });
        let items = counted.iter().map(|c| {
            let named = identifiers(&c.level);
            let levels = self.shown(c);
            let unwritable = named.as_ref().err().or(levels.as_ref().err()).cloned();
            CatalogueItem {
                ids: named.unwrap_or_else(|_| record(c.level.id)),
                title: c.level.name.clone(),
                by: FulfilledBy::Merchant,
                levels: levels.ok(),
                unwritable,
            }
        });
        Ok(CataloguePage {
            items: items.collect(),
            unread: unread.collect(),
            next,
            ..CataloguePage::default()
        })
    }

    pub(super) async fn read_counts(
        &self,
        scope: &Scope,
        after: Option<&Cursor>,
    ) -> Result<CountPage, Fault> {
        match scope {
            Scope::All => Ok(self.count_page(self.all_levels(after).await?)),
            Scope::Only(items) => self.count_named(items, after).await,
        }
    }

    /// Counts one portion of the named items; the cursor is how many were asked for.
    async fn count_named(&self, items: &[Identifiers], after: Option<&Cursor>) -> Result<CountPage, Fault> {
        let start = usize::try_from(last_id(after)?).unwrap_or(usize::MAX).min(items.len());
        let portion = &items[start..(start + NAMED).min(items.len())];
        let read = self.levels(named(portion)).await?;
        let end = start + portion.len();
        let next = (end < items.len()).then(|| Cursor(end.to_string()));
        let told = |ids: &&Identifiers| {
            read.counted.iter().any(|c| is(&c.level, ids))
                || read.unread.iter().any(|row| row.id.is_some() && row.id == record_of(ids))
        };
        let missing: Vec<&Identifiers> = portion.iter().filter(|ids| !told(ids)).collect();
        let mut page = self.count_page(Page { next, ..read });
        page.unreadable.extend(missing.into_iter().map(|ids| Unreadable {
            id: Some(ids.to_string()),
            why: "the ERP has no such product, or it is archived there".to_owned(),
            body: bytes::Bytes::new(),
        }));
        Ok(page)
    }

    fn count_page(&self, read: Page) -> CountPage {
        let mut page = CountPage { next: read.next, as_of: read.at, ..CountPage::default() };
        page.unreadable.extend(read.unread.into_iter().map(|row| Unreadable {
            id: row.id.map(|id| id.to_string()),
            why: row.why,
            body: bytes::Bytes::new(),
        }));
        for c in &read.counted {
            match self.count_lines(c) {
                Ok(lines) => page.lines.extend(lines),
                Err(why) => page.unreadable.push(Unreadable {
                    id: Some(c.level.code.clone().unwrap_or_else(|| c.level.id.to_string())),
                    why,
                    body: bytes::Bytes::new(),
                }),
            }
        }
        page
    }

    /// Returns what one product counts in each warehouse: all of them, or none.
    fn count_lines(&self, counted: &Counted) -> Result<Vec<CountLine>, String> {
        let ids = identifiers(&counted.level)?;
        let places = self.options.warehouses.iter().zip(&counted.at);
        let line = |((_, location), at): (&(String, LocationId), &(f64, f64))| {
            let quantity = self.whole(self.measured(*at))?;
            Ok(CountLine { ids: ids.clone(), location: location.clone(), quantity })
        };
        places.map(line).collect()
    }

    /// A move bears the time at which its transaction began, so the caller's watermark must overlap by Tryton's
    /// longest transaction.
    pub(super) async fn read_changed(&self, since: Timestamp) -> Result<Changed, Fault> {
        let company = self.company().await?;
        let planned_too = self.options.measure == Measure::Free;
        let mut products = BTreeMap::new();
        let mut read_through = None;
        let mut after = 0;
        for _ in 0..PAGES_MAX {
            let search = encode::changed(since, planned_too, after);
            let read = self.api.search(&search, &json!({ "company": company })).await?;
            let read_through = *read_through.get_or_insert(read.at);
            let (count, last) = decode::touched(&read.body, &mut products)?;
            if count < PAGE {
                let items = products.iter().map(|(id, code)| coded(*id, code.as_deref()));
                let items = items.map(|ids| ids.unwrap_or_default());
                return Ok(Changed { items: items.collect(), read_through });
            }
            after = grown(after, last)?;
        }
        Err(endless())
    }

    pub(super) async fn look(&self, listings: &[Identifiers]) -> Result<Vec<Observed>, Fault> {
        let mut all = Vec::with_capacity(listings.len());
        for portion in listings.chunks(NAMED) {
            let Page { counted, unread, .. } = self.levels(named(portion)).await?;
            all.extend(portion.iter().map(|ids| match counted.iter().find(|c| is(&c.level, ids)) {
                // A row that could not be read may be the one.
                None if !unread.is_empty() => Observed::Unread { why: unread[0].why.clone() },
                None => Observed::Absent,
                Some(c) => match self.shown(c) {
                    Ok(levels) => Observed::Seen(levels),
                    Err(why) => Observed::Unwritable { why },
                },
            }));
        }
        Ok(all)
    }
}

fn endless() -> Fault {
    Fault::Malformed(format!("the ERP lists more than {} stock moves", PAGES_MAX * PAGE))
}

/// Returns the id behind which a list goes on. Lists are in order of id, so one that does not grow would never end.
fn grown(after: i64, last: i64) -> Result<i64, Fault> {
    if last > after {
        Ok(last)
    } else {
        Err(Fault::Malformed("a list of the ERP does not get on".to_owned()))
    }
}

/// Returns the least and the largest id, in whatever order they come.
fn span(ids: impl Iterator<Item = i64> + Clone) -> Option<(i64, i64)> {
    Some((ids.clone().min()?, ids.max()?))
}

fn goods(after: i64) -> Value {
    json!([["type", "=", "goods"], ["id", ">", after]])
}

/// The products that the identifiers name: by record id where there is one, else by code.
pub(super) fn named(items: &[Identifiers]) -> Value {
    let ids: BTreeSet<i64> = items.iter().filter_map(record_of).collect();
    let rest = items.iter().filter(|ids| record_of(ids).is_none());
    let codes: BTreeSet<&str> = rest.filter_map(|ids| ids.get(IdKind::Sku)).collect();
    json!(["OR", ["id", "in", ids], ["code", "in", codes]])
}

/// Tells whether the product is the one that the identifiers name, as [`named`] asked.
fn is(level: &Level, ids: &Identifiers) -> bool {
    names(level.id, level.code.as_deref(), ids)
}

pub(super) fn names(id: i64, code: Option<&str>, ids: &Identifiers) -> bool {
    match record_of(ids) {
        Some(record) => record == id,
        None => code.is_some() && code == ids.get(IdKind::Sku),
    }
}

fn record_of(ids: &Identifiers) -> Option<i64> {
    ids.get(IdKind::Record)?.parse().ok()
}

fn record(id: i64) -> Identifiers {
    Identifiers::new([(IdKind::Record, id.to_string().as_str())]).expect("digits are a good identifier")
}

fn coded(id: i64, code: Option<&str>) -> Result<Identifiers, String> {
    let id = id.to_string();
    Identifiers::new([(IdKind::Record, id.as_str()), (IdKind::Sku, code.unwrap_or_default())])
        .map_err(|e| e.to_string())
}

fn identifiers(level: &Level) -> Result<Identifiers, String> {
    coded(level.id, level.code.as_deref())
}

fn last_id(after: Option<&Cursor>) -> Result<i64, Fault> {
    let Some(Cursor(text)) = after else { return Ok(0) };
    text.parse().map_err(|_| Fault::Malformed(format!("the cursor `{text}` is none of ours")))
}

/// Returns where the page after these rows begins, if there is one.
fn more(rows: &[Result<Level, Unread>]) -> Result<Option<Cursor>, Fault> {
    if rows.len() < PAGE {
        return Ok(None);
    }
    let id = |row: &Result<Level, Unread>| row.as_ref().map_or_else(|row| row.id, |level| Some(level.id));
    let last = rows.iter().filter_map(id).max();
    let last = last.ok_or_else(|| Fault::Malformed("no row of a page has an id".to_owned()))?;
    Ok(Some(Cursor(last.to_string())))
}
