//! The products that all three systems sell, made up from the seed.

use super::dice::Dice;
use super::options::CatalogueOptions;

pub(super) struct Catalogue {
    pub(super) skus: Vec<Sku>,
    /// Shopify's own bundles: it sells each as its components, and works out from them how many there are.
    pub(super) bundles: Vec<Made>,
    /// Listings of the shop that are made of SKUs without its knowing: it sells them as what they are called, and each has a
    /// quantity of its own.
    pub(super) sets: Vec<Made>,
}

pub(super) struct Sku {
    /// What the merchant calls it: the SKU in Shopify and the product code in the ERP.
    pub(super) code: String,
    pub(super) title: String,
    /// What Amazon calls it.
    pub(super) seller_sku: String,
    pub(super) asin: String,
    /// The same product in Amazon's own warehouse.
    pub(super) fba: Option<FbaTwin>,
    /// At all places together.
    pub(super) opening: i64,
    /// At each place.
    pub(super) openings: Vec<i64>,
    pub(super) price_cents: i64,
}

pub(super) struct FbaTwin {
    pub(super) seller_sku: String,
    pub(super) fnsku: String,
    pub(super) opening: i64,
}

/// Something that is made of SKUs.
pub(super) struct Made {
    pub(super) code: String,
    /// SKU index, units of it.
    pub(super) parts: [(usize, i64); 2],
}

const GARMENTS: [(&str, &str); 6] = [
    ("TSHIRT", "T-shirt"),
    ("HOODIE", "Hoodie"),
    ("SOCK", "Socks"),
    ("CAP", "Cap"),
    ("JEANS", "Jeans"),
    ("SCARF", "Scarf"),
];
const COLOURS: [(&str, &str); 5] =
    [("BL", "blue"), ("RD", "red"), ("GR", "green"), ("WH", "white"), ("BK", "black")];
const SIZES: [&str; 5] = ["M", "S", "L", "XL", "XXL"];

impl Catalogue {
    pub(super) fn generate(options: &CatalogueOptions, seed: u64) -> Catalogue {
        let mut dice = Dice::new(seed, 1);
        let mut skus: Vec<Sku> = (0..options.skus).map(|n| sku(n, options, &mut dice)).collect();
        // Further places have dice of their own: the same seed gives the same first place, however many there are.
        for place in 1..options.places {
            let mut dice = Dice::new(seed, 100 + place as u64);
            for sku in &mut skus {
                let units = amount(&mut dice, options);
                sku.opening += units;
                sku.openings.push(units);
            }
        }
        let made = |kind: &str, n: usize, first: usize| Made {
            code: format!("{kind}-{}", n + 1),
            parts: [(first, 1), (first + 1, 2)],
        };
        let bundles = (0..options.bundles.min(skus.len() / 2)).map(|n| made("BUNDLE", n, 2 * n)).collect();
        // Each shares a component with the next.
        let sets = (0..options.sets.min(skus.len() - 1)).map(|n| made("SET", n, n)).collect();
        Catalogue { skus, bundles, sets }
    }

    pub(super) fn find(&self, code: &str) -> Option<usize> {
        self.skus.iter().position(|sku| sku.code == code)
    }

    /// Finds what the shop lists under a code: the SKUs come first, then bundles, then sets.
    pub(super) fn find_listed(&self, code: &str) -> Option<usize> {
        let mut made = self.bundles.iter().chain(&self.sets);
        self.find(code).or_else(|| Some(self.skus.len() + made.position(|made| made.code == code)?))
    }

    /// How many listings the shop has.
    pub(super) fn listed(&self) -> usize {
        self.skus.len() + self.bundles.len() + self.sets.len()
    }

    /// What a listing of the shop is made of without its knowing.
    pub(super) fn set(&self, listed: usize) -> Option<&Made> {
        self.sets.get(listed.checked_sub(self.skus.len() + self.bundles.len())?)
    }
}

fn sku(n: usize, options: &CatalogueOptions, dice: &mut Dice) -> Sku {
    let (code, title) = options.codes.get(n).map_or_else(|| name(n), |code| (code.clone(), code.clone()));
    let renamed = dice.chance(options.renamed_share);
    let seller_sku = if renamed { format!("AMZ-{:05}", n + 1) } else { code.clone() };
    let fba = (n < options.fba_twins).then(|| FbaTwin {
        seller_sku: format!("{seller_sku}-FBA"),
        fnsku: format!("X00{}", base36(n as u64 + 0x5_0000, 7)),
        opening: amount(dice, options),
    });
    // An odd multiplier below 36^8 makes the numbers look random and keeps them distinct.
    let asin = format!("B0{}", base36((n as u64 + 1).wrapping_mul(1_234_567_891) % 36_u64.pow(8), 8));
    let opening = amount(dice, options);
    let price_cents = 499 + 50 * i64::try_from(dice.below(200)).expect("below 200");
    Sku { code, title, seller_sku, asin, fba, opening, openings: vec![opening], price_cents }
}

