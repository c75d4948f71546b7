//! Orders 2026-01-01: what happens to orders, and how the API shows them. Amazon takes the units of an order off the
//! live quantity by itself, and puts them back when the order is cancelled.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::sandbox::books::{Move, Moved};
use crate::sandbox::clock::{iso_millis, parse_iso};
use crate::sandbox::world::World;

use super::store::Store;
use super::{Failure, Params};

pub(super) struct Order {
    pub(super) id: String,
    created_ms: i64,
    updated_ms: i64,
    pending: bool,
    /// Who cancelled it, and why.
    cancelled_by: Option<(&'static str, &'static str)>,
    lines: Vec<Line>,
    by_amazon: bool,
    hidden: bool,
    /// Its lines are reported with quantity 0 once it is cancelled.
    zeroed: bool,
}

struct Line {
    id: String,
    listing: usize,
    ordered: i64,
    shipped: i64,
    cancelled: i64,
    returned: i64,
}

impl Line {
    fn open(&self) -> i64 {
        self.ordered - self.shipped - self.cancelled
    }
}

/// Why an order is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Status,
    /// The buyer wants out of it.
    Buyer,
}

const DATASETS: [&str; 11] = [
    "BUYER",
    "RECIPIENT",
    "PROCEEDS",
    "EXPENSE",
    "PROMOTION",
    "CANCELLATION",
    "FULFILLMENT",
    "PACKAGES",
    "TAX",
    "PAYMENT",
    "FULFILLMENT_ORDERS",
];
/// Data sets that need a role which the sandbox's application does not have.
const PERSONAL: [&str; 2] = ["BUYER", "RECIPIENT"];
const PAGE_MAX: usize = 100;
const TOKEN_LIFE_MS: i64 = 24 * 3600 * 1000;

impl Order {
    fn status(&self) -> &'static str {
        let shipped: i64 = self.lines.iter().map(|line| line.shipped).sum();
        let open: i64 = self.lines.iter().map(Line::open).sum();
        match (shipped, open) {
            (0, 0) => "CANCELLED",
            (_, 0) => "SHIPPED",
            (0, _) if self.pending => "PENDING",
            (0, _) => "UNSHIPPED",
            (_, _) => "PARTIALLY_SHIPPED",
        }
    }
}

impl Store {
    /// Units of open orders that Amazon ships itself.
    pub(super) fn reserved(&self, listing: usize) -> i64 {
        let lines = self.orders.iter().filter(|order| order.by_amazon).flat_map(|order| &order.lines);
        lines.filter(|line| line.listing == listing).map(Line::open).sum()
    }

    /// Takes an order: (listing, units) per line. All lines are fulfilled by the same party.
    pub(in crate::sandbox) fn place(
        &mut self,
        wanted: &[(usize, i64)],
        hidden: bool,
        now_ms: i64,
    ) -> (usize, Vec<Moved>) {
        let n = self.orders.len();
        let by_amazon = wanted.first().is_some_and(|(listing, _)| self.listings[*listing].fnsku.is_some());
        let mut moves = Vec::new();
        let mut lines = Vec::with_capacity(wanted.len());
        for (row, (listing, ordered)) in wanted.iter().copied().enumerate() {
            self.listings[listing].live -= ordered;
            let sku = self.listings[listing].sku;
            if !by_amazon {
                moves.push(Moved { sku, place: 0, quantity: ordered, what: Move::Sold });
            }
            let id = format!("{:014}", 10_000_000_000_000 + n as u64 * 100 + row as u64);
            lines.push(Line { id, listing, ordered, shipped: 0, cancelled: 0, returned: 0 });
        }
        let id = format!("902-{:07}-{:07}", 1_000_000 + n / 9_000_000, 1_000_000 + n % 9_000_000);
        self.by_id.insert(id.clone(), n);
        let zeroed = self.zeroed.chance(self.zeroed_share);
        let (created_ms, updated_ms) = (now_ms, now_ms);
        let cancelled_by = None;
        self.orders.push(Order {
            id,
            created_ms,
            updated_ms,
            pending: true,
            cancelled_by,
            lines,
            by_amazon,
            hidden,
            zeroed,
        });
        self.touch(n, Change::Status, now_ms);
        (n, moves)
    }

