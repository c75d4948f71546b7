//! JSON that is changed as JSON: it stays well formed, and nearly what it was.

use serde_json::{Map, Value, json};

use super::Drawn;

/// Deeper than serde_json reads.
const DEEP: usize = 150;

/// Changes a sample, up to five times.
pub(super) fn changed(drawn: &mut Drawn<'_>, samples: &[Value]) -> Value {
    let mut value = drawn.pick(samples).clone();
    for _ in 0..drawn.below(6) {
        let donor = drawn.pick(samples).clone();
        let path = path(drawn, &value);
        let Some(node) = value.pointer_mut(&path) else { continue };
        change(drawn, node, &donor);
    }
    value
}

fn change(drawn: &mut Drawn<'_>, node: &mut Value, donor: &Value) {
    match drawn.below(8) {
        0 => *node = odd(drawn),
        1 => *node = donor.pointer(&path(drawn, donor)).cloned().unwrap_or_default(),
        2 => {
            let depth = [1, 3, DEEP][drawn.below(3)];
            for _ in 0..depth {
                *node = json!([node.take()]);
            }
        }
        _ => match node {
            Value::Object(map) => change_object(drawn, map, donor),
            Value::Array(items) => change_array(drawn, items),
            Value::String(text) => *node = change_text(drawn, text),
            Value::Number(number) => *node = change_number(drawn, number),
            Value::Null | Value::Bool(_) => *node = odd(drawn),
        },
    }
}

fn change_object(drawn: &mut Drawn<'_>, map: &mut Map<String, Value>, donor: &Value) {
    let keys: Vec<String> = map.keys().cloned().collect();
    let Some(key) = keys.get(drawn.below(keys.len())) else { return };
    let taken = map.remove(key);
    let other = donor.as_object().and_then(|donor| donor.keys().nth(drawn.below(donor.len())).cloned());
    match drawn.below(3) {
        0 => {}
        1 => drop(map.insert(other.unwrap_or_else(|| "x".to_owned()), taken.unwrap_or_default())),
        _ => drop(map.insert(key.clone(), odd(drawn))),
    }
}

fn change_array(drawn: &mut Drawn<'_>, items: &mut Vec<Value>) {
    let at = drawn.below(items.len());
    let Some(item) = items.get(at).cloned() else { return items.push(odd(drawn)) };
    match drawn.below(4) {
        0 => drop(items.remove(at)),
        1 => items.truncate(at),
        2 => items.extend(std::iter::repeat_n(item, [1, 2, 300][drawn.below(3)])),
        _ => items.reverse(),
    }
}

fn change_text(drawn: &mut Drawn<'_>, text: &str) -> Value {
    let cut = text.char_indices().map(|(at, _)| at).nth(drawn.below(text.chars().count())).unwrap_or(0);
    match drawn.below(6) {
        0 => json!(text[..cut]),
        1 => json!(format!("{}9{}", &text[..cut], &text[cut..])),
        2 => json!(format!("{}\u{0}{}", &text[..cut], &text[cut..])),
        3 => json!(text.to_uppercase()),
        4 => json!(format!("{text} ")),
        _ => text.parse::<i64>().map_or(json!(text.repeat(40)), |number| json!(number)),
    }
}

fn change_number(drawn: &mut Drawn<'_>, number: &serde_json::Number) -> Value {
    let whole = number.as_i64().unwrap_or(i64::MAX);
    match drawn.below(6) {
        0 => json!(whole.saturating_add(1)),
        1 => json!(whole.saturating_sub(1)),
        2 => json!(whole.saturating_neg()),
        3 => json!(number.to_string()),
        4 => json!(number.as_f64().unwrap_or(0.0) + 0.5),
        _ => odd(drawn),
    }
}

/// What is seldom right.
fn odd(drawn: &mut Drawn<'_>) -> Value {
    match drawn.below(20) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(i64::MAX),
        5 => json!(i64::MIN),
        6 => json!(u64::MAX),
        7 => json!(1e308),
        8 => json!(0.1),
        9 => json!(""),
        10 => json!(" "),
        11 => json!("\u{0}"),
        12 => json!("\u{202e}ä".repeat(120)),
        13 => json!("9".repeat(40)),
        14 => json!([]),
        15 => json!({}),
        16 => json!("2026-13-40T25:61:61Z"),
        17 => json!("-262143-01-01T00:00:00Z"),
        18 => json!("gid://shopify/Order/18446744073709551616"),
        _ => json!("x".repeat(70_000)),
    }
}

/// Draws a node and returns the pointer to it.
fn path(drawn: &mut Drawn<'_>, value: &Value) -> String {
    let mut path = String::new();
    let mut at = value;
    // Going down three steps out of four, all depths are met.
    while drawn.below(4) > 0 {
        let (step, next) = match at {
            Value::Object(map) if !map.is_empty() => {
                let (key, next) = map.iter().nth(drawn.below(map.len())).expect("it is below its length");
                (key.replace('~', "~0").replace('/', "~1"), next)
            }
            Value::Array(items) if !items.is_empty() => {
                let n = drawn.below(items.len());
                (n.to_string(), &items[n])
            }
            Value::Object(_) | Value::Array(_) => break,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => break,
        };
        path = format!("{path}/{step}");
        at = next;
    }
    path
}
