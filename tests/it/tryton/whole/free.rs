//! An ERP whose counts are what is free: what it sells itself is off sale before it is shipped.

use super::*;

#[rustfmt::skip]
const FREE: [Expected; 5] = [
    // Sold on both channels: the ERP counts it as promised as soon as it is told.
    ("SKU-0001", &[("count", 100), ("sale", 3), ("sale", 2)], [100, 95]),
    // Sold, shipped, and then counted on the shelf.
    ("SKU-0002", &[("count", 100), ("sale", 3), ("ship", 3), ("count", -7)], [90, 90]),
    // Sold, counted on the shelf, and then shipped.
    ("SKU-0003", &[("count", 100), ("sale", 5), ("count", -10), ("ship", 5)], [85, 85]),
    // Sold in the ERP: nobody but its count tells of it, once, at the sale and not at the shipment.
    ("SKU-0004", &[("count", 100), ("count", -2)], [98, 98]),
    // Sold and counted on the shelf while the ERP is told nothing: it has not set those units aside.
    ("SKU-0005", &[("count", 100), ("sale", 3), ("count", -4)], [96, 93]),
];

/// What makes its counts so.
pub(super) const COUNTS: &str = "channels.tryton.erp.counts = \"free\"";

impl Stage {
    /// Sells to a customer of the ERP, who is the one of the web sales. Returns the sale's id.
    async fn sell_in_erp(&self, n: usize, quantity: i64) -> String {
        let Some(both) = &self.tryton else {
            return order(&self.world, "erp", &self.codes[n], quantity).await;
        };
        let fields = ["company", "currency", "warehouse", "party", "invoice_address", "shipment_address"];
        let asked: Vec<String> = fields.iter().map(|field| format!("f={field}")).collect();
        let path = format!("sale.sale?{}&f=lines.unit", asked.join("&"));
        let known = both.person("GET", &path, json!({})).await[0].clone();
        let line = json!({"type": "line", "product": both.server.facts.products[&self.skus[n]],
            "quantity": quantity, "unit": known["lines"][0]["unit"],
            "unit_price": {"__class__": "Decimal", "decimal": "10.00"}});
        let mut sale = json!({"reference": "counter", "invoice_method": "manual", "shipment_method": "order",
            "lines": [["create", [line]]]});
        for field in fields {
            sale[field] = known[field].clone();
        }
        let sale = both.person("POST", "sale.sale", sale).await["id"].to_string();
        for button in ["quote", "confirm", "process"] {
            both.person("POST", &format!("sale.sale/{sale}/{button}"), json!({})).await;
        }
        sale
    }

    /// Ships such a sale.
    async fn ship_in_erp(&self, sale: &str) {
        let Some(both) = &self.tryton else {
            self.world.post("fulfil", json!({"channel": "erp", "order": sale})).await;
            return;
        };
        let sale = both.person("GET", &format!("sale.sale/{sale}?f=shipments.state"), json!({})).await;
        let shipment = sale["shipments"][0]["id"].clone();
        for button in ["assign_try", "pick", "pack", "do"] {
            both.person("POST", &format!("stock.shipment.out/{shipment}/{button}"), json!({})).await;
        }
    }
}

async fn play(stage: &Stage) {
    let live = stage.open().await;
    stage.sell(0, "shopify", 3).await;
    stage.sell(0, "amazon", 2).await;
    stage.booked(0, 3).await;
    stage.erp_holds(0, [100, 95]).await;
    let shipped = stage.sell(1, "shopify", 3).await;
    stage.booked(1, 2).await;
    stage.erp_holds(1, [100, 97]).await;
    stage.ship(&shipped).await;
    stage.booked(1, 3).await;
    stage.erp_holds(1, [97, 97]).await;

    let shipped = stage.sell(2, "shopify", 5).await;
    stage.count(2, 90).await;
    stage.booked(2, 3).await;
    stage.erp_holds(2, [90, 85]).await;
    stage.ship(&shipped).await;

    let sale = stage.sell_in_erp(3, 2).await;
    stage.booked(3, 2).await;
    stage.erp_holds(3, [100, 98]).await;
    stage.ship_in_erp(&sale).await;
    stage.erp_holds(3, [98, 98]).await;
    // Once this is taken over, what was counted after that shipment was read too.
    stage.count(1, 90).await;
    stage.booked(1, 4).await;

    stage.home.ask(&["pause", "--channel", "erp", "--mode", "frozen"]).await.json();
    stage.sell(4, "shopify", 3).await;
    stage.held(4, 2).await;
    stage.count(4, 96).await;
    stage.held(4, 3).await;
    stage.erp_holds(4, [96, 96]).await;
    stage.home.ask(&["resume", "--channel", "erp"]).await.json();
    stage.end(live).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_erp_counts_what_is_free_its_own_sales_are_off_sale_at_once() {
    let Some(tryton) = stage::tryton() else { return };
    play(&Stage::set(Some(tryton), &FREE, COUNTS).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_they_are_with_the_sandbox_as_erp() {
    play(&Stage::set(None, &FREE, COUNTS).await).await;
}