    /// The payment is through.
    pub(in crate::sandbox) fn open(&mut self, order: usize, now_ms: i64) {
        if self.orders[order].pending {
            self.orders[order].pending = false;
            if self.orders[order].status() != "CANCELLED" {
                self.touch(order, Change::Status, now_ms);
            }
        }
    }

    /// Cancels what has not shipped. With `restock` the units are on sale again at once; without, they are not there.
    pub(in crate::sandbox) fn cancel(
        &mut self,
        order: usize,
        restock: bool,
        by: &'static str,
        now_ms: i64,
    ) -> Result<Vec<Moved>, String> {
        let own = self.orders.get_mut(order).ok_or("no such order")?;
        if own.lines.iter().all(|line| line.open() == 0) {
            return Err("nothing is open on the order".into());
        }
        own.cancelled_by = Some((by, if restock { "Buyer requested cancellation" } else { "Out of stock" }));
        let mut moves = Vec::new();
        for line in own.lines.iter_mut().filter(|line| line.open() > 0) {
            let quantity = line.open();
            line.cancelled += quantity;
            let what = if restock { Move::Released } else { Move::WrittenOff };
            if restock {
                self.listings[line.listing].live += quantity;
            }
            if !own.by_amazon {
                moves.push(Moved { sku: self.listings[line.listing].sku, place: 0, quantity, what });
            }
        }
        self.touch(order, if by == "BUYER" { Change::Buyer } else { Change::Status }, now_ms);
        Ok(moves)
    }

    /// Ships all open units, or those of `wanted` (SKU, units).
    pub(in crate::sandbox) fn ship(
        &mut self,
        order: usize,
        wanted: Option<&[(usize, i64)]>,
        now_ms: i64,
    ) -> Result<Vec<Moved>, String> {
        let own = self.orders.get_mut(order).ok_or("no such order")?;
        if own.pending {
            return Err("the order is still pending".into());
        }
        let mut moves = Vec::new();
        for line in &mut own.lines {
            let sku = self.listings[line.listing].sku;
            let asked = wanted.map_or(i64::MAX, |wanted| {
                wanted.iter().filter(|(own, _)| *own == sku).map(|(_, units)| *units).sum()
            });
            let quantity = line.open().min(asked).max(0);
            line.shipped += quantity;
            if quantity > 0 && !own.by_amazon {
                moves.push(Moved { sku, place: 0, quantity, what: Move::Shipped });
            }
        }
        if moves.is_empty() && !own.by_amazon {
            return Err("nothing of that is open on the order".into());
        }
        self.touch(order, Change::Status, now_ms);
        Ok(moves)
    }

    /// Takes shipped units back. Amazon shows nothing of it: the merchant decides where they go.
    pub(in crate::sandbox) fn take_back(
        &mut self,
        order: usize,
        wanted: &[(usize, i64)],
        restock: bool,
    ) -> Result<Vec<Moved>, String> {
        let own = self.orders.get_mut(order).ok_or("no such order")?;
        let mut moves = Vec::new();
        for (sku, units) in wanted.iter().copied() {
            let listings = &self.listings;
            let free = |line: &Line| {
                listings[line.listing].sku == sku && line.shipped - line.returned >= units && units > 0
            };
            let line =
                own.lines.iter_mut().find(|line| free(line)).ok_or("not that many units were shipped")?;
            line.returned += units;
            if restock {
                moves.push(Moved { sku, place: 0, quantity: units, what: Move::Returned });
            }
        }
        Ok(moves)
    }

    /// (SKU, units) that shipped from the merchant and did not come back.
    pub(in crate::sandbox) fn returnable(&self, order: usize) -> Vec<(usize, i64)> {
        let own = &self.orders[order];
        let lines = own.lines.iter().filter(|_| !own.by_amazon);
        lines
            .map(|line| (self.listings[line.listing].sku, line.shipped - line.returned))
            .filter(|(_, units)| *units > 0)
            .collect()
    }

