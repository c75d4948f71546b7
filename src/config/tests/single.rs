//! One value at a time: bounds, forms and words.

use super::*;

#[test]
fn general_values_are_bounded() {
    check(
        &[("mode = \"live\"", "mode = \"lvie\"")],
        &["mode: must be `live` or `shadow`, is `lvie`; did you mean `live`?"],
    );
    check(
        &[("instance = \"main\"", "instance = \"Main One\"")],
        &["instance: `instance` must consist of a-z, 0-9, `-` and `_`, is `Main One`"],
    );
    check(
        &[("returns = \"quarantine\"", "returns = \"burn\"")],
        &["returns: must be `restock`, `quarantine` or `ignore`, is `burn`"],
    );
    check(
        &[("path = \"/var/lib/evenkeel\"", "path = \"data\"")],
        &["store.path: must be an absolute path, is `data`"],
    );
    check(
        &[("segment_bytes = 33554432", "segment_bytes = 1")],
        &["store.segment_bytes: must be from `1048576` to `4294967296`, is `1`"],
    );
    check(
        &[("listen = \"127.0.0.1:8480\"", "listen = \"localhost\"")],
        &[
            "web.listen: must be an IP address and a port, is `localhost`; write it like `127.0.0.1:8480` or `[::1]:8480`",
        ],
    );
    check(
        &[("answer_within = \"4s\"", "answer_within = \"1h\"")],
        &["web.answer_within: must be from `100ms` to `1m`, is `1h`"],
    );
    check(
        &[("answer_within = \"4s\"", "answer_within = \"soon\"")],
        &["web.answer_within: must be a time span, is `soon`: not a time span; \
         write it like `250ms`, `30s`, `5m`, `1h 30m` or `14d`"],
    );
    check(
        &[("safety_stock = 0", "safety_stock = -1")],
        &["allocation.safety_stock: must be from `0` to `1000000000`, is `-1`"],
    );
    check(
        &[("zero_percent = 20", "zero_percent = 101")],
        &["brake.zero_percent: must be from `1` to `100`, is `101`"],
    );
    check(
        &[
            ("repair = \"ours\"", "repair = \"mine\"\non_hand = \"their\""),
            ("loop_repairs = 4", "loop_repairs = 1"),
        ],
        &[
            "drift.repair: must be `ours`, `ask` or `theirs`, is `mine`",
            "drift.on_hand: must be `ours`, `ask` or `theirs`, is `their`; did you mean `theirs`?",
            "drift.loop_repairs: must be from `2` to `16`, is `1`",
        ],
    );
    check(
        &[("quarantine = \"14d\"", "quarantine = \"1m\"")],
        &["retention.quarantine: must be from `1h` to `3650d`, is `1m`"],
    );
}

#[test]
fn a_socket_path_must_fit_its_address() {
    let long = format!("path = \"/run/{}.sock\"", "x".repeat(110));
    check(
        &[("path = \"/run/evenkeel/evenkeel.sock\"", &long)],
        &["socket.path: must be at most `107` bytes long, is `120`"],
    );
}

#[test]
fn a_mistyped_log_level_does_not_pass_as_the_name_of_a_module() {
    let level = |text: &str| parse(&edited(&[("level = \"info\"", &format!("level = \"{text}\""))]));
    for good in ["warn", "INFO", "info,evenkeel::engine=debug", "off"] {
        assert!(level(good).is_ok(), "{good}");
    }
    for bad in
        ["inffo", "", "info,evenkeel::engine", "info,evenkeel=loud", "info,,warn", "warn, evenkeel=trace"]
    {
        assert_eq!(told(level(bad)).len(), 1, "{bad}");
    }
}

