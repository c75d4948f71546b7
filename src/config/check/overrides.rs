//! Checks `[[overrides]]`, each by itself.

use std::collections::BTreeSet;

use crate::{
    config::{check::Names, raw, scope::Scope},
    model::{
        Sku,
        policy::{ChannelKind, Override},
    },
};

/// Returns the good ones, each with its index in the file.
pub(super) fn overrides(list: Vec<raw::Override>, at: &Scope<'_>, names: &Names) -> Vec<(usize, Override)> {
    let mut overrides = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, raw) in list.into_iter().enumerate() {
        let at = at.index(index);
        let Some(one) = one(raw, &at, names) else { continue };
        for (key, given) in fields(&one) {
            if given && !seen.insert((one.sku.clone(), one.channel.clone(), key)) {
                at.key(key).problem(format!("is given twice for the SKU `{}`", one.sku));
            }
        }
        overrides.push((index, one));
    }
    overrides
}

fn fields(one: &Override) -> [(&'static str, bool); 4] {
    [
        ("safety_stock", one.safety_stock.is_some()),
        ("buffer", one.buffer.is_some()),
        ("min", one.min.is_some()),
        ("max", one.max.is_some()),
    ]
}

fn one(raw: raw::Override, at: &Scope<'_>, names: &Names) -> Option<Override> {
    let sku = at.required("sku", raw.sku, "\"TSHIRT-BL-M\"");
    let sku: Option<Sku> = at.parsed("sku", sku);
    let channel = match &raw.channel {
        Some(name) => Some(names.channel(name, &at.key("channel"))?),
        None => None,
    };
    if let Some((id, ChannelKind::Tryton)) = &channel {
        let message = format!("`{id}` shows no quantities that could be overridden");
        at.key("channel").problem_fix(message, "name a channel that sells");
    }
    if channel.is_some() && raw.safety_stock.is_some() {
        at.key("safety_stock").problem_fix(
            "is kept back for all channels together, so it cannot be set for one",
            "use `buffer`, or leave out `channel`",
        );
    }
    let one = Override {
        sku: sku?,
        channel: channel.map(|(id, _)| id),
        safety_stock: at.units("safety_stock", raw.safety_stock),
        buffer: at.units("buffer", raw.buffer),
        min: at.units("min", raw.min),
        max: at.units("max", raw.max),
    };
    let nothing = raw.safety_stock.or(raw.buffer).or(raw.min).or(raw.max).is_none();
    if nothing && !at.is_partly_spoilt() {
        at.problem_fix("overrides nothing", "add `safety_stock`, `buffer`, `min` or `max`");
    }
    Some(one)
}