    /// The SKU of the first line with open units.
    pub(in crate::sandbox) fn first_open(&self, order: usize) -> Option<usize> {
        let open = self.orders[order].lines.iter().find(|line| line.open() > 0)?;
        Some(self.listings[open.listing].sku)
    }

    /// The SKUs of its lines with open units.
    pub(in crate::sandbox) fn open_items(&self, order: usize) -> Vec<usize> {
        let open = self.orders[order].lines.iter().filter(|line| line.open() > 0);
        open.map(|line| self.listings[line.listing].sku).collect()
    }

    pub(in crate::sandbox) fn is_open(&self, order: usize) -> bool {
        self.orders[order].lines.iter().any(|line| line.open() > 0)
    }

    pub(in crate::sandbox) fn is_pending(&self, order: usize) -> bool {
        self.orders[order].pending
    }

    pub(in crate::sandbox) fn order_id(&self, order: usize) -> &str {
        &self.orders[order].id
    }

    pub(in crate::sandbox) fn find_order(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    fn touch(&mut self, order: usize, change: Change, now_ms: i64) {
        let own = &mut self.orders[order];
        self.by_update.remove(&(own.updated_ms, order));
        own.updated_ms = now_ms;
        if !own.hidden {
            self.by_update.insert((now_ms, order));
            self.notify(order, change, now_ms);
        }
    }

    /// The listings of an order that Amazon ships.
    pub(super) fn fba_listings(&self, order: usize) -> Vec<usize> {
        let own = &self.orders[order];
        own.lines.iter().filter(|_| own.by_amazon).map(|line| line.listing).collect()
    }

    /// The payload of a notification about an order, with the words of the older Orders API.
    pub(super) fn order_change(&self, order: usize, change: Change, now_ms: i64) -> Value {
        let own = &self.orders[order];
        let status = match own.status() {
            "PENDING" => "Pending",
            "UNSHIPPED" => "Unshipped",
            "PARTIALLY_SHIPPED" => "PartiallyShipped",
            "SHIPPED" => "Shipped",
            _ => "Canceled",
        };
        let (kind, reason) = match change {
            Change::Status => ("OrderStatusChange", "Order status changed"),
            Change::Buyer => ("BuyerRequestedChange", "Buyer Requested Cancel"),
        };
        let items: Vec<Value> = own.lines.iter().map(|line| self.order_change_item(own, line)).collect();
        let sum = |units: fn(&Line) -> i64| own.lines.iter().map(units).sum::<i64>();
        json!({"OrderChangeNotification": {
            "NotificationLevel": "OrderLevel",
            "SellerId": self.seller,
            "AmazonOrderId": own.id,
            "OrderChangeType": kind,
            "OrderChangeTrigger": {"TimeOfOrderChange": iso_millis(now_ms), "ChangeReason": reason},
            "Summary": {
                "MarketplaceId": self.marketplace,
                "OrderStatus": status,
                "PurchaseDate": iso_millis(own.created_ms),
                "DestinationPostalCode": null,
                "FulfillmentType": if own.by_amazon { "AFN" } else { "MFN" },
                "OrderType": "StandardOrder",
                "NumberOfItemsShipped": sum(|line| line.shipped),
                "NumberOfItemsUnshipped": sum(Line::open),
                "OrderItems": items,
            },
        }})
    }

    fn order_change_item(&self, own: &Order, line: &Line) -> Value {
        let zeroed = own.zeroed && own.status() == "CANCELLED";
        json!({
            "OrderItemId": line.id,
            "SellerSKU": self.listings[line.listing].seller_sku,
            "SupplySourceId": null,
            "Quantity": if zeroed { 0 } else { line.ordered },
            "QuantityShipped": line.shipped,
            "IsBuyerRequestedCancel": own.cancelled_by.is_some_and(|(by, _)| by == "BUYER"),
        })
    }

    fn order_json(&self, order: usize, included: &[String]) -> Value {
        let own = &self.orders[order];
        let asked = |name: &str| included.iter().any(|own| own == name);
        let items: Vec<Value> = own.lines.iter().map(|line| self.line_json(own, line, included)).collect();
        let mut json = json!({
            "orderId": own.id,
            "createdTime": iso_millis(own.created_ms),
            "lastUpdatedTime": iso_millis(own.updated_ms),
            "programs": [],
            "associatedOrders": [],
            "salesChannel": {
                "channelName": "AMAZON",
                "marketplaceId": self.marketplace,
                "marketplaceName": "Amazon.com",
            },
            "orderItems": items,
        });
        if asked("FULFILLMENT") {
            json["fulfillment"] = json!({
                "fulfillmentStatus": own.status(),
                "fulfilledBy": if own.by_amazon { "AMAZON" } else { "MERCHANT" },
                "fulfillmentServiceLevel": "STANDARD",
            });
        }
        json
    }

    fn line_json(&self, own: &Order, line: &Line, included: &[String]) -> Value {
        let asked = |name: &str| included.iter().any(|own| own == name);
        let listing = &self.listings[line.listing];
        let ordered = if own.status() == "CANCELLED" && own.zeroed { 0 } else { line.ordered };
        let cents = listing.price_cents;
        let mut json = json!({
            "orderItemId": line.id,
            "quantityOrdered": ordered,
            "product": {
                "asin": listing.asin,
                "title": listing.title,
                "sellerSku": listing.seller_sku,
                "condition": {"conditionType": "NEW", "conditionSubtype": "NEW"},
            },
        });
        if !own.pending {
            let amount = format!("{}.{:02}", cents / 100, cents % 100);
            json["product"]["price"] = json!({"unitPrice": {"amount": amount, "currencyCode": "USD"}});
        }
        if asked("FULFILLMENT") {
            json["fulfillment"] =
                json!({"quantityFulfilled": line.shipped, "quantityUnfulfilled": line.open()});
        }
        if let (true, Some((by, why))) =
            (asked("CANCELLATION"), own.cancelled_by.filter(|_| line.cancelled > 0))
        {
            json["cancellation"] = json!({"cancellationExecution": {"cancelledBy": by, "cancelReason": why}});
        }
        json
    }
}

/// What a page's token remembers.
#[derive(Serialize, Deserialize)]
struct PageToken {
    /// The request it belongs to, without the token.
    asked: String,
    upper_ms: i64,
    after: (i64, usize),
    ends_ms: i64,
}

/// `getOrder`.
pub(super) fn get(world: &World, id: &str, params: &Params) -> Result<Value, Failure> {
    let included = included_data(params)?;
    let shop = &world.amazon;
    match shop.by_id.get(id).filter(|order| !shop.orders[**order].hidden) {
        Some(order) => Ok(json!({"order": shop.order_json(*order, &included)})),
        None => Err(Failure::not_found(&format!("Order {id} not found"))),
    }
}

/// `searchOrders`: by creation or by update, up to the feed's own lag.
pub(super) fn search(world: &World, params: &Params, lag_ms: i64, now_ms: i64) -> Result<Value, Failure> {
    let included = included_data(params)?;
    let by_update = match (params.get("createdAfter"), params.get("lastUpdatedAfter")) {
        (Some(_), None) => false,
        (None, Some(_)) => true,
        (_, _) => {
            return Err(Failure::invalid("exactly one of createdAfter and lastUpdatedAfter must be given"));
        }
    };
    let (after, before, wrong_before) = if by_update {
        ("lastUpdatedAfter", "lastUpdatedBefore", "createdBefore")
    } else {
        ("createdAfter", "createdBefore", "lastUpdatedBefore")
    };
    if params.get(wrong_before).is_some() {
        return Err(Failure::invalid(&format!("{wrong_before} cannot be combined with {after}")));
    }
    let from_ms = params.time(after)?.unwrap_or(0);
    let newest_ms = now_ms - lag_ms;
    let asked = params.without("paginationToken");
    let token = params.get("paginationToken").map(|token| read_token(token, &asked, now_ms)).transpose()?;
    let upper_ms = match (&token, params.time(before)?) {
        (Some(token), _) => token.upper_ms,
        (None, Some(upper)) if upper > newest_ms || upper < from_ms => {
            let message = format!("{before} must be after {after} and at least two minutes in the past");
            return Err(Failure::invalid(&message));
        }
        (None, Some(upper)) => upper,
        (None, None) => newest_ms,
    };
    let size = match params.get("maxResultsPerPage").map(str::parse::<usize>) {
        None => PAGE_MAX,
        Some(Ok(size)) if (1..=PAGE_MAX).contains(&size) => size,
        Some(_) => return Err(Failure::invalid("maxResultsPerPage must be between 1 and 100")),
    };
    let shop = &world.amazon;
    let start = token.map_or((from_ms, 0), |token| (token.after.0, token.after.1 + 1));
    let mut found =
        places(shop, by_update, start, upper_ms).filter(|(_, order)| wanted(shop, *order, params));
    let page: Vec<(i64, usize)> = found.by_ref().take(size).collect();
    let mut answer = json!({
        "orders": page.iter().map(|(_, order)| shop.order_json(*order, &included)).collect::<Vec<_>>(),
    });
    answer[before] = json!(iso_millis(upper_ms));
    if let (Some(last), Some(_)) = (page.last(), found.next()) {
        let token = PageToken { asked, upper_ms, after: *last, ends_ms: now_ms + TOKEN_LIFE_MS };
        answer["pagination"] = json!({"nextToken": URL_SAFE_NO_PAD.encode(json!(token).to_string())});
    }
    Ok(answer)
}

/// (time, order) from `start` on, in order of time.
fn places<'s>(
    shop: &'s Store,
    by_update: bool,
    start: (i64, usize),
    upper_ms: i64,
) -> Box<dyn Iterator<Item = (i64, usize)> + 's> {
    if by_update {
        return Box::new(shop.by_update.range(start..).copied().take_while(move |(ms, _)| *ms <= upper_ms));
    }
    let all =
        shop.orders.iter().enumerate().filter(|(_, own)| !own.hidden).map(|(n, own)| (own.created_ms, n));
    Box::new(all.filter(move |place| *place >= start && place.0 <= upper_ms))
}

