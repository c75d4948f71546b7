//! How the daemon and its channels are.

use std::collections::BTreeMap;

use crate::{
    core::{
        Refused, State,
        bulk::Bulk,
        circuit::Circuit,
        exposure,
        index::Kind,
        leg,
        state::{ChannelRow, Listing, SkuRow},
    },
    model::{ChannelId, FulfilledBy, Quantity, Sku, Timestamp, policy::ChannelPolicy},
    store::Footprint,
    web::{
        Desk, Failure, Vitals,
        desk::ask,
        query::{self, listings, orders},
        view::{ChannelStatus, CircuitView, FeedView, Oldest, PausedSku, PausedSkus, Status},
    },
};

/// How many SKUs are looked at in one go; between two goes the ledger does its work.
const PORTION: usize = 5_000;

/// What the listings of one channel add up to.
#[derive(Debug, Default)]
struct Tally {
    listings: usize,
    unwritable: usize,
    legs: BTreeMap<&'static str, usize>,
    unconfirmed: usize,
    oldest: Option<(Timestamp, Sku)>,
    exposure: Option<i64>,
}

/// What the SKUs add up to.
#[derive(Debug, Default)]
struct Tallies {
    channels: BTreeMap<ChannelId, Tally>,
    paused: PausedSkus,
}

/// Asks for everything that a glance should tell. The counts of listings are taken in portions, so they may be of
/// slightly different moments.
pub(in crate::web) async fn status(desk: &dyn Desk) -> Result<Status, Failure> {
    let mut tallies = Tallies::default();
    let mut after: Option<Sku> = None;
    loop {
        let portion = move |state: &State| {
            let last = count(state, after.as_ref(), &mut tallies);
            (tallies, last)
        };
        let last;
        (tallies, last) = ask(desk, portion).await?;
        match last {
            Some(last) => after = Some(last),
            None => break,
        }
    }
    let (vitals, footprint) = (desk.vitals(), desk.footprint());
    ask(desk, move |state| summary(state, &vitals, footprint, tallies)).await?
}

/// Counts the listings of one portion of SKUs. Returns the last SKU looked at, if there may be more.
fn count(state: &State, after: Option<&Sku>, tallies: &mut Tallies) -> Option<Sku> {
    use std::ops::Bound::{Excluded, Unbounded};
    let from = after.map_or(Unbounded, Excluded);
    let mut last = None;
    let mut seen = 0;
    for (sku, row) in state.skus.range::<Sku, _>((from, Unbounded)).take(PORTION) {
        seen += 1;
        last = Some(sku);
        tallies.paused.extend(paused(state, sku, row));
        let tallies = &mut tallies.channels;
        for listing in row.listings.iter().filter(|listing| !listing.given_away()) {
            if !tallies.contains_key(&listing.channel) {
                tallies.insert(listing.channel.clone(), Tally::default());
            }
            if let Some(tally) = tallies.get_mut(&listing.channel) {
                let policy = state.policies().and_then(|policies| policies.channels.get(&listing.channel));
                tally.add(sku, listing, policy.is_some_and(|policy| policy.abilities.sells));
            }
        }
    }
    last.filter(|_| seen == PORTION).cloned()
}

/// Returns a SKU as it is told of if it is paused. One that became part of another is told of by the other's name, if both are.
fn paused(state: &State, sku: &Sku, row: &SkuRow) -> Option<PausedSku> {
    let mode = row.pause?;
    let now = state.canonical(sku);
    let told = now != sku && state.skus.get(now).is_some_and(|row| row.pause.is_some());
    (!told).then(|| PausedSku { sku: sku.clone(), mode })
}

impl Tally {
    fn add(&mut self, sku: &Sku, listing: &Listing, sells: bool) {
        self.listings += 1;
        self.unwritable += usize::from(!listing.writable());
        if sells && listing.by == FulfilledBy::Merchant {
            let units = exposure::of(&listing.writes).ok().flatten().map(Quantity::units);
            self.exposure =
                units.map(|units| units.saturating_add(self.exposure.unwrap_or(0))).or(self.exposure);
        }
        let Some(leg) = &listing.leg else { return };
        *self.legs.entry(leg.name()).or_default() += 1;
        match &leg.state {
            leg::State::Confirmed | leg::State::Parked { .. } | leg::State::Dropped => return,
            leg::State::Pending
            | leg::State::InFlight(_)
            | leg::State::Accepted { .. }
            | leg::State::Probing { .. }
            | leg::State::Looking { .. }
            | leg::State::Retry { .. } => {}
        }
        self.unconfirmed += 1;
        if self.oldest.as_ref().is_none_or(|(since, _)| leg.since < *since) {
            self.oldest = Some((leg.since, sku.clone()));
        }
    }
}

