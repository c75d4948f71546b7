//! The Tryton dialect: the cases that were seen on a real Tryton 8.2, with the same outcome here.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE;

use super::*;

fn packed(json: &Value) -> String {
    URL_SAFE.encode(json.to_string())
}

/// The context in which levels are read: the warehouse and all in it.
fn warehouse() -> Value {
    json!({"company": 1, "locations": [5], "with_childs": true})
}

impl Lab {
    async fn erp(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        context: Value,
    ) -> (StatusCode, Value) {
        let mut request = self
            .client
            .request(method, self.url("erp", &format!("/sandbox/rest/model/{path}")))
            .bearer_auth("sandbox-erp-key")
            .header("X-Tryton-Context", packed(&context));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("the ERP answers");
        let status = response.status();
        let text = response.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.erp(Method::GET, path, None, json!({"company": 1})).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        answer
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.erp(Method::POST, path, Some(body), json!({"company": 1})).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        answer
    }

    async fn put(&self, path: &str, body: Value) -> StatusCode {
        self.erp(Method::PUT, path, Some(body), json!({"company": 1})).await.0
    }

    /// Presses buttons one after the other; returns the state after the last.
    async fn press(&self, record: &str, buttons: &[&str]) -> String {
        let mut state = String::new();
        for button in buttons {
            let answer = self.post(&format!("{record}/{button}?f=state"), json!({})).await;
            state = answer["state"].as_str().expect("a state").to_owned();
        }
        state
    }

    /// (quantity, forecast) of a product over these locations.
    async fn levels(&self, product: i64, context: Value) -> (f64, f64) {
        let path = format!("product.product/{product}?f=quantity&f=forecast_quantity");
        let (_, answer) = self.erp(Method::GET, &path, None, context).await;
        let number = |name: &str| answer[name].as_f64().expect("a float");
        (number("quantity"), number("forecast_quantity"))
    }

    /// A sale of 5 of product 1, confirmed: (sale, shipment).
    async fn sale(&self, reference: &str) -> (i64, i64) {
        let sale = self.post("sale.sale", sale(reference, 5.0)).await["id"].as_i64().expect("an id");
        assert_eq!(self.press(&format!("sale.sale/{sale}"), &["quote", "confirm"]).await, "confirmed");
        let read = self.get(&format!("sale.sale/{sale}?f=state&f=shipments.state")).await;
        assert_eq!(read["state"], "processing");
        assert_eq!(read["shipments"][0]["state"], "waiting");
        (sale, read["shipments"][0]["id"].as_i64().expect("a shipment"))
    }
}

fn sale(reference: &str, quantity: f64) -> Value {
    let price = json!({"__class__": "Decimal", "decimal": "10.00"});
    let line = json!({"type": "line", "product": 1, "quantity": quantity, "unit": 1, "unit_price": price});
    json!({"party": 2, "invoice_address": 1, "shipment_address": 1, "reference": reference, "company": 1,
           "currency": 1, "warehouse": 5, "invoice_method": "manual", "shipment_method": "order",
           "lines": [["create", [line]]]})
}

#[tokio::test]
async fn levels_need_a_location_and_fall_when_the_goods_leave() {
    let lab = Lab::start(quick()).await;
    let storage = json!({"company": 1, "locations": [3], "with_childs": true});
    assert_eq!(lab.levels(1, json!({"company": 1})).await, (0.0, 0.0));
    assert_eq!(lab.levels(1, warehouse()).await, (10.0, 10.0));
    let (_, shipment) = lab.sale("evk:1").await;
    assert_eq!(lab.levels(1, warehouse()).await, (10.0, 5.0));
    let record = format!("stock.shipment.out/{shipment}");
    assert_eq!(lab.press(&record, &["assign_try"]).await, "assigned");
    assert_eq!(lab.press(&record, &["pick"]).await, "picked");
    assert_eq!(lab.levels(1, storage.clone()).await, (5.0, 5.0));
    assert_eq!(lab.levels(1, warehouse()).await, (10.0, 5.0));
    assert_eq!(lab.press(&record, &["pack", "do"]).await, "done");
    assert_eq!(lab.levels(1, warehouse()).await, (5.0, 5.0));
    assert_eq!(lab.get("sale.sale/1?f=shipment_state&f=state").await["shipment_state"], "sent");
    let unknown = json!({"company": 1, "locations": [999]});
    let (status, answer) = lab.erp(Method::GET, "product.product?f=quantity", None, unknown.clone()).await;
    assert_eq!((status, answer["status"].as_i64()), (StatusCode::BAD_REQUEST, Some(400)));
    let (status, _) = lab.erp(Method::GET, "product.product/1?f=quantity", None, unknown).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let book = lab.book("TSHIRT-BL-M").await;
    assert_eq!(book["erp"]["on_hand"], 5);
    assert_eq!(book["available"], 10, "documents of an API client do not change what is true");
}

