//! Merging order snapshots: the same snapshots in any order, any number of times, give the same totals.
//!
//! A source's versions lie: equal stamps at one-second grain, stamps that go back, partial bodies. So each line
//! keeps two registers. `pushed` holds the highest version that was sent to us, `fetched` the latest read that we
//! made ourselves (by the journal position at which it began, whatever its version says). Equal rank joins field
//! by field, upwards. What counts is a pure function of the registers ([`Order::totals`]), so arrival order cannot
//! matter. What beats or contradicts a fetch without being surely newer asks for another fetch, which settles it.

mod places;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thin_vec::ThinVec;

use crate::{
    core::{
        posting::PostState,
        share::{self, Share},
    },
    model::{
        FulfilledBy, Identifiers, LineId, LineSnapshot, LocationId, OrderSnapshot, Overflow, Quantity, Rest,
        Returns, Seen, Seq, Sku, Timestamp, Totals,
    },
};

/// An order as merged from all that was told of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Order {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub placed_at: Timestamp,
    /// Rank of the latest complete push and fetch: a line that ranks below was absent from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_push: Option<Pushed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole_fetch: Option<Fetched>,
    pub lines: BTreeMap<LineId, Line>,
    /// Set while a fetch that begins at or after this position is wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch_due: Option<Seq>,
    /// Since when one is wanted without having been made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetch_since: Option<Seq>,
    /// How far each ERP has been told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub postings: Vec<PostState>,
    /// When it was first heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<First>,
    /// The position at which units of it were last heard to have left, or come back, while an opening count of theirs was still to
    /// come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<Seq>,
}

/// How things stood when an order was first heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct First {
    /// The position of the record that told of it.
    pub seq: Seq,
    /// The stock was opened by then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opened: bool,
    /// Nothing was written by then, and no ERP was told of anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// Why nothing was, if that was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still: Option<Still>,
}

/// Why nothing is written anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Still {
    /// The mode is `shadow`.
    Shadow,
    /// The store was restored, and no person has let it write since.
    Restored,
}

/// One line with its registers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub ids: Identifiers,
    pub by: FulfilledBy,
    /// Who ships its listing. Counts only where no source says who ships the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<FulfilledBy>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Told<Pushed>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<Told<Fetched>>,
    /// Earlier reads, in order of rank, between which units were taken off without its being said where they lay.
    #[serde(default, skip_serializing_if = "ThinVec::is_empty")]
    pub trail: ThinVec<Told<Fetched>>,
    /// The most that any source ever said was ordered.
    pub ordered_most: Quantity,
    /// The SKU and place that the line's entries are booked on, fixed at its first effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Binding>,
    /// The totals that the ledger has entries for.
    pub booked: Totals,
    /// A person said that it sells nothing that is kept in stock, so that no SKU is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ignored: Option<Ignore>,
    /// Where they are booked, unless that is all at `bound`; see [`Line::shares`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shares: Vec<Share>,
    /// What the first units that came back did, and so all of the line do: they are taken back as they were booked, whatever the
    /// policy is by then. `None`: none came back, or nobody noted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returns: Option<Returns>,
}

/// By what a line is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ignore {
    /// By what it goes by, like every other line that does.
    Item,
    /// By itself.
    Line,
}

/// What a line sells, and where its entries go unless its shares say otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    pub sku: Sku,
    pub location: LocationId,
    /// The order is older than the opening count: what it had done by then is part of that count, and no ERP is
    /// told of that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub baseline: bool,
    /// Bound before there was an opening count, which will tell whether the order is older than it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub early: bool,
}

/// What a source said of a line, and the rank of its saying so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told<R> {
    pub rank: R,
    pub totals: Totals,
    pub rest: Rest,
    /// How the totals lie on locations; empty: not said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<(LocationId, Totals)>,
    /// As in [`LineSnapshot::unplaced_at`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unplaced_at: Option<LocationId>,
}

