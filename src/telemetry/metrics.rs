//! Every figure that is published, by name.
//!
//! Callers state facts; names and buckets are settled here.

use std::time::Duration;

use prometheus_client::{
    encoding::text,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};

use crate::{
    connectors::Outcome,
    model::ChannelId,
    telemetry::labels::{
        AlertPost, By, ByAssumption, ByClass, ByDrift, ByFeed, ByKind, ByLane, ByLeg, ByOutcome, ByPoll,
        ByPush, ByRead, ByVia, ByWrite, Channel, Drift, Feed, Lane, LegState, Polled, Push, ReadBack, Via,
    },
};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A gauge of fractional seconds.
type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;
type HistogramBy = Family<By, Histogram, fn() -> Histogram>;

/// All figures of one daemon. Share it behind an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    webhooks: Family<ByPush, Counter>,
    webhooks_stray: Counter,
    webhook_seconds: Histogram,
    orders_merged: Family<ByVia, Counter>,
    ledger_entries: Family<ByKind, Counter>,
    commits_opened: Counter,
    commits_committed: Counter,
    writes: Family<ByWrite, Counter>,
    retries: Family<By, Counter>,
    read_backs: Family<ByRead, Counter>,
    legs: Family<ByLeg, Gauge>,
    lanes: Family<ByLane, Gauge>,
    visible_seconds: HistogramBy,
    fsync_seconds: Histogram,
    group_records: Histogram,
    queue_depth: Gauge,
    room_free: Gauge,
    room_refuses: Gauge,
    resident: Gauge,
    dead_letters: Family<By, Gauge>,
    alerts_raised: Family<ByKind, Counter>,
    alerts_firing: Gauge,
    alert_posts: Family<ByOutcome, Counter>,
    quarantined: Family<By, Counter>,
    brakes_held: Gauge,
    drift: Family<ByDrift, Counter>,
    polls: Family<ByPoll, Counter>,
    feed_age_seconds: Family<ByFeed, Seconds>,
    api_version_mismatches: Family<By, Counter>,
    drift_open: Family<By, Gauge>,
    oversold_units: Family<ByClass, Counter>,
    exposure_units: Family<By, Gauge>,
    short_skus: Gauge,
    short_units: Gauge,
    assumed_seconds: Family<ByAssumption, Seconds>,
    measured_max_seconds: Family<ByAssumption, Seconds>,
    measured_seconds: Family<ByAssumption, Histogram, fn() -> Histogram>,
    assumptions_broken: Family<ByAssumption, Counter>,
    order_news_seconds: HistogramBy,
    answer_seconds: HistogramBy,
}

/// From a tenth of a second, when a channel shows a write at once, to the hours that Amazon may take.
fn visible_buckets() -> Histogram {
    Histogram::new([
        0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 21600.0,
    ])
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics::new()
    }
}

impl Metrics {
    pub fn new() -> Metrics {
        let mut metrics = Metrics {
            registry: Registry::with_prefix("evenkeel"),
            webhooks: Family::default(),
            webhooks_stray: Counter::default(),
            webhook_seconds: Histogram::new([
                0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 4.0,
            ]),
            orders_merged: Family::default(),
            ledger_entries: Family::default(),
            commits_opened: Counter::default(),
            commits_committed: Counter::default(),
            writes: Family::default(),
            retries: Family::default(),
            read_backs: Family::default(),
            legs: Family::default(),
            lanes: Family::default(),
            visible_seconds: Family::new_with_constructor(visible_buckets),
            fsync_seconds: Histogram::new(exponential_buckets(0.0001, 2.0, 14)),
            group_records: Histogram::new(exponential_buckets(1.0, 2.0, 12)),
            queue_depth: Gauge::default(),
            room_free: Gauge::default(),
            room_refuses: Gauge::default(),
            resident: Gauge::default(),
            dead_letters: Family::default(),
            alerts_raised: Family::default(),
            alerts_firing: Gauge::default(),
            alert_posts: Family::default(),
            quarantined: Family::default(),
            brakes_held: Gauge::default(),
            drift: Family::default(),
            polls: Family::default(),
            feed_age_seconds: Family::default(),
            api_version_mismatches: Family::default(),
            drift_open: Family::default(),
            oversold_units: Family::default(),
            exposure_units: Family::default(),
            short_skus: Gauge::default(),
            short_units: Gauge::default(),
            assumed_seconds: Family::default(),
            measured_max_seconds: Family::default(),
            measured_seconds: Family::new_with_constructor(visible_buckets),
            assumptions_broken: Family::default(),
            order_news_seconds: Family::new_with_constructor(visible_buckets),
            answer_seconds: Family::new_with_constructor(visible_buckets),
        };
        metrics.register_intake();
        metrics.register_writes();
        metrics.register_care();
        metrics.register_truth();
        metrics
    }

