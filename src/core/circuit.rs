//! A channel's circuit: after failures in a row nothing is sent for a while, then one probe.
//!
//! What fails by itself, one listing or one order, counts once however often it fails: it has a pause of its own, which
//! grows, and no other waits for it. So the circuit opens where failures span several of them, or where whole requests
//! fail. A channel on which fewer are under way than would open it is asked no more often than an open circuit would.

use serde::{Deserialize, Serialize};

use crate::{
    core::{fault::excerpt, state::ListingRef},
    model::{OrderKey, Retry, Timestamp},
};

/// How many that failed by themselves are remembered one by one.
const ALONE_MAX: usize = 32;

/// Whether a channel is worth sending to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    Closed {
        failures: u32,
        /// What has failed by itself in this row of failures.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        alone: Vec<Subject>,
        /// When the channel answered again after it was open: what failed before was the channel's doing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since: Option<Timestamp>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failing: Option<Box<Failing>>,
    },
    /// Nothing is sent before `until`; then one write probes.
    Open {
        until: Timestamp,
        /// Credentials failed: a person must act, the probe only notices that they have.
        unauthorized: Option<String>,
        /// All that failed had failed by itself: it may be at fault, and not the channel.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        alone: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failing: Option<Box<Failing>>,
    },
}

/// A row of failures, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// When the first of them failed.
    pub since: Timestamp,
    /// What was said at the last one.
    pub last: String,
}

impl Default for Circuit {
    fn default() -> Circuit {
        Circuit::Closed { failures: 0, alone: Vec::new(), since: None, failing: None }
    }
}

/// What a request is about that is about one thing only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    Listing(ListingRef),
    Order(OrderKey),
}

/// What an answer says about the channel as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It answered, whatever it said of the one write.
    Answered,
    /// It did not answer, and why not.
    Silent(String),
    Unauthorized(String),
}

impl Circuit {
    /// Returns how many writes may go out: all, one as a probe, or none.
    pub fn allows(&self, now: Timestamp) -> Allowed {
        match self {
            Circuit::Closed { .. } => Allowed::All,
            Circuit::Open { until, .. } if *until <= now => Allowed::Probe,
            Circuit::Open { .. } => Allowed::None,
        }
    }

    /// Returns the circuit after an answer, or none. `alone`: what the request was about, if that was one thing.
    pub fn after(&self, health: &Health, alone: Option<&Subject>, retry: &Retry, now: Timestamp) -> Circuit {
        let until = now.plus_millis(retry.circuit_open_ms);
        let failing = self.fails(health, now);
        let open =
            |unauthorized, alone| Circuit::Open { until, unauthorized, alone, failing: failing.clone() };
        match (self, health) {
            (Circuit::Closed { since, .. }, Health::Answered) => {
                Circuit::Closed { failures: 0, alone: Vec::new(), since: *since, failing: None }
            }
            (Circuit::Open { alone, .. }, Health::Answered) => Circuit::closed((!alone).then_some(now)),
            (_, Health::Unauthorized(reason)) => open(Some(reason.clone()), false),
            (Circuit::Closed { failures, alone: held, since, .. }, Health::Silent(_))
                if alone.is_some_and(|alone| held.contains(alone)) =>
            {
                let (failures, alone, since) = (*failures, held.clone(), *since);
                Circuit::Closed { failures, alone, since, failing }
            }
            (Circuit::Closed { failures, alone: held, since, .. }, Health::Silent(_))
                if failures + 1 < retry.circuit_failures =>
            {
                let room = ALONE_MAX.saturating_sub(held.len());
                let held = held.iter().chain(alone.into_iter().take(room)).cloned().collect();
                Circuit::Closed {
                    failures: failures + 1,
                    alone: held,
                    since: *since,
                    failing: failing.clone(),
                }
            }
            (Circuit::Closed { failures, alone: held, .. }, Health::Silent(_)) => {
                open(None, alone.is_some() && usize::try_from(*failures).is_ok_and(|n| n == held.len()))
            }
            (Circuit::Open { unauthorized, alone, .. }, Health::Silent(_)) => {
                open(unauthorized.clone(), *alone)
            }
        }
    }

