//! Rows of an intent from a CSV file.

use std::{collections::BTreeMap, io::Read as _, path::Path};

use super::{most, row, units};
use crate::{
    cli::{Failure, Global, failure::Kind},
    model::ids::BadId,
    web::view::intents::IntentRow,
};

/// Which columns a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Set,
    Transfer,
}

impl Shape {
    fn columns(self) -> &'static [&'static str] {
        match self {
            Shape::Set => &["sku", "channel", "quantity"],
            Shape::Transfer => &["sku", "quantity", "from", "to", "from_channel", "to_channel"],
        }
    }
}

/// Reads a file, or standard input. Every problem of it is told at once.
pub(super) fn read(global: &Global, file: &Path, shape: Shape) -> Result<Vec<IntentRow>, Failure> {
    let mut text = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut text)?;
    } else {
        text = std::fs::read(file).map_err(|error| {
            Failure::new(Kind::Failed, format!("cannot read `{}`: {error}", file.display()))
                .as_json(global.json)
        })?;
    }
    parse(&text, shape).map_err(|wrong| {
        Failure::new(Kind::Refused, wrong.join("\n"))
            .next("mend the lines named; nothing was changed")
            .as_json(global.json)
    })
}

fn parse(text: &[u8], shape: Shape) -> Result<Vec<IntentRow>, Vec<String>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut csv = csv::ReaderBuilder::new().from_reader(text);
    let header = csv.headers().map_err(|error| vec![error.to_string()])?.clone();
    let columns = shape.columns();
    let unknown = header.iter().filter(|name| !columns.contains(name));
    let mut wrong: Vec<String> = unknown
        .map(|name| format!("line 1: there is no column `{name}`, only {}", columns.join(", ")))
        .collect();
    let mut rows = Vec::new();
    for record in csv.records() {
        match record {
            Err(error) => wrong.push(error.to_string()),
            Ok(record) => {
                let line = record.position().map_or(0, |at| line_at(text, at));
                let fields = header.iter().zip(record.iter()).collect();
                match one(&fields, shape) {
                    Ok(row) => rows.push(IntentRow { line: Some(line), ..row }),
                    Err(why) => wrong.push(format!("line {line}: {why}")),
                }
            }
        }
    }
    if wrong.is_empty() && rows.is_empty() {
        wrong.push("there are no rows".to_owned());
    }
    if wrong.is_empty() { Ok(rows) } else { Err(wrong) }
}

/// Returns the line on which a record begins. The reader says where the empty lines before it begin.
fn line_at(text: &[u8], at: &csv::Position) -> u64 {
    let rest = usize::try_from(at.byte()).ok().and_then(|byte| text.get(byte..)).unwrap_or_default();
    let empty = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n');
    at.line() + empty.map(|_| 1).sum::<u64>()
}

fn one(fields: &BTreeMap<&str, &str>, shape: Shape) -> Result<IntentRow, String> {
    let field = |name: &str| fields.get(name).copied().filter(|text| !text.is_empty());
    fn id<T: std::str::FromStr<Err = BadId>>(text: Option<&str>) -> Result<Option<T>, String> {
        text.map(str::parse).transpose().map_err(|bad: BadId| bad.to_string())
    }
    let sku = id(field("sku"))?.ok_or("it names no `sku`")?;
    let quantity = field("quantity").ok_or("it names no `quantity`")?;
    let bad = |why: String| format!("quantity `{quantity}` {why}");
    if shape == Shape::Set {
        let channel = Some(id(field("channel"))?.ok_or("it names no `channel`")?);
        return Ok(IntentRow { channel, quantity: most(quantity).map_err(bad)?.0, ..row(sku) });
    }
    let quantity = Some(units(quantity).map_err(bad)?);
    let (from, to) = (id(field("from"))?, id(field("to"))?);
    let (from_channel, to_channel) = (id(field("from_channel"))?, id(field("to_channel"))?);
    let places = from.is_some() && to.is_some() && from_channel.is_none() && to_channel.is_none();
    let channels = from.is_none() && to.is_none() && from_channel.is_some() && to_channel.is_some();
    if !places && !channels {
        return Err("it must name `from` and `to`, or `from_channel` and `to_channel`".to_owned());
    }
    Ok(IntentRow { quantity, from, to, from_channel, to_channel, ..row(sku) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_lines_and_none_is_no_limit() {
        let rows = parse(b"sku,channel,quantity\nA,shop,3\n\nB,amz,none\n", Shape::Set).expect("good");
        let told: Vec<_> = rows.iter().map(|r| (r.line, r.quantity.map(|q| q.units()))).collect();
        assert_eq!(told, [(Some(2), Some(3)), (Some(4), None)]);
        let rows = parse(b"sku,quantity,from,to\nA,3,wh,store\n", Shape::Transfer).expect("good");
        assert_eq!(rows[0].to.as_ref().map(ToString::to_string).as_deref(), Some("store"));
    }

    #[test]
    fn every_problem_of_a_file_is_told_with_its_line() {
        let text = b"sku,quantity,from,to,colour\nA,0,wh,store,\nB,1,wh,,\n,1,wh,store,\nC,1,wh,store,\n";
        let wrong = parse(text, Shape::Transfer).expect_err("bad");
        let starts = [
            "line 1: there is no column `colour`",
            "line 2: quantity `0`",
            "line 3: it must",
            "line 4: it names",
        ];
        assert!(wrong.len() == 4 && wrong.iter().zip(starts).all(|(w, s)| w.starts_with(s)), "{wrong:#?}");
        assert_eq!(parse(b"sku,channel,quantity\n", Shape::Set), Err(vec!["there are no rows".to_owned()]));
    }
}
