//! The table of connectors: how each is built, and how the system that it speaks to says things.
//!
//! An entry here is all that a new connector needs to be put through every case.

use std::{net::SocketAddr, num::NonZeroU32, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use evenkeel::{
    connectors::{
        Connector,
        amazon::{self, Amazon, Rates, Timing},
        http,
        limit::Rate,
        shopify::{self, Shopify, options as shop},
        tryton::{self, Tryton},
    },
    model::{IdKind, Identifiers, LocationId, Measure},
    sandbox::Addresses,
};
use jiff::{SignedDuration, fmt::rfc2822};
use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

use super::front::{Asked, Whole};

/// Where a connector finds its system.
pub(super) struct At {
    pub base: String,
    /// Where it gets its tokens, if that can be elsewhere.
    pub tokens: String,
    pub http: http::Options,
}

/// Why nothing is changed by so many units there.
const NO_DELTAS: &str = "it takes whole quantities, or none at all";

/// An entry of the table.
#[derive(Clone, Copy)]
pub(super) struct Subject {
    pub name: &'static str,
    pub build: fn(&At) -> Box<dyn Connector>,
    /// Where the sandbox serves its system.
    pub system: fn(&Addresses) -> SocketAddr,
    /// What the sandbox calls the channel, if it sells.
    pub channel: Option<&'static str>,
    /// Whether a request changes something.
    pub changes: fn(&Asked) -> bool,
    pub asks_token: fn(&Asked) -> bool,
    /// The header that carries the credentials.
    pub credentials: &'static str,
    /// How the system refuses credentials.
    pub refusal: (u16, &'static str),
    /// The entries of a page, where the answer is one.
    pub list: fn(&Asked, &mut Value) -> bool,
    pub entries: fn(&mut Value) -> Option<&mut Vec<Value>>,
    /// Makes a page say that there is another one, always by the same name.
    pub again: fn(&mut Value),
    /// The kind of a request: what its answer is like.
    pub kind: fn(&Asked) -> String,
    /// All that a request says.
    pub text: fn(&Asked) -> String,
    /// Makes the system another version than the pinned one, and what must be told of it.
    pub newer: (fn(&Asked, &mut Whole), &'static str),
    /// Sets the system's clock forward.
    pub ahead: fn(&mut Whole, SignedDuration),
    /// Gives the first entry of a page the largest id there is: how, which kind, and what it is.
    pub widen: (fn(&mut Value), IdKind, &'static str),
    /// Something that the system does not know.
    pub unknown: fn() -> Identifiers,
    /// What must be in no text.
    pub secrets: &'static [&'static str],
    /// Cases that make no sense for it, and why.
    pub excused: &'static [(&'static str, &'static str)],
}

impl Subject {
    pub(super) fn excuse(&self, case: &str) -> Option<&'static str> {
        self.excused.iter().find(|(name, _)| *name == case).map(|(_, why)| *why)
    }
}

fn place(name: &str) -> LocationId {
    LocationId::new(name).expect("a name")
}

fn base(at: &At) -> Url {
    http::base_url("base_url", &at.base).expect("this machine")
}

fn header<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn plain(asked: &Asked) -> String {
    format!("{} {}", asked.target, String::from_utf8_lossy(&asked.body))
}

/// Sets forward the clock that the header `Date` tells.
fn date_ahead(whole: &mut Whole, by: SignedDuration) {
    let date = whole.headers.get("date").and_then(|date| date.to_str().ok()).expect("a date");
    let date = rfc2822::DateTimeParser::new().parse_timestamp(date).expect("a time") + by;
    let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).expect("a date");
    whole.headers.insert("date", date.parse().expect("a header"));
}

pub(super) fn shopify() -> Subject {
    fn key(body: &Value) -> Option<&'static str> {
        ["orders", "inventoryItems"].into_iter().find(|key| body["data"][*key]["nodes"].is_array())
    }
    Subject {
        name: "shopify",
        build: |at| {
            let locations =
                vec![shop::Location { id: place("main"), number: 106_318_430_514, stocks: false }];
            let options = shopify::Options {
                shop: "evenkeel-sandbox.myshopify.com".to_owned(),
                base_url: base(at),
                api_version: shop::API_VERSION.to_owned(),
                access: shop::Access::Client {
                    id: "sandbox-client".to_owned(),
                    secret: SecretString::from("sandbox-secret"),
                },
                webhook_secrets: Vec::new(),
                hooks: None,
                locations: shop::Locations::new(locations).expect("one"),
                bulk_above: shop::BULK_ABOVE,
                http: at.http,
            };
            Box::new(Shopify::new(options).expect("good options"))
        },
        system: |at| at.shopify,
        channel: Some("shopify"),
        changes: |asked| plain(asked).contains("mutation"),
        asks_token: |asked| asked.target.ends_with("/access_token"),
        credentials: "x-shopify-access-token",
        refusal: (401, r#"{"errors": "[API] Invalid API key or access token"}"#),
        list: |_, body| key(body).is_some(),
        entries: |body| {
            let key = key(body)?;
            body["data"][key]["nodes"].as_array_mut()
        },
        again: |body| {
            if let Some(key) = key(body) {
                body["data"][key]["pageInfo"] = json!({"hasNextPage": true, "endCursor": "again"});
            }
        },
        kind: |asked| {
            let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
            let query = body["query"].as_str().unwrap_or_default();
            query.split(['(', '{']).next().unwrap_or_default().to_owned()
        },
        text: plain,
        newer: (
            |_, whole| {
                whole.headers.insert("x-shopify-api-version", "2027-01".parse().expect("a header"));
            },
            "2027-01",
        ),
        ahead: date_ahead,
        widen: (
            |body| {
                body["data"]["inventoryItems"]["nodes"][0]["id"] =
                    json!("gid://shopify/InventoryItem/18446744073709551615")
            },
            IdKind::InventoryItem,
            "18446744073709551615",
        ),
        unknown: || Identifiers::new([(IdKind::InventoryItem, "404")]).expect("an id"),
        secrets: &["sandbox-secret", "shpat_"],
        excused: &[],
    }
}

pub(super) fn amazon() -> Subject {
    fn list(body: &Value) -> Option<&'static str> {
        ["/orders", "/items", "/payload/inventorySummaries"]
            .into_iter()
            .find(|path| body.pointer(path).is_some_and(Value::is_array))
    }
    Subject {
        name: "amazon",
        build: |at| Box::new(Amazon::new(amazon_options(at)).expect("good options")),
        system: |at| at.amazon,
        channel: Some("amazon"),
        changes: |asked| asked.method == "PATCH",
        asks_token: |asked| asked.target == "/auth/o2/token",
        credentials: "x-amz-access-token",
        refusal: (
            403,
            r#"{"errors": [{"code": "Unauthorized", "message": "Access to requested resource is denied.",
                "details": "The access token you provided has expired."}]}"#,
        ),
        list: |_, body| list(body).is_some(),
        entries: |body| body.pointer_mut(list(body)?)?.as_array_mut(),
        again: |body| {
            body["pagination"] = json!({"nextToken": "again"});
            body["numberOfResults"] = json!(900);
        },
        kind: |asked| asked.target.split('?').next().unwrap_or_default().to_owned(),
        text: plain,
        newer: (
            |_, whole| {
                let said = "Sun, 03 Jan 2027 00:00:00 GMT".parse().expect("a header");
                whole.headers.insert("sunset", said);
            },
            "Sun, 03 Jan 2027",
        ),
        ahead: |whole, by| {
            let Ok(mut body) = serde_json::from_slice::<Value>(&whole.body) else { return };
            for key in ["lastUpdatedBefore", "createdBefore"] {
                if let Some(at) = body[key].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok()) {
                    body[key] = json!((at + by).to_string());
                }
            }
            whole.body = body.to_string().into();
        },
        widen: (|_| {}, IdKind::Sku, ""),
        unknown: || Identifiers::new([(IdKind::Sku, "NO-SUCH")]).expect("an id"),
        secrets: &["amzn1.oa2-cs.v1.sandbox", "Atzr|sandbox", "Atza|"],
        excused: &[
            ("a_delta_is_done_whatever_is_shown", NO_DELTAS),
            ("a_delta_whose_answer_is_lost_is_done_once_and_sent_once", NO_DELTAS),
            ("a_delta_without_a_whole_answer_is_unknown_and_those_after_it_are_not_sent", NO_DELTAS),
            ("a_throttled_delta_was_not_done", NO_DELTAS),
            ("ids_of_64_bits_survive", "its ids are texts"),
            ("a_refused_compare_is_stale", "it compares nothing"),
        ],
    }
}

