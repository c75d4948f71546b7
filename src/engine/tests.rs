//! The ledger, the intakes and the opening stock behind the real doors, on a store in memory.

mod alerts;
mod checkpoint;
mod counter;
mod doors;
mod feed;
mod lane;
mod opening;
mod upkeep;
mod world;
