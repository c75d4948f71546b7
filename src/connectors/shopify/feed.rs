//! Reading orders: those changed since a moment, and one by its id.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    connectors::{
        Cursor, Fact, Fault, OrderPage, Unreadable, http,
        shopify::{
            PAGE,
            call::Caller,
            gid::{self, gid},
            graphql::{FULFILLMENT_LINES, ORDER, ORDER_LINES, ORDERS, REFUND_LINES},
            orders::{
                Told,
                graphql::{More, Of, PageInfo, order as read},
                id_of, search_time,
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
}

impl Place {
    fn begin(since: Timestamp) -> Place {
        Place { since, after: None, read: 0, newest: since }
    }

    /// Returns where the page after one of `read` orders begins. Orders come oldest change first, so a new window
    /// leaves none out; those of its first second come twice.
    fn then(&self, read: usize, newest: Option<Timestamp>, next: String) -> Place {
        let read = self.read + read;
        let newest = newest.map_or(self.newest, |newest| newest.max(self.newest));
        // As long as the second does not move on, a new window would begin where this one did.
        if read >= WINDOW && search_time(newest) != search_time(self.since) {
            return Place::begin(newest);
        }
        Place { since: self.since, after: Some(next), read, newest }
    }
}

/// Reads one page of the orders changed since a moment.
pub(super) async fn orders(
    caller: &Caller,
    since: Timestamp,
    after: Option<&Cursor>,
) -> Result<OrderPage, Fault> {
    let place: Place = match after {
        None => Place::begin(since),
        Some(cursor) => {
            http::json(cursor.0.as_bytes()).map_err(|e| Fault::Refused(format!("not a cursor: {e}")))?
        }
    };
    let query = format!("updated_at:>='{}'", search_time(place.since));
    let variables =
        |first: usize| json!({"first": first, "nested": NESTED_PAGE, "after": place.after, "query": query});
    let said = caller.page(&ORDERS, ORDERS_PAGE, variables).await?;
    let list = &said.data["orders"];
    let nodes = list["nodes"].as_array();
    let nodes = nodes.ok_or_else(|| Fault::Malformed("the answer has no `orders.nodes`".to_owned()))?;
    let info: PageInfo = http::json_part(&list["pageInfo"]).map_err(Fault::Malformed)?;
    let next = info.next().map_err(Fault::Malformed)?;

    let mut page = OrderPage::default();
    // A shop that fails to tell one order's further pages would hold up this page once for each such order.
    let mut asks = Some(caller);
    for node in nodes {
        match whole(asks, node).await {
            Ok(Ok(order)) => page.orders.push(order),
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
    let newest = page.orders.iter().map(|order| order.version).max();
    match next {
        Some(next) => {
            let place = place.then(nodes.len(), settled(&page.orders, said.at), next);
            page.read_through = Some(place.newest);
            page.next =
                Some(Cursor(serde_json::to_string(&place).map_err(|e| Fault::Malformed(e.to_string()))?));
        }
        // The shop's own clock; where an answer has none, the newest change that was read is safe too.
        None => page.read_through = Some(said.at.or(newest).unwrap_or(since).max(since)),
    }
    Ok(page)
}

/// Returns the newest change among orders that surely stand where it put them, in an answer of `at`.
fn settled(orders: &[OrderSnapshot], at: Option<Timestamp>) -> Option<Timestamp> {
    let lag = i64::try_from(LIST_LAG.as_millis()).ok()?;
    let until = at?.plus_millis(-lag);
    orders.iter().map(|order| order.version).filter(|version| *version <= until).max()
}

/// Reads an order that was kept as a page of the feed told it. One that has further pages must be fetched.
pub(super) fn reread(body: &[u8]) -> Result<Vec<Fact>, String> {
    let node: Value = http::json(body)?;
    let (order, open) = read(&node)?;
    if open.is_empty() {
        return Ok(vec![Fact::Order(order.snapshot(Told::Fetched)?)]);
    }
    let id = id_of(&node).ok_or("it has no id")?;
    OrderId::new(&id).map(|id| vec![Fact::Fetch(id)]).map_err(|bad| bad.to_string())
}

fn unreadable(node: &Value, why: String) -> Unreadable {
    Unreadable { id: id_of(node), why, body: Bytes::from(node.to_string()) }
}

/// Reads one order whole.
pub(super) async fn order(caller: &Caller, id: &OrderId) -> Result<Option<OrderSnapshot>, Fault> {
    // What is not a number cannot be an order of Shopify's.
    let Some(number) = gid::parse(id.as_str()) else { return Ok(None) };
    let variables = |nested: usize| json!({"id": gid("Order", number), "nested": nested});
    let said = caller.page(&ORDER, PAGE, variables).await?;
    let node = &said.data["order"];
    if node.is_null() {
        return Ok(None);
    }
    whole(Some(caller), node).await?.map(Some).map_err(Fault::Malformed)
}

/// Reads an order's further pages, if it has any, and takes from it what the ledger needs. The inner error says why the
/// order itself cannot be read. Without a caller, an order that has further pages fails.
async fn whole(caller: Option<&Caller>, node: &Value) -> Result<Result<OrderSnapshot, String>, Fault> {
    let (mut order, mut open) = match read(node) {
        Ok(read) => read,
        Err(why) => return Ok(Err(why)),
    };
    for _ in 0..MORE_MAX {
        let Some(more) = open.pop() else { return Ok(order.snapshot(Told::Fetched)) };
        let Some(caller) = caller else { return Err(Fault::NotOffered("a further page")) };
        let data = further(caller, &more).await?;
        match order.add(more.of, &data) {
            Ok(Some(after)) => open.push(More { after, ..more }),
            Ok(None) => {}
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
