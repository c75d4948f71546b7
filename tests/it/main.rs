//! End to end: the daemon's parts against servers that speak the real protocols.

mod afterthoughts;
mod alerts;
mod amazon;
mod brake;
mod command_line;
mod counts;
mod crash;
mod dead_letters;
mod demo;
mod drift;
mod golden;
mod intents;
mod isolation;
mod live;
mod pauses;
mod poison;
mod readme;
mod shadow;
mod shops;
mod store;
mod support;
mod systemd;
mod tidy;
mod tryton;
