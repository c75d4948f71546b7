//! The example and the reference say what the code does.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::config::{
    raw,
    shape::{Shape, Table},
};

const REFERENCE: &str = include_str!("../../../docs/CONFIG.md");

#[test]
fn the_example_is_a_good_configuration() {
    if let Err(problems) = parse(EXAMPLE) {
        panic!("{problems}");
    }
}

#[test]
fn the_example_states_the_defaults() {
    assert_eq!(parse(MINIMAL).expect("minimal is good"), parse(EXAMPLE).expect("the example is good"));
}

/// Keys that stand for one another, so that only one of them can be open.
const ALTERNATIVES: [(&str, &str); 11] = [
    ("fba_cron", "fba_every"),
    ("cron", "every"),
    ("orders_cron", "orders_every"),
    ("reconcile_cron", "reconcile_every"),
    ("levels_cron", "levels_every"),
    ("sweep_cron", "sweep_every"),
    ("webhook_url", "webhook_secret"),
    ("base_url", "region"),
    ("lwa_url", "region"),
    ("client_id", "access_token"),
    ("client_secret", "access_token"),
];

#[test]
fn every_line_that_is_commented_out_is_good_once_it_is_opened() {
    let second = |key: &str| ALTERNATIVES.iter().any(|(second, _)| *second == key);
    let first = |key: &str| ALTERNATIVES.iter().any(|(_, first)| *first == key);
    for drop in [&second as &dyn Fn(&str) -> bool, &first] {
        let mut text = String::new();
        let mut amazon = false;
        for line in EXAMPLE.lines() {
            let opened = line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line);
            amazon = if opened.starts_with('[') { opened.contains(".amazon.") } else { amazon };
            let key = opened.split(" =").next().unwrap_or("");
            // Only for Amazon does an address stand in place of another key, and there a client in place of none.
            let dropped = drop(key)
                && if amazon {
                    !matches!(key, "client_id" | "client_secret")
                } else {
                    !matches!(key, "base_url" | "lwa_url")
                };
            text.push_str(if dropped { "" } else { opened });
            text.push('\n');
        }
        if let Err(problems) = parse(&text) {
            panic!("{problems:#}");
        }
    }
}

fn is_setting(rest: &str) -> bool {
    let key = rest.split(" = ").next().unwrap_or("");
    rest.starts_with("[[")
        || (rest.contains(" = ") && key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
}

#[test]
fn every_key_stands_in_the_example() {
    let mut words: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut section = String::new();
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line);
        if line.starts_with('[') {
            line.trim_matches(['[', ']']).clone_into(&mut section);
        }
        let code = line.split('#').next().unwrap_or("");
        let keys = code.split(" =").filter_map(|part| part.rsplit([' ', '{', ',']).next());
        words.entry(section.clone()).or_default().extend(keys.map(str::to_owned));
        // Secrets and other inline tables are explained by the lines around them.
        words.entry(section.clone()).or_default().extend(words_of(line));
    }
    let names = [("shopify", "main"), ("amazon", "us"), ("tryton", "erp")];
    for (section, keys) in tables() {
        if section == "secret" {
            continue;
        }
        let section = names.iter().fold(section, |section, (kind, name)| {
            section.replace(&format!("{kind}.<name>"), &format!("{kind}.{name}"))
        });
        let mut at = section.as_str();
        let found = loop {
            match (words.get(at), at.rsplit_once('.')) {
                (Some(found), _) => break found,
                (None, Some((around, _))) => at = around,
                (None, None) => panic!("the example has no `[{section}]`"),
            }
        };
        for key in keys {
            assert!(found.contains(key), "the example lacks `{key}` in `[{section}]`");
        }
    }
}

fn words_of(line: &str) -> impl Iterator<Item = String> {
    line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').map(str::to_owned)
}

