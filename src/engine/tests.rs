//! The ledger, the intakes and the opening stock behind the real doors, on a store in memory.

mod checkpoint;
mod doors;
mod epoch;
mod feed;
mod feeds;
mod opening;
mod parts;
mod upkeep;
mod world;
