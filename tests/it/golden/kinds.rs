//! What a golden journal must hold: each kind of record, and each kind of what records hold. The lists and the matches
//! come from the same names, and no match has a wildcard: a new variant does not compile until it is named here, and
//! then it is missing from every golden journal.

use std::collections::BTreeSet;

use evenkeel::core::{
    Envelope, Record,
    allocation::Pause,
    assumption::Assumption,
    bulk::{How, Stage},
    circuit::Circuit,
    drift::{Done, Found},
    intent::{Change, Line, Phase, Step as LegStep, Undone, Way},
    ledger::{Cause, Entry, Kind},
    leg::State as Leg,
    oversold::Class,
    posting::Step,
    record::{AlertKind, PauseScope, Why},
    state::Ignorable,
};

macro_rules! kinds {
    ($($function:ident, $list:ident: $of:ident { $($name:ident),+ $(,)? })+) => {
        $(
            fn $function(of: &$of) -> String {
                match of { $($of::$name { .. } => concat!(stringify!($of), "::", stringify!($name)).to_owned(),)+ }
            }
            const $list: &[&str] = &[$(concat!(stringify!($of), "::", stringify!($name))),+];
        )+
        pub(super) fn all() -> Vec<String> {
            [$($list),+].concat().into_iter().map(str::to_owned).collect()
        }
    };
}

kinds! {
    record, RECORDS: Record {
        Configured, Started, Restored, Live, Initialised, Delivered, Forgot, Order, Reread, Pruned, Posting, Counted, CountedByHand, Adjusted, Held, Outdated, Unheld, Commit, Moved,
        Committed, Drift, DriftEnded, Oversold, MadeGood, Measured, Bound, Unmatched, Mapped, MappingRemoved, Made, Catalogued, Fed, FedThrough, CountedThrough, Swept, Circuit, Noticed, BulkTaken, BulkEnded, Paused,
        Quarantined, Unquarantined, Replayed, Ignored, ConfigHeld, Alert, Intent, Allotted,
    }
    ignorable, IGNORABLES: Ignorable { Item, Line }
    why, WHYS: Why {
        OwnSale, Sending, Expected, Applied, Accepted, Stale, Rejected, Throttled, Unauthorized, NotSent, Unknown,
        Restarted, Seen, Looked, Fenced, GaveUp, Repair, Absent, Retried, Discarded, Settled, Rebound,
    }
    leg, LEGS: Leg { Pending, InFlight, Accepted, Probing, Looking, Retry, Confirmed, Parked, Dropped }
    step, STEPS: Step { Done, Pending, InFlight, Retry, Parked, Dropped, Theirs, Watched }
    alert, ALERTS: AlertKind {
        Late, LaneStopped, CircuitOpen, DeadLetters, Brake, Quarantine, Unmapped, FeedLate, PostingLate, Drift,
        AssumptionBroken,
        Intent, Oversold, Notice, BulkLate,
    }
    bulk_stage, BULK_STAGES: Stage { Taking, Unsure, Queued, Working }
    bulk_how, BULK_HOWS: How { NotBegun, Done, Cancelled, Failed, Lost }
    entry, ENTRIES: Kind {
        Sale, Cancel, WriteOff, Ship, Return, ReturnQuarantined, Count, Adjustment, Correction, Restock, Discard,
        Baseline, InCount, TransferOut, Incoming, TransferIn, TransferLost,
    }
    cause, CAUSES: Cause { Order, Count, Operator, Intent, Merged, Edit }
    found, FOUNDS: Found { Edit, Rival, Unseen }
    done, DONES: Done { Repaired, Asked, Accepted, Left, Held, Released, Gone }
    class, CLASSES: Class { Sync, Physical, Override, RivalWriter, Uncontrolled }
    assumption, ASSUMPTIONS: Assumption { FeedLag, Late, Stale }
    circuit, CIRCUITS: Circuit { Closed, Open }
    scope, SCOPES: PauseScope { Channel, Sku }
    pause, PAUSES: Pause { Frozen, Stopped }
    change, CHANGES: Change { Opened, Awaits, Leg, Moved, Received }
    line, LINES: Line { Allot, Move }
    phase, PHASES: Phase { Lowering, InTransit, Raising, Done, RollingBack, RolledBack }
    undone, UNDONES: Undone { Refused, Cancelled, Expired }
    way, WAYS: Way { Lower, Raise, PutBack }
    leg_step, LEG_STEPS: LegStep { Waiting, Seen, Settled, GivenUp }
}

