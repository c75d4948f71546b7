//! What the demo ends with.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    cli::{
        demo::{books::Books, parts::Figures},
        print,
    },
    model::counted,
};

/// What was compared, and what it took.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Every SKU agrees everywhere, and nothing was still under way.
    pub agrees: bool,
    pub verified: bool,
    skus: usize,
    /// SKUs on which a system agrees with the sandbox's books.
    agreeing: BTreeMap<&'static str, usize>,
    orders: BTreeMap<String, u64>,
    /// Shoppers who found nothing to buy.
    turned_away: u64,
    oversold_units: i64,
    writes: u64,
    write_tries_again: u64,
    /// From a sale to its being visible on the other channel, in milliseconds: median and 99th percentile.
    visible_ms: BTreeMap<String, [i64; 2]>,
    disagreeing: Vec<String>,
    notes: Vec<&'static str>,
}

impl Report {
    pub(super) fn new(books: &Books, figures: &Figures, agreed: bool, verified: bool) -> Report {
        let count = |of: fn(&super::books::SkuBook) -> bool| books.skus.iter().filter(|sku| of(sku)).count();
        let agreeing = BTreeMap::from([
            ("shopify", count(super::books::SkuBook::shopify_agrees)),
            ("amazon", count(super::books::SkuBook::amazon_agrees)),
            ("erp", count(super::books::SkuBook::erp_agrees)),
        ]);
        let wrong =
            books.skus.iter().filter(|s| !(s.shopify_agrees() && s.amazon_agrees() && s.erp_agrees()));
        let disagreeing = wrong.map(|s| {
            format!(
                "{}: {} available, {} on the shelf; Shopify shows {}, Amazon {}, the ERP holds {}",
                s.sku, s.available, s.physical, s.shopify.shown, s.amazon.shown, s.erp.on_hand
            )
        });
        Report {
            agrees: agreed,
            verified,
            skus: books.skus.len(),
            agreeing,
            orders: books.orders_by_channel().clone(),
            turned_away: books.turned_away,
            oversold_units: books.oversold_units,
            writes: figures.writes,
            write_tries_again: figures.again,
            visible_ms: figures.visible_ms.clone(),
            disagreeing: disagreeing.take(20).collect(),
            notes: super::parts::NOTES.to_vec(),
        }
    }

    pub(super) fn tell(&self) {
        let rows = self.agreeing.iter().map(|(system, n)| {
            let visible = self.visible_ms.get(*system).map_or("-".to_owned(), |[p50, p99]| {
                format!("{} / {}", print::span(*p50), print::span(*p99))
            });
            let orders = self.orders.get(*system).copied().unwrap_or(0);
            [(*system).to_owned(), format!("{n} of {}", self.skus), orders.to_string(), visible]
        });
        let header = ["system", "SKUs that agree", "orders", "sale to visible, p50 / p99"];
        print::table(header, rows.collect(), "");
        print::line(&format!(
            "{}, {} of them tried again; {} oversold; {} found nothing; journal {}",
            counted(self.writes, "write"),
            self.write_tries_again,
            counted(self.oversold_units, "unit"),
            counted(self.turned_away, "shopper"),
            if self.verified { "verified" } else { "NOT verified" },
        ));
        for line in &self.disagreeing {
            print::line(&format!("  disagrees: {line}"));
        }
        for note in &self.notes {
            print::line(&format!("note: {note}"));
        }
    }
}
