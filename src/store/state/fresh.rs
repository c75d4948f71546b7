//! A fresh state beside the live one, which takes its place: sled's files only grow, and so does what it keeps in memory.
//!
//! In steps, each of which may be the last: built in `state.new/` out of a checkpoint, by a process of its own so that
//! the memory that this takes is given back; opened here and caught up with what has changed since; closed, synced, and
//! only then marked clean; then the live state is closed and the two are renamed. A crash leaves the live state as it was
//! or a fresh one that is whole: [`super::place::Place::recover`].

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{
    Broken, Error, Held, Mark, Opener, Position, Run, State, Sum, check_row, position_row, read_position,
    weigh,
};
use crate::store::crash::crash_point;
use crate::store::rows::{Row, RowChange};
use crate::store::state::place::sled_dir;
use crate::store::state::tree::Tree;

/// How often it is looked whether the process that builds has ended.
const LOOK: Duration = Duration::from_millis(20);
/// The most that is told of what that process has said.
const SAID_MAX: usize = 2_000;

/// A state that is being built beside the live one.
#[derive(Debug)]
pub(in crate::store) struct Fresh {
    opener: Opener,
    tree: Option<Tree>,
    sum: Sum,
}

impl Opener {
    /// Builds the rows of a checkpoint beside the live state. They are of no use yet: only a clean mark says that they are
    /// whole.
    pub(in crate::store) fn build<E: From<Error>>(
        &self,
        rows: impl Iterator<Item = Result<Row, E>>,
        at: Position,
    ) -> Result<(), E> {
        let tree = self.begin()?;
        self.fill(&tree, rows, at)?;
        let building = self.place.building();
        let closed = tree.flush().and_then(|()| tree.close(&sled_dir(&building)));
        Ok(closed.map_err(|fault| self.unusable(fault.into()))?)
    }

    /// Removes what was built.
    pub(in crate::store) fn discard_built(&self) -> Result<(), Error> {
        Ok(self.place.remove_half_built()?)
    }

    /// Has `program` build them, and waits for it. It is ended when `stop` says so.
    pub(in crate::store) fn have_built(&self, mut program: Command, stop: &AtomicBool) -> Result<(), Error> {
        let trouble = |why: String| self.unusable(Broken::NotBuilt(why));
        program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = program.spawn().map_err(|error| trouble(format!("no process for it: {error}")))?;
        let status = loop {
            let ended = child.try_wait().map_err(|error| trouble(error.to_string()))?;
            match ended {
                Some(status) => break status,
                None if stop.load(Ordering::Relaxed) => {
                    end(&mut child);
                    return Err(trouble("it was stopped".to_owned()));
                }
                None => std::thread::sleep(LOOK),
            }
        };
        if status.success() { Ok(()) } else { Err(trouble(format!("{status}: {}", said(&mut child)))) }
    }

    /// Opens what was built, to catch up with what has changed since.
    pub(in crate::store) fn open_built(&self, at: Position) -> Result<Fresh, Error> {
        let opened = self.open_tree(&self.place.building(), read_position);
        let (tree, Held { at: held, sum }) = opened.map_err(|broken| self.unusable(broken))?;
        if held != at {
            let why = format!("it reflects record {} and not record {}", held.seq, at.seq);
            return Err(self.unusable(Broken::NotBuilt(why)));
        }
        Ok(Fresh { opener: self.clone(), tree: Some(tree), sum })
    }
}

impl Fresh {
    /// Writes rows that have changed.
    pub(in crate::store) fn put(&mut self, changes: &[RowChange]) -> Result<(), Error> {
        for (key, value) in changes {
            check_row(key, value.as_deref().unwrap_or_default())?;
        }
        let Some(tree) = &self.tree else { return Err(Error::Missing) };
        let wrapped = weigh(tree, &mut self.sum, changes);
        let put = wrapped.and_then(|wrapped| tree.apply(wrapped.into_iter()));
        put.map_err(|fault| self.opener.unusable(fault.into()))
    }

    /// Ends it: it reflects the record at `at`, every byte of it is durable, and only then is it marked so.
    pub(in crate::store) fn finish(&mut self, at: Position) -> Result<(), Error> {
        let Some(tree) = self.tree.take() else { return Err(Error::Missing) };
        let Opener { place, options, .. } = &self.opener;
        let building = place.building();
        let closed = tree
            .apply(std::iter::once(position_row(at, self.sum)))
            .and_then(|()| tree.flush())
            .and_then(|()| tree.close(&sled_dir(&building)));
        closed.map_err(|fault| self.opener.unusable(fault.into()))?;
        place.note_built(&building)?;
        place.sync_all(&building)?;
        crash_point("swap_built");
        place.write_mark(&building, &Mark { rows_version: options.rows_version, run: Run::Clean })?;
        crash_point("swap_marked");
        Ok(())
    }
}

/// What became of a swap: the state to go on with, if there is one, and why it is not the fresh one.
#[derive(Debug)]
pub(in crate::store) struct Placed {
    pub(in crate::store) state: Option<(State, Position)>,
    pub(in crate::store) failed: Option<Error>,
}

impl State {
    /// Lets the fresh state take the place of this one. Takes as long as closing the one and opening the other.
    pub(in crate::store) fn replace(self) -> Placed {
        let State { opener, tree, .. } = self;
        let live = opener.place.live();
        // Whatever closing says, nothing was lost that the journal does not have.
        drop(tree.close(&sled_dir(&live)));
        crash_point("swap_closed");
        let moved = opener.place.swap().map_err(Error::from);
        let moved = moved.or_else(|failed| opener.place.put_back().map_err(Error::from).and(Err(failed)));
        match (opener.reopen(), moved) {
            (Ok(state), moved) => Placed { state: Some(state), failed: moved.err() },
            (Err(failed), moved) => Placed { state: None, failed: Some(moved.err().unwrap_or(failed)) },
        }
    }
}

impl Opener {
    fn reopen(&self) -> Result<(State, Position), Error> {
        let live = self.place.live();
        self.place.write_mark(&live, &self.open_mark())?;
        self.place.remove_torn_snapshots()?;
        let opened = self.open_tree(&live, read_position);
        let (tree, Held { at, sum }) = opened.map_err(|broken| self.unusable(broken))?;
        crash_point("swap_opened");
        self.place.remove_old()?;
        Ok((self.state(tree, sum), at))
    }
}

fn end(child: &mut Child) {
    // It may have ended by itself meanwhile.
    drop(child.kill());
    drop(child.wait());
}

fn said(child: &mut Child) -> String {
    let mut text = String::new();
    let said = child.stderr.take().map(|from| std::io::Read::take(from, SAID_MAX as u64));
    if let Some(mut said) = said {
        drop(std::io::Read::read_to_string(&mut said, &mut text));
    }
    text.trim().to_owned()
}
