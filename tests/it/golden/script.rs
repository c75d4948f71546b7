//! The story that a new golden journal tells: a small shop with two channels and an ERP, and all that can happen to
//! them, decided by this release. What no story reaches is recorded by hand at the end.

use std::path::Path;

use evenkeel::{
    core::{
        Command, Envelope, Record, Reply, State,
        allocation::Pause,
        apply,
        assumption::Assumption,
        bulk::{Bulk, Ended},
        command::{Count, DeadLetter, Verdict},
        count::{self, Edits},
        decide,
        drift::{Done, Drifted, Repaired},
        intent::{Change, Intent, Leg as IntentLeg, Line, Phase, Step as LegStep, Undone, Way},
        ledger::{Cause, Entry, Kind, Stock, book},
        leg::{Contended, Leg, Sent, State as LegState, Suspect, Writes},
        oversold::Class,
        posting::{Attempt, Item, PostState, Step},
        record::{HandCounted, HeldCount, PauseScope, VERSION},
        state::{Alert, AlertKey, Ignorable, ListingRef, Note, Quarantined},
    },
    engine::{ledger::encode, rows},
    model::{
        CatalogueItem, ChannelId, CountLine, Counter, IdempotencyKey, Identifiers, Levels, LineId,
        LocationId, Measure, Notice, Observed, OrderId, OrderKey, OrderSnapshot, Outcome, Policies, Quantity,
        Seen, Seq, Sku, Timestamp, Totals,
        policy::{MappingRow, Part},
    },
    store::{self, Store},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    kinds::{EVERY_ALERT, EVERY_DONE, EVERY_ENTRY, EVERY_FOUND, EVERY_HOW, EVERY_STAGE, EVERY_WHY},
    options,
};

const BEGIN: i64 = 1_790_000_000_000;

fn from<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{error}: {value}"))
}

fn ch(name: &str) -> ChannelId {
    ChannelId::new(name).expect("a name")
}

fn sku(text: &str) -> Sku {
    Sku::new(text).expect("a SKU")
}

fn wh() -> LocationId {
    LocationId::new("warehouse").expect("a name")
}

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn key(channel: &str, order: &str) -> OrderKey {
    OrderKey { channel: ch(channel), order: OrderId::new(order).expect("an id") }
}

fn ids(pairs: Value) -> Identifiers {
    let of = |(kind, value): (&String, &Value)| json!({"kind": kind, "value": value});
    from(pairs.as_object().expect("an object").iter().map(of).collect())
}

fn abilities(change: Value) -> Value {
    let mut all = json!({
        "quantities": true, "compare_and_set": true, "visible": "at_once", "sells": true, "restocks_cancels": true,
        "restocks_returns": true, "posts": false, "counts": null, "batch": 10, "late_ms": 60_000, "stale_ms": 1_000,
        "feed_lag_ms": 1_000, "visible_ms": 0, "look_ms": 100,
    });
    all.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
    all
}

fn policies() -> Policies {
    let channel = |kind: &str, abilities: Value| {
        json!({
            "kind": kind, "abilities": abilities, "locations": ["warehouse"], "buffer": 1, "min": 0, "max": 500,
            "posts": {"sales": true, "shipments": true, "returns": true}, "feed_late_ms": 900_000,
        })
    };
    let blind = json!({"compare_and_set": false, "visible": "later", "restocks_returns": false, "batch": 1,
        "visible_ms": 20_000, "look_ms": 1_000});
    let erp = json!({"quantities": false, "sells": false, "posts": true, "counts": "on_hand", "stale_ms": 0});
    from(json!({
        "instance": "golden", "mode": "live", "locations": ["warehouse"],
        "channels": {
            "shop": channel("shopify", abilities(json!({}))),
            "market": channel("amazon", abilities(blind)),
            "erp": channel("tryton", abilities(erp)),
        },
        "allocation": {"safety_stock": 1},
        "overrides": [{"sku": "MUG", "channel": "market", "safety_stock": null, "buffer": 2, "min": null, "max": 50}],
        "returns": "restock",
        "mapping": {"master": "erp", "trim": true, "ignore_case": true, "strip_prefixes": ["X-"],
            "table": [{"sku": "MUG", "channel": "market", "ids": [{"kind": "asin", "value": "B000000001"}]}]},
        "brake": {"zero_percent": 20, "move_percent": 50, "min_skus": 3},
        "retry": {"base_ms": 1_000, "cap_ms": 8_000, "circuit_failures": 2, "circuit_open_ms": 10_000},
        "alerts": {"after_tries": 3, "after_ms": 60_000, "repeat_ms": 600_000, "webhook": true},
        "drift": {"repair": "ours"},
    }))
}

