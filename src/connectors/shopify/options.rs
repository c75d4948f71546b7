//! What one shop's connector needs to know, and the checks of what an operator may write.

use secrecy::SecretString;
use url::Url;

use crate::{
    connectors::{http, shopify::gid},
    model::LocationId,
};

/// The API version that the queries were written and validated for.
pub const API_VERSION: &str = "2026-10";

/// Settings of one shop.
#[derive(Debug, Clone)]
pub struct Options {
    /// The shop's own domain, in lower case (`example.myshopify.com`). Webhooks that name another are refused.
    pub shop: String,
    /// Where the API is; `https://` and the shop's domain unless it is simulated.
    pub base_url: Url,
    /// The pinned API version, `YYYY-MM`.
    pub api_version: String,
    pub access_token: SecretString,
    /// The app's client secrets: the current one, and for an hour after a rotation the old one too. Empty: every
    /// webhook is refused.
    pub webhook_secrets: Vec<SecretString>,
    pub location: Location,
    pub http: http::Options,
}

/// The one location of the shop that is written and read, and what it is called here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    pub id: LocationId,
    /// Shopify's number of it.
    pub number: u64,
}

impl Location {
    pub(super) fn gid(&self) -> String {
        gid::gid("Location", self.number)
    }
}

/// Reads year and month of a version's release, `YYYY-MM`.
pub(super) fn release(version: &str) -> Option<(i16, i8)> {
    let (year, month) = version.split_once('-')?;
    if year.len() != 4 || month.len() != 2 {
        return None;
    }
    let (year, month) = (year.parse().ok()?, month.parse().ok()?);
    ((2020..=2199).contains(&year) && (1..=12).contains(&month)).then_some((year, month))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_year_and_a_month() {
        assert_eq!(release("2026-10"), Some((2026, 10)));
        for other in ["", "2026", "2026-13", "26-10", "2026-1", "unstable"] {
            assert_eq!(release(other), None, "{other}");
        }
    }
}
