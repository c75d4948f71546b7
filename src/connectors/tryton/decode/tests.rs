//! Decoding of answers that a real Tryton gave (tests/data/tryton).

use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

use super::*;
use crate::connectors::tryton::books::{Books, Kind};

macro_rules! recorded {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tryton/", $name)).as_slice()
    };
}

const REFERENCE: &str = "evk-test:shop:1001";

fn answer(status: u16, body: &'static [u8]) -> Answer {
    Answer { status, headers: HeaderMap::new(), body: bytes::Bytes::from_static(body) }
}

#[test]
fn a_status_tells_whether_something_may_have_been_done() {
    #[track_caller]
    fn check(status: u16, body: &'static [u8], want: &str) {
        let got = success(&answer(status, body)).map(<[u8]>::len);
        assert_eq!(format!("{got:?}"), want);
    }
    check(200, b"{}", "Ok(2)");
    check(204, b"", "Ok(0)");
    check(
        400,
        recorded!("wrong-state-400.json"),
        r#"Err(Refused("You can not call \"do\" on \"1\" of \"Stock Shipment Out\"."))"#,
    );
    check(
        400,
        recorded!("no-right-400.json"),
        r#"Err(Refused("You are not allowed to access \"Sale\". Within groups: Stock"))"#,
    );
    check(401, recorded!("bad-key-401.html"), r#"Err(Unauthorized("the ERP does not accept the key"))"#);
    check(429, b"", "Err(Throttled { retry_after: 5s })");
    let not_found = format!("{:?}", success(&answer(404, recorded!("no-record-404.html"))));
    assert!(
        not_found.starts_with(r#"Err(Refused("no such record, or no such database: <!doctype"#),
        "{not_found}"
    );
    let broken = format!("{:?}", success(&answer(500, recorded!("unknown-field-500.html"))));
    assert!(broken.starts_with("Err(Server { status: 500"), "{broken}");
    assert!(matches!(success(&answer(302, b"")), Err(Fault::Server { status: 302, .. })));

    let mut busy = answer(503, b"");
    assert!(matches!(success(&busy), Err(Fault::Server { status: 503, .. })));
    busy.headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
    assert_eq!(success(&busy), Err(Fault::Throttled { retry_after: Duration::from_secs(7) }));
}

#[test]
fn an_answer_was_begun_no_later_than_its_date_less_the_time_it_took() {
    let mut read = answer(200, b"");
    let took = Duration::from_millis(1_500);
    assert_eq!(begun(&read, took), Err(Malformed::NoDate));
    read.headers.insert(DATE, HeaderValue::from_static("Mon, 23 Nov 2026 15:07:46 GMT"));
    assert_eq!(begun(&read, took), Ok(Timestamp::from_millis(1_795_446_464_500)));
    read.headers.insert(DATE, HeaderValue::from_static("soon"));
    assert_eq!(begun(&read, took), Err(Malformed::NoDate));
}

#[test]
fn a_quantity_is_whole_and_bounded() {
    #[track_caller]
    fn check(quantity: f64, want: Option<i64>) {
        assert_eq!(units(quantity), want, "{quantity}");
    }
    check(5.0, Some(5));
    check(-50.0, Some(-50));
    check(0.1 + 0.2 + 2.7, Some(3));
    check(2.5, None);
    check(1e9, Some(1_000_000_000));
    check(1e9 + 1.0, None);
    check(f64::NAN, None);
    check(f64::INFINITY, None);
}

fn books(sale: &[u8]) -> Books {
    let sales = sales(sale, REFERENCE, None).expect("it was recorded");
    Books { sales, internals: Vec::new() }
}

/// `sold ordered cancelled loose open fulfilled announced returned` of a product.
#[track_caller]
fn check_sums(books: &Books, product: i64, want: [i64; 8]) {
    let s = books.sums(product);
    let got = [s.sold, s.ordered, s.cancelled, s.loose, s.open, s.fulfilled, s.announced, s.returned];
    assert_eq!(got, want, "product {product}");
}

#[test]
fn a_sale_is_read_in_every_stage() {
    let draft = books(recorded!("sale-draft.json"));
    assert_eq!(draft.sales[0].state, SaleState::Draft);
    check_sums(&draft, 1, [5, 0, 0, 0, 0, 0, 0, 0]);

    let processing = books(recorded!("sale-processing.json"));
    check_sums(&processing, 1, [5, 5, 0, 0, 5, 0, 0, 0]);
    check_sums(&processing, 6, [2, 2, 0, 0, 2, 0, 0, 0]);
    let shipment = &processing.sales[0].shipments[0];
    assert_eq!((shipment.state, shipment.direct), (ShipmentState::Waiting, false));
    let served: Vec<_> = shipment.picks.iter().filter_map(|pick| pick.of).collect();
    assert_eq!((served, shipment.outgoing.len()), (shipment.outgoing.clone(), 2));

    let exception = books(recorded!("sale-exception.json"));
    assert!(exception.sales[0].exception);
    check_sums(&exception, 1, [5, 5, 0, 2, 3, 0, 0, 0]);

    let shipped = books(recorded!("sale-shipped-and-returned.json"));
    let names: Vec<_> = shipped.sales.iter().map(|sale| (sale.name.kind, sale.name.sequence)).collect();
    assert_eq!(names, [(Kind::Sale, 1), (Kind::Return, 3)]);
    check_sums(&shipped, 1, [5, 5, 2, 0, 0, 3, 1, 0]);
    check_sums(&shipped, 6, [2, 2, 0, 0, 0, 2, 0, 0]);
    assert_eq!(shipped.sales[1].receipts[0].state, ReceiptState::Draft);
}

#[test]
fn documents_of_other_orders_are_left_out() {
    let body = recorded!("sale-processing.json");
    assert_eq!(sales(body, "evk-test:shop:100", None), Ok(Vec::new()));
    assert_eq!(sales(body, "EVK-TEST:SHOP:1001", None), Ok(Vec::new()));
    assert_eq!(internals(recorded!("write-offs.json"), "evk-test:shop:100", None), Ok(Vec::new()));
}

#[test]
fn a_write_off_is_read() {
    let read = internals(recorded!("write-offs.json"), REFERENCE, None).expect("it was recorded");
    assert_eq!(read[0].name, Name { kind: Kind::WriteOff, sequence: 2 });
    assert_eq!((read[0].state, read[0].quantity_of(1)), (InternalState::Draft, 1));
}

#[test]
fn an_internal_shipment_belongs_to_the_warehouse_whose_stock_it_moves() {
    let one = |id: i64, letter: char, [from, to]: [i64; 2]| {
        format!(
            r#"{{"id":{id},"reference":"{REFERENCE}/{letter}3","from_location":{from},"to_location":{to},
                "state":"done","moves":[{{"id":1,"product":7,"quantity":2.0}}]}}"#
        )
    };
    // Storage 3 and 10, lost and found 4.
    let all = [one(1, 'w', [3, 4]), one(2, 'w', [10, 4]), one(3, 'f', [4, 3]), one(4, 'g', [10, 4])];
    let body = format!("[{}]", all.join(","));
    #[track_caller]
    fn check(body: &str, storage: Option<i64>, want: &[i64]) {
        let read = internals(body.as_bytes(), REFERENCE, storage).expect("it can be read");
        assert_eq!(read.iter().map(|internal| internal.id).collect::<Vec<_>>(), want, "{storage:?}");
    }
    check(&body, None, &[1, 2, 3, 4]);
    check(&body, Some(3), &[1, 3]);
    check(&body, Some(10), &[2, 4]);
    check(&body, Some(4), &[]);
}

