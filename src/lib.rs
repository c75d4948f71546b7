//! Evenkeel keeps stock true on every sales channel.
//!
//! Read in this order: [`model`] holds the words, [`core`] decides, [`store`] makes it durable, [`connectors`]
//! speak to the channels, the engine carries out, the web takes in. Each layer imports only what is above it in
//! this list.

pub mod model;

pub mod core;

pub mod store;

pub mod connectors;

pub mod web;
