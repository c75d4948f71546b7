//! The opening stock: read from one channel, tried out on a copy of the state, and taken over.
//!
//! The preview is no estimate: the same commands are decided on a copy, and what came of them is told. Reading
//! catalogues and orders is recorded in any case; nothing is written to any channel before the opening.

mod summary;

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use tokio::{
    sync::{Mutex, MutexGuard, mpsc},
    time::sleep,
};
use tracing::{info, warn};

use crate::{
    clock::Clock,
    connectors::{CatalogueItem, CountLine, Fault, Scope},
    core::{
        Command, Refused, Reply, State,
        command::{ByHand, Count},
        decide,
        mapping::resolve,
    },
    engine::{
        by_hand,
        channels::{Channels, Reach},
        counter::read_counts,
        feed::{Ended, Error, Feed, Memory, pause_after},
        intake::Quarantine,
        ledger::Ledger,
        parts,
        reconcile::Sweep,
        wake::Wakes,
    },
    model::{
        ChannelId, Counter, FulfilledBy, LocationId, Measure, Policies, Seq, Sku, Timestamp, counted,
        policy::ChannelPolicy, which,
    },
    telemetry::Metrics,
    web::{
        Counting, Failure,
        view::{InitDone, InitPreview, Time},
    },
};

/// The most pages of one catalogue.
const PAGES_MAX: usize = 10_000;

/// Takes over the opening stock, once.
pub struct Opening {
    pub channels: Arc<Channels>,
    pub ledger: Ledger,
    pub clock: Arc<dyn Clock>,
    pub wakes: Arc<Wakes>,
    pub metrics: Arc<Metrics>,
    pub quarantine: Arc<Quarantine>,
    /// One at a time.
    pub turn: Mutex<()>,
}

/// The opening stock as it was read.
struct Stock {
    from: Counter,
    measure: Measure,
    as_of: Timestamp,
    counts: Counts,
    warnings: Vec<String>,
}

enum Counts {
    Read(Vec<Count>),
    ByHand(ByHand),
}

impl Opening {
    /// Reads everything anew and tells what opening with it would do.
    pub async fn preview(&self, from: &ChannelId, at: Option<&LocationId>) -> Result<InitPreview, Failure> {
        let _turn = self.turn()?;
        self.tried(self.read(from, at).await?).await
    }

    /// Reads catalogues and orders anew, and tells what opening with what a person has counted would do.
    pub async fn preview_counted(&self, asked: Counting) -> Result<InitPreview, Failure> {
        let _turn = self.turn()?;
        self.tried(self.counted_by_hand(asked).await?).await
    }

    async fn tried(&self, stock: Stock) -> Result<InitPreview, Failure> {
        let state = self.ledger.read(State::clone).await?;
        let now = self.clock.now();
        let tried = tokio::task::spawn_blocking(move || try_out(state, stock, now)).await;
        tried.map_err(|_| Failure::Failed("the preview panicked".to_owned()))?
    }

    /// Reads everything anew and opens with it.
    pub async fn initialise(&self, from: &ChannelId, at: Option<&LocationId>) -> Result<InitDone, Failure> {
        let _turn = self.turn()?;
        self.open(self.read(from, at).await?).await
    }

    /// Reads catalogues and orders anew, and opens with what a person has counted.
    pub async fn initialise_counted(&self, asked: Counting) -> Result<InitDone, Failure> {
        let _turn = self.turn()?;
        self.open(self.counted_by_hand(asked).await?).await
    }

