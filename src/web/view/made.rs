//! What SKUs are made of, and corrections of what is what.

use serde::{Deserialize, Serialize};

use crate::{
    model::{ChannelId, LocationId, Quantity, Sku, policy::Part},
    web::view::{EffectView, Ids},
};

/// `GET /v1/bundles?limit=&after=`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundles {
    pub rows: Vec<Bundle>,
    /// The SKU after which the next page begins.
    pub next: Option<Sku>,
}

/// A SKU that is made of others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    pub sku: Sku,
    pub parts: Vec<Part>,
    pub from: RecipeSource,
}

/// Who says what a SKU is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecipeSource {
    Config,
    /// `evenkeel bundles import`.
    Imported,
    /// `evenkeel merge`.
    Merged,
}

/// `POST /v1/bundles`: recipes, all or none. One without parts ends what was imported for the SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleImport {
    pub rows: Vec<RecipeRow>,
    #[serde(default)]
    pub dry_run: bool,
    /// A person has seen what it would do: the brake does not hold it.
    #[serde(default)]
    pub confirm: bool,
    /// Stock of its own that a SKU has is set aside: it stays in the books and is sold nowhere. Refused otherwise.
    #[serde(default)]
    pub set_aside: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipeRow {
    /// Where it begins in a file, for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub sku: Sku,
    pub parts: Vec<Part>,
}

/// `POST /v1/merge`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeRequest {
    pub from: Sku,
    pub into: Sku,
    #[serde(default)]
    pub dry_run: bool,
}

/// `POST /v1/rebind`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RebindRequest {
    pub channel: ChannelId,
    pub ids: Ids,
    pub sku: Sku,
    #[serde(default)]
    pub dry_run: bool,
}

/// What a correction did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Corrected {
    pub dry_run: bool,
    /// Recipes, SKUs, listings and order lines that change.
    pub changed: usize,
    /// The listings that are given to another SKU: one, or the same thing at each of the channel's own locations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moved: Vec<Given>,
    /// What a person should know or do besides: one of two SKUs that become one is paused, or units were shipped of a bundle while it
    /// had no recipe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The movements that it would book. Told where it was tried out first, as is the effect.
    pub entries: Vec<Movement>,
    /// What it does to what listings show, and to orders.
    #[serde(default)]
    pub effect: EffectView,
    /// Why the brake holds it. Nothing was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
}

/// A listing that is given to another SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    pub channel: ChannelId,
    /// All that it goes by there.
    pub ids: Ids,
    pub from: Sku,
    pub to: Sku,
    /// What it shows, as far as is known.
    pub shows: Option<Quantity>,
    /// What it was to show as the SKU that it leaves.
    pub desired: Option<Quantity>,
    /// How many writes of ours may still land there; they go along.
    pub unsettled: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    pub sku: Sku,
    pub location: LocationId,
    pub kind: String,
    pub quantity: Quantity,
}
