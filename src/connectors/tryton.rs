//! Tryton 8 over its REST API: counts, the feed of moved items, and postings of orders.
//!
//! One connector is some warehouses of one company. It reads what lies there, and keeps for every posted order a sale
//! (with its shipments), return sales and write-offs, all found again by the order's reference. Tryton takes no
//! quantities from outside and sends no pushes, so those parts of the trait are not offered. Prices are Tryton's own;
//! no name, address or note of a buyer is sent.
//!
//! What was seen of Tryton's behaviour is in docs/CONNECTORS.md; the bodies in tests/data/tryton are recorded.

mod books;
mod client;
mod decode;
mod encode;
#[cfg(test)]
mod fuzz;
mod plan;
mod post;
mod stock;

use std::time::Duration;

use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::Url;

use crate::{
    connectors::{
        By, CataloguePage, Changed, Checked, Connector, CountPage, Cursor, Fact, Fault, Observed, OrderPage,
        Outcome, Posting, Push, Put, Received, Refusal, Scope,
        http::{self, BadSetting},
        tryton::{
            client::Api,
            decode::{ButtonRule, Company, Location, Party, Preferences},
            encode::{Place, Search},
            post::Unsettled,
        },
    },
    model::{
        Abilities, Identifiers, LocationId, Measure, OrderId, OrderSnapshot, Timestamp, Totals, Visible,
    },
};

/// The major version whose behaviour was seen. Others are named by `check`.
const PINNED: &str = "8.";

/// One Tryton connection.
#[derive(Debug, Clone)]
pub struct Options {
    /// The server's address, checked by [`http::base_url`].
    pub base_url: Url,
    pub database: String,
    /// The key of a user application of kind REST.
    pub key: SecretString,
    /// Needed only where the key's user works for several companies.
    pub company: Option<i64>,
    /// The warehouses, at least one: by their code in Tryton, and what we call them.
    pub warehouses: Vec<(String, LocationId)>,
    pub measure: Measure,
    /// The code of the party that all sales are booked on.
    pub customer: String,
    /// How long a request may still be at work after its answer was lost.
    pub late: Duration,
    pub http: http::Options,
}

impl Options {
    pub const LATE: Duration = Duration::from_secs(30);
}

/// A connector to one company in Tryton.
#[derive(Debug)]
pub struct Tryton {
    api: Api,
    options: Options,
    /// Found at first use, by the codes in the options, in their order.
    places: OnceCell<Vec<(LocationId, Place)>>,
    unsettled: Unsettled,
}

impl Tryton {
    /// `setting` is the beginning of the configuration keys that an error names (`channels.tryton.main`).
    pub fn new(setting: &str, options: Options) -> Result<Tryton, BadSetting> {
        let base = options.base_url.clone();
        let api = Api::new(setting, base, &options.database, &options.key, options.http)?;
        Ok(Tryton { api, options, places: OnceCell::new(), unsettled: Unsettled::default() })
    }

    async fn places(&self) -> Result<&[(LocationId, Place)], Fault> {
        self.places.get_or_try_init(|| self.find_places()).await.map(Vec::as_slice)
    }

    /// Returns the company that everything is read and made in.
    async fn company(&self) -> Result<i64, Fault> {
        Ok(self.places().await?.first().map_or(0, |(_, place)| place.company))
    }

