//! Checks `[channels.tryton.<name>]`.

use std::time::Duration;

use crate::{
    config::{
        check::{
            Names,
            channels::{self, overlap},
        },
        raw,
        schedule::Schedule,
        scope::Scope,
        settings::{Feed, Tryton},
    },
    model::{LocationId, Measure, policy::Posts},
};

const LEVELS_EVERY: Duration = Duration::from_secs(30);
const LEVELS_OVERLAP: Duration = Duration::from_mins(2);
const SWEEP_EVERY: Duration = Duration::from_hours(6);

pub(super) fn tryton(raw: raw::Tryton, at: &Scope<'_>, names: &Names) -> Option<Tryton> {
    let base_url = at.required("base_url", raw.base_url, "\"https://erp.example.org/\"");
    let base_url = at.url("base_url", base_url);
    let database = at.required("database", raw.database, "\"production\"");
    let database = database.and_then(|name| database_name(name, at));
    let key = at.required("key", raw.key, "{ credential = \"tryton-key\" }");
    let key = key.and_then(|key| at.key("key").secret(key));
    let posts = posts(raw.posts, &at.key("posts"));
    let customer = code("customer", raw.customer, "\"WEBSHOP\"", at);
    let words = [("on_hand", Some(Measure::OnHand)), ("free", Some(Measure::Free)), ("none", None)];
    let counts = at.choice("counts", raw.counts, Some(Measure::OnHand), &words);
    if counts.is_none() && !(posts.sales || posts.shipments || posts.returns) {
        at.problem_fix(
            "does nothing: it tells no counts and takes no postings",
            "set `counts` to `on_hand` or `free`, or one of `posts` to `true`",
        );
    }
    let own = raw::Warehouse { warehouse: raw.warehouse, location: raw.location };
    let warehouses = warehouses(own, raw.warehouses, at, names);
    let levels = Schedule::Every(LEVELS_EVERY);
    let levels = at.schedule(["levels_every", "levels_cron"], (raw.levels_every, raw.levels_cron), levels);
    let levels =
        Feed { schedule: levels, overlap: overlap("levels_overlap", raw.levels_overlap, at, LEVELS_OVERLAP) };
    let sweep = Schedule::Every(SWEEP_EVERY);
    let sweep = at.schedule(["sweep_every", "sweep_cron"], (raw.sweep_every, raw.sweep_cron), sweep);
    let timeouts = channels::timeouts(raw.connect_timeout, raw.timeout, at);
    let assume = channels::assume(raw.assume, &at.key("assume"));
    let company = at.record("company", raw.company);
    Some(Tryton {
        base_url: base_url?,
        database: database?,
        key: key?,
        company,
        customer: customer?,
        warehouses: warehouses?,
        counts,
        posts,
        levels,
        sweep,
        timeouts,
        assume,
    })
}

/// Takes the warehouses: the one that the channel's own keys name, or the list.
fn warehouses(
    own: raw::Warehouse,
    list: Vec<raw::Warehouse>,
    at: &Scope<'_>,
    names: &Names,
) -> Option<Vec<(String, LocationId)>> {
    let one = |raw: raw::Warehouse, at: &Scope<'_>| {
        let warehouse = code("warehouse", raw.warehouse, "\"WH\"", at);
        let location = at.required("location", raw.location, "\"warehouse\"");
        let location = location.and_then(|name| names.location(&name, &at.key("location")));
        Some((warehouse?, location?))
    };
    if list.is_empty() {
        return one(own, at).map(|one| vec![one]);
    }
    for (key, given) in [("warehouse", own.warehouse.is_some()), ("location", own.location.is_some())] {
        if given {
            let fix = "move it to the first of the `warehouses`";
            at.key(key).problem_fix("is not for a channel with `warehouses`", fix);
        }
    }
    let at = at.key("warehouses");
    let count = list.len();
    let mut all: Vec<(String, LocationId)> = Vec::new();
    for (index, raw) in list.into_iter().enumerate() {
        let at = at.index(index);
        let Some((warehouse, location)) = one(raw, &at) else { continue };
        if all.iter().any(|(code, _)| *code == warehouse) {
            at.key("warehouse").problem(format!("`{warehouse}` is given twice"));
        }
        if all.iter().any(|(_, known)| *known == location) {
            at.key("location").problem(format!("`{location}` is given twice"));
        }
        all.push((warehouse, location));
    }
    (all.len() == count).then_some(all)
}

fn database_name(name: String, at: &Scope<'_>) -> Option<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.is_empty() && name.chars().all(good) {
        return Some(name);
    }
    let shown = name.escape_debug();
    at.key("database").problem(format!("must consist of letters, digits, `_`, `-` and `.`, is `{shown}`"));
    None
}

/// Takes the code of a record, as people write it in Tryton.
fn code(key: &str, value: Option<String>, example: &str, at: &Scope<'_>) -> Option<String> {
    let value = at.required(key, value, example)?;
    if !value.trim().is_empty() && !value.chars().any(char::is_control) {
        return Some(value);
    }
    at.key(key).problem(format!("must be the code of a record in Tryton, is `{}`", value.escape_debug()));
    None
}

fn posts(raw: raw::Posts, at: &Scope<'_>) -> Posts {
    let posts = Posts {
        sales: raw.sales.unwrap_or(true),
        shipments: raw.shipments.unwrap_or(true),
        returns: raw.returns.unwrap_or(true),
    };
    for (key, posted) in [("shipments", posts.shipments), ("returns", posts.returns)] {
        if posted && !posts.sales {
            at.key(key).problem("must be `false` while `sales` is: it hangs on the posted sale");
        }
    }
    posts
}
