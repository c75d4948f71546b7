//! What decides: pure functions over a state. No I/O, no clock, no randomness, no hash order.
//!
//! [`decide`] turns a command into journal records and has all the opinions; [`apply`] puts one record into the
//! state and has none. What they depend on is in the journal, so a replay gives the same state.
//!
//! Held here, whatever happens outside:
//! - every balance is the fold of its ledger entries ([`ledger`]);
//! - the same facts in any order, any number of times, give the same balances ([`order`]);
//! - one write awaits an answer per listing, a confirmed revision never falls ([`leg`]);
//! - a lower goes at once, a raise only after the channel's orders were read past its cause ([`decide`]);
//! - a count never puts a sold unit back ([`count`]);
//! - what a person moves rises nowhere before it has fallen where it was ([`intent`]).

pub mod allocation;
pub mod apply;
pub mod assumption;
pub mod backoff;
pub mod bulk;
pub mod circuit;
pub mod command;
pub mod count;
pub mod decide;
pub mod drift;
pub mod explain;
pub mod exposure;
pub mod fault;
pub mod index;
pub mod intent;
pub mod ledger;
pub mod leg;
pub mod mapping;
pub mod moves;
pub mod named;
pub mod order;
pub mod oversold;
pub mod pauses;
pub mod posting;
pub mod recipe;
pub mod record;
pub mod share;
pub mod state;
pub mod tombstone;
pub mod warehouse;
pub mod which;
pub mod writes;
pub mod wrong;

pub use apply::apply;
pub use command::{Command, Refused, Reply};
pub use decide::decide;
pub use record::{Envelope, Record};
pub use state::State;
