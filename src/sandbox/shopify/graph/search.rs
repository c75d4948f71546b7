//! Shopify's search syntax, as far as the sandbox's lists need it: `field:value` terms with `>=`, `>`, `<=`, `<`, joined
//! by AND (or nothing) and OR, negated by NOT or `-`, grouped by parentheses. A field that a list does not know filters
//! nothing and gives a warning, as it does there.

use std::cmp::Ordering;

use serde_json::{Value, json};

use crate::sandbox::clock::parse_iso;

/// What a list knows about one of its rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fact {
    Text(String),
    Number(i64),
    /// Milliseconds, compared by whole seconds.
    Time(i64),
}

#[derive(Debug, PartialEq)]
pub(super) enum Filter {
    All(Vec<Filter>),
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Term {
        field: String,
        order: Comparison,
        value: String,
    },
    /// A word without a field.
    Word(String),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Comparison {
    Is,
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Reads a query; an empty one lets everything through.
pub(super) fn parse(query: &str) -> Filter {
    let tokens = tokens(query);
    let mut rest = tokens.as_slice();
    any(&mut rest)
}

/// Warnings for the fields that a list does not know.
pub(super) fn warnings(filter: &Filter, known: &[&str], path: &str, query: &str) -> Option<Value> {
    let mut unknown = Vec::new();
    filter.each_field(&mut |field| {
        if !known.contains(&field) {
            unknown.push(json!({
                "field": field,
                "message": "Invalid search field for this query.",
                "code": "invalid_field",
            }));
        }
    });
    (!unknown.is_empty()).then(|| json!({"path": [path], "query": query, "parsed": {}, "warnings": unknown}))
}

impl Filter {
    /// `fact` gives what the row has under a field, or nothing when the list does not know the field.
    pub(super) fn matches(&self, fact: &dyn Fn(&str) -> Option<Fact>) -> bool {
        match self {
            Filter::All(parts) => parts.iter().all(|part| part.matches(fact)),
            Filter::Any(parts) => parts.is_empty() || parts.iter().any(|part| part.matches(fact)),
            Filter::Not(part) => !part.matches(fact),
            Filter::Term { field, order, value } => {
                fact(field).is_none_or(|fact| fact.compares(*order, value))
            }
            Filter::Word(word) => fact("").is_none_or(|fact| fact.compares(Comparison::Is, word)),
        }
    }

    /// The earliest whole second that `field` must reach, if every match must.
    pub(super) fn lower_bound(&self, field: &str) -> Option<i64> {
        match self {
            Filter::All(parts) => parts.iter().filter_map(|part| part.lower_bound(field)).max(),
            Filter::Any(parts) if parts.len() == 1 => parts[0].lower_bound(field),
            Filter::Term { field: own, order, value } if own == field => {
                matches!(order, Comparison::AtLeast | Comparison::Above | Comparison::Is)
                    .then(|| parse_iso(value).map(|ms| ms / 1000))
                    .flatten()
            }
            Filter::Any(_) | Filter::Not(_) | Filter::Term { .. } | Filter::Word(_) => None,
        }
    }

    fn each_field(&self, visit: &mut dyn FnMut(&str)) {
        match self {
            Filter::All(parts) | Filter::Any(parts) => parts.iter().for_each(|part| part.each_field(visit)),
            Filter::Not(part) => part.each_field(visit),
            Filter::Term { field, .. } => visit(field),
            Filter::Word(_) => {}
        }
    }
}

impl Fact {
    fn compares(&self, comparison: Comparison, value: &str) -> bool {
        let order = match self {
            Fact::Text(text) => {
                let (text, value) = (text.to_lowercase(), value.to_lowercase());
                match value.strip_suffix('*') {
                    Some(prefix) => return text.starts_with(prefix),
                    None => text.cmp(&value),
                }
            }
            Fact::Number(number) => match value.rsplit('/').next().and_then(|digits| digits.parse().ok()) {
                Some(value) => number.cmp(&value),
                None => return false,
            },
            Fact::Time(ms) => match parse_iso(value) {
                Some(value) => (ms / 1000).cmp(&(value / 1000)),
                None => return false,
            },
        };
        match comparison {
            Comparison::Is => order == Ordering::Equal,
            Comparison::Above => order == Ordering::Greater,
            Comparison::AtLeast => order != Ordering::Less,
            Comparison::Below => order == Ordering::Less,
            Comparison::AtMost => order != Ordering::Greater,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Term(String, Comparison, String),
    Word(String),
}

fn any(rest: &mut &[Token]) -> Filter {
    let mut parts = vec![all(rest)];
    while let Some((Token::Or, tail)) = rest.split_first() {
        *rest = tail;
        parts.push(all(rest));
    }
    Filter::Any(parts)
}

fn all(rest: &mut &[Token]) -> Filter {
    let mut parts = Vec::new();
    while let Some((first, tail)) = rest.split_first() {
        match first {
            Token::Or | Token::Close => break,
            Token::And => *rest = tail,
            Token::Not | Token::Open | Token::Term(..) | Token::Word(_) => parts.push(one(rest)),
        }
    }
    Filter::All(parts)
}

fn one(rest: &mut &[Token]) -> Filter {
    let Some((first, tail)) = rest.split_first() else { return Filter::All(Vec::new()) };
    *rest = tail;
    match first {
        Token::Not => Filter::Not(Box::new(one(rest))),
        Token::Open => {
            let inner = any(rest);
            if let Some((Token::Close, tail)) = rest.split_first() {
                *rest = tail;
            }
            inner
        }
        Token::Term(field, order, value) => {
            Filter::Term { field: field.clone(), order: *order, value: value.clone() }
        }
        Token::Word(word) => Filter::Word(word.clone()),
        Token::And | Token::Or | Token::Close => Filter::All(Vec::new()),
    }
}

fn tokens(query: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        if first == '(' || first == ')' {
            tokens.push(if first == '(' { Token::Open } else { Token::Close });
            rest = rest[1..].trim_start();
            continue;
        }
        if let Some(tail) = rest.strip_prefix('-') {
            tokens.push(Token::Not);
            rest = tail;
            continue;
        }
        let (token, tail) = term(rest);
        tokens.push(token);
        rest = tail.trim_start();
    }
    tokens
}

/// Reads one term or word from the start of `text`.
fn term(text: &str) -> (Token, &str) {
    let end =
        text.find(|c: char| c.is_whitespace() || c == ')' || c == '(' || c == ':').unwrap_or(text.len());
    if !text[end..].starts_with(':') || end == 0 {
        let (word, tail) = value(text);
        let token = match word.as_str() {
            "AND" => Token::And,
            "OR" => Token::Or,
            "NOT" => Token::Not,
            _ => Token::Word(word),
        };
        return (token, tail);
    }
    let field = text[..end].to_owned();
    let mut rest = text[end + 1..].trim_start();
    let mut order = Comparison::Is;
    let signs = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        (">", Comparison::Above),
        ("<", Comparison::Below),
    ];
    for (sign, comparison) in signs {
        if let Some(tail) = rest.strip_prefix(sign) {
            (rest, order) = (tail.trim_start(), comparison);
            break;
        }
    }
    let (value, tail) = value(rest);
    (Token::Term(field, order, value), tail)
}

/// Reads a value, quoted or up to the next space or parenthesis; `\` takes the next character as it is.
fn value(text: &str) -> (String, &str) {
    let quote = text.chars().next().filter(|c| *c == '\'' || *c == '"');
    let mut value = String::new();
    let mut chars = text.char_indices();
    if quote.is_some() {
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        let ends = match quote {
            Some(quote) => c == quote,
            None => c.is_whitespace() || c == ')' || c == '(',
        };
        if ends {
            let tail = if quote.is_some() { &text[at + c.len_utf8()..] } else { &text[at..] };
            return (value, tail);
        }
        if c == '\\' {
            value.extend(chars.next().map(|(_, c)| c));
        } else {
            value.push(c);
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(query: &str, expected: bool) {
        let fact = |field: &str| match field {
            "updated_at" => parse_iso("2026-06-25T01:33:55.400Z").map(Fact::Time),
            "sku" => Some(Fact::Text("MUG WHITE 1".into())),
            "id" => Some(Fact::Number(42)),
            _ => None,
        };
        assert_eq!(parse(query).matches(&fact), expected, "{query}");
    }

    #[test]
    fn rows_are_found_by_time_number_and_text() {
        check("", true);
        check("updated_at:>=2026-06-25T01:33:55Z", true);
        check("updated_at:>='2026-06-25T01:33:55Z'", true);
        check("updated_at:>\"2026-06-25T01:33:55Z\"", false);
        check("updated_at:>2026-06-25T01:33:54.900Z", true);
        check("updated_at:<2026-06-25", false);
        check("id:42", true);
        check("id:gid://shopify/Order/42", true);
        check("id:>42", false);
        check("sku:'mug white 1'", true);
        check("sku:MUG*", true);
        check("sku:mug", false);
        check(r"sku:MUG\ WHITE\ 1", true);
    }

    #[test]
    fn terms_are_joined_negated_and_grouped() {
        check("id:42 sku:mug", false);
        check("id:42 AND updated_at:>=2026-01-01", true);
        check("id:1 OR id:42", true);
        check("id:1 OR id:42 sku:none", false);
        check("(id:1 OR id:42) NOT sku:none", true);
        check("-id:42", false);
        check("colour:red", true);
    }

    #[test]
    fn unknown_fields_give_a_warning() {
        let filter = parse("colour:red id:1");
        let warning = warnings(&filter, &["id"], "orders", "colour:red id:1").expect("one unknown field");
        assert_eq!(warning["warnings"][0]["field"], "colour");
        assert!(warnings(&parse("id:1"), &["id"], "orders", "id:1").is_none());
    }

    #[test]
    fn a_lower_bound_is_what_every_match_must_reach() {
        let bound = |query| parse(query).lower_bound("updated_at");
        assert_eq!(bound("updated_at:>=1970-01-01T00:01:00Z id:3"), Some(60));
        assert_eq!(bound("updated_at:<=1970-01-01T00:01:00Z"), None);
        assert_eq!(bound("updated_at:>=1970-01-01T00:01:00Z OR id:3"), None);
    }
}
