//! The mapping: its table, the listings that are bound, and what waits for a row.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    core::{
        State,
        index::Kind,
        mapping::{Resolved, resolve},
        state::{Ignorable, Listing},
    },
    model::{ChannelId, FulfilledBy, IdKind, Identifiers, Sku, policy::MappingRow, shell},
    web::{
        query::{order::unmapped, orders},
        view::{IgnoredView, MapRow, MapSource, Mapping, Unmapped, Unmatched, ids_of},
    },
};

/// What of the mapping is asked for.
#[derive(Debug, Clone, Default)]
pub(in crate::web) struct Wanted {
    pub channel: Option<ChannelId>,
    pub limit: usize,
    /// Of what waits, only the lines of orders.
    pub lines: bool,
}

impl Wanted {
    fn is(&self, channel: &ChannelId) -> bool {
        self.channel.as_ref().is_none_or(|wanted| wanted == channel)
    }
}

/// Returns rows of the table from the one numbered `from` on: the configuration's, then the imported ones.
pub(in crate::web) fn table(state: &State, wanted: &Wanted, from: usize) -> Mapping {
    let configured = state.policies().into_iter().flat_map(|policies| policies.mapping.table.iter());
    let configured = configured.map(|row| (row, MapSource::Config));
    let imported = state.table.iter().map(|row| (row, MapSource::Imported));
    let rows = configured.chain(imported).filter(|(row, _)| wanted.is(&row.channel)).skip(from);
    let mut rows: Vec<MapRow> =
        rows.take(wanted.limit.saturating_add(1)).map(|(row, source)| table_row(row, source)).collect();
    let next = (rows.len() > wanted.limit).then(|| (from + wanted.limit).to_string());
    rows.truncate(wanted.limit);
    Mapping { rows, next, ..Mapping::default() }
}

/// Returns a row of the table as people are shown it.
pub(in crate::web) fn table_row(row: &MappingRow, source: MapSource) -> MapRow {
    MapRow {
        sku: row.sku.clone(),
        channel: row.channel.clone(),
        ids: ids_of(&row.ids),
        from: Some(source),
        line: None,
    }
}

/// Returns a row that may be taken out, and the listings that it names and that are bound to its SKU.
pub(in crate::web) fn row(row: &MappingRow, state: &State) -> (MapRow, Vec<MapRow>) {
    let names = |held: &&Listing| {
        held.channel == row.channel && row.ids.iter().all(|id| held.ids.get(id.kind) == Some(id.value))
    };
    let all = state.skus.get(state.canonical(&row.sku)).into_iter().flat_map(|held| held.listings.iter());
    let bound = all.filter(names).map(|held| MapRow {
        sku: row.sku.clone(),
        channel: held.channel.clone(),
        ids: ids_of(&held.ids),
        from: Some(MapSource::Listing),
        line: None,
    });
    (table_row(row, MapSource::Imported), bound.collect())
}

/// Returns the SKUs, other than `sku`, that something on a channel is bound to which goes by all of these.
pub(in crate::web) fn bound_to_others(
    state: &State,
    channel: &ChannelId,
    ids: &Identifiers,
    sku: Option<&Sku>,
) -> BTreeSet<Sku> {
    let named = ids.without(IdKind::Location);
    let Some(first) = named.iter().next() else { return BTreeSet::new() };
    let all = state.index.listings(state, channel, first.kind, first.value).into_iter().filter(|listing| {
        state.listing(listing).is_some_and(|held| {
            !held.given_away() && named.iter().all(|id| held.ids.get(id.kind) == Some(id.value))
        })
    });
    let is = sku.map(|sku| state.canonical(sku));
    all.map(|listing| listing.sku).filter(|other| is.is_none_or(|is| state.canonical(other) != is)).collect()
}

/// Says of rows of the table that what they name is bound to another SKU already, the first of them.
pub(in crate::web) fn bound_already(state: &State, rows: &[MappingRow], most: usize) -> Vec<String> {
    let others = |row: &MappingRow| {
        let bound = bound_to_others(state, &row.channel, &row.ids, Some(&row.sku));
        let MappingRow { channel, ids, sku } = row;
        let say = |other: Sku| {
            let rebind = rebind(channel, ids, &shell(sku));
            format!(
                "{} on `{channel}` is a listing of SKU `{other}` already, and stays so whatever the table says: `{rebind}` gives \
                 it to `{sku}`",
                spoken(ids)
            )
        };
        bound.into_iter().map(say).collect::<Vec<_>>()
    };
    rows.iter().flat_map(others).take(most).collect()
}

