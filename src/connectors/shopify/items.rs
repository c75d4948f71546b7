//! Reading inventory items: those named, and all there are.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    connectors::{
        CatalogueItem, CataloguePage, Cursor, Fault, Observed, onward,
        shopify::{
            PAGE,
            call::Caller,
            decode, encode,
            gid::gid,
            graphql::{CATALOGUE, LEVELS, Trouble},
            options::{Location, Locations},
        },
    },
    model::Identifiers,
};

/// After how many items paging begins anew behind the last one: Shopify pages no deeper than 25,000.
const WINDOW: u64 = 20_000;

/// Reads the levels of the listings, in their order.
pub(super) async fn read_back(
    caller: &Caller,
    locations: &Locations,
    listings: &[Identifiers],
) -> Result<Vec<Observed>, Fault> {
    let item = |ids: &Identifiers| Ok((locations.of(ids)?.number, encode::item(ids)?));
    let items: Vec<Result<(u64, u64), String>> = listings.iter().map(item).collect();
    let seen = at_places(caller, locations, items.iter().flatten().copied(), decode::levels).await?;
    let observed = |item: Result<(u64, u64), String>| match item {
        Ok(item) => seen.get(&item).cloned().unwrap_or(Observed::Absent),
        Err(why) => Observed::Unwritable { why },
    };
    Ok(items.into_iter().map(observed).collect())
}

/// An item at one of the shop's locations: both by their numbers.
pub(super) type Spot = (u64, u64);

/// What reads the answers for so many items at a location, in their order.
type Reader<T> = fn(&Value, usize, &Location) -> Result<Vec<T>, String>;

/// Looks at items, each at a location of the channel's.
pub(super) async fn at_places<T>(
    caller: &Caller,
    locations: &Locations,
    items: impl Iterator<Item = Spot>,
    reader: Reader<T>,
) -> Result<BTreeMap<Spot, T>, Fault> {
    let items: BTreeSet<Spot> = items.collect();
    let mut seen = BTreeMap::new();
    for location in locations.iter() {
        let here = items.iter().filter(|(at, _)| *at == location.number);
        let wanted: Vec<u64> = here.map(|(_, item)| *item).collect();
        let levels = levels(caller, location, &wanted, reader).await?;
        seen.extend(levels.into_iter().map(|(item, level)| ((location.number, item), level)));
    }
    Ok(seen)
}

/// Looks at items at one location.
async fn levels<T>(
    caller: &Caller,
    location: &Location,
    wanted: &[u64],
    reader: Reader<T>,
) -> Result<BTreeMap<u64, T>, Fault> {
    let mut seen = BTreeMap::new();
    let mut rest = wanted;
    while !rest.is_empty() {
        let size = caller.page_size(&LEVELS, PAGE);
        let (part, after) = rest.split_at(rest.len().min(size));
        let ids: Vec<String> = part.iter().map(|item| gid("InventoryItem", *item)).collect();
        match caller.call(&LEVELS, &json!({"ids": ids, "location": location.gid()})).await {
            Ok(said) => {
                let levels = reader(&said.data, part.len(), location).map_err(Fault::Malformed)?;
                seen.extend(part.iter().copied().zip(levels));
                rest = after;
            }
            Err(Trouble::TooCostly(_)) if size > 1 => caller.shrink(&LEVELS, size),
            Err(trouble) => return Err(trouble.into()),
        }
    }
    Ok(seen)
}

/// Reads items as the catalogue tells them, at all locations: at most as many as one page holds.
pub(super) async fn again(
    caller: &Caller,
    locations: &Locations,
    numbers: &[u64],
) -> Result<CataloguePage, Fault> {
    let mut page = CataloguePage::default();
    for location in locations.iter() {
        let mut rest = numbers;
        while !rest.is_empty() {
            let size = caller.page_size(&LEVELS, PAGE);
            let (part, after) = rest.split_at(rest.len().min(size));
            let ids: Vec<String> = part.iter().map(|item| gid("InventoryItem", *item)).collect();
            let said = match caller.call(&LEVELS, &json!({"ids": ids, "location": location.gid()})).await {
                Err(Trouble::TooCostly(_)) if size > 1 => {
                    caller.shrink(&LEVELS, size);
                    continue;
                }
                said => said?,
            };
            let nodes = said.data["nodes"].as_array().filter(|nodes| nodes.len() == part.len());
            let nodes = nodes
                .ok_or_else(|| Fault::Malformed("items were asked for that were not answered".to_owned()))?;
            // What is gone meanwhile is no item of the catalogue any more.
            for node in nodes.iter().filter(|node| !node.is_null()) {
                put(&mut page, locations, location, decode::item(node, location));
            }
            rest = after;
        }
    }
    Ok(page)
}

