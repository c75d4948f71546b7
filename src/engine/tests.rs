//! The ledger, the intakes and the opening stock behind the real doors, on a store in memory.

mod alerts;
mod behind;
mod by_hand;
mod checkpoint;
mod counter;
mod doors;
mod epoch;
mod feed;
mod feeds;
mod fuzz;
mod lane;
mod opening;
mod own_stock;
mod parts;
mod queue;
mod reconcile;
mod replay;
mod room;
mod shops;
mod swap;
mod tend;
mod upkeep;
mod world;
