//! The survey before the first sync: it reads everything, writes nothing, and its table can be taken in.

use serde_json::{Value, json};

use crate::{
    live::Home,
    support::{World, number, text, until_empty, writes},
};

fn of<'a>(survey: &'a Value, channel: &str) -> &'a Value {
    let mut channels = survey["survey"]["channels"].as_array().expect("a list").iter();
    channels.find(|found| found["channel"] == channel).expect("it was read")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_reads_everything_and_writes_nothing_and_its_table_can_be_taken_in() {
    let world = World::start(|options| options.catalogue.renamed_share = 0.5).await;
    let home = Home::new(&world).await;
    world.post("edit-quantity", json!({"channel": "shopify", "sku": "TSHIRT-BL-M", "quantity": 500})).await;
    let [page, table] = ["audit.html", "mapping.csv"].map(|name| home.path(name).display().to_string());

    let told = home.ask(&["audit", "--html", &page, "--map", &table]).await.json();

    assert_eq!(told["survey"]["skus"], 12);
    assert!(
        told["asked"].as_array().expect("a list").iter().all(|asked| asked["problems"] == json!([])),
        "{told:#}"
    );
    let (shop, market) = (of(&told, "shop"), of(&told, "market"));
    let differ = shop["differ"]["rows"].as_array().expect("a list");
    assert_eq!((differ.len(), text(&differ[0]["sku"]), number(&differ[0]["shown"])), (1, "TSHIRT-BL-M", 500));
    assert_eq!(shop["agree"], 11);
    assert_eq!(market["twins"]["count"], 1, "{market:#}");
    let renamed = number(&market["unmatched"]);
    assert!(renamed > 0, "{market:#}");
    assert_eq!(number(&told["survey"]["proposals"]["count"]), renamed);
    assert_eq!(told["mapping"]["from"], "nothing");
    let html = std::fs::read_to_string(&page).expect("a page");
    assert!(html.contains("TSHIRT-BL-M") && html.contains("<svg") && !html.contains("src="), "{html}");
    let seen = writes(&world).await;
    assert!(seen.is_empty(), "{seen:?}");
    assert!(!home.path("store").exists(), "it needs no store and makes none");

    // What is there is not replaced unless that is asked for.
    home.ask(&["audit", "--html", &page]).await.fails(5, "is there already");
    home.ask(&["audit", "--html", &page, "--force"]).await.json();

    // A person has filled in what was not proposed, and the daemon takes the table in.
    let books = world.get("books").await;
    let code = |asin: &str| {
        let mut skus = books["skus"].as_array().expect("a list").iter();
        skus.find(|sku| sku["amazon"]["asin"] == asin).map(|sku| text(&sku["sku"]).to_owned())
    };
    let rows = std::fs::read_to_string(&table).expect("a table");
    let filled: Vec<String> = rows
        .lines()
        .map(|line| {
            let asin = line.split(',').find(|field| field.starts_with("B0")).unwrap_or_default();
            match code(asin).filter(|_| line.starts_with(',')) {
                Some(sku) => format!("{sku}{line}"),
                None => line.to_owned(),
            }
        })
        .collect();
    std::fs::write(&table, filled.join("\n")).expect("written");
    let live = home.serve().await;
    home.ask(&["init", "--from", "erp", "--yes"]).await.json();
    home.ask(&["map", "import", &table, "--confirm"]).await.json();
    until_empty("all is matched", async || {
        let left = home.ask(&["map", "list", "--unmatched"]).await.json();
        left["unmatched"].as_array().expect("a list").iter().map(Value::to_string).collect()
    })
    .await;

    // Another audit knows what was taken in: from the daemon, and from its store once it has stopped.
    let known = async |from: &str| {
        let told = home.ask(&["audit"]).await.json();
        assert_eq!(text(&told["mapping"]["from"]), from, "{:#}", told["mapping"]);
        assert!(number(&told["mapping"]["imported"]) >= renamed, "{:#}", told["mapping"]);
        assert_eq!(told["survey"]["proposals"]["count"], 0, "{:#}", told["survey"]["proposals"]);
    };
    known("daemon").await;
    live.stop().await;
    known("store").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_cannot_be_read_is_named_and_the_others_are_told() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    let path = home.path("shopify-token");
    std::fs::write(&path, "wrong").expect("written");

    let told = home.ask(&["audit"]).await;

    assert_eq!(told.code, Some(5), "{told:#?}");
    assert!(told.err.contains("1 channel could not be read"), "{told:#?}");
    let found: Value = serde_json::from_str(&told.out).expect("JSON");
    let asked = found["asked"].as_array().expect("a list").iter();
    let unread: Vec<&str> =
        asked.filter(|asked| !asked["unread"].is_null()).map(|asked| text(&asked["channel"])).collect();
    assert_eq!(unread, ["shop"]);
    assert_eq!(of(&found, "erp")["items"], 12);
    let people = home.command().args(["audit"]).output().await.expect("it runs");
    let people = String::from_utf8_lossy(&people.stdout).into_owned();
    assert!(people.contains("MATCHED") && people.contains("12 SKUs"), "{people}");
}