#[tokio::test]
async fn one_read_shows_a_whole_sale() {
    let lab = Lab::start(quick()).await;
    lab.sale("evk:2:1/s1").await;
    let domain = packed(&json!([["reference", "like", "evk:2:1/%"]]));
    let fields = "f=reference&f=state&f=shipment_state&f=lines.product&f=lines.quantity&f=lines.moves.state\
                  &f=lines.moves.quantity&f=lines.moves.shipment&f=lines.moves_ignored&f=shipments.state\
                  &f=shipments.inventory_moves.origin&f=shipment_returns.state";
    let found = lab.get(&format!("sale.sale?d={domain}&{fields}")).await;
    let moves = json!([{"id": 1, "__name__": "stock.move", "state": "draft", "quantity": 5.0,
                        "shipment": "stock.shipment.out,1"}]);
    let lines = json!([{"id": 1, "__name__": "sale.line", "product": 1, "quantity": 5.0, "moves": moves,
                        "moves_ignored": []}]);
    let inventory = json!([{"id": 2, "__name__": "stock.move", "origin": "stock.move,1"}]);
    let expected = json!([{"id": 1, "__name__": "sale.sale", "reference": "evk:2:1/s1", "state": "processing",
        "shipment_state": "waiting", "lines": lines, "shipment_returns": [],
        "shipments": [{"id": 1, "__name__": "stock.shipment.out", "state": "waiting", "inventory_moves": inventory}]}]);
    assert_eq!(found, expected);
    assert_eq!(lab.get("sale.sale/1").await["rec_name"], "1 [evk:2:1/s1]");
}

#[tokio::test]
async fn a_part_of_a_line_ships_first_and_the_rest_gets_a_shipment_of_its_own() {
    let lab = Lab::start(quick()).await;
    let (sale, shipment) = lab.sale("evk:3").await;
    let inventory = lab.get(&format!("stock.shipment.out/{shipment}?f=inventory_moves")).await;
    let of = inventory["inventory_moves"][0].as_i64().expect("a move");
    assert_eq!(lab.put(&format!("stock.move/{of}"), json!({"quantity": 2.0})).await, StatusCode::OK);
    let record = format!("stock.shipment.out/{shipment}");
    lab.press(&record, &["assign_try"]).await;
    let refused = lab.put(&format!("stock.move/{of}"), json!({"quantity": 3.0})).await;
    assert_eq!(refused, StatusCode::BAD_REQUEST);
    lab.press(&record, &["pick", "pack", "do"]).await;
    let read =
        lab.get(&format!("sale.sale/{sale}?f=shipment_state&f=shipments.state&f=lines.moves.quantity")).await;
    assert_eq!(read["shipment_state"], "partially shipped");
    assert_eq!(read["shipments"][1]["state"], "waiting");
    assert_eq!(read["lines"][0]["moves"][0]["quantity"], 3.0);
    assert_eq!(lab.levels(1, warehouse()).await, (8.0, 5.0));
}