fn summary(
    state: &State,
    vitals: &Vitals,
    footprint: Footprint,
    mut tallies: Tallies,
) -> Result<Status, Failure> {
    let policies = state.policies().ok_or(Refused::NotConfigured)?;
    let mut channels = Vec::new();
    let mut dead_letters = state.held.len() + state.quarantine.len();
    for (id, policy) in &policies.channels {
        let tally = tallies.channels.remove(id).unwrap_or_default();
        let channel = channel(state, vitals.now, id, policy, tally);
        dead_letters += channel.legs.get("parked").copied().unwrap_or(0) + channel.postings_parked;
        channels.push(channel);
    }
    dead_letters += query::letters::left_of_gone(state);
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instance: policies.instance.to_string(),
        mode: state.mode().unwrap_or(policies.mode),
        refuses: vitals.refuses.clone(),
        disk: vitals.disk.clone(),
        restored_at: state.restored.map(Into::into),
        now: vitals.now.into(),
        uptime_ms: i64::try_from(vitals.uptime.as_millis()).unwrap_or(i64::MAX),
        seq: vitals.seq,
        initialised_at: state.initialised.map(Into::into),
        channels,
        held_configuration: state.held_config.as_ref().map(|held| held.why.clone()),
        skus: state.skus.len(),
        paused_skus: tallies.paused,
        orders: state.orders_known(),
        orders_pruned: state.tombstones.len(),
        queued: vitals.queued,
        dead_letters,
        alerts_firing: state.alerts.values().filter(|alert| alert.firing).count(),
        quarantine: state.quarantine.len(),
        held_counts: state.held.len(),
        unmatched: state.waiting_items().count(),
        state_bytes: footprint.bytes,
        state_built_at: footprint.built.map(|(at, _)| Timestamp::from_millis(at).into()),
    })
}

fn channel(
    state: &State,
    now: Timestamp,
    id: &ChannelId,
    policy: &ChannelPolicy,
    tally: Tally,
) -> ChannelStatus {
    let none = ChannelRow::default();
    let row = state.channels.get(id).unwrap_or(&none);
    let count = |kind: Kind| orders(state, kind, id).count();
    let oldest =
        tally.oldest.map(|(since, sku)| Oldest { sku, since: since.into(), age_ms: now.since(since) });
    ChannelStatus {
        channel: id.clone(),
        kind: policy.kind.name().to_owned(),
        circuit: circuit(&row.circuit),
        paused: row.pause,
        orders_read_at: row.fed.map(|fed| fed.at.into()),
        orders_read_age_ms: row.fed.map(|fed| now.since(fed.at)),
        orders_read_through: row.fed.map(|fed| fed.through.into()),
        counted_through: row.counted_through.map(Into::into),
        catalogue_read_at: row.catalogued_at.map(Into::into),
        swept_at: row.swept_at.map(Into::into),
        listings: tally.listings,
        unwritable: tally.unwritable,
        legs: tally.legs.into_iter().map(|(name, count)| (name.to_owned(), count)).collect(),
        unconfirmed: tally.unconfirmed,
        lag_ms: oldest.as_ref().map_or(0, |oldest| oldest.age_ms.max(0)),
        oldest_unconfirmed: oldest,
        unmapped_orders: count(Kind::Unmapped),
        postings_waiting: count(Kind::Post) + count(Kind::Posting),
        postings_parked: count(Kind::PostParked),
        drifts: listings(state, Kind::Drifts, id).count(),
        exposure: tally.exposure,
        assumptions: query::drift::assumptions(&policy.abilities, &row.measures),
        notices: row.notices.clone(),
        feed: row.bulk().map(feed),
    }
}

fn feed(bulk: &Bulk) -> FeedView {
    let (id, stage) = (bulk.id.clone(), bulk.stage.name().to_owned());
    FeedView { id, stage, listings: bulk.listings, since: bulk.at.into() }
}

fn circuit(circuit: &Circuit) -> CircuitView {
    let failing = circuit.failing();
    let failing_since = failing.map(|failing| failing.since.into());
    let last_error = failing.map(|failing| failing.last.clone());
    match circuit {
        Circuit::Closed { failures, .. } => {
            CircuitView::Closed { failures: *failures, failing_since, last_error }
        }
        Circuit::Open { until, unauthorized, .. } => {
            let (until, unauthorized) = ((*until).into(), unauthorized.clone());
            CircuitView::Open { until, unauthorized, failing_since, last_error }
        }
    }
}