/// Adds the kinds that an envelope holds.
pub(super) fn note(envelope: &Envelope, seen: &mut BTreeSet<String>) {
    for of in &envelope.records {
        seen.insert(record(of));
        within(of, seen);
    }
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "`record` names every kind; here are those that hold others"
)]
fn within(of: &Record, seen: &mut BTreeSet<String>) {
    of.entries().iter().for_each(|of: &Entry| seen.extend([entry(&of.kind), cause(&of.cause)]));
    match of {
        Record::Commit { legs, .. } => seen.extend(legs.iter().map(|(_, of)| leg(&of.state))),
        Record::Moved { why: of, leg: moved, .. } => {
            seen.insert(why(of));
            seen.extend(moved.iter().map(|of| leg(&of.state)));
        }
        Record::Posting { posting, .. } => drop(seen.insert(step(&posting.step))),
        Record::Alert { key, .. } => drop(seen.insert(alert(&key.kind))),
        Record::Ignored { what, .. } => drop(seen.insert(ignorable(what))),
        Record::Circuit { circuit: of, .. } => drop(seen.insert(circuit(of))),
        Record::Paused { scope: of, pause: held } => {
            seen.insert(scope(of));
            seen.extend(held.iter().map(pause));
        }
        Record::Drift { found: Some(drifted), .. } | Record::DriftEnded { drifted, .. } => {
            seen.extend([found(&drifted.found), done(&drifted.done)]);
        }
        Record::Oversold { class: of, cause: by, .. } => seen.extend([class(of), cause(by)]),
        Record::Measured { assumption: of, .. } => drop(seen.insert(assumption(of))),
        Record::Intent { change: of, .. } => intended(of, seen),
        Record::BulkTaken { bulk, .. } => drop(seen.insert(bulk_stage(&bulk.stage))),
        Record::BulkEnded { ended, .. } => drop(seen.insert(bulk_how(&ended.how))),
        _ => {}
    }
}

fn intended(of: &Change, seen: &mut BTreeSet<String>) {
    seen.insert(change(of));
    match of {
        Change::Opened(intent) => {
            seen.insert(phase(&intent.phase));
            seen.extend(intent.lines.iter().map(line));
        }
        Change::Awaits(legs) => {
            seen.extend(legs.iter().flat_map(|leg| [way(&leg.way), leg_step(&leg.step)]));
        }
        Change::Leg { step, .. } => drop(seen.insert(leg_step(step))),
        Change::Moved { phase: to, undone: why } => {
            seen.insert(phase(to));
            seen.extend(why.iter().map(undone));
        }
        Change::Received(_) => {}
    }
}

/// Every reason for which a leg moves.
pub(super) const EVERY_WHY: [Why; WHYS.len()] = [
    Why::OwnSale,
    Why::Sending,
    Why::Expected,
    Why::Applied,
    Why::Accepted,
    Why::Stale,
    Why::Rejected,
    Why::Throttled,
    Why::Unauthorized,
    Why::NotSent,
    Why::Unknown,
    Why::Restarted,
    Why::Seen,
    Why::Looked,
    Why::Fenced,
    Why::GaveUp,
    Why::Repair,
    Why::Absent,
    Why::Retried,
    Why::Discarded,
    Why::Settled,
    Why::Rebound,
];

/// Every kind of alert.
pub(super) const EVERY_ALERT: [AlertKind; ALERTS.len()] = [
    AlertKind::Late,
    AlertKind::LaneStopped,
    AlertKind::CircuitOpen,
    AlertKind::DeadLetters,
    AlertKind::Brake,
    AlertKind::Quarantine,
    AlertKind::Unmapped,
    AlertKind::FeedLate,
    AlertKind::PostingLate,
    AlertKind::Drift,
    AlertKind::AssumptionBroken,
    AlertKind::Intent,
    AlertKind::Oversold,
    AlertKind::Notice,
    AlertKind::BulkLate,
];

/// Every stage of a bulk, and every way in which one ends.
pub(super) const EVERY_STAGE: [Stage; BULK_STAGES.len()] =
    [Stage::Taking, Stage::Unsure, Stage::Queued, Stage::Working];
pub(super) const EVERY_HOW: [How; BULK_HOWS.len()] =
    [How::NotBegun, How::Done, How::Cancelled, How::Failed, How::Lost];

/// Every kind of ledger entry.
pub(super) const EVERY_ENTRY: [Kind; ENTRIES.len()] = [
    Kind::Sale,
    Kind::Cancel,
    Kind::WriteOff,
    Kind::Ship,
    Kind::Return,
    Kind::ReturnQuarantined,
    Kind::Count,
    Kind::Adjustment,
    Kind::Correction,
    Kind::Restock,
    Kind::Discard,
    Kind::Baseline,
    Kind::InCount,
    Kind::TransferOut,
    Kind::Incoming,
    Kind::TransferIn,
    Kind::TransferLost,
];

/// Every drift, by what it was and what was done.
pub(super) const EVERY_FOUND: [Found; FOUNDS.len()] = [Found::Edit, Found::Rival, Found::Unseen];
pub(super) const EVERY_DONE: [Done; DONES.len()] =
    [Done::Repaired, Done::Asked, Done::Accepted, Done::Left, Done::Held, Done::Released, Done::Gone];
