//! Reading listings: one, several by SKU, and all.
//!
//! Owns how SKUs are spread over calls, the way around Amazon's bound on a search, and that every reading reaches
//! the guard. Decides nothing about quantities.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    Amazon,
    decode::{self, Listing, Page, Unread},
    encode::{self, PAGE_MAX},
};
use crate::{
    connectors::{CatalogueItem, CataloguePage, Cursor, Fault, Observed, http, onward},
    model::{FulfilledBy, IdKind, Identifiers},
};

/// How many listings of one search can be paged through.
const SEARCH_MAX: u64 = 1000;

/// What was read of one SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reading {
    Listing(Listing),
    Absent,
    /// Amazon answers about this SKU, but not in a way that can be used.
    Unreadable(String),
    /// What Amazon answered about this SKU was not understood.
    Garbled(String),
    /// Amazon failed for this SKU, and not for others: nothing was read.
    Failed(String),
}

impl Reading {
    pub(super) fn observed(&self) -> Observed {
        match self {
            Reading::Listing(listing) => listing.observed(),
            Reading::Absent => Observed::Absent,
            Reading::Unreadable(why) => Observed::Unwritable { why: why.clone() },
            Reading::Garbled(why) | Reading::Failed(why) => Observed::Unread { why: why.clone() },
        }
    }
}

impl Amazon {
    /// Reads the SKUs, each once, up to twenty in one call.
    ///
    /// A SKU that the search leaves out is asked for by itself: only that answer tells that it is absent. Where one SKU
    /// makes a call fail, the others are read without it.
    pub(super) async fn look(&self, skus: &BTreeSet<&str>) -> Result<BTreeMap<String, Reading>, Fault> {
        let mut readings = BTreeMap::new();
        let mut alive = false;
        let together: Vec<&str> = skus.iter().copied().filter(|sku| encode::fits_list(sku)).collect();
        let mut open: Vec<&[&str]> = together.chunks(PAGE_MAX).rev().collect();
        while let Some(chunk) = open.pop() {
            // One SKU is cheaper by itself, unless its path has trouble.
            if chunk.len() < 2 {
                continue;
            }
            match self.search_for(chunk).await {
                Ok(found) => {
                    alive = true;
                    readings.extend(found);
                }
                // Half of them would take as long again: each is asked for by itself below.
                Err(fault @ Fault::Timeout(_)) if self.is_of_few(&fault, &mut alive).await => {}
                // One of them may have spoilt it for all.
                Err(fault) if self.is_of_few(&fault, &mut alive).await => {
                    let (first, second) = chunk.split_at(chunk.len() / 2);
                    open.extend([second, first]);
                }
                Err(fault) => return Err(fault),
            }
        }
        readings.retain(|sku, _| skus.contains(sku.as_str()));
        for sku in skus {
            if !readings.contains_key(*sku) {
                let reading = match self.look_at(sku).await {
                    Ok(reading) => reading,
                    Err(fault) if self.is_of_few(&fault, &mut alive).await => {
                        Reading::Failed(fault.to_string())
                    }
                    Err(fault) => return Err(fault),
                };
                readings.insert((*sku).to_owned(), reading);
            }
        }
        for (sku, reading) in &readings {
            self.note(sku, reading);
        }
        Ok(readings)
    }

    /// Tells whether a fault may be about some of the SKUs that were asked for, and not about Amazon as a whole:
    /// where nothing was read yet (`alive`), another read tells.
    async fn is_of_few(&self, fault: &Fault, alive: &mut bool) -> bool {
        match fault {
            Fault::Refused(_) => true,
            Fault::Server { .. } | Fault::Malformed(_) | Fault::Timeout(_) => {
                if !*alive {
                    let probe = self.caller.read(&encode::search_all(&self.options, None, None)).await;
                    *alive = probe.is_ok_and(|answer| {
                        decode::page(&answer.body, &self.options.marketplace_ids).is_ok()
                    });
                }
                *alive
            }
            Fault::Disconnected(_)
            | Fault::Throttled { .. }
            | Fault::Unauthorized(_)
            | Fault::NotOffered(_) => false,
        }
    }

    /// Reads one SKU by its path, or by search where the path has trouble.
    async fn look_at(&self, sku: &str) -> Result<Reading, Fault> {
        let Ok(request) = encode::get_listing(&self.options, sku) else {
            return self.search_for_one(sku).await;
        };
        let told = self.caller.send(&request).await?;
        match told.answer.status {
            200..=299 => Ok(reading(&told.answer.body, sku, &self.options.marketplace_ids)),
            404 => Ok(Reading::Absent),
            // An encoded `/` in the path is refused at times, in the words of a missing role.
            403 if encode::fits_list(sku) => self.search_for_one(sku).await,
            403 => self.reads_otherwise(told.fault()).await,
            400 => Ok(Reading::Unreadable(decode::errors(&told.answer.body))),
            _ => Err(told.fault()),
        }
    }

    async fn search_for_one(&self, sku: &str) -> Result<Reading, Fault> {
        match self.search_for(&[sku]).await {
            Ok(mut found) => Ok(found.remove(sku).unwrap_or(Reading::Absent)),
            Err(Fault::Refused(why)) => Ok(Reading::Unreadable(why)),
            Err(fault) => Err(fault),
        }
    }

    async fn search_for(&self, skus: &[&str]) -> Result<BTreeMap<String, Reading>, Fault> {
        let answer = self.caller.read(&encode::search_skus(&self.options, skus)).await?;
        let page = decode::page(&answer.body, &self.options.marketplace_ids)?;
        Ok(page.listings.into_iter().filter_map(named).collect())
    }

