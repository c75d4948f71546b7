//! What a change does to what listings show, for people.

use crate::{
    cli::{drift::listed, print},
    model::{counted, which},
    web::view::EffectView,
};

/// How many listings of a channel are named.
const NAMED: usize = 10;

pub(super) fn tell(effect: &EffectView) {
    let rows = effect.channels.iter().map(|c| {
        let counts = [c.listings, c.lowered, c.zeroed, c.raised, c.left].map(|n| n.to_string());
        let [listings, lowered, zeroed, raised, left] = counts;
        let units = format!("-{} +{}", c.lowered_units, c.raised_units);
        [c.channel.to_string(), listings, lowered, zeroed, raised, units, left]
    });
    let header = ["channel", "listings", "lowered", "to zero", "raised", "units", "left as they are"];
    print::table(header, rows.collect(), "no listing changes");
    for channel in &effect.channels {
        for d in channel.some.iter().take(NAMED) {
            print::line(&format!(
                "  {}: {} shows {}, will show {}",
                channel.channel,
                listed(&[d.sku.to_string()], &d.locations),
                d.shows,
                d.will_show
            ));
        }
    }
    if effect.bound > 0 {
        print::line(&format!("catalogue items that find their SKU: {}", effect.bound));
    }
    if effect.mapped_lines > 0 {
        let (lines, orders) = (effect.mapped_lines, effect.mapped_orders);
        print::line(&format!(
            "{} of {} {} a SKU and {} booked",
            counted(lines, "line"),
            counted(orders, "order"),
            which(lines, "finds", "find"),
            which(lines, "is", "are")
        ));
    }
    if let Some(taken) = taken(effect) {
        print::line(&taken);
    }
    match effect.ignored_lines {
        0 => {}
        lines @ 1.. => print::line(&format!("waited for no more: {}", counted(lines, "order line"))),
        lines => print::line(&format!("waited for again: {}", counted(lines.unsigned_abs(), "order line"))),
    }
}

/// Says of which SKUs fewer units are for sale once the lines are booked: in shadow mode, and of what shows the right quantity
/// already, no listing tells it.
fn taken(effect: &EffectView) -> Option<String> {
    let named = effect.mapped_some.iter().take(NAMED);
    let named: Vec<String> = named.map(|taken| format!("{} {}", taken.sku, taken.units)).collect();
    let more = effect.mapped_skus.saturating_sub(named.len());
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    (!named.is_empty()).then(|| {
        let (units, skus) = (counted(effect.mapped_units, "unit"), counted(effect.mapped_skus, "SKU"));
        format!("  that takes {units} off {skus}: {}{more}", named.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Quantity, web::view::TakenView};

    #[test]
    fn what_booked_lines_take_off_sale_is_said_by_sku() {
        let mut effect = EffectView::default();
        assert_eq!(taken(&effect), None);
        let view = |sku: &str, units: i64| TakenView {
            sku: sku.parse().expect("a SKU"),
            units: Quantity::new(units),
        };
        effect.mapped_some = vec![view("MUG", 3), view("HAT", 1)];
        (effect.mapped_skus, effect.mapped_units) = (3, Quantity::new(5));
        assert_eq!(
            taken(&effect).as_deref(),
            Some("  that takes 5 units off 3 SKUs: MUG 3, HAT 1, and 1 more")
        );
    }
}
