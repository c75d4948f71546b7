//! Cost points: each app has a bucket of its own in the shop, whichever of its tokens are used.

use serde_json::{Value, json};

use crate::sandbox::bucket::Bucket;
use crate::sandbox::options::ShopifyOptions;

/// Which app a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// The app that all the rest here is about.
    Own,
    /// Another app of the same shop.
    Other,
}

/// The buckets of all apps.
pub(super) struct Points {
    own: Meter,
    other: Meter,
}

/// An app's bucket, and what became of its requests.
pub(super) struct Meter {
    pub(super) bucket: Bucket,
    pub(super) served: u64,
    pub(super) throttled: u64,
}

impl Points {
    /// Full buckets.
    pub(super) fn new(options: &ShopifyOptions, now_ms: i64) -> Points {
        let full = || Bucket::new(options.bucket, options.restore_per_second, now_ms);
        let meter = || Meter { bucket: full(), served: 0, throttled: 0 };
        Points { own: meter(), other: meter() }
    }

    pub(super) fn of(&mut self, client: Client) -> &mut Meter {
        match client {
            Client::Own => &mut self.own,
            Client::Other => &mut self.other,
        }
    }

    pub(super) fn report(&self) -> Value {
        let of = |meter: &Meter| json!({"served": meter.served, "throttled": meter.throttled});
        json!({"own": of(&self.own), "other": of(&self.other)})
    }
}

impl Meter {
    /// Takes what a request may cost, if it is there.
    pub(super) fn take(&mut self, cost: f64, now_ms: i64) -> bool {
        let taken = self.bucket.take(cost, now_ms);
        self.served += u64::from(taken);
        self.throttled += u64::from(!taken);
        taken
    }
}
