//! End to end: the daemon's parts against servers that speak the real protocols.

mod amazon;
mod shops;
mod support;
mod tryton;
