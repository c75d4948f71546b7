//! What lies in Amazon's own warehouses (FBA): read, never written.
//!
//! On hand is what may be sold (`fulfillableQuantity`) and what was sold and has not been shipped
//! (`pendingCustomerOrderQuantity`): the ledger takes off its own open orders. What is on its way in, moved between
//! warehouses, researched or spoilt is not for sale, and left out.
//!
//! One marketplace is read, the first one: in a region that shares its stock all tell the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Amazon, encode};
use crate::{
    connectors::{CountLine, CountPage, Cursor, Fault, Scope, Unreadable, http, onward},
    model::{IdKind, Identifiers, LocationId, Quantity, Timestamp},
};

#[derive(Debug, Deserialize)]
struct Answer {
    payload: Payload,
    #[serde(default)]
    pagination: Option<Pagination>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    inventory_summaries: Vec<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pagination {
    #[serde(default)]
    next_token: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    seller_sku: String,
    asin: Option<String>,
    fn_sku: Option<String>,
    inventory_details: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    fulfillable_quantity: i64,
    reserved_quantity: Reserved,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Reserved {
    pending_customer_order_quantity: i64,
}

/// The most SKUs that one request names.
const SKUS_MAX: usize = 50;

impl Amazon {
    /// Reads one page of what Amazon ships itself: of all of it, or of the SKUs named. The token of the next page lives half a
    /// minute.
    pub(super) async fn own_stock(&self, scope: &Scope, after: Option<&Cursor>) -> Result<CountPage, Fault> {
        let location = self.options.own_location.clone().ok_or(Fault::NotOffered("counts"))?;
        let as_of = crate::clock::Clock::now(&self.clock);
        let (request, token, rest) = match scope {
            Scope::All => {
                let token = after.map(|cursor| cursor.0.as_str());
                (encode::summaries(self.first_marketplace(), &[], token), after.cloned(), None)
            }
            Scope::Only(items) => {
                let part = part(items, after)?;
                if part.skus.is_empty() {
                    return Ok(CountPage { as_of, ..CountPage::default() });
                }
                let token = part.place.token.as_deref();
                let request = encode::summaries(self.first_marketplace(), &part.skus, token);
                (request, part.place.token.clone().map(Cursor), Some(part))
            }
        };
        let answer = self.caller.read(&request).await?;
        let page = page(&answer.body, &location, as_of)?;
        let next = onward(token.as_ref(), page.next.clone())?;
        Ok(CountPage {
            next: match rest {
                Some(part) => part.then(next),
                None => next,
            },
            ..page
        })
    }
}

/// Where a read of named SKUs goes on: which part of them, and which page of that.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Place {
    part: usize,
    token: Option<String>,
}

/// What one request names.
struct Part<'a> {
    skus: Vec<&'a str>,
    place: Place,
    last: bool,
}

fn part<'a>(items: &'a [Identifiers], after: Option<&Cursor>) -> Result<Part<'a>, Fault> {
    let place: Place = match after {
        Some(Cursor(text)) => serde_json::from_str(text)
            .map_err(|_| Fault::Refused(format!("`{text}` is not a cursor of these counts")))?,
        None => Place::default(),
    };
    // Amazon would split it, and tell of others.
    let named = |ids: &'a Identifiers| ids.get(IdKind::Sku).filter(|sku| encode::fits_list(sku));
    let all: Vec<&str> = items.iter().filter_map(named).collect();
    let skus = all.chunks(SKUS_MAX).nth(place.part).unwrap_or_default().to_vec();
    Ok(Part { skus, last: (place.part + 1) * SKUS_MAX >= all.len(), place })
}

impl Part<'_> {
    /// Returns where to go on after a page that ended like this.
    fn then(self, next: Option<Cursor>) -> Option<Cursor> {
        let place = match next {
            Some(Cursor(token)) => Place { token: Some(token), ..self.place },
            None if self.last => return None,
            None => Place { part: self.place.part + 1, token: None },
        };
        Some(Cursor(serde_json::to_string(&place).expect("numbers and texts always serialize")))
    }
}

/// Reads one page. A summary that cannot be read does not hold up the others.
fn page(body: &[u8], location: &LocationId, as_of: Timestamp) -> Result<CountPage, Fault> {
    let answer: Answer = http::json(body).map_err(Fault::Malformed)?;
    let mut page = CountPage { as_of, ..CountPage::default() };
    // A seller SKU may have a row for each condition.
    let mut sums: BTreeMap<Identifiers, Quantity> = BTreeMap::new();
    for entry in answer.payload.inventory_summaries {
        match summary(&entry) {
            Ok((ids, units)) => {
                let sum = sums.entry(ids).or_default();
                *sum = sum.add(units).unwrap_or(*sum);
            }
            Err(why) => {
                let id = entry["sellerSku"].as_str().map(str::to_owned);
                page.unreadable.push(Unreadable { id, why, body: Bytes::from(entry.to_string()) });
            }
        }
    }
    let line = |(ids, quantity)| CountLine { ids, location: location.clone(), quantity };
    page.lines = sums.into_iter().map(line).collect();
    let next = answer.pagination.and_then(|pagination| pagination.next_token);
    page.next = next.filter(|token| !token.is_empty()).map(Cursor);
    Ok(page)
}

