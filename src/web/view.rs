//! What the admin API answers and is asked, as JSON. The command line reads and writes the same shapes.
//!
//! Owns names and units: times are RFC 3339 texts in UTC with milliseconds, spans are `_ms`, quantities are whole
//! units. Identifiers are a map from the column name of the mapping CSV (`channel_sku`, `asin`, ...) to the value.
//! Knows nothing of how an answer is found; that is [`super::query`].

mod change;
mod count;
mod drift;
mod ids;
mod init;
pub mod intents;
mod letters;
pub mod made;
mod mapping;
mod order;
mod outbox;
mod sku;
mod status;
mod time;

use serde::{Deserialize, Serialize};

use crate::{
    core::{allocation::Pause, command::Fate},
    model::{ChannelId, DeliveryId, LocationId, Quantity, Seq, Sku},
};

pub use change::*;
pub use count::*;
pub use drift::{
    AssumptionView, DriftRequest, DriftView, Drifts, ReconcilePage, ReconcileRequest, ReconcileRow,
    TooSoonRow,
};
pub use ids::*;
pub use init::*;
pub use letters::*;
pub use mapping::*;
pub use order::*;
pub use outbox::*;
pub use sku::*;
pub use status::*;
pub use time::*;

/// Any answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub error: String,
    /// What to do about it.
    pub next: String,
}

/// The answer to something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    pub done: String,
}

/// `POST /v1/pause`: either a channel or a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
    /// `frozen` writes nothing, what is shown still sells; `stopped` shows zero.
    pub mode: Pause,
}

/// `POST /v1/resume`: either a channel or a SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sku: Option<Sku>,
}

/// `GET /v1/returns`: units that came back and are reserved until a person has looked at them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returns {
    pub rows: Vec<ReturnedUnits>,
    pub more: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedUnits {
    pub sku: Sku,
    pub location: LocationId,
    pub reserved: Quantity,
    pub on_hand: Quantity,
}

/// `POST /v1/returns`: what became of such units; all of them unless a quantity is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReturnedRequest {
    pub sku: Sku,
    /// May be left out if they are in one place only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// `restock` puts them on sale again, `discard` takes them off the books.
    pub fate: Fate,
    #[serde(default)]
    pub note: String,
    /// By this a repeat is recognised, for two days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<DeliveryId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnedDone {
    /// What the SKU that was named is called now.
    pub sku: Sku,
    pub location: LocationId,
    pub quantity: Quantity,
    /// What is still reserved of the SKU there.
    pub left: Quantity,
    /// It was done before, for the same request: no units were dealt with.
    #[serde(default)]
    pub again: bool,
}

/// `POST /v1/poll`: reads a channel's orders (an ERP's movements) now; without a channel, all channels'.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
}

/// The answer to `POST /v1/checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The journal's position it reflects, or a later one.
    pub seq: Seq,
    /// The hash of the journal's chain, in hex. Kept elsewhere, it proves later that nothing was cut off.
    pub head: String,
}

/// `GET /v1/alerts`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    pub alerts: Vec<AlertView>,
    /// How it stands with the room on the store's disk, if that is not plain good: that alert, `room`, is told beside the journal and is
    /// not among these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertView {
    /// `late`, `lane_stopped`, `circuit_open`, `dead_letters`, `brake`, `quarantine`, `unmapped`, `feed_late`,
    /// `posting_late`, `drift`, `assumption_broken`, `notice`.
    pub kind: String,
    /// The channel, or another subject's name.
    pub subject: String,
    pub text: String,
    /// `false`: it is over, and people are still to be told so.
    pub firing: bool,
    pub since: Time,
    pub age_ms: i64,
    /// When people were last told of its present state.
    pub told_at: Option<Time>,
    /// Tellings in a row that failed.
    pub tries: u32,
}