    /// Tells a refusal of one SKU from a refusal of everything.
    async fn reads_otherwise(&self, fault: Fault) -> Result<Reading, Fault> {
        self.caller.read(&encode::search_all(&self.options, None, None)).await?;
        Ok(Reading::Unreadable(format!(
            "Amazon refuses this SKU's path although other reads work ({fault}); give the listing a SKU without `/` \
             and `,`"
        )))
    }

    pub(super) fn note(&self, sku: &str, reading: &Reading) {
        match reading {
            Reading::Listing(listing) if listing.stock.unwritable().is_none() => {
                self.guard.allow(sku, listing.marketplace.as_deref().unwrap_or(self.first_marketplace()));
            }
            Reading::Listing(_) | Reading::Absent | Reading::Unreadable(_) | Reading::Garbled(_) => {
                self.guard.forbid(sku);
            }
            Reading::Failed(_) => {}
        }
    }

    /// Reads one page of the catalogue.
    pub(super) async fn catalogue_page(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        Ok(self.listed(after).await?.0)
    }

    /// Reads one page of the catalogue, and how many listings this search found.
    pub(super) async fn listed(&self, after: Option<&Cursor>) -> Result<(CataloguePage, u64), Fault> {
        let place = Place::of(after)?;
        let request = encode::search_all(&self.options, place.since.as_deref(), place.token.as_deref());
        let answer = self.caller.read(&request).await?;
        let page = decode::page(&answer.body, &self.options.marketplace_ids)?;
        let (next, total) = (place.next(&page)?.map(|place| place.cursor()), page.total);
        let mut items = Vec::with_capacity(page.listings.len());
        for listing in page.listings {
            items.push(match listing {
                Ok(listing) => {
                    let reading = Reading::Listing(listing.clone());
                    self.note(&listing.sku, &reading);
                    listing.row()
                }
                Err(unread) => unread.row(),
            });
        }
        Ok((CataloguePage { items, next, ..CataloguePage::default() }, total))
    }
}

/// Returns a reading under its SKU, if it names one.
fn named(listing: Result<Listing, Unread>) -> Option<(String, Reading)> {
    match listing {
        Ok(listing) => Some((listing.sku.clone(), Reading::Listing(listing))),
        Err(unread) => Some((unread.sku?, Reading::Garbled(unread.why))),
    }
}

fn reading(body: &[u8], sku: &str, marketplaces: &[String]) -> Reading {
    match http::json(body).and_then(|value| decode::listing(&value, marketplaces)) {
        // Amazon folds an encoded SKU wrongly at times: an answer about another one says nothing about this one.
        Ok(listing) if listing.sku != sku => {
            Reading::Unreadable(format!("asked for SKU `{sku}`, Amazon answered about `{}`", listing.sku))
        }
        Ok(listing) => Reading::Listing(listing),
        Err(why) => Reading::Garbled(why),
    }
}

impl Unread {
    /// Returns its row of the catalogue, so that it does not vanish.
    pub(super) fn row(self) -> CatalogueItem {
        let sku = self.sku.as_deref().unwrap_or_default();
        CatalogueItem {
            ids: Identifiers::new([(IdKind::Sku, sku)]).unwrap_or_default(),
            title: None,
            by: FulfilledBy::Unknown,
            levels: None,
            unwritable: Some(format!("answer not understood: {}", self.why)),
        }
    }
}

/// Where the catalogue goes on.
///
/// A search shows no more than its first thousand listings. They come in the order of their creation; so where more
/// remain, another search begins at the creation time of the last one seen. Its first listings come twice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Place {
    /// Creation time at which this search begins.
    since: Option<String>,
    token: Option<String>,
    /// How many listings of this search have been read.
    seen: u64,
    /// How many listings this search must find at least, so that none is left out.
    owed: u64,
}

impl Place {
    fn of(cursor: Option<&Cursor>) -> Result<Place, Fault> {
        let Some(Cursor(text)) = cursor else { return Ok(Place::default()) };
        serde_json::from_str(text)
            .map_err(|_| Fault::Refused(format!("`{text}` is not a cursor of this catalogue")))
    }

    fn cursor(&self) -> Cursor {
        Cursor(serde_json::to_string(self).expect("texts and numbers always serialize"))
    }

    /// Returns where to go on after `page`. `None`: it was the last.
    fn next(&self, page: &Page) -> Result<Option<Place>, Fault> {
        if page.total < self.owed {
            return Err(Fault::Refused(format!(
                "Amazon pages no further than {SEARCH_MAX} listings, and the search for those created after `{}` \
                 finds {} of {}: read the catalogue again; if it stays so, name the listings with `evenkeel map \
                 import`",
                self.since.as_deref().unwrap_or_default(),
                page.total,
                self.owed,
            )));
        }
        let seen = self.seen + page.listings.len() as u64;
        if seen >= page.total || (page.next.is_none() && seen < SEARCH_MAX) {
            return Ok(None);
        }
        if page.listings.is_empty() {
            return Err(Fault::Malformed("an empty page that is not the last".to_owned()));
        }
        if seen < SEARCH_MAX {
            let token = onward(self.token.as_ref(), page.next.clone())?;
            return Ok(Some(Place { token, seen, ..self.clone() }));
        }
        let last = page.listings.iter().rev().find_map(|l| l.as_ref().ok()?.created.clone());
        match last {
            Some(last) if self.since.as_ref().is_none_or(|since| last > *since) => {
                Ok(Some(Place { since: Some(last), token: None, seen: 0, owed: page.total - seen }))
            }
            Some(_) | None => Err(Fault::Refused(format!(
                "Amazon pages no further than {SEARCH_MAX} listings, and more were created at the same moment: name \
                 the rest with `evenkeel map import`"
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
