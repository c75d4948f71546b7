//! Bulk operations: a query over all there is, written to a file while people go on buying.
//!
//! What is in the file is no picture of one moment: the first half of its rows is read when the operation begins, the second
//! when it ends. Objects below a row come as lines of their own with `__parentId`, after all rows, unless grouping is asked for.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use super::graph::{Documents, Seat};
use super::store::Store;
use crate::sandbox::world::World;

/// How many may run at once.
const AT_ONCE: usize = 5;

/// One bulk operation.
pub(super) struct Bulk {
    pub(super) query: String,
    pub(super) grouped: bool,
    pub(super) created_ms: i64,
    pub(super) done_ms: i64,
    /// What makes the file's address good.
    pub(super) signature: String,
    /// The rows that were read when it began, each with what lies below it.
    begun: Option<Vec<Row>>,
    pub(super) file: Option<Written>,
}

/// A file that is written.
pub(super) struct Written {
    pub(super) bytes: bytes::Bytes,
    pub(super) rows: usize,
    pub(super) objects: usize,
}

/// A row and the lines below it.
type Row = (String, Vec<String>);

impl Store {
    /// Begins an operation, unless too many run: then those are named.
    pub(super) fn begin_bulk(
        &mut self,
        query: &str,
        grouped: bool,
        now_ms: i64,
        takes_ms: u64,
        signature: String,
    ) -> Result<usize, Vec<usize>> {
        let runs = |(n, bulk): (usize, &Bulk)| bulk.file.is_none().then_some(n);
        let running: Vec<usize> = self.bulks.iter().enumerate().filter_map(runs).collect();
        if running.len() >= AT_ONCE {
            return Err(running);
        }
        self.bulks.push(Bulk {
            query: query.to_owned(),
            grouped,
            created_ms: now_ms,
            done_ms: now_ms.saturating_add_unsigned(takes_ms),
            signature,
            begun: None,
            file: None,
        });
        Ok(self.bulks.len() - 1)
    }
}

/// Reads and writes what is due of all operations.
pub(super) fn progress(documents: &Documents, world: &mut World, seat: &Seat<'_>, now_ms: i64) {
    for n in 0..world.shopify.bulks.len() {
        let bulk = &world.shopify.bulks[n];
        if bulk.file.is_some() {
            continue;
        }
        let (begins, ends) = (bulk.begun.is_none(), now_ms >= bulk.done_ms);
        if !begins && !ends {
            continue;
        }
        let (query, grouped) = (bulk.query.clone(), bulk.grouped);
        let rows =
            documents.run_bulk(&query, world, seat, now_ms).map(|data| rows_of(&data)).unwrap_or_default();
        let bulk = &mut world.shopify.bulks[n];
        if begins {
            bulk.begun = Some(rows.clone());
        }
        if ends {
            let begun = bulk.begun.take().unwrap_or_default();
            bulk.file = Some(write(&begun, &rows, grouped));
        }
    }
}

/// Puts the file together: the first half of the rows as they were, the second as they are.
fn write(begun: &[Row], now: &[Row], grouped: bool) -> Written {
    let half = (now.len() / 2).min(begun.len());
    let rows: Vec<&Row> = begun[..half].iter().chain(&now[half..]).collect();
    let below = rows.iter().map(|(_, below)| below.len()).sum::<usize>();
    let mut lines: Vec<&str> = Vec::with_capacity(rows.len() + below);
    for (row, below) in &rows {
        lines.push(row);
        if grouped {
            lines.extend(below.iter().map(String::as_str));
        }
    }
    if !grouped {
        lines.extend(rows.iter().flat_map(|(_, below)| below).map(String::as_str));
    }
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    Written { bytes: text.into(), rows: rows.len(), objects: lines.len() }
}

/// Returns the rows of the first list of an answer.
fn rows_of(data: &Value) -> Vec<Row> {
    let lists = data.as_object().into_iter().flatten();
    let nodes = lists.filter_map(|(_, list)| nodes_of(list)).next().unwrap_or_default();
    nodes.into_iter().map(row_of).collect()
}