fn amazon_options(at: &At) -> amazon::Options {
    let rate = Rate { every: Duration::from_micros(1), burst: NonZeroU32::new(1_000).expect("not zero") };
    let rates = Rates {
        patch_listing: rate,
        get_listing: rate,
        search_listings: rate,
        search_orders: rate,
        get_order: rate,
        summaries: rate,
    };
    amazon::Options {
        base_url: Url::parse(&at.base).expect("a URL"),
        lwa_url: Url::parse(&format!("{}/auth/o2/token", at.tokens)).expect("a URL"),
        seller_id: "A2SANDBOXSELLER".to_owned(),
        marketplace_ids: vec!["ATVPDKIKX0DER".to_owned()],
        client_id: "amzn1.application-oa2-client.sandbox".to_owned(),
        client_secret: SecretString::from("amzn1.oa2-cs.v1.sandbox"),
        refresh_token: SecretString::from("Atzr|sandbox"),
        location: place("main"),
        own_location: Some(place("fba")),
        product_type: amazon::options::PRODUCT_TYPE.to_owned(),
        report_above: amazon::options::REPORT_ABOVE,
        feeds: false,
        application: amazon::options::APPLICATION.to_owned(),
        rates,
        timing: Timing::default(),
        secret_since: None,
        queue: None,
        http: at.http,
    }
}