#[test]
fn addresses_are_https_or_loopback_and_carry_nothing_else() {
    let erp = |url: &str| {
        told(parse(&edited(&[("base_url = \"https://erp.example.org/\"", &format!("base_url = \"{url}\""))])))
    };
    for good in [
        "https://erp.example.org",
        "https://erp.example.org/tryton/",
        "http://127.0.0.1:8000",
        "http://[::1]/",
        "http://localhost:1",
    ] {
        assert_eq!(erp(good), Vec::<String>::new(), "{good}");
    }
    let insecure =
        "channels.tryton.erp.base_url: must begin with `https://`; plain http is accepted for loopback only";
    for (bad, want) in [
        ("http://erp.example.org/", insecure),
        ("http://127.0.0.1.example.org/", insecure),
        ("ftp://erp.example.org/", "channels.tryton.erp.base_url: must begin with `https://`"),
        (
            "https://u:p@erp.example.org/",
            "channels.tryton.erp.base_url: must not hold a user name or a password",
        ),
        ("https://erp.example.org/?a=b", "channels.tryton.erp.base_url: must not hold a `?` or a `#`"),
        (
            "erp.example.org",
            "channels.tryton.erp.base_url: must be a URL: relative URL without a base; write it like `https://host/`",
        ),
    ] {
        assert_eq!(erp(bad), [want], "{bad}");
    }
}

#[test]
fn a_schedule_is_an_interval_or_a_good_cron_expression() {
    check(&[("every = \"6h\"", "cron = \"0 30 3 * * *\"")], &[]);
    check(
        &[("every = \"6h\"", "every = \"6h\"\ncron = \"0 30 3 * * *\"")],
        &["reconcile.cron: must not be given together with `every`; remove one of the two"],
    );
    let told = told(parse(&edited(&[("orders_every = \"1m\"", "orders_cron = \"*/5 * * * *\"")])));
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("channels.shopify.main.orders_cron: must be a cron expression"), "{told:?}");
    assert!(told[0].ends_with("`0 */5 * * * *` is every five minutes"), "{told:?}");
}

#[test]
fn a_channel_compares_by_the_general_schedule_unless_it_has_its_own() {
    let config = parse(&edited(&[
        ("every = \"6h\"", "cron = \"0 30 3 * * *\""),
        ("# reconcile_every = \"6h\"", "reconcile_every = \"2h\""),
    ]))
    .expect("both are good");
    let of = |selling: &crate::config::Selling| selling.reconcile.to_string();
    assert_eq!(config.shopify.values().map(|c| of(&c.selling)).collect::<Vec<_>>(), ["every 2h"]);
    assert_eq!(config.amazon.values().map(|c| of(&c.selling)).collect::<Vec<_>>(), ["cron 0 30 3 * * *"]);
}

#[test]
fn shopify_values_have_shopifys_forms() {
    check(
        &[("shop = \"example.myshopify.com\"", "shop = \"https://example.myshopify.com\"")],
        &[
            "channels.shopify.main.shop: must be the shop's own domain in lower case, is `https://example.myshopify.com`; \
         write it like `example.myshopify.com`, without `https://`",
        ],
    );
    for version in ["2026-04", "2026-11", "26-10", "unstable"] {
        let want = format!(
            "channels.shopify.main.api_version: must be a version like `2026-10`, `2026-07` or later, is `{version}`"
        );
        let to = format!("api_version = \"{version}\"");
        check(&[("api_version = \"2026-10\"", &to)], &[&want]);
    }
    check(&[("api_version = \"2026-10\"", "api_version = \"2027-01\"")], &[]);
    check(
        &[("location_id = 655441491", "location_id = \"gid://shopify/Product/1\"")],
        &[
            "channels.shopify.main.location_id: must be the id of a Shopify location, is `gid://shopify/Product/1`; \
         write the number at the end of its address in the admin",
        ],
    );
    let gid = parse(&edited(&[("location_id = 655441491", "location_id = \"gid://shopify/Location/7\"")]));
    let gid = gid.expect("a gid is good");
    assert_eq!(gid.shopify.values().map(|c| c.outlets[0].id.as_str()).collect::<Vec<_>>(), ["7"]);
}

/// The example with these outlets in place of its one location.
fn with_outlets(outlets: &str) -> String {
    let from = "locations = [\"warehouse\"]\n# Shopify's location that quantities are written to: the number, or gid://shopify/Location/...\n";
    let text = edited(&[
        (from, ""),
        ("location_id = 655441491\n", ""),
        ("# [[locations]]\n# id = \"fba\"", "[[locations]]\nid = \"store\""),
    ]);
    text.replacen("[channels.shopify.main.assume]", &format!("{outlets}\n[channels.shopify.main.assume]"), 1)
}

fn outlet(id: &str, locations: &str) -> String {
    format!("[[channels.shopify.main.outlets]]\nlocation_id = {id}\nlocations = [{locations}]\n")
}

