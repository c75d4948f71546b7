use std::collections::{BTreeMap, BTreeSet};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::Url;

use super::*;
use crate::connectors::amazon::testing::{options, spec};

const BASE: &str = "https://sellingpartnerapi-eu.amazon.com";

/// A SKU and its path segment.
#[track_caller]
fn check_segment(sku: &str, want: &str) {
    let request = get_listing(&options(BASE), sku).expect("it fits a path");
    let path = format!("/listings/2021-08-01/items/A1SELLER/{want}");
    let url = Url::parse(BASE).and_then(|base| base.join(&request.path)).expect("a URL");
    assert_eq!(url.path(), path, "the path as it is sent");
    let last = url.path().rsplit('/').next().expect("there is a last one");
    assert_eq!(percent_decode_str(last).decode_utf8().expect("UTF-8"), sku, "what Amazon reads");
}

#[test]
fn a_sku_is_percent_encoded_as_one_segment() {
    check_segment("TSHIRT-BL_M.1~", "TSHIRT-BL_M.1~");
    check_segment("A B/1", "A%20B%2F1");
    check_segment("a+b", "a%2Bb");
    check_segment("a|b", "a%7Cb");
    check_segment("größe", "gr%C3%B6%C3%9Fe");
    check_segment("日本", "%E6%97%A5%E6%9C%AC");
    check_segment("100%", "100%25");
    check_segment("%2F", "%252F");
    check_segment("../x", "..%2Fx");
    check_segment("a,b;c?d#e&f=g'h\"i\\j", "a%2Cb%3Bc%3Fd%23e%26f%3Dg%27h%22i%5Cj");
}

#[test]
fn a_step_within_the_path_is_refused() {
    for sku in ["", ".", ".."] {
        assert_eq!(get_listing(&options(BASE), sku), Err(NoPath(sku.to_owned())));
        assert!(patch_quantity(&options(BASE), sku, "X", Quantity::ZERO).is_err());
    }
}

#[test]
fn a_patch_merges_the_merchants_quantity_and_nothing_else() {
    let request = patch_quantity(&options(BASE), "A/1", "ATVPDKIKX0DER", Quantity::new(10)).expect("encodes");
    assert_eq!(
        request.path,
        "listings/2021-08-01/items/A1SELLER/A%2F1?marketplaceIds=ATVPDKIKX0DER&issueLocale=en_US"
    );
    let body: Value = serde_json::from_slice(&request.body.expect("a body")).expect("JSON");
    assert_eq!(
        body,
        json!({"productType": "PRODUCT", "patches": [{
            "op": "merge",
            "path": "/attributes/fulfillment_availability",
            "value": [{"fulfillment_channel_code": "DEFAULT", "quantity": 10}],
        }]})
    );
}

#[test]
fn a_dry_run_names_no_quantity() {
    let request = patch_preview(&options(BASE), "A", "ATVPDKIKX0DER").expect("encodes");
    assert!(request.path.ends_with("&mode=VALIDATION_PREVIEW"), "{}", request.path);
    let body = request.body.expect("a body");
    assert!(!String::from_utf8_lossy(&body).contains("quantity"));
}

#[test]
fn values_of_a_list_are_joined_with_commas() {
    let mut options = options(BASE);
    options.marketplace_ids = vec!["A1".to_owned(), "B2".to_owned()];
    let path = search_skus(&options, &["A B", "C/+"]).path;
    assert!(path.contains("marketplaceIds=A1,B2&"), "{path}");
    assert!(path.contains("identifiers=A%20B,C%2F%2B&"), "{path}");
    assert!(!fits_list("a,b"));
}

#[test]
fn a_later_page_of_orders_repeats_every_parameter() {
    let since = Timestamp::from_millis(1_735_093_800_123);
    for (by, after) in [(By::Change, "lastUpdatedAfter"), (By::Placement, "createdAfter")] {
        let first = search_orders(&options(BASE), by, since, 100, None).path;
        let want = format!(
            "orders/2026-01-01/orders?{after}=2024-12-25T02%3A30%3A00.123Z&marketplaceIds=ATVPDKIKX0DER\
             &includedData=FULFILLMENT,CANCELLATION&maxResultsPerPage=100"
        );
        assert_eq!(first, want);
        let later = search_orders(&options(BASE), by, since, 100, Some("a+b=")).path;
        assert_eq!(later, format!("{first}&paginationToken=a%2Bb%3D"));
    }
}

#[test]
fn any_time_can_be_asked_for() {
    for millis in [i64::MIN, -1, 0, i64::MAX] {
        let path = search_orders(&options(BASE), By::Change, Timestamp::from_millis(millis), 1, None).path;
        assert!(path.contains("lastUpdatedAfter="), "{path}");
    }
}

#[test]
fn the_user_agent_is_escaped_part_by_part() {
    let agent = |name: &str| user_agent(name).map(|text| text.replace(env!("CARGO_PKG_VERSION"), "V"));
    let rust = concat!("V (Language=Rust/", env!("CARGO_PKG_RUST_VERSION"), ")");
    assert_eq!(agent("evenkeel"), Ok(format!("evenkeel/{rust}")));
    assert_eq!(agent("My Tool (a/b)\\"), Ok(format!("My Tool (a\\/b)\\\\/{rust}")));
    assert!(user_agent("").is_err());
    assert!(user_agent("größe").is_err());
    assert!(user_agent(&"x".repeat(480)).is_err());
    assert_eq!(escaped("1;2)=", &[';', ')']), "1\\;2\\)=");
}

