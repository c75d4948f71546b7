//! Faults as a client meets them.

use super::*;

async fn struck(fault: &str) -> Lab {
    let mut options = quick();
    options.faults = vec![FaultSpec::parse(fault).expect("a fault")];
    Lab::start(options).await
}

impl Lab {
    /// A read of each system: the status, or nothing when the connection was cut.
    async fn probe(&self, system: &str) -> Option<StatusCode> {
        let request = match system {
            "shopify" => self
                .client
                .post(self.url("shopify", "/admin/api/2026-10/graphql.json"))
                .header("X-Shopify-Access-Token", "shpat_sandbox")
                .json(&json!({"query": "{ shop { id } }"})),
            "amazon" => self.client.get(self.url("amazon", "/orders/2026-01-01/orders")),
            _ => self
                .client
                .get(self.url("erp", "/sandbox/rest/model/company.company"))
                .bearer_auth("sandbox-erp-key"),
        };
        request.send().await.ok().map(|response| response.status())
    }
}

#[tokio::test]
async fn an_error_comes_in_each_systems_own_way() {
    let lab = struck("errors=100%").await;
    assert_eq!(lab.probe("shopify").await, Some(StatusCode::BAD_GATEWAY));
    assert_eq!(lab.probe("amazon").await, Some(StatusCode::INTERNAL_SERVER_ERROR));
    assert_eq!(lab.probe("erp").await, Some(StatusCode::INTERNAL_SERVER_ERROR));
}

#[tokio::test]
async fn throttling_comes_in_each_systems_own_way() {
    let lab = struck("throttled=100%").await;
    assert_eq!(lab.probe("shopify").await, Some(StatusCode::OK));
    assert_eq!(lab.probe("amazon").await, Some(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(lab.probe("erp").await, Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test]
async fn an_outage_hits_one_system_and_can_be_ended() {
    let lab = struck("amazon-outage=1m").await;
    for _ in 0..10 {
        assert!(matches!(lab.probe("amazon").await, None | Some(StatusCode::INTERNAL_SERVER_ERROR)));
    }
    assert_eq!(lab.probe("erp").await, Some(StatusCode::OK));
    lab.control("/faults", json!({"faults": ["amazon-outage=off"]})).await;
    assert_eq!(lab.probe("amazon").await, Some(StatusCode::BAD_REQUEST));
    let report = lab.look("/faults").await;
    assert_eq!(report["amazon"]["outage_ms"], Value::Null);
}

#[tokio::test]
async fn a_lost_answer_is_lost_after_the_work_was_done() {
    let lab = struck("erp-lost-answers=100%").await;
    let sale = json!({"party": 2, "company": 1, "currency": 1, "reference": "lost"});
    let post = lab
        .client
        .post(lab.url("erp", "/sandbox/rest/model/sale.sale"))
        .bearer_auth("sandbox-erp-key")
        .json(&sale)
        .send()
        .await;
    assert!(post.is_err());
    lab.control("/faults", json!({"faults": ["none"]})).await;
    let found: Value = lab
        .client
        .get(lab.url("erp", "/sandbox/rest/model/sale.sale?f=reference"))
        .bearer_auth("sandbox-erp-key")
        .send()
        .await
        .expect("an answer")
        .json()
        .await
        .expect("JSON");
    assert_eq!(found[0]["reference"], "lost");
}

#[tokio::test]
async fn a_rival_writes_until_it_is_stopped() {
    let lab = struck("shopify-rival=1ms").await;
    let rival = async || {
        let sales = lab.look("/sales").await;
        let changes = sales["changes"].as_array().expect("changes").clone();
        changes.iter().filter(|change| change["cause"] == "rival").count()
    };
    for _ in 0..1_000 {
        if rival().await > 3 {
            break;
        }
    }
    assert!(rival().await > 3);
    lab.control("/faults", json!({"faults": ["shopify-rival=off"]})).await;
    let count = rival().await;
    assert_eq!(rival().await, count);
    assert_eq!(lab.look("/books").await["skus"][0]["available"], 10);
}

#[tokio::test]
async fn a_bad_fault_is_refused_with_its_reason() {
    let lab = Lab::start(quick()).await;
    let body = json!({"faults": ["amazon-outage=soon"]});
    let response =
        lab.client.post(lab.url("control", "/faults")).json(&body).send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(response.text().await.expect("a text").contains("`250ms`, `20s` or `2m`"));
}