/// Rank of a push: by the source's version; `received` is the earliest journal position at which that version came,
/// so that a fetch that began later is known to be newer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pushed {
    pub version: Timestamp,
    pub received: Seq,
}

/// Rank of a fetch: by the journal position at which it began, then by the source's version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fetched {
    pub begun: Seq,
    pub version: Timestamp,
}

trait Rank: Copy {
    /// Whether the two rank the same, so that what they say is joined.
    fn ties(self, other: Self) -> bool;
    fn beats(self, other: Self) -> bool;
    fn join(self, other: Self) -> Self;
}

impl Rank for Pushed {
    fn ties(self, other: Self) -> bool {
        self.version == other.version
    }
    fn beats(self, other: Self) -> bool {
        self.version > other.version
    }
    fn join(self, other: Self) -> Self {
        self.min(other)
    }
}

impl Rank for Fetched {
    fn ties(self, other: Self) -> bool {
        self == other
    }
    fn beats(self, other: Self) -> bool {
        self > other
    }
    fn join(self, _: Self) -> Self {
        self
    }
}

fn join<R: Rank>(held: Option<Told<R>>, told: Told<R>) -> Told<R> {
    match held {
        Some(held) if held.rank.beats(told.rank) => held,
        Some(held) if held.rank.ties(told.rank) => Told {
            rank: held.rank.join(told.rank),
            totals: held.totals.most(told.totals),
            rest: held.rest.max(told.rest),
            places: share::joined(&held.places, &told.places),
            unplaced_at: held.unplaced_at.max(told.unplaced_at),
        },
        Some(_) | None => told,
    }
}

fn join_rank<R: Rank>(held: Option<R>, rank: R) -> R {
    match held {
        Some(held) if held.beats(rank) => held,
        Some(held) if held.ties(rank) => held.join(rank),
        Some(_) | None => rank,
    }
}

impl Order {
    /// Merges one snapshot that came in as `seen`; `at` is the journal position of its record.
    pub fn merge(&mut self, snapshot: &OrderSnapshot, seen: Seen, at: Seq) {
        if snapshot.name.is_some() {
            self.name.clone_from(&snapshot.name);
        }
        self.placed_at = match self.placed_at {
            Timestamp::ZERO => snapshot.placed_at,
            held => held.min(snapshot.placed_at),
        };
        let doubtful = self.questions(snapshot, seen);
        for told in &snapshot.lines {
            let line = self.lines.entry(told.line.clone()).or_insert_with(|| Line::new(told.by));
            line.ids = line.ids.and(&told.ids);
            line.by = surer(line.by, told.by);
            if line.location.is_none() {
                line.location.clone_from(&told.location);
            }
            line.ordered_most = line.ordered_most.max(told.totals.ordered);
            match seen {
                Seen::Pushed => {
                    let rank = Pushed { version: snapshot.version, received: at };
                    line.pushed = Some(join(line.pushed.take(), Told::of(rank, told)));
                }
                Seen::Fetched { begun } => {
                    let rank = Fetched { begun, version: snapshot.version };
                    line.take_fetched(Told::of(rank, told));
                }
            }
        }
        if snapshot.complete {
            match seen {
                Seen::Pushed => {
                    let rank = Pushed { version: snapshot.version, received: at };
                    self.whole_push = Some(join_rank(self.whole_push, rank));
                }
                Seen::Fetched { begun } => {
                    let rank = Fetched { begun, version: snapshot.version };
                    self.whole_fetch = Some(join_rank(self.whole_fetch, rank));
                    self.fetch_due = self.fetch_due.filter(|due| begun < *due);
                }
            }
        }
        let due = if doubtful { Some(at) } else { self.fetch_due };
        self.want_fetch(due);
    }

    /// Says whether a fetch is wanted, and from where on it must begin.
    pub fn want_fetch(&mut self, due: Option<Seq>) {
        self.fetch_since = due.map(|due| self.fetch_since.unwrap_or(due));
        self.fetch_due = due;
    }