#[test]
fn a_shop_may_have_several_outlets_that_draw_on_different_places() {
    let both = outlet("655441491", "\"warehouse\"") + &outlet("\"gid://shopify/Location/7\"", "\"store\"");
    let config = parse(&with_outlets(&both)).expect("it is good");
    let (id, shop) = config.shopify.first_key_value().expect("there is a shop");
    let told = shop.outlets.iter().map(|outlet| format!("{} {:?}", outlet.id, outlet.locations));
    assert_eq!(told.collect::<Vec<_>>(), ["655441491 [\"warehouse\"]", "7 [\"store\"]"]);
    let all: Vec<&str> = shop.selling.locations.iter().map(|location| location.as_str()).collect();
    assert_eq!(all, ["warehouse", "store"]);
    let abilities = crate::connectors::shopify::ABILITIES;
    assert_eq!(config.policies(|_| abilities).channels[id].outlets, shop.outlets);
}

#[test]
fn outlets_that_contradict_each_other_are_told() {
    #[track_caller]
    fn check(outlets: &str, want: &[&str]) {
        assert_eq!(told(parse(&with_outlets(outlets))), want);
    }
    let at = "channels.shopify.main.outlets";
    let twice = outlet("7", "\"warehouse\"") + &outlet("8", "\"store\", \"warehouse\"");
    let want = format!(
        "{at}[1].locations: `warehouse` is drawn on by an earlier one: the shop would show its units twice; \
         let each of the shop's locations draw on others of yours"
    );
    check(&twice, &[&want]);
    let same = outlet("7", "\"warehouse\"") + &outlet("7", "\"store\"");
    check(&same, &[&format!("{at}[1].location_id: `7` is given twice")]);
    let lacks = format!("{at}[0].location_id: is needed; write `location_id = 655441491`");
    let nowhere = told(parse(&with_outlets("[[channels.shopify.main.outlets]]\nlocations = [\"store\"]\n")));
    assert!(
        nowhere.iter().any(|problem| problem.starts_with(&lacks[..lacks.find(':').expect("it has one")])),
        "{nowhere:?}"
    );
    let both = edited(&[(
        "[channels.shopify.main.assume]",
        &(outlet("7", "\"warehouse\"") + "[channels.shopify.main.assume]"),
    )]);
    let want = ["channels.shopify.main.locations", "channels.shopify.main.location_id"];
    let got = told(parse(&both));
    let keys: Vec<&str> = got.iter().filter_map(|problem| problem.split(": ").next()).collect();
    assert_eq!(keys, want, "{got:?}");
}

#[test]
fn amazon_values_have_amazons_forms() {
    check(
        &[("region = \"na\"", "region = \"us\"")],
        &["channels.amazon.us.region: must be `na`, `eu` or `fe`, is `us`"],
    );
    check(
        &[("marketplaces = [\"ATVPDKIKX0DER\"]", "marketplaces = [\"US\"]")],
        &["channels.amazon.us.marketplaces[0]: must be the id of a marketplace, is `US`; \
         write it like `ATVPDKIKX0DER`, not as a country"],
    );
    check(
        &[("marketplaces = [\"ATVPDKIKX0DER\"]", "marketplaces = [\"ATVPDKIKX0DER\", \"A1F83G8C2ARO7P\"]")],
        &["channels.amazon.us.marketplaces[1]: `A1F83G8C2ARO7P` belongs to the region `eu`, not to `na`; \
         a seller account has one channel for each region"],
    );
    check(
        &[("seller_id = \"A1B2C3D4E5F6G7\"", "seller_id = \"a1-b2\"")],
        &[
            "channels.amazon.us.seller_id: must be the merchant token of the account, of `A-Z` and `0-9` only, is `a1-b2`",
        ],
    );
    check(
        &[("{ per_second = 0.0056, burst = 20 }", "{ per_second = 0, burst = 0 }")],
        &[
            "channels.amazon.us.rates.search_orders.per_second: must be from `0.0001` to `1000`, is `0`",
            "channels.amazon.us.rates.search_orders.burst: must be from `1` to `10000`, is `0`",
        ],
    );
}