fn part(of: &str, units: i64) -> Part {
    Part { sku: sku(of), units: Quantity::new(units) }
}

struct Story {
    state: State,
    store: Store,
    now: i64,
}

/// Plays the story into a new store, with a checkpoint in the middle.
pub(super) fn play(dir: &Path) {
    let journal = store::journal::Options { segment_bytes: 16_000, ..store::journal::Options::default() };
    let options = store::Options { journal, ..options(rows::ROWS_VERSION) };
    let (store, _) = Store::open(dir, options).expect("a new store");
    let mut story = Story { state: State::default(), store, now: BEGIN };
    story.opens();
    story.sells();
    story.checkpoint();
    story.is_answered_in_every_way();
    story.counts();
    story.is_operated();
    story.is_corrected();
    story.remembers_by_hand();
    story.store.close_clean().expect("closed");
}

impl Story {
    fn run(&mut self, command: Command) -> Reply {
        self.now += 500;
        let told = format!("{command:?}");
        let (envelope, reply) = decide(&mut self.state, command, ms(self.now));
        if let Some(envelope) = envelope {
            self.append(&envelope);
        }
        reply.unwrap_or_else(|refused| panic!("{refused}: {told}"))
    }

    fn append(&mut self, envelope: &Envelope) {
        self.store.append(&[encode(envelope)]).expect("appended");
        self.store.sync().expect("synced");
    }

    fn checkpoint(&mut self) {
        let rows = rows::all(&self.state).expect("rows");
        let rows = rows.into_iter().filter_map(|(key, value)| Some((key, value?)));
        self.store.checkpoint(rows).expect("a checkpoint");
    }

    fn record(&mut self, records: Vec<Record>) {
        self.now += 500;
        let envelope = Envelope { version: VERSION, at: ms(self.now), records };
        let seq = self.state.seq.next();
        apply(&mut self.state, seq, &envelope);
        self.append(&envelope);
    }

    fn listing(&self, of: &str, channel: &str) -> ListingRef {
        let row = &self.state.skus[&sku(of)];
        let at =
            row.listings.iter().position(|listing| listing.channel == ch(channel)).expect("it is listed");
        ListingRef { sku: sku(of), at: u16::try_from(at).expect("few") }
    }

    fn catalogue(&mut self, channel: &str, items: Vec<Value>) {
        let of = |item: Value| -> CatalogueItem {
            from(json!({
                "ids": ids(item["ids"].clone()), "title": item["title"], "levels": null,
                "by": item.get("by").cloned().unwrap_or(json!("merchant")), "unwritable": item["unwritable"],
            }))
        };
        let items = items.into_iter().map(of).collect();
        self.run(Command::Catalogue { channel: ch(channel), read_at: ms(self.now), items, unread: vec![] });
        self.run(Command::Catalogued { channel: ch(channel) });
        self.run(Command::Swept { channel: ch(channel) });
    }

    fn count(&mut self, lines: &[(&str, i64)], opening: bool) -> Reply {
        let line = |(of, units): &(&str, i64)| CountLine {
            ids: ids(json!({"sku": of})),
            location: wh(),
            quantity: Quantity::new(*units),
        };
        let (counter, measure, as_of, begun) = (ch("erp"), Measure::OnHand, ms(self.now), self.state.seq);
        let lines = lines.iter().map(line).collect();
        self.run(Command::Count(Count {
            counter,
            measure,
            as_of,
            begun,
            lines,
            opening,
            absent: Vec::new(),
            set: Default::default(),
        }))
    }

    fn feed(&mut self, channel: &str) {
        self.now += 5_000;
        let (begun, begun_at) = (self.state.seq, ms(self.now));
        self.run(Command::Fed { channel: ch(channel), begun, begun_at, through: begun_at });
    }

    fn order(&self, order: &str, of: Value, totals: [i64; 5]) -> OrderSnapshot {
        let [ordered, released, written_off, fulfilled, returned] = totals;
        let totals = json!({"ordered": ordered, "released": released, "written_off": written_off,
            "fulfilled": fulfilled, "returned": returned});
        from(json!({
            "order": order, "name": format!("#{order}"), "version": self.now, "placed_at": BEGIN + 60_000,
            "complete": true,
            "lines": [{"line": "1", "ids": ids(of), "location": null, "by": "merchant", "totals": totals,
                "rest": "open"}],
        }))
    }

    fn push(&mut self, order: &str, of: &str, totals: [i64; 5]) {
        let orders = vec![self.order(order, json!({"sku": of}), totals)];
        let delivery = from(json!(format!("delivery-{}", self.now)));
        let (fetch, look) = (vec![OrderId::new("900").expect("an id")], Vec::new());
        self.run(Command::Push { channel: ch("shop"), delivery, orders, fetch, look });
    }

