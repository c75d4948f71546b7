//! What is asked of Tryton, as it is written on the wire. Pure.

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::{
    connectors::tryton::{
        books::{Kind, Name},
        plan::Call,
    },
    model::Timestamp,
};

/// The fields that [`crate::connectors::tryton::decode::sales`] reads.
pub(super) const SALE_FIELDS: &[&str] = &[
    "reference",
    "warehouse",
    "state",
    "shipment_state",
    "lines.product",
    "lines.quantity",
    "lines.moves.state",
    "lines.moves.quantity",
    "lines.moves.shipment",
    "lines.moves_ignored",
    "lines.moves_recreated",
    "shipments.state",
    "shipments.warehouse_storage",
    "shipments.warehouse_output",
    "shipments.outgoing_moves.state",
    "shipments.inventory_moves.state",
    "shipments.inventory_moves.quantity",
    "shipments.inventory_moves.origin",
    "shipment_returns.state",
];

/// The fields that [`crate::connectors::tryton::decode::internals`] reads.
pub(super) const INTERNAL_FIELDS: &[&str] =
    &["reference", "from_location", "to_location", "state", "moves.quantity", "moves.product"];

/// Records in one page of a list.
pub(super) const PAGE: usize = 500;

/// A list read: a model, what of it, and which fields.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Search {
    pub model: &'static str,
    pub domain: Value,
    pub fields: &'static [&'static str],
}

impl Search {
    /// Returns the query string's pairs. Lists are in order of id; a further page begins after the last id.
    pub(super) fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![
            ("d", packed(&self.domain)),
            ("o", packed(&json!([["id", "ASC"]]))),
            ("s", PAGE.to_string()),
        ];
        query.extend(self.fields.iter().map(|field| ("f", (*field).to_owned())));
        query
    }
}

/// Returns JSON as Tryton wants it in queries and headers: base64 in the URL's alphabet, padded.
pub(super) fn packed(json: &Value) -> String {
    URL_SAFE.encode(json.to_string())
}

/// The documents whose reference begins with `reference` and a slash. `model` has a field `reference`.
pub(super) fn documents(model: &'static str, fields: &'static [&'static str], reference: &str) -> Search {
    let mut like = String::with_capacity(reference.len() + 2);
    for c in reference.chars() {
        if matches!(c, '%' | '_' | '\\') {
            like.push('\\');
        }
        like.push(c);
    }
    like.push_str("/%");
    Search { model, domain: json!([["reference", "like", like]]), fields }
}

/// Open moves that take the products out of the location: sold or promised, not gone.
pub(super) fn leaving(location: i64, products: Value, after: i64) -> Search {
    Search {
        model: "stock.move",
        domain: json!([
            ["state", "in", ["staging", "draft", "assigned"]],
            ["from_location", "child_of", [location], "parent"],
            ["to_location", "not child_of", [location], "parent"],
            products,
            ["id", ">", after]
        ]),
        fields: &["product", "internal_quantity"],
    }
}

/// Moves made or written since. Moves that are only planned count where what is planned is counted.
pub(super) fn changed(since: Timestamp, planned_too: bool, after: i64) -> Search {
    let since = datetime(since);
    let touched = json!(["OR", ["write_date", ">=", since], ["create_date", ">=", since]]);
    let mut domain = vec![touched, json!(["id", ">", after])];
    if !planned_too {
        domain.push(json!(["state", "in", ["done", "cancelled"]]));
    }
    Search { model: "stock.move", domain: Value::Array(domain), fields: &["product.code"] }
}

/// Returns a point in time as Tryton writes it: UTC, in parts.
pub(super) fn datetime(at: Timestamp) -> Value {
    let at = jiff::Timestamp::from_millisecond(at.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let at = at.to_zoned(TimeZone::UTC);
    json!({
        "__class__": "datetime",
        "year": at.year(),
        "month": at.month(),
        "day": at.day(),
        "hour": at.hour(),
        "minute": at.minute(),
        "second": at.second(),
        "microsecond": i32::from(at.millisecond()) * 1000,
    })
}

/// Where an order's documents are made, by Tryton's record ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub company: i64,
    pub currency: i64,
    pub warehouse: i64,
    /// Where the warehouse keeps its stock; write-offs are taken from there, and brought back to it.
    pub storage: i64,
    pub lost_found: i64,
    pub customer: i64,
    pub address: i64,
}

/// What a document's line needs to know of its product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Product {
    pub id: i64,
    pub code: Option<String>,
    /// The unit that quantities are in.
    pub unit: i64,
    /// Tryton's own sale price, as a decimal number.
    pub price: String,
}