#[tokio::test]
async fn a_cancelled_shipment_is_an_exception_until_its_moves_are_ignored() {
    let lab = Lab::start(quick()).await;
    let (sale, shipment) = lab.sale("evk:4").await;
    assert_eq!(lab.press(&format!("stock.shipment.out/{shipment}"), &["cancel"]).await, "cancelled");
    let state =
        async || lab.get(&format!("sale.sale/{sale}?f=shipment_state")).await["shipment_state"].clone();
    assert_eq!(state().await, "exception");
    assert_eq!(lab.levels(1, warehouse()).await, (10.0, 10.0));
    assert_eq!(lab.put("sale.line/1", json!({"moves_ignored": [["add", [1]]]})).await, StatusCode::OK);
    lab.press(&format!("sale.sale/{sale}"), &["process"]).await;
    assert_eq!(state().await, "none");
    assert_eq!(lab.put("sale.line/1", json!({"moves_recreated": [["add", [1]]]})).await, StatusCode::OK);
    lab.press(&format!("sale.sale/{sale}"), &["process"]).await;
    assert_eq!(lab.levels(1, warehouse()).await, (10.0, 5.0));
}

#[tokio::test]
async fn a_part_is_cancelled_by_shrinking_its_move() {
    let lab = Lab::start(quick()).await;
    let (sale, shipment) = lab.sale("evk:5").await;
    assert_eq!(lab.put("stock.move/1", json!({"quantity": 3.0})).await, StatusCode::OK);
    lab.press(&format!("stock.shipment.out/{shipment}"), &["wait"]).await;
    lab.press(&format!("sale.sale/{sale}"), &["process"]).await;
    let read = lab.get(&format!("sale.sale/{sale}?f=shipments&f=lines.moves.quantity")).await;
    let second = read["shipments"][1].as_i64().expect("a second shipment");
    let rest = read["lines"][0]["moves"][0]["id"].as_i64().expect("its move");
    lab.press(&format!("stock.shipment.out/{second}"), &["cancel"]).await;
    lab.put("sale.line/1", json!({"moves_ignored": [["add", [rest]]]})).await;
    lab.press(&format!("sale.sale/{sale}"), &["process"]).await;
    assert_eq!(lab.levels(1, warehouse()).await, (10.0, 7.0));
    lab.press(&format!("stock.shipment.out/{shipment}"), &["assign_try", "pick", "pack", "do"]).await;
    assert_eq!(lab.get(&format!("sale.sale/{sale}?f=shipment_state")).await["shipment_state"], "sent");
}

#[tokio::test]
async fn too_little_stock_is_assigned_only_by_force() {
    let lab = Lab::start(quick()).await;
    let created = lab.post("sale.sale", sale("evk:6", 12.0)).await["id"].as_i64().expect("an id");
    lab.press(&format!("sale.sale/{created}"), &["quote", "confirm"]).await;
    assert_eq!(lab.press("stock.shipment.out/1", &["assign_try"]).await, "waiting");
    assert_eq!(lab.press("stock.shipment.out/1", &["assign_force", "pick", "pack", "do"]).await, "done");
    assert_eq!(lab.levels(1, warehouse()).await, (-2.0, -2.0));
}

#[tokio::test]
async fn a_sale_of_less_than_nothing_is_a_return() {
    let lab = Lab::start(quick()).await;
    let mut values = sale("evk:7/r1", -2.0);
    values["origin"] = json!("sale.sale,1");
    lab.post("sale.sale", values).await;
    lab.press("sale.sale/1", &["quote", "confirm"]).await;
    let read = lab.get("sale.sale/1?f=shipment_returns.state&f=shipments").await;
    assert_eq!(read["shipment_returns"][0]["state"], "draft");
    assert_eq!(read["shipments"], json!([]));
    assert_eq!(lab.press("stock.shipment.out.return/1", &["receive"]).await, "received");
    assert_eq!(lab.levels(1, warehouse()).await, (12.0, 12.0));
    assert_eq!(lab.press("stock.shipment.out.return/1", &["do"]).await, "done");
    let storage = json!({"company": 1, "locations": [3]});
    assert_eq!(lab.levels(1, storage).await, (12.0, 12.0));
    assert_eq!(lab.get("sale.sale/1?f=shipment_state").await["shipment_state"], "sent");
}