#[test]
fn amazons_queue_sandbox_and_secret_have_their_forms() {
    const TABLE: &str = "[channels.amazon.us.queue]\n";
    let queue = |keys: &str, want: &[&str]| check(&[(TABLE, &format!("{TABLE}{keys}"))], want);
    let at = "channels.amazon.us.queue";
    let url = "url = \"https://sqs.eu-west-1.amazonaws.com/123456789012/evenkeel\"\n";
    queue(url, &[]);
    queue("url = \"http://127.0.0.1:9/0/q\"\nregion = \"x\"", &[]);
    queue(&format!("{url}access_key_id = \"AKIA\"\nsecret_access_key = {{ env = \"K\" }}"), &[]);
    queue(
        "url = \"http://127.0.0.1:9/0/q\"",
        &[&format!("{at}.region: is missing; for example `region = \"us-east-1\"`")],
    );
    queue(
        "url = \"https://sqs.eu-west-1.amazonaws.com/evenkeel\"",
        &[&format!(
            "{at}.url: must end in the account and the name of the queue, as in `…/123456789012/evenkeel`"
        )],
    );
    queue(
        "url = \"http://example.org/0/q\"\nregion = \"x\"",
        &[&format!("{at}.url: must begin with `https://`; plain http is accepted for loopback only")],
    );
    queue(
        &format!("{url}access_key_id = \"AKIA\""),
        &[&format!("{at}.secret_access_key: is missing: `access_key_id` is given")],
    );
    queue(
        "secret_access_key = { env = \"K\" }",
        &[
            &format!("{at}.access_key_id: is missing: `secret_access_key` is given"),
            &format!(
                "{at}.url: is missing; for example `url = \"https://sqs.us-east-1.amazonaws.com/123456789012/evenkeel\"`"
            ),
        ],
    );
    let region = |text: &str| {
        let edit = [("environment = \"production\"", format!("environment = \"{text}\""))];
        let edits: Vec<(&str, &str)> = edit.iter().map(|(from, to)| (*from, to.as_str())).collect();
        parse(&edited(&edits))
            .map(|config| config.amazon.values().map(|c| c.base_url.to_string()).collect::<String>())
    };
    assert_eq!(region("production").expect("good"), "https://sellingpartnerapi-na.amazon.com/");
    assert_eq!(region("sandbox").expect("good"), "https://sandbox.sellingpartnerapi-na.amazon.com/");
    check(
        &[("environment = \"production\"", "environment = \"test\"")],
        &["channels.amazon.us.environment: must be `production` or `sandbox`, is `test`"],
    );
    const SINCE: &str = "# client_secret_since = \"2026-09-01\"";
    let config = parse(&edited(&[(SINCE, "client_secret_since = \"2026-09-01\"")])).expect("good");
    let since: Vec<_> =
        config.amazon.values().filter_map(|c| c.client_secret_since).map(|at| at.millis()).collect();
    assert_eq!(since, [1_788_220_800_000]);
    check(
        &[(SINCE, "client_secret_since = \"1.9.2026\"")],
        &["channels.amazon.us.client_secret_since: must be a day, is `1.9.2026`; write it like `2026-11-30`"],
    );
}

#[test]
fn tryton_values_have_trytons_forms() {
    check(
        &[("company = 1", "company = 0")],
        &["channels.tryton.erp.company: must be a record id, `1` or more, is `0`"],
    );
    check(
        &[("database = \"production\"", "database = \"a/b\"")],
        &["channels.tryton.erp.database: must consist of letters, digits, `_`, `-` and `.`, is `a/b`"],
    );
    check(
        &[("counts = \"on_hand\"", "counts = \"onhand\"")],
        &[
            "channels.tryton.erp.counts: must be `on_hand`, `free` or `none`, is `onhand`; did you mean `on_hand`?",
        ],
    );
}

#[test]
fn a_secret_is_named_in_exactly_one_way() {
    let token = "access_token = { credential = \"shopify-main-token\" }";
    for (value, want) in [
        ("{}", "channels.shopify.main.access_token: must have one of `file`, `credential` or `env`"),
        (
            "{ file = \"/a\", env = \"B\" }",
            "channels.shopify.main.access_token: must have only one of `file`, `credential` and `env`",
        ),
        ("{ file = \"a\" }", "channels.shopify.main.access_token.file: must be an absolute path"),
        (
            "{ credential = \"../a\" }",
            "channels.shopify.main.access_token.credential: must be the name of a credential, without `/`",
        ),
        (
            "{ env = \"\" }",
            "channels.shopify.main.access_token.env: must be the name of an environment variable",
        ),
    ] {
        check(&[(token, &format!("access_token = {value}"))], &[want]);
    }
}