    /// Takes the work of a channel, answers its writes in this way, and looks as if the channel showed `shown`, or what
    /// is wanted.
    fn lane(&mut self, channel: &str, outcome: &Outcome, shown: Option<i64>) {
        self.now += 30_000;
        let Reply::Work { puts, looks, apart } =
            self.run(Command::Take { channel: ch(channel), limit: 10, apart: 4 })
        else {
            panic!("work is taken")
        };
        for puts in std::iter::once(puts).chain(apart.puts).filter(|puts| !puts.is_empty()) {
            let answers =
                puts.into_iter().map(|(listing, put)| (listing, put.key, outcome.clone())).collect();
            self.run(Command::Answer { channel: ch(channel), answers });
        }
        let level = |listing: &ListingRef| {
            let leg = self.state.listing(listing).and_then(|held| held.leg.as_ref());
            Quantity::new(shown.unwrap_or_else(|| leg.map_or(0, |leg| leg.quantity.units())))
        };
        let of =
            |(listing, _): (ListingRef, _)| (listing.clone(), Observed::Seen(Levels::of(level(&listing))));
        let seen: Vec<_> = looks.into_iter().chain(apart.looks).map(of).collect();
        if !seen.is_empty() {
            let read_at = ms(self.now);
            self.run(Command::Looked { channel: ch(channel), read_at, seen });
        }
    }

    fn calm(&mut self) {
        for _ in 0..6 {
            for channel in ["shop", "market"] {
                self.lane(channel, &Outcome::Applied, None);
                self.feed(channel);
            }
        }
    }

    fn opens(&mut self) {
        self.run(Command::Configure(Box::new(policies())));
        self.run(Command::Start { epoch: 1 });
        let codes = ["MUG", "HAT", "CAP", "PEN"]
            .map(|code| json!({"ids": {"sku": code, "record": code}, "title": code}));
        self.catalogue("erp", codes.to_vec());
        self.catalogue("shop", vec![
            json!({"ids": {"sku": "mug", "variant": "11", "inventory_item": "21"}, "title": "A mug"}),
            json!({"ids": {"sku": "X-HAT", "variant": "12", "inventory_item": "22"}}),
            json!({"ids": {"sku": "CAP", "variant": "13", "inventory_item": "23"}, "unwritable": "not tracked"}),
            json!({"ids": {"sku": "PEN", "variant": "14", "inventory_item": "24", "barcode": "4006381333931"}}),
            json!({"ids": {"sku": "BLUE PEN", "variant": "15", "inventory_item": "25"}}),
        ]);
        self.catalogue(
            "market",
            vec![
                json!({"ids": {"sku": "M-MUG", "asin": "B000000001"}}),
                json!({"ids": {"sku": "HAT", "asin": "B000000002"}}),
                json!({"ids": {"sku": "HAT-FBA", "asin": "B000000002", "fnsku": "X0001"}, "by": "channel"}),
            ],
        );
        self.count(&[("MUG", 20), ("HAT", 10), ("CAP", 8), ("PEN", 30)], true);
        self.run(Command::Initialise);
        self.feed("shop");
        self.feed("market");
        let table = vec![
            MappingRow { sku: sku("PEN"), channel: ch("shop"), ids: ids(json!({"variant": "15"})) },
            MappingRow { sku: sku("HAT"), channel: ch("market"), ids: ids(json!({"sku": "HAT-FBA"})) },
        ];
        self.run(Command::Map { rows: table });
        let ids = ids(json!({"variant": "16"}));
        let row = MappingRow { sku: sku("PEN"), channel: ch("shop"), ids: ids.clone() };
        self.run(Command::Map { rows: vec![row] });
        self.run(Command::Unmap { channel: ch("shop"), ids });
        self.calm();
    }

    fn sells(&mut self) {
        self.push("1001", "MUG", [3, 0, 0, 0, 0]);
        self.push("1002", "HAT", [2, 0, 0, 0, 0]);
        self.push("1003", "NOBODY-KNOWS-IT", [1, 0, 0, 0, 0]);
        self.run(Command::NoOrder { channel: ch("shop"), order: OrderId::new("900").expect("an id") });
        let begun = self.state.seq;
        let orders = vec![self.order("302-1", json!({"asin": "B000000001"}), [1, 0, 0, 0, 0])];
        self.run(Command::Orders { channel: ch("market"), begun, orders });
        self.calm();
        for outcome in [
            Outcome::Applied,
            Outcome::Unknown { fault: "timed out".to_owned() },
            Outcome::Rejected { reason: "no such party".to_owned() },
            Outcome::Applied,
        ] {
            self.now += 120_000;
            let take = Command::TakePostings { channel: ch("erp"), limit: 1 };
            let Reply::Postings(postings) = self.run(take) else { panic!("postings are taken") };
            for posting in postings {
                let (order, sequence, outcome) = (posting.order, posting.sequence, outcome.clone());
                self.run(Command::Posted { channel: ch("erp"), order, sequence, outcome, found: None });
            }
        }
        self.push("1001", "MUG", [3, 1, 0, 2, 0]);
        self.push("1001", "MUG", [3, 1, 0, 2, 1]);
        self.push("1002", "HAT", [2, 0, 1, 1, 0]);
        self.calm();
    }

