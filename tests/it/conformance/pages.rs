//! Lists that come page by page.

use std::sync::Arc;

use evenkeel::connectors::{Connector, Cursor, Fault};
use serde_json::{Value, json};

use super::{
    bench::{Bench, Got, Known, Read, read},
    front::{Edit, Strike},
};

/// How many pages of a small list are followed.
const PAGES: usize = 20;

/// Returns an edit of each page of a list.
fn edit(bench: &Bench, change: impl Fn(&mut Value) + Send + Sync + 'static) -> Edit {
    let list = bench.subject.list;
    Arc::new(move |asked, whole| {
        let Ok(mut body) = serde_json::from_slice::<Value>(&whole.body) else { return };
        if list(asked, &mut body) {
            change(&mut body);
            whole.body = body.to_string().into();
        }
    })
}

/// Reads a list to its end. Err: it has none, or a fault.
async fn drain(connector: &dyn Connector, kind: Read, known: &Known) -> Result<Got, Fault> {
    let mut all = Got { told: Vec::new(), odd: 0, next: None, at: None };
    let mut after: Option<Cursor> = None;
    for _ in 0..PAGES {
        let page = read(connector, kind, known, after.as_ref()).await?;
        all.told.extend(page.told);
        all.odd += page.odd;
        after = page.next;
        if after.is_none() {
            all.told.sort();
            return Ok(all);
        }
    }
    panic!("{kind:?} has no end");
}

/// Reads each list as it is, and with its pages changed.
async fn changed(bench: &Bench, change: fn(&mut Vec<Value>)) -> Vec<(Read, Got, Result<Got, Fault>)> {
    let (connector, known) = bench.busy().await;
    let entries = bench.subject.entries;
    let mut all = Vec::new();
    for kind in bench.reads(&*connector, &known).await.into_iter().filter(|kind| kind.is_list()) {
        let clean = drain(&*connector, kind, &known).await.expect("it can be read");
        let change = edit(bench, move |body| change(entries(body).expect("a list")));
        bench.front.strike(bench.all(), 0, Strike::Edited(change));
        let got = drain(&*connector, kind, &known).await;
        bench.front.pass();
        all.push((kind, clean, got));
    }
    assert!(!all.is_empty());
    all
}

pub(super) async fn an_empty_page_ends_a_list(bench: Bench) {
    for (kind, clean, got) in changed(&bench, Vec::clear).await {
        let got = got.expect("an empty list is a list");
        assert_eq!((got.told, got.odd), (Vec::new(), 0), "{kind:?}");
        assert!(!clean.told.is_empty(), "{kind:?}: the case says nothing");
    }
}

pub(super) async fn a_page_that_leads_to_itself_ends_in_a_fault(bench: Bench) {
    let (connector, known) = bench.busy().await;
    for kind in bench.reads(&*connector, &known).await.into_iter().filter(|kind| kind.is_list()) {
        let again = edit(&bench, bench.subject.again);
        bench.front.strike(bench.all(), 0, Strike::Frozen(again, bench.subject.kind));
        bench.front.asked();
        let fault = drain(&*connector, kind, &known).await.expect_err("it has no end");
        let requests = bench.count(bench.all());
        bench.front.pass();
        assert!(matches!(fault, Fault::Malformed(_)), "{kind:?}: {fault:?}");
        assert!(requests < 30, "{kind:?}: {requests} requests");
    }
}

/// Tells every entry three hundred times.
fn again_and_again(entries: &mut Vec<Value>) {
    let once = entries.clone();
    for _ in 1..300 {
        entries.extend(once.iter().cloned());
    }
}

pub(super) async fn a_page_may_be_long_and_tell_things_twice(bench: Bench) {
    for (kind, clean, got) in changed(&bench, again_and_again).await {
        let mut got = got.expect("a long page is a page");
        let told = got.told.len();
        got.told.dedup();
        assert_eq!(got.told.len(), clean.told.len(), "{kind:?}: {:?}", got.told);
        assert!(told >= clean.told.len());
    }
}

pub(super) async fn a_page_may_be_in_another_order(bench: Bench) {
    for (kind, clean, got) in changed(&bench, |entries| entries.reverse()).await {
        let got = got.expect("it can be read");
        assert_eq!(got.told, clean.told, "{kind:?}");
    }
}

/// Makes the first entry one that cannot be read.
fn spoil(entries: &mut [Value]) {
    if let Some(first) = entries.first_mut() {
        for (name, value) in first.as_object_mut().expect("an entry is an object") {
            if name != "id" {
                *value = json!({"odd": true});
            }
        }
    }
}

pub(super) async fn an_entry_that_cannot_be_read_holds_up_no_other(bench: Bench) {
    for (kind, clean, got) in changed(&bench, |entries| spoil(entries)).await {
        let got = got.expect("the others can be read");
        if kind == Read::Changed {
            // What it moved is in the next count of everything.
            assert!(got.told.len() + 1 >= clean.told.len(), "{:?}", got.told);
            continue;
        }
        assert_eq!((got.told.len() + 1, got.odd), (clean.told.len(), clean.odd + 1), "{kind:?}");
        assert!(got.told.iter().all(|told| clean.told.contains(told)), "{kind:?}");
    }
}