    async fn open(&self, stock: Stock) -> Result<InitDone, Failure> {
        let from = &stock.from;
        for warning in &stock.warnings {
            warn!(%from, "opening stock: {warning}");
        }
        let mut unknown = 0;
        match stock.counts {
            Counts::Read(counts) => {
                for count in counts {
                    let reply = parts::submit(&self.ledger, Command::Count(count)).await?;
                    let Reply::Counted { unknown: more, deferred, .. } = reply else { continue };
                    unknown += more;
                    if deferred > 0 {
                        warn!(%from, deferred, "SKUs whose orders move are opened by the next count");
                    }
                }
            }
            Counts::ByHand(count) => {
                for part in by_hand::cut(count) {
                    let reply = self.ledger.submit(Command::CountByHand(part)).await?;
                    let Reply::CountedByHand(tally) = reply else { continue };
                    unknown += tally.left_out.len();
                }
            }
        }
        self.ledger.submit(Command::Initialise).await?;
        let (from, measure, as_of, warnings) = (stock.from, stock.measure, stock.as_of, stock.warnings);
        let read = Read { from, measure, as_of, warnings };
        let told = self.ledger.read(move |state| summed(state, read, unknown)).await?;
        let InitPreview { from, as_of, skus, units, open_orders, unmapped_orders, warnings, .. } = told;
        info!(%from, skus, %units, unknown, "opening stock taken over");
        Ok(InitDone { from, as_of, skus, units, unknown, open_orders, unmapped_orders, warnings })
    }