    /// Tells whether only a fetch, that begins after this snapshot came, can tell what is true.
    fn questions(&self, snapshot: &OrderSnapshot, seen: Seen) -> bool {
        let version = snapshot.version;
        match seen {
            Seen::Pushed => {
                let newer = self.whole_fetch.is_some_and(|fetch| version > fetch.version);
                newer || !snapshot.complete || self.contradicted_by(snapshot)
            }
            Seen::Fetched { begun } => {
                // Two reads overlapped, and the one that began first tells of a newer version.
                let overlapped =
                    self.whole_fetch.is_some_and(|held| begun < held.begun && version > held.version);
                // One read told the same version twice, and not the same.
                let rank = Fetched { begun, version };
                let torn = |line: &Line, told: &LineSnapshot| {
                    line.fetched.as_ref().is_some_and(|f| f.rank == rank && f.differs(told))
                };
                overlapped || self.any_line(snapshot, torn) || self.may_be_stale(snapshot, begun)
            }
        }
    }

    /// Tells whether the same version was told before, and not the same of it.
    fn contradicted_by(&self, snapshot: &OrderSnapshot) -> bool {
        let version = snapshot.version;
        let at_version = |line: &Line| {
            let push = line.pushed.as_ref().filter(|p| p.rank.version == version);
            let fetch = line.fetched.as_ref().filter(|f| f.rank.version == version);
            let (push, fetch) = (push.map(|p| (p.totals, p.rest)), fetch.map(|f| (f.totals, f.rest)));
            [push, fetch]
        };
        let whole = self.whole_push.is_some_and(|rank| rank.version == version)
            || self.whole_fetch.is_some_and(|rank| rank.version == version);
        let told = |id: &LineId| snapshot.lines.iter().any(|told| told.line == *id);
        let unlike = |told: &LineSnapshot| {
            let held = self.lines.get(&told.line).map_or([None, None], at_version);
            let other = held.iter().flatten().any(|held| *held != (told.totals, told.rest));
            other || (whole && held == [None, None])
        };
        let left_out = |(id, line): (&LineId, &Line)| at_version(line) != [None, None] && !told(id);
        snapshot.lines.iter().any(unlike) || (snapshot.complete && self.lines.iter().any(left_out))
    }

    /// Tells whether a fetch is older than a push from before it, by its version, and lacks something of it. Either the version
    /// went back or the fetch was answered from an old copy: a second fetch after the push that says the same is believed.
    fn may_be_stale(&self, snapshot: &OrderSnapshot, begun: Seq) -> bool {
        let newest = self.whole_fetch.is_none_or(|held| held.begun <= begun);
        let same = self.whole_fetch.filter(|held| {
            let unlike =
                |line: &Line, told: &LineSnapshot| line.fetched.as_ref().is_none_or(|f| f.differs(told));
            held.version == snapshot.version && !self.any_line(snapshot, unlike)
        });
        let beaten = |push: Pushed| {
            let again = same.is_some_and(|held| held.begun >= push.received);
            push.version > snapshot.version && push.received <= begun && !again
        };
        newest && self.lacks_of_pushes(snapshot, beaten)
    }

    /// Tells whether a fetch does not say what these pushes did. A source may stamp a push later than the order itself (Amazon's
    /// messages tell milliseconds, its orders seconds), so the versions alone prove nothing.
    fn lacks_of_pushes(&self, snapshot: &OrderSnapshot, these: impl Fn(Pushed) -> bool) -> bool {
        let pushed = |id: &LineId| self.lines.get(id).and_then(|line| line.pushed.as_ref());
        let told = |id: &LineId| snapshot.lines.iter().find(|told| told.line == *id);
        let otherwise = self.lines.iter().any(|(id, line)| {
            let push = line.pushed.as_ref().filter(|push| these(push.rank));
            push.is_some_and(|push| told(id).is_none_or(|told| push.differs(told)))
        });
        let beyond = |whole: Pushed| {
            let left_out = |line: &LineId| pushed(line).is_none_or(|push| push.rank.version < whole.version);
            snapshot.lines.iter().any(|told| left_out(&told.line))
        };
        otherwise || self.whole_push.filter(|rank| these(*rank)).is_some_and(beyond)
    }

