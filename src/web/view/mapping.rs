//! What SKUs go by, and what no SKU was found for.

use serde::{Deserialize, Serialize};

use crate::{
    model::{ChannelId, LineId, OrderId, Sku},
    web::view::{EffectView, Ids, IgnoredView, Time},
};

/// `GET /v1/map?unmatched=&listings=&channel=&limit=&after=`
///
/// Without anything: the rows of the mapping table, of the configuration and imported. With `unmatched=true`: what
/// waits for a row. With `listings=true`: every listing that is bound, page by page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Mapping {
    pub rows: Vec<MapRow>,
    /// Catalogue items that no SKU was found for.
    pub unmatched: Vec<Unmatched>,
    /// Order lines that no SKU was found for.
    pub unmapped: Vec<Unmapped>,
    /// What no SKU is waited for, by a person's word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<IgnoredView>,
    /// Pass this as `after` to go on; `None`: that was all.
    pub next: Option<String>,
}

/// One row of the mapping: what a SKU goes by on a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapRow {
    pub sku: Sku,
    pub channel: ChannelId,
    pub ids: Ids,
    /// Where it comes from; left out when it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<MapSource>,
    /// Where it stands in a file, for messages; left out when it is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MapSource {
    /// The configuration file.
    Config,
    /// `evenkeel map import`.
    Imported,
    /// A listing that was found in a channel's catalogue and bound.
    Listing,
}

/// A catalogue item that no SKU was found for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmatched {
    pub channel: ChannelId,
    pub ids: Ids,
    pub title: Option<String>,
    pub why: String,
    pub since: Time,
}

/// An order line that no SKU was found for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmapped {
    pub channel: ChannelId,
    pub order: OrderId,
    pub line: LineId,
    pub ids: Ids,
    pub why: String,
}

/// `POST /v1/map`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapImport {
    pub rows: Vec<MapRow>,
    /// Only tell what it would do.
    #[serde(default)]
    pub dry_run: bool,
    /// A person has seen what it would do: the brake does not hold it.
    #[serde(default)]
    pub confirm: bool,
}

/// The answer to [`MapImport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapImported {
    pub rows: usize,
    /// Waiting catalogue items that found their SKU by it.
    pub bound: usize,
    /// Catalogue items of those channels that still have none.
    pub unmatched: usize,
    #[serde(default)]
    pub dry_run: bool,
    /// What it does to what listings show, and to orders.
    #[serde(default)]
    pub effect: EffectView,
    /// Why the brake holds it. Nothing was imported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Rows of the table that said something else of the same, the first of them: these take their place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaced: Vec<MapRow>,
    /// Which of the SKUs that the rows name are called something else now, and what is a listing of another SKU already; the first
    /// of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// `POST /v1/map/remove`: a row goes by all of its identifiers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapRemove {
    pub channel: ChannelId,
    pub ids: Ids,
    #[serde(default)]
    pub dry_run: bool,
    #[serde(default)]
    pub confirm: bool,
}

/// The answer to [`MapRemove`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapRemoved {
    pub dry_run: bool,
    pub row: MapRow,
    /// The listings that it names and that stay bound to its SKU; at most twenty are told.
    pub listings: Vec<MapRow>,
    pub more: bool,
    /// What other rows, or the rules, do of what waits now.
    pub effect: EffectView,
    /// Why the brake holds it. Nothing was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}
