//! The sandbox's own books, as its control API tells them, and the way to that API.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;

use crate::{
    cli::{Failure, failure::Kind},
    sandbox::FaultSpec,
};

/// What is true, and what each system shows.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Books {
    pub skus: Vec<SkuBook>,
    orders: BTreeMap<String, u64>,
    pub oversold_units: i64,
    pub turned_away: u64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct SkuBook {
    pub sku: String,
    /// On the shelf.
    pub physical: i64,
    /// On the shelf and not sold.
    pub available: i64,
    pub shopify: Shown,
    pub amazon: Shown,
    pub erp: ErpBook,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Shown {
    pub shown: i64,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct ErpBook {
    pub on_hand: i64,
}

impl SkuBook {
    pub(super) fn shopify_agrees(&self) -> bool {
        self.shopify.shown.max(0) == self.available.max(0)
    }

    pub(super) fn amazon_agrees(&self) -> bool {
        self.amazon.shown.max(0) == self.available.max(0)
    }

    pub(super) fn erp_agrees(&self) -> bool {
        self.erp.on_hand == self.physical
    }
}

impl Books {
    pub(super) fn orders(&self) -> u64 {
        self.orders.values().sum()
    }

    pub(super) fn orders_by_channel(&self) -> &BTreeMap<String, u64> {
        &self.orders
    }

    pub(super) fn agreeing(&self) -> usize {
        let all = |sku: &&SkuBook| sku.shopify_agrees() && sku.amazon_agrees() && sku.erp_agrees();
        self.skus.iter().filter(all).count()
    }

    pub(super) fn agree(&self) -> bool {
        self.agreeing() == self.skus.len()
    }
}

/// One sale, and when each system first showed it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Sale {
    pub channel: String,
    pub at_ms: i64,
    pub reflected_ms: BTreeMap<String, Option<i64>>,
}

#[derive(Debug, Deserialize)]
struct Sales {
    sales: Vec<Sale>,
}

/// The sandbox's control API.
pub(super) struct Control {
    base: Url,
    client: reqwest::Client,
}

impl Control {
    pub(super) fn new(address: &str) -> Result<Control, Failure> {
        let base = Url::parse(&format!("http://{address}/")).map_err(anyhow::Error::from)?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(20)).build();
        Ok(Control { base, client: client.map_err(anyhow::Error::from)? })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let url = self.base.join(path).map_err(anyhow::Error::from)?;
        let answer = self.client.get(url).send().await.map_err(anyhow::Error::from)?;
        Ok(answer.json().await.map_err(anyhow::Error::from)?)
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, Failure> {
        let url = self.base.join(path).map_err(anyhow::Error::from)?;
        let answer = self.client.post(url).json(&body).send().await.map_err(anyhow::Error::from)?;
        let status = answer.status();
        let told: Value = answer.json().await.map_err(anyhow::Error::from)?;
        if status.is_success() {
            return Ok(told);
        }
        Err(Failure::new(Kind::Failed, format!("the sandbox refused `{path}`: {told}")))
    }

    pub(super) async fn systems(&self) -> Result<Value, Failure> {
        self.get("systems").await
    }

    pub(super) async fn books(&self) -> Result<Books, Failure> {
        self.get("books").await
    }

    pub(super) async fn sales(&self) -> Result<Vec<Sale>, Failure> {
        Ok(self.get::<Sales>("sales").await?.sales)
    }

    pub(super) async fn quiet(&self) -> Result<bool, Failure> {
        let told: Value = self.get("quiet").await?;
        Ok(told["quiet"] == json!(true))
    }

    pub(super) async fn webhooks(&self, url: &str) -> Result<(), Failure> {
        self.post("webhooks", json!({"url": url})).await.map(drop)
    }

    pub(super) async fn faults(&self, faults: &[FaultSpec]) -> Result<(), Failure> {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        self.post("faults", json!({"faults": faults})).await.map(drop)
    }

    pub(super) async fn shop(&self, orders: u64, per_second: f64) -> Result<(), Failure> {
        self.post("shop", json!({"orders": orders, "per_second": per_second})).await.map(drop)
    }

    /// Places an order that no feed and no webhook ever shows.
    pub(super) async fn drop_order(&self, books: &Books) -> Result<(), Failure> {
        let most = books.skus.iter().max_by_key(|sku| sku.shopify.shown);
        let sku = most.map(|sku| sku.sku.clone()).unwrap_or_default();
        let lines = json!([{"sku": sku, "quantity": 1}]);
        self.post("drop-order", json!({"channel": "shopify", "lines": lines})).await.map(drop)
    }

    /// Changes a quantity behind the daemon's back.
    pub(super) async fn edit_quantity(&self, books: &Books) -> Result<(), Failure> {
        let Some(sku) = books.skus.first() else { return Ok(()) };
        let quantity = sku.amazon.shown.max(0) + 7;
        let edit = json!({"channel": "amazon", "sku": sku.sku, "quantity": quantity});
        self.post("edit-quantity", edit).await.map(drop)
    }
}
