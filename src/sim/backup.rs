//! A backup, and its restore some time later: the daemon knows what it knew then, reads what it has missed, and writes nothing until
//! a person says so.

use crate::{
    core::{
        Command, State,
        command::{DeadLetter, Verdict},
        index::{Kind, Work},
    },
    sim::{
        check::Checks,
        plan::{self, AMAZON, SHOP},
        world::{Event, Then, World},
    },
    store::disk::sim::SimDisk,
};

/// What a daemon's directory held, and what that adds up to.
pub(super) struct Backup {
    made_at: i64,
    disk: SimDisk,
    durable: State,
    checks: Checks,
}

impl World {
    pub(super) fn back_up(&mut self) {
        if self.daemon.read().is_none() {
            return self.after(1_000, Event::Backup);
        }
        let seq = self.daemon.durable.seq;
        self.tell(|| format!("a backup at record {seq}"));
        self.backup = Some(Backup {
            made_at: self.now,
            disk: self.daemon.disk.clone_content(),
            durable: self.daemon.durable.clone(),
            checks: self.checks.clone(),
        });
    }

    /// The daemon is stopped, the backup put in place of its directory, and the daemon started on it.
    pub(super) fn restore(&mut self) {
        if self.calm {
            return;
        }
        if !self.daemon.is_up() {
            return self.after(5_000, Event::Restore);
        }
        let Some(Backup { disk, durable, checks, .. }) = &self.backup else {
            return self.after(5_000, Event::Restore);
        };
        self.daemon.put_back(disk.clone_content(), durable.clone());
        self.checks.go_back(checks);
        (self.restored_at, self.restores) = (self.now, self.restores + 1);
        self.died("the backup is put back", false);
        let wait = self.random.between(60_000, 1_800_000);
        self.after(wait, Event::Live);
    }

    /// A person lets the restored store write, once all orders from before its restore were read.
    pub(super) fn let_write(&mut self) {
        let again = self.random.between(10_000, 60_000);
        let Some(state) = self.daemon.read() else { return self.after(again, Event::Live) };
        let Some(since) = state.restored else { return };
        let read = [SHOP, AMAZON].into_iter().all(|channel| {
            let fed = state.channels.get(&plan::channel(channel)).and_then(|row| row.fed);
            let lag = self.markets[channel].can.feed_lag_ms;
            fed.is_some_and(|fed| fed.begun_at >= since.plus_millis(lag))
        });
        if read {
            self.tell(|| "operator: lets the restored store write".to_owned());
            self.submit(Command::Live, Then::Nothing);
            if self.random.chance(500) {
                for command in ask_for_postings(&self.daemon.durable) {
                    self.submit(command, Then::Nothing);
                }
            }
        }
        // What is not answered is asked again.
        self.after(again, Event::Live);
    }

    /// Tells whether a write that lands was sent before the backup was put back: the daemon knows nothing of it.
    pub(super) fn lost_sight(&mut self, channel: usize, listing: usize, sent_at: i64) -> bool {
        let lost = sent_at < self.restored_at;
        if lost {
            self.puzzle(channel, listing);
        }
        lost
    }
}

impl World {
    /// Tells whether the ERP was told, since the backup that was put back, that these goods did not leave after all. What had been told
    /// before is what the restored store believes to stand there, so it does not tell it again (see docs/TESTING.md).
    pub(super) fn was_undone(&self, goods: usize) -> bool {
        let made = self.backup.as_ref().map_or(0, |backup| backup.made_at);
        let between = |at: i64| at >= made && at < self.restored_at;
        self.put_back.iter().any(|(at, of)| *of == goods && between(*at))
    }
}

/// A person has the ERP looked at for what may have been posted there.
pub(super) fn ask_for_postings(state: &State) -> Vec<Command> {
    let parked = state.index.all(Kind::PostParked).filter_map(|work| {
        let Work::PostParked { channel, order } = work else { return None };
        let letter = DeadLetter::Posting { channel: channel.clone(), order: order.clone() };
        Some(Command::Dead { letter, verdict: Verdict::Retry })
    });
    parked.collect()
}