    fn register_intake(&mut self) {
        let to = &mut self.registry;
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        to.register("build", "The running version", version);
        to.register("webhooks", "Pushed requests by what became of them", self.webhooks.clone());
        let stray = "Pushed requests for channels that are not configured";
        to.register("webhooks_stray", stray, self.webhooks_stray.clone());
        let took = "From a webhook's last byte to its answer";
        to.register("webhook_seconds", took, self.webhook_seconds.clone());
        let merged = "Orders whose merge changed something";
        to.register("orders_merged", merged, self.orders_merged.clone());
        to.register("ledger_entries", "Ledger entries by kind", self.ledger_entries.clone());
        to.register("journal_fsync_seconds", "How long an fsync took", self.fsync_seconds.clone());
        to.register("journal_group_records", "Records in one fsync", self.group_records.clone());
        to.register(
            "store_free_bytes",
            "Bytes that may still be written to the store's disk",
            self.room_free.clone(),
        );
        to.register(
            "store_refuses",
            "Whether nothing is taken in because there is too little room",
            self.room_refuses.clone(),
        );
        let resident = "Bytes of memory that the process holds: its resident set";
        to.register("resident_bytes", resident, self.resident.clone());
        to.register("ledger_queue", "Commands that wait for the ledger", self.queue_depth.clone());
    }

    fn register_writes(&mut self) {
        let to = &mut self.registry;
        to.register("commits_opened", "Stock changes to be carried out", self.commits_opened.clone());
        let committed = "Stock changes that were seen live on every channel";
        to.register("commits_committed", committed, self.commits_committed.clone());
        to.register("writes", "Writes by what the channel did with them", self.writes.clone());
        to.register("retries", "Writes that were sent again", self.retries.clone());
        to.register("read_backs", "Looks at written quantities by what they showed", self.read_backs.clone());
        to.register("legs", "Parts of commits that have not ended", self.legs.clone());
        to.register("lanes", "1 for what each channel's lane is doing", self.lanes.clone());
        let visible = "From an event to its quantity being seen on the channel";
        to.register("visible_seconds", visible, self.visible_seconds.clone());
        to.register("dead_letters", "Writes that wait for a person", self.dead_letters.clone());
    }

    fn register_care(&mut self) {
        let to = &mut self.registry;
        to.register("alerts_raised", "Alerts by kind", self.alerts_raised.clone());
        to.register("alerts_firing", "Alerts that have not recovered", self.alerts_firing.clone());
        to.register("alert_posts", "Alerts posted to the configured address", self.alert_posts.clone());
        let quarantined = "Authentic bodies that could not be read";
        to.register("quarantined", quarantined, self.quarantined.clone());
        to.register("brakes_held", "Changes held as too large", self.brakes_held.clone());
        to.register("drift", "Unexplained differences by what was done", self.drift.clone());
        to.register("polls", "Reads of feeds by how they ended", self.polls.clone());
        let age = "How far the read part of a feed lies behind the present";
        to.register("feed_age_seconds", age, self.feed_age_seconds.clone());
        let version = "Answers of another API version than the pinned one";
        to.register("api_version_mismatches", version, self.api_version_mismatches.clone());
    }

    fn register_truth(&mut self) {
        let to = &mut self.registry;
        to.register("drift_open", "Listings whose drift waits for a person", self.drift_open.clone());
        let oversold = "Units sold that are not there, by whose doing it is";
        to.register("oversold_units", oversold, self.oversold_units.clone());
        let exposure = "The most that a channel may still sell unseen";
        to.register("exposure_units", exposure, self.exposure_units.clone());
        let short = "SKUs of which the channels may sell more than there is";
        to.register("short_skus", short, self.short_skus.clone());
        to.register("short_units", "By how many units, together", self.short_units.clone());
        let assumed = "What is assumed of a channel's delays";
        to.register("assumed_seconds", assumed, self.assumed_seconds.clone());
        let most = "The most that was ever measured of them";
        to.register("measured_max_seconds", most, self.measured_max_seconds.clone());
        let measured = "What was measured of them, where it showed";
        to.register("measured_seconds", measured, self.measured_seconds.clone());
        let broken = "How often it was more than assumed";
        to.register("assumptions_broken", broken, self.assumptions_broken.clone());
        let news = "From an order being placed, by its channel's clock, to its sale being booked";
        to.register("order_news_seconds", news, self.order_news_seconds.clone());
        let answer = "From a write being sent to its answer";
        to.register("answer_seconds", answer, self.answer_seconds.clone());
    }

