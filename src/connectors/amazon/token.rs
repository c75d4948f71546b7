//! Access tokens of Login with Amazon (LWA): what is asked for one, and what its refusals mean.

use secrecy::SecretString;
use url::Url;

use crate::connectors::token::Grant as Asked;

#[cfg(test)]
mod tests;

/// Who asks for tokens.
#[derive(Debug, Clone)]
pub(super) struct Credentials {
    pub(super) lwa_url: Url,
    pub(super) client_id: String,
    pub(super) client_secret: SecretString,
    pub(super) grant: Grant,
}

/// What a token is asked for.
#[derive(Debug, Clone)]
pub(super) enum Grant {
    /// In the name of the seller who gave this refresh token.
    Seller(SecretString),
    /// In the app's own name, for the operations of a scope.
    App(&'static str),
}

/// The operations that make destinations of notifications.
pub(super) const NOTIFICATIONS: &str = "sellingpartnerapi::notifications";

impl Credentials {
    /// Returns what is asked of the token endpoint.
    pub(super) fn asked(self) -> Asked {
        let [kind, what] = match self.grant {
            Grant::Seller(token) => {
                [("grant_type", SecretString::from("refresh_token")), ("refresh_token", token)]
            }
            Grant::App(scope) => [
                ("grant_type", SecretString::from("client_credentials")),
                ("scope", SecretString::from(scope)),
            ],
        };
        let form = vec![
            kind,
            what,
            ("client_id", SecretString::from(self.client_id)),
            ("client_secret", self.client_secret),
        ];
        Asked { url: self.lwa_url, form, advice }
    }
}

fn advice(code: &str) -> &'static str {
    match code {
        "invalid_grant" => {
            "`refresh_token` is wrong, was revoked or belongs to another app: authorise the app again and replace it"
        }
        "invalid_client" => {
            "`client_id` or `client_secret` is wrong; a secret ends after 180 days: take the current one"
        }
        "unauthorized_client" => "the app may not use this grant: check its registration and `client_id`",
        _ => "check `lwa_url`, `client_id`, `client_secret` and `refresh_token`",
    }
}
