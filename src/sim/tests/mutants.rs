//! The list of mistakes that `scripts/mutants` makes on purpose must keep up with the code: a mutant whose text is gone proves
//! nothing.

use std::{collections::BTreeSet, path::Path};

use serde::Deserialize;

const LIST: &str = include_str!("../../../tests/data/mutants.toml");
/// The rules of the design's section 6 that there is code for. Of escrow and of sellers without a quota there is none yet.
const RULES: [&str; 12] = [
    "base",
    "settled",
    "unsettled writes",
    "late",
    "stale",
    "feed lag",
    "fence",
    "self-restock",
    "blind channels",
    "unknown start",
    "supersession",
    "deltas",
];
/// Rules of the design's section 4 that only a part of the shops has to do with.
const OTHERS: [&str; 2] = ["section 4: FBA", "section 4: several places"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    rule: String,
    file: String,
    old: String,
    new: String,
    what: String,
    search: Option<String>,
    survives: Option<String>,
}

fn mutants() -> Vec<Mutant> {
    toml::from_str::<List>(LIST).expect("the list is well formed").mutant
}

#[test]
fn every_mutant_still_applies() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = BTreeSet::new();
    for Mutant { name, file, old, new, what, search, survives, .. } in mutants() {
        let text = std::fs::read_to_string(root.join(&file)).expect("its file is there");
        assert_eq!(text.matches(&old).count(), 1, "{name}: `{old}` occurs once in {file}");
        assert_ne!(old, new, "{name} changes nothing");
        assert!(!what.is_empty() && what.ends_with('.'), "{name}: a sentence says what is broken");
        let search = search.unwrap_or_else(|| "simulate".to_owned());
        let known = ["simulate", "model", "test"].iter().any(|known| search.split(' ').next() == Some(known));
        assert!(known, "{name}: `{search}` is no search");
        assert!(survives.is_none_or(|why| !why.is_empty()), "{name}: it is said why it survives");
        let slug = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        assert!(slug, "`{name}` is words with hyphens");
        assert!(names.insert(name.clone()), "two are called {name}");
    }
}

#[test]
fn every_invariant_and_every_rule_of_exposure_has_a_mutant() {
    let invariants = (1..=12).map(|n| format!("I{n}"));
    let others = OTHERS.into_iter().map(str::to_owned);
    let wanted: BTreeSet<String> =
        invariants.chain(RULES.iter().map(|rule| format!("section 6: {rule}"))).chain(others).collect();
    let held: BTreeSet<String> =
        mutants().into_iter().map(|mutant| mutant.rule).filter(|rule| !rule.starts_with("store: ")).collect();
    assert_eq!(held, wanted);
}
