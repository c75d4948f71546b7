//! Parts of a file against each other.

use super::*;
use crate::model::{Abilities, LocationId, Policies, Visible};

/// Adds text to the end of the example and expects exactly these problems.
#[track_caller]
fn added(text: &str, want: &[&str]) {
    assert_eq!(told(parse(&format!("{EXAMPLE}\n{text}\n"))), want);
}

const OTHER_SHOP: &str = r#"
shop = "other.myshopify.com"
access_token = { env = "OTHER" }
locations = ["warehouse"]
location_id = 1
"#;

const OTHER_SELLER: &str = r#"
region = "eu"
seller_id = "A1B2C3D4E5F6G7"
marketplaces = ["A1F83G8C2ARO7P"]
client_id = "amzn1"
client_secret = { env = "A" }
refresh_token = { env = "B" }
locations = ["warehouse"]
"#;

const OTHER_ERP: &str = r#"
base_url = "https://erp.example.org/"
database = "production"
key = { env = "C" }
customer = "WEB"
"#;

#[test]
fn something_must_be_configured() {
    let want = [
        "locations: is missing; name where the stock lies: `[[locations]]` and below it `id = \"warehouse\"`",
        "channels: is missing; describe a channel, for example below `[channels.shopify.main]`",
    ];
    let mut told = told(parse(""));
    told.sort();
    let mut want = want.map(str::to_owned);
    want.sort();
    assert_eq!(told, want);
}

#[test]
fn everything_that_a_channel_needs_is_asked_for_at_once() {
    let text = "[[locations]]\nid = \"w\"\n[channels.shopify.a]\n[channels.amazon.b]\n[channels.tryton.c]\n";
    let told = told(parse(text));
    for key in [
        "shopify.a.shop",
        "shopify.a.access_token",
        "shopify.a.locations",
        "shopify.a.location_id",
        "amazon.b.region",
        "amazon.b.seller_id",
        "amazon.b.marketplaces",
        "amazon.b.client_id",
        "amazon.b.client_secret",
        "amazon.b.refresh_token",
        "amazon.b.locations",
        "tryton.c.base_url",
        "tryton.c.database",
        "tryton.c.key",
        "tryton.c.customer",
        "tryton.c.warehouse",
        "tryton.c.location",
    ] {
        assert!(
            told.iter().any(|line| line.starts_with(&format!("channels.{key}: is missing"))),
            "{key}: {told:#?}"
        );
    }
    assert_eq!(told.len(), 17, "{told:#?}");
}

#[test]
fn channel_names_are_unique_among_all_kinds_and_well_formed() {
    added(
        &format!("[channels.shopify.us]{OTHER_SHOP}"),
        &[
            "channels.amazon.us: the name `us` is taken by `channels.shopify.us`; give each channel a name of its own",
        ],
    );
    added(
        &format!("[channels.shopify.\"Main 2\"]{OTHER_SHOP}"),
        &["channels.shopify.\"Main 2\": `channel` must consist of a-z, 0-9, `-` and `_`, is `Main 2`"],
    );
}

#[test]
fn locations_exist_once_and_are_referred_to_by_their_names() {
    added("[[locations]]\nid = \"warehouse\"", &["locations[1].id: `warehouse` is given twice"]);
    check(
        &[("locations = [\"warehouse\"]", "locations = [\"warehose\"]")],
        &[
            "channels.shopify.main.locations[0]: no `[[locations]]` has the id `warehose`; did you mean `warehouse`?",
        ],
    );
    check(
        &[("locations = [\"warehouse\"]", "locations = [\"warehouse\", \"warehouse\"]")],
        &["channels.shopify.main.locations[1]: `warehouse` is given twice"],
    );
    check(
        &[("location = \"warehouse\"", "location = \"shelf\"")],
        &["channels.tryton.erp.location: no `[[locations]]` has the id `shelf`; known: `warehouse`"],
    );
}

#[test]
fn a_location_that_could_not_be_read_is_not_also_called_unknown() {
    check(&[("id = \"warehouse\"", "id = 5")], &["locations[0].id: must be a text in quotes, is `5`"]);
}

#[test]
fn one_shop_is_one_channel() {
    let shop = OTHER_SHOP.replace("other.", "example.");
    added(
        &format!("[channels.shopify.second]{shop}"),
        &[
            "channels.shopify.second.shop: is the shop of `main` too: each of its orders would be booked twice; \
         keep one of the two channels",
        ],
    );
    added(&format!("[channels.shopify.second]{OTHER_SHOP}"), &[]);
}

