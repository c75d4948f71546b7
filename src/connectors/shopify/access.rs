//! The access token of one shop: a fixed one, or one that lives for a day and is asked for with the client credentials grant.

use reqwest::header::HeaderValue;
use secrecy::SecretString;

use crate::connectors::{
    http::{BadSetting, secret_header},
    shopify::{
        graphql::Trouble,
        options::{Access, Options},
    },
    token::{Grant, NoToken, Token, Tokens},
};

/// Gives out the token that a request carries.
#[derive(Debug)]
pub(super) enum Keys {
    Fixed(HeaderValue),
    Granted(Box<Tokens>),
}

/// A token in use.
#[derive(Debug)]
pub(super) enum Key {
    Fixed(HeaderValue),
    Granted(Token),
}

impl Keys {
    pub(super) fn new(options: &Options) -> Result<Keys, BadSetting> {
        let (id, secret) = match &options.access {
            Access::Token(token) => return Ok(Keys::Fixed(secret_header("access_token", token)?)),
            Access::Client { id, secret } => (id, secret),
        };
        let url = options.base_url.join("admin/oauth/access_token").map_err(|e| BadSetting::NotAUrl {
            key: "base_url".to_owned(),
            text: options.base_url.to_string(),
            why: e.to_string(),
        })?;
        let form = vec![
            ("grant_type", SecretString::from("client_credentials")),
            ("client_id", SecretString::from(id.clone())),
            ("client_secret", secret.clone()),
        ];
        Ok(Keys::Granted(Tokens::new(Grant { url, form, advice }, options.http)?.into()))
    }

    /// Returns the token to use now.
    pub(super) async fn get(&self) -> Result<Key, Trouble> {
        Ok(match self {
            Keys::Fixed(header) => Key::Fixed(header.clone()),
            Keys::Granted(tokens) => Key::Granted(tokens.get().await?),
        })
    }

    /// Notes that the shop has refused a token. Tells whether another one may be had.
    pub(super) async fn refused(&self, key: &Key) -> bool {
        match (self, key) {
            (Keys::Granted(tokens), Key::Granted(token)) => {
                tokens.refused(token).await;
                true
            }
            (Keys::Fixed(_) | Keys::Granted(_), _) => false,
        }
    }
}

impl Key {
    pub(super) fn header(&self) -> HeaderValue {
        match self {
            Key::Fixed(header) => header.clone(),
            Key::Granted(token) => token.header.clone(),
        }
    }
}

impl From<NoToken> for Trouble {
    fn from(none: NoToken) -> Trouble {
        match none {
            NoToken::Refused(why) => Trouble::Unauthorized(why),
            NoToken::Throttled(wait) => Trouble::Throttled(wait),
            NoToken::Unreachable(_) => Trouble::NotSent(none.to_string()),
        }
    }
}

/// The codes that a refusal may hold, and what to do about each. Some answers are a page with the code in it.
const REFUSALS: [(&str, &str); 4] = [
    (
        "shop_not_permitted",
        "app and shop must belong to the same organization of the Dev Dashboard: make the app in the organization that owns \
         the shop, or give an `access_token` in place of `client_id` and `client_secret`",
    ),
    (
        "app_not_installed",
        "the app is not, or no longer, installed in the shop: install it from the Dev Dashboard",
    ),
    (
        "application_cannot_be_found",
        "`client_id` or `client_secret` is wrong, or the secret was exchanged: take both from the app's settings",
    ),
    (
        "invalid_client",
        "`client_id` or `client_secret` is wrong, or the secret was exchanged: take both from the app's settings",
    ),
];

fn advice(code: &str) -> &'static str {
    let known = REFUSALS.iter().find(|(known, _)| code.contains(known));
    known.map_or("check `shop`, `client_id` and `client_secret`", |(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_to_do() {
        let check = |code: &str, want: &str| assert!(advice(code).contains(want), "{code}: {}", advice(code));
        check("shop_not_permitted", "same organization");
        check("app_not_installed", "install it");
        check("<h1>Oauth error application_cannot_be_found: no such app</h1>", "`client_secret` is wrong");
        check("something_new", "check `shop`");
    }
}