    fn is_answered_in_every_way(&mut self) {
        let reason = || "it says no".into();
        let answers = [
            Outcome::Stale,
            Outcome::Throttled { retry_after_ms: 100 },
            Outcome::NotSent { reason: reason() },
            Outcome::Unknown { fault: "cut off".to_owned() },
            Outcome::Unauthorized { reason: reason() },
            Outcome::Accepted { submission: Some("s-1".to_owned()) },
            Outcome::Rejected { reason: reason() },
        ];
        for (n, answer) in answers.iter().enumerate() {
            self.push(&format!("11{n}"), "PEN", [1, 0, 0, 0, 0]);
            self.push(&format!("12{n}"), "MUG", [1, 0, 0, 0, 0]);
            for channel in ["shop", "market"] {
                self.lane(channel, answer, Some(77));
            }
            self.run(Command::Tick);
            self.calm();
        }
        // Under way when the process ends.
        self.push("1300", "HAT", [1, 0, 0, 0, 0]);
        self.run(Command::Take { channel: ch("market"), limit: 10, apart: 4 });
        self.run(Command::Start { epoch: 1 });
        self.calm();
        // Something else writes.
        let seen = vec![(self.listing("HAT", "shop"), Observed::Seen(Levels::of(Quantity::new(99))))];
        self.now += 10_000;
        self.run(Command::Looked { channel: ch("shop"), read_at: ms(self.now), seen });
        self.feed("shop");
        self.calm();
    }

    fn counts(&mut self) {
        self.count(&[("MUG", 14), ("HAT", 9)], false);
        self.run(Command::CountedThrough { channel: ch("erp"), through: ms(self.now) });
        for verdict in [Verdict::Discard, Verdict::Retry] {
            let all = [("MUG", 0), ("HAT", 0), ("CAP", 0), ("PEN", 1)];
            let Reply::Counted { held: Some(id), .. } = self.count(&all, false) else { panic!("it is held") };
            self.run(Command::Tick);
            self.count(&[("PEN", 20)], false);
            self.run(Command::Dead { letter: DeadLetter::Count(id), verdict });
        }
        self.count(&[("MUG", 12), ("HAT", 6), ("CAP", 8), ("PEN", 20)], true);
        self.calm();
    }

    /// A bundle is sold, moves between locations, SKUs are merged, a listing is given to another SKU.
    fn is_corrected(&mut self) {
        let parts = vec![part("MUG", 1), part("PEN", 3)];
        self.run(Command::Recipes { rows: vec![(sku("SET"), parts)] });
        self.catalogue("shop", vec![json!({"ids": {"sku": "SET", "variant": "16", "inventory_item": "26"}})]);
        self.push("1400", "SET", [2, 0, 0, 0, 0]);
        let mut moved = self.order("1400", json!({"sku": "SET"}), [2, 0, 0, 1, 0]);
        let store = LocationId::new("store").expect("a name");
        let (one, zero) = (Quantity::new(1), Quantity::ZERO);
        let there =
            Totals { ordered: one, released: zero, written_off: zero, fulfilled: one, returned: zero };
        moved.lines[0].places = vec![(store, there)];
        let begun = self.state.seq;
        self.run(Command::Orders { channel: ch("shop"), begun, orders: vec![moved] });
        self.run(Command::Recipes { rows: vec![(sku("SET"), vec![part("MUG", 2)])] });
        self.push("1401", "CAP", [1, 0, 0, 0, 0]);
        self.run(Command::Merge { from: sku("CAP"), into: sku("HAT") });
        self.push("1402", "CAP", [1, 0, 0, 0, 0]);
        let blue = ids(json!({"variant": "15"}));
        self.run(Command::Rebind { channel: ch("shop"), ids: blue, sku: sku("MUG") });
        self.calm();
    }

