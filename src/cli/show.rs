//! The commands that only ask and print: status, sku, order, outbox, alerts; and those that only prod.

use clap::{Args, builder::NonEmptyStringValueParser};

use crate::{
    cli::{
        Failure, Global,
        client::{Client, part},
        drift::listed,
        print::{self, or_dash, span},
    },
    model::{ChannelId, LocationId, Mode, Notice, Sku, Totals, counted, shell, which},
    web::view::{
        self, Alerts, Checkpoint, CircuitView, ComponentView, Done, ListingView, OrderView, PollRequest,
        SkuView, Status,
    },
};

/// What is said of a figure that nobody knows.
const UNKNOWN: &str = "unknown";
/// How many paused SKUs are named.
const PAUSED: usize = 10;
/// How many listings that were given up are named.
const GIVEN_UP: usize = 20;

#[derive(Debug, Args)]
pub(super) struct Outbox {
    /// Only this channel.
    #[arg(long)]
    channel: Option<ChannelId>,
    /// At most so many rows, up to 10000.
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

/// An order goes by its channel's own id of it, or by the number that people see, such as `#1001`.
#[derive(Debug, Args)]
#[command(
    override_usage = "evenkeel order CHANNEL ORDER\n       evenkeel order CHANNEL:ORDER\n       evenkeel order ORDER"
)]
pub(super) struct Order {
    /// The channel. Or all in one: `CHANNEL:ORDER`, or `ORDER` alone where no other channel has the same.
    #[arg(value_name = "CHANNEL", value_parser = NonEmptyStringValueParser::new())]
    first: String,
    /// The channel's own id of it, or the number that people see.
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    order: Option<String>,
}

pub(super) fn status(global: &Global) -> Result<(), Failure> {
    let status: Status = Client::new(global)?.get("/v1/status")?;
    print::answer(global.json, &status, |s| {
        let opened = s.initialised_at.map_or("no opening stock yet: run `evenkeel init`".to_owned(), |at| {
            format!("opening stock of {at}")
        });
        print::line(&format!(
            "evenkeel {} instance {} ({}), up {}, journal at {}, {opened}",
            s.version,
            s.instance,
            match s.mode {
                Mode::Live => "live",
                Mode::Shadow => "shadow",
            },
            span(s.uptime_ms),
            s.seq
        ));
        print::line(&format!(
            "{}, {} ({} pruned), {}, {}, {} unmatched, {} queued",
            counted(s.skus, "SKU"),
            counted(s.orders, "order"),
            s.orders_pruned,
            counted(s.dead_letters, "dead letter"),
            counted(s.alerts_firing, "alert"),
            s.unmatched,
            s.queued
        ));
        let built = s.state_built_at.map_or("at a time that is not known".to_owned(), |at| at.to_string());
        print::line(&format!("state of {}, built {built}", print::bytes(s.state_bytes)));
        stands(s).iter().for_each(|line| print::line(line));
        let rows = s.channels.iter().map(channel_row).collect();
        let header = [
            "channel",
            "kind",
            "circuit",
            "orders read",
            "listings",
            "unconfirmed",
            "lag",
            "to post",
            "dead",
        ];
        print::table(header, rows, "no channels are configured");
        for c in &s.channels {
            let (CircuitView::Open { failing_since, last_error, .. }
            | CircuitView::Closed { failing_since, last_error, .. }) = &c.circuit;
            if let (Some(since), Some(error)) = (failing_since, last_error) {
                print::line(&format!("{}: requests fail since {since}, the last with: {error}", c.channel));
            }
            c.notices.iter().for_each(|notice| print::line(&notice_line(c, notice)));
            c.feed.iter().for_each(|feed| print::line(&feed_line(c, feed)));
        }
        let rows: Vec<[String; 6]> = s.channels.iter().flat_map(assumption_rows).collect();
        if !rows.is_empty() {
            let header = ["channel", "assumed", "stated", "most measured", "times", "broken"];
            print::table(header, rows, "");
        }
    })
}

