//! What the environment may and may not replace.

use super::*;
use crate::config::SecretSource;

fn with(variables: &[(&str, &str)]) -> Result<Config, Problems> {
    let env: Env = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::parse("evenkeel.toml", EXAMPLE, &env)
}

#[test]
fn single_values_are_replaced_by_kind() {
    let config = with(&[
        ("EVENKEEL__STORE__PATH", "/data"),
        ("EVENKEEL__WEB__QUEUE_MAX", "7"),
        ("EVENKEEL__MAPPING__IGNORE_CASE", "true"),
        ("EVENKEEL__CHANNELS__AMAZON__US__RATES__GET_ORDER__PER_SECOND", "0.25"),
        ("EVENKEEL__CHANNELS__SHOPIFY__MAIN__LOCATION_ID", "0077"),
        ("EVENKEEL__CHANNELS__SHOPIFY__MAIN__BUFFER", "3"),
        ("EVENKEEL__MODE", "shadow"),
        ("EVENKEEL_SPECS", "/elsewhere"),
        ("PATH", "/bin"),
    ])
    .expect("all are good");
    assert_eq!(config.store.path.to_str(), Some("/data"));
    assert_eq!(config.web.queue_max, 7);
    assert!(config.mapping.ignore_case);
    assert_eq!(config.mode, crate::model::policy::Mode::Shadow);
    let amazon: Vec<f64> = config.amazon.values().map(|c| c.rates.get_order.per_second).collect();
    assert!((amazon[0] - 0.25).abs() < f64::EPSILON);
    let shop = config.shopify.values().next().expect("one shop");
    assert_eq!((shop.outlets[0].id.as_str(), shop.selling.buffer.units()), ("77", 3));
}

#[test]
fn a_secret_may_be_sent_elsewhere_but_not_given() {
    let example = EXAMPLE.replacen("access_token = { credential = \"shopify-main-token\" }\n", "", 1);
    let env: Env = [("EVENKEEL__CHANNELS__SHOPIFY__MAIN__ACCESS_TOKEN__ENV", "SHOP_TOKEN")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let config = Config::parse("evenkeel.toml", &example, &env).expect("it is good");
    let shop = config.shopify.values().next().expect("one shop");
    assert_eq!(shop.access.secret().source, SecretSource::Env("SHOP_TOKEN".to_owned()));

    let told = told(with(&[("EVENKEEL__CHANNELS__SHOPIFY__MAIN__ACCESS_TOKEN", "shpat_1234")]));
    let want = "EVENKEEL__CHANNELS__SHOPIFY__MAIN__ACCESS_TOKEN: channels.shopify.main.access_token: \
                a secret is not given by this variable; \
                name a variable that holds it: `EVENKEEL__CHANNELS__SHOPIFY__MAIN__ACCESS_TOKEN__ENV=NAME`";
    assert_eq!(told, [want]);
}

#[test]
fn what_does_not_fit_is_told_by_the_name_of_the_variable() {
    for (name, value, want) in [
        (
            "EVENKEEL__STOER__PATH",
            "/",
            "EVENKEEL__STOER__PATH: stoer.path: unknown key; did you mean `store`?",
        ),
        ("EVENKEEL__STORE__PATH__X", "/", "EVENKEEL__STORE__PATH__X: store.path.x: unknown key"),
        (
            "EVENKEEL__WEB__QUEUE_MAX",
            "many",
            "EVENKEEL__WEB__QUEUE_MAX: web.queue_max: must be a whole number, is `many`",
        ),
        (
            "EVENKEEL__WEB__QUEUE_MAX",
            "0",
            "EVENKEEL__WEB__QUEUE_MAX: web.queue_max: must be from `1` to `1000000`, is `0`",
        ),
        (
            "EVENKEEL__MAPPING__TRIM",
            "yes",
            "EVENKEEL__MAPPING__TRIM: mapping.trim: must be `true` or `false`, is `yes`",
        ),
        ("EVENKEEL__WEB", "x", "EVENKEEL__WEB: web: tables cannot be set from the environment"),
        (
            "EVENKEEL__LOCATIONS",
            "x",
            "EVENKEEL__LOCATIONS: locations: lists cannot be set from the environment",
        ),
        (
            "EVENKEEL__LOCATIONS__0__ID",
            "x",
            "EVENKEEL__LOCATIONS__0__ID: locations.0.id: lists cannot be set from the environment",
        ),
        (
            "EVENKEEL__MODE",
            "lvie",
            "EVENKEEL__MODE: mode: must be `live` or `shadow`, is `lvie`; did you mean `live`?",
        ),
    ] {
        assert_eq!(told(with(&[(name, value)])), [want], "{name}={value}");
    }
}

#[test]
fn problems_of_file_and_environment_are_told_together() {
    let env: Env = [("EVENKEEL__WEB__QUEUE_MAX".to_owned(), "many".to_owned())].into();
    let text = edited(&[("mode = \"live\"", "mode = \"lvie\"")]);
    assert_eq!(told(Config::parse("evenkeel.toml", &text, &env)).len(), 2);
}
