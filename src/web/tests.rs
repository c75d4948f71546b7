//! The doors over real sockets, with a ledger that is a state behind a lock.

mod admin;
mod fuzz;
mod outages;
mod public;
mod reconcile;
mod refusals;
mod socket;
mod told;
pub(crate) mod world;
