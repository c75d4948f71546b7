//! Files that are wrong in their text: keys, kinds, TOML itself, and where each problem stands.

use super::*;

#[test]
fn every_problem_of_a_file_is_told_with_its_line_in_the_order_of_the_file() {
    let text = r#"mode = "lvie"
[[locations]]
id = "warehouse"
[stor]
[web]
queue_max = "many"
  body_max_byte = 1
[channels.shopify.main]
shop = "example.myshopify.com"
access_token = "shpat_1234"
locations = ["warehouse"]
location_id = 655441491
buffer = 9999999999
"#;
    let problems = parse(text).expect_err("it is wrong").to_string();
    let want = "\
evenkeel.toml:1:1: mode: must be `live` or `shadow`, is `lvie`; did you mean `live`?
evenkeel.toml:4:2: stor: unknown key; did you mean `store`?
evenkeel.toml:6:1: web.queue_max: must be a whole number, is the text `many`
evenkeel.toml:7:3: web.body_max_byte: unknown key; did you mean `body_max_bytes`?
evenkeel.toml:10:1: channels.shopify.main.access_token: a secret must not stand in the configuration, \
which is copied, logged and backed up; \
say where it lies: `{ file = \"..\" }`, `{ credential = \"..\" }` or `{ env = \"..\" }`
evenkeel.toml:13:1: channels.shopify.main.buffer: must be from `0` to `1000000000`, is `9999999999`";
    assert_eq!(problems, want);
}

#[test]
fn a_missing_key_is_shown_where_its_table_begins() {
    let text = "[[locations]]\nid = \"w\"\n\n[channels.shopify.main]\nlocations = [\"w\"]\nlocation_id = 1\n";
    let problems = parse(text).expect_err("it is wrong");
    let places: Vec<_> = problems.iter().map(|p| (p.key.as_str(), p.place.map(|at| at.line))).collect();
    assert_eq!(
        places,
        [("channels.shopify.main.access_token", Some(4)), ("channels.shopify.main.shop", Some(4))]
    );
}

#[test]
fn unknown_keys_are_found_at_every_depth_with_a_way_out() {
    for (from, to, want) in [
        ("[log]", "[log]\nstyle = 1", "log.style: unknown key; known here: `format` or `level`"),
        (
            "[store]\npath",
            "[store]\nmode = \"live\"\npath",
            "store.mode: unknown key; `mode` belongs to the top of the file, above the first `[table]`",
        ),
        (
            "posts = { sales = true",
            "posts = { sale = true",
            "channels.tryton.erp.posts.sale: unknown key; did you mean `sales`?",
        ),
        (
            "{ credential = \"shopify-main-token\" }",
            "{ value = \"shpat_1\" }",
            "channels.shopify.main.access_token.value: unknown key; known here: `file`, `credential` or `env`",
        ),
    ] {
        let told = told(parse(&edited(&[(from, to)])));
        assert!(told.contains(&want.to_owned()), "{told:#?}");
    }
}

#[test]
fn a_channel_without_its_kind_is_refused_with_the_kinds() {
    let told = told(parse("[[locations]]\nid = \"w\"\n[channels.main]\nshop = \"a\"\n"));
    assert_eq!(told, ["channels.main: unknown key; known here: `shopify`, `amazon` or `tryton`"]);
}

#[test]
fn kinds_are_strict() {
    for (from, to, want) in [
        (
            "queue_max = 4096",
            "queue_max = \"4096\"",
            "web.queue_max: must be a whole number, is the text `4096`",
        ),
        ("queue_max = 4096", "queue_max = 40.5", "web.queue_max: must be a whole number, is `40.5`"),
        ("trim = true", "trim = \"true\"", "mapping.trim: must be `true` or `false`, is the text `true`"),
        (
            "after = \"15m\"",
            "after = 15",
            "alerts.after: must be a time span in quotes, such as `\"30s\"`, is `15`",
        ),
        ("path = \"/var/lib/evenkeel\"", "path = 5", "store.path: must be a text in quotes, is `5`"),
        (
            "location_id = 655441491",
            "location_id = 1.5",
            "channels.shopify.main.location_id: must be a text in quotes or a whole number, is `1.5`",
        ),
        (
            "locations = [\"warehouse\"]",
            "locations = \"warehouse\"",
            "channels.shopify.main.locations: must be a list in `[ ]`, is the text `warehouse`",
        ),
        ("mode = \"live\"", "mode = 2026-11-23", "mode: must be a text in quotes, is a date or time"),
        ("[log]\n", "[log.a]\n", "log.a: unknown key; known here: `format` or `level`"),
        (
            "queue_max = 4096",
            "queue_max = 99999999999999999999",
            "web.queue_max: must be a whole number, is `99999999999999999999`",
        ),
    ] {
        assert_eq!(told(parse(&edited(&[(from, to)]))), [want], "{to}");
    }
}

#[test]
fn other_ways_to_write_numbers_are_read() {
    let config = parse(&edited(&[("queue_max = 4096", "queue_max = 0x1_000")])).expect("it is a number");
    assert_eq!(config.web.queue_max, 4096);
}

#[test]
fn every_broken_line_is_told_once_with_its_place_and_shows_no_value() {
    let text = "[stor]\nqueue_max = \n[channels.shopify.main]\naccess_token = shpat_1234\nlocations = [\"a\"\nb = 1\n";
    let problems = parse(text).expect_err("it is broken");
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "evenkeel.toml:2:13: not TOML: string values must be quoted, expected literal string",
            "evenkeel.toml:4:16: not TOML: string values must be quoted, expected literal string",
            "evenkeel.toml:6:1: not TOML: missing comma between array elements, expected `,`",
        ]
    );
    let shown = format!("{problems:#}");
    assert!(shown.contains("access_token = ·····_····"), "{shown}");
    assert!(!shown.contains("shpat"), "{shown}");
}

#[test]
fn a_secret_in_the_file_is_never_shown() {
    let token = "{ credential = \"shopify-main-token\" }";
    for value in
        ["\"shpat_1234\"", "1234567", "[\"shpat_1234\"]", "{ file = 1234567 }", "{ shpat = \"shpat_1234\" }"]
    {
        let problems = parse(&edited(&[(token, value)])).expect_err("it is refused");
        let shown = format!("{problems:#}");
        assert!(!shown.contains("1234"), "{shown}");
    }
    let signing = parse(&edited(&[("[{ credential = \"shopify-main-webhook\" }]", "[\"shpss_1234\"]")]));
    let shown = format!("{:#}", signing.expect_err("it is refused"));
    assert!(shown.contains("webhook_secrets[0]: a secret must not stand"), "{shown}");
    assert!(!shown.contains("1234"), "{shown}");
}

#[test]
fn the_caret_stands_below_the_key() {
    let problems = parse(&edited(&[("queue_max = 4096", "queue_max = 0")])).expect_err("it is wrong");
    let shown = format!("{problems:#}");
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[2].ends_with("| queue_max = 0"), "{shown}");
    assert!(lines[3].ends_with("| ^^^^^^^^^"), "{shown}");
}

#[test]
fn a_file_that_is_not_there_is_a_problem_with_its_name() {
    let missing = std::path::Path::new("/nonexistent/evenkeel.toml");
    let told = Config::load(missing, &Env::new()).expect_err("it is not there").to_string();
    assert!(told.starts_with("/nonexistent/evenkeel.toml: cannot be read: "), "{told}");
    assert!(told.ends_with("put it at `/etc/evenkeel/evenkeel.toml`"), "{told}");
}