    fn is_operated(&mut self) {
        self.run(Command::Restored);
        self.run(Command::Live);
        for pause in [Some(Pause::Frozen), Some(Pause::Stopped), None] {
            self.run(Command::Pause { scope: PauseScope::Sku(sku("PEN")), pause });
            self.run(Command::Pause { scope: PauseScope::Channel(ch("market")), pause });
        }
        for (id, topic) in [("q-1", "orders/create"), ("q-2", "orders/updated")] {
            self.run(Command::Quarantine(Quarantined {
                channel: ch("shop"),
                topic: topic.to_owned(),
                id: Some(id.to_owned()),
                why: "it is no order".to_owned(),
                sha256: "00".repeat(32),
                at: ms(self.now),
            }));
        }
        let first = *self.state.quarantine.keys().next().expect("there is one");
        self.is_tended();
        self.run(Command::Tick);
        self.run(Command::Unreplayed { id: first, why: "it is still no order".to_owned() });
        self.run(Command::Dead { letter: DeadLetter::Quarantine(first), verdict: Verdict::Discard });
        self.is_read_again();
        self.record(vec![Record::Reread { channel: ch("shop") }]);
        self.ignores();
        self.run(Command::HoldConfig { why: "it would set 3 of 4 SKUs to zero".to_owned() });
        let mut changed = policies();
        changed.alerts.after_tries = 4;
        self.run(Command::Configure(Box::new(changed)));
        let Reply::Alerts(due) = self.run(Command::TakeAlerts { limit: 100 }) else { panic!("alerts") };
        for (n, (key, alert)) in due.into_iter().enumerate() {
            self.run(Command::AlertSent {
                key,
                firing: alert.firing,
                told: (alert.waiting, alert.about),
                sent: n % 2 == 0,
            });
        }
        self.run(Command::Tick);
        // Long after, what was delivered is forgotten.
        self.now += 72 * 3_600_000;
        self.run(Command::Tick);
        self.push("1400", "CAP", [1, 0, 0, 0, 0]);
        self.calm();
    }

    fn is_tended(&mut self) {
        let notice =
            |kind: &str, stops| Notice { kind: kind.to_owned(), text: format!("see to the {kind}"), stops };
        for notices in [vec![notice("version", true), notice("scopes", false)], vec![notice("scopes", false)]]
        {
            self.run(Command::Tended { channel: ch("shop"), notices, unsure: Vec::new() });
            self.run(Command::Tick);
        }
    }

    /// One record for each kind that a story may or may not reach.
    fn is_read_again(&mut self) {
        let item = |id: &str| Quarantined {
            channel: ch("shop"),
            topic: "orders".to_owned(),
            id: Some(id.to_owned()),
            why: "it is no order".to_owned(),
            sha256: "11".repeat(32),
            at: ms(BEGIN),
        };
        for id in ["q-3", "q-4"] {
            self.run(Command::Quarantine(item(id)));
        }
        let ids: Vec<Seq> = self.state.quarantine.keys().rev().take(2).copied().collect();
        let (orders, fetch, look) = (Vec::new(), Vec::new(), Vec::new());
        self.run(Command::Replay { id: ids[0], orders, fetch, look, seen: Seen::Pushed });
        let note = Note { by: "uid 0".to_owned(), reason: "a test of the shop".to_owned() };
        self.run(Command::Unquarantine { id: ids[1], note });
    }

    fn ignores(&mut self) {
        let note = || Note { by: "uid 0".to_owned(), reason: "a gift card".to_owned() };
        let (gift, line) = (json!({"sku": "GIFT-CARD"}), LineId::new("1").expect("an id"));
        let order = self.order("g-1", gift.clone(), [1, 0, 0, 0, 0]);
        let (gift, delivery) = (ids(gift), from(json!("delivery-gift")));
        let (fetch, look) = (Vec::new(), Vec::new());
        self.run(Command::Push { channel: ch("shop"), delivery, orders: vec![order], fetch, look });
        let item = Ignorable::Item { channel: ch("shop"), ids: gift };
        self.run(Command::Ignore { what: item.clone(), ignored: true, note: note() });
        self.run(Command::Ignore { what: item, ignored: false, note: note() });
        let what = Ignorable::Line { order: key("shop", "g-1"), line };
        self.run(Command::Ignore { what, ignored: true, note: note() });
    }

