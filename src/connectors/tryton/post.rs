//! Brings Tryton's documents of an order to a posting's targets: look, plan, send, look again.
//!
//! An order whose lines are shipped from several warehouses has documents of its own in each, under the same reference.
//!
//! Nothing is sent twice without a look in between. After a request whose answer was lost, nothing is sent for that
//! order until it can no longer be at work: two requests that plan one sale at once plan it twice (seen on SQLite).

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::json;
use tokio::time::Instant;
use tracing::{debug, info};

use crate::{
    connectors::{
        Fault, Outcome, Posting, PostingLine,
        tryton::{
            Tryton,
            books::Books,
            client::Failed,
            decode,
            encode::{self, INTERNAL_FIELDS, Place, Product, SALE_FIELDS, Search},
            plan::{self, Button, Call, On, Step, Want},
            stock,
        },
    },
    model::Totals,
};

/// How many steps one posting may take before something must be wrong.
const STEPS_MAX: usize = 64;

/// How often, and how long apart, to look whether Tryton has processed a confirmed sale by itself.
const WAITS: usize = 5;
const WAIT: Duration = Duration::from_millis(200);

/// The orders (by reference) for which a request may still be at work, and until when.
#[derive(Debug, Default)]
pub(super) struct Unsettled(Mutex<BTreeMap<String, Instant>>);

impl Unsettled {
    fn add(&self, reference: &str, until: Instant) {
        self.lock().insert(reference.to_owned(), until);
    }

    /// Returns how long to wait before anything may be sent for the order.
    fn left(&self, reference: &str) -> Option<Duration> {
        let now = Instant::now();
        let mut all = self.lock();
        all.retain(|_, until| *until > now);
        all.get(reference).map(|until| *until - now)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One posting under way, as far as it concerns one warehouse.
struct Job<'a> {
    tryton: &'a Tryton,
    place: &'a Place,
    posting: &'a Posting,
    lines: Vec<(&'a PostingLine, Product)>,
    /// Whether anything has been sent that may have changed something.
    sent: bool,
}

impl Tryton {
    pub(super) async fn post_order(&self, posting: &Posting) -> Outcome {
        let jobs = match self.jobs(posting).await {
            Ok(jobs) => jobs,
            Err(fault) => return stopped(fault, false),
        };
        let (mut sent, mut all) = (false, Outcome::Applied);
        for (place, lines) in jobs {
            let mut job = Job { tryton: self, place, posting, lines, sent };
            let outcome = match job.run().await {
                Ok(outcome) => outcome,
                Err(fault) => stopped(fault, job.sent),
            };
            sent = job.sent;
            match outcome {
                Outcome::Applied => {}
                // What a person must mend in one warehouse does not hold up the others.
                Outcome::Rejected { .. } => all = outcome,
                Outcome::Accepted { .. }
                | Outcome::Stale
                | Outcome::Throttled { .. }
                | Outcome::Unauthorized { .. }
                | Outcome::NotSent { .. }
                | Outcome::Unknown { .. } => return if sent { unknown(outcome) } else { outcome },
            }
        }
        all
    }

    /// Returns the posting's lines with their products, for each warehouse that it concerns.
    async fn jobs<'a>(
        &'a self,
        posting: &'a Posting,
    ) -> Result<Vec<(&'a Place, Vec<(&'a PostingLine, Product)>)>, Fault> {
        let products = self.items(posting).await?;
        let lines: Vec<_> = posting.lines.iter().zip(products).collect();
        let mut jobs = Vec::new();
        for (location, place) in self.places().await? {
            let here: Vec<_> = lines.iter().filter(|(line, _)| line.location == *location).cloned().collect();
            if let Some(id) = doubled(&here) {
                return Err(Fault::Refused(format!("two lines are the same product {id} in the ERP")));
            }
            if !here.is_empty() {
                jobs.push((place, here));
            }
        }
        Ok(jobs)
    }

