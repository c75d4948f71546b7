//! What people name at the command line: a SKU by an old name, one of several listings, a bundle; and what they are told to type.

use serde_json::{Value, json};

use crate::{
    live::{Home, Told, file, run},
    places::{configured, settled, two_places},
    support::{World, number, text, until_empty},
};

/// Runs a command as people read it.
async fn read(home: &Home, args: &[&str]) -> Told {
    run(home.command().args(args)).await
}

/// The rows of `evenkeel drift` that are open, of a SKU.
async fn open_drifts(home: &Home, sku: &str) -> Vec<Value> {
    let told = home.ask(&["drift"]).await.json();
    let rows = told["rows"].as_array().expect("a list").iter();
    rows.filter(|row| row["sku"] == sku && row["open"] == true).cloned().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_places_of_a_shop_that_drift_one_is_named_and_answered() {
    let world = two_places().await;
    let home = configured(&world).await;
    home.configure("[reconcile]", "[drift]\nrepair = \"ask\"\n\n[reconcile]");
    let live = home.open(&world).await;
    settled(&world, &home).await;
    crate::drift::known(&home).await;
    let book = world.get("books").await["skus"][0].clone();
    let sku = text(&book["sku"]).to_owned();
    for (place, more) in [(0, 3), (1, 5)] {
        let quantity = number(&book["places"][place]["shopify"]["shown"]) + more;
        let edit = json!({"channel": "shopify", "sku": sku, "quantity": quantity, "place": place});
        world.post("edit-quantity", edit).await;
    }
    until_empty("both wait for a person", async || {
        let open = open_drifts(&home, &sku).await;
        if open.len() == 2 { vec![] } else { open.iter().map(Value::to_string).collect::<Vec<_>>() }
            .into_iter()
            .chain((open.len() != 2).then(|| home.log()))
            .collect()
    })
    .await;
    let systems = world.get("systems").await;
    let names = [0, 1].map(|n| format!("location_id={}", systems["shopify"]["location_ids"][n]));
    let open = open_drifts(&home, &sku).await;
    let of = |name: &String| open.iter().find(|row| row["listing"] == json!([name])).expect("it is named");
    assert_eq!([of(&names[0]), of(&names[1])].map(|row| &row["locations"][0]), ["warehouse", "store"]);
    let table = read(&home, &["drift"]).await.out;
    assert!(names.iter().all(|name| table.contains(name.as_str())), "{table}");

    let which = home.ask(&["drift", "accept", &sku, "shop"]).await;
    which.fails(5, &format!("SKU `{sku}` has 2 open drifts on `shop`; add one of: `--listing "));
    names.iter().for_each(|name| which.fails(5, &format!("`--listing {name}`")));
    assert_eq!(open_drifts(&home, &sku).await.len(), 2, "nothing was done");
    let none = home.ask(&["drift", "accept", &sku, "shop", "--listing", "location_id=1"]).await;
    none.fails(5, "goes by `location_id=1`; what is open now");
    let done = home.ask(&["drift", "accept", &sku, "shop", "--listing", &names[1]]).await.json();
    assert!(
        text(&done["done"]).starts_with(&format!("SKU `{sku}` on `shop` ({}) is taken", names[1])),
        "{done:#}"
    );
    let left = open_drifts(&home, &sku).await;
    assert_eq!((left.len(), &left[0]["listing"]), (1, &json!([names[0]])), "{left:#?}");
    home.ask(&["drift", "repair", &sku, "shop"]).await.json();
    home.ask(&["drift", "accept", &sku, "shop", "--listing", "nonsense"])
        .await
        .usage("must be a kind and a value");
    both_are_told_apart(&home, &sku, &names).await;
    live.stop().await;
    home.verify().await;
}

/// An intent for both listings of a SKU, and its story, name each of them.
async fn both_are_told_apart(home: &Home, sku: &str, names: &[String; 2]) {
    home.ask(&["set", sku, "shop", "0", "--id", "apart", "--yes"]).await.json();
    let told = home.ask(&["commits", "--intent", "apart"]).await.json();
    let lines = told["intents"][0]["lines"].as_array().expect("a list");
    let of = |name: &String| lines.iter().any(|line| text(&line["what"]).contains(&format!("shop ({name})")));
    assert!(lines.len() == 2 && names.iter().all(of), "{told:#}");
    let legs = told["intents"][0]["legs"].as_array().expect("a list").iter();
    let named = |leg: &Value| names.iter().any(|name| leg["listing"] == json!([name]));
    assert!(legs.clone().all(|leg| leg["several"] == json!(true) && named(leg)), "{told:#}");
    let told = home.ask(&["explain", sku]).await.json();
    let drifts = told["events"].as_array().expect("a list").iter().filter(|event| event["what"] == "drift");
    let of = |name: &String| drifts.clone().any(|event| event["listing"] == json!([name]));
    assert!(names.iter().all(of), "{told:#}");
    let table = read(home, &["explain", sku]).await.out;
    assert!(names.iter().all(|name| table.contains(&format!("{name}: "))), "{table}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sku_that_was_merged_is_followed_by_every_command_that_takes_one() {
    let world = World::start(|options| options.catalogue.fba_twins = 0).await;
    let home = Home::new(&world).await;
    home.configure("id = \"warehouse\"\n", "id = \"warehouse\"\n\n[[locations]]\nid = \"store\"\n");
    let live = home.open(&world).await;
    home.settle(&world).await;
    let books = world.get("books").await;
    let [new, old, other] = [0, 1, 2].map(|n| text(&books["skus"][n]["sku"]).to_owned());
    home.ask(&["count", &new, "store", "4", "--yes"]).await.json();
    home.ask(&["merge", &old, &new, "--yes"]).await.json();
    home.rest(&world).await;
    let now = format!("`{old}` is now `{new}`");

    let told = home.ask(&["sku", &old]).await.json();
    let of_new = home.ask(&["sku", &new]).await.json();
    assert_eq!((&told["now"], &told["sku"]), (&json!(new), &json!(old)), "{told:#}");
    for same in ["stock", "available", "exposure", "slack"] {
        assert_eq!(told[same], of_new[same], "{same}: {told:#}");
    }
    let listed = |told: &Value| {
        let all = told["listings"].as_array().expect("a list").iter();
        let mut all: Vec<_> =
            all.map(|one| (text(&one["sku"]).to_owned(), text(&one["channel"]).to_owned())).collect();
        all.sort();
        all
    };
    assert_eq!(listed(&told), listed(&of_new), "the listings of both names");
    assert!(listed(&told).contains(&(old.clone(), "shop".to_owned())), "{told:#}");

    for args in [
        &["sku", &old][..],
        &["transfer", &old, "1", "--from", "warehouse", "--to", "store", "--dry-run"],
        &["set", &old, "shop", "none", "--dry-run"],
        &["count", &old, "store", "4", "--dry-run"],
        &["explain", &old],
        &["commits", "--sku", &old],
        &["map", "set", "shop", "channel_sku=ANOTHER", &old, "--dry-run"],
        &["pause", "--sku", &old],
        &["resume", "--sku", &old],
    ] {
        let told = read(&home, args).await;
        assert!(told.code == Some(0) && told.out.contains(&now), "{args:?}: {told:#?}");
    }
    let told = home.ask(&["transfer", &old, "2", "--from", "warehouse", "--to", "store"]).await.json();
    assert_eq!(told["notes"][0], json!(now), "{told:#}");
    let at = |told: &Value, place: &str| {
        let held = told["stock"].as_array().expect("a list").iter().find(|held| held["location"] == place);
        number(&held.expect("it is counted")["on_hand"])
    };
    until_empty("they are there", async || {
        let told = home.ask(&["sku", &old]).await.json();
        if at(&told, "store") == 6 { vec![] } else { vec![told.to_string()] }
    })
    .await;
    home.ask(&["rebind", "shop", "channel_sku=NONE", &other, "--dry-run"]).await.fails(4, "");
    live.stop().await;
    home.verify().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_suggested_can_be_given_to_a_shell_whatever_a_sku_is_called() {
    let world = World::start(|_| {}).await;
    let home = Home::new(&world).await;
    home.configure("sweep_every = \"10s\"", "sweep_every = \"10s\"\ncounts = \"none\"");
    home.configure("id = \"warehouse\"\n", "id = \"warehouse\"\n\n[[locations]]\nid = \"store\"\n");
    let odd = "MUG | 5\" `x`";
    home.configure(
        "[reconcile]",
        &format!(
            "[[bundles]]\nsku = '{odd}'\nparts = [{{ sku = \"TSHIRT-BL-M\", units = 2 }}]\n\n[reconcile]"
        ),
    );
    let live = home.serve().await;
    let all = file(home.dir.path(), "all.csv", "sku,location,quantity\nTSHIRT-BL-M,warehouse,5\n");
    home.ask(&["count", "import", &all, "--opening", "--yes"]).await.json();
    let told = home.ask(&["count", odd, "warehouse", "1", "--yes"]).await;
    told.fails(5, "it is a bundle and has no stock of its own: count what it is made of, 2 x `TSHIRT-BL-M`");
    assert!(told.err.contains("evenkeel sku 'MUG | 5\\\" `x`'"), "{told:#?}");
    live.stop().await;
}

#[test]
fn a_shell_takes_a_quoted_word_for_the_one_that_it_was() {
    for word in
        ["", "A B", "12' $x", "a|b;c&d", "\"5\" `id`", "größe!", "*", "~", "#1001", "a\\b", "é'\"$`\\ !"]
    {
        let line = format!("printf %s {}", evenkeel::model::shell(word));
        let said = std::process::Command::new("sh").args(["-c", &line]).output().expect("a shell");
        assert_eq!(String::from_utf8(said.stdout).expect("text"), word);
    }
}