    fn remembers_by_hand(&mut self) {
        let listing = self.listing("HAT", "shop");
        let moved = |why, leg| Record::Moved {
            listing: listing.clone(),
            why,
            leg,
            writes: Writes::default(),
            note: Some("by hand".to_owned()),
        };
        let whys = EVERY_WHY.map(|why| moved(why, None)).to_vec();
        let legs = legs(self.now).into_iter().map(|leg| moved(EVERY_WHY[0], Some(leg))).collect();
        self.record(whys);
        self.record(legs);
        self.record(steps(self.now));
        self.record(alerts(self.now));
        self.record(bulks(&listing, self.now));
        self.record(vec![entries(&self.state, self.now)]);
        self.record(vec![adjusted(&self.state, self.now)]);
        self.record(drifts(&listing, self.now));
        self.record(oversells(self.now));
        self.record(measures());
        self.record(vec![counted_by_hand(&self.state, self.now)]);
        self.record(vec![held_by_hand(self.now)]);
        self.intends_by_hand();
        self.prunes_by_hand();
        let through = ms(self.now);
        self.run(Command::FedThrough { channel: ch("shop"), through });
        self.run(Command::Tick);
    }
}

impl Story {
    /// Orders that were finished long ago, one of which comes again.
    fn prunes_by_hand(&mut self) {
        let orders = ["1001", "1002"].map(|order| key("shop", order)).to_vec();
        self.record(vec![Record::Pruned { orders }]);
        self.push("1002", "HAT", [2, 0, 1, 1, 1]);
    }

    /// Intents as they come to each phase, for each reason.
    fn intends_by_hand(&mut self) {
        let listing = self.listing("HAT", "shop");
        let place = |name| LocationId::new(name).expect("a name");
        let (received, lost) = (Quantity::ZERO, Quantity::ZERO);
        let lines = vec![
            Line::Allot { listing: listing.clone(), before: None, after: Some(Quantity::new(4)) },
            Line::Move {
                sku: sku("CAP"),
                quantity: Quantity::new(3),
                from: wh(),
                to: place("store"),
                received,
                lost,
                counted: false,
            },
        ];
        let undones = [
            Undone::Refused { listing: listing.clone(), reason: "it says no".to_owned() },
            Undone::Cancelled,
            Undone::Expired,
        ];
        for n in 0..4_usize {
            let id = self.state.seq.next();
            let intent = Intent {
                lines: lines.clone(),
                travels: n == 3,
                seen_is_enough: n == 2,
                until: (n == 1).then(|| ms(self.now + 1)),
                note: "by hand".to_owned(),
                request: Some(format!("r{n}")),
                asked: None,
                phase: Phase::Lowering,
                opened_at: ms(self.now),
                since: ms(self.now),
                undone: None,
                legs: Vec::new(),
            };
            let leg = |way, step| IntentLeg { listing: listing.clone(), way, revision: from(json!(2)), step };
            let legs = vec![
                leg(Way::Lower, LegStep::Waiting),
                leg(Way::Raise, LegStep::GivenUp),
                leg(Way::PutBack, LegStep::Settled),
            ];
            let seen = LegStep::Seen { at: ms(self.now) };
            let phases = match undones.get(n) {
                Some(undone) => vec![(Phase::RollingBack, Some(undone.clone())), (Phase::RolledBack, None)],
                None => vec![(Phase::InTransit, None), (Phase::Raising, None), (Phase::Done, None)],
            };
            let moved = phases.into_iter().map(|(phase, undone)| Change::Moved { phase, undone });
            let changes =
                [Change::Opened(Box::new(intent)), Change::Awaits(legs), Change::Leg { n: 0, step: seen }]
                    .into_iter()
                    .chain([Change::Received(vec![(1, Quantity::new(2), Quantity::new(1))])])
                    .chain(moved);
            self.record(changes.map(|change| Record::Intent { id, change }).collect());
        }
        self.record(vec![
            Record::Allotted { rows: vec![(listing.clone(), Some(Quantity::new(4)))] },
            Record::Allotted { rows: vec![(listing, None)] },
        ]);
    }
}

/// A leg in each state.
fn legs(now: i64) -> Vec<Leg> {
    let sent = Box::new(Sent {
        quantity: Quantity::new(3),
        revision: from(json!(2)),
        compare: Some(Quantity::new(4)),
        delta: None,
        key: IdempotencyKey::new("golden-1-1-0").expect("a key"),
        at: ms(now),
    });
    // What changes a quantity by so much compares nothing.
    let delta = Some(Quantity::new(-1));
    let changed = Box::new(Sent { compare: None, delta, ..Sent::clone(&sent) });
    let (look_at, looks) = (ms(now + 1), 2);
    let states = [
        LegState::Pending,
        LegState::InFlight(sent.clone()),
        LegState::Accepted { sent: sent.clone(), look_at, looks },
        LegState::Probing { sent, look_at, looks },
        LegState::Probing { sent: changed, look_at, looks },
        LegState::Looking { look_at, looks, refused: Some(Quantity::new(4)) },
        LegState::Retry { at: look_at },
        LegState::Dropped,
        LegState::Parked { reason: "it says no".into(), at: look_at },
        LegState::Confirmed,
    ];
    let leg = |state| Leg {
        state,
        quantity: Quantity::new(3),
        revision: from(json!(2)),
        tries: 1,
        since: ms(now),
        contended: Some(Box::new(Contended { times: 2, compared: Quantity::new(4), since: ms(now) })),
        suspect: Some(Box::new(Suspect { most: 3, at: ms(now) })),
        cause: Seq(1),
        caused_at: ms(now),
    };
    states.into_iter().map(leg).collect()
}

