//! A channel's circuit: after failures in a row nothing is sent for a while, then one probe.

use serde::{Deserialize, Serialize};

use crate::model::{Retry, Timestamp};

/// Whether a channel is worth sending to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Circuit {
    Closed {
        failures: u32,
    },
    /// Nothing is sent before `until`; then one write probes.
    Open {
        until: Timestamp,
        /// Credentials failed: a person must act, the probe only notices that they have.
        unauthorized: Option<String>,
    },
}

impl Default for Circuit {
    fn default() -> Circuit {
        Circuit::Closed { failures: 0 }
    }
}

/// What an answer says about the channel as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It answered, whatever it said of the one write.
    Answered,
    /// It did not answer.
    Silent,
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

    pub fn after(&self, health: &Health, retry: &Retry, now: Timestamp) -> Circuit {
        let open =
            |unauthorized| Circuit::Open { until: now.plus_millis(retry.circuit_open_ms), unauthorized };
        match (self, health) {
            (_, Health::Answered) => Circuit::default(),
            (_, Health::Unauthorized(reason)) => open(Some(reason.clone())),
            (Circuit::Closed { failures }, Health::Silent) if failures + 1 < retry.circuit_failures => {
                Circuit::Closed { failures: failures + 1 }
            }
            (Circuit::Closed { .. }, Health::Silent) => open(None),
            (Circuit::Open { unauthorized, .. }, Health::Silent) => open(unauthorized.clone()),
        }
    }

    /// Returns the circuit after a read came back. It is worth a probe at once; where nothing waits to be written
    /// (`idle`), no probe would ever come, and the read must do.
    pub fn heard(&self, idle: bool, now: Timestamp) -> Circuit {
        match self {
            Circuit::Open { .. } if idle => Circuit::default(),
            Circuit::Open { until, unauthorized: None } => {
                Circuit::Open { until: now.min(*until), unauthorized: None }
            }
            Circuit::Open { .. } | Circuit::Closed { .. } => self.clone(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry { base_ms: 1, cap_ms: 1, circuit_failures: 3, circuit_open_ms: 100 };

    #[test]
    fn it_opens_after_failures_in_a_row_probes_once_and_closes_on_an_answer() {
        let at = Timestamp::from_millis;
        let mut circuit = Circuit::default();
        for _ in 0..2 {
            circuit = circuit.after(&Health::Silent, &RETRY, at(0));
            assert_eq!(circuit.allows(at(0)), Allowed::All);
        }
        circuit = circuit.after(&Health::Silent, &RETRY, at(0));
        assert_eq!((circuit.allows(at(99)), circuit.allows(at(100))), (Allowed::None, Allowed::Probe));
        circuit = circuit.after(&Health::Silent, &RETRY, at(100));
        assert_eq!(circuit.allows(at(199)), Allowed::None);
        circuit = circuit.after(&Health::Answered, &RETRY, at(200));
        assert_eq!(circuit, Circuit::Closed { failures: 0 });
    }

    #[test]
    fn an_answer_in_between_starts_the_count_again() {
        let mut circuit = Circuit::Closed { failures: 2 };
        circuit = circuit.after(&Health::Answered, &RETRY, Timestamp::ZERO);
        assert_eq!(circuit.after(&Health::Silent, &RETRY, Timestamp::ZERO), Circuit::Closed { failures: 1 });
    }

    #[test]
    fn a_read_that_came_back_makes_the_probe_due_and_closes_it_where_nothing_is_to_be_written() {
        let at = Timestamp::from_millis;
        let open = |until, unauthorized: Option<&str>| Circuit::Open {
            until: at(until),
            unauthorized: unauthorized.map(str::to_owned),
        };
        assert_eq!(open(100, None).heard(false, at(5)), open(5, None));
        assert_eq!(open(3, None).heard(false, at(5)), open(3, None));
        // That reads work says nothing of the right to write.
        assert_eq!(open(100, Some("403")).heard(false, at(5)), open(100, Some("403")));
        assert_eq!(open(100, Some("403")).heard(true, at(5)), Circuit::default());
        assert_eq!(Circuit::Closed { failures: 2 }.heard(true, at(5)), Circuit::Closed { failures: 2 });
    }

    #[test]
    fn refused_credentials_open_at_once_and_stay_named() {
        let circuit = Circuit::default().after(&Health::Unauthorized("401".into()), &RETRY, Timestamp::ZERO);
        let later = circuit.after(&Health::Silent, &RETRY, Timestamp::from_millis(100));
        assert!(matches!(later, Circuit::Open { unauthorized: Some(_), .. }));
    }
}