/// Says what keeps the daemon from its work as a whole, and what helps.
fn stands(s: &Status) -> Vec<String> {
    let refuses = s.refuses.as_ref().map(|why| format!("refuses: {why}; make room on the store's disk"));
    let disk = s.disk.as_ref().filter(|_| s.refuses.is_none());
    let disk = disk.map(|why| format!("{why}; make room there before nothing is taken in any more"));
    let restored = s.restored_at.map(|at| {
        format!(
            "the store was restored at {at}: until `evenkeel resume --live` nothing is written to any channel, subscriptions are \
             only looked at, and no queue is read"
        )
    });
    let held = s.held_configuration.as_ref().map(|why| {
        format!("the configuration file is held and not in effect: {why}; see `evenkeel reload --dry-run`")
    });
    [refuses, disk, restored, held, paused_skus(&s.paused_skus)].into_iter().flatten().collect()
}

/// Names SKUs that are paused, and what ends that. A pause that is forgotten ends their sales.
pub(super) fn paused_skus(paused: &view::PausedSkus) -> Option<String> {
    if paused.count == 0 {
        return None;
    }
    let name = |of: &view::PausedSku| {
        let mode = format!("{:?}", of.mode).to_lowercase();
        format!("`{}` ({mode})", of.sku)
    };
    let named: Vec<String> = paused.some.iter().take(PAUSED).map(name).collect();
    let more = match paused.count - named.len() {
        0 => String::new(),
        more => format!(", and {more} more (`evenkeel resume` without arguments names them)"),
    };
    Some(format!(
        "{} {} paused on every channel: {}{more}; `evenkeel resume --sku SKU` lets {} go on",
        counted(paused.count, "SKU"),
        which(paused.count, "is", "are"),
        named.join(", "),
        which(paused.count, "it", "one")
    ))
}

fn notice_line(c: &view::ChannelStatus, notice: &Notice) -> String {
    let stopped = if notice.stops { " (nothing is written there until then)" } else { "" };
    format!("{}: {}: {}{stopped}", c.channel, notice.kind, notice.text)
}

fn feed_line(c: &view::ChannelStatus, feed: &view::FeedView) -> String {
    let id = feed.id.as_ref().map_or("a feed".to_owned(), |id| format!("feed `{id}`"));
    let listings = counted(feed.listings, "listing");
    format!("{}: {id} with {listings} is {} since {}", c.channel, feed.stage, feed.since)
}

fn assumption_rows(c: &view::ChannelStatus) -> Vec<[String; 6]> {
    let row = |a: &view::AssumptionView| {
        let broken = if a.broken == 0 { String::new() } else { counted(a.broken, "time") };
        let (stated, most) = (span(a.stated_ms), span(a.max_ms));
        [c.channel.to_string(), a.name.clone(), stated, most, a.measured.to_string(), broken]
    };
    c.assumptions.iter().map(row).collect()
}

fn channel_row(c: &view::ChannelStatus) -> [String; 9] {
    let circuit = match (&c.circuit, c.paused) {
        (CircuitView::Open { unauthorized: Some(_), .. }, _) => "open: credentials".to_owned(),
        (CircuitView::Open { .. }, _) => "open".to_owned(),
        (CircuitView::Closed { .. }, Some(pause)) => format!("paused ({pause:?})").to_lowercase(),
        (CircuitView::Closed { .. }, None) => "closed".to_owned(),
    };
    let parked = c.legs.get("parked").copied().unwrap_or(0) + c.postings_parked;
    [
        c.channel.to_string(),
        c.kind.clone(),
        circuit,
        c.orders_read_age_ms.map_or("-".to_owned(), |age| format!("{} ago", span(age))),
        c.listings.to_string(),
        c.unconfirmed.to_string(),
        span(c.lag_ms),
        c.postings_waiting.to_string(),
        parked.to_string(),
    ]
}

pub(super) fn sku(global: &Global, sku: &Sku) -> Result<(), Failure> {
    let view: SkuView = Client::new(global)?.get(&format!("/v1/skus/{}", part(sku.as_str())))?;
    print::answer(global.json, &view, tell_sku)
}

