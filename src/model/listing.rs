//! A SKU on a channel: the identifiers it goes by there, who ships it, and what was read of it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error, ser::SerializeSeq};

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
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Identifier<'a> {
    pub kind: IdKind,
    pub value: &'a str,
}

impl fmt::Debug for Identifier<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}", self.kind.name(), self.value)
    }
}

/// What one thing goes by on one channel: sorted by kind, at most one value of each.
///
/// One text, because there are very many of them: each value follows a control character, which no value contains and
/// which says the kind. So the texts sort as lists of kinds and values would.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Identifiers(Box<str>);

impl Identifiers {
    /// The longest identifier value that is believed, in bytes.
    pub const VALUE_MAX: usize = 255;

    /// Takes the non-empty values. A later value of the same kind wins.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (IdKind, &'a str)>) -> Result<Identifiers, BadIdentifier> {
        let mut all = [""; IdKind::ALL.len()];
        for (kind, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            good(kind, value)?;
            all[kind as usize] = value;
        }
        Ok(Identifiers::joined(&all))
    }

    /// Joins the values, one of each kind in turn; an empty one is none.
    fn joined(all: &[&str; IdKind::ALL.len()]) -> Identifiers {
        let held = || IdKind::ALL.into_iter().zip(all).filter(|(_, value)| !value.is_empty());
        let mut text = String::with_capacity(held().map(|(_, value)| 1 + value.len()).sum());
        held().for_each(|(kind, value)| push(&mut text, kind, value));
        Identifiers(text.into_boxed_str())
    }

    pub fn get(&self, kind: IdKind) -> Option<&str> {
        self.iter().find(|id| id.kind == kind).map(|id| id.value)
    }

    pub fn iter(&self) -> impl Iterator<Item = Identifier<'_>> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let mark = rest.bytes().next()?;
            let kind = *IdKind::ALL.get(usize::from(mark).checked_sub(1)?)?;
            let end = rest.bytes().skip(1).position(|byte| byte < b' ').map_or(rest.len(), |at| at + 1);
            let value = &rest[1..end];
            rest = &rest[end..];
            Some(Identifier { kind, value })
        })
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns these without what is of a kind.
    pub fn without(&self, kind: IdKind) -> Identifiers {
        let mut text = String::new();
        self.iter().filter(|id| id.kind != kind).for_each(|id| push(&mut text, id.kind, id.value));
        Identifiers(text.into_boxed_str())
    }

    /// Returns the least that sorts after these, to search from there.
    pub fn next(&self) -> Identifiers {
        let mut text = self.0.to_string();
        push(&mut text, IdKind::ALL[0], "");
        Identifiers(text.into_boxed_str())
    }

    /// Returns these with every kind that only `other` has.
    pub fn and(&self, other: &Identifiers) -> Identifiers {
        Identifiers::joined(&IdKind::ALL.map(|kind| self.get(kind).or(other.get(kind)).unwrap_or_default()))
    }
}

/// Adds a value behind what says its kind: U+0001 for the first, and so on.
fn push(text: &mut String, kind: IdKind, value: &str) {
    text.push(char::from(kind as u8 + 1));
    text.push_str(value);
}

fn good(kind: IdKind, value: &str) -> Result<(), BadIdentifier> {
    if value.len() <= Identifiers::VALUE_MAX && !value.chars().any(char::is_control) {
        return Ok(());
    }
    Err(BadIdentifier { kind: kind.name(), value: value.escape_debug().to_string() })
}

impl Serialize for Identifiers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.iter().count()))?;
        self.iter().try_for_each(|id| all.serialize_element(&id))?;
        all.end()
    }
}

impl<'de> Deserialize<'de> for Identifiers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Identifiers, D::Error> {
        #[derive(Deserialize)]
        struct Pair {
            kind: IdKind,
            value: String,
        }
        let all = Vec::<Pair>::deserialize(deserializer)?;
        let mut text = String::new();
        // As they were written: a journal from elsewhere need not have them sorted.
        for Pair { kind, value } in &all {
            good(*kind, value).map_err(D::Error::custom)?;
            push(&mut text, *kind, value);
        }
        Ok(Identifiers(text.into_boxed_str()))
    }
}

impl fmt::Debug for Identifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl fmt::Display for Identifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, id) in self.iter().enumerate() {
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

    #[test]
    fn they_sort_as_lists_of_kinds_and_values_do_and_come_back_from_text() {
        let all = |pairs: &[(IdKind, &str)]| Identifiers::new(pairs.iter().copied()).expect("good");
        let (sku, variant, barcode) = (IdKind::Sku, IdKind::Variant, IdKind::Barcode);
        let mut sorted = vec![
            all(&[]),
            all(&[(sku, "a")]),
            all(&[(sku, "a"), (variant, "2")]),
            all(&[(sku, "a"), (barcode, "1")]),
            all(&[(sku, "a!")]),
            all(&[(sku, "ä/ß")]),
            all(&[(variant, "1")]),
            all(&[(barcode, "0")]),
        ];
        assert!(sorted.is_sorted());
        for ids in &sorted {
            let text = serde_json::to_string(ids).expect("it is text");
            assert_eq!(serde_json::from_str::<Identifiers>(&text).expect("its own text"), *ids, "{text}");
            assert!(*ids < ids.next());
        }
        sorted.dedup_by(|after, before| *after >= before.next());
        assert_eq!(sorted.len(), 1, "what sorts after one sorts after its next");
        assert_eq!(
            serde_json::to_string(&all(&[(barcode, "0"), (sku, "a")])).expect("it is text"),
            r#"[{"kind":"sku","value":"a"},{"kind":"barcode","value":"0"}]"#
        );
        assert!(serde_json::from_str::<Identifiers>(r#"[{"kind":"sku","value":"a\u0002b"}]"#).is_err());
    }
}
