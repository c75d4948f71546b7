//! Checks `[[bundles]]`: what each is made of, and that none holds itself.

use crate::{
    config::{raw, scope::Scope},
    core::recipe::Recipes,
    model::{
        Quantity, Sku,
        policy::{Part, Recipe},
    },
};

pub(super) fn bundles(list: Vec<raw::Bundle>, at: &Scope<'_>) -> Vec<Recipe> {
    let mut good: Vec<Recipe> = Vec::new();
    let mut known = Recipes::default();
    for (index, raw) in list.into_iter().enumerate() {
        let at = at.index(index);
        let Some(recipe) = one(raw, &at) else { continue };
        if known.direct(&recipe.bundle).is_some() {
            at.key("sku").problem(format!("`{}` is given twice", recipe.bundle));
            continue;
        }
        if let Some(why) = known.refuse(&recipe.bundle, &recipe.parts) {
            at.key("parts").problem(why);
            continue;
        }
        known.set(&recipe.bundle, Some(recipe.parts.clone()));
        good.push(recipe);
    }
    good
}

fn one(raw: raw::Bundle, at: &Scope<'_>) -> Option<Recipe> {
    let sku = at.required("sku", raw.sku, "\"GIFT-SET\"");
    let bundle: Option<Sku> = at.parsed("sku", sku);
    let at = at.key("parts");
    let mut parts = Vec::new();
    for (index, raw) in raw.parts.into_iter().enumerate() {
        let at = at.index(index);
        let sku = at.required("sku", raw.sku, "\"MUG-RED\"");
        let sku: Option<Sku> = at.parsed("sku", sku);
        let units = at.whole("units", raw.units, 1, 1..=1_000_000);
        parts.push(Part { sku: sku?, units: Quantity::new(units) });
    }
    Some(Recipe { bundle: bundle?, parts })
}
