//! Delivers webhooks: signed, retried eight times with growing pauses, and with the faults of the dials. Deliveries are
//! independent of each other: order is not kept, and a receiver that is down delays nobody but itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::redirect::Policy;
use sha2::Sha256;
use tokio::sync::Semaphore;
use tokio::time::{sleep, sleep_until};
use tokio_util::task::TaskTracker;

use crate::sandbox::Error;
use crate::sandbox::clock::iso_millis;
use crate::sandbox::dice::Dice;
use crate::sandbox::options::Span;
use crate::sandbox::world::{Shared, signed};

use super::app::{LATEST, only};
use super::webhooks::Letter;

/// Pauses before the eight retries, in seconds; together they take four hours.
const RETRY_SECS: [f64; 8] = [10.0, 60.0, 240.0, 600.0, 1200.0, 2400.0, 3900.0, 5990.0];
/// One second to connect and five in all, as Shopify waits.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Deliveries under way at once.
const AT_ONCE: usize = 32;
/// How much later a webhook struck by the `reordered` fault is sent.
const REORDERED: Span = Span::new(200, 2_000);

struct Delivery {
    letter: Letter,
    /// Made at the first try and the same for all.
    body: Option<Bytes>,
    tries: usize,
}

pub(in crate::sandbox) struct Mailer {
    shared: Arc<Shared>,
    client: reqwest::Client,
    dice: Dice,
    /// By time due.
    queue: BTreeMap<(i64, u64), Delivery>,
    queued: u64,
}

impl Mailer {
    pub(in crate::sandbox) fn new(shared: Arc<Shared>) -> Result<Mailer, Error> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .no_proxy()
            .build()
            .map_err(Error::Client)?;
        let dice = Dice::new(shared.options.seed, 4);
        Ok(Mailer { shared, client, dice, queue: BTreeMap::new(), queued: 0 })
    }

    /// Delivers until the shutdown.
    pub(in crate::sandbox) async fn run(mut self) {
        let (back, mut returned) = tokio::sync::mpsc::channel::<Delivery>(AT_ONCE);
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let tries = TaskTracker::new();
        loop {
            self.collect();
            let next =
                self.queue.first_key_value().map(|((due_ms, _), _)| self.shared.clock.instant(*due_ms));
            let due = async {
                match next {
                    Some(instant) => {
                        sleep_until(instant).await;
                        Arc::clone(&permits).acquire_owned().await
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                permit = due => {
                    let Some((_, delivery)) = self.queue.pop_first() else { continue };
                    let attempt = self.attempt(delivery, back.clone());
                    tries.spawn(async move {
                        attempt.await;
                        drop(permit);
                    });
                }
                Some(failed) = returned.recv() => self.retry(failed),
                () = self.shared.mail.notified() => {}
                () = self.shared.shutdown.cancelled() => break,
            }
        }
    }

    /// Takes new webhooks over from the shop, each with its fate.
    fn collect(&mut self) {
        let shared = Arc::clone(&self.shared);
        let letters: Vec<Letter> = shared.with(|world, _| {
            world.shopify.mail_in_hand += world.shopify.mail.len();
            world.shopify.mail.drain(..).collect()
        });
        for letter in letters {
            let dials = shared.with(|world, _| world.faults.webhooks);
            if self.dice.chance(dials.dropped) {
                shared.with(|world, _| {
                    world.shopify.mail_in_hand -= 1;
                    world.shopify.mail_lost += 1;
                });
                continue;
            }
            let copies = if self.dice.chance(dials.duplicated) { 2 } else { 1 };
            shared.with(|world, _| world.shopify.mail_in_hand += copies - 1);
            for _ in 0..copies {
                let mut delay = self.dice.within(shared.options.shopify.webhook_delay_ms);
                if self.dice.chance(dials.reordered) {
                    delay += self.dice.within(REORDERED);
                }
                let due_ms = letter.triggered_ms + signed(delay);
                self.enqueue(due_ms, Delivery { letter: letter.clone(), body: None, tries: 0 });
            }
        }
    }

    fn enqueue(&mut self, due_ms: i64, delivery: Delivery) {
        self.queued += 1;
        self.queue.insert((due_ms, self.queued), delivery);
    }

    /// Plans the next try of a delivery that failed, or gives it up.
    fn retry(&mut self, failed: Delivery) {
        let scale = self.shared.options.shopify.webhook_retry_scale;
        match RETRY_SECS.get(failed.tries - 1) {
            Some(secs) => {
                let pause = Duration::from_secs_f64((secs * scale).max(0.0));
                let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX / 4);
                let due_ms = self.shared.clock.now_ms() + pause_ms;
                self.enqueue(due_ms, failed);
            }
            None => self.shared.with(|world, _| {
                world.shopify.mail_in_hand -= 1;
                world.shopify.mail_given_up += 1;
            }),
        }
    }

    /// One try; what fails comes back over the channel.
    fn attempt(
        &self,
        mut delivery: Delivery,
        back: tokio::sync::mpsc::Sender<Delivery>,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (shared, client) = (Arc::clone(&self.shared), self.client.clone());
        async move {
            delivery.tries += 1;
            let letter = &delivery.letter;
            let body = delivery.body.get_or_insert_with(|| {
                let body = shared.with(|world, _| world.shopify.body(&letter.subject));
                let body = letter.to.as_ref().map_or(body.clone(), |to| only(&body, &to.include_fields));
                Bytes::from(body.to_string())
            });
            let target = match &letter.to {
                Some(to) => to.uri.parse().ok(),
                None => shared.with(|world, _| world.shopify.webhook_url.clone()),
            };
            let delivered = match target {
                Some(target) => deliver(sign(client.post(target), letter, body, &shared)).await,
                None => false,
            };
            if let Some(to) = &letter.to {
                shared.with(|world, _| world.shopify.app.delivered(to.number, delivered));
            }
            if delivered {
                shared.with(|world, _| {
                    world.shopify.mail_in_hand -= 1;
                    world.shopify.mail_delivered += 1;
                });
            } else {
                // The mailer is gone only when the sandbox is.
                drop(back.send(delivery).await);
            }
        }
    }
}

async fn deliver(request: reqwest::RequestBuilder) -> bool {
    // Redirects count as failures, so only 2xx is a success.
    match request.send().await {
        Ok(response) => response.status().is_success(),
        Err(_) => {
            // A target that refuses connections would otherwise be tried again within the same millisecond.
            sleep(Duration::from_millis(1)).await;
            false
        }
    }
}

fn sign(
    request: reqwest::RequestBuilder,
    letter: &Letter,
    body: &Bytes,
    shared: &Shared,
) -> reqwest::RequestBuilder {
    let options = &shared.options.shopify;
    let request = request
        .header("Content-Type", "application/json")
        .header("X-Shopify-Topic", letter.topic)
        .header("X-Shopify-Hmac-Sha256", signature(options.client_secret.as_bytes(), body))
        .header("X-Shopify-Shop-Domain", options.shop.as_str())
        .header("X-Shopify-API-Version", LATEST)
        .header("X-Shopify-Webhook-Id", letter.webhook_id.as_str())
        .header("X-Shopify-Event-Id", letter.event_id.as_str())
        .header("X-Shopify-Triggered-At", iso_millis(letter.triggered_ms));
    let name = letter.to.as_ref().and_then(|to| to.name.clone());
    let request = match name {
        Some(name) => request.header("X-Shopify-Name", name),
        None => request,
    };
    request.body(body.clone())
}

/// The base64 of the HMAC-SHA256 of the raw body.
pub(super) fn signature(secret: &[u8], body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes a key of any length");
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}