pub(super) fn tryton() -> Subject {
    Subject {
        name: "tryton",
        build: |at| Box::new(Tryton::new("tryton", tryton_options(at)).expect("good options")),
        system: |at| at.erp,
        channel: None,
        changes: |asked| {
            asked.method != "GET" && !plain(asked).contains("get_preferences") && asked.target != "/rpc/"
        },
        asks_token: |_| false,
        credentials: "authorization",
        refusal: (401, "Unauthorized"),
        list: |asked, _| {
            // What is about to leave is summed up and told of nowhere.
            let summed = asked.target.contains("internal_quantity");
            let models = ["/product.product?", "/stock.move?"];
            asked.method == "GET" && !summed && models.iter().any(|model| asked.target.contains(model))
        },
        entries: Value::as_array_mut,
        again: |body| {
            let rows = body.as_array_mut().expect("rows");
            if let Some(last) = rows.last().cloned() {
                rows.resize(500, last);
            }
        },
        kind: |asked| {
            format!("{} {:?}", asked.target.split('?').next().unwrap_or_default(), query(asked, "f"))
        },
        text: |asked| {
            let domain = query(asked, "d").into_iter().next().unwrap_or_default();
            let domain = URL_SAFE.decode(domain).unwrap_or_default();
            format!("{} {}", plain(asked), String::from_utf8_lossy(&domain))
        },
        newer: (
            |asked, whole| {
                if asked.target == "/rpc/" {
                    whole.body = r#""9.0.1""#.into();
                }
            },
            "9.0.1",
        ),
        ahead: date_ahead,
        widen: (
            |body| {
                if let Some(last) = body.as_array_mut().and_then(|rows| rows.last_mut()) {
                    last["id"] = json!(i64::MAX);
                }
            },
            IdKind::Record,
            "9223372036854775807",
        ),
        unknown: || Identifiers::new([(IdKind::Sku, "NO-SUCH")]).expect("an id"),
        secrets: &["sandbox-erp-key"],
        excused: &[
            ("a_delta_is_done_whatever_is_shown", NO_DELTAS),
            ("a_delta_whose_answer_is_lost_is_done_once_and_sent_once", NO_DELTAS),
            ("a_delta_without_a_whole_answer_is_unknown_and_those_after_it_are_not_sent", NO_DELTAS),
            ("a_throttled_delta_was_not_done", NO_DELTAS),
            ("a_refused_compare_is_stale", "it takes no quantities"),
            ("an_ended_token_is_exchanged_once_in_the_middle_of_a_batch", "its key does not end"),
            ("a_token_that_is_refused_again_stops_the_lane", "its key does not end"),
            ("without_a_token_nothing_is_sent", "its key does not end"),
        ],
    }
}

fn tryton_options(at: &At) -> tryton::Options {
    tryton::Options {
        base_url: base(at),
        database: "sandbox".to_owned(),
        key: SecretString::from("sandbox-erp-key"),
        company: None,
        warehouses: vec![("WH".to_owned(), place("main"))],
        measure: Measure::Free,
        customer: "2".to_owned(),
        late: Duration::ZERO,
        http: at.http,
    }
}

/// Returns the values of a name in a request's query.
fn query(asked: &Asked, name: &str) -> Vec<String> {
    let url = Url::parse("http://system/").and_then(|url| url.join(&asked.target)).expect("a URL");
    url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
}

/// Returns the credentials that a request carries.
pub(super) fn credentials<'a>(subject: &Subject, asked: &'a Asked) -> &'a str {
    header(asked, subject.credentials)
}
