//! How much memory the process holds. The state's library keeps more than it is told to, and gives it back only with the process:
//! so people are told, and a restart may be planned.

use std::{io, sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::{config::MemoryLimits, engine::teller::Teller, telemetry::Metrics};

/// How often it is measured.
const EVERY: Duration = Duration::from_secs(5);

/// What follows from a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Fine,
    /// People are told.
    Much,
    /// The process ends, to be started again.
    Outgrown,
}

/// Measures the memory, tells people when it is too much, and ends the process where that is planned.
pub(super) struct Watch {
    pub(super) limits: MemoryLimits,
    pub(super) started: Instant,
    pub(super) metrics: Arc<Metrics>,
    pub(super) teller: Teller,
    /// Ends the process.
    pub(super) outgrown: CancellationToken,
    /// It was much the last time.
    pub(super) much: bool,
}

/// Returns the bytes of memory that the process holds: its resident set.
///
/// See proc_pid_statm(5).
pub fn resident() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages = text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| io::Error::other("`/proc/self/statm` does not read as it should"))?;
    Ok(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// `told`: people were told that it is much. It is until a tenth of that is given back.
fn judge(bytes: u64, limits: MemoryLimits, up: Duration, told: bool) -> Verdict {
    let over = |limit: u64| limit > 0 && bytes >= limit;
    let much = |limit: u64| over(if told { limit - limit / 10 } else { limit });
    if over(limits.restart_bytes) && up >= limits.restart_after {
        Verdict::Outgrown
    } else if much(limits.alarm_bytes) || much(limits.restart_bytes) {
        Verdict::Much
    } else {
        Verdict::Fine
    }
}

impl Watch {
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.look() => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    async fn look(&mut self) {
        let bytes = match resident() {
            Ok(bytes) => bytes,
            Err(error) => return warn!(%error, "the memory of the process cannot be measured"),
        };
        self.metrics.set_resident(bytes);
        let mib = bytes >> 20;
        let verdict = judge(bytes, self.limits, self.started.elapsed(), self.much);
        self.much = verdict != Verdict::Fine;
        match verdict {
            Verdict::Fine => self.teller.tell(None, &format!("the process holds {mib} MiB of memory")).await,
            Verdict::Much => {
                let text = format!("the process holds {mib} MiB of memory; a restart gives it back");
                self.teller.tell(Some("much"), &text).await;
            }
            Verdict::Outgrown => {
                warn!(
                    resident_mib = mib,
                    "the process holds as much memory as it may: it ends, to be started again"
                );
                let text = format!("the process held {mib} MiB of memory; it ends, to be started again");
                self.teller.tell(None, &text).await;
                self.outgrown.cancel();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limits_are_what_they_say_and_zero_means_never() {
        let check_told = |bytes, [alarm_bytes, restart_bytes]: [u64; 2], up, told, want| {
            let limits = MemoryLimits { alarm_bytes, restart_bytes, restart_after: Duration::from_secs(10) };
            let verdict = judge(bytes, limits, Duration::from_secs(up), told);
            assert_eq!(verdict, want, "{bytes} {limits:?} {up} {told}");
        };
        let check = |bytes, limits, up, want| check_told(bytes, limits, up, false, want);
        check(99, [100, 200], 60, Verdict::Fine);
        check(100, [100, 200], 60, Verdict::Much);
        check(200, [100, 200], 10, Verdict::Outgrown);
        // One that needs so much from the start is not restarted over and over.
        check(200, [100, 200], 9, Verdict::Much);
        check(200, [0, 200], 9, Verdict::Much);
        check(900, [100, 0], 60, Verdict::Much);
        check(900, [0, 0], 60, Verdict::Fine);
        check_told(90, [100, 0], 60, true, Verdict::Much);
        check_told(89, [100, 0], 60, true, Verdict::Fine);
        check_told(190, [0, 200], 60, true, Verdict::Much);
    }

    #[test]
    fn a_process_holds_some_memory() {
        let bytes = resident().expect("it is measured");
        assert!((1 << 20..1 << 40).contains(&bytes), "{bytes}");
    }
}