fn tell_sku(view: &SkuView) {
    let paused = view.paused.map_or(String::new(), |pause| format!(", {pause:?}").to_lowercase());
    print::line(&format!("{} at revision {}{paused}", view.sku, view.revision));
    if let Some(now) = &view.now {
        print::line(&format!("`{}` is now `{now}`: stock and movements are those of `{now}`", view.sku));
    } else if !view.made_of.is_empty() {
        let parts: Vec<String> =
            view.made_of.iter().map(|part| format!("{} x {}", part.units, part.sku)).collect();
        print::line(&format!("it is made of {}", parts.join(" + ")));
    }
    if let Some(part) = &view.stopped_part {
        print::line(&format!(
            "`{part}`, which it is made of, is stopped: it shows none before `evenkeel resume --sku {}`",
            shell(part)
        ));
    }
    tell_stock(view);
    tell_listings(view);
    let (exposure, slack) = match (view.exposure, view.slack) {
        (Some(exposure), Some(slack)) => (exposure.to_string(), slack.to_string()),
        (Some(exposure), None) => (format!("at least {exposure}"), UNKNOWN.to_owned()),
        (None, _) => (UNKNOWN.to_owned(), UNKNOWN.to_owned()),
    };
    print::line(&match view.components.is_empty() {
        true => format!("available {}, exposure {exposure}, slack {slack}", view.available),
        false => format!("available {}: what its scarcest component is enough for", view.available),
    });
    let rows = view.recent.iter().map(|e| {
        let figures = [e.quantity, e.on_hand, e.committed].map(|q| q.to_string());
        let [quantity, on_hand, committed] = figures;
        [
            e.seq.to_string(),
            e.recorded_at.to_string(),
            e.kind.clone(),
            quantity,
            on_hand,
            committed,
            e.cause.clone(),
        ]
    });
    let header = ["seq", "recorded", "kind", "units", "on_hand", "committed", "cause"];
    let none = if view.components.is_empty() {
        "no movements"
    } else {
        "no movements of its own: what is sold of it is listed with its components (`evenkeel sku COMPONENT`)"
    };
    print::table(header, rows.collect(), none);
}

fn tell_stock(view: &SkuView) {
    if !view.components.is_empty() {
        let row = |part: &ComponentView| {
            let figures = [part.available, part.enough_for].map(or_dash);
            let [available, enough_for] = figures;
            [part.sku.to_string(), part.units.to_string(), available, enough_for]
        };
        let header = ["component", "units", "available", "enough for"];
        print::table(header, view.components.iter().map(row).collect(), "");
        for part in view.components.iter().filter(|part| part.available.is_none()) {
            print::line(&format!("`{}` was never counted, so nothing is shown of `{}`", part.sku, view.sku));
        }
        if view.stock.is_empty() {
            return;
        }
        print::line("stock of its own, which it does not sell as a bundle:");
    }
    let rows = view.stock.iter().map(|p| {
        let counted =
            p.opened.as_ref().map_or("never".to_owned(), |o| format!("{} by {}", o.as_of, o.counter));
        let figures = [p.on_hand, p.committed, p.reserved, p.available, p.incoming].map(|q| q.to_string());
        let [on_hand, committed, reserved, available, incoming] = figures;
        [p.location.to_string(), on_hand, committed, reserved, available, incoming, counted]
    });
    print::table(
        ["location", "on_hand", "committed", "reserved", "available", "incoming", "opened"],
        rows.collect(),
        "no stock",
    );
}

fn tell_listings(view: &SkuView) {
    let rows = view.listings.iter().map(|l| listing_row(view, l));
    let header =
        ["channel", "listing", "allotted", "desired", "expected", "seen", "exposure", "state", "waits for"];
    print::table(header, rows.collect(), "no listings");
    for l in view.listings.iter().filter(|l| !l.owed.is_zero()) {
        let ids = gone_by(view, l);
        let (channel, owed) = (&l.channel, l.owed);
        print::line(&format!(
            "{channel} {ids} shows {owed} fewer than lie there: they are owed to what was sold at another place"
        ));
    }
}

fn listing_row(view: &SkuView, l: &ListingView) -> [String; 9] {
    // What it was to show before it became one that is never written is not wanted any more, nor under way.
    let never = l.unwritable.as_ref().filter(|_| l.dead_letter.is_none());
    let state = never.or(l.state.as_ref()).or(l.unwritable.as_ref()).cloned();
    let state = if l.gone { "gone".to_owned() } else { or_dash(state) };
    let desired = l.desired.filter(|_| never.is_none());
    [
        l.channel.to_string(),
        gone_by(view, l),
        or_dash(l.allotted),
        or_dash(desired) + if l.frozen { " (frozen)" } else { "" },
        or_dash(l.base.or(l.looked)),
        or_dash(l.shown),
        or_dash(l.exposure),
        state,
        l.waits_for.clone().unwrap_or_default(),
    ]
}

