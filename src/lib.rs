//! Evenkeel keeps stock true on every sales channel.
//!
//! Read in this order: [`model`] holds the words, [`core`] decides, [`store`] makes it durable, [`connectors`]
//! speak to the channels, [`engine`] carries out, [`web`] takes in and [`cli`] asks. [`config`], [`telemetry`] and
//! [`clock`] serve them all. Each layer imports only what is above it in this list. [`sandbox`] stands apart: it
//! simulates the channels and shares nothing with them.

pub mod model;

pub mod core;

pub mod clock;
pub mod config;
pub mod telemetry;

pub mod store;

pub mod connectors;

pub mod engine;

pub mod sim;

pub mod web;

pub mod cli;

pub mod sandbox;

#[cfg(test)]
mod fuzz;
