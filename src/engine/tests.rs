//! The ledger, the intakes and the opening stock behind the real doors, on a store in memory.

mod behind;
mod doors;
mod opening;
mod world;