/// Adds an item at one of the channel's locations to a page.
pub(super) fn put(
    page: &mut CataloguePage,
    locations: &Locations,
    location: &Location,
    read: Result<CatalogueItem, Box<CatalogueItem>>,
) {
    let named = |item: CatalogueItem| CatalogueItem { ids: locations.named(location, item.ids), ..item };
    match read {
        Ok(item) => page.items.push(named(item)),
        Err(unread) => page.unread.push(named(*unread)),
    }
}

/// Where the catalogue goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// The window: items with a higher number than this.
    above: Option<u64>,
    /// Shopify's own cursor within the window.
    after: Option<String>,
    /// How many items of the window were read.
    read: u64,
    /// The highest number that was read.
    highest: u64,
    /// A lower number came after a higher one: a new window would leave items out.
    unsorted: bool,
    /// Which of the channel's locations is read: all items at one, then all at the next.
    #[serde(default)]
    location: usize,
}

impl Place {
    /// Returns where the page after one with these numbers begins.
    fn then(mut self, numbers: &[u64], next: String) -> Result<Place, Fault> {
        for number in numbers {
            self.unsorted |= *number <= self.highest;
            self.highest = self.highest.max(*number);
        }
        self.read += numbers.len() as u64;
        if self.read < WINDOW {
            return Ok(Place { after: Some(next), ..self });
        }
        if self.unsorted {
            let why = format!("more than {WINDOW} inventory items, and the shop does not list them by id");
            return Err(Fault::Refused(why));
        }
        let (above, highest, location) = (Some(self.highest), self.highest, self.location);
        Ok(Place { above, highest, location, ..Place::default() })
    }
}

/// Reads one page of all inventory items of the shop.
pub(super) async fn catalogue(
    caller: &Caller,
    locations: &Locations,
    after: Option<&Cursor>,
) -> Result<CataloguePage, Fault> {
    let place: Place = match after {
        None => Place::default(),
        Some(cursor) => {
            serde_json::from_str(&cursor.0).map_err(|e| Fault::Refused(format!("not a cursor: {e}")))?
        }
    };
    let location = locations.nth(place.location);
    let location =
        location.ok_or_else(|| Fault::Refused("not a cursor of the locations configured".to_owned()))?;
    let query = place.above.map(|number| format!("id:>{number}"));
    let variables = |first: usize| json!({"first": first, "after": place.after, "query": query, "location": location.gid()});
    let said = caller.page(&CATALOGUE, PAGE, variables).await?;
    let page = decode::items(&said.data, location).map_err(Fault::Malformed)?;
    let next = match onward(place.after.as_ref(), page.next)? {
        None => {
            let next = place.location + 1;
            locations.nth(next).map(|_| Place { location: next, ..Place::default() })
        }
        Some(next) => Some(place.then(&page.numbers, next)?),
    };
    let next = next.map(|place| serde_json::to_string(&place).map(Cursor)).transpose();
    let named = |item: CatalogueItem| CatalogueItem { ids: locations.named(location, item.ids), ..item };
    Ok(CataloguePage {
        items: page.items.into_iter().map(named).collect(),
        unread: page.unread.into_iter().map(named).collect(),
        next: next.map_err(|e| Fault::Malformed(e.to_string()))?,
        ..CataloguePage::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paging_begins_anew_before_it_becomes_too_deep() {
        let mut place = Place::default();
        for n in 0..WINDOW / 250 - 1 {
            let numbers: Vec<u64> = (n * 250 + 1..=n * 250 + 250).collect();
            place = place.then(&numbers, format!("c{n}")).expect("it is sorted");
            assert_eq!((place.after.as_deref(), place.above), (Some(format!("c{n}").as_str()), None));
        }
        let last: Vec<u64> = (WINDOW - 249..=WINDOW).collect();
        let place = place.then(&last, "deep".to_owned()).expect("it is sorted");
        assert_eq!(place, Place { above: Some(WINDOW), highest: WINDOW, ..Place::default() });
    }

    #[test]
    fn a_list_that_is_not_sorted_is_followed_as_far_as_it_can_be_and_never_cut() {
        let place = Place { read: WINDOW - 2, ..Place::default() };
        let place = place.then(&[9], "c".to_owned()).expect("not at the end yet");
        assert!(matches!(place.then(&[4], "d".to_owned()), Err(Fault::Refused(_))));
    }
}
