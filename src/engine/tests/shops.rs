//! A channel's name stands for one shop.

use crate::{
    core::{Command, Reply, State, decide, index::Index},
    engine::{Error, reload::other_shops, run::same_shops},
    model::{Policies, Timestamp, policy::ChannelKind},
    web::tests::world::{OPENED, channel, opened},
};

/// The shop `main` as this one of this kind.
fn policies(kind: ChannelKind, account: &str) -> Policies {
    let mut policies = (*opened().policies.expect("configured")).clone();
    let main = policies.channels.get_mut(&channel("main")).expect("configured");
    (main.kind, main.account) = (kind, Some(account.to_owned()));
    policies
}

fn configured(mut state: State, policies: &Policies) -> State {
    let configure = Command::Configure(Box::new(policies.clone()));
    let (envelope, reply) = decide(&mut state, configure, Timestamp::from_millis(OPENED));
    assert!(matches!(reply, Ok(Reply::Done)) && envelope.is_some(), "{reply:?}");
    state
}

/// A state in which `main` was read as the shop `one`.
fn read() -> State {
    configured(opened(), &policies(ChannelKind::Shopify, "one"))
}

fn want_two() -> &'static str {
    "`channels.shopify.main.shop` is `two`, and `main` has stood for `one` so far"
}

fn check(state: &State, kind: ChannelKind, account: &str, want: Option<&str>) {
    let others = other_shops(state, &policies(kind, account), &[]);
    assert_eq!((others.first().map(String::as_str), others.len()), (want, usize::from(want.is_some())));
}

#[test]
fn a_name_stands_for_one_shop_also_where_it_was_taken_out_in_between() {
    let mut without = policies(ChannelKind::Shopify, "one");
    without.channels.remove(&channel("main"));
    let gone = configured(read(), &without);
    for state in [read(), gone.clone()] {
        check(&state, ChannelKind::Shopify, "one", None);
        check(&state, ChannelKind::Shopify, "two", Some(want_two()));
        let want = "`channels.amazon.main`: `main` was a shopify channel so far";
        check(&state, ChannelKind::Amazon, "two", Some(want));
        let renamed = other_shops(&state, &policies(ChannelKind::Shopify, "two"), &[channel("main")]);
        assert_eq!(renamed, Vec::<String>::new(), "a person says so");
    }
    // Put back as the same it is known again; of one that nothing was read from, nothing is kept.
    let back = configured(gone, &policies(ChannelKind::Shopify, "one"));
    assert_eq!(back.channels[&channel("main")].stood_for, None);
    let mut unread = read();
    unread.channels.remove(&channel("main"));
    check(&unread, ChannelKind::Shopify, "two", Some(want_two()));
    unread.skus.clear();
    unread.orders.clear();
    Index::rebuild(&mut unread);
    check(&unread, ChannelKind::Shopify, "two", None);
    // A read that broke off was one of this shop, too.
    unread.change_channel(&channel("main"), |row| row.fed_through = Some(Timestamp::from_millis(OPENED)));
    check(&unread, ChannelKind::Shopify, "two", Some(want_two()));
}

#[test]
fn a_channel_of_another_kind_cannot_have_been_renamed() {
    let helps = |kind: ChannelKind| match same_shops(&read(), &policies(kind, "two"), &[]) {
        Err(Error::OtherShop { renamed, .. }) => renamed,
        other => panic!("{other:?}"),
    };
    assert!(helps(ChannelKind::Shopify));
    assert!(!helps(ChannelKind::Amazon));
    same_shops(&read(), &policies(ChannelKind::Shopify, "two"), &[channel("main")])
        .expect("a person says so");
}

#[test]
fn a_start_refuses_a_second_name_for_an_account_and_a_place_that_is_gone_with_what_lies_there() {
    let refused = |policies: &Policies| match same_shops(&read(), policies, &[]) {
        Err(Error::Stands(told)) => told,
        other => panic!("{other:?}"),
    };
    let mut renamed = policies(ChannelKind::Shopify, "one");
    let main = renamed.channels.remove(&channel("main")).expect("configured");
    renamed.channels.insert(channel("other"), main);
    let told = refused(&renamed);
    assert!(told.contains("this is the account that was `main`") && told.contains("keep the name"), "{told}");
    let mut gone = policies(ChannelKind::Shopify, "one");
    let place = gone.locations.remove(0);
    let told = refused(&gone);
    assert!(told.contains(&format!("location `{place}` is not there any more, and")), "{told}");
}