/// One request, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Request {
    pub method: reqwest::Method,
    /// Below `rest/model/`.
    pub path: Vec<String>,
    pub body: Value,
}

/// Writes a call as a request. `product` knows every product of the call.
pub(super) fn request<'a>(
    call: &Call,
    place: &Place,
    reference: &str,
    product: impl Fn(i64) -> &'a Product,
) -> Request {
    let post = |path: Vec<String>, body| Request { method: reqwest::Method::POST, path, body };
    let put = |model: &str, id: i64, body| Request {
        method: reqwest::Method::PUT,
        path: vec![model.to_owned(), id.to_string()],
        body,
    };
    match call {
        Call::CreateSale { name, origin, lines } => {
            let body = sale(place, &name.under(reference), *origin, lines, product);
            post(vec!["sale.sale".to_owned()], body)
        }
        Call::CreateInternal { name, lines } => {
            let body = internal(place, name, reference, lines, product);
            post(vec!["stock.shipment.internal".to_owned()], body)
        }
        Call::Press(on, id, button) => {
            post(vec![on.model().to_owned(), id.to_string(), button.name().to_owned()], json!({}))
        }
        Call::Assign(id) => {
            post(vec!["stock.shipment.out".to_owned(), id.to_string(), "assign_try".to_owned()], json!({}))
        }
        Call::Resize { id, quantity } => put("stock.move", *id, json!({ "quantity": *quantity as f64 })),
        Call::Ignore { line, moves } => put("sale.line", *line, json!({ "moves_ignored": [["add", moves]] })),
        Call::Recreate { line, moves } => {
            put("sale.line", *line, json!({ "moves_recreated": [["add", moves]] }))
        }
    }
}

fn sale<'a>(
    place: &Place,
    reference: &str,
    origin: Option<i64>,
    lines: &[(i64, i64)],
    product: impl Fn(i64) -> &'a Product,
) -> Value {
    let lines: Vec<Value> = lines
        .iter()
        .map(|(id, units)| (product(*id), units))
        .map(|(product, units)| {
            json!({
                "type": "line",
                "product": product.id,
                "quantity": *units as f64,
                "unit": product.unit,
                "unit_price": { "__class__": "Decimal", "decimal": product.price },
            })
        })
        .collect();
    let mut sale = json!({
        "company": place.company,
        "currency": place.currency,
        "warehouse": place.warehouse,
        "party": place.customer,
        "invoice_address": place.address,
        "shipment_address": place.address,
        "reference": reference,
        "invoice_method": "manual",
        "shipment_method": "order",
        "lines": [["create", lines]],
    });
    if let Some(origin) = origin {
        sale["origin"] = json!(format!("sale.sale,{origin}"));
    }
    sale
}