    /// Writes all figures in the OpenMetrics text format.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.registry).expect("a String takes every write");
        out
    }

    pub fn webhook(&self, channel: &ChannelId, result: Push) {
        self.webhooks.get_or_create(&ByPush { channel: label(channel), result }).inc();
    }

    /// A push for a channel that is not configured. Its name is the sender's, so it is no label.
    pub fn webhook_stray(&self) {
        self.webhooks_stray.inc();
    }

    pub fn webhook_took(&self, time: Duration) {
        self.webhook_seconds.observe(time.as_secs_f64());
    }

    pub fn order_merged(&self, channel: &ChannelId, via: Via) {
        self.orders_merged.get_or_create(&ByVia { channel: label(channel), via }).inc();
    }

    /// `kind` is the name of a kind of entry, not text from outside.
    pub fn ledger_entries(&self, kind: &'static str, count: u64) {
        self.ledger_entries.get_or_create(&ByKind { kind }).inc_by(count);
    }

    pub fn commit_opened(&self) {
        self.commits_opened.inc();
    }

    pub fn commit_committed(&self) {
        self.commits_committed.inc();
    }

    pub fn write(&self, channel: &ChannelId, outcome: &Outcome) {
        self.writes.get_or_create(&ByWrite { channel: label(channel), outcome: outcome.into() }).inc();
    }

    pub fn retry(&self, channel: &ChannelId) {
        self.retries.get_or_create(&by(channel)).inc();
    }

    pub fn read_back(&self, channel: &ChannelId, result: ReadBack) {
        self.read_backs.get_or_create(&ByRead { channel: label(channel), result }).inc();
    }

    pub fn set_legs(&self, channel: &ChannelId, state: LegState, count: usize) {
        self.legs.get_or_create(&ByLeg { channel: label(channel), state }).set(gauge(count));
    }

    /// Marks one state of the lane with 1 and the others with 0.
    pub fn set_lane(&self, channel: &ChannelId, lane: Lane) {
        for state in Lane::ALL {
            let labels = ByLane { channel: label(channel), state: *state };
            self.lanes.get_or_create(&labels).set(i64::from(*state == lane));
        }
    }

    /// From the event to the quantity being seen on the channel.
    pub fn visible_after(&self, channel: &ChannelId, time: Duration) {
        self.visible_seconds.get_or_create(&by(channel)).observe(time.as_secs_f64());
    }

    pub fn fsynced(&self, records: usize, time: Duration) {
        self.fsync_seconds.observe(time.as_secs_f64());
        self.group_records.observe(f64::from(u32::try_from(records).unwrap_or(u32::MAX)));
    }

    pub fn set_room(&self, free: u64, refuses: bool) {
        self.room_free.set(i64::try_from(free).unwrap_or(i64::MAX));
        self.room_refuses.set(i64::from(refuses));
    }

    pub fn set_resident(&self, bytes: u64) {
        self.resident.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub fn set_queue(&self, waiting: usize) {
        self.queue_depth.set(gauge(waiting));
    }

    pub fn set_dead_letters(&self, channel: &ChannelId, count: usize) {
        self.dead_letters.get_or_create(&by(channel)).set(gauge(count));
    }

    /// `kind` is the name of a kind of alert, not text from outside.
    pub fn alert_raised(&self, kind: &'static str) {
        self.alerts_raised.get_or_create(&ByKind { kind }).inc();
    }

    pub fn set_alerts_firing(&self, count: usize) {
        self.alerts_firing.set(gauge(count));
    }

    pub fn alert_posted(&self, outcome: AlertPost) {
        self.alert_posts.get_or_create(&ByOutcome { outcome }).inc();
    }

    pub fn quarantined(&self, channel: &ChannelId) {
        self.quarantined.get_or_create(&by(channel)).inc();
    }

    pub fn set_brakes_held(&self, count: usize) {
        self.brakes_held.set(gauge(count));
    }

    pub fn drift(&self, channel: &ChannelId, action: Drift) {
        self.drift.get_or_create(&ByDrift { channel: label(channel), action }).inc();
    }

    pub fn set_drift_open(&self, channel: &ChannelId, count: usize) {
        self.drift_open.get_or_create(&by(channel)).set(gauge(count));
    }

    /// `class` is the name of a class, not text from outside.
    pub fn oversold(&self, class: &'static str, units: u64) {
        self.oversold_units.get_or_create(&ByClass { class }).inc_by(units);
    }

    pub fn set_exposure(&self, channel: &ChannelId, units: i64) {
        self.exposure_units.get_or_create(&by(channel)).set(units);
    }

    pub fn set_short(&self, skus: usize, units: i64) {
        self.short_skus.set(gauge(skus));
        self.short_units.set(units);
    }

    /// `assumption` is the name of one, not text from outside.
    pub fn set_assumed(
        &self,
        channel: &ChannelId,
        assumption: &'static str,
        stated: Duration,
        most: Duration,
    ) {
        let labels = ByAssumption { channel: label(channel), assumption };
        self.assumed_seconds.get_or_create(&labels).set(stated.as_secs_f64());
        self.measured_max_seconds.get_or_create(&labels).set(most.as_secs_f64());
    }

    pub fn measured(&self, channel: &ChannelId, assumption: &'static str, time: Duration, broken: bool) {
        let labels = ByAssumption { channel: label(channel), assumption };
        self.measured_seconds.get_or_create(&labels).observe(time.as_secs_f64());
        self.assumptions_broken.get_or_create(&labels).inc_by(u64::from(broken));
    }

    pub fn order_news(&self, channel: &ChannelId, time: Duration) {
        self.order_news_seconds.get_or_create(&by(channel)).observe(time.as_secs_f64());
    }

    pub fn answered_after(&self, channel: &ChannelId, time: Duration) {
        self.answer_seconds.get_or_create(&by(channel)).observe(time.as_secs_f64());
    }

    pub fn polled(&self, channel: &ChannelId, feed: Feed, result: Polled) {
        self.polls.get_or_create(&ByPoll { channel: label(channel), feed, result }).inc();
    }

    pub fn set_feed_age(&self, channel: &ChannelId, feed: Feed, age: Duration) {
        self.feed_age_seconds.get_or_create(&ByFeed { channel: label(channel), feed }).set(age.as_secs_f64());
    }

    pub fn api_version_mismatch(&self, channel: &ChannelId) {
        self.api_version_mismatches.get_or_create(&by(channel)).inc();
    }
}