#[tokio::test]
async fn an_internal_shipment_writes_units_off_and_finds_them_again() {
    let lab = Lab::start(quick()).await;
    let make = async |reference: &str, [from, to]: [i64; 2], units: f64| {
        let line = json!({"product": 1, "quantity": units, "unit": 1, "from_location": from, "to_location": to,
                          "company": 1});
        let values = json!({"company": 1, "from_location": from, "to_location": to, "reference": reference,
                            "moves": [["create", [line]]]});
        let made = lab.post("stock.shipment.internal", values).await;
        format!("stock.shipment.internal/{}", made["id"])
    };
    let lost = make("evk:6/w1", [3, 4], 2.0).await;
    assert_eq!(lab.levels(1, warehouse()).await, (10.0, 8.0));
    assert_eq!(lab.press(&lost, &["wait", "assign_try", "do"]).await, "done");
    assert_eq!(lab.levels(1, warehouse()).await, (8.0, 8.0));
    // What comes from lost and found is never looked for there.
    let found = make("evk:6/f2", [4, 3], 3.0).await;
    assert_eq!(lab.press(&found, &["wait", "assign_try", "do"]).await, "done");
    assert_eq!(lab.levels(1, warehouse()).await, (11.0, 11.0));

    // Of what is not there, a part is reserved: the rest stays in a move of its own until it waits once more.
    let much = make("evk:6/w3", [3, 4], 15.0).await;
    assert_eq!(lab.press(&much, &["wait", "assign_try"]).await, "waiting");
    let moves = async || {
        let read = lab.get(&format!("{much}?f=moves.quantity&f=moves.state")).await;
        let moves = read["moves"].as_array().expect("a list").clone();
        moves.into_iter().map(|m| (m["id"].as_i64().expect("an id"), m["state"].clone())).collect::<Vec<_>>()
    };
    let reserved = async |status| {
        for (id, state) in moves().await.into_iter().rev() {
            let want = if state == "assigned" { status } else { StatusCode::OK };
            assert_eq!(lab.put(&format!("stock.move/{id}"), json!({"quantity": 0.0})).await, want, "{state}");
        }
    };
    reserved(StatusCode::BAD_REQUEST).await;
    assert_eq!(lab.press(&much, &["wait"]).await, "waiting");
    reserved(StatusCode::OK).await;
    assert_eq!(lab.press(&much, &["cancel"]).await, "cancelled");
    assert_eq!(lab.levels(1, warehouse()).await, (11.0, 11.0));
}

#[tokio::test]
async fn a_count_books_the_difference_to_what_was_expected_when_it_was_saved() {
    let lab = Lab::start(quick()).await;
    let today = json!({"__class__": "date", "year": 2026, "month": 11, "day": 23});
    let values = json!({"location": 3, "date": today, "company": 1, "empty_quantity": "keep",
                        "lines": [["create", [{"product": 1, "quantity": 9.0}]]]});
    lab.post("stock.inventory", values).await;
    lab.sale("evk:8").await;
    lab.press("stock.shipment.out/1", &["assign_try", "pick", "pack", "do"]).await;
    lab.press("stock.inventory/1", &["confirm"]).await;
    assert_eq!(lab.levels(1, warehouse()).await, (4.0, 4.0));
    let of = lab.get("stock.inventory/1?f=lines.moves.origin&f=lines.expected_quantity").await;
    assert_eq!(of["lines"][0]["moves"][0]["origin"], "stock.inventory.line,1");
    assert_eq!(of["lines"][0]["expected_quantity"], 10.0);
}