fn internal<'a>(
    place: &Place,
    name: &Name,
    reference: &str,
    lines: &[(i64, i64)],
    product: impl Fn(i64) -> &'a Product,
) -> Value {
    let (from, to) = match name.kind {
        Kind::Found => (place.lost_found, place.storage),
        Kind::Sale | Kind::Return | Kind::Undo | Kind::WriteOff | Kind::Gone => {
            (place.storage, place.lost_found)
        }
    };
    let moves: Vec<Value> = lines
        .iter()
        .map(|(id, units)| (product(*id), units))
        .map(|(product, units)| {
            json!({
                "product": product.id,
                "quantity": *units as f64,
                "unit": product.unit,
                "from_location": from,
                "to_location": to,
                "company": place.company,
            })
        })
        .collect();
    json!({
        "company": place.company,
        "reference": name.under(reference),
        "from_location": from,
        "to_location": to,
        "moves": [["create", moves]],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::tryton::plan::{Button, On};

    #[test]
    fn a_reference_is_searched_for_literally() {
        #[track_caller]
        fn check(reference: &str, like: &str) {
            let search = documents("sale.sale", SALE_FIELDS, reference);
            assert_eq!(search.domain, json!([["reference", "like", like]]));
        }
        check("evk:shop:1001", "evk:shop:1001/%");
        check("evk:a_b:50%\\x", "evk:a\\_b:50\\%\\\\x/%");
        check("evk:größe/1 2", "evk:größe/1 2/%");
    }

    #[test]
    fn a_query_is_packed_for_urls() {
        let search = Search { model: "m", domain: json!([["code", "=", "a?>~"]]), fields: &["code", "id"] };
        let query = search.query();
        assert_eq!(query[0], ("d", "W1siY29kZSIsIj0iLCJhPz5-Il1d".to_owned()));
        assert_eq!(query[1], ("o", "W1siaWQiLCJBU0MiXV0=".to_owned()));
        assert_eq!(query[2..], [("s", "500".to_owned()), ("f", "code".to_owned()), ("f", "id".to_owned())]);
    }

    #[test]
    fn a_time_is_utc_in_parts() {
        let want = json!({"__class__": "datetime", "year": 2026, "month": 11, "day": 23, "hour": 15,
            "minute": 7, "second": 46, "microsecond": 381000});
        assert_eq!(datetime(Timestamp::from_millis(1_795_446_466_381)), want);
    }

    const PLACE: Place =
        Place { company: 1, currency: 1, warehouse: 5, storage: 3, lost_found: 4, customer: 2, address: 6 };

    #[track_caller]
    fn check(call: &Call, method: &str, path: &str, body: Value) {
        let tee = Product { id: 7, code: None, unit: 1, price: "10.00".to_owned() };
        let got = request(call, &PLACE, "evk:shop:1", |_| &tee);
        assert_eq!((got.method.as_str(), got.path.join("/").as_str(), got.body), (method, path, body));
    }

    #[test]
    fn a_sale_carries_its_reference_and_a_return_its_sale() {
        let lines = |quantity: f64| {
            json!([["create", [{"type": "line", "product": 7, "quantity": quantity, "unit": 1,
                "unit_price": {"__class__": "Decimal", "decimal": "10.00"}}]]])
        };
        let mut want = json!({"company": 1, "currency": 1, "warehouse": 5, "party": 2, "invoice_address": 6,
            "shipment_address": 6, "reference": "evk:shop:1/s3", "invoice_method": "manual",
            "shipment_method": "order", "lines": lines(5.0)});
        let name = Name { kind: Kind::Sale, sequence: 3 };
        let call = Call::CreateSale { name, origin: None, lines: vec![(7, 5)] };
        check(&call, "POST", "sale.sale", want.clone());

        want["reference"] = json!("evk:shop:1/r4");
        want["origin"] = json!("sale.sale,9");
        want["lines"] = lines(-2.0);
        let name = Name { kind: Kind::Return, sequence: 4 };
        let call = Call::CreateSale { name, origin: Some(9), lines: vec![(7, -2)] };
        check(&call, "POST", "sale.sale", want);
    }

    #[test]
    fn a_write_off_moves_from_storage_to_lost_and_found_and_what_is_found_again_moves_back() {
        #[track_caller]
        fn moves(kind: Kind, reference: &str, [from, to]: [i64; 2]) {
            let want = json!({"company": 1, "reference": reference, "from_location": from, "to_location": to,
                "moves": [["create", [{"product": 7, "quantity": 1.0, "unit": 1, "from_location": from,
                    "to_location": to, "company": 1}]]]});
            let name = Name { kind, sequence: 2 };
            let call = Call::CreateInternal { name, lines: vec![(7, 1)] };
            check(&call, "POST", "stock.shipment.internal", want);
        }
        moves(Kind::WriteOff, "evk:shop:1/w2", [3, 4]);
        moves(Kind::Gone, "evk:shop:1/g2", [3, 4]);
        moves(Kind::Found, "evk:shop:1/f2", [4, 3]);
    }

    #[test]
    fn the_other_calls_are_buttons_and_small_writes() {
        check(&Call::Press(On::Sale, 4, Button::Confirm), "POST", "sale.sale/4/confirm", json!({}));
        check(
            &Call::Press(On::Receipt, 2, Button::Receive),
            "POST",
            "stock.shipment.out.return/2/receive",
            json!({}),
        );
        check(&Call::Assign(8), "POST", "stock.shipment.out/8/assign_try", json!({}));
        check(&Call::Resize { id: 3, quantity: 2 }, "PUT", "stock.move/3", json!({"quantity": 2.0}));
        check(
            &Call::Ignore { line: 1, moves: vec![27, 28] },
            "PUT",
            "sale.line/1",
            json!({"moves_ignored": [["add", [27, 28]]]}),
        );
        check(
            &Call::Recreate { line: 1, moves: vec![27] },
            "PUT",
            "sale.line/1",
            json!({"moves_recreated": [["add", [27]]]}),
        );
    }
}