    fn any_line(&self, snapshot: &OrderSnapshot, is: impl Fn(&Line, &LineSnapshot) -> bool) -> bool {
        snapshot.lines.iter().any(|told| self.lines.get(&told.line).is_some_and(|line| is(line, told)))
    }

    /// Returns when the order last changed, as far as any source said; zero if none did.
    pub fn changed_at(&self) -> Timestamp {
        let push = self.whole_push.map(|rank| rank.version);
        let fetch = self.whole_fetch.map(|rank| rank.version);
        let lines = self.lines.values().flat_map(|line| {
            let (push, fetch) = (line.pushed.as_ref(), line.fetched.as_ref());
            [push.map(|told| told.rank.version), fetch.map(|told| told.rank.version)]
        });
        [push, fetch].into_iter().chain(lines).flatten().max().unwrap_or_default()
    }

    /// Tells whether a line is booked nowhere, though it might be: no SKU is known for it, or none was when it was last settled. Of
    /// what the channel ships, only what is open waits.
    pub fn waits(&self, line: &Line) -> bool {
        let open = || self.totals(line).and_then(Totals::open).is_ok_and(|open| open > Quantity::ZERO);
        line.is_unmapped() || (line.bound.is_none() && line.ignored.is_none() && open())
    }

    /// Tells whether units of it are still to be shipped.
    pub fn is_open(&self) -> bool {
        let none = |line| self.totals(line).and_then(Totals::open).is_ok_and(|open| open <= Quantity::ZERO);
        !self.lines.values().all(none)
    }

    /// Returns the totals of one line that follow from all registers.
    pub fn totals(&self, line: &Line) -> Result<Totals, Overflow> {
        settle(self.counts(line).map(|said| (said.totals, said.rest)), line.ordered_most)
    }

    /// Returns what counts of all that was said of a line. `None`: that it is gone.
    fn counts<'a>(&self, line: &'a Line) -> Option<Said<'a>> {
        // A push counts over a fetch only if its version is higher and it came after the fetch began.
        let push_counts = |rank: Pushed, fetch: Option<Fetched>| match fetch {
            None => true,
            Some(fetch) => rank.version > fetch.version && rank.received > fetch.begun,
        };
        let fetched = line.fetched.as_ref();
        let fetch = self.whole_fetch.into_iter().chain(fetched.map(|f| f.rank)).max();
        let push = line.pushed.as_ref().filter(|p| push_counts(p.rank, fetch));
        let whole_push = self.whole_push.filter(|rank| push_counts(*rank, fetch));
        match (push, whole_push) {
            (Some(push), Some(whole)) if whole.version > push.rank.version => None,
            (Some(push), _) => Some(Said::of(push)),
            (None, Some(_)) => None,
            (None, None) => match (fetched, self.whole_fetch) {
                (Some(held), Some(whole)) if whole > held.rank => None,
                (Some(held), _) => Some(Said::of(held)),
                (None, _) => None,
            },
        }
    }
}

/// What counts of a line.
#[derive(Debug, Clone, Copy)]
struct Said<'a> {
    totals: Totals,
    rest: Rest,
    places: &'a [(LocationId, Totals)],
    unplaced_at: Option<&'a LocationId>,
}

impl<'a> Said<'a> {
    fn of<R>(told: &'a Told<R>) -> Said<'a> {
        let Told { rank: _, totals, rest, places, unplaced_at } = told;
        Said { totals: *totals, rest: *rest, places, unplaced_at: unplaced_at.as_ref() }
    }
}

impl<R> Told<R> {
    fn of(rank: R, told: &LineSnapshot) -> Told<R> {
        let LineSnapshot { totals, rest, unplaced_at, .. } = told.clone();
        Told { rank, totals, rest, places: share::joined(&told.places, &[]), unplaced_at }
    }