#[test]
fn every_request_conforms_to_the_published_models() {
    let (Some(listings), Some(orders)) =
        (spec("models/listingsItems_2021-08-01.json"), spec("models/orders_2026-01-01.json"))
    else {
        return;
    };
    let mut options = options(BASE);
    options.marketplace_ids = vec!["ATVPDKIKX0DER".to_owned(), "A2EUQ1WTGCTBG2".to_owned()];
    let item = "/listings/2021-08-01/items/{sellerId}/{sku}";
    let items = "/listings/2021-08-01/items/{sellerId}";
    let twenty: Vec<String> = (0..PAGE_MAX).map(|n| format!("SKU {n}/x")).collect();
    let twenty: Vec<&str> = twenty.iter().map(String::as_str).collect();
    let order = OrderId::new("250-1234567-8901234").expect("an id");
    let now = Timestamp::from_millis(1_735_093_800_123);
    let patch = patch_quantity(&options, "A B/1", "ATVPDKIKX0DER", Quantity::new(3)).expect("encodes");
    conforms(&listings, item, &patch);
    conforms(&listings, item, &patch_preview(&options, "A", "ATVPDKIKX0DER").expect("encodes"));
    conforms(&listings, item, &get_listing(&options, "A B/1").expect("encodes"));
    conforms(&listings, items, &search_skus(&options, &twenty));
    conforms(&listings, items, &search_all(&options, Some("2021-02-01T00:00:00Z"), Some("token")));
    for by in [By::Change, By::Placement] {
        let search = search_orders(&options, by, now, 100, Some("token"));
        conforms(&orders, "/orders/2026-01-01/orders", &search);
    }
    conforms(&orders, "/orders/2026-01-01/orders/{orderId}", &get_order(&order).expect("encodes"));
    let asins: Vec<String> = (0..PAGE_MAX).map(|n| format!("B0{n:08}")).collect();
    conforms(&listings, items, &search_asins(&options, &asins, Some("token")));
    let Some(model) = spec("models/reports_2021-06-30.json") else { return };
    let reports_of = "/reports/2021-06-30/reports";
    conforms(&model, reports_of, &reports(now));
    conforms(&model, reports_of, &create_report("ATVPDKIKX0DER"));
    conforms(&model, "/reports/2021-06-30/reports/{reportId}", &report("ID323").expect("encodes"));
    let document = report_document("0356cf79-b8b0-4226-b4b9-0ee058ea5760").expect("encodes");
    conforms(&model, "/reports/2021-06-30/documents/{reportDocumentId}", &document);
}

/// Checks a request against the operation that a model declares: path, query and body.
#[track_caller]
fn conforms(model: &Value, template: &str, request: &Request) {
    let operation = &model["paths"][template][request.method.as_str().to_lowercase()];
    assert!(operation.is_object(), "{template} is declared");
    let url = Url::parse(BASE).and_then(|base| base.join(&request.path)).expect("a URL");
    assert_eq!(url.path().split('/').count(), template.split('/').count(), "{}", url.path());
    let sent: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let declared: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
    let query = declared.iter().filter(|p| p["in"] == "query");
    let names: BTreeSet<&str> = query.clone().filter_map(|p| p["name"].as_str()).collect();
    for name in sent.keys() {
        assert!(names.contains(name.as_str()), "`{name}` is a parameter of {template}");
    }
    for parameter in query {
        let name = parameter["name"].as_str().expect("named");
        match sent.get(name) {
            Some(value) => value_conforms(parameter, value),
            None => assert_ne!(parameter["required"], json!(true), "`{name}` is required"),
        }
    }
    let body = declared.iter().find(|p| p["in"] == "body");
    match (body, &request.body) {
        (Some(parameter), Some(body)) => {
            let mut schema = parameter["schema"].clone();
            schema["definitions"] = model["definitions"].clone();
            let validator = jsonschema::validator_for(&schema).expect("the model is a schema");
            let body = serde_json::from_slice(body).expect("JSON");
            assert!(validator.is_valid(&body), "{:?}", validator.iter_errors(&body).collect::<Vec<_>>());
            assert!(!validator.is_valid(&json!({"patches": []})), "the schema can refuse");
        }
        (None, None) => {}
        _ => panic!("{template}: a body is sent if and only if one is declared"),
    }
}

#[track_caller]
fn value_conforms(parameter: &Value, value: &str) {
    let parts: Vec<&str> =
        if parameter["type"] == "array" { value.split(',').collect() } else { vec![value] };
    if let Some(max) = parameter["maxItems"].as_u64() {
        assert!(parts.len() as u64 <= max, "{value}");
    }
    if parameter["type"] == "integer" {
        let number: u64 = value.parse().expect("an integer");
        assert!(parameter["maximum"].as_u64().is_none_or(|max| number <= max), "{value}");
    }
    let allowed = [&parameter["enum"], &parameter["items"]["enum"]].into_iter().find_map(Value::as_array);
    for part in parts {
        assert!(allowed.is_none_or(|all| all.iter().any(|v| v == part)), "`{part}` of {parameter}");
    }
}
