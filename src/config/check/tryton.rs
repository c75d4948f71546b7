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
        settings::{Feed, Tryton, TrytonLocation},
    },
    model::{Measure, policy::Posts},
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
    let company = at.required("company", raw.company, "1");
    let company = at.record("company", company);
    let posts = posts(raw.posts, &at.key("posts"));
    if posts.sales {
        needed_to_post("customer", raw.customer, at);
        needed_to_post("warehouse", raw.warehouse, at);
    }
    let words = [("on_hand", Some(Measure::OnHand)), ("free", Some(Measure::Free)), ("none", None)];
    let counts = at.choice("counts", raw.counts, Some(Measure::OnHand), &words);
    if counts.is_none() && !(posts.sales || posts.shipments || posts.returns) {
        at.problem_fix(
            "does nothing: it tells no counts and takes no postings",
            "set `counts` to `on_hand` or `free`, or one of `posts` to `true`",
        );
    }
    let locations = locations(raw.locations, &at.key("locations"), names);
    let levels = Schedule::Every(LEVELS_EVERY);
    let levels =
        at.schedule(["levels_every", "levels_cron"], (raw.levels_every, raw.levels_cron), levels);
    let sweep = Schedule::Every(SWEEP_EVERY);
    let tryton = Tryton {
        base_url: base_url?,
        database: database?,
        key: key?,
        company: company?,
        customer: at.record("customer", raw.customer),
        warehouse: at.record("warehouse", raw.warehouse),
        locations: locations?,
        counts,
        posts,
        levels: Feed {
            schedule: levels,
            overlap: overlap("levels_overlap", raw.levels_overlap, at, LEVELS_OVERLAP),
        },
        sweep: at.schedule(["sweep_every", "sweep_cron"], (raw.sweep_every, raw.sweep_cron), sweep),
        timeouts: channels::timeouts(raw.connect_timeout, raw.timeout, at),
        assume: channels::assume(raw.assume, &at.key("assume")),
    };
    Some(tryton)
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

fn needed_to_post(key: &str, value: Option<i64>, at: &Scope<'_>) {
    if value.is_none() {
        let fix = format!("give its record id, for example `{key} = 3`, or set `posts.sales` to `false`");
        at.key(key).problem_fix("is missing: sales cannot be posted without it", fix);
    }
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

fn locations(
    list: Vec<raw::TrytonLocation>,
    at: &Scope<'_>,
    names: &Names,
) -> Option<Vec<TrytonLocation>> {
    let count = list.len();
    if list.is_empty() {
        let example = "locations = [{ location = \"warehouse\", id = 4 }]";
        at.problem_fix("is missing", format!("say which stock location is ours, for example `{example}`"));
    }
    let mut locations: Vec<TrytonLocation> = Vec::new();
    for (index, raw) in list.into_iter().enumerate() {
        let at = at.index(index);
        let name = at.required("location", raw.location, "\"warehouse\"");
        let location = name.and_then(|name| names.location(&name, &at.key("location")));
        let id = at.required("id", raw.id, "4");
        let (Some(location), Some(id)) = (location, at.record("id", id)) else { continue };
        if locations.iter().any(|other| other.location == location) {
            at.key("location").problem(format!("`{location}` is given twice"));
        } else if locations.iter().any(|other| other.id == id) {
            at.key("id").problem(format!("`{id}` stands for two of our locations"));
        }
        locations.push(TrytonLocation { location, id });
    }
    // With one missing, the indexes of the others would not be those of the file.
    (locations.len() == count).then_some(locations)
}
