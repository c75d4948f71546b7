//! A state as text: one line for each thing, so that a difference can be read.

use std::fmt::Write as _;

use evenkeel::core::State;
use serde::Serialize;

fn json(of: &impl Serialize) -> String {
    serde_json::to_string(of).expect("rows can be told as JSON")
}

/// Tells everything that is stored. What is derived follows from it.
pub(crate) fn told(state: &State) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a string takes all");
    line(format!("seq {} epoch {} initialised {}", state.seq.0, state.epoch, json(&state.initialised)));
    if let Some(policies) = state.policies() {
        line(format!("policies {}", json(policies)));
    }
    state.table.iter().for_each(|row| line(format!("map {}", json(row))));
    for (channel, row) in &state.channels {
        line(format!("channel {channel} {}", json(row)));
    }
    for (sku, row) in &state.skus {
        line(format!(
            "sku {sku} revision {} pause {} posted {}",
            row.revision.0,
            json(&row.pause),
            row.posted.0
        ));
        row.stock.iter().for_each(|place| line(format!("sku {sku} stock {}", json(place))));
        row.listings.iter().for_each(|listing| line(format!("sku {sku} listing {}", json(listing))));
        row.moving.iter().for_each(|moving| line(format!("sku {sku} moving {}", json(moving))));
        if row.transferred != evenkeel::model::Seq::ZERO {
            line(format!("sku {sku} transferred {}", row.transferred.0));
        }
        row.commits.iter().for_each(|commit| line(format!("sku {sku} commit {}", json(commit))));
        row.recent.iter().for_each(|booked| line(format!("sku {sku} entry {}", json(booked))));
    }
    for (key, order) in &state.orders {
        let (mut head, mut postings) = (order.clone(), order.clone().postings);
        head.lines.clear();
        head.postings.clear();
        line(format!("order {key} {}", json(&head)));
        order.lines.iter().for_each(|(id, of)| line(format!("order {key} line {id} {}", json(of))));
        postings.drain(..).for_each(|posting| line(format!("order {key} posting {}", json(&posting))));
    }
    for (key, tombstone) in &state.tombstones {
        line(format!("tombstone {key} {}", json(&tombstone.order())));
    }
    for ((channel, delivery), at) in &state.deliveries {
        line(format!("delivery {channel} {delivery} {}", at.millis()));
    }
    state.alerts.iter().for_each(|(key, alert)| line(format!("alert {} {}", json(key), json(alert))));
    state.held.iter().for_each(|(id, held)| line(format!("held {id} {}", json(held))));
    state.quarantine.iter().for_each(|(id, item)| line(format!("quarantine {id} {}", json(item))));
    state.intents.iter().for_each(|(id, of)| line(format!("intent {id} {}", json(of))));
    for (sku, last) in &state.oversold {
        line(format!("oversold {sku} {}", json(last)));
    }
    for ((channel, ids), unmatched) in &state.unmatched {
        line(format!("unmatched {channel} {ids} {}", json(unmatched)));
    }
    for ((channel, ids), ignored) in &state.ignored {
        line(format!("ignored {channel} {ids} {}", json(ignored)));
    }
    if let Some(held) = &state.held_config {
        line(format!("held configuration {}", json(held)));
    }
    out
}
