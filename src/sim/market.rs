//! A simulated channel that sells: what it shows, its own books, its orders, and how it tells of them.
//!
//! It behaves as Shopify or Amazon is documented to (docs/TESTING.md lists what is simulated): it lowers by itself what it
//! sells, may put back what is cancelled or returned, answers reads from copies that are behind, tells orders late and with
//! times of whole seconds by a clock of its own, and applies writes whenever they come in.

mod orders;

use std::collections::{BTreeMap, VecDeque};

use crate::{
    model::{
        Abilities, CatalogueItem, FulfilledBy, IdKind, Identifiers, Levels, Observed, Outcome, Put, Quantity,
    },
    sim::wide::OUTLETS,
};

use orders::Book;
pub(super) use orders::{Page, number as order_number, open, order_id};

/// How many keys are kept before those that are a day old are forgotten.
const KEYS_MAX: usize = 10_000;

/// Which channel's ways it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Shopify,
    Amazon,
}

/// What a channel shows of one listing, and its own books of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shelf {
    pub(super) shown: i64,
    pub(super) on_hand: i64,
    pub(super) committed: i64,
}

/// One listing.
#[derive(Debug, Clone, Default)]
pub(super) struct Listed {
    pub(super) now: Shelf,
    /// What it was, and until when: reads may come from a copy that is behind.
    past: VecDeque<(i64, Shelf)>,
    /// Another writer has written here, and none of ours since.
    pub(super) rival: bool,
    /// It was never written by anybody but us and the channel itself.
    pub(super) disturbed: bool,
    /// When the newest of our queued writes was sent that has landed.
    pub(super) latest: i64,
    /// What the channel sold and restocked here by itself.
    pub(super) sold: i64,
    pub(super) restocked: i64,
    /// What of its orders was moved from here to another of the channel's own locations, in all.
    pub(super) moved_off: i64,
    /// What it goes by there; the daemon's channel may give it away.
    pub(super) ids: Identifiers,
}

#[derive(Debug)]
pub(super) struct Market {
    pub(super) kind: Kind,
    pub(super) can: Abilities,
    /// How far its clock is before ours.
    pub(super) skew: i64,
    /// Its times have no more than whole seconds.
    pub(super) whole_seconds: bool,
    /// It knows again a write that comes twice under the same key.
    pub(super) deduplicates: bool,
    /// How many things it lists at each of its own locations, the first of which come first. Amazon's second is what it ships itself.
    pub(super) items: usize,
    pub(super) listed: Vec<Listed>,
    book: Book,
    /// Keys of writes that were done, and when. They are known for a day.
    keys: BTreeMap<String, i64>,
}

impl Market {
    /// `outlets`: what it calls its own locations, if it has several. `kept`: of how many things it ships some itself.
    pub(super) fn new(kind: Kind, can: Abilities, items: usize, outlets: &[&str], kept: usize) -> Market {
        let ids = |n: usize, code: String, outlet: Option<&&str>| {
            let other = match kind {
                Kind::Shopify => (IdKind::InventoryItem, format!("90{n}")),
                Kind::Amazon => (IdKind::Asin, format!("B0{n}")),
            };
            let all = [(IdKind::Sku, code.as_str()), (other.0, other.1.as_str())];
            let at = outlet.map(|outlet| (IdKind::Location, *outlet));
            Identifiers::new(all.into_iter().chain(at)).expect("digits and letters are good ids")
        };
        let slots: Vec<Option<&&str>> =
            if outlets.is_empty() { vec![None] } else { outlets.iter().map(Some).collect() };
        let own = slots.into_iter().flat_map(|outlet| (0..items).map(move |n| (n, outlet)));
        let own = own.map(|(n, outlet)| ids(n, code(n), outlet));
        let all = own.chain((0..kept).map(|n| ids(n, kept_code(n), None)));
        let listed = all.map(|ids| Listed { ids, ..Listed::default() }).collect();
        Market {
            kind,
            can,
            skew: 0,
            whole_seconds: false,
            deduplicates: true,
            items,
            listed,
            book: Book::default(),
            keys: BTreeMap::new(),
        }
    }

    /// Returns what its clock says when ours says `now`.
    pub(super) fn clock(&self, now: i64) -> i64 {
        let at = now + self.skew;
        if self.whole_seconds { at.div_euclid(1_000) * 1_000 } else { at }
    }

    /// Changes what a listing shows, and keeps what it was for those who read a copy that is behind.
    pub(super) fn change(&mut self, now: i64, n: usize, change: impl FnOnce(&mut Shelf)) {
        let stale = self.can.stale_ms;
        let listed = &mut self.listed[n];
        let before = listed.now;
        change(&mut listed.now);
        if listed.now != before {
            listed.past.push_back((now, before));
            while listed.past.front().is_some_and(|(until, _)| *until < now - stale) {
                listed.past.pop_front();
            }
        }
    }

    /// Returns a listing as it was at `at`, as far as it is remembered.
    pub(super) fn as_of(&self, n: usize, at: i64) -> Shelf {
        let listed = &self.listed[n];
        listed.past.iter().find(|(until, _)| *until > at).map_or(listed.now, |(_, shelf)| *shelf)
    }