/// Says what a listing goes by, and as what it is listed, if that is another name.
fn gone_by(view: &SkuView, listing: &ListingView) -> String {
    let ids = listing.ids.iter().map(|(kind, id)| format!("{kind}={id}")).collect::<Vec<_>>().join(" ");
    if listing.sku == view.sku { ids } else { format!("{ids} (as `{}`)", listing.sku) }
}

pub(super) fn order(global: &Global, asked: &Order) -> Result<(), Failure> {
    let of = asked.order.as_ref().map_or(String::new(), |order| format!("/{}", part(order)));
    let path = format!("/v1/orders/{}{of}", part(&asked.first));
    let view: OrderView = Client::new(global)?.get(&path)?;
    print::answer(global.json, &view, tell_order)
}

fn tell_order(view: &OrderView) {
    let name = view.name.as_deref().unwrap_or("");
    let doubt = if view.fetch_due { ", to be read again" } else { "" };
    print::line(&format!("{} {} {name} placed {}{doubt}", view.channel, view.order, view.placed_at));
    let rows = view.lines.iter().map(|l| {
        let sku = l.bound.as_ref().map(|b| b.sku.to_string());
        let sku = sku.or_else(|| l.unmapped.as_ref().map(|why| format!("unmapped: {why}")));
        [l.line.to_string(), or_dash(sku), totals(&l.totals), l.open.to_string()]
    });
    print::table(
        ["line", "sku", "ordered/released/written off/shipped/returned", "open"],
        rows.collect(),
        "no lines",
    );
    let rows = view.postings.iter().map(|p| {
        let reason = p.reason.clone().unwrap_or_default();
        [p.channel.to_string(), p.state.clone(), p.reference.clone(), p.sequence.to_string(), reason]
    });
    print::table(["erp", "state", "reference", "posting", "reason"], rows.collect(), "no ERP is told of it");
}

fn totals(t: &Totals) -> String {
    format!("{}/{}/{}/{}/{}", t.ordered, t.released, t.written_off, t.fulfilled, t.returned)
}

pub(super) fn outbox(global: &Global, outbox: &Outbox) -> Result<(), Failure> {
    let channel = outbox.channel.as_ref().map(|c| format!("&channel={c}")).unwrap_or_default();
    let view: view::Outbox =
        Client::new(global)?.get(&format!("/v1/outbox?limit={}{channel}", outbox.limit))?;
    print::answer(global.json, &view, |view| {
        let notes = print::Notes::of(view.rows.iter().filter_map(|row| row.why.as_deref()));
        let rows: Vec<_> = view
            .rows
            .iter()
            .map(|r| {
                [
                    r.channel.to_string(),
                    listed(&apart(&r.subject, &r.listing, r.several), &r.locations),
                    r.state.clone(),
                    or_dash(r.shown),
                    or_dash(r.quantity),
                    r.tries.to_string(),
                    span(r.age_ms),
                    notes.short(r.why.as_deref()),
                ]
            })
            .collect();
        if view.unopened {
            print::line(
                "the opening stock was not taken over yet, so no listing is to show anything: run `evenkeel init --from \
                 CHANNEL`, or `evenkeel count import FILE --opening` (--dry-run shows first what it would do)",
            );
        }
        let (shown, to_show, none) = if view.unopened {
            ("shows", "would show", "nothing is wanted until then")
        } else if view.shadow {
            print::line("shadow mode: nothing is written; this is what would be");
            ("shows", "would show", "every listing whose quantity is known shows what it should")
        } else {
            ("expected", "to show", "everything has arrived")
        };
        let letters = match view.dead_letters {
            0 => None,
            1 => Some("1 waits for a person: see `evenkeel dead-letters list`".to_owned()),
            n => Some(format!("{n} wait for a person: see `evenkeel dead-letters list`")),
        };
        let rest = letters.is_some() || view.given_up.is_some();
        let none = if rest { "nothing else is under way" } else { none };
        let header = ["channel", "subject", "state", shown, to_show, "tries", "age", "why"];
        print::table(header, rows, none);
        notes.tell();
        if view.more {
            print::line("there are more; see --limit");
        }
        if let Some(letters) = letters {
            print::line(&letters);
        }
        if let Some(given_up) = &view.given_up {
            tell_given_up(given_up);
        }
        view.uncounted.iter().for_each(|of| print::line(&uncounted(of)));
    })
}

/// Names a listing by its SKU, and by what tells it from others on its channel if there are such.
pub(super) fn apart(sku: &str, listing: &[String], several: bool) -> Vec<String> {
    let more = listing.iter().filter(|_| several);
    std::iter::once(sku.to_owned()).chain(more.cloned()).collect()
}

