//! What people at the ERP do with it by hand: sell over the counter, ship, cancel, count.

use serde_json::json;

use super::Failure;
use super::buttons::press;
use super::db::{Database, Id};
use super::schema::{Model, model};
use super::seed;

impl Database {
    /// Enters and confirms a sale of (SKU, units); returns its id.
    pub(in crate::sandbox) fn staff_sells(
        &mut self,
        wanted: &[(usize, i64)],
        place: usize,
        now_ms: i64,
    ) -> Result<i64, String> {
        let lines: Vec<_> = wanted
            .iter()
            .map(|(sku, units)| {
                let product = seed::product_id(*sku);
                let price = self.value("product.product", product, "list_price_used");
                json!({"product": product, "quantity": *units as f64, "unit": seed::UNIT, "unit_price": price})
            })
            .collect();
        let values = json!({
            "party": seed::CUSTOMER, "invoice_address": seed::ADDRESS, "shipment_address": seed::ADDRESS,
            "reference": "counter", "warehouse": seed::zones(place).warehouse, "invoice_method": "manual", "lines": [["create", lines]],
        });
        let sale = self.by_staff(now_ms, |db, sales| {
            let sale = db.create(sales, &values, serde_json::Map::new())?;
            press(db, sales, sale, "quote")?;
            Ok(sale)
        })?;
        self.by_staff(now_ms, |db, sales| press(db, sales, sale, "confirm"))?;
        Ok(sale)
    }

    /// Ships all that is open on a sale; returns (SKU, units).
    pub(in crate::sandbox) fn staff_ships(
        &mut self,
        sale: Id,
        now_ms: i64,
    ) -> Result<Vec<(usize, i64)>, String> {
        let shipments = self.open_shipments(sale);
        if shipments.is_empty() {
            return Err("nothing is open on the sale".into());
        }
        let out = model("stock.shipment.out").ok_or("no shipments in this ERP")?;
        let mut sent = Vec::new();
        for shipment in shipments {
            sent.extend(self.open_units(shipment));
            for button in ["assign_try", "assign_force", "pick", "pack", "do"] {
                self.by_staff(now_ms, |db, _| press(db, out, shipment, button))?;
            }
        }
        Ok(sent)
    }

    /// Cancels all that is open on a sale; returns (SKU, units).
    pub(in crate::sandbox) fn staff_cancels(
        &mut self,
        sale: Id,
        now_ms: i64,
    ) -> Result<Vec<(usize, i64)>, String> {
        let out = model("stock.shipment.out").ok_or("no shipments in this ERP")?;
        let lines = model("sale.line").ok_or("no sales in this ERP")?;
        let mut freed = Vec::new();
        for shipment in self.open_shipments(sale) {
            freed.extend(self.open_units(shipment));
            self.by_staff(now_ms, |db, _| press(db, out, shipment, "cancel"))?;
        }
        self.by_staff(now_ms, |db, sales| {
            for line in db.sale_lines(sale) {
                let moves = db.many("sale.line", line, "stock.move", "origin");
                db.modify(lines, line, &json!({"moves_ignored": [["add", moves]]}))?;
            }
            press(db, sales, sale, "process")
        })?;
        if freed.is_empty() { Err("nothing is open on the sale".into()) } else { Ok(freed) }
    }

    /// Enters and confirms a count of (SKU, units) in the storage zone of a place.
    pub(in crate::sandbox) fn staff_counts(
        &mut self,
        counted: &[(usize, i64)],
        place: usize,
        now_ms: i64,
    ) -> Result<(), String> {
        let lines: Vec<_> = counted
            .iter()
            .map(|(sku, units)| json!({"product": seed::product_id(*sku), "quantity": *units as f64}))
            .collect();
        let inventories = model("stock.inventory").ok_or("no counts in this ERP")?;
        let values = json!({"location": seed::zones(place).storage, "empty_quantity": "keep", "lines": [["create", lines]]});
        self.by_staff(now_ms, |db, _| {
            let inventory = db.create(inventories, &values, serde_json::Map::new())?;
            press(db, inventories, inventory, "confirm")
        })
    }

    fn by_staff<R>(
        &mut self,
        now_ms: i64,
        act: impl FnOnce(&mut Database, &'static Model) -> Result<R, Failure>,
    ) -> Result<R, String> {
        let sales = model("sale.sale").ok_or("no sales in this ERP")?;
        self.transaction(now_ms, |db| act(db, sales)).map_err(|failure| failure.text())
    }

    fn open_shipments(&self, sale: Id) -> Vec<Id> {
        let moves = self.sale_moves(sale).into_iter();
        let shipments: std::collections::BTreeSet<Id> = moves
            .filter_map(|of| super::read::parse_reference(self.text("stock.move", of, "shipment")))
            .filter(|(model, id)| {
                *model == "stock.shipment.out"
                    && !["done", "cancelled"].contains(&self.text(model, *id, "state"))
            })
            .map(|(_, id)| id)
            .collect();
        shipments.into_iter().collect()
    }

    fn open_units(&self, shipment: Id) -> Vec<(usize, i64)> {
        let moves = self.moves_where("stock.shipment.out", shipment, "from_location", "warehouse_output");
        let units = |of: Id| {
            let sku = seed::sku_of(self.one("stock.move", of, "product")?)?;
            Some((sku, self.number("stock.move", of, "quantity") as i64))
        };
        moves.into_iter().filter_map(units).collect()
    }
}