#[test]
fn stock_is_read() {
    let products = products(recorded!("products.json")).expect("it was recorded");
    let tee = Product { id: 1, code: Some("TSHIRT-BL-M".to_owned()), unit: 1, price: "10.00".to_owned() };
    assert_eq!(products[0], tee);
    assert_eq!(products[1].code.as_deref(), Some("箱-01"));

    let levels: Vec<Level> = json(recorded!("levels.json")).expect("it was recorded");
    assert_eq!((levels[0].id, levels[0].quantity), (1, 97.0));
    assert_eq!(levels[0].name.as_deref(), Some("Product TSHIRT-BL-M"));

    let mut sums = BTreeMap::from([(2, 0.5)]);
    assert_eq!(leaving(recorded!("leaving.json"), &mut sums), Ok((2, 37)));
    assert_eq!(sums, BTreeMap::from([(1, 1.0), (2, 4.5)]));

    let mut products = BTreeMap::new();
    assert_eq!(touched(recorded!("touched.json"), &mut products), Ok((8, 34)));
    let codes: Vec<_> = products.iter().map(|(id, code)| (*id, code.as_deref())).collect();
    assert_eq!(codes, [(1, Some("TSHIRT-BL-M")), (6, Some("箱-01"))]);
}

#[test]
fn a_row_that_cannot_be_read_does_not_hold_up_the_others() {
    let body = br#"[{"id": 1, "code": "A", "name": "a", "quantity": 3.0},
                    {"id": 2, "code": "B", "name": "b", "quantity": null},
                    {"code": 7, "quantity": 1.0}]"#;
    let rows = each::<Level>(body).expect("the page can be read");
    assert_eq!(rows[0].as_ref().map(|level| level.quantity), Ok(3.0));
    let bad = |n: usize| rows[n].clone().map(drop).expect_err("it cannot be read");
    assert_eq!((bad(1).id, bad(2).id), (Some(2), None));
    assert!(bad(1).why.contains("`quantity`"), "{:?}", bad(1));

    // A product whose moves cannot be added up is no number, and so is not counted; the others are.
    let mut sums = BTreeMap::new();
    let body = br#"[{"id": 5, "product": 1, "internal_quantity": 2.0},
                    {"id": 6, "product": 2, "internal_quantity": "many"},
                    {"id": 7, "product": 2, "internal_quantity": 1.0}]"#;
    assert_eq!(leaving(body, &mut sums), Ok((3, 7)));
    assert_eq!((sums[&1], units(sums[&2])), (2.0, None));

    let mut products = BTreeMap::new();
    let body = br#"[{"id": 8, "product": null}, {"id": 9, "product": {"id": 4, "code": "D"}}, {"id": 11}]"#;
    assert_eq!(touched(body, &mut products), Ok((3, 11)));
    assert_eq!(products, BTreeMap::from([(4, Some("D".to_owned()))]));
}