/// Says of which listings nothing is written for want of a count, and what helps.
fn uncounted(of: &view::UncountedView) -> String {
    let view::UncountedView { channel, locations, listings, some, counter, shows_none } = of;
    let all = |words: Vec<&str>| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let at = all(locations.iter().map(LocationId::as_str).collect());
    let named = all(some.iter().map(Sku::as_str).collect());
    let more = if *listings > some.len() { ", and more" } else { "" };
    let helps = match counter {
        Some(counter) => format!("`{counter}` counts there: enter what lies there in it, if only 0"),
        None => "count what lies there, if only as 0: `evenkeel count` or `evenkeel count import`".to_owned(),
    };
    if *shows_none {
        return format!(
            "{} of `{channel}` {} none, for what {} was not counted at {at} ({named}{more}). If it is a bundle, say what it is made of: \
             `evenkeel bundles import`. If not, {helps}; `evenkeel sku SKU` says what is missing of one",
            counted(listings, "listing"),
            which(listings, "shows", "show"),
            which(listings, "it sells", "they sell"),
        );
    }
    format!(
        "{} of `{channel}` {} not written, for nothing was counted at {at} ({named}{more}). {helps}; `evenkeel sku SKU` says what \
         is missing of one",
        counted(listings, "listing"),
        which(listings, "is", "are")
    )
}

fn tell_given_up(given_up: &view::GivenUp) {
    let count = given_up.count;
    print::line(&format!(
        "{} {} left as {}, and {} something else than {} should:",
        counted(count, "listing"),
        which(count, "is", "are"),
        which(count, "it is", "they are"),
        which(count, "shows", "show"),
        which(count, "it", "they")
    ));
    let some = given_up.some.iter().take(GIVEN_UP);
    let rows = some.map(|of| {
        let channel = of.channel.to_string();
        let sku = apart(of.sku.as_str(), &of.listing, of.several).join(" ");
        [channel, sku, or_dash(of.shown), of.quantity.to_string(), of.why.clone(), of.command.clone()]
    });
    let header = ["channel", "sku", "shows", "should show", "why", "takes it up again"];
    print::table(header, rows.collect(), "");
    if count > GIVEN_UP {
        print::line(&format!("and {} more", count - GIVEN_UP));
    }
}

pub(super) fn alerts(global: &Global) -> Result<(), Failure> {
    let alerts: Alerts = Client::new(global)?.get("/v1/alerts")?;
    print::answer(global.json, &alerts, |alerts| {
        let rows = alerts.alerts.iter().map(|a| {
            let state = if a.firing { "firing" } else { "recovered" };
            [a.kind.clone(), a.subject.clone(), state.to_owned(), span(a.age_ms), a.text.clone()]
        });
        let none = if alerts.disk.is_some() { "no other alerts" } else { "no alerts" };
        alerts.disk.iter().for_each(|disk| print::line(&format!("room (told beside these): {disk}")));
        print::table(["alert", "subject", "state", "age", "text"], rows.collect(), none);
    })
}

pub(super) fn poll(global: &Global, channel: Option<ChannelId>) -> Result<(), Failure> {
    let done: Done = Client::new(global)?.post("/v1/poll", &PollRequest { channel })?;
    print::answer(global.json, &done, |done| print::line(&done.done))
}

