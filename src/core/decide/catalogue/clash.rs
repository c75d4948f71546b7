//! Rows of the mapping table that contradict each other: on one channel, an identifier means one SKU.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{state::State, wrong::Wrong},
    model::{ChannelId, IdKind, Identifier, Identifiers, policy::MappingRow, shell},
};

/// Returns what is wrong with rows of one request that name what another row names for another SKU: on one channel, an identifier means one SKU.
/// A row of the table that one of these names just as it is gives way to it.
pub fn clashing<'a>(
    state: &State,
    rows: impl IntoIterator<Item = (Option<u64>, &'a MappingRow)>,
) -> Vec<Wrong> {
    let rows = rows.into_iter().map(|(line, row)| (line, row, row.ids.without(IdKind::Location)));
    let rows: Vec<_> = rows.collect();
    let new: BTreeSet<(&ChannelId, &Identifiers)> =
        rows.iter().map(|(_, row, ids)| (&row.channel, ids)).collect();
    let configured = state.policies().into_iter().flat_map(|policies| &policies.mapping.table);
    let configured = configured.map(|row| (row, Holder::Configured));
    let held = configured.chain(state.table.iter().map(|row| (row, Holder::Imported)));
    let mut owners: BTreeMap<(&ChannelId, IdKind, String), Owners<'_>> = BTreeMap::new();
    for (row, holder) in held.filter(|(row, _)| !new.contains(&(&row.channel, &row.ids))) {
        own(state, &mut owners, row, &row.ids, holder);
    }
    let mut wrong = Vec::new();
    for (line, row, ids) in &rows {
        let clash = own(state, &mut owners, row, ids, Holder::Asked(*line));
        wrong.extend(clash.map(|why| Wrong { line: *line, why: why.into() }));
    }
    wrong
}

/// Where a row stands that names an identifier.
#[derive(Clone, Copy)]
enum Holder {
    Configured,
    Imported,
    /// In the same request, perhaps on this line of a file.
    Asked(Option<u64>),
}

/// A row that names an identifier, and where it stands.
type Owner<'a> = (&'a MappingRow, Holder);

/// Rows that name an identifier.
#[derive(Default)]
struct Owners<'a> {
    first: Option<Owner<'a>>,
    /// The first that names it for another SKU than that.
    other: Option<Owner<'a>>,
    /// The first that names nothing of its own besides, and so all that goes by it.
    all: Option<Owner<'a>>,
}

/// Takes a row in, unless it names for another SKU what is named already: then it says what that is. Several listings may share an
/// ASIN or a barcode, so a row that names something of its own besides means none but that.
fn own<'a>(
    state: &State,
    owners: &mut BTreeMap<(&'a ChannelId, IdKind, String), Owners<'a>>,
    row: &'a MappingRow,
    ids: &Identifiers,
    holder: Holder,
) -> Option<String> {
    let is = state.canonical(&row.sku);
    let differs = |held: &Owner<'_>| state.canonical(&held.0.sku) != is;
    let shared = |kind| matches!(kind, IdKind::Asin | IdKind::Barcode);
    let all = ids.iter().all(|id| shared(id.kind));
    let key = |kind, value: &str| (&row.channel, kind, value.to_owned());
    let clash = ids.iter().find_map(|id| {
        let held = owners.get(&key(id.kind, id.value))?;
        let any = held.first.filter(differs).or(held.other.filter(differs));
        let other = if shared(id.kind) && !all { held.all.filter(differs) } else { any }?;
        Some(means_already(&row.channel, (id.kind, id.value), other))
    });
    if clash.is_some() {
        return clash;
    }
    for id in ids.iter() {
        let held = owners.entry(key(id.kind, id.value)).or_default();
        let first = *held.first.get_or_insert((row, holder));
        if differs(&first) {
            held.other.get_or_insert((row, holder));
        }
        if all {
            held.all.get_or_insert((row, holder));
        }
    }
    None
}

/// Says whose an identifier is already, and what helps.
fn means_already(channel: &ChannelId, (kind, value): (IdKind, &str), (row, holder): Owner<'_>) -> String {
    let (sku, kind) = (&row.sku, kind.name());
    let means = format!("`{kind}` `{value}` means SKU `{sku}` on `{channel}` already");
    let name = |id: Identifier<'_>| format!("{}={}", id.kind.name(), shell(id.value));
    let names: Vec<String> = row.ids.iter().map(name).collect();
    match holder {
        Holder::Asked(Some(line)) => format!("{means}, by line {line}"),
        Holder::Asked(None) => format!("{means}, by another of these rows"),
        Holder::Configured => {
            format!("{means}, by a row of `[[mapping.table]]` in the configuration, for {}", names.join(" "))
        }
        Holder::Imported => {
            format!("{means}; `evenkeel map remove {channel} {}` takes that row out", names.join(","))
        }
    }
}
