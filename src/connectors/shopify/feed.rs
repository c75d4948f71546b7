//! Reading orders: those changed since a moment, and one by its id.
//!
//! Where the shop has several places, a second list is read after the orders': of what is to be shipped from elsewhere
//! since. Whether that alone changes an order is not documented.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    connectors::{
        Cursor, Fact, Fault, OrderPage, Unreadable, http, onward,
        shopify::{
            PAGE,
            call::Caller,
            gid::{self, gid},
            graphql::{
                FULFILLMENT_LINES, MORE_ROUTES, MOVED, ORDER, ORDER_LINES, ORDERS, REFUND_LINES, ROUTE_LINES,
                ROUTED_ORDER, ROUTED_ORDERS,
            },
            options::Locations,
            orders::{
                Told,
                graphql::{More, Of, PageInfo, order as read},
                id_of, search_time, time,
            },
        },
    },
    model::{OrderId, OrderSnapshot, Timestamp},
};

/// How many orders one page of the feed holds, with how many lines each. What does not fit is read page by page.
const ORDERS_PAGE: usize = 25;
const NESTED_PAGE: usize = 50;

/// The most further pages that one order may have.
const MORE_MAX: usize = 400;

/// After how many orders paging begins anew at the newest that was read: Shopify pages no deeper than 25,000.
const WINDOW: usize = 20_000;

/// How far the shop's list of orders may be behind the orders themselves. One that was changed more recently may stand
/// where its last change but one put it, so its time says nothing of those around it.
const LIST_LAG: Duration = Duration::from_secs(10 * 60);

/// Where the feed goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    /// The window: orders changed at or after this.
    since: Timestamp,
    /// Shopify's own cursor within the window.
    after: Option<String>,
    /// How many orders of the window were read.
    read: usize,
    /// The newest change that was read, those aside that may stand elsewhere than their time says.
    newest: Timestamp,
    /// The orders were read, up to this time: what was moved is read now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    read_through: Option<Timestamp>,
}

impl Place {
    fn begin(since: Timestamp) -> Place {
        Place { since, after: None, read: 0, newest: since, read_through: None }
    }

    /// The orders were read up to `read_through`: what was moved since `since` comes next.
    fn moves(since: Timestamp, read_through: Timestamp) -> Place {
        Place { read_through: Some(read_through), ..Place::begin(since) }
    }

    /// Returns where the page after one of `read` orders begins. Orders come oldest change first, so a new window
    /// leaves none out; those of its first second come twice.
    fn then(&self, read: usize, newest: Option<Timestamp>, next: String) -> Place {
        let read = self.read + read;
        let newest = newest.map_or(self.newest, |newest| newest.max(self.newest));
        // As long as the second does not move on, a new window would begin where this one did.
        if read >= WINDOW && search_time(newest) != search_time(self.since) {
            return Place { read_through: self.read_through, ..Place::begin(newest) };
        }
        Place { after: Some(next), read, newest, ..*self }
    }
}

/// Reads one page of the orders changed since a moment.
pub(super) async fn orders(
    caller: &Caller,
    locations: &Locations,
    since: Timestamp,
    after: Option<&Cursor>,
) -> Result<OrderPage, Fault> {
    let place: Place = match after {
        None => Place::begin(since),
        Some(cursor) => {
            http::json(cursor.0.as_bytes()).map_err(|e| Fault::Refused(format!("not a cursor: {e}")))?
        }
    };
    match place.read_through {
        None => changed(caller, locations, since, &place).await,
        Some(read_through) => moved(caller, since, &place, read_through).await,
    }
}

fn cursor(place: &Place) -> Result<Cursor, Fault> {
    serde_json::to_string(place).map(Cursor).map_err(|e| Fault::Malformed(e.to_string()))
}