pub(super) fn checkpoint(global: &Global) -> Result<(), Failure> {
    let written: Checkpoint = Client::new(global)?.post("/v1/checkpoint", &serde_json::json!({}))?;
    print::answer(global.json, &written, |w| {
        print::line(&format!("checkpoint at {}, head {}", w.seq, w.head))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn outbox_says_of_what_was_not_counted_how_much_it_is_where_and_what_helps() {
        let mut told = json!({"channel": "shop", "locations": ["store"], "listings": 1, "some": ["MUG"]});
        let said = |told: &serde_json::Value| {
            uncounted(&serde_json::from_value(told.clone()).expect("the shape of the view"))
        };
        let one = said(&told);
        let begin = "1 listing of `shop` is not written, for nothing was counted at `store` (`MUG`). count what lies there";
        assert!(one.starts_with(begin) && one.contains("`evenkeel count import`"), "{one}");
        told["listings"] = json!(7);
        told["locations"] = json!(["store", "window"]);
        told["counter"] = json!("erp");
        let many = said(&told);
        let begin = "7 listings of `shop` are not written, for nothing was counted at `store`, `window` (`MUG`, and more). `erp` counts";
        assert!(many.starts_with(begin) && !many.contains('\n'), "{many}");
        told["shows_none"] = json!(true);
        let none = said(&told);
        let begin = "7 listings of `shop` show none, for what they sell was not counted at `store`, `window` (`MUG`, and more). If it is a bundle";
        assert!(none.starts_with(begin) && none.contains("`evenkeel bundles import`"), "{none}");
    }

    #[test]
    fn a_listing_that_became_one_that_is_never_written_says_why_and_wants_nothing() {
        let why = "a bundle: Shopify works out its quantity from the components";
        let mut told = json!({
            "sku": "SET", "revision": 3, "stock": [], "commits": [], "recent": [], "available": 26,
            "listings": [{
                "sku": "SET", "channel": "shop", "n": 0, "ids": {}, "by": "merchant", "tries": 0, "unsettled": [],
                "state": "confirmed", "desired": 26, "base": 26, "shown": 26,
            }],
        });
        let row = |told: &serde_json::Value| {
            let view: SkuView = serde_json::from_value(told.clone()).expect("the shape of the view");
            let [_, _, _, desired, expected, _, _, state, _] = listing_row(&view, &view.listings[0]);
            [desired, expected, state]
        };
        assert_eq!(row(&told), ["26", "26", "confirmed"]);
        told["listings"][0]["unwritable"] = json!(why);
        assert_eq!(row(&told), ["-", "26", why]);
        // What was due for it waits for a person, who must see that.
        told["listings"][0]["state"] = json!("parked");
        told["listings"][0]["dead_letter"] = json!("leg:shop:SET:0");
        assert_eq!(row(&told), ["26", "26", "parked"]);
    }

    #[test]
    fn status_says_in_words_that_the_store_refuses_that_it_was_restored_and_that_a_file_is_held() {
        let at = "2026-11-23T08:00:00.000Z";
        let mut told = json!({
            "version": "1", "instance": "main", "mode": "shadow", "now": at, "uptime_ms": 1, "seq": 1,
            "initialised_at": at, "channels": [], "skus": 0, "orders": 0, "queued": 0, "dead_letters": 0,
            "alerts_firing": 0, "quarantine": 0, "held_counts": 0, "unmatched": 0,
        });
        let said = |told: &serde_json::Value| {
            stands(&serde_json::from_value::<Status>(told.clone()).expect("the shape of the view"))
        };
        assert_eq!(said(&told), Vec::<String>::new());
        told["disk"] = json!("the store's disk fills up: 3 MiB of 9 MiB are free");
        let wanted = "the store's disk fills up: 3 MiB of 9 MiB are free; make room there before nothing is taken in any more";
        assert_eq!(said(&told), [wanted]);
        told["refuses"] = json!("too little room to take anything in: 3 MiB of 9 MiB are free");
        told["disk"] = told["refuses"].clone();
        told["restored_at"] = json!(at);
        told["held_configuration"] = json!("it would set 2 of 2 SKUs to zero");
        told["paused_skus"] = json!({"count": 1, "some": [{"sku": "A B", "mode": "stopped"}]});
        let one = said(&told).pop();
        let wanted =
            "1 SKU is paused on every channel: `A B` (stopped); `evenkeel resume --sku SKU` lets it go on";
        assert_eq!(one.as_deref(), Some(wanted));
        let some: Vec<_> = (0..12).map(|n| json!({"sku": format!("S{n:02}"), "mode": "frozen"})).collect();
        told["paused_skus"] = json!({"count": 12, "some": some});
        let many = said(&told).pop().expect("a line");
        assert!(many.starts_with("12 SKUs are paused on every channel: `S00` (frozen), "), "{many}");
        assert!(many.contains("`S09` (frozen), and 2 more (`evenkeel resume` without arguments"), "{many}");
        told["paused_skus"] = json!({"count": 0, "some": []});
        let said = said(&told);
        for (line, parts) in said.iter().zip([
            ["refuses: too little room", "3 MiB"],
            ["was restored at 2026-11-23", "`evenkeel resume --live`"],
            ["2 of 2 SKUs", "`evenkeel reload --dry-run`"],
        ]) {
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        }
        assert_eq!(said.len(), 3);
    }
}