    async fn find_places(&self) -> Result<Vec<(LocationId, Place)>, Fault> {
        let company = self.find_company().await?;
        let customer: Vec<Party> = self
            .list(company.id, "party.party", json!([["code", "=", self.options.customer]]), &["addresses"])
            .await?;
        let customer = customer.into_iter().next().ok_or_else(|| {
            Fault::Refused(format!(
                "`customer`: the ERP has no party with the code `{}`",
                self.options.customer
            ))
        })?;
        let address = *customer.addresses.first().ok_or_else(|| {
            Fault::Refused(format!("`customer`: the party `{}` has no address", self.options.customer))
        })?;
        let mut places = Vec::new();
        for (code, location) in &self.options.warehouses {
            let warehouse = self.find_warehouse(company.id, code).await?;
            let lost_found = self.find_lost_found(company.id, &warehouse).await?;
            let place = Place {
                company: company.id,
                currency: company.currency,
                warehouse: warehouse.id,
                storage: warehouse.storage_location.unwrap_or(warehouse.id),
                lost_found,
                customer: customer.id,
                address,
            };
            places.push((location.clone(), place));
        }
        Ok(places)
    }

    async fn preferences(&self) -> Result<Preferences, Fault> {
        let read = self.api.ask("res.user", "get_preferences", &json!({ "context_only": true })).await?;
        Ok(decode::json(&read.body)?)
    }

    async fn find_company(&self) -> Result<Company, Fault> {
        let own = self.preferences().await?;
        let id = match self.options.company {
            Some(id) if own.companies.contains(&id) => id,
            Some(id) => {
                return Err(Fault::Refused(format!(
                    "`company`: the key's user does not work for company `{id}`"
                )));
            }
            None => own.company.ok_or_else(|| {
                Fault::Refused(
                    "the key's user has no company in the ERP; give it one, or set `company`".to_owned(),
                )
            })?,
        };
        let found: Vec<Company> =
            self.list(id, "company.company", json!([["id", "=", id]]), &["currency", "party.name"]).await?;
        found.into_iter().next().ok_or_else(|| Fault::Refused(format!("the ERP has no company `{id}`")))
    }

    async fn find_warehouse(&self, company: i64, code: &str) -> Result<Location, Fault> {
        let fields = &["type", "storage_location", "lost_found_location"];
        let found: Vec<Location> =
            self.list(company, "stock.location", json!([["code", "=", code]]), fields).await?;
        match &found[..] {
            [only] if only.kind == "warehouse" => {
                Ok(found.into_iter().next().expect("the list was just seen to hold one"))
            }
            [other] => Err(Fault::Refused(format!(
                "`warehouse`: the location `{code}` in the ERP is of type `{}`; name a warehouse",
                other.kind
            ))),
            [] => Err(Fault::Refused(format!("`warehouse`: the ERP has no location with the code `{code}`"))),
            [_, _, ..] => Err(Fault::Refused(format!("`warehouse`: the ERP has several locations `{code}`"))),
        }
    }

    async fn find_lost_found(&self, company: i64, warehouse: &Location) -> Result<i64, Fault> {
        if let Some(own) = warehouse.lost_found_location {
            return Ok(own);
        }
        let found: Vec<decode::Id> =
            self.list(company, "stock.location", json!([["type", "=", "lost_found"]]), &["id"]).await?;
        let first = found.first().map(|location| location.id);
        first.ok_or_else(|| Fault::Refused("the ERP has no location of type lost and found".to_owned()))
    }

    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        company: i64,
        model: &'static str,
        domain: Value,
        fields: &'static [&'static str],
    ) -> Result<Vec<T>, Fault> {
        let search = Search { model, domain, fields };
        let read = self.api.search(&search, &json!({ "company": company })).await?;
        Ok(decode::json(&read.body)?)
    }

    /// Tells whether the key's user may press the button that plans a sale anew, which cancelling needs.
    async fn may_process(&self, company: i64) -> Result<bool, Fault> {
        let own = self.preferences().await?;
        let domain = json!([["model", "=", "sale.sale"], ["name", "=", "process"]]);
        let rules: Vec<ButtonRule> = self.list(company, "ir.model.button", domain, &["groups.name"]).await?;
        Ok(rules.iter().all(|rule| {
            rule.groups.is_empty() || rule.groups.iter().any(|group| own.groups.contains(&group.id))
        }))
    }
}