#[test]
fn one_seller_in_one_region_is_one_channel() {
    added(&format!("[channels.amazon.eu]{OTHER_SELLER}"), &[]);
    let same = OTHER_SELLER.replace("\"eu\"", "\"na\"").replace("A1F83G8C2ARO7P", "A2EUQ1WTGCTBG2");
    added(
        &format!("[channels.amazon.ca]{same}"),
        &[
            "channels.amazon.us.seller_id: is the seller of `ca` too: a seller's stock is one number in a region; \
         keep one channel and list all marketplaces there",
        ],
    );
}

#[test]
fn two_erps_do_not_share_a_location() {
    let with = |rest: &str| format!("[[locations]]\nid = \"shop\"\n[channels.tryton.z]{OTHER_ERP}{rest}");
    added(&with("warehouse = \"W2\"\nlocation = \"shop\""), &[]);
    added(
        &with("warehouse = \"WH\"\nlocation = \"shop\""),
        &["channels.tryton.z.warehouse: `WH` is the warehouse of `erp` too"],
    );
    added(
        &with("warehouse = \"W2\"\nlocation = \"warehouse\""),
        &["channels.tryton.z.location: `warehouse` is counted by `erp` already: their counts would fight; \
         set `counts = \"none\"` on one of the two"],
    );
    added(&with("counts = \"none\"\nwarehouse = \"W2\"\nlocation = \"warehouse\""), &[]);
}

#[test]
fn an_erp_does_something_and_has_what_its_postings_need() {
    let posts = "posts = { sales = true, shipments = true, returns = true }";
    check(&[(posts, "posts = { sales = false, shipments = false, returns = false }")], &[]);
    check(
        &[
            (posts, "posts = { sales = false, shipments = false, returns = false }"),
            ("counts = \"on_hand\"", "counts = \"none\""),
        ],
        &["channels.tryton.erp: does nothing: it tells no counts and takes no postings; \
           set `counts` to `on_hand` or `free`, or one of `posts` to `true`"],
    );
    check(
        &[(posts, "posts = { sales = false }")],
        &[
            "channels.tryton.erp.posts.returns: must be `false` while `sales` is: it hangs on the posted sale",
            "channels.tryton.erp.posts.shipments: must be `false` while `sales` is: it hangs on the posted sale",
        ],
    );
    check(
        &[("warehouse = \"WH\"\n", "warehouse = \" \"\n")],
        &["channels.tryton.erp.warehouse: must be the code of a record in Tryton, is ` `"],
    );
}

#[test]
fn amazon_is_a_region_or_a_stand_in_with_its_own_tokens() {
    check(
        &[(
            "region = \"na\"",
            "region = \"na\"\nbase_url = \"http://127.0.0.1:1/\"\nlwa_url = \"http://127.0.0.1:1/\"",
        )],
        &["channels.amazon.us.base_url: must not be given together with `region`; remove one of the two"],
    );
    check(
        &[("region = \"na\"", "base_url = \"http://127.0.0.1:1/\"")],
        &[
            "channels.amazon.us.lwa_url: is missing: with `base_url`, tokens must not be asked of Amazon itself",
        ],
    );
    check(
        &[("region = \"na\"", "base_url = \"http://127.0.0.1:1/\"\nlwa_url = \"http://127.0.0.1:1/token\"")],
        &[],
    );
}

#[test]
fn orders_are_not_asked_for_more_often_than_amazon_allows() {
    check(
        &[("orders_every = \"3m\"", "orders_every = \"1m\"")],
        &[
            "channels.amazon.us.orders_every: must be at least `2m 59s`, since `rates.search_orders` allows `0.0056` \
         calls a second; is `1m`; raise it; webhooks and other channels are not slowed by it",
        ],
    );
    check(&[("orders_every = \"3m\"", "orders_every = \"1s\""), ("0.0056", "5")], &[]);
}

#[test]
fn bounds_do_not_exclude_each_other() {
    check(
        &[("min = 0\n# max = 100", "min = 5\nmax = 4")],
        &["channels.shopify.main.min: must not be above `max`"],
    );
    check(
        &[("base = \"1s\"", "base = \"2m\""), ("cap = \"5m\"", "cap = \"1m\"")],
        &["retry.base: must not be longer than `retry.cap`"],
    );
    check(&[("timeout = \"30s\"\nconnect_timeout = \"10s\"", "timeout = \"5s\"")], &[]);
    check(
        &[("timeout = \"30s\"", "timeout = \"5s\"")],
        &["channels.shopify.main.connect_timeout: must not be longer than `timeout`"],
    );
    check(
        &[("# visible = \"30s\"", "visible = \"1m\""), ("# look = \"500ms\"", "look = \"2m\"")],
        &["channels.shopify.main.assume.look: must not be longer than `visible`"],
    );
    check(
        &[("repeat = \"4h\"", "repeat = \"5s\"")],
        &["alerts.repeat: must be `0s`, which means never, or at least `1m`"],
    );
    check(&[("repeat = \"4h\"", "repeat = \"0s\"")], &[]);
    check(
        &[("# webhook_secret", "webhook_secret"), ("# webhook_url", "webhook_url")],
        &["alerts.webhook_url: must not be given together with `webhook_secret`; remove one of the two"],
    );
}

