//! Carries out what the core decides: the ledger's thread, and tasks around it that only wake, send and report.
//!
//! Holds no truth. Whatever a task was doing when the process died follows again from the state.

pub mod alerter;
mod bulk;
pub mod by_hand;
pub mod channels;
pub mod checkpoint;
pub mod counter;
pub mod disk;
pub mod feed;
pub mod fetch;
pub mod handles;
pub mod init;
pub mod intake;
pub mod lane;
pub mod ledger;
mod looks;
pub mod memory;
mod meter;
mod own_stock;
pub mod parts;
pub mod poster;
pub mod queue;
pub mod reconcile;
pub mod registry;
pub mod reload;
mod replay;
pub mod resident;
mod restored;
pub mod room;
pub mod rows;
pub mod run;
pub mod schedule;
mod teller;
pub mod tend;
#[cfg(test)]
mod tests;
pub mod trial;
mod upkeep;
pub mod wake;

pub use reload::Source;
pub use run::{Daemon, Error, Origin, run};