/// What Tryton can. `measure`: what its counts tell. `late_ms`: until when what it was told may still take effect.
pub fn abilities(measure: Measure, late_ms: i64) -> Abilities {
    Abilities {
        quantities: false,
        compare_and_set: false,
        delta: false,
        visible: Visible::AtOnce,
        sells: false,
        restocks_cancels: false,
        restocks_returns: false,
        posts: true,
        counts: Some(measure),
        batch: 1,
        late_ms,
        stale_ms: 0,
        feed_lag_ms: 0,
        visible_ms: 0,
        look_ms: 0,
    }
}

#[async_trait]
impl Connector for Tryton {
    fn abilities(&self) -> Abilities {
        let late_ms = i64::try_from(self.options.late.as_millis()).unwrap_or(i64::MAX);
        abilities(self.options.measure, late_ms)
    }

    async fn write(&self, puts: &[Put]) -> Vec<Outcome> {
        let refused = Outcome::Rejected { reason: Fault::NotOffered("write").to_string() };
        vec![refused; puts.len()]
    }

    async fn read_back(&self, listings: &[Identifiers]) -> Result<Vec<Observed>, Fault> {
        self.look(listings).await
    }

    async fn orders(&self, _by: By, _since: Timestamp, _after: Option<&Cursor>) -> Result<OrderPage, Fault> {
        Err(Fault::NotOffered("orders"))
    }

    fn orders_gap(&self) -> Duration {
        Duration::ZERO
    }

    async fn order(&self, _order: &OrderId) -> Result<Option<OrderSnapshot>, Fault> {
        Err(Fault::NotOffered("order"))
    }

    async fn catalogue(&self, after: Option<&Cursor>) -> Result<CataloguePage, Fault> {
        self.read_catalogue(after).await
    }

    fn receive(&self, _push: &Push) -> Result<Received, Refusal> {
        Err(Refusal::Forged("Tryton sends no pushes".to_owned()))
    }

    fn reread(&self, topic: &str, _body: &[u8]) -> Result<Vec<Fact>, String> {
        Err(format!("nothing of the topic `{topic}` is kept of Tryton"))
    }

    async fn changed(&self, since: Timestamp) -> Result<Changed, Fault> {
        self.read_changed(since).await
    }

    async fn counts(&self, scope: &Scope, after: Option<&Cursor>) -> Result<CountPage, Fault> {
        self.read_counts(scope, after).await
    }

    async fn posted(&self, posting: &Posting) -> Result<Vec<Totals>, Fault> {
        self.posted_order(posting).await
    }

    async fn post(&self, posting: &Posting) -> Outcome {
        self.post_order(posting).await
    }

    async fn check(&self) -> Result<Checked, Fault> {
        let version = self.api.version().await?;
        let company = self.find_company().await?;
        let id = self.company().await?;
        let name = company.party.name.unwrap_or_default();
        let codes: Vec<String> =
            self.options.warehouses.iter().map(|(code, _)| format!("`{code}`")).collect();
        let mut problems = Vec::new();
        let mut facts = vec![format!(
            "Tryton {version}, company `{name}` ({id}), warehouse {}, sales booked on party `{}`",
            codes.join(", "),
            self.options.customer
        )];
        if !version.starts_with(PINNED) {
            facts.push(format!("this version was not tested; tested are {PINNED}x"));
        }
        // A read is refused where the right to it is missing.
        for model in
            ["sale.sale", "stock.shipment.out", "stock.shipment.out.return", "stock.shipment.internal"]
        {
            let none: Vec<decode::Id> = self.list(id, model, json!([["id", "=", 0]]), &["id"]).await?;
            debug_assert!(none.is_empty(), "no record has the id 0");
        }
        if !self.may_process(id).await? {
            problems.push(
                "the key's user may not press `process` on sales, so cancellations cannot be posted; \
                 give it the group Sales Administrator"
                    .to_owned(),
            );
        }
        Ok(Checked { facts, problems })
    }
}
