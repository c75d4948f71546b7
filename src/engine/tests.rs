//! The ledger, the intakes and the opening stock behind the real doors, on a store in memory.

mod doors;
mod epoch;
mod feeds;
mod opening;
mod parts;
mod world;