fn summary(entry: &Value) -> Result<(Identifiers, Quantity), String> {
    // An empty list would pass for an object that names nothing.
    let details = &entry["inventoryDetails"];
    if !details.is_object() || details.get("reservedQuantity").is_some_and(|held| !held.is_object()) {
        return Err("`inventoryDetails` is not as documented".to_owned());
    }
    let read: Summary = http::json_part(entry)?;
    let ids = [
        (IdKind::Sku, read.seller_sku.as_str()),
        (IdKind::Asin, read.asin.as_deref().unwrap_or_default()),
        (IdKind::Fnsku, read.fn_sku.as_deref().unwrap_or_default()),
    ];
    let ids = Identifiers::new(ids).map_err(|e| e.to_string())?;
    let units = |quantity: i64| Quantity::bounded(quantity).map_err(|e| e.to_string());
    let fulfillable = units(read.inventory_details.fulfillable_quantity)?;
    let pending = units(read.inventory_details.reserved_quantity.pending_customer_order_quantity)?;
    Ok((ids, fulfillable.add(pending).map_err(|e| e.to_string())?.or_zero()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<CountPage, Fault> {
        let fba = LocationId::new("fba").expect("a name");
        page(body.to_string().as_bytes(), &fba, Timestamp::from_millis(7))
    }

    #[test]
    fn what_may_be_sold_and_what_was_sold_is_on_hand_and_one_odd_row_spoils_no_other() {
        let row = |sku: &str, fulfillable: i64, pending: i64| {
            json!({"sellerSku": sku, "asin": "B0XYZ12345", "fnSku": "X0012ABCDE", "condition": "NewItem",
                "totalQuantity": 99, "inventoryDetails": {"fulfillableQuantity": fulfillable,
                "inboundShippedQuantity": 50, "reservedQuantity": {"totalReservedQuantity": 9,
                "pendingCustomerOrderQuantity": pending, "fcProcessingQuantity": 4}}})
        };
        let body = json!({"payload": {"inventorySummaries": [
            row("A", 7, 2), row("B", 0, 0), row("A", 1, 0), {"sellerSku": "C", "inventoryDetails": []},
            {"sellerSku": "D", "inventoryDetails": {}},
        ]}, "pagination": {"nextToken": "seedtoken"}});
        let page = read(&body).expect("it can be read");
        let told = page.lines.iter().map(|line| {
            format!("{} {} {}", line.ids.get(IdKind::Sku).unwrap_or(""), line.location, line.quantity)
        });
        assert_eq!(told.collect::<Vec<_>>(), ["A fba 10", "B fba 0", "D fba 0"]);
        assert_eq!(page.unreadable.iter().map(|odd| odd.id.as_deref()).collect::<Vec<_>>(), [Some("C")]);
        assert_eq!(
            (page.next, page.as_of),
            (Some(Cursor("seedtoken".to_owned())), Timestamp::from_millis(7))
        );
        let last =
            read(&json!({"payload": {"inventorySummaries": []}, "pagination": {}})).expect("it can be read");
        assert_eq!((last.lines.len(), last.next), (0, None));
        assert!(read(&json!({"payload": {}})).is_err());
    }

    #[test]
    fn named_skus_are_read_in_parts_and_each_part_page_by_page() {
        let named = |n: usize| Identifiers::new([(IdKind::Sku, format!("S{n}").as_str())]).expect("good");
        let items: Vec<Identifiers> = (0..120).map(named).collect();
        let (mut after, mut read): (Option<Cursor>, Vec<(usize, Option<String>)>) = (None, Vec::new());
        loop {
            let part = part(&items, after.as_ref()).expect("a place");
            let token = part.place.token.clone();
            read.push((part.skus.len(), token.clone()));
            // Every part has two pages.
            let next = token.is_none().then(|| Cursor("t".to_owned()));
            after = part.then(next);
            if after.is_none() {
                break;
            }
        }
        let (first, second) = (None, Some("t".to_owned()));
        let want = [(50, &first), (50, &second), (50, &first), (50, &second), (20, &first), (20, &second)];
        assert_eq!(read, want.map(|(skus, token)| (skus, token.clone())));
        let comma = [Identifiers::new([(IdKind::Sku, "A,B")]).expect("good")];
        assert!(part(&comma, None).expect("a place").skus.is_empty());
        assert!(part(&items, Some(&Cursor("x".to_owned()))).is_err());
    }
}