/// A posting at each step, of orders that are there.
fn steps(now: i64) -> Vec<Record> {
    let item = Item {
        sku: sku("MUG"),
        location: wh(),
        totals: Totals { ordered: Quantity::new(3), ..Totals::default() },
    };
    let target = vec![item];
    let all = [
        Step::Done,
        Step::Pending,
        Step::InFlight { target: target.clone() },
        Step::Retry { at: ms(now) },
        Step::Parked { reason: "it says no".into() },
        Step::Dropped,
        Step::Theirs,
        Step::Watched,
    ];
    let posting = |(n, step): (usize, Step)| Record::Posting {
        key: key("shop", &format!("11{n}")),
        posting: PostState {
            channel: ch("erp"),
            step,
            sequence: 4,
            acked: target.clone(),
            sent: target.clone(),
            unanswered: vec![Attempt { sequence: 4, target: target.clone() }],
            acked_at: Seq(2),
            tries: 1,
            since: ms(now),
            unsure: n % 2 == 0,
            fault: None,
            shadow: n % 2 == 0,
            by_hand: n == 5,
        },
    };
    all.into_iter().enumerate().map(posting).collect()
}

/// An alert of each kind, the last of which is over.
fn alerts(now: i64) -> Vec<Record> {
    let alert = Alert {
        text: "look at it".to_owned(),
        waiting: 2,
        about: Seq(1),
        raised_at: ms(now),
        changed_at: ms(now),
        firing: true,
        told: Some((true, ms(now))),
        tries: 1,
        send_at: Some(ms(now + 1)),
    };
    let key = |kind| AlertKey { kind, subject: "market".to_owned() };
    let over = Record::Alert { key: key(EVERY_ALERT[0]), alert: None };
    let raised = EVERY_ALERT.map(|kind| Record::Alert { key: key(kind), alert: Some(alert.clone()) });
    raised.into_iter().chain([over]).collect()
}

/// A bulk in every stage, with a write of it, and every end of one.
fn bulks(listing: &ListingRef, now: i64) -> Vec<Record> {
    let bulk =
        |stage| Bulk { seq: Seq(9), at: ms(now), id: Some("F1".to_owned()), listings: 3, stage, found: true };
    let taken = EVERY_STAGE.map(|stage| Record::BulkTaken { channel: ch("market"), bulk: bulk(stage) });
    let write = from(json!({"q": 5, "key": "golden-bulk", "at": now, "b": 2}));
    let writes = Writes { unsettled: [write].into_iter().collect(), ..Writes::default() };
    let (leg, why, note) = (None, EVERY_WHY[0], None);
    let moved = Record::Moved { listing: listing.clone(), why, leg, writes, note };
    let ended = EVERY_HOW.map(|how| {
        let (id, why) = (Some("F1".to_owned()), Some("it says no".to_owned()));
        let ended = Ended { id, how, why, at: ms(now) };
        Record::BulkEnded { channel: ch("market"), ended, not_before: ms(now + 1) }
    });
    taken.into_iter().chain([moved]).chain(ended).collect()
}

/// An order with an entry of each kind, each with the balances after it.
fn entries(state: &State, now: i64) -> Record {
    let (of, location) = (sku("CAP"), wh());
    let mut after: Stock = state.skus[&of].place(&location).expect("it is stocked").stock;
    let order = key("shop", "1400");
    let causes = [
        Cause::Order { order: order.clone(), line: LineId::new("1").expect("an id") },
        Cause::Count { counter: ch("erp"), as_of: ms(now) },
        Cause::Operator { note: "found one".to_owned() },
        Cause::Edit { channel: ch("shop"), expected: Quantity::new(3), observed: Quantity::new(4) },
        Cause::Intent { intent: Seq(7), note: "one fell off the cart".to_owned() },
    ];
    let entries = EVERY_ENTRY.iter().enumerate().map(|(n, kind)| {
        let (kind, quantity) = (*kind, Quantity::new(1));
        after = book(after, kind, quantity).expect("small");
        let (sku, location, cause) = (of.clone(), location.clone(), causes[n % causes.len()].clone());
        Entry { sku, location, kind, quantity, cause, event_at: ms(now), after }
    });
    let entries = entries.collect();
    Record::Order { key: order.clone(), order: Box::new(state.orders[&order].clone()), entries }
}