    pub(super) async fn posted_order(&self, posting: &Posting) -> Result<Vec<Totals>, Fault> {
        let mut all = BTreeMap::new();
        for (place, lines) in self.jobs(posting).await? {
            let books = self.books(&posting.reference, place).await?;
            let told = |(line, product): &(&PostingLine, Product)| {
                ((line.location.clone(), line.ids.clone()), books.totals(product.id))
            };
            all.extend(lines.iter().map(told));
        }
        let of = |line: &PostingLine| all.get(&(line.location.clone(), line.ids.clone())).copied();
        Ok(posting.lines.iter().map(|line| of(line).unwrap_or_default()).collect())
    }

    /// Reads what Tryton holds under an order's reference, in one warehouse if there are several.
    async fn books(&self, reference: &str, place: &Place) -> Result<Books, Fault> {
        let context = json!({ "company": place.company });
        let several = self.places().await?.len() > 1;
        let sales = encode::documents("sale.sale", SALE_FIELDS, reference);
        let sales = self.api.search(&sales, &context).await?;
        let internals = encode::documents("stock.shipment.internal", INTERNAL_FIELDS, reference);
        let internals = self.api.search(&internals, &context).await?;
        Ok(Books {
            sales: decode::sales(&sales.body, reference, several.then_some(place.warehouse))?,
            internals: decode::internals(&internals.body, reference, several.then_some(place.storage))?,
        })
    }

    /// Finds the products of a posting, in the order of its lines.
    async fn items(&self, posting: &Posting) -> Result<Vec<Product>, Fault> {
        let places = self.places().await?;
        let company = self.company().await?;
        let mut found: Vec<Product> = Vec::new();
        for portion in posting.lines.chunks(stock::NAMED) {
            let ids: Vec<_> = portion.iter().map(|line| line.ids.clone()).collect();
            let fields = &["code", "default_uom", "list_price_used"];
            let search = Search { model: "product.product", domain: stock::named(&ids), fields };
            let read = self.api.search(&search, &json!({ "company": company })).await?;
            let all = decode::products(&read.body)?;
            for line in portion {
                if !places.iter().any(|(location, _)| *location == line.location) {
                    return Err(Fault::Refused(format!(
                        "no warehouse of this ERP is configured for `{}`",
                        line.location
                    )));
                }
                let mut ours = all.iter().filter(|p| stock::names(p.id, p.code.as_deref(), &line.ids));
                match (ours.next(), ours.next()) {
                    (Some(product), None) => found.push(product.clone()),
                    (None, _) => {
                        return Err(Fault::Refused(format!(
                            "the ERP has no product `{}`, or it is archived",
                            line.ids
                        )));
                    }
                    (Some(_), Some(_)) => {
                        return Err(Fault::Refused(format!("the ERP has several products `{}`", line.ids)));
                    }
                }
            }
        }
        Ok(found)
    }
}

/// What it means for the posting as a whole that something was sent, and the rest was not.
fn unknown(outcome: Outcome) -> Outcome {
    let fault = match outcome {
        Outcome::NotSent { reason } | Outcome::Unauthorized { reason } => reason,
        Outcome::Throttled { .. } => "the ERP throttles".to_owned(),
        Outcome::Applied
        | Outcome::Accepted { .. }
        | Outcome::Stale
        | Outcome::Rejected { .. }
        | Outcome::Unknown { .. } => return outcome,
    };
    Outcome::Unknown { fault }
}

fn doubled(lines: &[(&PostingLine, Product)]) -> Option<i64> {
    let mut ids: Vec<i64> = lines.iter().map(|(_, product)| product.id).collect();
    ids.sort_unstable();
    ids.windows(2).find(|two| two[0] == two[1]).map(|two| two[0])
}

/// What a fault while looking means: once something was sent, the posting may stand half made.
fn stopped(fault: Fault, sent: bool) -> Outcome {
    let reason = fault.to_string();
    match fault {
        Fault::Refused(_) | Fault::NotOffered(_) => Outcome::Rejected { reason },
        _ if sent => Outcome::Unknown { fault: reason },
        Fault::Unauthorized(_) => Outcome::Unauthorized { reason },
        Fault::Throttled { retry_after } => {
            Outcome::Throttled { retry_after_ms: i64::try_from(retry_after.as_millis()).unwrap_or(i64::MAX) }
        }
        Fault::Timeout(_) | Fault::Disconnected(_) | Fault::Server { .. } | Fault::Malformed(_) => {
            Outcome::NotSent { reason }
        }
    }
}

