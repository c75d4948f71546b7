//! The life of an idempotency key, against the simulated shop. A key lives for a day there, and is never used for a second
//! sending here: the ledger gives each its own.

use super::{encode::tests::location, options::Locations, tend::Lab, *};
use crate::sandbox::Span;

/// The simulated shop's own location, and its first item.
const LOCATION: u64 = 106_318_430_514;
const ITEM: &str = "9307199254740993";

async fn lab(write_ms: u64) -> Lab {
    let here = |options: &mut Options| {
        options.locations = Locations::new(vec![location("main", LOCATION)]).expect("one");
    };
    Lab::with(here, |simulated| simulated.shopify.write_ms = Span::new(write_ms, write_ms)).await
}

async fn write(lab: &Lab, quantity: i64, from: i64, key: &str) -> String {
    letters(&lab.shop.write(&[put(ITEM, quantity, Some(from), key)]).await)
}

async fn shown(lab: &Lab) -> i64 {
    let seen = lab.shop.read_back(&[ids(ITEM)]).await.expect("it answers");
    let [Observed::Seen(levels)] = &seen[..] else { panic!("{seen:?}") };
    levels.available.units()
}

#[tokio::test]
async fn a_write_that_is_sent_again_after_it_was_done_is_answered_as_before() {
    let lab = lab(0).await;
    assert_eq!(write(&lab, 7, 10, "k1").await, "A");
    // Without the key, it would be stale: 10 is not what it replaces any more.
    assert_eq!((write(&lab, 7, 10, "k1").await, shown(&lab).await), ("A".to_owned(), 7));
    assert_eq!(write(&lab, 7, 10, "k2").await, "S");
}

#[tokio::test]
async fn a_key_whose_first_try_failed_is_done_for_and_another_may_go() {
    let lab = lab(0).await;
    assert_eq!(write(&lab, 7, 9, "k1").await, "S");
    let again = lab.shop.write(&[put(ITEM, 7, Some(9), "k1")]).await;
    let [Outcome::NotSent { reason }] = &again[..] else { panic!("{again:?}") };
    assert!(reason.contains("IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"), "{reason}");
    assert_eq!(write(&lab, 7, 10, "k2").await, "A");
}

#[tokio::test]
async fn a_key_that_stands_for_something_else_leaves_it_open_what_became_of_this() {
    let lab = lab(0).await;
    assert_eq!(write(&lab, 7, 10, "k1").await, "A");
    let other = lab.shop.write(&[put(ITEM, 3, Some(7), "k1")]).await;
    let [Outcome::Unknown { fault }] = &other[..] else { panic!("{other:?}") };
    assert!(fault.contains("IDEMPOTENCY_KEY_PARAMETER_MISMATCH"), "{fault}");
    assert_eq!(shown(&lab).await, 7);
}

#[tokio::test]
async fn a_key_that_is_in_use_leaves_it_open_and_the_first_counts() {
    let lab = lab(300).await;
    let (one, other) = tokio::join!(write(&lab, 7, 10, "k1"), write(&lab, 7, 10, "k1"));
    let both: BTreeSet<String> = [one, other].into();
    assert_eq!(both, BTreeSet::from(["A".to_owned(), "?".to_owned()]));
    assert_eq!(shown(&lab).await, 7);
}
