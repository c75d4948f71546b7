//! A SKU on a channel: the identifiers it goes by there, who ships it, and what was read of it.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::model::{Quantity, Timestamp};

/// An identifier from outside that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{kind}` must be at most 255 bytes without control characters, is `{value}`")]
pub struct BadIdentifier {
    pub kind: &'static str,
    pub value: String,
}

/// The kinds of identifier that channels use for the same thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdKind {
    /// The text in the channel's SKU field (Shopify `sku`, Amazon seller SKU, ERP item code).
    Sku,
    /// Shopify variant id, digits only.
    Variant,
    /// Shopify inventory item id, digits only.
    InventoryItem,
    Asin,
    Fnsku,
    /// The ERP's internal record id of the item.
    Record,
    Barcode,
    /// One of the channel's own locations (Shopify location id, digits only): what a listing shows there. Names nothing
    /// by itself, and tells listings of the same thing apart.
    Location,
}

impl IdKind {
    pub const ALL: [IdKind; 8] = [
        IdKind::Sku,
        IdKind::Variant,
        IdKind::InventoryItem,
        IdKind::Asin,
        IdKind::Fnsku,
        IdKind::Record,
        IdKind::Barcode,
        IdKind::Location,
    ];

    /// Returns the name used in the mapping CSV and in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            IdKind::Sku => "channel_sku",
            IdKind::Variant => "variant",
            IdKind::InventoryItem => "inventory_item",
            IdKind::Asin => "asin",
            IdKind::Fnsku => "fnsku",
            IdKind::Record => "record",
            IdKind::Barcode => "barcode",
            IdKind::Location => "location_id",
        }
    }
}

/// One identifier, as the channel writes it. Not trimmed, not folded: rules for that are policy.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Identifier {
    pub kind: IdKind,
    pub value: Arc<str>,
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}", self.kind.name(), &*self.value)
    }
}

/// What one thing goes by on one channel: sorted by kind, at most one value of each.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Identifiers(Box<[Identifier]>);

impl Identifiers {
    /// The longest identifier value that is believed, in bytes.
    pub const VALUE_MAX: usize = 255;

    /// Takes the non-empty values. A later value of the same kind wins.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (IdKind, &'a str)>) -> Result<Identifiers, BadIdentifier> {
        let mut all: Vec<Identifier> = Vec::new();
        for (kind, value) in pairs {
            if value.is_empty() {
                continue;
            }
            if value.len() > Self::VALUE_MAX || value.chars().any(char::is_control) {
                return Err(BadIdentifier { kind: kind.name(), value: value.escape_debug().to_string() });
            }
            all.retain(|id| id.kind != kind);
            all.push(Identifier { kind, value: Arc::from(value) });
        }
        all.sort();
        Ok(Identifiers(all.into_boxed_slice()))
    }

    pub fn get(&self, kind: IdKind) -> Option<&str> {
        self.0.iter().find(|id| id.kind == kind).map(|id| &*id.value)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Identifier> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns these without what is of a kind.
    pub fn without(&self, kind: IdKind) -> Identifiers {
        Identifiers(self.0.iter().filter(|id| id.kind != kind).cloned().collect())
    }

    /// Returns the least that sorts after these, to search from there.
    pub fn next(&self) -> Identifiers {
        let mut all = self.0.to_vec();
        all.push(Identifier { kind: IdKind::ALL[0], value: Arc::from("") });
        Identifiers(all.into_boxed_slice())
    }

    /// Returns these with every kind that only `other` has.
    pub fn and(&self, other: &Identifiers) -> Identifiers {
        let mut all = self.0.to_vec();
        all.extend(other.0.iter().filter(|id| self.get(id.kind).is_none()).cloned());
        all.sort();
        Identifiers(all.into_boxed_slice())
    }
}

impl fmt::Debug for Identifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter()).finish()
    }
}

impl fmt::Display for Identifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, id) in self.0.iter().enumerate() {
            let gap = if n == 0 { "" } else { " " };
            write!(f, "{gap}{}={}", id.kind.name(), id.value)?;
        }
        Ok(())
    }
}

/// Who ships it, and so whose stock it sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FulfilledBy {
    Merchant,
    /// The channel's own warehouse (FBA). Read only, never written, never mixed with merchant stock.
    Channel,
    /// Not known. Never written.
    Unknown,
}

/// What a channel shows of one listing at one location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    /// What may be bought there. For an ERP: what its configured measure says.
    pub available: Quantity,
    pub on_hand: Option<Quantity>,
    pub committed: Option<Quantity>,
    /// When the channel says that it last changed.
    pub changed_at: Option<Timestamp>,
}

impl Levels {
    pub fn of(available: Quantity) -> Levels {
        Levels { available, on_hand: None, committed: None, changed_at: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_sorted_unique_and_skip_empty_values() {
        let ids = Identifiers::new([
            (IdKind::Asin, "B0"),
            (IdKind::Sku, "a"),
            (IdKind::Sku, "b"),
            (IdKind::Barcode, ""),
        ])
        .expect("all are good");
        assert_eq!(ids.to_string(), "channel_sku=b asin=B0");
        assert!(Identifiers::new([(IdKind::Sku, "a\u{0}")]).is_err());
    }

    #[test]
    fn and_keeps_the_own_value_of_a_kind() {
        let own = Identifiers::new([(IdKind::Sku, "a")]).expect("good");
        let other = Identifiers::new([(IdKind::Sku, "b"), (IdKind::Variant, "1")]).expect("good");
        assert_eq!(own.and(&other).to_string(), "channel_sku=a variant=1");
    }
}