#[tokio::test]
async fn what_changed_is_found_by_the_times_of_moves() {
    let lab = Lab::start(quick()).await;
    let changed = async |since: Value| {
        let either = json!(["OR", ["write_date", ">=", since], ["create_date", ">=", since]]);
        let domain = json!([either, ["state", "in", ["done", "cancelled"]]]);
        let order = packed(&json!([["id", "ASC"]]));
        let path = format!(
            "stock.move?d={}&o={order}&s=500&f=product.code&f=write_date&f=create_date",
            packed(&domain)
        );
        lab.get(&path).await
    };
    let long_ago = json!({"__class__": "datetime", "year": 2020, "month": 1, "day": 1, "hour": 0, "minute": 0,
                          "second": 0, "microsecond": 0});
    assert_eq!(changed(long_ago.clone()).await, json!([]));
    lab.sale("evk:9").await;
    lab.press("stock.shipment.out/1", &["assign_try", "pick"]).await;
    let moves = changed(long_ago).await;
    assert_eq!(moves.as_array().map(Vec::len), Some(1));
    assert_eq!(moves[0]["product"]["code"], "TSHIRT-BL-M");
    let picked = moves[0]["write_date"].clone();
    lab.press("stock.shipment.out/1", &["pack", "do"]).await;
    let mut later = picked.clone();
    later["microsecond"] = json!(picked["microsecond"].as_i64().expect("a number") + 1);
    assert_eq!(changed(picked).await.as_array().map(Vec::len), Some(2));
    assert_eq!(changed(later).await.as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn open_moves_that_leave_the_warehouse_are_found() {
    let lab = Lab::start(quick()).await;
    lab.sale("evk:10").await;
    let domain = json!([
        ["state", "in", ["draft", "assigned", "staging"]],
        ["from_location", "child_of", [5], "parent"],
        ["to_location", "not child_of", [5], "parent"],
        ["product", ">=", 1],
        ["product", "<=", 1],
        ["id", ">", 0]
    ]);
    let path = format!("stock.move?d={}&f=product&f=internal_quantity", packed(&domain));
    let found = lab.get(&path).await;
    assert_eq!(found, json!([{"id": 1, "__name__": "stock.move", "product": 1, "internal_quantity": 5.0}]));
}

#[tokio::test]
async fn a_clients_first_look_finds_its_way() {
    let lab = Lab::start(quick()).await;
    let preferences = lab.post("res.user/get_preferences", json!({"context_only": true})).await;
    assert_eq!(preferences["company"], 1);
    let find = async |model: &str, domain: Value, fields: &str| {
        lab.get(&format!("{model}?d={}&{fields}", packed(&domain))).await[0].clone()
    };
    let place = find(
        "stock.location",
        json!([["code", "=", "WH"]]),
        "f=type&f=storage_location&f=lost_found_location",
    )
    .await;
    assert_eq!(
        place,
        json!({"id": 5, "__name__": "stock.location", "type": "warehouse", "storage_location": 3,
                             "lost_found_location": null})
    );
    assert_eq!(find("stock.location", json!([["type", "=", "lost_found"]]), "f=code").await["id"], 4);
    assert_eq!(
        find("party.party", json!([["code", "=", "2"]]), "f=addresses").await["addresses"],
        json!([1])
    );
    let button = json!([["model", "=", "sale.sale"], ["name", "=", "process"]]);
    let groups = find("ir.model.button", button, "f=groups.name").await;
    assert_eq!(groups["groups"][0]["name"], "Sales Administrator");
    let codes = json!([["code", "in", ["CABLE/USB-C/1M", "箱-1"]]]);
    let products = lab
        .get(&format!("product.product?d={}&f=code&f=default_uom&f=list_price_used", packed(&codes)))
        .await;
    assert_eq!(products.as_array().map(Vec::len), Some(2));
    assert_eq!(products[0]["list_price_used"]["__class__"], "Decimal");
    let version = json!({"method": "common.server.version", "params": []});
    let answer = lab.client.post(lab.url("erp", "/rpc/")).json(&version).send().await.expect("an answer");
    assert_eq!(answer.text().await.expect("a body"), "\"8.2\"");
}

#[tokio::test]
async fn refusals_come_with_their_status() {
    let lab = Lab::start(quick()).await;
    lab.sale("evk:11").await;
    let check = async |method: Method, path: &str, body: Option<Value>, expected: u16, text: &str| {
        let (status, answer) = lab.erp(method, path, body, json!({"company": 1})).await;
        assert_eq!(status.as_u16(), expected, "{path}: {answer}");
        if !text.is_empty() {
            assert_eq!(answer, json!({"status": expected, "message": text, "description": ""}));
        }
    };
    let none = Some(json!({}));
    let wrong = "You can not call \"confirm\" on \"1 [evk:11]\" of \"Sale\".";
    check(Method::POST, "sale.sale/1/confirm", none.clone(), 400, wrong).await;
    check(Method::POST, "sale.sale/1/fly", none.clone(), 403, "").await;
    check(Method::POST, "sale.sale/99/quote", none.clone(), 404, "").await;
    check(Method::GET, "sale.sale/99", None, 404, "").await;
    check(Method::GET, "no.such", None, 500, "").await;
    check(Method::GET, "sale.sale?f=no_such", None, 500, "").await;
    check(Method::GET, "sale.sale?d=x", None, 500, "").await;
    check(Method::POST, "sale.sale", Some(json!({"no_such": 1})), 500, "").await;
    let missing = "A value is required for field \"Party\" in record \"[x]\" of \"Sale\".";
    check(Method::POST, "sale.sale", Some(json!({"reference": "x"})), 400, missing).await;
    let keep = "To delete sale \"1 [evk:11]\" you must cancel it.";
    check(Method::DELETE, "sale.sale/1", None, 400, keep).await;
    lab.post("sale.sale", sale("evk:12", 1.0)).await;
    check(Method::DELETE, "sale.sale/2", None, 204, "").await;
    check(Method::GET, "sale.sale/2", None, 404, "").await;
    let raw = async |key: &str, database: &str| {
        let url = lab.url("erp", &format!("/{database}/rest/model/sale.sale"));
        lab.client.get(url).bearer_auth(key).send().await.expect("an answer").status().as_u16()
    };
    assert_eq!(raw("wrong", "sandbox").await, 401);
    assert_eq!(raw("sandbox-erp-key", "other").await, 404);
}

#[tokio::test]
async fn a_refused_request_leaves_nothing_behind() {
    let lab = Lab::start(quick()).await;
    let mut values = sale("half", 5.0);
    values["lines"][0][1].as_array_mut().expect("lines").push(json!({"product": 1}));
    let (status, _) = lab.erp(Method::POST, "sale.sale", Some(values), json!({})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(lab.get("sale.sale").await, json!([]));
    assert_eq!(lab.get("sale.line").await, json!([]));
}

#[tokio::test]
async fn people_at_the_erp_sell_ship_cancel_and_count() {
    let lab = Lab::start(quick()).await;
    let shipped = lab.order("erp", "TSHIRT-BL-M", 3).await;
    let cancelled = lab.order("erp", "TSHIRT-BL-M", 2).await;
    let book = lab.book("TSHIRT-BL-M").await;
    assert_eq!((book["available"].as_i64(), book["erp"]["available"].as_i64()), (Some(5), Some(5)));
    lab.control("/fulfil", json!({"channel": "erp", "order": shipped})).await;
    lab.control("/cancel", json!({"channel": "erp", "order": cancelled})).await;
    let book = lab.book("TSHIRT-BL-M").await;
    assert_eq!((book["physical"].as_i64(), book["available"].as_i64()), (Some(7), Some(7)));
    assert_eq!((book["erp"]["on_hand"].as_i64(), book["erp"]["available"].as_i64()), (Some(7), Some(7)));
    lab.control("/erp/count", json!({"counts": [{"sku": "TSHIRT-BL-M", "quantity": 20}]})).await;
    let book = lab.book("TSHIRT-BL-M").await;
    assert_eq!((book["physical"].as_i64(), book["erp"]["on_hand"].as_i64()), (Some(20), Some(20)));
    lab.control("/edit-quantity", json!({"channel": "erp", "sku": "TSHIRT-BL-M", "quantity": 1})).await;
    let book = lab.book("TSHIRT-BL-M").await;
    assert_eq!((book["physical"].as_i64(), book["erp"]["on_hand"].as_i64()), (Some(20), Some(1)));
}
