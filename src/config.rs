//! The configuration: one TOML file, single values replaced by the environment, secrets fetched from elsewhere.
//!
//! Owns which keys exist, what they may be and what they are when left out; tells every problem of a file at
//! once, each with its key, its line and what to do. Knows nothing of the connectors and clients that are built
//! from it, and asks no network.
//!
//! The way of a file: [`document`] reads the text against the shape of [`raw`], [`overlay`] merges the
//! environment into what fits, [`check`] turns the result into a [`Config`]. [`Secrets::load`] is a separate step.

mod change;
mod check;
mod document;
mod overlay;
mod problem;
mod raw;
mod schedule;
mod scope;
mod secret;
mod settings;
mod shape;
mod span;

#[cfg(test)]
mod tests;

use std::{fs, path::Path};

pub use overlay::Env;
pub use problem::{Place, Problem, Problems, Snippet};
pub use schedule::Schedule;
pub use secret::{AmazonSecrets, SecretRef, SecretSource, Secrets, ShopifySecrets, TrytonSecrets};
pub use settings::{
    AlertTarget, Alerts, Amazon, Assume, Config, Feed, Log, LogFormat, Rate, Rates, Retention, RoomLimits,
    Selling, Shopify, Socket, StopAt, Store, Timeouts, Tryton, Web,
};

use crate::config::{document::Document, overlay::Overlay, problem::KeyPath, scope::Findings, shape::Shape};

/// A complete file with every key, its default and what it means.
pub const EXAMPLE: &str = include_str!("../config/evenkeel.toml");

/// Where the file is looked for if nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/evenkeel/evenkeel.toml";

/// Returns the variables of this process. A value that is not UTF-8 is kept as far as it is.
pub fn process_env() -> Env {
    let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

impl Config {
    /// Reads, merges and checks the file at `path`.
    pub fn load(path: &Path, env: &Env) -> Result<Config, Problems> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(|why| unreadable(&name, &why))?;
        Config::parse(&name, &text, env)
    }

    /// Merges and checks the text of a file. `name` is what the problems call it.
    pub fn parse(name: &str, text: &str, env: &Env) -> Result<Config, Problems> {
        let shape = Shape::of::<raw::File>();
        let mut document = Document::read(name, text, &shape);
        let overlay = Overlay::read(env, &shape);
        let mut problems = std::mem::take(&mut document.problems);
        problems.extend(overlay.problems.iter().cloned());
        if !document.parsed {
            return Err(Problems::new(problems));
        }
        let file = match overlay.merge(&document.values) {
            Ok(file) => file,
            Err(why) => {
                problems.push(document.problem(&KeyPath::default(), why.to_string(), None));
                return Err(Problems::new(problems));
            }
        };
        let locate = |key: &KeyPath| match overlay.variable(key) {
            Some(variable) => (variable.to_owned(), None),
            None => (name.to_owned(), document.locate(key)),
        };
        let findings = Findings::new(&document.spoilt, &locate);
        let config = check::check(file, &findings.root());
        problems.extend(findings.into_list().into_iter().map(|found| match overlay.variable(&found.key) {
            Some(variable) => overlay::problem(variable, &found.key, found.message, found.fix),
            None => document.problem(&found.key, found.message, found.fix),
        }));
        if problems.is_empty() { Ok(config) } else { Err(Problems::new(problems)) }
    }
}

fn unreadable(name: &str, why: &std::io::Error) -> Problems {
    Problems::new(vec![Problem {
        origin: name.to_owned(),
        place: None,
        key: String::new(),
        message: format!("cannot be read: {why}"),
        fix: Some(format!("give its path, or put it at `{DEFAULT_PATH}`")),
        snippet: None,
    }])
}