async fn changed(
    caller: &Caller,
    locations: &Locations,
    since: Timestamp,
    place: &Place,
) -> Result<OrderPage, Fault> {
    let query = format!("updated_at:>='{}'", search_time(place.since));
    let variables =
        |first: usize| json!({"first": first, "nested": NESTED_PAGE, "after": place.after, "query": query});
    let operation = if locations.are_several() { &ROUTED_ORDERS } else { &ORDERS };
    let said = caller.page(operation, ORDERS_PAGE, variables).await?;
    let list = &said.data["orders"];
    let nodes = list["nodes"].as_array();
    let nodes = nodes.ok_or_else(|| Fault::Malformed("the answer has no `orders.nodes`".to_owned()))?;
    let info: PageInfo = http::json_part(&list["pageInfo"]).map_err(Fault::Malformed)?;
    let next = onward(place.after.as_ref(), info.next().map_err(Fault::Malformed)?)?;

    let mut page = OrderPage::default();
    let mut changes = Vec::new();
    // A shop that fails to tell one order's further pages would hold up this page once for each such order.
    let mut asks = Some(caller);
    for node in nodes {
        match whole(asks, locations, node).await {
            Ok(Ok((order, updated_at))) => {
                page.orders.push(order);
                changes.push(updated_at);
            }
            Ok(Err(why)) => page.unreadable.push(unreadable(node, why)),
            Err(fault) => {
                asks = None;
                match id_of(node).map(|id| OrderId::new(&id)) {
                    Some(Ok(order)) => page.unread.push(order),
                    Some(Err(_)) | None => page.unreadable.push(unreadable(node, fault.to_string())),
                }
            }
        }
    }
    let newest = changes.iter().copied().max();
    match next {
        Some(next) => {
            let place = place.then(nodes.len(), settled(&changes, said.at), next);
            page.read_through = Some(place.newest);
            page.next = Some(cursor(&place)?);
        }
        // The shop's own clock; where an answer has none, the newest change that was read is safe too.
        None => {
            let through = said.at.or(newest).unwrap_or(since).max(since);
            if locations.are_several() {
                page.next = Some(cursor(&Place::moves(since, through))?);
            } else {
                page.read_through = Some(through);
            }
        }
    }
    Ok(page)
}

/// Reads one page of what is to be shipped from elsewhere since a moment: orders that the list of orders does not tell,
/// because they have not changed themselves, are to be fetched.
async fn moved(
    caller: &Caller,
    since: Timestamp,
    place: &Place,
    read_through: Timestamp,
) -> Result<OrderPage, Fault> {
    let query = format!("updated_at:>='{}'", search_time(place.since));
    let variables = |first: usize| json!({"first": first, "after": place.after, "query": query});
    let said = caller.page(&MOVED, PAGE, variables).await?;
    let list = &said.data["fulfillmentOrders"];
    let nodes = list["nodes"].as_array();
    let nodes =
        nodes.ok_or_else(|| Fault::Malformed("the answer has no `fulfillmentOrders.nodes`".to_owned()))?;
    let info: PageInfo = http::json_part(&list["pageInfo"]).map_err(Fault::Malformed)?;
    let mut page = OrderPage::default();
    let mut changes = Vec::new();
    let at = |node: &Value| node["updatedAt"].as_str().and_then(|text| time(text).ok());
    for node in nodes {
        changes.extend(at(node));
        let order = &node["order"];
        // One that cannot be read is fetched: then it is told what is wrong with it.
        if at(order).is_none_or(|at| at < since)
            && let Some(Ok(order)) = id_of(order).map(|id| OrderId::new(&id))
            && !page.unread.contains(&order)
        {
            page.unread.push(order);
        }
    }
    match onward(place.after.as_ref(), info.next().map_err(Fault::Malformed)?)? {
        Some(next) => {
            page.next = Some(cursor(&place.then(nodes.len(), settled(&changes, said.at), next))?);
        }
        None => page.read_through = Some(read_through),
    }
    Ok(page)
}

/// Returns the newest of these changes that surely stands where its time says, in an answer of `at`.
fn settled(changes: &[Timestamp], at: Option<Timestamp>) -> Option<Timestamp> {
    let lag = i64::try_from(LIST_LAG.as_millis()).ok()?;
    let until = at?.plus_millis(-lag);
    changes.iter().copied().filter(|change| *change <= until).max()
}