    fn differs(&self, told: &LineSnapshot) -> bool {
        let moved = !self.places.is_empty()
            && !told.places.is_empty()
            && self.places != share::joined(&told.places, &[]);
        moved || (self.totals, self.rest) != (told.totals, told.rest)
    }
}

/// Joins what was said of who ships a line. What is once known to be the channel's own stock stays so.
fn surer(held: FulfilledBy, told: FulfilledBy) -> FulfilledBy {
    match (held, told) {
        (FulfilledBy::Channel, _) | (_, FulfilledBy::Channel) => FulfilledBy::Channel,
        (FulfilledBy::Merchant, _) | (_, FulfilledBy::Merchant) => FulfilledBy::Merchant,
        (FulfilledBy::Unknown, FulfilledBy::Unknown) => FulfilledBy::Unknown,
    }
}

/// Turns what was told into totals that add up. `None`: the line is gone, so its units are free again.
fn settle(told: Option<(Totals, Rest)>, ordered_most: Quantity) -> Result<Totals, Overflow> {
    let (told, rest) =
        told.unwrap_or((Totals { ordered: ordered_most, ..Totals::default() }, Rest::Released));
    let mut totals = Totals {
        ordered: told.ordered.or_zero(),
        released: told.released.or_zero(),
        written_off: told.written_off.or_zero(),
        fulfilled: told.fulfilled.or_zero(),
        returned: told.returned.or_zero(),
    };
    let accounted = totals.released.add(totals.written_off)?.add(totals.fulfilled)?;
    totals.ordered = totals.ordered.max(accounted);
    let most = ordered_most.max(totals.ordered);
    // A source that takes back what it said was ordered has freed those units.
    let taken_back = most.sub(totals.ordered)?;
    let open = totals.ordered.sub(accounted)?;
    totals.ordered = most;
    match rest {
        Rest::Open => totals.released = totals.released.add(taken_back)?,
        Rest::Released => totals.released = totals.released.add(taken_back)?.add(open)?,
        Rest::WrittenOff => totals.written_off = totals.written_off.add(taken_back)?.add(open)?,
    }
    totals.returned = totals.returned.min(totals.fulfilled);
    Ok(totals)
}

impl Line {
    fn new(by: FulfilledBy) -> Line {
        Line {
            ids: Identifiers::default(),
            by,
            listed: None,
            location: None,
            pushed: None,
            fetched: None,
            trail: ThinVec::new(),
            ordered_most: Quantity::ZERO,
            bound: None,
            booked: Totals::default(),
            ignored: None,
            shares: Vec::new(),
            returns: None,
        }
    }

    /// Returns what units of it that come back do, where a policy says this of lines of which none has come back yet.
    pub fn returns_by(&self, policy: Returns) -> Returns {
        self.returns.unwrap_or(policy)
    }

    /// Returns who ships it: as a source says, else as its listing does.
    pub fn shipped_by(&self) -> FulfilledBy {
        match self.by {
            FulfilledBy::Unknown => self.listed.unwrap_or(FulfilledBy::Unknown),
            FulfilledBy::Merchant | FulfilledBy::Channel => self.by,
        }
    }

    /// Tells whether it waits, visibly, for what it sells to become known.
    pub fn is_unmapped(&self) -> bool {
        self.ignored.is_none() && self.lacks_sku()
    }

    /// Tells whether it sells something of which no SKU is known, waited for or not.
    pub fn lacks_sku(&self) -> bool {
        self.bound.is_none()
            && self.shipped_by() != FulfilledBy::Channel
            && self.ordered_most > Quantity::ZERO
    }
}

#[cfg(test)]
mod tests;