#[test]
fn overrides_make_sense() {
    for (text, want) in [
        ("sku = \"A\"", "overrides[0]: overrides nothing; add `safety_stock`, `buffer`, `min` or `max`"),
        (
            "sku = \"A\"\nchannel = \"erp\"\nbuffer = 1",
            "overrides[0].channel: `erp` shows no quantities that could be overridden; name a channel that sells",
        ),
        (
            "sku = \"A\"\nchannel = \"main\"\nsafety_stock = 1",
            "overrides[0].safety_stock: is kept back for all channels together, so it cannot be set for one; \
             use `buffer`, or leave out `channel`",
        ),
        (
            "sku = \"A\"\nbuffer = 1\n[[overrides]]\nsku = \"A\"\nbuffer = 2",
            "overrides[1].buffer: is given twice for the SKU `A`",
        ),
        (
            "sku = \"A\"\nmax = 3\n[[overrides]]\nsku = \"A\"\nchannel = \"us\"\nmin = 4",
            "overrides[1].min: leaves `A` on `us` with `min` above `max`: `4` above `3`",
        ),
        (
            "sku = \"A\"\nchannel = \"mian\"\nmin = 4",
            "overrides[0].channel: no channel is named `mian`; did you mean `main`?",
        ),
    ] {
        added(&format!("[[overrides]]\n{text}"), &[want]);
    }
    // Repeated for another channel, and with the bound lifted by a later entry: both are fine.
    added(
        "[[overrides]]\nsku = \"A\"\nbuffer = 1\n[[overrides]]\nsku = \"A\"\nchannel = \"us\"\nbuffer = 2",
        &[],
    );
    added(
        "[[overrides]]\nsku = \"A\"\nmax = 3\n[[overrides]]\nsku = \"A\"\nchannel = \"us\"\nmin = 4\nmax = 9",
        &[],
    );
}

#[test]
fn an_override_behind_a_bad_one_keeps_its_place() {
    added(
        "[[overrides]]\nbuffer = 1\n[[overrides]]\nsku = \"A\"\nmin = 2\nmax = 1",
        &[
            "overrides[0].sku: is missing; for example `sku = \"TSHIRT-BL-M\"`",
            "overrides[1].max: leaves `A` on `main` with `min` above `max`: `2` above `1`",
        ],
    );
}

#[test]
fn an_identifier_means_one_sku_on_a_channel() {
    let row = |sku: &str, id: &str| format!("[[mapping.table]]\nsku = \"{sku}\"\nchannel = \"us\"\n{id}\n");
    let asin = "asin = \"B0XYZ12345\"";
    added(
        &(row("A", asin) + &row("B", asin)),
        &["mapping.table[1].asin: `B0XYZ12345` already means the SKU `A` on `us`"],
    );
    added(&(row("A", asin) + &row("A", asin)), &["mapping.table[1]: repeats an earlier row"]);
    added(&(row("A", asin) + &row("A", "fnsku = \"X001ABCDEF\"")), &[]);
}

/// What must be refused while it runs, and which channels are started anew, when these texts are replaced.
#[track_caller]
fn check_change(edits: &[(&str, &str)], fixed: &[&str], changes: &[&str], anew: &[&str]) {
    let running = parse(EXAMPLE).expect("the example is good");
    let config = parse(&edited(edits)).expect("good");
    assert_eq!(config.needs_restart(&running), fixed, "{edits:?}");
    let secrets = crate::config::Secrets::default();
    assert_eq!(config.differences(&running, &secrets, &secrets), changes, "{edits:?}");
    let ids = config.channels().into_keys().filter(|id| config.serves_otherwise(&running, id));
    assert_eq!(ids.map(ToString::to_string).collect::<Vec<_>>(), anew, "{edits:?}");
}

