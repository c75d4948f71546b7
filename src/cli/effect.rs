//! What a change does to what listings show, for people.

use crate::{
    cli::print,
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
                channel.channel, d.sku, d.shows, d.will_show
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
    match effect.ignored_lines {
        0 => {}
        lines @ 1.. => print::line(&format!("waited for no more: {}", counted(lines, "order line"))),
        lines => print::line(&format!("waited for again: {}", counted(lines.unsigned_abs(), "order line"))),
    }
}
