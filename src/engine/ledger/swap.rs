//! Rebuild and swap as the one writer sees it: a checkpoint, out of which another thread has a fresh state built; the
//! rows that were touched meanwhile, in slices as for a checkpoint; and the moment in which the fresh state takes the
//! live one's place, during which rows are not written and all else goes on.

use std::collections::BTreeSet;

use tokio::sync::oneshot;
use tracing::{info, warn};

use super::{Failure, Writer};
use crate::{core::state::RowKey, engine::checkpoint::Walk};

/// Who waits for a swap.
pub(super) type Answer = oneshot::Sender<Result<(), Failure>>;

/// A swap that somebody asked for.
pub(super) struct Swap {
    asked: Vec<Answer>,
    phase: Phase,
}

enum Phase {
    /// The walk that is under way is to end first.
    Wanted,
    /// The walk that is under way makes the checkpoint out of which the fresh state is built.
    Building,
    /// The walk that is under way brings it what was touched since.
    CatchingUp,
    /// It takes the live one's place. These rows it is still to get.
    Placing(BTreeSet<RowKey>),
}

impl Writer {
    pub(super) fn want_swap(&mut self, answer: Answer) {
        if self.state_store_failed {
            // Who asked may have gone.
            drop(answer.send(Err(Failure("the state has failed: a restart builds it anew".to_owned()))));
            return;
        }
        match &mut self.swap {
            Some(swap) => swap.asked.push(answer),
            None => self.swap = Some(Swap { asked: vec![answer], phase: Phase::Wanted }),
        }
    }

    pub(super) fn wants_swap(&self) -> bool {
        self.swap.as_ref().is_some_and(|swap| matches!(swap.phase, Phase::Wanted))
    }

    /// The walk that has just begun is that of the swap.
    pub(super) fn swap_began(&mut self) {
        if let Some(swap) = &mut self.swap {
            swap.phase = Phase::Building;
        }
    }

    /// Says whether the walk that is under way brings a fresh state what was touched, and makes no checkpoint.
    pub(super) fn is_catching_up(&self) -> bool {
        self.swap.as_ref().is_some_and(|swap| matches!(swap.phase, Phase::CatchingUp))
    }

    /// Takes up what a walk has led to, having ended with `touched` rows that it had not told.
    pub(super) fn swap_goes_on(&mut self, ended: Result<BTreeSet<RowKey>, Failure>) {
        let step = match self.swap.as_ref().map(|swap| &swap.phase) {
            None | Some(Phase::Wanted | Phase::Placing(_)) => return,
            Some(Phase::Building) => ended.and_then(|touched| self.catch_up(touched)),
            Some(Phase::CatchingUp) => ended.and_then(|touched| self.place(touched)),
        };
        if let Err(failure) = step {
            self.fail_swap(&failure);
        }
    }

    fn catch_up(&mut self, touched: BTreeSet<RowKey>) -> Result<(), Failure> {
        let go = self.go()?;
        let walk = Walk::over(touched, self.store.rest()?, go);
        self.walk = Some(walk.map_err(|error| Failure(format!("no thread for a swap: {error}")))?);
        if let Some(swap) = &mut self.swap {
            swap.phase = Phase::CatchingUp;
        }
        Ok(())
    }

    fn place(&mut self, touched: BTreeSet<RowKey>) -> Result<(), Failure> {
        let go = self.go()?;
        self.store.swap(Box::new(go))?;
        if let Some(swap) = &mut self.swap {
            swap.phase = Phase::Placing(touched);
        }
        Ok(())
    }

    /// Keeps touched rows for the state that takes the live one's place, if one does. Returns whether they are kept.
    pub(super) fn keep_touched(&mut self) -> bool {
        if !matches!(&self.swap, Some(Swap { phase: Phase::Placing(_), .. })) {
            return false;
        }
        let dirty = self.take_dirty();
        if let Some(Swap { phase: Phase::Placing(touched), .. }) = &mut self.swap {
            touched.extend(dirty);
        }
        true
    }

    /// Goes on with the state that has taken the live one's place, if it has by now. `wait`: until it has.
    pub(super) fn land(&mut self, wait: bool) {
        if !matches!(&self.swap, Some(Swap { phase: Phase::Placing(_), .. })) {
            return;
        }
        let Some(swapped) = self.store.swapped(wait) else { return };
        let Some(Swap { asked, phase: Phase::Placing(touched) }) = self.swap.take() else { return };
        self.state.dirty.extend(touched);
        let told = match swapped {
            Ok(None) => {
                info!(seq = self.state.seq.0, "a fresh state has taken the place of the old one");
                Ok(())
            }
            Ok(Some(failure)) => {
                warn!(%failure, "no fresh state has taken the place of the old one, which is used on");
                Err(failure)
            }
            Err(failure) => {
                warn!(%failure, "there is no state any more; going on from memory, it is rebuilt at the next start");
                self.state_store_failed = true;
                Err(failure)
            }
        };
        self.write_behind();
        for answer in asked {
            // Who asked may have gone.
            drop(answer.send(told.clone()));
        }
    }

    /// Gives up the swap that has not come so far that a fresh state is whole.
    pub(super) fn fail_swap(&mut self, failure: &Failure) {
        if matches!(&self.swap, Some(Swap { phase: Phase::Placing(_), .. })) {
            return;
        }
        let Some(swap) = self.swap.take() else { return };
        self.store.give_up_swap();
        for answer in swap.asked {
            // Who asked may have gone.
            drop(answer.send(Err(failure.clone())));
        }
    }
}