/// Reads an order that was kept as a page of the feed told it. One that has further pages must be fetched.
pub(super) fn reread(body: &[u8], locations: &Locations) -> Result<Vec<Fact>, String> {
    let node: Value = http::json(body)?;
    let (order, open) = read(&node)?;
    if open.is_empty() {
        return Ok(vec![Fact::Order(order.snapshot(Told::Fetched, locations)?)]);
    }
    let id = id_of(&node).ok_or("it has no id")?;
    OrderId::new(&id).map(|id| vec![Fact::Fetch(id)]).map_err(|bad| bad.to_string())
}

fn unreadable(node: &Value, why: String) -> Unreadable {
    Unreadable { id: id_of(node), why, body: Bytes::from(node.to_string()) }
}

/// Reads one order whole.
pub(super) async fn order(
    caller: &Caller,
    locations: &Locations,
    id: &OrderId,
) -> Result<Option<OrderSnapshot>, Fault> {
    // What is not a number cannot be an order of Shopify's.
    let Some(number) = gid::parse(id.as_str()) else { return Ok(None) };
    let variables = |nested: usize| json!({"id": gid("Order", number), "nested": nested});
    let operation = if locations.are_several() { &ROUTED_ORDER } else { &ORDER };
    let said = caller.page(operation, PAGE, variables).await?;
    let node = said.data.get("order");
    let node = node.ok_or_else(|| Fault::Malformed("the answer has no `order`".to_owned()))?;
    if node.is_null() {
        return Ok(None);
    }
    let (order, _) = whole(Some(caller), locations, node).await?.map_err(Fault::Malformed)?;
    Ok(Some(order))
}

/// Reads an order's further pages, if it has any, and takes from it what the ledger needs, and when it says that it was
/// changed. The inner error says why the order itself cannot be read. Without a caller, an order that has further pages
/// fails.
async fn whole(
    caller: Option<&Caller>,
    locations: &Locations,
    node: &Value,
) -> Result<Result<(OrderSnapshot, Timestamp), String>, Fault> {
    let (mut order, mut open) = match read(node) {
        Ok(read) => read,
        Err(why) => return Ok(Err(why)),
    };
    for _ in 0..MORE_MAX {
        let Some(more) = open.pop() else {
            let at = order.updated_at;
            return Ok(order.snapshot(Told::Fetched, locations).map(|order| (order, at)));
        };
        let Some(caller) = caller else { return Err(Fault::NotOffered("a further page")) };
        let data = further(caller, &more).await?;
        match order.add(&more, &data) {
            Ok(more) => open.extend(more),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Err(format!("the order has more than {MORE_MAX} pages")))
}

async fn further(caller: &Caller, more: &More) -> Result<Value, Fault> {
    let operation = match more.of {
        Of::Order => &ORDER_LINES,
        Of::Fulfillment(_) => &FULFILLMENT_LINES,
        Of::Refund => &REFUND_LINES,
        Of::Routes => &MORE_ROUTES,
        Of::Route(_) => &ROUTE_LINES,
    };
    let variables = |first: usize| json!({"id": more.gid, "first": first, "after": more.after});
    Ok(caller.page(operation, PAGE, variables).await?.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_782_351_235_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn paging_begins_anew_at_the_newest_order_before_it_becomes_too_deep() {
        let place = Place::begin(at(SECOND)).then(25, Some(at(SECOND + 9_000)), "a".to_owned());
        assert_eq!((place.after.as_deref(), place.newest), (Some("a"), at(SECOND + 9_000)));
        let deep = Place { read: WINDOW - 25, ..place.clone() };
        assert_eq!(deep.then(24, None, "b".to_owned()).after.as_deref(), Some("b"));
        assert_eq!(deep.then(25, None, "b".to_owned()), Place::begin(at(SECOND + 9_000)));
        // Unreadable orders count, though nothing newer is known of them.
        let still = Place { newest: at(SECOND + 999), ..deep };
        assert_eq!(still.then(25, None, "b".to_owned()).after.as_deref(), Some("b"));
    }
}