    /// Sets what a listing shows, as an API does: what is on hand moves with it.
    pub(super) fn set(&mut self, now: i64, n: usize, quantity: i64) {
        self.change(now, n, |shelf| {
            shelf.on_hand += quantity - shelf.shown;
            shelf.shown = quantity;
        });
    }

    /// Carries out a request to write: what is stale is refused, and the connector sends the others again without it.
    pub(super) fn write(&mut self, now: i64, puts: &[(usize, &Put)]) -> Vec<Outcome> {
        if !self.can.compare_and_set {
            return vec![Outcome::Accepted { submission: None }; puts.len()];
        }
        let stale = |market: &Market, (n, put): &(usize, &Put)| {
            put.compare.is_some_and(|compare| compare.units() != market.listed[*n].now.shown)
        };
        let stale: Vec<bool> = puts.iter().map(|put| stale(self, put)).collect();
        let mut outcomes = Vec::new();
        for ((n, put), stale) in puts.iter().zip(stale) {
            let known = self.keys.contains_key(put.key.as_str());
            if known && (self.deduplicates || put.delta.is_some()) {
                outcomes.push(Outcome::Applied);
            } else if let Some(delta) = put.delta {
                let shown = self.listed[*n].now.shown;
                self.set(now, *n, shown + delta.units());
                self.keys.insert(put.key.as_str().to_owned(), now);
                outcomes.push(Outcome::Applied);
            } else if stale {
                outcomes.push(Outcome::Stale);
            } else {
                self.set(now, *n, put.quantity.units());
                self.keys.insert(put.key.as_str().to_owned(), now);
                outcomes.push(Outcome::Applied);
            }
        }
        if self.keys.len() > KEYS_MAX {
            self.keys.retain(|_, at| *at > now - 86_400_000);
        }
        outcomes
    }

    /// Reads what is shown, from a copy of `at`.
    pub(super) fn read(&self, n: usize, at: i64) -> Observed {
        Observed::Seen(self.levels(n, at))
    }

    fn levels(&self, n: usize, at: i64) -> Levels {
        let shelf = self.as_of(n, at);
        let told = |units: i64| (self.kind == Kind::Shopify).then_some(Quantity::new(units));
        Levels {
            on_hand: told(shelf.on_hand),
            committed: told(shelf.committed),
            ..Levels::of(Quantity::new(shelf.shown))
        }
    }

    /// Returns a page of the catalogue, and whether there are more.
    pub(super) fn catalogue(&self, from: usize, size: usize, at: i64) -> (Vec<CatalogueItem>, bool) {
        let to = (from + size).min(self.listed.len());
        let item = |n: usize| CatalogueItem {
            ids: self.listed[n].ids.clone(),
            title: None,
            by: self.shipped_by(n),
            levels: Some(self.levels(n, at)).filter(|_| !self.keeps(n)),
            unwritable: None,
        };
        ((from..to).map(item).collect(), to < self.listed.len())
    }

    /// Finds the listing that identifiers name.
    pub(super) fn find(&self, ids: &Identifiers) -> Option<usize> {
        let text = ids.get(IdKind::Sku)?;
        let slot = ids.get(IdKind::Location).and_then(|id| OUTLETS.iter().position(|outlet| *outlet == id));
        let n = number(text).map(|n| slot.unwrap_or(0) * self.items + n);
        n.or_else(|| Some(self.items + kept_number(text)?)).filter(|n| *n < self.listed.len())
    }

    /// Tells whether what a listing sells lies with the channel, which ships it.
    pub(super) fn keeps(&self, n: usize) -> bool {
        self.kind == Kind::Amazon && n >= self.items
    }

    pub(super) fn shipped_by(&self, n: usize) -> FulfilledBy {
        if self.keeps(n) { FulfilledBy::Channel } else { FulfilledBy::Merchant }
    }

    /// Returns the same listing at the channel's other location.
    pub(super) fn elsewhere(&self, n: usize) -> usize {
        if n < self.items { n + self.items } else { n - self.items }
    }

    /// Tells whether it has several locations of its own.
    pub(super) fn has_outlets(&self) -> bool {
        self.kind == Kind::Shopify && self.listed.len() > self.items
    }
}

/// Returns what the `n`-th thing is called that Amazon ships itself.
fn kept_code(n: usize) -> String {
    format!("F{n:05}")
}

/// Returns what Amazon calls the `n`-th listing where a person has to say what it is.
pub(super) fn late_code(n: usize) -> String {
    format!("X{n:05}")
}

fn kept_number(code: &str) -> Option<usize> {
    code.strip_prefix('F')?.parse().ok()
}

/// Returns what the `n`-th listing is called everywhere.
pub(super) fn code(n: usize) -> String {
    format!("S{n:05}")
}

/// Returns which listing has this code.
pub(super) fn number(code: &str) -> Option<usize> {
    code.strip_prefix(['S', 'X'])?.parse().ok()
}