#[test]
fn what_changes_live_is_told_from_what_needs_a_restart() {
    check_change(&[], &[], &[], &[]);
    check_change(&[("level = \"info\"", "level = \"debug\"")], &[], &["log.level"], &[]);
    check_change(&[("safety_stock = 0", "safety_stock = 1")], &[], &["allocation"], &[]);
    check_change(&[("mode = \"live\"", "mode = \"shadow\"")], &[], &["mode"], &[]);
    let shop = ["channels.shopify.main"];
    check_change(&[("buffer = 0", "buffer = 3")], &[], &shop, &[]);
    check_change(&[("orders_every = \"1m\"", "orders_every = \"2m\"")], &[], &shop, &["main"]);
    check_change(
        &[
            ("sales = true", "sales = false"),
            ("shipments = true", "shipments = false"),
            ("returns = true", "returns = false"),
        ],
        &[],
        &["channels.tryton.erp"],
        &[],
    );
    let store = "`store.path` (the store is open)";
    let path = ("path = \"/var/lib/evenkeel\"", "path = \"/srv/evenkeel\"");
    check_change(&[path], &[store], &[], &[]);
    let archive = ("# archive = \"/srv/evenkeel-archive\"", "archive = \"/srv/evenkeel-archive\"");
    check_change(&[archive], &["`store.archive` (the store is open)"], &[], &[]);
    check_change(&[("alarm_percent = 20", "alarm_percent = 30")], &[], &["store"], &[]);
    check_change(&[("# archive = \"3650d\"", "archive = \"3650d\"")], &[], &["retention"], &[]);
    let other = ("shop = \"example.myshopify.com\"", "shop = \"other.myshopify.com\"");
    check_change(&[other], &[], &shop, &["main"]);
    let renamed = [
        ("[channels.tryton.erp]", "[channels.tryton.two]"),
        ("[channels.tryton.erp.assume]", "[channels.tryton.two.assume]"),
        ("master = \"erp\"", "master = \"two\""),
    ];
    check_change(&renamed, &[], &["mapping", "channels.tryton.erp", "channels.tryton.two"], &["two"]);
}

#[test]
fn what_moves_stock_can_be_put_back_to_what_it_was() {
    let recipe = "\n[[bundles]]\nsku = \"SET\"\nparts = [{ sku = \"A\", units = 2 }]\n";
    let before = parse(EXAMPLE).expect("the example is good").policies(|_| STATED);
    let edits = [
        ("mode = \"live\"", "mode = \"shadow\""),
        ("safety_stock = 0", "safety_stock = 7"),
        ("buffer = 0", "buffer = 8"),
        ("# max = 100", "max = 9"),
        ("repair = \"ours\"", "repair = \"theirs\""),
        ("ignore_case = false", "ignore_case = true"),
        ("# [[locations]]\n# id = \"fba\"", "[[locations]]\nid = \"fba\""),
        ("# fba_location = \"fba\"", "fba_location = \"fba\""),
    ];
    let file = edited(&edits).replace("\"warehouse\"", "\"north\"") + recipe;
    let mut config = parse(&file).expect("good");
    let new = config.policies(|_| STATED);
    assert!(new.channels.iter().all(|(id, policy)| before.channels[id].locations != policy.locations));
    config.keep(&before);
    let kept = config.policies(|_| STATED);
    let places: Vec<&str> = kept.locations.iter().map(LocationId::as_str).collect();
    assert_eq!(places, ["north", "fba", "warehouse"], "both files' places are there");
    assert_eq!(Policies { locations: before.locations.clone(), ..kept }, before);
}

const STATED: Abilities = Abilities {
    quantities: true,
    compare_and_set: true,
    delta: true,
    visible: Visible::AtOnce,
    sells: true,
    restocks_cancels: true,
    restocks_returns: true,
    posts: false,
    counts: None,
    batch: 250,
    late_ms: 1,
    stale_ms: 2,
    feed_lag_ms: 3,
    visible_ms: 4,
    look_ms: 5,
};

#[test]
fn policies_hold_what_decisions_need_with_the_operators_assumptions() {
    use crate::model::policy::ChannelKind;
    let config = parse(&edited(&[("# late = \"2m\"", "late = \"2m\""), ("buffer = 0", "buffer = 7")]));
    let policies = config.expect("good").policies(|_| STATED);
    let main = &policies.channels[&"main".parse().expect("a name")];
    assert_eq!(main.kind, ChannelKind::Shopify);
    assert_eq!(main.abilities, Abilities { late_ms: 120_000, ..STATED });
    assert_eq!(main.buffer.units(), 7);
    let erp = &policies.channels[&"erp".parse().expect("a name")];
    assert_eq!((erp.kind, erp.posts.returns), (ChannelKind::Tryton, true));
    assert_eq!(erp.locations, policies.locations);
    assert_eq!(policies.channels.len(), 3);
}
