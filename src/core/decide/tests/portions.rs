//! What one command records stays bounded, also where each of few SKUs has very many listings.

use super::world::{ch, ids, ms, policies, q, sku, wh};
use crate::{
    core::{Command, Record, State, command::Count, decide},
    model::{CatalogueItem, CountLine, FulfilledBy, IdKind, Measure, policy::Allocation},
};

/// SKUs, and how many listings each has on one channel: 20,459 in all.
const SKUS: usize = 499;
const LISTINGS: usize = 41;

fn code(n: usize) -> String {
    format!("S{n:03}")
}

fn run(state: &mut State, command: Command) -> Vec<Record> {
    let (envelope, reply) = decide(state, command, ms(1_000_000));
    reply.expect("taken");
    envelope.map_or(Vec::new(), |envelope| envelope.records)
}

fn listed() -> State {
    let mut state = State::default();
    run(&mut state, Command::Configure(Box::new(policies())));
    for (channel, listings) in [("erp", 1), ("shop", LISTINGS)] {
        for n in 0..SKUS {
            let item = |at: usize| CatalogueItem {
                ids: ids(&[
                    (IdKind::Sku, code(n).as_str()),
                    (IdKind::InventoryItem, format!("{n}-{at}").as_str()),
                ]),
                title: None,
                by: FulfilledBy::Merchant,
                levels: None,
                unwritable: None,
            };
            let items = (0..listings).map(item).collect();
            run(
                &mut state,
                Command::Catalogue { channel: ch(channel), read_at: ms(0), items, unread: vec![] },
            );
        }
    }
    state
}

/// Returns how many legs the records of one command have.
fn legs(records: &[Record]) -> usize {
    let of = |record: &Record| if let Record::Commit { legs, .. } = record { legs.len() } else { 0 };
    records.iter().map(of).sum()
}

#[test]
fn a_count_and_a_change_of_the_policies_are_passed_on_to_many_listings_in_portions() {
    let mut state = listed();
    let line =
        |n: usize| CountLine { ids: ids(&[(IdKind::Sku, code(n).as_str())]), location: wh(), quantity: q(9) };
    let count = Count {
        counter: ch("erp"),
        measure: Measure::OnHand,
        as_of: ms(0),
        begun: state.seq,
        lines: (0..SKUS).map(line).collect(),
        opening: true,
        absent: Vec::new(),
        set: Default::default(),
    };
    let changed = policies();
    let changed = crate::model::Policies { allocation: Allocation { safety_stock: q(2) }, ..changed };
    for (command, wanted) in [(Command::Count(count), 9), (Command::Configure(Box::new(changed)), 7)] {
        let first = legs(&run(&mut state, command));
        assert!((1..=20_000).contains(&first), "{first} legs in one record");
        for _ in 0..3 {
            assert!(legs(&run(&mut state, Command::Tick)) <= 20_000);
        }
        let all =
            state.skus.values().flat_map(|row| &row.listings).filter(|listing| listing.channel == ch("shop"));
        let wrong = all.filter(|held| held.leg.as_ref().is_none_or(|leg| leg.quantity != q(wanted))).count();
        assert_eq!(wrong, 0, "every listing is to show {wanted}: {:?}", sku("S000"));
    }
}