    /// Returns the circuit after a read came back. It is worth a probe at once; where nothing waits to be written, no
    /// probe would ever come, and the read must do. So it must where a probe would say nothing of the channel.
    pub fn heard(&self, waiting: Waiting, now: Timestamp) -> Circuit {
        match (self, waiting) {
            (Circuit::Open { alone, .. }, Waiting::Nothing)
            | (Circuit::Open { unauthorized: None, alone, .. }, Waiting::Suspects) => {
                // What failed by itself all along stays suspect.
                Circuit::closed((!alone).then_some(now))
            }
            (Circuit::Open { until, unauthorized: None, alone, failing }, Waiting::Some) => {
                let (until, failing) = (now.min(*until), failing.clone());
                Circuit::Open { until, unauthorized: None, alone: *alone, failing }
            }
            (Circuit::Open { .. } | Circuit::Closed { .. }, _) => self.clone(),
        }
    }

    fn closed(since: Option<Timestamp>) -> Circuit {
        Circuit::Closed { failures: 0, alone: Vec::new(), since, failing: None }
    }

    /// Returns the row of failures with one more.
    fn fails(&self, health: &Health, now: Timestamp) -> Option<Box<Failing>> {
        let last = match health {
            Health::Answered => return None,
            Health::Silent(why) | Health::Unauthorized(why) => excerpt(why),
        };
        let since = self.failing().map_or(now, |failing| failing.since);
        Some(Failing { since, last }.into())
    }

    /// Returns since when requests fail, and what was said last. `None`: the last one was answered.
    pub fn failing(&self) -> Option<&Failing> {
        match self {
            Circuit::Closed { failing, .. } | Circuit::Open { failing, .. } => failing.as_deref(),
        }
    }

    /// Returns what was said last of a listing, if nothing else has failed in this row.
    pub fn said_of(&self, listing: &ListingRef) -> Option<&str> {
        match self {
            Circuit::Closed { failures: 1, alone, failing: Some(failing), .. }
                if alone.as_slice() == [Subject::Listing(listing.clone())] =>
            {
                Some(failing.last.as_str())
            }
            Circuit::Closed { .. } | Circuit::Open { .. } => None,
        }
    }

    /// Returns when the channel last answered again after its circuit was open.
    pub fn since(&self) -> Option<Timestamp> {
        if let Circuit::Closed { since, .. } = self { *since } else { None }
    }

    pub fn is_open(&self) -> bool {
        matches!(self, Circuit::Open { .. })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    All,
    Probe,
    None,
}

/// What waits to be written on a channel whose circuit is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    Nothing,
    /// Only listings that may be why requests fail, and too few of them to open the circuit.
    Suspects,
    Some,
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry { base_ms: 1, cap_ms: 1, circuit_failures: 3, circuit_open_ms: 100 };

    fn closed(failures: u32, alone: &[&str]) -> Circuit {
        Circuit::Closed {
            failures,
            alone: alone.iter().map(|sku| subject(sku)).collect(),
            since: None,
            failing: None,
        }
    }

    /// Without what people are told.
    fn bare(circuit: Circuit) -> Circuit {
        match circuit {
            Circuit::Closed { failures, alone, since, .. } => {
                Circuit::Closed { failures, alone, since, failing: None }
            }
            Circuit::Open { until, unauthorized, alone, .. } => {
                Circuit::Open { until, unauthorized, alone, failing: None }
            }
        }
    }

    fn silent() -> Health {
        Health::Silent("no answer within 10s".to_owned())
    }

    fn subject(sku: &str) -> Subject {
        Subject::Listing(ListingRef { sku: sku.parse().expect("a good SKU"), at: 0 })
    }

    /// Requests that fail one after the other, each about one listing, or (`*`) about several.
    #[track_caller]
    fn check_failures(of: &[&str], want: Option<Circuit>) {
        let mut circuit = Circuit::default();
        for of in of {
            let alone = (*of != "*").then(|| subject(of));
            circuit = circuit.after(&silent(), alone.as_ref(), &RETRY, Timestamp::ZERO);
        }
        match want {
            Some(want) => assert_eq!(bare(circuit), want, "{of:?}"),
            None => assert!(circuit.is_open(), "{of:?}: {circuit:?}"),
        }
    }

    #[test]
    fn what_fails_by_itself_counts_once_and_does_not_open_it() {
        check_failures(&["A", "A", "A", "A", "A"], Some(closed(1, &["A"])));
        check_failures(&["A", "B", "A", "B", "A"], Some(closed(2, &["A", "B"])));
        check_failures(&["A", "B", "A", "C"], None);
        check_failures(&["*", "A", "A"], Some(closed(2, &["A"])));
        check_failures(&["*", "*", "*"], None);
        check_failures(&["*", "A", "*"], None);
    }

