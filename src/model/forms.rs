//! Which identifiers each kind of channel knows, and what one can look like: the same for the configuration's mapping
//! table, for files and for commands.

use crate::model::{IdKind, policy::ChannelKind};

/// Returns the names of the identifiers by which a thing goes on such a channel.
pub fn known(channel: ChannelKind) -> Vec<&'static str> {
    let kinds = IdKind::ALL.into_iter().filter(|kind| *kind != IdKind::Location);
    kinds.filter(|kind| only(*kind).is_none_or(|only| only == channel)).map(IdKind::name).collect()
}

/// Says why an identifier cannot be one of such a channel, if so. Of a channel that is not known, only the form is judged.
pub fn refuse(channel: Option<ChannelKind>, kind: IdKind, value: &str) -> Option<String> {
    if let (Some(only), Some(channel)) = (only(kind), channel)
        && only != channel
    {
        return Some(format!("`{}` channels have none, only `{}` ones have", channel.name(), only.name()));
    }
    let (good, wanted) = match kind {
        IdKind::Sku | IdKind::Barcode => (!value.is_empty(), "must not be empty"),
        IdKind::Variant | IdKind::InventoryItem | IdKind::Record | IdKind::Location => {
            (is_number(value), "must be a number, digits only")
        }
        IdKind::Asin | IdKind::Fnsku => (is_asin(value), "must be ten characters of `A-Z` and `0-9`"),
    };
    (!good).then(|| format!("{wanted}, is `{}`", value.escape_debug()))
}

/// Returns the only kind of channel that has such identifiers, if not all have.
fn only(kind: IdKind) -> Option<ChannelKind> {
    match kind {
        IdKind::Sku | IdKind::Barcode => None,
        IdKind::Variant | IdKind::InventoryItem | IdKind::Location => Some(ChannelKind::Shopify),
        IdKind::Asin | IdKind::Fnsku => Some(ChannelKind::Amazon),
        IdKind::Record => Some(ChannelKind::Tryton),
    }
}

fn is_number(value: &str) -> bool {
    value.parse::<u64>().is_ok_and(|id| id > 0 && id.to_string() == value)
}

fn is_asin(value: &str) -> bool {
    value.len() == 10 && value.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_channel_has_its_identifiers_and_each_identifier_its_form() {
        let (shopify, amazon, tryton) = (ChannelKind::Shopify, ChannelKind::Amazon, ChannelKind::Tryton);
        for (channel, kind, value, why) in [
            (shopify, IdKind::Sku, "any/Text ä", None),
            (shopify, IdKind::Variant, "47223456", None),
            (shopify, IdKind::Variant, "gid://47", Some("must be a number")),
            (shopify, IdKind::InventoryItem, "007", Some("must be a number")),
            (shopify, IdKind::Asin, "B0XYZ12345", Some("`shopify` channels have none, only `amazon`")),
            (amazon, IdKind::Asin, "B0XYZ12345", None),
            (amazon, IdKind::Asin, "B0XYZ", Some("must be ten characters")),
            (amazon, IdKind::Fnsku, "x00abcdefg", Some("must be ten characters")),
            (tryton, IdKind::Record, "12", None),
            (amazon, IdKind::Record, "12", Some("only `tryton`")),
        ] {
            let told = refuse(Some(channel), kind, value);
            let good = match why {
                Some(why) => told.as_ref().is_some_and(|told| told.contains(why)),
                None => told.is_none(),
            };
            assert!(good, "{kind:?}={value}: {told:?}");
        }
        assert_eq!(known(amazon), ["channel_sku", "asin", "fnsku", "barcode"]);
    }
}
