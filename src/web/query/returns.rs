//! Returned units that are reserved until a person has looked at them.

use crate::{
    core::State,
    model::Quantity,
    web::view::{ReturnedUnits, Returns},
};

/// Returns at most `limit` rows, by SKU.
pub(in crate::web) fn returns(state: &State, limit: usize) -> Returns {
    let places = state.skus.iter().flat_map(|(sku, row)| row.stock.iter().map(move |place| (sku, place)));
    let reserved = places.filter(|(_, place)| place.stock.reserved > Quantity::ZERO);
    let rows = reserved.map(|(sku, place)| ReturnedUnits {
        sku: sku.clone(),
        location: place.location.clone(),
        reserved: place.stock.reserved,
        on_hand: place.stock.on_hand,
    });
    let mut rows: Vec<ReturnedUnits> = rows.take(limit.saturating_add(1)).collect();
    let more = rows.len() > limit;
    rows.truncate(limit);
    Returns { rows, more }
}
