//! Checks `[mapping]` and its table.

use std::collections::BTreeMap;

use crate::{
    config::{check::Names, raw, scope::Scope},
    model::{
        ChannelId, IdKind, Identifiers, Sku, forms,
        policy::{ChannelKind, MappingRow, MappingRules},
    },
};

pub(super) fn mapping(raw: raw::Mapping, at: &Scope<'_>, names: &Names) -> MappingRules {
    MappingRules {
        master: master(raw.master, &at.key("master"), names),
        trim: raw.trim.unwrap_or(true),
        ignore_case: raw.ignore_case.unwrap_or(false),
        strip_prefixes: prefixes(raw.strip_prefixes, &at.key("strip_prefixes")),
        table: table(raw.table, &at.key("table"), names),
    }
}

/// Returns the channel whose item codes are the SKUs: the one named, else an ERP, else a shop.
fn master(name: Option<String>, at: &Scope<'_>, names: &Names) -> Option<ChannelId> {
    if let Some(name) = name {
        return names.channel(&name, at).map(|(id, _)| id);
    }
    let of = |kind: ChannelKind| names.channels.iter().find(move |(_, k)| **k == kind).map(|(name, _)| name);
    let first =
        of(ChannelKind::Tryton).or_else(|| of(ChannelKind::Shopify)).or_else(|| of(ChannelKind::Amazon));
    first.and_then(|name| name.parse().ok())
}

fn prefixes(list: Vec<String>, at: &Scope<'_>) -> Vec<String> {
    let mut prefixes: Vec<String> = Vec::new();
    for (index, prefix) in list.into_iter().enumerate() {
        if prefix.is_empty() || prefix.chars().any(char::is_control) {
            at.index(index).problem("must be a text that is not empty");
        } else if prefixes.contains(&prefix) {
            at.index(index).problem(format!("`{prefix}` is given twice"));
        }
        prefixes.push(prefix);
    }
    prefixes
}

fn table(rows: Vec<raw::MappingRow>, at: &Scope<'_>, names: &Names) -> Vec<MappingRow> {
    let mut table: Vec<MappingRow> = Vec::new();
    let mut owners: BTreeMap<(ChannelId, IdKind, String), Sku> = BTreeMap::new();
    for (index, raw) in rows.into_iter().enumerate() {
        let at = at.index(index);
        let Some(row) = row(raw, &at, names) else { continue };
        for id in row.ids.iter() {
            let owner = owners
                .entry((row.channel.clone(), id.kind, id.value.to_owned()))
                .or_insert_with(|| row.sku.clone());
            if *owner != row.sku {
                let (kind, value) = (id.kind.name(), id.value);
                at.key(kind)
                    .problem(format!("`{value}` already means the SKU `{owner}` on `{}`", row.channel));
            }
        }
        if table.contains(&row) {
            at.problem("repeats an earlier row");
        }
        table.push(row);
    }
    table
}

fn row(raw: raw::MappingRow, at: &Scope<'_>, names: &Names) -> Option<MappingRow> {
    let given = [
        (IdKind::Sku, raw.channel_sku),
        (IdKind::Variant, raw.variant),
        (IdKind::InventoryItem, raw.inventory_item),
        (IdKind::Asin, raw.asin),
        (IdKind::Fnsku, raw.fnsku),
        (IdKind::Record, raw.record),
        (IdKind::Barcode, raw.barcode),
    ];
    let sku = at.required("sku", raw.sku, "\"TSHIRT-BL-M\"");
    let sku: Option<Sku> = at.parsed("sku", sku);
    let name = at.required("channel", raw.channel, "\"main\"");
    let channel = name.and_then(|name| names.channel(&name, &at.key("channel")));
    if given.iter().all(|(_, value)| value.is_none()) && !at.is_partly_spoilt() {
        let known: Vec<&str> = given.iter().map(|(kind, _)| kind.name()).collect();
        at.problem_fix("names no identifier", format!("add one of `{}`", known.join("`, `")));
        return None;
    }
    let mut pairs = Vec::new();
    for (kind, value) in &given {
        let Some(raw::TextOrWhole(value)) = value else { continue };
        let at = at.key(kind.name());
        let of = channel.as_ref().map(|(_, kind)| *kind);
        if let Some(why) = forms::refuse(of, *kind, value) {
            at.problem(why);
        }
        pairs.push((*kind, value.as_str()));
    }
    let ids = Identifiers::new(pairs).map_err(|why| at.problem(why.to_string())).ok()?;
    Some(MappingRow { sku: sku?, channel: channel?.0, ids })
}
