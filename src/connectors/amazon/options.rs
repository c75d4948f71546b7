//! What the Amazon connector is told, and what of it cannot work.
//!
//! Owns the documented defaults. Knows no file and no environment: secrets arrive read.

use std::{num::NonZeroU32, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::encode;
use crate::{
    connectors::{http, limit::Rate, sqs},
    model::{LocationId, Timestamp},
};

/// Amazon's token endpoint, one for all regions.
pub const LWA_URL: &str = "https://api.amazon.com/auth/o2/token";

/// The generic product type, which Amazon's own examples use for quantities.
pub const PRODUCT_TYPE: &str = "PRODUCT";

/// What the daemon calls itself in `User-Agent`, unless told otherwise.
pub const APPLICATION: &str = "evenkeel";

/// An account with more listings than this is compared by reports, unless told otherwise.
pub const REPORT_ABOVE: u64 = 5_000;

/// One seller account in one region.
#[derive(Debug, Clone)]
pub struct Options {
    /// The region's endpoint.
    pub base_url: Url,
    /// Where access tokens come from.
    pub lwa_url: Url,
    /// The merchant token. It cannot be found out from the credentials.
    pub seller_id: String,
    /// The stores that are followed. All lie in the endpoint's region.
    pub marketplace_ids: Vec<String>,
    pub client_id: String,
    pub client_secret: SecretString,
    pub refresh_token: SecretString,
    /// The location whose stock the account's own (merchant-fulfilled) listings show.
    pub location: LocationId,
    /// The location of what Amazon ships itself (FBA), which is only read.
    pub own_location: Option<LocationId>,
    pub product_type: String,
    /// With more listings than this, snapshots go by reports.
    pub report_above: u64,
    /// Many quantities may be written as one feed.
    pub feeds: bool,
    /// The application's name in `User-Agent`.
    pub application: String,
    pub rates: Rates,
    pub timing: Timing,
    /// When the client secret was made.
    pub secret_since: Option<Timestamp>,
    /// The queue that Amazon puts notifications into.
    pub queue: Option<sqs::Options>,
    /// Bounds of every request but those for tokens.
    pub http: http::Options,
}

/// How often each operation may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    pub patch_listing: Rate,
    pub get_listing: Rate,
    pub search_listings: Rate,
    pub search_orders: Rate,
    pub get_order: Rate,
    pub summaries: Rate,
}

impl Default for Rates {
    /// Returns the usage plans of the API models. Each burst is one below Amazon's, because a fresh limiter lets
    /// burst and refill through in its first window.
    fn default() -> Rates {
        let rate = |every_ms, burst| Rate {
            every: Duration::from_millis(every_ms),
            burst: NonZeroU32::new(burst).expect("the bursts below are not zero"),
        };
        Rates {
            patch_listing: rate(200, 4),
            get_listing: rate(200, 9),
            search_listings: rate(200, 4),
            // 0.0056 a second, rounded up.
            search_orders: rate(178_572, 19),
            get_order: rate(2_000, 29),
            summaries: rate(500, 1),
        }
    }
}

/// What is assumed of Amazon's delays, in milliseconds. None of them is promised by Amazon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// An accepted quantity takes "a few minutes" to show; hours were reported.
    pub visible_ms: i64,
    /// Until when a write may still land after we gave it up. Amazon names a bound (8 h) for feeds only.
    pub late_ms: i64,
    /// Wait before the first look at a written quantity.
    pub look_ms: i64,
    /// How old what is read may be.
    pub stale_ms: i64,
    /// How long an order may take to appear: the search leaves out the last two minutes, and one more is assumed.
    pub feed_lag_ms: i64,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing {
            visible_ms: 30 * 60_000,
            late_ms: 8 * 3_600_000,
            look_ms: 60_000,
            stale_ms: 60_000,
            feed_lag_ms: 3 * 60_000,
        }
    }
}

/// A setting that cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` {why}")]
pub struct Problem {
    pub key: &'static str,
    pub why: String,
}

/// The most marketplaces that one order search takes.
const MARKETPLACES_MAX: usize = 50;

