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

/// Why a setting cannot be used. Each names its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadOption {
    #[error("`{key}` must be the shop's own domain such as `example.myshopify.com`, is `{text}`")]
    Shop { key: String, text: String },
    #[error("`{key}` must be an API version such as `2026-10`, is `{text}`")]
    ApiVersion { key: String, text: String },
    #[error("`{key}` must be the digits of a location's id or its `gid://shopify/Location/...`, is `{text}`")]
    Location { key: String, text: String },
}

/// Checks a shop's domain and puts it in lower case. `key` is named in the error.
pub fn shop(key: &str, text: &str) -> Result<String, BadOption> {
    let lower = text.to_ascii_lowercase();
    let bad = || BadOption::Shop { key: key.to_owned(), text: text.to_owned() };
    let name = lower.strip_suffix(".myshopify.com").ok_or_else(bad)?;
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.starts_with('-') || !name.chars().all(ok) {
        return Err(bad());
    }
    Ok(lower)
}

/// Checks an API version. `key` is named in the error.
pub fn api_version(key: &str, text: &str) -> Result<String, BadOption> {
    if text == "unstable" || release(text).is_some() {
        return Ok(text.to_owned());
    }
    Err(BadOption::ApiVersion { key: key.to_owned(), text: text.to_owned() })
}

/// Reads year and month of a version's release.
pub(super) fn release(version: &str) -> Option<(i16, i8)> {
    let (year, month) = version.split_once('-')?;
    if year.len() != 4 || month.len() != 2 {
        return None;
    }
    let (year, month) = (year.parse().ok()?, month.parse().ok()?);
    ((2020..=2199).contains(&year) && (1..=12).contains(&month)).then_some((year, month))
}

/// Reads a location's id as the admin shows it (digits) or as the API writes it. `key` is named in the error.
pub fn location_number(key: &str, text: &str) -> Result<u64, BadOption> {
    let bad = || BadOption::Location { key: key.to_owned(), text: text.to_owned() };
    gid::parse(text).or_else(|| gid::number("Location", text)).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_and_the_error_names_the_key() {
        assert_eq!(shop("k", "My-Shop.myshopify.com"), Ok("my-shop.myshopify.com".to_owned()));
        for bad in [
            "",
            ".myshopify.com",
            "-a.myshopify.com",
            "a.b.myshopify.com",
            "example.com",
            "https://a.myshopify.com",
        ] {
            let error = shop("channels.shopify.main.shop", bad).expect_err(bad).to_string();
            assert!(error.contains("`channels.shopify.main.shop`"), "{error}");
        }
        assert!(api_version("k", "2026-10").is_ok());
        assert!(api_version("k", "unstable").is_ok());
        for bad in ["", "2026", "2026-13", "26-10", "2026-1", "latest"] {
            assert!(api_version("k", bad).is_err(), "{bad}");
        }
        assert_eq!(location_number("k", "106318430514"), Ok(106_318_430_514));
        assert_eq!(location_number("k", "gid://shopify/Location/5"), Ok(5));
        for bad in ["", "-5", "5 ", "main", "gid://shopify/Order/5"] {
            assert!(location_number("k", bad).is_err(), "{bad}");
        }
    }
}
