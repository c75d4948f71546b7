//! A state with a catalogue of a given size, each SKU with a listing at a shop, at a marketplace and in an ERP, made
//! by the commands that reading them would lead to.

use std::path::Path;

use evenkeel::{
    clock::{Clock, SystemClock},
    core::{Command, Envelope, Reply, State, command::Count, decide},
    engine::{
        disk,
        ledger::{Durable, encode},
        registry, rows,
    },
    model::{
        CatalogueItem, ChannelId, CountLine, FulfilledBy, IdKind, Identifiers, Levels, LocationId, Measure,
        Observed, Policies, Quantity, Timestamp,
    },
    store,
};

use crate::settings;

/// What every SKU has at the start.
const STOCK: i64 = 1_000;
const PAGE: usize = 500;

pub(crate) fn channel(name: &str) -> ChannelId {
    ChannelId::new(name).expect("a name")
}

/// Returns the code of a SKU.
pub(crate) fn code(n: usize) -> String {
    format!("BENCH-{n:07}")
}

/// Returns what a SKU's variant is called at the shop.
pub(crate) fn variant(n: usize) -> u64 {
    45_000_000_000 + n as u64
}

fn ids(channel: &str, n: usize) -> Identifiers {
    let (code, number) = (code(n), (48_000_000_000 + n).to_string());
    let (variant, asin) = (variant(n).to_string(), format!("B{n:09}"));
    let ids = match channel {
        "shop" => vec![(IdKind::Sku, &code), (IdKind::Variant, &variant), (IdKind::InventoryItem, &number)],
        "market" => vec![(IdKind::Sku, &code), (IdKind::Asin, &asin)],
        _ => vec![(IdKind::Sku, &code), (IdKind::Record, &number)],
    };
    Identifiers::new(ids.into_iter().map(|(kind, text)| (kind, text.as_str()))).expect("good identifiers")
}

fn item(channel: &str, n: usize) -> CatalogueItem {
    CatalogueItem {
        ids: ids(channel, n),
        title: None,
        by: FulfilledBy::Merchant,
        levels: Some(Levels::of(Quantity::new(STOCK))),
        unwritable: None,
    }
}

/// Returns the policies that the configuration in `dir` makes.
pub(crate) fn policies(dir: &Path) -> Policies {
    let (config, secrets) = settings::read(dir);
    let connectors = registry::build(&config, &secrets).expect("good settings");
    config.policies(|id| registry::abilities(&connectors, id))
}

/// Fills an empty state with `skus` SKUs, of which all listings are seen to show what they should. Each envelope is
/// handed to `keep`.
pub(crate) fn fill(state: &mut State, policies: Policies, skus: usize, keep: impl FnMut(Envelope)) {
    fill_at(state, policies, skus, SystemClock.now(), keep);
}

/// The same at another time: what goes on from there must not be earlier.
fn fill_at(
    state: &mut State,
    policies: Policies,
    skus: usize,
    mut now: Timestamp,
    mut keep: impl FnMut(Envelope),
) {
    let mut say = |state: &mut State, command: Command, now: Timestamp| {
        let (envelope, reply) = decide(state, command, now);
        envelope.into_iter().for_each(&mut keep);
        drop(state.take_dirty());
        reply.expect("nothing is refused")
    };
    say(state, Command::Configure(Box::new(policies)), now);
    say(state, Command::Start { epoch: 1 }, now);
    let pages: Vec<usize> = (0..skus).step_by(PAGE).collect();
    let page = |from: usize| from..(from + PAGE).min(skus);
    for name in ["erp", "shop", "market"] {
        for from in &pages {
            let items = page(*from).map(|n| item(name, n)).collect();
            say(
                state,
                Command::Catalogue { channel: channel(name), read_at: now, items, unread: vec![] },
                now,
            );
        }
        say(state, Command::Catalogued { channel: channel(name) }, now);
    }
    let location = LocationId::new("warehouse").expect("a name");
    for from in pages {
        let line =
            |n| CountLine { ids: ids("erp", n), location: location.clone(), quantity: Quantity::new(STOCK) };
        let (counter, measure, begun) = (channel("erp"), Measure::OnHand, state.seq);
        let lines = page(from).map(line).collect();
        let count = Count {
            counter,
            measure,
            as_of: now,
            begun,
            lines,
            opening: true,
            absent: Vec::new(),
            set: Default::default(),
        };
        say(state, Command::Count(count), now);
    }
    say(state, Command::Initialise, now);
    for name in ["shop", "market"] {
        loop {
            now = now.plus_millis(1);
            let Reply::Work { looks, .. } =
                say(state, Command::Take { channel: channel(name), limit: PAGE, apart: 0 }, now)
            else {
                panic!("a lane is given work");
            };
            if looks.is_empty() {
                break;
            }
            let show = Observed::Seen(Levels::of(Quantity::new(STOCK)));
            let seen = looks.into_iter().map(|(listing, _)| (listing, show.clone())).collect();
            say(state, Command::Looked { channel: channel(name), read_at: now, seen }, now);
        }
    }
}

/// Makes the store of the configuration in `dir`, closed, with `skus` SKUs in it.
pub(crate) fn store(dir: &Path, skus: usize) {
    store_at(dir, skus, SystemClock.now());
}

/// The same at another time.
pub(crate) fn store_at(dir: &Path, skus: usize, now: Timestamp) {
    let path = dir.join("store");
    let (mut state, mut store) =
        disk::open(&path, store::Options::default(), Timestamp::ZERO).expect("an empty store");
    fill_at(&mut state, policies(dir), skus, now, |envelope| {
        store.append(&[encode(&envelope)]).expect("appended");
    });
    store.sync().expect("synced");
    let all = rows::all(&state).expect("rows");
    for rows in all.chunks(1_000) {
        store.apply(rows, state.seq.0).expect("written");
    }
    Box::new(store).close().expect("closed");
}