    #[test]
    fn it_opens_after_failures_in_a_row_probes_once_and_closes_on_an_answer() {
        let at = Timestamp::from_millis;
        let mut circuit = Circuit::default();
        for _ in 0..2 {
            circuit = circuit.after(&silent(), None, &RETRY, at(0));
            assert_eq!(circuit.allows(at(0)), Allowed::All);
        }
        circuit = circuit.after(&silent(), None, &RETRY, at(0));
        assert_eq!((circuit.allows(at(99)), circuit.allows(at(100))), (Allowed::None, Allowed::Probe));
        circuit = circuit.after(&silent(), None, &RETRY, at(100));
        assert_eq!(circuit.allows(at(199)), Allowed::None);
        circuit = circuit.after(&Health::Answered, None, &RETRY, at(200));
        assert_eq!(
            circuit,
            Circuit::Closed { failures: 0, alone: vec![], since: Some(at(200)), failing: None }
        );
    }

    #[test]
    fn an_answer_in_between_starts_the_count_again() {
        let mut circuit = closed(2, &[]);
        circuit = circuit.after(&Health::Answered, None, &RETRY, Timestamp::ZERO);
        assert_eq!(bare(circuit.after(&silent(), None, &RETRY, Timestamp::ZERO)), closed(1, &[]));
    }

    #[test]
    fn a_read_that_came_back_makes_the_probe_due_and_closes_it_where_nothing_is_to_be_written() {
        let at = Timestamp::from_millis;
        let open = |until, unauthorized: Option<&str>| Circuit::Open {
            until: at(until),
            unauthorized: unauthorized.map(str::to_owned),
            alone: false,
            failing: None,
        };
        assert_eq!(open(100, None).heard(Waiting::Some, at(5)), open(5, None));
        assert_eq!(open(3, None).heard(Waiting::Some, at(5)), open(3, None));
        // That reads work says nothing of the right to write.
        let again = Circuit::Closed { failures: 0, alone: vec![], since: Some(at(5)), failing: None };
        assert_eq!(open(100, Some("403")).heard(Waiting::Some, at(5)), open(100, Some("403")));
        assert_eq!(open(100, Some("403")).heard(Waiting::Nothing, at(5)), again);
        assert_eq!(closed(2, &[]).heard(Waiting::Nothing, at(5)), closed(2, &[]));
        // What waits may be what fails: a probe with it would say nothing of the channel.
        assert_eq!(open(100, None).heard(Waiting::Suspects, at(5)), again);
        assert_eq!(open(100, Some("403")).heard(Waiting::Suspects, at(5)), open(100, Some("403")));
    }

    #[test]
    fn refused_credentials_open_at_once_and_stay_named() {
        let circuit =
            Circuit::default().after(&Health::Unauthorized("401".into()), None, &RETRY, Timestamp::ZERO);
        let later = circuit.after(&silent(), None, &RETRY, Timestamp::from_millis(100));
        assert!(matches!(later, Circuit::Open { unauthorized: Some(_), .. }));
    }

    #[test]
    fn a_row_of_failures_tells_since_when_and_what_was_said_last() {
        let at = Timestamp::from_millis;
        let down = |circuit: Circuit, why: &str, when: i64| {
            circuit.after(&Health::Silent(why.to_owned()), None, &RETRY, at(when))
        };
        let mut circuit = Circuit::default();
        for (why, when) in [("timed out", 10), ("503", 20), ("502", 30), ("connection\nrefused", 140)] {
            circuit = down(circuit, why, when);
            let said = why.replace('\n', " ");
            assert_eq!(circuit.failing(), Some(&Failing { since: at(10), last: said }));
        }
        assert!(circuit.is_open());
        assert_eq!(circuit.heard(Waiting::Some, at(150)).failing(), circuit.failing(), "writes still fail");
        circuit = circuit.after(&Health::Answered, None, &RETRY, at(300));
        assert_eq!(circuit.failing(), None);
        circuit = down(circuit, "503", 400);
        assert_eq!(circuit.failing().map(|failing| failing.since), Some(at(400)));
    }
}