fn amount(dice: &mut Dice, options: &CatalogueOptions) -> i64 {
    i64::try_from(dice.within(options.opening)).expect("opening stock is far below 2^63")
}

/// Most codes look like `TSHIRT-BL-M`; every so often one has a space, a slash or letters beyond ASCII.
fn name(n: usize) -> (String, String) {
    let round = n / 20 + 1;
    match n % 20 {
        7 => (format!("MUG WHITE {round}"), format!("White mug {round}")),
        11 => (format!("CABLE/USB-C/{round}M"), format!("USB-C cable, {round} m")),
        13 => (format!("TASSE-GRÜN-Ø{round}"), format!("Grüne Tasse Ø{round}")),
        17 => (format!("箱-{round}"), format!("箱 {round}")),
        _ => garment(n),
    }
}

fn garment(n: usize) -> (String, String) {
    let (garment, garment_title) = GARMENTS[n / 5 % GARMENTS.len()];
    let (colour, colour_title) = COLOURS[n / 30 % COLOURS.len()];
    let size = SIZES[n % SIZES.len()];
    let series = n / 150;
    let suffix = if series == 0 { String::new() } else { format!("-{}", series + 1) };
    (format!("{garment}-{colour}-{size}{suffix}"), format!("{garment_title}, {colour_title}, {size}{suffix}"))
}

fn base36(mut number: u64, digits: usize) -> String {
    let mut text = vec![b'0'; digits];
    for place in text.iter_mut().rev() {
        *place = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[usize::try_from(number % 36).expect("below 36")];
        number /= 36;
    }
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sandbox::options::Span;

    fn options(skus: usize) -> CatalogueOptions {
        CatalogueOptions {
            skus,
            codes: Vec::new(),
            places: 1,
            opening: Span::new(5, 40),
            renamed_share: 0.3,
            fba_twins: 2,
            bundles: 3,
            sets: 2,
        }
    }

    #[test]
    fn codes_and_asins_are_distinct() {
        let catalogue = Catalogue::generate(&options(5_000), 1);
        let codes: BTreeSet<_> = catalogue.skus.iter().map(|sku| &sku.code).collect();
        let asins: BTreeSet<_> = catalogue.skus.iter().map(|sku| &sku.asin).collect();
        let sellers: BTreeSet<_> = catalogue.skus.iter().map(|sku| &sku.seller_sku).collect();
        assert_eq!((codes.len(), asins.len(), sellers.len()), (5_000, 5_000, 5_000));
        assert_eq!(catalogue.skus[0].code, "TSHIRT-BL-M");
        assert!(asins.iter().all(|asin| asin.len() == 10));
    }

    #[test]
    fn awkward_codes_are_among_the_first_twenty() {
        let catalogue = Catalogue::generate(&options(20), 1);
        for part in [' ', '/', 'Ü', '箱'] {
            assert!(catalogue.skus.iter().any(|sku| sku.code.contains(part)), "no code with `{part}`");
        }
    }

    #[test]
    fn the_seed_decides_the_stock() {
        let stock = |seed| -> Vec<i64> {
            Catalogue::generate(&options(50), seed).skus.iter().map(|sku| sku.opening).collect()
        };
        assert_eq!(stock(7), stock(7));
        assert_ne!(stock(7), stock(8));
        assert!(stock(7).iter().all(|units| (5..=40).contains(units)));
    }

    #[test]
    fn what_is_made_of_others_is_found_behind_the_skus() {
        let catalogue = Catalogue::generate(&options(10), 1);
        let at = |code: &str| catalogue.find_listed(code);
        assert_eq!([at("TSHIRT-BL-M"), at("BUNDLE-1"), at("SET-2")], [Some(0), Some(10), Some(14)]);
        assert_eq!([at("BUNDLE-4"), at("SET-3"), catalogue.find("SET-1")], [None; 3]);
        assert_eq!(catalogue.set(14).map(|set| set.parts), Some([(1, 1), (2, 2)]));
        assert!([0, 9, 12, 15].iter().all(|other| catalogue.set(*other).is_none()));
    }

    #[test]
    fn some_seller_skus_differ_and_a_twin_has_its_own() {
        let catalogue = Catalogue::generate(&options(200), 1);
        let renamed = catalogue.skus.iter().filter(|sku| sku.seller_sku != sku.code).count();
        assert!((30..90).contains(&renamed), "{renamed} of 200 renamed");
        assert_eq!(catalogue.skus.iter().filter(|sku| sku.fba.is_some()).count(), 2);
        assert_eq!(catalogue.bundles[1].parts, [(2, 1), (3, 2)]);
    }
}
