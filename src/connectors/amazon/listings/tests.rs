use super::*;

/// A page: how many in all, how many on it, when the last was created, and whether another follows.
fn page(total: u64, on_it: usize, last: &str, more: bool) -> Page {
    let one = |created: &str| {
        let value = serde_json::json!({"sku": "A", "summaries": [{"createdDate": created}]});
        decode::listing(&value, &[]).map_err(|why| Unread { sku: None, why })
    };
    Page { total, next: more.then(|| "t".to_owned()), listings: (0..on_it).map(|_| one(last)).collect() }
}

fn place(since: Option<&str>, seen: u64, owed: u64) -> Place {
    Place { since: since.map(str::to_owned), token: None, seen, owed }
}

#[track_caller]
fn check(at: &Place, page: &Page, want: Result<Option<Place>, &str>) {
    match (at.next(page), want) {
        (Ok(got), Ok(want)) => assert_eq!(got, want),
        (Err(fault), Err(want)) => assert!(fault.to_string().contains(want), "{fault}"),
        (got, want) => panic!("{got:?} is not {want:?}"),
    }
}

#[test]
fn a_small_catalogue_is_paged_to_its_end() {
    check(&Place::default(), &page(0, 0, "", false), Ok(None));
    check(&Place::default(), &page(20, 20, "2021", false), Ok(None));
    let second = Place { token: Some("t".to_owned()), seen: 20, ..Place::default() };
    check(&Place::default(), &page(30, 20, "2021", true), Ok(Some(second.clone())));
    check(&second, &page(30, 10, "2021", false), Ok(None));
    // Listings were deleted meanwhile.
    check(&second, &page(30, 5, "2021", false), Ok(None));
    check(&second, &page(30, 0, "", true), Err("an empty page"));
}

#[test]
fn a_large_catalogue_goes_on_at_the_creation_time_of_the_last_listing_shown() {
    let full = place(None, 980, 0);
    check(&full, &page(1000, 20, "2021", false), Ok(None));
    check(&full, &page(2500, 20, "2021", false), Ok(Some(place(Some("2021"), 0, 1500))));
    check(&full, &page(2500, 20, "2021", true), Ok(Some(place(Some("2021"), 0, 1500))));
    let next = place(Some("2021"), 980, 1500);
    check(&next, &page(1501, 20, "2022", true), Ok(Some(place(Some("2022"), 0, 501))));
}

#[test]
fn a_catalogue_that_cannot_be_read_whole_is_refused() {
    let full = place(Some("2021"), 980, 0);
    check(&full, &page(2500, 20, "2021", true), Err("created at the same moment"));
    check(&place(Some("2021"), 0, 1500), &page(700, 20, "2022", true), Err("finds 700 of 1500"));
}

#[test]
fn a_cursor_survives_the_trip() {
    let there = Place { token: Some("t\"".to_owned()), ..place(Some("2021"), 3, 4) };
    assert_eq!(Place::of(Some(&there.cursor())), Ok(there));
    assert!(Place::of(Some(&Cursor("{".to_owned()))).is_err());
}