/// Says of catalogue items that find a SKU by rows of the table which none of them is that they do, the first of them: they share an
/// identifier with what a row names.
pub(in crate::web) fn bound_besides(
    found: &[(ChannelId, Sku, Identifiers)],
    rows: &[MappingRow],
    most: usize,
) -> Vec<String> {
    let mut by_first: BTreeMap<(&ChannelId, IdKind, &str), Vec<&MappingRow>> = BTreeMap::new();
    for row in rows {
        if let Some(first) = row.ids.iter().find(|id| id.kind != IdKind::Location) {
            by_first.entry((&row.channel, first.kind, first.value)).or_default().push(row);
        }
    }
    let is = |row: &&MappingRow, ids: &Identifiers| {
        let mut named = row.ids.iter().filter(|id| id.kind != IdKind::Location);
        named.all(|id| ids.get(id.kind) == Some(id.value))
    };
    let named = |channel: &ChannelId, ids: &Identifiers| {
        ids.iter().any(|id| {
            let rows = by_first.get(&(channel, id.kind, id.value));
            rows.is_some_and(|rows| rows.iter().any(|row| is(row, ids)))
        })
    };
    let besides = found.iter().filter(|(channel, _, ids)| !named(channel, ids));
    let say = |(channel, sku, ids): &(ChannelId, Sku, Identifiers)| {
        format!(
            "{} on `{channel}`, which no row names, becomes a listing of SKU `{sku}` too, by an identifier that it shares or by the \
             rules: if it is something else, `{}` gives it to that",
            spoken(ids),
            rebind(channel, ids, "SKU")
        )
    };
    besides.take(most).map(say).collect()
}

/// Says of what no SKU is to be waited for that it has one.
pub(in crate::web) fn ignored_in_vain(state: &State, what: &Ignorable) -> Vec<String> {
    let Ignorable::Item { channel, ids } = what else { return Vec::new() };
    let say = |bound: Sku| {
        format!(
            "{} on `{channel}` is a listing of SKU `{bound}`, and goes on as that: only what no SKU is found for is left out. \
             `evenkeel pause --sku {}` ends its sales, `{}` gives it to another SKU",
            spoken(ids),
            shell(&bound),
            rebind(channel, ids, "SKU")
        )
    };
    bound_to_others(state, channel, ids, None).into_iter().map(say).collect()
}

/// The command that gives what goes by these to another SKU.
fn rebind(channel: &ChannelId, ids: &Identifiers, sku: &str) -> String {
    let id = ids.iter().find(|id| id.kind != IdKind::Location);
    let id = id.map(|id| format!("{}={}", id.kind.name(), shell(id.value))).unwrap_or_default();
    format!("evenkeel rebind {channel} {id} {sku}")
}

fn spoken(ids: &Identifiers) -> String {
    ids.iter().map(|id| format!("{}={}", id.kind.name(), id.value)).collect::<Vec<_>>().join(" ")
}

/// Returns the bound listings of the SKUs after `after`: all of a SKU, so slightly more than the limit.
pub(in crate::web) fn bound(state: &State, wanted: &Wanted, after: Option<&Sku>) -> Mapping {
    use std::ops::Bound::{Excluded, Unbounded};
    let from = after.map_or(Unbounded, Excluded);
    let mut rows = Vec::new();
    for (looked_at, (sku, row)) in state.skus.range::<Sku, _>((from, Unbounded)).enumerate() {
        let here = row.listings.iter().filter(|listing| !listing.given_away());
        for listing in here.filter(|listing| wanted.is(&listing.channel)) {
            let (sku, channel) = (sku.clone(), listing.channel.clone());
            let (ids, from) = (ids_of(&listing.ids), Some(MapSource::Listing));
            rows.push(MapRow { sku, channel, ids, from, line: None });
        }
        // SKUs that have none on the channel asked for cost time, too.
        if rows.len() >= wanted.limit || looked_at >= wanted.limit {
            return Mapping { rows, next: Some(sku.to_string()), ..Mapping::default() };
        }
    }
    Mapping { rows, ..Mapping::default() }
}