impl Options {
    /// Returns everything that is wrong, without touching the network.
    pub fn problems(&self) -> Vec<Problem> {
        let mut all = Vec::new();
        let mut bad = |key, why: &str| all.push(Problem { key, why: why.to_owned() });
        for (key, url) in [("base_url", &self.base_url), ("lwa_url", &self.lwa_url)] {
            if url.scheme() != "https" && !(url.scheme() == "http" && http::is_loopback(url)) {
                bad(key, &format!("must be https (http is taken for loopback only), is `{url}`"));
            }
            if !url.username().is_empty()
                || url.password().is_some()
                || url.query().is_some()
                || url.fragment().is_some()
            {
                bad(key, "must hold no user, password, query or fragment");
            }
        }
        let plain = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
        if !plain(&self.seller_id) {
            let why = format!("must be the merchant token (letters and digits), is `{}`", self.seller_id);
            bad("seller_id", &why);
        }
        if !(1..=MARKETPLACES_MAX).contains(&self.marketplace_ids.len()) {
            bad("marketplace_ids", &format!("must name 1 to {MARKETPLACES_MAX} marketplaces"));
        }
        for id in self.marketplace_ids.iter().filter(|id| !plain(id)) {
            bad("marketplace_ids", &format!("must be ids such as `ATVPDKIKX0DER`, holds `{id}`"));
        }
        for (key, text) in [("client_id", self.client_id.as_str()), ("product_type", &self.product_type)] {
            if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
                bad(key, &format!("must be one printable word, is `{}`", text.escape_debug()));
            }
        }
        for (key, secret) in [("client_secret", &self.client_secret), ("refresh_token", &self.refresh_token)]
        {
            let text = secret.expose_secret();
            if text.is_empty() || text.trim() != text {
                bad(key, "must not be empty or have white space around it");
            }
        }
        if let Err(why) = encode::user_agent(&self.application) {
            bad("application", &why);
        }
        for (key, ms) in self.timing.named() {
            if ms < 0 {
                bad(key, &format!("must not be below zero, is `{ms}`"));
            }
        }
        all
    }
}

impl Timing {
    fn named(&self) -> [(&'static str, i64); 5] {
        [
            ("visible_ms", self.visible_ms),
            ("late_ms", self.late_ms),
            ("look_ms", self.look_ms),
            ("stale_ms", self.stale_ms),
            ("feed_lag_ms", self.feed_lag_ms),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::amazon::testing::options;

    #[track_caller]
    fn check(change: impl FnOnce(&mut Options), want: &[&str]) {
        let mut options = options("https://sellingpartnerapi-na.amazon.com");
        change(&mut options);
        let got: Vec<&str> = options.problems().iter().map(|p| p.key).collect();
        assert_eq!(got, want);
    }

    #[test]
    fn every_bad_setting_is_named() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        check(|_| {}, &[]);
        check(|o| o.base_url = url("http://127.0.0.1:8080"), &[]);
        check(|o| o.lwa_url = url("http://localhost:1/x"), &[]);
        check(|o| o.base_url = url("http://example.com"), &["base_url"]);
        check(|o| o.lwa_url = url("https://a:b@example.com"), &["lwa_url"]);
        check(|o| o.seller_id = "a/b".to_owned(), &["seller_id"]);
        check(|o| o.marketplace_ids.clear(), &["marketplace_ids"]);
        check(|o| o.marketplace_ids.push("A,B".to_owned()), &["marketplace_ids"]);
        check(|o| o.client_id = String::new(), &["client_id"]);
        check(|o| o.client_secret = SecretString::from("x\n"), &["client_secret"]);
        check(|o| o.refresh_token = SecretString::from(""), &["refresh_token"]);
        check(|o| o.product_type = String::new(), &["product_type"]);
        check(|o| o.application = "x".repeat(500), &["application"]);
        check(|o| o.timing.late_ms = -1, &["late_ms"]);
    }

    #[test]
    fn all_problems_are_told_at_once_and_no_secret_is() {
        let mut options = options("ftp://x");
        options.seller_id.clear();
        options.client_secret = SecretString::from(" hush ");
        let told: Vec<String> = options.problems().iter().map(Problem::to_string).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(!told.concat().contains("hush"));
        assert!(!format!("{options:?}").contains("hush"));
    }
}
