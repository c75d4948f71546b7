//! The shop's own bundles. An order has no line for a bundle: it has lines for its components, which name the group that
//! they were sold in. Only the components have stock.

use serde_json::{Value, json};

use super::ids::Kind;
use super::orders::{Line, Order, Refusal};
use super::store::Store;

/// A bundle that was sold: what its lines have in common.
pub(super) struct LineGroup {
    pub(super) id: u64,
    /// The bundle.
    pub(super) item: usize,
    pub(super) quantity: i64,
}

impl Store {
    /// Makes the lines of an order for (item, units): one for an ordinary item, one for each component of a bundle.
    pub(super) fn lines_of(&mut self, wanted: &[(usize, i64)]) -> (Vec<Line>, Vec<LineGroup>) {
        let (mut lines, mut groups) = (Vec::with_capacity(wanted.len()), Vec::new());
        for (item, quantity) in wanted.iter().copied() {
            let parts = self.items[item].parts.clone();
            if parts.is_empty() {
                lines.push(self.new_line(item, quantity, None));
                continue;
            }
            for (part, units) in parts {
                lines.push(self.new_line(part, quantity * units, Some(groups.len())));
            }
            groups.push(LineGroup { id: self.next_line(), item, quantity });
        }
        (lines, groups)
    }

    /// Makes one line. `group`: index of the order's group that it belongs to.
    pub(super) fn new_line(&mut self, item: usize, quantity: i64, group: Option<usize>) -> Line {
        Line { id: self.next_line(), item, quantity, group, removed: 0, fulfilled: 0, refunded: 0 }
    }

    pub(in crate::sandbox) fn is_bundle(&self, item: usize) -> bool {
        !self.items[item].parts.is_empty()
    }

    /// Makes an item one of the shop's own bundles: from then on it has no quantity of its own.
    pub(in crate::sandbox) fn bundle(&mut self, item: usize, parts: &[(usize, i64)]) -> Result<(), Refusal> {
        if self.items[item].levels.iter().any(|level| level.committed != 0) {
            return Err("units of it are to be shipped".into());
        }
        self.items[item].parts = parts.to_vec();
        Ok(())
    }

    /// The order's groups as webhooks tell them. No published body has one: the names are those of the schema's `LineItemGroup`.
    pub(super) fn group_bodies(&self, order: &Order) -> Vec<Value> {
        let body = |group: &LineGroup| {
            let item = group.item as u64;
            json!({
                "id": Kind::LineItemGroup.number(group.id),
                "title": self.items[group.item].title,
                "quantity": group.quantity,
                "product_id": Kind::Product.number(item),
                "variant_id": Kind::ProductVariant.number(item),
                "variant_sku": self.items[group.item].sku,
                "properties": [],
            })
        };
        order.groups.iter().map(body).collect()
    }
}