/// Returns what no SKU was found for, from the one numbered `from` on: catalogue items, then order lines.
pub(in crate::web) fn waiting(state: &State, wanted: &Wanted, from: usize) -> Mapping {
    enum Waiting {
        Item(Unmatched),
        Line(Unmapped),
    }
    let waits = |((channel, ids), _): &(&(ChannelId, Identifiers), _)| {
        wanted.is(channel) && !wanted.lines && !state.ignores(channel, ids)
    };
    let items = state.unmatched.iter().filter(waits).map(|((channel, ids), held)| {
        Waiting::Item(Unmatched {
            channel: channel.clone(),
            ids: ids_of(ids),
            title: held.item.title.clone(),
            why: held.why.clone(),
            since: held.at.into(),
        })
    });
    let lines = lines(state, wanted).map(Waiting::Line);
    let mut page = Mapping::default();
    for (n, one) in items.chain(lines).skip(from).take(wanted.limit.saturating_add(1)).enumerate() {
        if n == wanted.limit {
            page.next = Some((from + wanted.limit).to_string());
            break;
        }
        match one {
            Waiting::Item(item) => page.unmatched.push(item),
            Waiting::Line(line) => page.unmapped.push(line),
        }
    }
    page
}

/// Counts the catalogue items and order lines that wait for a SKU and go by this.
pub(in crate::web) fn waiting_of(state: &State, what: &Ignorable) -> usize {
    match what {
        Ignorable::Line { order, line } => {
            let held = state.orders.get(order).and_then(|order| order.lines.get(line));
            held.map_or(0, |line| usize::from(line.is_unmapped()))
        }
        Ignorable::Item { channel, ids: named } => {
            let same = |ids: &Identifiers| named.iter().all(|id| ids.get(id.kind) == Some(id.value));
            let items = state.waiting_items().filter(|(on, ids)| on == channel && same(ids));
            let held = orders(state, Kind::Unmapped, channel).filter_map(|key| state.orders.get(key));
            let lines = held.flat_map(|order| order.lines.values());
            items.count() + lines.filter(|line| line.is_unmapped() && same(&line.ids)).count()
        }
    }
}

/// Returns what no SKU is waited for, from the one numbered `from` on.
pub(in crate::web) fn ignored(state: &State, wanted: &Wanted, from: usize) -> Mapping {
    let all = state.ignored.iter().filter(|((channel, _), _)| wanted.is(channel)).skip(from);
    let mut ignored: Vec<IgnoredView> = all
        .take(wanted.limit.saturating_add(1))
        .map(|((channel, ids), held)| IgnoredView::of(channel, ids_of(ids), held))
        .collect();
    let next = (ignored.len() > wanted.limit).then(|| (from + wanted.limit).to_string());
    ignored.truncate(wanted.limit);
    Mapping { ignored, next, ..Mapping::default() }
}

fn lines<'a>(state: &'a State, wanted: &'a Wanted) -> impl Iterator<Item = Unmapped> + 'a {
    let channels = state.policies().into_iter().flat_map(|policies| policies.channels.keys());
    let keys = channels
        .filter(|channel| wanted.is(channel))
        .flat_map(|channel| orders(state, Kind::Unmapped, channel));
    keys.flat_map(move |key| {
        let lines = state.orders.get(key).into_iter().flat_map(|order| &order.lines);
        lines.filter_map(move |(id, line)| {
            // One that has a SKU only waits for the opening stock, unless nobody says who ships it.
            let known = line.shipped_by() != FulfilledBy::Unknown
                && matches!(resolve(state, &key.channel, &line.ids), Resolved::Listing(_) | Resolved::Sku(_));
            let why = unmapped(state, &key.channel, line).filter(|_| !known)?;
            let (channel, order) = (key.channel.clone(), key.order.clone());
            Some(Unmapped { channel, order, line: id.clone(), ids: ids_of(&line.ids), why })
        })
    })
}
