//! The file's text: where every key stands, and which of its values fit the shape.
//!
//! Tells every broken line of the TOML, or, if there is none, every key and value that does not fit. Shows no
//! value that may be a secret.

use std::{collections::BTreeMap, ops::Range};

use toml::{
    Spanned,
    de::{DeArray, DeInteger, DeTable, DeValue},
};

use crate::config::{
    problem::{KeyPath, Place, Problem, Snippet, any_of, closest},
    shape::{Shape, Table},
};

/// A file that was read.
pub(super) struct Document<'t> {
    /// What the operator calls the file.
    name: &'t str,
    text: &'t str,
    spans: BTreeMap<KeyPath, Range<usize>>,
    secrets: Vec<KeyPath>,
    pub problems: Vec<Problem>,
    /// Keys that are complained of already, and missing from `values`.
    pub spoilt: Vec<KeyPath>,
    /// What fits the shape.
    pub values: toml::Table,
    /// Whether the whole text could be parsed.
    pub parsed: bool,
}

impl<'t> Document<'t> {
    pub(super) fn read(name: &'t str, text: &'t str, shape: &Shape) -> Document<'t> {
        let mut document = Document {
            name,
            text,
            spans: BTreeMap::new(),
            secrets: Vec::new(),
            problems: Vec::new(),
            spoilt: Vec::new(),
            values: toml::Table::new(),
            parsed: true,
        };
        let (root, errors) = DeTable::parse_recoverable(text);
        document.parsed = errors.is_empty();
        for error in errors {
            document.syntax(&error);
        }
        // What a broken line would have said is unknown, so nothing else can be judged.
        if let (Shape::Table(table), true) = (shape, document.parsed) {
            let mut walk = Walk { document, root: table };
            let values = walk.table(&KeyPath::default(), root.get_ref(), table);
            document = walk.document;
            document.values = values;
        }
        document
    }

    /// Makes a problem of a key that stands in the file, or should.
    pub(super) fn problem(&self, key: &KeyPath, message: String, fix: Option<String>) -> Problem {
        let (span, exact) = self.nearest(key);
        let hidden = self.secrets.iter().any(|secret| key.is_within(secret));
        Problem {
            origin: self.name.to_owned(),
            place: span.clone().map(|span| self.place(span.start)),
            key: key.to_string(),
            message,
            fix,
            snippet: span.filter(|_| exact && !hidden).map(|span| self.snippet(span)),
        }
    }

    /// Returns where the key stands, or else the nearest table around it.
    pub(super) fn locate(&self, key: &KeyPath) -> Option<Place> {
        self.nearest(key).0.map(|span| self.place(span.start))
    }

    fn nearest(&self, key: &KeyPath) -> (Option<Range<usize>>, bool) {
        let mut at = key.clone();
        loop {
            if let Some(span) = self.spans.get(&at) {
                return (Some(span.clone()), at == *key);
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return (None, false),
            }
        }
    }

    fn place(&self, offset: usize) -> Place {
        let before = &self.text[..self.text.floor_char_boundary(offset)];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        Place { line, column }
    }

    fn snippet(&self, span: Range<usize>) -> Snippet {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end).max(start);
        let line_start = self.text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let text = self.text[line_start..].lines().next().unwrap_or("").to_owned();
        let marked = self.text[start..end].lines().next().unwrap_or("");
        Snippet { text, width: marked.chars().count().max(1) }
    }

    /// Notes the first error of a line of the TOML itself; the others mostly follow from it. The line may hold a
    /// secret, so its values are masked.
    fn syntax(&mut self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let line = self.place(span.start).line;
        if self.problems.iter().any(|known| known.place.is_some_and(|place| place.line == line)) {
            return;
        }
        let mut snippet = self.snippet(span.clone());
        snippet.text = mask(&snippet.text);
        self.problems.push(Problem {
            origin: self.name.to_owned(),
            place: Some(self.place(span.start)),
            key: String::new(),
            message: format!("not TOML: {}", error.message().replace('\n', ", ")),
            fix: None,
            snippet: Some(snippet),
        });
    }
}

/// Replaces letters and digits of what may be a value, so that its quotes and brackets stay visible.
fn mask(line: &str) -> String {
    let key_end = if line.trim_start().starts_with('[') { line.len() } else { line.find('=').unwrap_or(0) };
    let hide = |c: char| if c.is_alphanumeric() { '·' } else { c };
    let (key, value) = line.split_at(key_end);
    key.chars().chain(value.chars().map(hide)).collect()
}

/// Goes through the file and the shape side by side.
struct Walk<'t, 's> {
    document: Document<'t>,
    root: &'s Table,
}

