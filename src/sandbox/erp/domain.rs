//! Search domains: nested lists of `[field, operator, value]`, where a list that starts with `"OR"` is met by any of its
//! parts and any other by all. Fields may be paths through relations; through a list, one record suffices.

use std::cmp::Ordering;

use serde_json::Value;

use super::db::{Database, Id};
use super::read::{Cell, Scope};
use super::{Failure, schema};

impl Database {
    /// Whether a record meets a domain.
    pub(super) fn meets(
        &self,
        model: &'static str,
        id: Id,
        domain: &Value,
        scope: &Scope,
    ) -> Result<bool, Failure> {
        let parts = domain.as_array().ok_or_else(|| Failure::Internal("the domain is not a list".into()))?;
        let (parts, any) = match parts.first().and_then(Value::as_str) {
            Some("OR") => (&parts[1..], true),
            Some("AND") => (&parts[1..], false),
            Some(_) => return self.clause(model, id, parts, scope),
            None => (&parts[..], false),
        };
        if any && parts.is_empty() {
            return Ok(true);
        }
        for part in parts {
            if self.meets(model, id, part, scope)? == any {
                return Ok(any);
            }
        }
        Ok(!any)
    }

    fn clause(&self, model: &'static str, id: Id, clause: &[Value], scope: &Scope) -> Result<bool, Failure> {
        let (Some(field), Some(operator), Some(operand)) =
            (clause.first().and_then(Value::as_str), clause.get(1).and_then(Value::as_str), clause.get(2))
        else {
            return Err(Failure::Internal("a clause needs a field, an operator and a value".into()));
        };
        let (name, rest) = match field.split_once('.') {
            Some((name, rest)) => (name, Some(rest)),
            None => (field, None),
        };
        let cell = self.cell(model, id, name, scope)?;
        if let Some(rest) = rest {
            let mut inner = clause.to_vec();
            inner[0] = Value::from(rest);
            return match cell {
                Cell::One(Some((target, id))) => self.clause(target, id, &inner, scope),
                Cell::Many(target, ids) => {
                    for id in ids {
                        if self.clause(target, id, &inner, scope)? {
                            return Ok(true);
                        }
                    }
                    Ok(false)
                }
                Cell::One(None) => Ok(false),
                Cell::Plain(_) => Err(Failure::Internal(format!("'{name}' has no fields"))),
            };
        }
        self.compare(&cell, operator, operand)
    }

    fn compare(&self, cell: &Cell, operator: &str, operand: &Value) -> Result<bool, Failure> {
        let value = match cell {
            Cell::Plain(value) => value.clone(),
            Cell::One(target) => target.map_or(Value::Null, |(_, id)| Value::from(id)),
            Cell::Many(_, ids) => {
                let wanted = |id: &Id| operand == &Value::from(*id) || contains(operand, &Value::from(*id));
                return match operator {
                    "=" if operand.is_null() => Ok(ids.is_empty()),
                    "!=" if operand.is_null() => Ok(!ids.is_empty()),
                    "=" | "in" => Ok(ids.iter().any(wanted)),
                    "!=" | "not in" => Ok(!ids.iter().any(wanted)),
                    _ => Err(unknown(operator)),
                };
            }
        };
        // A column that is null meets no comparison; `!=` and `not in` let it through.
        match operator {
            "=" => Ok(equal(&value, operand)),
            "!=" => Ok(!equal(&value, operand)),
            "in" => Ok(contains(operand, &value)),
            "not in" => Ok(!contains(operand, &value)),
            ">" => Ok(order(&value, operand) == Some(Ordering::Greater)),
            "<" => Ok(order(&value, operand) == Some(Ordering::Less)),
            ">=" => Ok(matches!(order(&value, operand), Some(Ordering::Greater | Ordering::Equal))),
            "<=" => Ok(matches!(order(&value, operand), Some(Ordering::Less | Ordering::Equal))),
            "like" | "ilike" => Ok(value.as_str().is_some_and(|text| like(text, operand))),
            "not like" | "not ilike" => Ok(!value.as_str().is_some_and(|text| like(text, operand))),
            "child_of" | "not child_of" => {
                let Cell::One(target) = cell else { return Err(unknown(operator)) };
                let roots: Vec<Id> =
                    operand.as_array().into_iter().flatten().filter_map(Value::as_i64).collect();
                let below = self.with_children(&roots);
                let inside = target.is_some_and(|(_, id)| below.contains(&id));
                Ok(inside == (operator == "child_of"))
            }
            _ => Err(unknown(operator)),
        }
    }

