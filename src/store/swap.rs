//! Rebuild and swap: a fresh state is built out of the newest checkpoint, and takes the live one's place.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::checkpoint::{self, Checkpoints};
use super::disk::{Disk, RealDisk};
use super::journal::Head;
use super::rows::RowChange;
use super::state::{self, Opener, Placed, Position, State};
use super::{Error, Slot, Store, boot_id};

/// Builds fresh states. Another thread may, while rows are written to the live one.
#[derive(Debug, Clone)]
pub struct Swapper {
    opener: Opener,
    root: PathBuf,
    checkpoints: Checkpoints,
    /// The program that builds, in a process of its own.
    builder: Option<PathBuf>,
    stop: Arc<AtomicBool>,
}

/// A state that is being built beside the live one.
#[derive(Debug)]
pub struct Fresh(state::Fresh);

/// The live state while a fresh one takes its place.
#[derive(Debug)]
pub struct Leaving(State);

/// What a swap has led to.
#[derive(Debug)]
pub struct Swapped(Placed);

/// Builds the fresh state of a store in `root` out of its checkpoint of the record `seq`: what the process does that
/// [`super::Options::builder`] names. The daemon that asks for it holds the store's lock.
pub fn build_fresh(root: &Path, seq: u64, options: state::Options) -> Result<(), Error> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let opener = Opener::new(Arc::clone(&disk), root, boot_id().as_deref(), options);
    let checkpoints = Checkpoints::new(disk, &root.join("checkpoints"), options.rows_version);
    build(&opener, &checkpoints, seq)
}

fn build(opener: &Opener, checkpoints: &Checkpoints, seq: u64) -> Result<(), Error> {
    let found = checkpoints.oldest_from(seq)?.filter(|found| found.info.head.seq == seq);
    let found = found.ok_or(checkpoint::Error::Missing { seq })?;
    let rows = found.rows.map(|row| row.map_err(Error::from));
    opener.build::<Error>(rows, position(found.info.head))
}

fn position(head: Head) -> Position {
    Position { seq: head.seq, hash: Some(head.hash) }
}

impl Swapper {
    pub(super) fn new(
        opener: Opener,
        root: &Path,
        checkpoints: &Checkpoints,
        builder: Option<PathBuf>,
    ) -> Swapper {
        let (root, checkpoints) = (root.to_path_buf(), checkpoints.clone());
        Swapper { opener, root, checkpoints, builder, stop: Arc::default() }
    }

    /// Builds a fresh state out of the checkpoint at `head`, and opens it. What changed after that is still to be put in.
    pub fn build(&self, head: Head) -> Result<Fresh, Error> {
        let built = match &self.builder {
            None => build(&self.opener, &self.checkpoints, head.seq),
            Some(program) => {
                let mut command = Command::new(program);
                command.arg("build-state").arg(&self.root).arg(head.seq.to_string());
                self.opener.have_built(command, &self.stop).map_err(Error::from)
            }
        };
        let opened = built.and_then(|()| Ok(self.opener.open_built(position(head))?));
        if opened.is_err() {
            // It may be what fills the disk. The failure to report is the first one.
            self.discard().unwrap_or(());
        }
        opened.map(Fresh)
    }

    /// Removes what was built.
    pub fn discard(&self) -> Result<(), Error> {
        Ok(self.opener.discard_built()?)
    }

    /// Ends the building that is under way, and lets none begin.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Fresh {
    /// Writes rows that have changed since the checkpoint.
    pub fn put(&mut self, changes: &[RowChange]) -> Result<(), Error> {
        Ok(self.0.put(changes)?)
    }

    /// Ends it as of `head`: from here on it is worth as much as the live one, and durable.
    pub fn finish(&mut self, head: Head) -> Result<(), Error> {
        Ok(self.0.finish(position(head))?)
    }
}

impl Leaving {
    /// Lets the fresh state take the place of this one. Takes as long as closing the one and opening the other.
    pub fn replace(self) -> Swapped {
        Swapped(self.0.replace())
    }
}

impl Store {
    /// Returns what builds fresh states. `None`: this store keeps no state.
    pub fn swapper(&self) -> Option<Swapper> {
        self.swapper.clone()
    }

    /// Lets go of the live state, so that a fresh one may take its place. Until [`Store::swapped`], rows cannot be written.
    pub fn let_go(&mut self) -> Result<Leaving, state::Error> {
        match std::mem::replace(&mut self.state, Slot::Swapping) {
            Slot::Live(state) if state.is_alive() => Ok(Leaving(state)),
            held @ (Slot::Live(_) | Slot::Swapping | Slot::Missing(_) | Slot::Off) => {
                self.state = held;
                Err(state::Error::Missing)
            }
        }
    }

    /// Goes on with what a swap has led to. Returns the record that the state's rows reflect, and why it is not the fresh
    /// one, if it is not. On an error there is no state any more; the next start comes by one.
    pub fn swapped(&mut self, swapped: Swapped) -> Result<(u64, Option<Error>), Error> {
        let Placed { state, failed } = swapped.0;
        match state {
            Some((state, at)) => {
                self.state = Slot::Live(state);
                Ok((at.seq, failed.map(Error::from)))
            }
            None => Err(failed.map_or(Error::State(state::Error::Missing), Error::from)),
        }
    }
}
