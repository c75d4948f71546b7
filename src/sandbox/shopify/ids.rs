//! Ids as Shopify makes them: 64-bit numbers, here deliberately above 2^53, and the global ids around them.

/// The first location of the sandbox's shop; the others follow it.
const LOCATION: u64 = 106_318_430_514;
/// A level's own number, which is not the location's.
const LEVEL: u64 = 143_273_001_266;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Kind {
    Product,
    ProductVariant,
    InventoryItem,
    Order,
    LineItem,
    LineItemGroup,
    Fulfillment,
    FulfillmentLineItem,
    FulfillmentOrder,
    FulfillmentOrderLineItem,
    Refund,
    RefundLineItem,
    InventoryAdjustmentGroup,
    OrderEdit,
    BulkOperation,
}

impl Kind {
    const fn parts(self) -> (&'static str, u64) {
        match self {
            Kind::Product => ("Product", 9_107_199_254_740_993),
            Kind::ProductVariant => ("ProductVariant", 9_207_199_254_740_993),
            Kind::InventoryItem => ("InventoryItem", 9_307_199_254_740_993),
            Kind::Order => ("Order", 9_407_199_254_740_993),
            Kind::LineItem => ("LineItem", 9_507_199_254_740_993),
            Kind::LineItemGroup => ("LineItemGroup", 9_557_199_254_740_993),
            Kind::Fulfillment => ("Fulfillment", 9_607_199_254_740_993),
            Kind::FulfillmentLineItem => ("FulfillmentLineItem", 9_657_199_254_740_993),
            Kind::FulfillmentOrder => ("FulfillmentOrder", 9_677_199_254_740_993),
            Kind::FulfillmentOrderLineItem => ("FulfillmentOrderLineItem", 9_687_199_254_740_993),
            Kind::Refund => ("Refund", 9_707_199_254_740_993),
            Kind::RefundLineItem => ("RefundLineItem", 9_757_199_254_740_993),
            Kind::InventoryAdjustmentGroup => ("InventoryAdjustmentGroup", 9_807_199_254_740_993),
            Kind::OrderEdit => ("OrderEdit", 9_857_199_254_740_993),
            Kind::BulkOperation => ("BulkOperation", 9_907_199_254_740_993),
        }
    }

    /// The number of the `index`-th thing of this kind.
    pub(in crate::sandbox) fn number(self, index: u64) -> u64 {
        self.parts().1 + index
    }

    pub(in crate::sandbox) fn gid(self, index: u64) -> String {
        let (name, base) = self.parts();
        format!("gid://shopify/{name}/{}", base + index)
    }

    /// The index behind a number.
    pub(in crate::sandbox) fn index(self, number: u64) -> Option<usize> {
        number.checked_sub(self.parts().1).and_then(|index| usize::try_from(index).ok())
    }

    /// The index behind a global id of this kind.
    pub(in crate::sandbox) fn read(self, gid: &str) -> Option<usize> {
        let number = gid.strip_prefix("gid://shopify/")?.strip_prefix(self.parts().0)?.strip_prefix('/')?;
        self.index(number.parse().ok()?)
    }
}

/// The number of the shop's location at a place.
pub(in crate::sandbox) fn location(place: usize) -> u64 {
    LOCATION + place as u64
}

pub(in crate::sandbox) fn location_gid(place: usize) -> String {
    format!("gid://shopify/Location/{}", location(place))
}

/// The place of a location's global id.
pub(in crate::sandbox) fn read_location_gid(gid: &str) -> Option<usize> {
    let number: u64 = gid.strip_prefix("gid://shopify/Location/")?.parse().ok()?;
    number.checked_sub(LOCATION).and_then(|place| usize::try_from(place).ok())
}

pub(in crate::sandbox) fn level_gid(item: usize, place: usize) -> String {
    let (level, item) = (LEVEL + place as u64, Kind::InventoryItem.number(item as u64));
    format!("gid://shopify/InventoryLevel/{level}?inventory_item_id={item}")
}

/// The item and the place of a level's global id.
pub(in crate::sandbox) fn read_level_gid(gid: &str) -> Option<(usize, usize)> {
    let (level, item) =
        gid.strip_prefix("gid://shopify/InventoryLevel/")?.split_once("?inventory_item_id=")?;
    let place = level.parse::<u64>().ok()?.checked_sub(LEVEL)?;
    Some((Kind::InventoryItem.index(item.parse().ok()?)?, usize::try_from(place).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn global_ids_are_read_back_and_kinds_are_not_mixed_up() {
        assert_eq!(Kind::InventoryItem.gid(4), "gid://shopify/InventoryItem/9307199254740997");
        assert_eq!(Kind::InventoryItem.read("gid://shopify/InventoryItem/9307199254740997"), Some(4));
        assert_eq!(Kind::Order.read("gid://shopify/InventoryItem/9307199254740997"), None);
        assert_eq!(Kind::Product.read("gid://shopify/ProductVariant/9307199254740997"), None);
        assert_eq!(Kind::Order.read("gid://shopify/Order/12"), None);
        assert_eq!(read_level_gid(&level_gid(7, 2)), Some((7, 2)));
        assert_eq!(read_location_gid(&location_gid(3)), Some(3));
        assert_eq!(read_location_gid("gid://shopify/Location/7"), None);
    }
}