impl Job<'_> {
    async fn run(&mut self) -> Result<Outcome, Fault> {
        let reference = &self.posting.reference;
        let wants = self.wants();
        let mut last: Option<Step> = None;
        let mut refused: Option<String> = None;
        let mut waits = 0;
        for _ in 0..STEPS_MAX {
            let books = self.tryton.books(reference, self.place).await?;
            let mut step = plan::next(&books, &wants, self.posting.sequence);
            debug!(%reference, ?step, "looked at the ERP");
            if step == Step::Done {
                return Ok(Outcome::Applied);
            }
            if let Some(left) = self.tryton.unsettled.left(reference) {
                let fault = format!("a request without an answer may still be at work for {left:.1?}");
                return Ok(Outcome::Unknown { fault });
            }
            if let Step::Wait { sale } = step {
                if waits < WAITS {
                    waits += 1;
                    tokio::time::sleep(WAIT).await;
                    continue;
                }
                // Its own queue is slow, or set to wait; what is sold must count now.
                step = Step::Go(vec![Call::Press(On::Sale, sale, Button::Process)]);
            }
            if last.as_ref() == Some(&step) {
                let why = refused.unwrap_or_else(|| format!("the ERP takes `{step:?}` without effect"));
                return Ok(Outcome::Rejected { reason: why });
            }
            refused = match &step {
                Step::Go(calls) => match self.send_all(calls).await {
                    Ok(refused) => refused,
                    Err(outcome) => return Ok(outcome),
                },
                Step::Refuse(reason) => return Ok(Outcome::Rejected { reason: reason.clone() }),
                Step::Done | Step::Wait { .. } => None,
            };
            last = Some(step);
        }
        Ok(Outcome::Unknown { fault: format!("the targets are not reached after {STEPS_MAX} steps") })
    }

    fn wants(&self) -> BTreeMap<i64, Want> {
        self.lines
            .iter()
            .map(|(line, product)| {
                let code = product.code.as_deref().unwrap_or_default();
                (product.id, Want::new(code, line, self.posting.sequence))
            })
            .collect()
    }

    /// Sends the calls until one is refused, and returns why it was.
    async fn send_all(&mut self, calls: &[Call]) -> Result<Option<String>, Outcome> {
        for call in calls {
            if let Some(refused) = self.send(call).await? {
                info!(reference = %self.posting.reference, ?call, %refused, "the ERP refused");
                return Ok(Some(refused));
            }
        }
        Ok(None)
    }

    async fn send(&mut self, call: &Call) -> Result<Option<String>, Outcome> {
        let state = match self.send_one(call).await? {
            Ok(state) => state,
            Err(refused) => return Ok(Some(refused)),
        };
        match (call, state.as_deref()) {
            // Tryton answers with success whether there was enough stock or not.
            (Call::Assign(id), Some("waiting")) => {
                let force = Call::Press(On::Shipment, *id, Button::AssignForce);
                Ok(self.send_one(&force).await?.err())
            }
            (Call::Press(On::Internal, _, Button::AssignTry), Some("waiting")) => {
                Ok(Some("the ERP has too little stock to take off what is not there".to_owned()))
            }
            _ => Ok(None),
        }
    }

    /// Sends one request. Returns the state it led to, or why it was refused.
    async fn send_one(&mut self, call: &Call) -> Result<Result<Option<String>, String>, Outcome> {
        let tryton = self.tryton;
        let reference = &self.posting.reference;
        let place = self.place;
        let product = |id| {
            let found = self.lines.iter().map(|(_, product)| product).find(|product| product.id == id);
            found.expect("the plan names only products of the posting")
        };
        let request = encode::request(call, place, reference, product);
        match tryton.api.write(&request, place.company).await {
            Ok(state) => {
                self.sent = true;
                Ok(Ok(state))
            }
            Err(Failed::Not(Fault::Refused(refused))) => Ok(Err(refused)),
            Err(Failed::Not(fault)) => Err(stopped(fault, self.sent)),
            Err(Failed::Maybe(fault)) => {
                self.sent = true;
                tryton.unsettled.add(reference, Instant::now() + tryton.options.late);
                Err(stopped(fault, true))
            }
        }
    }
}