impl<'s> Walk<'_, 's> {
    fn table(&mut self, path: &KeyPath, table: &DeTable<'_>, shape: &'s Table) -> toml::Table {
        let mut values = toml::Table::new();
        for (key, value) in table.iter() {
            let name: &str = key.get_ref();
            let at = path.key(name);
            self.document.spans.insert(at.clone(), key.span());
            match shape.get(name) {
                Some(shape) => {
                    if let Some(value) = self.value(&at, value, shape) {
                        values.insert(name.to_owned(), value);
                    }
                }
                None => self.unknown(&at, name, shape),
            }
        }
        values
    }

    fn named(&mut self, path: &KeyPath, table: &DeTable<'_>, each: &'s Shape) -> toml::Table {
        let mut values = toml::Table::new();
        for (key, value) in table.iter() {
            let name: &str = key.get_ref();
            let at = path.key(name);
            self.document.spans.insert(at.clone(), key.span());
            if let Some(value) = self.value(&at, value, each) {
                values.insert(name.to_owned(), value);
            }
        }
        values
    }

    fn list(&mut self, path: &KeyPath, list: &DeArray<'_>, each: &'s Shape) -> Vec<toml::Value> {
        let mut values = Vec::new();
        for (index, value) in list.iter().enumerate() {
            let at = path.index(index);
            self.document.spans.insert(at.clone(), value.span());
            // A place is kept for what does not fit, so that the indexes of the others stay true.
            let kept = self.value(&at, value, each).or_else(|| empty(each));
            values.extend(kept);
        }
        values
    }

    fn value(
        &mut self,
        path: &KeyPath,
        value: &Spanned<DeValue<'_>>,
        shape: &'s Shape,
    ) -> Option<toml::Value> {
        if shape.is_secret() {
            self.document.secrets.push(path.clone());
        }
        match (shape, value.get_ref()) {
            (Shape::Table(shape), DeValue::Table(table)) => {
                return Some(self.table(path, table, shape).into());
            }
            (Shape::Named(each), DeValue::Table(table)) => return Some(self.named(path, table, each).into()),
            (Shape::List(each), DeValue::Array(list)) => return Some(self.list(path, list, each).into()),
            (Shape::Text | Shape::Span | Shape::TextOrWhole, DeValue::String(text)) => {
                return Some(text.as_ref().into());
            }
            (Shape::Whole | Shape::TextOrWhole, DeValue::Integer(number)) => {
                if let Some(number) = whole(number) {
                    return Some(number.into());
                }
            }
            (Shape::Number, DeValue::Integer(number)) => {
                if let Some(number) = whole(number) {
                    return Some(number.into());
                }
            }
            (Shape::Number, DeValue::Float(number)) => {
                if let Ok(number) = number.as_str().parse::<f64>() {
                    return Some(number.into());
                }
            }
            (Shape::Flag, DeValue::Boolean(flag)) => return Some((*flag).into()),
            (_, _) => {}
        }
        self.misfit(path, value, shape);
        None
    }

    fn misfit(&mut self, path: &KeyPath, value: &Spanned<DeValue<'_>>, shape: &Shape) {
        let inside_secret = self.document.secrets.iter().any(|secret| path.is_within(secret));
        let (message, fix) = if shape.is_secret() {
            let table = "`{ file = \"..\" }`, `{ credential = \"..\" }` or `{ env = \"..\" }`";
            let message =
                "a secret must not stand in the configuration, which is copied, logged and backed up";
            (message.to_owned(), Some(format!("say where it lies: {table}")))
        } else {
            let found =
                if inside_secret { kind(value.get_ref()).to_owned() } else { describe(value.get_ref()) };
            (format!("must be {}, is {found}", shape.wanted()), None)
        };
        self.complain(path, message, fix);
    }

    fn unknown(&mut self, path: &KeyPath, name: &str, table: &Table) {
        let fix = if let Some(near) = closest(name, table.keys()) {
            format!("did you mean `{near}`?")
        } else if self.root.get(name).is_some() {
            format!("`{name}` belongs to the top of the file, above the first `[table]`")
        } else {
            format!("known here: {}", any_of(table.keys()))
        };
        self.complain(path, "unknown key".to_owned(), Some(fix));
    }

    fn complain(&mut self, path: &KeyPath, message: String, fix: Option<String>) {
        let problem = self.document.problem(path, message, fix);
        self.document.problems.push(problem);
        self.document.spoilt.push(path.clone());
    }
}

/// Returns what stands in for a list's element that does not fit. Problems about it are not told again.
fn empty(shape: &Shape) -> Option<toml::Value> {
    match shape {
        Shape::Table(_) | Shape::Named(_) => Some(toml::Table::new().into()),
        Shape::List(_) => Some(Vec::<toml::Value>::new().into()),
        Shape::Text | Shape::Span | Shape::TextOrWhole => Some("".into()),
        Shape::Whole | Shape::Number | Shape::Flag => None,
    }
}

fn whole(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "`true` or `false`",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text `{}`", text.escape_debug()),
        DeValue::Integer(number) => format!("`{number}`"),
        DeValue::Float(number) => format!("`{number}`"),
        DeValue::Boolean(flag) => format!("`{flag}`"),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => kind(value).to_owned(),
    }
}