    /// The ids that a search finds, in its order.
    pub(super) fn search(
        &self,
        model: &'static str,
        domain: &Value,
        sort: Option<&Value>,
        scope: &Scope,
    ) -> Result<Vec<Id>, Failure> {
        let archives = schema::model(model).is_some_and(|model| model.field("active").is_some());
        let archived = |id: Id| archives && self.value(model, id, "active") == &Value::Bool(false);
        let mut found = Vec::new();
        for id in self.ids(model) {
            if !archived(id) && self.meets(model, id, domain, scope)? {
                found.push(id);
            }
        }
        let Some(keys) = sort.and_then(Value::as_array) else {
            if model == "stock.move" || model == "sale.sale" {
                found.reverse();
            }
            return Ok(found);
        };
        for key in keys.iter().rev() {
            let field = key[0].as_str().unwrap_or("id");
            let falling = key[1].as_str().is_some_and(|way| way.to_uppercase().starts_with("DESC"));
            let mut cells = Vec::with_capacity(found.len());
            for id in found {
                cells.push((self.cell(model, id, field, scope)?.wire(), id));
            }
            cells.sort_by(|(a, _), (b, _)| {
                let order = order(a, b).unwrap_or(Ordering::Equal);
                if falling { order.reverse() } else { order }
            });
            found = cells.into_iter().map(|(_, id)| id).collect();
        }
        Ok(found)
    }
}

fn unknown(operator: &str) -> Failure {
    Failure::Internal(format!("the operator '{operator}' is not known here"))
}

fn contains(list: &Value, value: &Value) -> bool {
    list.as_array().is_some_and(|list| list.iter().any(|entry| equal(entry, value)))
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a.is_null(), b.is_null()) {
        (true, true) => true,
        (false, false) => order(a, b) == Some(Ordering::Equal),
        (_, _) => false,
    }
}

/// Compares two values of the wire; null and unlike kinds do not compare.
fn order(a: &Value, b: &Value) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a.partial_cmp(&b);
    }
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return Some(a.cmp(b));
    }
    if let (Some(a), Some(b)) = (a.as_bool(), b.as_bool()) {
        return Some(a.cmp(&b));
    }
    Some(instant(a)?.cmp(&instant(b)?))
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.get("decimal").and_then(Value::as_str).and_then(|text| text.parse().ok()))
}

/// A date or a time in parts, from the year down.
fn instant(value: &Value) -> Option<[i64; 7]> {
    value.get("year")?;
    let part = |name: &str| value.get(name).and_then(Value::as_i64).unwrap_or(0);
    Some(["year", "month", "day", "hour", "minute", "second", "microsecond"].map(part))
}

/// SQLite's LIKE: `%` any run, `_` any one, `\` takes the next as it is; without regard to ASCII case.
fn like(text: &str, pattern: &Value) -> bool {
    let Some(pattern) = pattern.as_str() else { return false };
    let text: Vec<char> = text.chars().map(|c| c.to_ascii_lowercase()).collect();
    let pattern: Vec<char> = pattern.chars().map(|c| c.to_ascii_lowercase()).collect();
    like_chars(&text, &pattern)
}

fn like_chars(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|skip| like_chars(&text[skip..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like_chars(&text[1..], rest),
        ['\\', c, rest @ ..] | [c, rest @ ..] => text.first() == Some(c) && like_chars(&text[1..], rest),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn like_has_wildcards_escapes_and_no_case() {
        let check = |text, pattern, expected| assert_eq!(like(text, &json!(pattern)), expected, "{pattern}");
        check("evk:2:1", "EVK:2:%", true);
        check("evk:2:1", "evk:_:1", true);
        check("evk_2", r"evk\_2", true);
        check("evkx2", r"evk\_2", false);
        check("50%", r"50\%", true);
        check("500", r"50\%", false);
        check("größe/1", "größe/%", true);
        check("", "%", true);
    }

    #[test]
    fn wire_values_compare_by_their_kind() {
        let time = |micro: i64| {
            json!({"__class__": "datetime", "year": 2026, "month": 11, "day": 23, "hour": 1, "minute": 2,
                   "second": 3, "microsecond": micro})
        };
        assert_eq!(order(&time(5), &time(4)), Some(Ordering::Greater));
        assert_eq!(
            order(&json!({"__class__": "Decimal", "decimal": "10.50"}), &json!(10.5)),
            Some(Ordering::Equal)
        );
        assert_eq!(order(&json!(null), &time(4)), None);
        assert_eq!(order(&json!("a"), &json!(1)), None);
    }
}
