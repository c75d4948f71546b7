//! Shopify's ids: 64-bit numbers, and the global ids (`gid://shopify/Order/1`) around them.
//!
//! Outside the API an id is its digits. No id ever passes through a floating-point number.

/// Returns the global id of the `number`-th thing of a kind.
pub(super) fn gid(kind: &str, number: u64) -> String {
    format!("gid://shopify/{kind}/{number}")
}

/// Reads the number of a global id, if it is one of this kind. A query part is ignored.
pub(super) fn number(kind: &str, gid: &str) -> Option<u64> {
    let path = gid.strip_prefix("gid://shopify/")?;
    let digits = path.strip_prefix(kind)?.strip_prefix('/')?;
    parse(digits.split('?').next().unwrap_or(digits))
}

/// Reads the digits of an id. Nothing but digits is taken: no sign, no space.
pub(super) fn parse(digits: &str) -> Option<u64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_global_id_is_read_whole_and_only_for_its_own_kind() {
        #[track_caller]
        fn check(text: &str, want: Option<u64>) {
            assert_eq!(number("InventoryItem", text), want, "{text}");
        }
        check("gid://shopify/InventoryItem/53469430055218", Some(53_469_430_055_218));
        check("gid://shopify/InventoryItem/18446744073709551615", Some(u64::MAX));
        check("gid://shopify/InventoryItem/18446744073709551616", None);
        check("gid://shopify/InventoryItem/7?x=1", Some(7));
        check("gid://shopify/InventoryItem/", None);
        check("gid://shopify/InventoryItem/+7", None);
        check("gid://shopify/InventoryItemX/7", None);
        check("gid://shopify/Order/7", None);
        check("7", None);
        assert_eq!(number("InventoryItem", &gid("InventoryItem", u64::MAX)), Some(u64::MAX));
    }
}