    fn turn(&self) -> Result<MutexGuard<'_, ()>, Failure> {
        self.turn.try_lock().map_err(|_| Failure::Conflict {
            what: "the opening stock is being read already".to_owned(),
            next: "wait until the other `evenkeel init` has ended".to_owned(),
        })
    }

    /// Returns the policies, if there is no opening stock yet.
    async fn unopened(&self) -> Result<Arc<Policies>, Failure> {
        let (policies, initialised) = self.ledger.read(|s| (s.policies.clone(), s.initialised)).await?;
        if let Some(at) = initialised {
            return Err(Failure::Conflict {
                what: format!("the opening stock was taken over already, at {}", Time(at)),
                next: "counts keep it true from here on; `evenkeel sku SKU` shows what is known".to_owned(),
            });
        }
        Ok(policies.ok_or(Refused::NotConfigured)?)
    }

    /// Reads the catalogues of all channels and the orders of those that sell, so that what a person has counted can be
    /// brought up to now.
    async fn counted_by_hand(&self, asked: Counting) -> Result<Stock, Failure> {
        let policies = self.unopened().await?;
        let mut warnings = self.read_catalogues(&policies, None).await?;
        let count = by_hand::known(&self.ledger, self.clock.now(), asked).await?;
        warnings.extend(self.read_orders().await?);
        let (from, measure) = (Counter::Person, count.measure);
        let as_of = count.lines.iter().map(|line| line.as_of).min().unwrap_or_else(|| self.clock.now());
        Ok(Stock { from, measure, as_of, counts: Counts::ByHand(count), warnings })
    }

    /// Reads the catalogues of all channels, the orders of those that sell, and the stock of `from`. `at`: where all of it
    /// lies that it shows of several places together.
    async fn read(&self, from: &ChannelId, at: Option<&LocationId>) -> Result<Stock, Failure> {
        let policies = self.unopened().await?;
        let policy = policies.channels.get(from).ok_or_else(|| Refused::NoChannel(from.clone()))?;
        let measure = match (policy.abilities.counts, policy.abilities.sells) {
            (Some(measure), _) => measure,
            (None, true) => Measure::Free,
            (None, false) => {
                return Err(Failure::Conflict {
                    what: format!("`{from}` tells no stock"),
                    next: "name the ERP (with `counts` set in its table) or a selling channel".to_owned(),
                });
            }
        };
        let together = places_shown(from, policy, at)?;
        let mut warnings = self.read_catalogues(&policies, Some(from)).await?;
        warnings.extend(self.read_orders().await?);
        let counts = if policy.abilities.counts.is_some() {
            vec![self.counted(from, measure).await?]
        } else {
            warnings.extend(together);
            self.shown(from, at, &mut warnings).await?
        };
        let as_of = counts.iter().map(|count| count.as_of).min().unwrap_or_else(|| self.clock.now());
        let counts = Counts::Read(counts);
        Ok(Stock { from: from.clone().into(), measure, as_of, counts, warnings })
    }

    /// Reads all catalogues, those that name the SKUs and the stock first. Another one that cannot be read is told
    /// of, and bound when it can.
    async fn read_catalogues(
        &self,
        policies: &Policies,
        from: Option<&ChannelId>,
    ) -> Result<Vec<String>, Failure> {
        let mut first: Vec<&ChannelId> = policies.mapping.master.iter().collect();
        first.extend(from.filter(|from| policies.mapping.master.as_ref() != Some(*from)));
        for channel in &first {
            match self.catalogue(channel).await {
                Ok(()) | Err(Error::Fault(Fault::NotOffered(_))) => {}
                Err(error) => return Err(failure(channel, error)),
            }
        }
        let connectors = self.channels.connectors();
        let others = connectors.keys().filter(|channel| !first.contains(channel));
        let read =
            join_all(others.map(|channel| async move { (channel, self.catalogue(channel).await) })).await;
        let mut warnings = Vec::new();
        for (channel, read) in read {
            match read {
                Ok(()) | Err(Error::Fault(Fault::NotOffered(_))) => {}
                Err(Error::Ledger(error)) => return Err(error.into()),
                Err(error) => warnings.push(format!(
                    "the catalogue of `{channel}` could not be read ({error}); its listings are bound when it can"
                )),
            }
        }
        Ok(warnings)
    }

    /// Reads a catalogue page by page, because a person waits; by a report only where pages do not do.
    async fn catalogue(&self, channel: &ChannelId) -> Result<(), Error> {
        match self.swept(Sweep::by_pages(), channel).await {
            Err(error @ Error::Fault(Fault::Refused(_) | Fault::Malformed(_))) => {
                warn!(%channel, %error, "the catalogue cannot be read page by page");
                self.swept(Sweep::default(), channel).await
            }
            done => done,
        }
    }

    /// Reads a catalogue to its end. One that breaks off half-way goes on at its page.
    async fn swept(&self, mut sweep: Sweep, channel: &ChannelId) -> Result<(), Error> {
        let Some(connector) = self.channels.connector(channel) else { return Ok(()) };
        let mut failures = 0;
        loop {
            match sweep.read(connector.as_ref(), &self.ledger, self.clock.as_ref(), channel).await {
                Ok(_) => return Ok(()),
                Err(error) if sweep.is_begun() && sweep.goes_on(&error) => {
                    failures += 1;
                    warn!(%channel, %error, failures, "the catalogue broke off; it goes on");
                    sleep(pause_after(&error, failures)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the orders of all channels that sell, so that open ones are taken off what is opened.
    async fn read_orders(&self) -> Result<Vec<String>, Failure> {
        let feeds = self.channels.feeds();
        let reads =
            feeds.iter().map(|(channel, reach)| async move { (channel, self.orders(channel, *reach).await) });
        let mut warnings = Vec::new();
        for (channel, read) in join_all(reads).await {
            match read {
                Ok(()) => {}
                Err(Error::Ledger(error)) => return Err(error.into()),
                Err(error) => warnings.push(format!(
                    "the orders of `{channel}` could not be read ({error}); nothing is raised there until they are"
                )),
            }
        }
        Ok(warnings)
    }

    async fn orders(&self, channel: &ChannelId, reach: Reach) -> Result<(), Error> {
        let (Some(connector), Some(wakes)) = (self.channels.connector(channel), self.wakes.channel(channel))
        else {
            return Ok(());
        };
        // Read once here, so nothing ever ticks.
        let (_, ticks) = mpsc::channel(1);
        let feed = Feed {
            channel: channel.clone(),
            connector,
            ledger: self.ledger.clone(),
            clock: Arc::clone(&self.clock),
            wakes,
            metrics: Arc::clone(&self.metrics),
            quarantine: Arc::clone(&self.quarantine),
            ticks,
            lookback: reach.lookback,
            overlap: reach.overlap,
        };
        match feed.read(&mut Memory::default()).await? {
            Ended::Whole => Ok(()),
            // The feed's own task reads on.
            Ended::Part => Err(Error::Unended),
        }
    }

    /// Reads the stock of a channel that tells counts.
    async fn counted(&self, from: &ChannelId, measure: Measure) -> Result<Count, Failure> {
        let connector = self.channels.connector(from).ok_or_else(|| Refused::NoChannel(from.clone()))?;
        let begun = self.ledger.seq();
        let read = read_counts(connector.as_ref(), &self.quarantine, from, &Scope::All).await;
        let (lines, as_of) = read.map_err(|error| failure(from, error))?;
        Ok(opening(from, measure, as_of, begun, lines))
    }

    /// Reads what a selling channel shows. That is net of its own open orders, so it is a free stock; each page is a
    /// count with a time of its own, because sales go on while the catalogue is read.
    async fn shown(
        &self,
        from: &ChannelId,
        at: Option<&LocationId>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<Count>, Failure> {
        let connector = self.channels.connector(from).ok_or_else(|| Refused::NoChannel(from.clone()))?;
        let mut seen = BTreeSet::new();
        let mut again = 0;
        let mut counts = Vec::new();
        let mut after = None;
        for _ in 0..PAGES_MAX {
            let (begun, as_of) = (self.ledger.seq(), self.clock.now());
            let page =
                connector.catalogue(after.as_ref()).await.map_err(|fault| failure(from, fault.into()))?;
            let (lines, twice) = self.lines(from, at, page.items, &mut seen).await?;
            again += twice;
            counts.push(opening(from, Measure::Free, as_of, begun, lines));
            match page.next {
                Some(next) if after.as_ref() == Some(&next) => return Err(failure(from, Error::Loops)),
                Some(next) => after = Some(next),
                None => {
                    if again > 0 {
                        warnings.push(format!(
                            "{} of `{from}` {} a SKU with another one; the first one's stock is taken",
                            counted(again, "listing"),
                            which(again, "shares", "share")
                        ));
                    }
                    return Ok(counts);
                }
            }
        }
        Err(failure(from, Error::Unbounded))
    }

    /// Turns catalogue items into counted lines, one for each SKU at each place. Returns how many shared a SKU with an earlier one.
    async fn lines(
        &self,
        from: &ChannelId,
        at: Option<&LocationId>,
        items: Vec<CatalogueItem>,
        seen: &mut BTreeSet<(Sku, LocationId)>,
    ) -> Result<(Vec<CountLine>, usize), Failure> {
        let (channel, at) = (from.clone(), at.cloned());
        let found = move |state: &State| {
            let policy = state.policies().and_then(|policies| policies.channels.get(&channel));
            let of = |item: CatalogueItem| {
                let levels =
                    item.levels.filter(|_| item.by == FulfilledBy::Merchant && item.unwritable.is_none())?;
                let drawn = policy?.drawn(&item.ids)?;
                let location = at.as_ref().filter(|at| drawn.contains(at)).or(drawn.first())?.clone();
                let line = CountLine { ids: item.ids, location, quantity: levels.available };
                Some((resolve(state, &channel, &line.ids).sku().cloned(), line))
            };
            items.into_iter().filter_map(of).collect::<Vec<_>>()
        };
        let all = self.ledger.read(found).await?;
        let before = all.len();
        let mut lines = Vec::new();
        for (sku, line) in all {
            // One without a SKU stays: the count tells how many there are.
            if sku.is_none_or(|sku| seen.insert((sku, line.location.clone()))) {
                lines.push(line);
            }
        }
        let twice = before - lines.len();
        Ok((lines, twice))
    }
}

/// Refuses to take over what a channel shows of several places together, unless a person has said where all of it lies.
/// Returns what is to be told of that.
fn places_shown(
    from: &ChannelId,
    policy: &ChannelPolicy,
    at: Option<&LocationId>,
) -> Result<Option<String>, Failure> {
    let conflict = |what: String, next: &str| Err(Failure::Conflict { what, next: next.to_owned() });
    if policy.abilities.counts.is_some() {
        let what = || format!("`{from}` counts each place by itself: nothing of it is to be put in one");
        return at.map_or(Ok(None), |_| conflict(what(), "leave out `--at`"));
    }
    let outlets: Vec<&[LocationId]> = match policy.outlets.as_slice() {
        [] => vec![&policy.locations],
        outlets => outlets.iter().map(|outlet| outlet.locations.as_slice()).collect(),
    };
    let names = |places: &[LocationId]| {
        places.iter().map(|place| format!("`{place}`")).collect::<Vec<_>>().join(" and ")
    };
    if let Some(at) = at.filter(|at| !policy.locations.contains(at)) {
        let what = format!("`{from}` does not draw on `{at}`, but on {}", names(&policy.locations));
        return conflict(what, "name one of these with `--at`");
    }
    let mut several = outlets.into_iter().filter(|places| places.len() > 1);
    let unsaid = several.clone().find(|places| at.is_none_or(|at| !places.contains(at)));
    if let Some(places) = unsaid {
        let what = format!("`{from}` shows what lies at {} together, and not how much where", names(places));
        return conflict(
            what,
            "name with `--at LOCATION` the place where all of it lies; or count each place, and open with \
             `evenkeel count import FILE --opening`",
        );
    }
    let told = several.next().zip(at);
    Ok(told.map(|(places, at)| {
        format!("what `{from}` shows of {} together is all taken to lie at `{at}`", names(places))
    }))
}

fn opening(from: &ChannelId, measure: Measure, as_of: Timestamp, begun: Seq, lines: Vec<CountLine>) -> Count {
    Count {
        counter: from.clone(),
        measure,
        as_of,
        begun,
        lines,
        opening: true,
        absent: Vec::new(),
        set: Default::default(),
    }
}

fn failure(channel: &ChannelId, error: Error) -> Failure {
    match error {
        Error::Ledger(error) => error.into(),
        error @ (Error::Fault(_) | Error::Loops | Error::Unbounded | Error::Unended) => {
            Failure::Channel { channel: channel.clone(), why: error.to_string() }
        }
    }
}

/// Opens a copy of the state and tells what came of it.
fn try_out(mut state: State, stock: Stock, now: Timestamp) -> Result<InitPreview, Failure> {
    let mut unknown = 0;
    match stock.counts {
        Counts::Read(counts) => {
            for count in counts {
                let (parts, lost) = parts::cut(&state, count);
                unknown += lost;
                for part in parts {
                    decide(&mut state, Command::Count(part), now).1?;
                }
            }
        }
        Counts::ByHand(count) => {
            for part in by_hand::cut(count) {
                if let Reply::CountedByHand(tally) = decide(&mut state, Command::CountByHand(part), now).1? {
                    unknown += tally.left_out.len();
                }
            }
        }
    }
    decide(&mut state, Command::Initialise, now).1?;
    let (from, measure, as_of, warnings) = (stock.from, stock.measure, stock.as_of, stock.warnings);
    Ok(summed(&state, Read { from, measure, as_of, warnings }, unknown))
}

/// What is told of an opening stock as it was read.
struct Read {
    from: Counter,
    measure: Measure,
    as_of: Timestamp,
    warnings: Vec<String>,
}

/// Tells what came of an opening, read off a state that has been opened.
fn summed(state: &State, read: Read, unknown: usize) -> InitPreview {
    let mut preview = InitPreview {
        from: read.from,
        measure: read.measure,
        as_of: Time(read.as_of),
        skus: 0,
        units: crate::model::Quantity::ZERO,
        empty: 0,
        unknown,
        channels: Vec::new(),
        unlisted: 0,
        unlisted_some: Vec::new(),
        open_orders: summary::open_orders(state),
        unmapped_orders: summary::unmapped(state),
        warnings: read.warnings,
    };
    summary::tell(state, &mut preview);
    preview
}
