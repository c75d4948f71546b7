//! What one shop's connector needs to know, and the checks of what an operator may write.

use secrecy::SecretString;
use url::Url;

use crate::{
    connectors::{http, shopify::gid},
    model::{IdKind, Identifiers, Instance, LocationId},
};

/// The API version that the queries were written and validated for.
pub const API_VERSION: &str = "2026-10";

/// Up to how many variants a shop is compared page by page, unless configured.
pub const BULK_ABOVE: u64 = 5_000;

/// Settings of one shop.
#[derive(Debug, Clone)]
pub struct Options {
    /// The shop's own domain, in lower case (`example.myshopify.com`). Webhooks that name another are refused.
    pub shop: String,
    /// Where the API is; `https://` and the shop's domain unless it is simulated.
    pub base_url: Url,
    /// The pinned API version, `YYYY-MM`.
    pub api_version: String,
    pub access: Access,
    /// The app's client secrets: the current one, and for an hour after a rotation the old one too. Empty: every
    /// webhook is refused. The client's own needs not be among them.
    pub webhook_secrets: Vec<SecretString>,
    /// Where webhooks are to be sent. `None`: their subscriptions are not looked after.
    pub hooks: Option<Hooks>,
    pub locations: Locations,
    /// A shop with more variants is compared by a bulk operation. Shopify counts to 10,000.
    pub bulk_above: u64,
    pub http: http::Options,
}

/// Where webhooks are to be sent.
#[derive(Debug, Clone)]
pub struct Hooks {
    /// Our door for this shop, as it is reached from the internet.
    pub uri: Url,
    /// Tells our subscriptions from those of another daemon that uses the same app.
    pub instance: Instance,
}

/// How the shop knows who we are.
#[derive(Debug, Clone)]
pub enum Access {
    /// A token that does not end.
    Token(SecretString),
    /// An app that asks for tokens by itself. Its secret signs its webhooks too.
    Client { id: String, secret: SecretString },
}

impl Options {
    /// Returns what may sign webhooks.
    pub(super) fn signers(&self) -> impl Iterator<Item = &SecretString> {
        let own = match &self.access {
            Access::Client { secret, .. } => Some(secret),
            Access::Token(_) => None,
        };
        own.into_iter().chain(&self.webhook_secrets)
    }

    /// Tells whether webhooks are to come.
    pub(super) fn is_pushed_to(&self) -> bool {
        self.hooks.is_some() || !self.webhook_secrets.is_empty()
    }
}

/// One location of the shop that is written and read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Location {
    /// Where its sales are booked: the first that its quantities draw on.
    pub id: LocationId,
    /// Shopify's number of it.
    pub number: u64,
    /// Items that are not stocked there are, once they are to show something.
    pub stocks: bool,
}

impl Location {
    pub(super) fn gid(&self) -> String {
        gid::gid("Location", self.number)
    }
}

/// The locations of the shop that are written and read: at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locations(Vec<Location>);

impl Locations {
    /// Returns `None` if there is none.
    pub fn new(locations: Vec<Location>) -> Option<Locations> {
        (!locations.is_empty()).then_some(Locations(locations))
    }

    /// Tells whether it matters at which of them something is.
    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Location> {
        self.0.iter()
    }

    pub(super) fn nth(&self, nth: usize) -> Option<&Location> {
        self.0.get(nth)
    }

    pub(super) fn numbered(&self, number: u64) -> Option<&Location> {
        self.0.iter().find(|location| location.number == number)
    }

    /// Returns the location at which a listing is: the first, unless it names one. Err: it names another.
    pub(super) fn of(&self, ids: &Identifiers) -> Result<&Location, String> {
        let found = match ids.get(IdKind::Location) {
            None => self.0.first(),
            Some(text) => gid::parse(text).and_then(|number| self.numbered(number)),
        };
        let named = || ids.get(IdKind::Location).unwrap_or_default();
        found.ok_or_else(|| format!("the shop's location `{}` is not configured for the channel", named()))
    }

    /// Returns what a listing at a location goes by: where there are several, the location too.
    pub(super) fn named(&self, location: &Location, ids: Identifiers) -> Identifiers {
        if !self.are_several() {
            return ids;
        }
        let number = location.number.to_string();
        let place = Identifiers::new([(IdKind::Location, number.as_str())]);
        place.map_or(ids.clone(), |place| ids.and(&place))
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
