//! Secrets from files, credentials and the environment.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use secrecy::ExposeSecret;

use super::*;
use crate::config::Secrets;

const NAMES: [&str; 5] = [
    "shopify-main-token",
    "shopify-main-webhook",
    "amazon-us-client-secret",
    "amazon-us-refresh-token",
    "tryton-erp-key",
];

fn put(directory: &Path, name: &str, content: &[u8], mode: u32) {
    let path = directory.join(name);
    fs::write(&path, content).expect("a file in a fresh directory");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("own file");
}

fn credentials() -> (tempfile::TempDir, Env) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for name in NAMES {
        put(directory.path(), name, format!("{name}!\n").as_bytes(), 0o440);
    }
    let path = directory.path().display().to_string();
    (directory, [("CREDENTIALS_DIRECTORY".to_owned(), path)].into())
}

#[test]
fn credentials_are_read_without_their_final_newline_and_are_not_shown() {
    let (_directory, env) = credentials();
    let config = parse(EXAMPLE).expect("the example is good");
    let secrets = Secrets::load(&config, &env).expect("all are there");
    let shop = secrets.shopify.values().next().expect("one shop");
    assert_eq!(shop.access.expose_secret(), "shopify-main-token!");
    assert_eq!(shop.webhook_secrets[0].expose_secret(), "shopify-main-webhook!");
    let amazon = secrets.amazon.values().next().expect("one seller");
    assert_eq!(amazon.refresh_token.expose_secret(), "amazon-us-refresh-token!");
    assert_eq!(amazon.client_secret.expose_secret(), "amazon-us-client-secret!");
    assert_eq!(secrets.tryton.values().next().expect("one ERP").key.expose_secret(), "tryton-erp-key!");
    assert!(secrets.alerts_webhook.is_none());
    assert!(!format!("{secrets:?}").contains('!'));
}

#[test]
fn everything_that_is_missing_is_told_at_once_with_its_line() {
    let config = parse(EXAMPLE).expect("the example is good");
    let problems = Secrets::load(&config, &Env::new()).expect_err("nothing is there");
    assert_eq!(problems.count(), NAMES.len());
    assert!(problems.iter().all(|problem| problem.place.is_some()), "{problems}");
    let first = problems.to_string();
    let want = "channels.shopify.main.access_token: `CREDENTIALS_DIRECTORY` is not set, so there is no credential \
                `shopify-main-token`; start it by systemd with `LoadCredential=shopify-main-token:/path`, set \
                `CREDENTIALS_DIRECTORY` to the directory that holds it, or use `file`";
    assert!(first.lines().next().is_some_and(|line| line.ends_with(want)), "{first}");
}

/// Loads the example with the shop's token taken from `file`, and returns what is said of it.
fn token_file(content: &[u8], mode: u32) -> Option<String> {
    let (directory, env) = credentials();
    put(directory.path(), "token", content, mode);
    let path = directory.path().join("token");
    let value = format!("{{ file = \"{}\" }}", path.display());
    let text = edited(&[("{ credential = \"shopify-main-token\" }", &value)]);
    let problems = Secrets::load(&parse(&text).expect("good"), &env).err()?;
    assert_eq!(problems.count(), 1, "{problems}");
    let told = problems.iter().next().map(|problem| problem.message.clone())?;
    Some(told.replace(&path.display().to_string(), "FILE"))
}

#[test]
fn a_file_that_others_can_read_and_a_secret_that_is_none_are_refused() {
    let large = vec![b'x'; 64 * 1024 + 1];
    for (content, mode, want) in [
        (b"shpat_1\n".as_slice(), 0o600, None),
        (b"shpat_1\r\n", 0o400, None),
        (b"shpat_1", 0o640, Some("`FILE` can be read or written by others than its owner (mode `640`)")),
        (b"shpat_1", 0o604, Some("`FILE` can be read or written by others than its owner (mode `604`)")),
        (b"", 0o600, Some("the secret is empty")),
        (b"\n", 0o600, Some("the secret is empty")),
        (b" shpat_1\n", 0o600, Some("the secret must be one line without white space around it")),
        (b"shpat_1\nshpat_2\n", 0o600, Some("the secret must be one line without white space around it")),
        (b"\xff\xfe", 0o600, Some("the secret is not UTF-8 text")),
        (&large, 0o600, Some("`FILE` is larger than `65536` bytes")),
    ] {
        assert_eq!(token_file(content, mode).as_deref(), want, "{mode:o}");
    }
}

#[test]
fn a_credential_may_show_the_mask_of_its_acl_but_not_be_open_to_the_world() {
    let (directory, env) = credentials();
    let config = parse(EXAMPLE).expect("the example is good");
    put(directory.path(), "tryton-erp-key", b"k", 0o444);
    let problems = Secrets::load(&config, &env).expect_err("the world can read it");
    assert_eq!(problems.count(), 1, "{problems}");
}

#[test]
fn the_environment_gives_a_secret_or_says_which_variable_is_missing() {
    let (_directory, mut env) = credentials();
    let text = edited(&[("{ credential = \"shopify-main-token\" }", "{ env = \"SHOP_TOKEN\" }")]);
    let config = parse(&text).expect("good");
    let problems = Secrets::load(&config, &env).expect_err("it is not set");
    assert!(problems.to_string().ends_with("the environment variable `SHOP_TOKEN` is not set"), "{problems}");
    env.insert("SHOP_TOKEN".to_owned(), "shpat_1".to_owned());
    let secrets = Secrets::load(&config, &env).expect("it is set");
    let shop = secrets.shopify.values().next().expect("one shop");
    assert_eq!(shop.access.expose_secret(), "shpat_1");
}

#[test]
fn the_address_for_alerts_must_be_one() {
    let (_directory, mut env) = credentials();
    let text = edited(&[(
        "# webhook_secret = { credential = \"alerts-webhook\" }",
        "webhook_secret = { env = \"HOOK\" }",
    )]);
    let config = parse(&text).expect("good");
    for (address, good) in [
        ("https://hooks.example.org/T0/B0/x", true),
        ("http://127.0.0.1:9/x", true),
        ("http://hooks.example.org/x", false),
        ("hooks.example.org", false),
    ] {
        env.insert("HOOK".to_owned(), address.to_owned());
        let loaded = Secrets::load(&config, &env);
        assert_eq!(loaded.is_ok(), good, "{address}");
        if let Err(problems) = loaded {
            assert!(!problems.to_string().contains("hooks."), "{problems}");
        }
    }
}
