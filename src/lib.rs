//! Evenkeel.

pub mod store;
