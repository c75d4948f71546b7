//! Store.
pub mod crash;
pub mod disk;
pub mod journal;
pub mod lock;
mod rows;
mod window;
