//! One SKU that spoils every request which names it. What is asked of a system is read here only as far as needed to tell
//! whether it names the SKU; the answer is the system's own, and never says which SKU it was.

use serde_json::Value;

use super::{System, Target};

/// What becomes of a request that names the SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Poison {
    /// Writes fail with a 5xx, and nothing is done.
    Fails,
    /// Writes are refused, and nothing is done.
    Refused,
    /// Writes are never answered, and nothing is done.
    Hangs,
    /// Reads fail with a 5xx.
    Reads,
}

impl Poison {
    pub(super) const ALL: [(Poison, &'static str); 4] = [
        (Poison::Fails, "poison"),
        (Poison::Refused, "poison-refused"),
        (Poison::Hangs, "poison-hangs"),
        (Poison::Reads, "poison-reads"),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Poison::Fails => "poison",
            Poison::Refused => "poison-refused",
            Poison::Hangs => "poison-hangs",
            Poison::Reads => "poison-reads",
        }
    }

    /// Tells whether it strikes a request of this sort.
    pub(in crate::sandbox) fn strikes(self, writes: bool) -> bool {
        match self {
            Poison::Fails | Poison::Refused | Poison::Hangs => writes,
            Poison::Reads => !writes,
        }
    }
}

/// What a request asks for, as far as poisons care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) struct Asked {
    pub(in crate::sandbox) writes: bool,
    /// It names the SKU.
    pub(in crate::sandbox) named: bool,
}

/// The poisoned SKUs.
#[derive(Debug, Clone, Default)]
pub(super) struct Poisons(Vec<(System, Poison, String)>);

impl Poisons {
    /// Poisons one SKU; without one, takes back all of the kind.
    pub(super) fn apply(&mut self, on: Target, poison: Poison, sku: Option<&str>) {
        for system in System::ALL.into_iter().filter(|system| on.covers(*system)) {
            match sku {
                None => self.0.retain(|(of, kind, _)| (*of, *kind) != (system, poison)),
                Some(sku) => {
                    let one = (system, poison, sku.to_owned());
                    if !self.0.contains(&one) {
                        self.0.push(one);
                    }
                }
            }
        }
    }

    pub(super) fn of(&self, system: System) -> impl Iterator<Item = (Poison, &str)> {
        self.0.iter().filter(move |(of, ..)| *of == system).map(|(_, poison, sku)| (*poison, sku.as_str()))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

/// Tells whether a value occurs anywhere in some JSON.
pub(in crate::sandbox) fn holds(json: &Value, is: &dyn Fn(Option<&str>, &Value) -> bool) -> bool {
    fn within(name: Option<&str>, json: &Value, is: &dyn Fn(Option<&str>, &Value) -> bool) -> bool {
        is(name, json)
            || match json {
                Value::Array(all) => all.iter().any(|one| within(name, one, is)),
                Value::Object(all) => all.iter().any(|(name, one)| within(Some(name), one, is)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
            }
    }
    within(None, json, is)
}
