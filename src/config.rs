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

use std::{fs, io::ErrorKind, path::Path};

pub use overlay::Env;
pub use problem::{Place, Problem, Problems, Snippet};
pub use schedule::Schedule;
pub use secret::{AmazonSecrets, SecretRef, SecretSource, Secrets, ShopifySecrets, TrytonSecrets};
pub use settings::{
    Access, AlertTarget, Alerts, Amazon, Assume, Config, Feed, Log, LogFormat, MemoryLimits, Queue, Rate,
    Rates, Retention, RoomLimits, Selling, Shopify, Socket, StopAt, Store, Timeouts, Tryton, Web,
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
        let bytes = fs::read(path).map_err(|why| unreadable(&name, &why))?;
        let text = String::from_utf8(bytes).map_err(|why| no_text(&name, &why))?;
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
    let fix = if why.kind() == ErrorKind::IsADirectory {
        "give the path of the file in it".to_owned()
    } else if why.kind() == ErrorKind::PermissionDenied {
        "run this as root, or as a user who may read it".to_owned()
    } else {
        format!("give its path, or put it at `{DEFAULT_PATH}`")
    };
    whole(name, None, format!("cannot be read: {why}"), fix)
}

fn no_text(name: &str, why: &std::string::FromUtf8Error) -> Problems {
    let good = &why.as_bytes()[..why.utf8_error().valid_up_to()];
    let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
    let last = good.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    let column = String::from_utf8_lossy(last).chars().count() + 1;
    let fix = "save the file as UTF-8".to_owned();
    whole(name, Some(Place { line, column }), "this is not UTF-8 text".to_owned(), fix)
}

/// A problem of the file as a whole.
fn whole(name: &str, place: Option<Place>, message: String, fix: String) -> Problems {
    let origin = name.to_owned();
    Problems::new(vec![Problem { origin, place, key: String::new(), message, fix: Some(fix), snippet: None }])
}
