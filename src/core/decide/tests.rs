//! Tests of decisions, through commands only. [`world`] holds the daemon's state, the channels that it speaks to,
//! and the invariants that are checked after every record.

mod alerts;
mod answers;
mod catalogue;
mod convergence;
mod counts;
mod lanes;
mod looks;
mod orders;
mod pause;
mod postings;
mod replay;
mod world;

use world::{World, q};