#[test]
fn the_place_is_read() {
    let own: Preferences = json(recorded!("preferences.json")).expect("it was recorded");
    assert_eq!((own.company, &own.companies[..], own.groups.len()), (Some(1), &[1][..], 3));
    let company: Vec<Company> = json(recorded!("company.json")).expect("it was recorded");
    assert_eq!((company[0].currency, company[0].party.name.as_deref()), (1, Some("Lab Company")));
    let warehouse: Vec<Location> = json(recorded!("warehouse.json")).expect("it was recorded");
    assert_eq!((warehouse[0].kind.as_str(), warehouse[0].storage_location), ("warehouse", Some(3)));
    let party: Vec<Party> = json(recorded!("party.json")).expect("it was recorded");
    assert_eq!((party[0].id, &party[0].addresses[..]), (2, &[1][..]));
    let rules: Vec<ButtonRule> = json(recorded!("button.json")).expect("it was recorded");
    assert!(rules[0].groups.iter().any(|group| own.groups.contains(&group.id)));
    let pressed: Pressed = json(recorded!("pressed.json")).expect("it was recorded");
    assert_eq!(pressed.state, "done");
}

#[test]
fn what_is_not_understood_is_named() {
    let odd =
        sales(br#"[{"id":1,"reference":"evk-test:shop:1001/s1","state":"teleported"}]"#, REFERENCE, None);
    assert!(odd.is_err_and(|e| e.to_string().starts_with("`[0].state`: unknown variant `teleported`")));
    let more = products(b"[] [1]").map_err(|e| e.to_string());
    assert_eq!(more, Err("`.`: trailing characters at line 1 column 4".to_owned()));
    let half = br#"[{"id":1,"reference":"evk-test:shop:1001/w1","state":"done","moves":[{"id":4,"product":1,"quantity":0.5}]}]"#;
    let told = "move 4 has the quantity 0.5, which is not a whole number of units";
    assert_eq!(internals(half, REFERENCE, None).map_err(|e| e.to_string()), Err(told.to_owned()));
}