fn wanted(shop: &Store, order: usize, params: &Params) -> bool {
    let own = &shop.orders[order];
    let statuses = params.csv("fulfillmentStatuses");
    let marketplaces = params.csv("marketplaceIds");
    let by = params.csv("fulfilledBy");
    let fulfilled_by = if own.by_amazon { "AMAZON" } else { "MERCHANT" };
    (statuses.is_empty() || statuses.iter().any(|status| status == own.status()))
        && (marketplaces.is_empty() || marketplaces.contains(&shop.marketplace))
        && (by.is_empty() || by.iter().any(|by| by == fulfilled_by))
}

fn included_data(params: &Params) -> Result<Vec<String>, Failure> {
    let included = params.csv("includedData");
    if included.iter().any(|name| !DATASETS.contains(&name.as_str())) {
        return Err(Failure::invalid("includedData has an unknown value"));
    }
    if included.iter().any(|name| PERSONAL.contains(&name.as_str())) {
        return Err(Failure::denied(""));
    }
    Ok(included)
}

fn read_token(token: &str, asked: &str, now_ms: i64) -> Result<PageToken, Failure> {
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap_or_default();
    match serde_json::from_slice::<PageToken>(&bytes) {
        Ok(token) if token.asked == asked && token.ends_ms > now_ms => Ok(token),
        Ok(_) | Err(_) => Err(Failure::invalid("paginationToken is expired, or belongs to another request")),
    }
}

impl Params {
    fn time(&self, name: &str) -> Result<Option<i64>, Failure> {
        self.get(name)
            .map(|text| parse_iso(text).ok_or_else(|| Failure::invalid(&format!("{name} is not a time"))))
            .transpose()
    }
}
