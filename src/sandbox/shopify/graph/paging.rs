//! Connections: forward paging with opaque cursors. A cursor holds the sort value and the row that were last seen, so a
//! row that moves behind it between two pages is met again, and one that moves before it is missed, as in the real API.

use apollo_compiler::resolvers::FieldError;
use apollo_compiler::response::{JsonMap, JsonValue};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::coded;
use super::nodes::Thing;

/// The most rows that one page may ask for.
const PAGE_MAX: i64 = 250;

/// Where a row stands in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) value: i64,
    pub(super) row: usize,
}

impl Place {
    pub(super) fn row(row: usize) -> Place {
        Place { value: 0, row }
    }

    pub(super) fn cursor(self) -> String {
        STANDARD.encode(json!({"last_id": self.row, "last_value": self.value}).to_string())
    }

    fn read(cursor: &str) -> Option<Place> {
        let json: serde_json::Value = serde_json::from_slice(&STANDARD.decode(cursor).ok()?).ok()?;
        let row = usize::try_from(json["last_id"].as_u64()?).ok()?;
        Some(Place { value: json["last_value"].as_i64()?, row })
    }
}

/// One page of a connection.
pub(super) struct Page {
    pub(super) rows: Vec<(Place, Thing)>,
    pub(super) has_next: bool,
    pub(super) has_previous: bool,
}

/// What was asked of a connection.
pub(super) struct Wanted<'a> {
    pub(super) size: usize,
    pub(super) after: Option<Place>,
    pub(super) query: &'a str,
    pub(super) reverse: bool,
}

impl<'a> Wanted<'a> {
    /// Reads the arguments of a list. `whole`: all of it is wanted where they do not say how much.
    pub(super) fn read(arguments: &'a JsonMap, whole: bool) -> Result<Wanted<'a>, FieldError> {
        let given = |name| arguments.get(name).filter(|value| !value.is_null());
        if given("last").is_some() || given("before").is_some() {
            return Err(coded("BAD_REQUEST", "the sandbox pages forward only: use `first` and `after`"));
        }
        let query = given("query").and_then(JsonValue::as_str).unwrap_or("");
        let reverse = given("reverse").and_then(JsonValue::as_bool).unwrap_or(false);
        let size = given("first").and_then(JsonValue::as_i64);
        if whole && size.is_none() {
            return Ok(Wanted { size: usize::MAX - 1, after: None, query, reverse });
        }
        let size = size.ok_or_else(|| coded("BAD_REQUEST", "you must provide one of first or last"))?;
        if !(0..=PAGE_MAX).contains(&size) {
            let message = format!("first must be between 0 and {PAGE_MAX}, is {size}");
            return Err(coded("BAD_REQUEST", message));
        }
        let after = match given("after").and_then(JsonValue::as_str) {
            Some(cursor) => Some(
                Place::read(cursor)
                    .ok_or_else(|| coded("BAD_REQUEST", "Invalid cursor for current pagination sort."))?,
            ),
            None => None,
        };
        Ok(Wanted { size: usize::try_from(size).unwrap_or(0), after, query, reverse })
    }

    /// Cuts the page out of the rows behind the cursor, which come in the list's order.
    pub(super) fn page(&self, rows: impl Iterator<Item = (Place, Thing)>) -> Page {
        let mut rows: Vec<(Place, Thing)> = rows.take(self.size + 1).collect();
        let has_next = rows.len() > self.size;
        rows.truncate(self.size);
        Page { rows, has_next, has_previous: self.after.is_some() }
    }

    /// Pages over a short list that has no filter.
    pub(super) fn page_of(&self, things: impl Iterator<Item = Thing>) -> Page {
        let from = self.after.map_or(0, |place| place.row + 1);
        let mut rows: Vec<(Place, Thing)> =
            things.enumerate().map(|(n, thing)| (Place::row(n), thing)).collect();
        if self.reverse {
            rows.reverse();
            return match self.after {
                Some(after) => self.page(rows.into_iter().filter(|(place, _)| place.row < after.row)),
                None => self.page(rows.into_iter()),
            };
        }
        self.page(rows.into_iter().skip(from))
    }
}