#[test]
fn a_shop_knows_us_by_a_token_or_by_an_app() {
    let token = "access_token = { credential = \"shopify-main-token\" }\n";
    let id = "client_id = \"0123abcd\"\n";
    let secret = "client_secret = { env = \"SECRET\" }\n";
    let taken = parse(&EXAMPLE.replacen(token, &format!("{id}{secret}"), 1)).expect("good");
    let shop = taken.shopify.values().next().expect("a shop");
    let crate::config::Access::Client { id: held, secret: at } = &shop.access else { panic!("{shop:?}") };
    assert_eq!((held.as_str(), at.key()), ("0123abcd", "channels.shopify.main.client_secret"));
    check(
        &[(token, id)],
        &["channels.shopify.main.client_secret: is missing; for example `client_secret = { \
            credential = \"shopify-main-client-secret\" }`"],
    );
    check(
        &[(token, secret)],
        &["channels.shopify.main.client_id: is missing; for example `client_id = \
            \"0123456789abcdef0123456789abcdef\"`"],
    );
    let both = "must not be given together with `access_token`; remove one of the two";
    check(
        &[(token, &format!("{token}{id}{secret}"))],
        &[
            &format!("channels.shopify.main.client_id: {both}"),
            &format!("channels.shopify.main.client_secret: {both}"),
        ],
    );
}

#[test]
fn mapping_rows_name_known_channels_and_identifiers_of_their_kind() {
    let row = |row: &str| {
        let text = format!("{EXAMPLE}\n[[mapping.table]]\n{row}\n");
        told(parse(&text))
    };
    assert_eq!(row("sku = \"A\"\nchannel = \"us\"\nasin = \"B0XYZ12345\""), Vec::<String>::new());
    assert_eq!(row("sku = \"A\"\nchannel = \"main\"\nvariant = \"45128736\""), Vec::<String>::new());
    for (text, want) in [
        (
            "channel = \"us\"\nasin = \"B0XYZ12345\"",
            "mapping.table[0].sku: is missing; for example `sku = \"TSHIRT-BL-M\"`",
        ),
        (
            "sku = \"A\"\nchannel = \"us\"",
            "mapping.table[0]: names no identifier; add one of `channel_sku`, `variant`, `inventory_item`, `asin`, `fnsku`, `record`, `barcode`",
        ),
        (
            "sku = \"A\"\nchannel = \"uss\"\nasin = \"B0XYZ12345\"",
            "mapping.table[0].channel: no channel is named `uss`; did you mean `us`?",
        ),
        (
            "sku = \"A\"\nchannel = \"main\"\nasin = \"B0XYZ12345\"",
            "mapping.table[0].asin: `shopify` channels have none, only `amazon` ones have",
        ),
        (
            "sku = \"A\"\nchannel = \"us\"\nasin = \"b0xyz\"",
            "mapping.table[0].asin: must be ten characters of `A-Z` and `0-9`, is `b0xyz`",
        ),
        (
            "sku = \"A\"\nchannel = \"main\"\nvariant = \"12a\"",
            "mapping.table[0].variant: must be a number, digits only, is `12a`",
        ),
        (
            "sku = \" A\"\nchannel = \"main\"\nvariant = 12",
            "mapping.table[0].sku: `sku` must not contain control characters or outer white space, is ` A`",
        ),
    ] {
        assert_eq!(row(text), [want], "{text}");
    }
}

#[test]
fn the_master_is_a_channel_and_by_default_the_erp() {
    check(
        &[("master = \"erp\"", "master = \"epr\"")],
        &["mapping.master: no channel is named `epr`; did you mean `erp`?"],
    );
    let unnamed = parse(&edited(&[("master = \"erp\"\n", "")])).expect("it may be left out");
    assert_eq!(unnamed.mapping.master.map(|id| id.to_string()).as_deref(), Some("erp"));
}

#[test]
fn prefixes_are_not_empty_or_repeated() {
    check(
        &[("strip_prefixes = []", "strip_prefixes = [\"\", \"A-\", \"A-\"]")],
        &[
            "mapping.strip_prefixes[0]: must be a text that is not empty",
            "mapping.strip_prefixes[2]: `A-` is given twice",
        ],
    );
}