/// A drift of each kind, with each thing that was done, begun and ended.
fn drifts(listing: &ListingRef, now: i64) -> Vec<Record> {
    let drifted = |(n, done): (usize, &Done)| Drifted {
        seq: Seq(3),
        at: ms(now),
        found: EVERY_FOUND[n % EVERY_FOUND.len()],
        expected: Quantity::new(3),
        observed: Quantity::new(9),
        done: *done,
        why: Some("units were sold meanwhile".to_owned()),
        lowered: Vec::new(),
        repairs: vec![Repaired { at: ms(now), observed: Quantity::new(9) }],
        theirs: n % 2 == 0,
        passed_over: n % 2 == 0,
        between: Some((ms(now), ms(now + 1))),
        or: vec![Quantity::new(7)],
        read_at: Some(ms(now)),
        over_most: Quantity::ZERO,
        over_at: (n % 2 == 0).then(|| ms(now)),
    };
    let all = EVERY_DONE.iter().enumerate().map(drifted);
    let records = all.flat_map(|drifted| {
        let begun = Record::Drift {
            listing: listing.clone(),
            expected: Some(drifted.expected),
            observed: drifted.observed,
            repaired: drifted.done == Done::Repaired,
            found: Some(Box::new(drifted.clone())),
            edits: Some(edits(now)),
        };
        [begun, Record::DriftEnded { listing: listing.clone(), drifted: Box::new(drifted) }]
    });
    records.collect()
}

/// A mug that somebody has set to zero in the shop.
fn edits(now: i64) -> Edits {
    let zero = count::Change { before: Quantity::new(2), after: Quantity::ZERO };
    Edits::with(None, &wh(), zero, ms(now))
}

fn oversells(now: i64) -> Vec<Record> {
    let cause = Cause::Count { counter: ch("erp"), as_of: ms(now) };
    let oversold = |class: &Class| Record::Oversold {
        beyond: *class == Class::Uncontrolled,
        sku: sku("CAP"),
        location: wh(),
        units: Quantity::new(2),
        class: *class,
        cause: cause.clone(),
        channel: Some(ch("shop")),
    };
    let good = Record::MadeGood { sku: sku("CAP") };
    Class::ALL.iter().map(oversold).chain([good]).collect()
}

fn measures() -> Vec<Record> {
    let measured = |assumption: &Assumption| Record::Measured {
        channel: ch("market"),
        assumption: *assumption,
        stated_ms: 1_000,
        measured_ms: 1_500,
        subject: "302-1".to_owned(),
    };
    Assumption::ALL.iter().map(measured).collect()
}

/// An entry that a person made.
fn adjusted(state: &State, now: i64) -> Record {
    let (sku, location, kind, quantity) = (sku("CAP"), wh(), Kind::Discard, Quantity::new(1));
    let after = book(state.skus[&sku].place(&location).expect("it is stocked").stock, kind, quantity);
    let (after, cause) = (after.expect("small"), Cause::Operator { note: "torn".to_owned() });
    Record::Adjusted {
        entries: vec![Entry { sku, location, kind, quantity, cause, event_at: ms(now), after }],
    }
}

/// A count by a person.
fn counted_by_hand(state: &State, now: i64) -> Record {
    let (sku, location, kind, quantity) = (sku("CAP"), wh(), Kind::Count, Quantity::new(2));
    let after = book(state.skus[&sku].place(&location).expect("it is stocked").stock, kind, quantity);
    let (after, cause) = (after.expect("small"), Cause::Operator { note: "by hand".to_owned() });
    let (as_of, opens) = (ms(now - 1_000), true);
    let places = vec![HandCounted { sku: sku.clone(), location: location.clone(), as_of, opens }];
    let entries = vec![Entry { sku, location, kind, quantity, cause, event_at: as_of, after }];
    Record::CountedByHand { by: None, measure: Measure::OnHand, places, entries }
}

/// A count by a person that is held; units that a person has taken off the shelf since do not come back with it.
fn held_by_hand(now: i64) -> Record {
    Record::Held {
        count: HeldCount {
            counter: Counter::Person,
            measure: Measure::Free,
            as_of: ms(now),
            begun: Seq(1),
            lines: vec![(sku("CAP"), wh(), Quantity::new(0))],
            why: "it would set 1 of 2 SKUs to zero".to_owned(),
            outdated: Default::default(),
            taken: vec![(sku("CAP"), wh(), Quantity::new(-1))],
            by_hand: vec![(ms(now), "by hand".to_owned())],
        },
    }
}