fn label(channel: &ChannelId) -> Channel {
    Channel(channel.clone())
}

fn by(channel: &ChannelId) -> By {
    By { channel: label(channel) }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn main() -> ChannelId {
        ChannelId::new("main").expect("a name")
    }

    /// The lines of what [`touch_the_rest`] touches.
    const REST: &[&str] = &[
        "evenkeel_drift_open{channel=\"main\"} 2",
        "evenkeel_oversold_units_total{class=\"sync\"} 3",
        "evenkeel_exposure_units{channel=\"main\"} 40",
        "evenkeel_short_skus 1",
        "evenkeel_short_units 7",
        "evenkeel_assumed_seconds{channel=\"main\",assumption=\"late\"} 120.0",
        "evenkeel_measured_max_seconds{channel=\"main\",assumption=\"late\"} 3.0",
        "evenkeel_measured_seconds_bucket{le=\"60.0\",channel=\"main\",assumption=\"feed_lag\"} 1",
        "evenkeel_assumptions_broken_total{channel=\"main\",assumption=\"feed_lag\"} 1",
        "evenkeel_order_news_seconds_bucket{le=\"2.5\",channel=\"main\"} 1",
        "evenkeel_answer_seconds_bucket{le=\"0.5\",channel=\"main\"} 1",
    ];

    fn touch_the_rest(metrics: &Metrics, id: &ChannelId) {
        metrics.set_resident(1 << 20);
        metrics.set_drift_open(id, 2);
        metrics.oversold("sync", 3);
        metrics.set_exposure(id, 40);
        metrics.set_short(1, 7);
        metrics.set_assumed(id, "late", Duration::from_secs(120), Duration::from_secs(3));
        metrics.measured(id, "feed_lag", Duration::from_secs(40), true);
        metrics.order_news(id, Duration::from_secs(2));
        metrics.answered_after(id, Duration::from_millis(300));
    }

    #[test]
    fn figures_are_published_under_their_names_with_their_labels() {
        let metrics = Metrics::new();
        let id = main();
        metrics.webhook(&id, Push::Duplicate);
        metrics.webhook_stray();
        metrics.webhook_took(Duration::from_millis(3));
        metrics.order_merged(&id, Via::Push);
        metrics.ledger_entries("sale", 2);
        metrics.commit_opened();
        metrics.commit_committed();
        metrics.write(&id, &Outcome::Unknown { fault: "cut off".to_owned() });
        metrics.retry(&id);
        metrics.read_back(&id, ReadBack::Wanted);
        metrics.set_legs(&id, LegState::InFlight, 4);
        metrics.visible_after(&id, Duration::from_secs(2));
        metrics.fsynced(3, Duration::from_micros(150));
        metrics.set_queue(5);
        metrics.set_dead_letters(&id, 1);
        metrics.alert_raised("lane_stopped");
        metrics.set_alerts_firing(1);
        metrics.alert_posted(AlertPost::Failed);
        metrics.quarantined(&id);
        metrics.set_brakes_held(0);
        metrics.drift(&id, Drift::Repaired);
        metrics.polled(&id, Feed::Orders, Polled::Throttled);
        metrics.set_feed_age(&id, Feed::Levels, Duration::from_millis(1500));
        metrics.api_version_mismatch(&id);
        metrics.set_lane(&id, Lane::Running);
        touch_the_rest(&metrics, &id);
        let text = metrics.encode();
        for line in [
            "evenkeel_webhooks_total{channel=\"main\",result=\"duplicate\"} 1",
            "evenkeel_webhooks_stray_total 1",
            "evenkeel_webhook_seconds_bucket{le=\"0.005\"} 1",
            "evenkeel_orders_merged_total{channel=\"main\",via=\"push\"} 1",
            "evenkeel_ledger_entries_total{kind=\"sale\"} 2",
            "evenkeel_commits_opened_total 1",
            "evenkeel_commits_committed_total 1",
            "evenkeel_writes_total{channel=\"main\",outcome=\"unknown\"} 1",
            "evenkeel_retries_total{channel=\"main\"} 1",
            "evenkeel_read_backs_total{channel=\"main\",result=\"wanted\"} 1",
            "evenkeel_legs{channel=\"main\",state=\"in_flight\"} 4",
            "evenkeel_visible_seconds_bucket{le=\"2.5\",channel=\"main\"} 1",
            "evenkeel_journal_fsync_seconds_count 1",
            "evenkeel_journal_group_records_sum 3.0",
            "evenkeel_ledger_queue 5",
            "evenkeel_dead_letters{channel=\"main\"} 1",
            "evenkeel_alerts_raised_total{kind=\"lane_stopped\"} 1",
            "evenkeel_alerts_firing 1",
            "evenkeel_alert_posts_total{outcome=\"failed\"} 1",
            "evenkeel_quarantined_total{channel=\"main\"} 1",
            "evenkeel_brakes_held 0",
            "evenkeel_drift_total{channel=\"main\",action=\"repaired\"} 1",
            "evenkeel_polls_total{channel=\"main\",feed=\"orders\",result=\"throttled\"} 1",
            "evenkeel_feed_age_seconds{channel=\"main\",feed=\"levels\"} 1.5",
            "evenkeel_api_version_mismatches_total{channel=\"main\"} 1",
        ]
        .iter()
        .chain(REST)
        {
            assert!(text.lines().any(|found| found == *line), "no `{line}` in\n{text}");
        }
        assert!(text.contains("evenkeel_build_info{version="), "{text}");
        assert!(text.ends_with("# EOF\n"));
        // Every figure that is registered was touched above, explained, and named once.
        let names: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let unique: std::collections::BTreeSet<&str> = names.iter().copied().collect();
        let helps = text.lines().filter(|line| line.starts_with("# HELP ")).count();
        assert_eq!((names.len(), unique.len(), helps), (41, 41, 41), "{text}");
    }

    #[test]
    fn a_lane_is_in_one_state_at_a_time() {
        let metrics = Metrics::new();
        metrics.set_lane(&main(), Lane::CircuitOpen);
        metrics.set_lane(&main(), Lane::Running);
        let text = metrics.encode();
        let ones = text.lines().filter(|line| line.starts_with("evenkeel_lanes{") && line.ends_with(" 1"));
        assert_eq!(ones.collect::<Vec<_>>(), ["evenkeel_lanes{channel=\"main\",state=\"running\"} 1"]);
    }
}