fn nodes_of(list: &Value) -> Option<Vec<&Value>> {
    if let Some(nodes) = list.get("nodes").and_then(Value::as_array) {
        return Some(nodes.iter().collect());
    }
    let edges = list.get("edges")?.as_array()?;
    Some(edges.iter().map(|edge| &edge["node"]).collect())
}

fn row_of(node: &Value) -> Row {
    let mut below = Vec::new();
    let row = without_lists(node, &mut below);
    (row.to_string(), below)
}

/// Takes the lists out of an object; what was in them becomes lines below it.
fn without_lists(node: &Value, below: &mut Vec<String>) -> Value {
    let Some(object) = node.as_object() else { return node.clone() };
    let mut kept = Map::new();
    for (key, value) in object {
        let Some(nodes) = nodes_of(value) else {
            kept.insert(key.clone(), value.clone());
            continue;
        };
        for inner in nodes {
            let at = below.len();
            let mut line = without_lists(inner, below);
            line["__parentId"] = node["id"].clone();
            below.insert(at, line.to_string());
        }
    }
    Value::Object(kept)
}

/// Serves a file, or the part of it that is asked for, to whoever has its address.
pub(super) fn serve(world: &World, number: usize, signature: &str, headers: &HeaderMap) -> Response {
    let file = world.shopify.bulks.get(number).filter(|bulk| bulk.signature == signature);
    let Some(file) = file.and_then(|bulk| bulk.file.as_ref()) else {
        return (StatusCode::FORBIDDEN, "SignatureDoesNotMatch").into_response();
    };
    let size = file.bytes.len();
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let Some((from, to)) = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) else {
        return Body::from(file.bytes.clone()).into_response();
    };
    let to = to.parse::<usize>().map_or(size, |to| to.saturating_add(1).min(size));
    match from.parse::<usize>() {
        Ok(from) if from < to => {
            let range = format!("bytes {from}-{}/{size}", to - 1);
            let part = file.bytes.slice(from..to);
            (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, range)], Body::from(part)).into_response()
        }
        _ => (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, format!("bytes */{size}"))])
            .into_response(),
    }
}

/// Returns what is told of an operation.
pub(super) fn told(bulk: &Bulk, number: usize, host: &str, now_ms: i64) -> Value {
    let file = bulk.file.as_ref();
    let url =
        file.filter(|file| file.rows > 0).map(|_| format!("http://{host}/bulk/{number}/{}", bulk.signature));
    json!({
        "status": match file { Some(_) => "COMPLETED", None if now_ms == bulk.created_ms => "CREATED", None => "RUNNING" },
        "type": "QUERY",
        "errorCode": null,
        "objectCount": file.map_or(0, |file| file.objects).to_string(),
        "rootObjectCount": file.map_or(0, |file| file.rows).to_string(),
        "fileSize": file.map(|file| file.bytes.len().to_string()),
        "url": url,
        "partialDataUrl": null,
        "query": bulk.query,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_below_a_row_become_lines_that_name_it() {
        let data = json!({"items": {"edges": [
            {"node": {"id": "1", "level": {"n": 1}, "variants": {"nodes": [{"id": "a"}, {"id": "b"}]}}},
            {"node": {"id": "2", "level": null, "variants": {"nodes": []}}},
        ]}});
        let rows = rows_of(&data);
        let text = |grouped| String::from_utf8(write(&rows, &rows, grouped).bytes.to_vec()).expect("text");
        let (one, two) = (r#"{"id":"1","level":{"n":1}}"#, r#"{"id":"2","level":null}"#);
        let (a, b) = (r#"{"__parentId":"1","id":"a"}"#, r#"{"__parentId":"1","id":"b"}"#);
        assert_eq!(text(true), format!("{one}\n{a}\n{b}\n{two}\n"));
        assert_eq!(text(false), format!("{one}\n{two}\n{a}\n{b}\n"));
    }

    #[test]
    fn a_file_is_no_picture_of_one_moment() {
        let rows = |text: &str| -> Vec<Row> { (0..4).map(|n| (format!("{text}{n}"), vec![])).collect() };
        let written = write(&rows("then"), &rows("now"), false);
        assert_eq!(written.bytes, "then0\nthen1\nnow2\nnow3\n");
        assert_eq!((written.rows, written.objects), (4, 4));
    }
}