#[test]
fn every_key_stands_in_the_reference_with_its_default() {
    let rows = reference();
    let example: toml::Table = EXAMPLE.parse().expect("the example is TOML");
    let mut count = 0;
    for (section, keys) in tables() {
        let found = rows.get(&section).unwrap_or_else(|| panic!("docs/CONFIG.md lacks `[{section}]`"));
        let documented: BTreeSet<&str> = found.keys().map(String::as_str).collect();
        let known: BTreeSet<&str> = keys.iter().copied().collect();
        assert_eq!(documented, known, "keys of `[{section}]` in docs/CONFIG.md");
        for (key, default) in found {
            let Some(value) = lookup(&example, &section, key) else { continue };
            if let Some(default) = default {
                assert_eq!(
                    *default,
                    value.to_string(),
                    "default of `{key}` in `[{section}]` in docs/CONFIG.md"
                );
                count += 1;
            }
        }
    }
    assert!(count > 50, "only {count} defaults were compared");
}

/// Reads the tables of the reference: by section and key, the default if one is given as code.
fn reference() -> BTreeMap<String, BTreeMap<String, Option<String>>> {
    let mut rows: BTreeMap<String, BTreeMap<String, Option<String>>> = BTreeMap::new();
    let mut section = None;
    for line in REFERENCE.lines() {
        if line.starts_with('#') {
            section = line.split('`').nth(1).map(|name| name.trim_matches(['[', ']']).to_owned());
            if line == "## Top level" {
                section = Some(String::new());
            }
            if line == "## Secrets" {
                section = Some("secret".to_owned());
            }
        }
        let (Some(section), Some(row)) = (&section, line.strip_prefix("| `")) else { continue };
        let cells: Vec<&str> = row.split(" | ").collect();
        let key = cells[0].trim_end_matches('`').to_owned();
        let default = cells.get(1).and_then(|cell| cell.strip_prefix('`')?.split('`').next());
        let known = rows.entry(section.clone()).or_default();
        assert!(known.insert(key.clone(), default.map(str::to_owned)).is_none(), "`{key}` twice");
    }
    rows
}

fn lookup<'t>(example: &'t toml::Table, section: &str, key: &str) -> Option<&'t toml::Value> {
    let mut at = example;
    for step in section.split('.').filter(|step| !step.is_empty()) {
        at = match step {
            "<name>" => at.values().next()?.as_table()?,
            step => at.get(step)?.as_table()?,
        };
    }
    at.get(key)
}

/// Returns the keys of every table, by the section that describes it.
fn tables() -> Vec<(String, Vec<&'static str>)> {
    let mut tables = Vec::new();
    collect("", &Shape::of::<raw::File>(), &mut tables);
    assert!(tables.len() > 20, "only {} tables were found", tables.len());
    tables
}

fn collect(section: &str, shape: &Shape, tables: &mut Vec<(String, Vec<&'static str>)>) {
    match shape {
        Shape::Table(table) => {
            let section = if table.name == "Secret" { "secret" } else { section };
            let keys = own_keys(table);
            if !keys.is_empty() && !tables.iter().any(|(known, _)| known == section) {
                tables.push((section.to_owned(), keys));
            }
            for (key, shape) in &table.fields {
                let dot = if section.is_empty() { "" } else { "." };
                collect(&format!("{section}{dot}{key}"), shape, tables);
            }
        }
        Shape::Named(each) => collect(&format!("{section}.<name>"), each, tables),
        Shape::List(each) => collect(section, each, tables),
        Shape::Text | Shape::Span | Shape::Whole | Shape::Number | Shape::Flag | Shape::TextOrWhole => {}
    }
}

/// Leaves out what is only the head of tables with a section of their own.
fn own_keys(table: &Table) -> Vec<&'static str> {
    let head = |shape: &Shape| match shape {
        Shape::Table(table) => table.name != "Secret",
        Shape::Named(_) => true,
        Shape::List(each) => matches!(&**each, Shape::Table(table) if table.name != "Secret"),
        Shape::Text | Shape::Span | Shape::Whole | Shape::Number | Shape::Flag | Shape::TextOrWhole => false,
    };
    table.fields.iter().filter(|(_, shape)| !head(shape)).map(|(key, _)| *key).collect()
}
