//! The audit as one page of HTML, which needs nothing besides itself.

use askama::Template;

use crate::cli::{
    Failure,
    audit::{Asked, Audited, at, master, rules::Way},
    failure::Kind,
};

/// How high a box of the diagram is, and what lies between two.
const BOX: usize = 64;
const GAP: usize = 24;

#[derive(Template)]
#[template(path = "cli/audit/page.html", config = "src/askama.toml")]
struct Page<'a> {
    audited: &'a Audited,
    made: String,
    master: String,
    table: String,
    left: Vec<Drawn<'a>>,
    right: Vec<Drawn<'a>>,
    height: usize,
}

/// A channel in the diagram.
struct Drawn<'a> {
    way: &'a Way,
    y: usize,
    comes: String,
    goes: String,
}

pub(super) fn of(audited: &Audited) -> Result<String, Failure> {
    let (right, left): (Vec<&Way>, Vec<&Way>) = audited.flow.ways.iter().partition(|way| way.sells);
    let (left, right) = (drawn(left), drawn(right));
    let height = left.len().max(right.len()).max(1) * (BOX + GAP) + GAP;
    let (made, master, table) = (at(audited.at_ms), master(&audited.survey), audited.mapping.told());
    let page = Page { audited, made, master, table, left, right, height };
    page.render().map_err(|error| Failure::of(Kind::Failed, &error))
}

fn drawn(ways: Vec<&Way>) -> Vec<Drawn<'_>> {
    let each =
        |(n, way): (usize, &'_ Way)| (n * (BOX + GAP) + GAP, way.comes.join(", "), way.goes.join(", "));
    let all = ways.into_iter().enumerate();
    all.map(|(n, way)| {
        let (y, comes, goes) = each((n, way));
        Drawn { way, y, comes, goes }
    })
    .collect()
}

impl Asked {
    fn is_good(&self) -> bool {
        self.problems.is_empty() && self.unread.is_none()
    }
}
