//! The environment's say: `EVENKEEL__STORE__PATH` replaces `store.path`.
//!
//! Only single values can be replaced, never lists or tables. Names arrive in lower case, which is why nothing
//! in the file needs another.

use std::collections::BTreeMap;

use crate::config::{
    problem::{KeyPath, Problem, closest},
    raw,
    shape::Shape,
};

/// The variables of the process, or what a test gives.
pub type Env = BTreeMap<String, String>;

const PREFIX: &str = "EVENKEEL";
const SEPARATOR: &str = "__";

/// The variables that replace values, each known to fit the shape.
pub(super) struct Overlay {
    /// Which variable set which key.
    pub set_by: BTreeMap<KeyPath, String>,
    pub problems: Vec<Problem>,
    accepted: Env,
}

impl Overlay {
    pub(super) fn read(env: &Env, shape: &Shape) -> Overlay {
        let mut overlay = Overlay { set_by: BTreeMap::new(), problems: Vec::new(), accepted: Env::new() };
        for (name, value) in env {
            let Some(key) = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix(SEPARATOR)) else {
                continue;
            };
            let path = KeyPath::dotted(&key.to_lowercase().replace(SEPARATOR, "."));
            match fits(&key.to_lowercase(), value, shape) {
                Ok(()) => {
                    overlay.accepted.insert(name.clone(), value.clone());
                    overlay.set_by.insert(path, name.clone());
                }
                Err((message, fix)) => overlay.problems.push(problem(name, &path, message, fix)),
            }
        }
        overlay
    }

    /// Merges the file's values with the environment's and reads the result.
    pub(super) fn merge(&self, values: &toml::Table) -> Result<raw::File, MergeError> {
        let text = toml::to_string(values)?;
        let file = ::config::File::from_str(&text, ::config::FileFormat::Toml);
        let env = ::config::Environment::with_prefix(PREFIX)
            .separator(SEPARATOR)
            .source(Some(self.accepted.clone().into_iter().collect()));
        let merged = ::config::Config::builder().add_source(file).add_source(env).build()?;
        Ok(serde_path_to_error::deserialize(merged).map_err(Box::new)?)
    }

    /// Says whether the environment set this key or one around it.
    pub(super) fn variable(&self, path: &KeyPath) -> Option<&str> {
        self.set_by.get(path).map(String::as_str)
    }
}

/// Why values that fit the shape could not be merged.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeError {
    #[error("{0}")]
    Text(#[from] toml::ser::Error),
    #[error("{0}")]
    Build(#[from] ::config::ConfigError),
    #[error("{0}")]
    Read(#[from] Box<serde_path_to_error::Error<::config::ConfigError>>),
}

/// Makes a problem of a variable.
pub(super) fn problem(name: &str, path: &KeyPath, message: String, fix: Option<String>) -> Problem {
    Problem { origin: name.to_owned(), place: None, key: path.to_string(), message, fix, snippet: None }
}

type Misfit = (String, Option<String>);

fn fits(key: &str, value: &str, root: &Shape) -> Result<(), Misfit> {
    let mut shape = root;
    let mut hidden = false;
    for step in key.split(SEPARATOR) {
        hidden |= shape.is_secret();
        shape = match shape {
            Shape::Table(table) => table.get(step).ok_or_else(|| {
                let near = closest(step, table.keys());
                ("unknown key".to_owned(), near.map(|near| format!("did you mean `{near}`?")))
            })?,
            Shape::Named(each) => each,
            Shape::List(_) => return Err(("lists cannot be set from the environment".to_owned(), None)),
            Shape::Text | Shape::Span | Shape::Whole | Shape::Number | Shape::Flag | Shape::TextOrWhole => {
                return Err(("unknown key".to_owned(), None));
            }
        };
    }
    let good = match shape {
        Shape::Text | Shape::Span | Shape::TextOrWhole => true,
        Shape::Whole => value.parse::<i64>().is_ok(),
        Shape::Number => value.parse::<f64>().is_ok(),
        Shape::Flag => matches!(value, "true" | "false"),
        Shape::Table(_) if shape.is_secret() => {
            let message = "a secret is not given by this variable";
            let fix = format!("name a variable that holds it: `{PREFIX}__{}__ENV=NAME`", key.to_uppercase());
            return Err((message.to_owned(), Some(fix)));
        }
        Shape::Table(_) | Shape::Named(_) => {
            return Err(("tables cannot be set from the environment".to_owned(), None));
        }
        Shape::List(_) => return Err(("lists cannot be set from the environment".to_owned(), None)),
    };
    if good {
        return Ok(());
    }
    let found = if hidden { "something else".to_owned() } else { format!("`{}`", value.escape_debug()) };
    Err((format!("must be {}, is {found}", shape.wanted()), None))
}
