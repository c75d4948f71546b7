use super::*;
use crate::{connectors::http, model::LocationId};
use secrecy::SecretString;
pub(super) fn options(base: &str) -> Options {
    Options {
        shop: "example.myshopify.com".to_owned(),
        base_url: http::base_url("base_url", base).expect("good"),
        api_version: options::API_VERSION.to_owned(),
        access_token: SecretString::from("shpat_test"),
        webhook_secrets: vec![SecretString::from("hush")],
        location: options::Location { id: LocationId::new("main").expect("good"), number: 5 },
        http: http::Options::default(),
    }
}
