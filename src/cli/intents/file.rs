//! Rows of an intent from a CSV file.

use std::path::Path;

use super::{most, row, units};
use crate::{
    cli::{
        Failure, Global,
        client::Client,
        input,
        sheet::{Bad, Fields, Sheet},
    },
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

/// Reads a file, or standard input. Every problem of it is told at once; `look` has the daemon look at rows.
pub(super) fn read(
    global: &Global,
    file: &Path,
    shape: Shape,
    look: impl FnOnce(&Client, Vec<IntentRow>) -> Vec<String>,
) -> Result<Vec<IntentRow>, Failure> {
    let text = input::file(global, file)?;
    parse(&text, shape).map_err(|bad| bad.told(global, "mend the lines named; nothing was changed", look))
}

fn parse(text: &[u8], shape: Shape) -> Result<Vec<IntentRow>, Bad<IntentRow>> {
    let needed: &[&str] = match shape {
        Shape::Set => shape.columns(),
        Shape::Transfer => &["sku", "quantity"],
    };
    let sheet = Sheet { columns: shape.columns(), needed, exact: false };
    sheet.read(text, |line, fields| {
        let row = one(fields, shape)?;
        Ok(Some(IntentRow { line: Some(line), ..row }))
    })
}

/// Reads one row, or tells all that is wrong with it.
fn one(fields: &Fields<'_>, shape: Shape) -> Result<IntentRow, Vec<String>> {
    let field = |name: &str| fields.get(name).copied().filter(|text| !text.is_empty());
    let mut wrong = Vec::new();
    fn id<T: std::str::FromStr<Err = BadId>>(text: Option<&str>, wrong: &mut Vec<String>) -> Option<T> {
        text?.parse().map_err(|bad: BadId| wrong.push(bad.to_string())).ok()
    }
    for name in ["sku", "quantity", "channel"] {
        if field(name).is_none() && (name != "channel" || shape == Shape::Set) {
            wrong.push(format!("it names no `{name}`"));
        }
    }
    let sku = id(field("sku"), &mut wrong);
    let (from, to) = (id(field("from"), &mut wrong), id(field("to"), &mut wrong));
    let [channel, from_channel, to_channel] =
        ["channel", "from_channel", "to_channel"].map(|name| id(field(name), &mut wrong));
    let text = field("quantity").unwrap_or_default();
    let quantity = match shape {
        _ if text.is_empty() => Ok(None),
        Shape::Set => most(text).map(|most| most.0),
        Shape::Transfer => units(text).map(Some),
    };
    let quantity = quantity.unwrap_or_else(|why| {
        wrong.push(format!("quantity `{text}` {why}"));
        None
    });
    let named = ["from", "to", "from_channel", "to_channel"].map(|name| field(name).is_some());
    let ends = named == [true, true, false, false] || named == [false, false, true, true];
    if shape == Shape::Transfer && !ends {
        wrong.push("it must name `from` and `to`, or `from_channel` and `to_channel`".to_owned());
    }
    match sku.filter(|_| wrong.is_empty()) {
        Some(sku) => Ok(IntentRow { quantity, channel, from, to, from_channel, to_channel, ..row(sku) }),
        None => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sheet;

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
        let wrong = parse(text, Shape::Transfer).expect_err("bad").wrong;
        let starts = [
            "line 1: there is no column `colour`",
            "line 2: quantity `0`",
            "line 3: it must",
            "line 4: it names",
        ];
        assert!(wrong.len() == 4 && wrong.iter().zip(starts).all(|(w, s)| w.starts_with(s)), "{wrong:#?}");
        let wrong = parse(b"sku,channel,quantity\n", Shape::Set).expect_err("bad").wrong;
        assert!(wrong[0].starts_with("there are no rows"), "{wrong:?}");
    }

    #[test]
    fn fuzzed() {
        let samples =
            ["sku,channel,quantity\nA,shop,3\n\nB,amz,none\n", "sku,quantity,from,to\nA,3,wh,store\n"];
        let either = |text: &[u8]| parse(text, Shape::Set).or_else(|_| parse(text, Shape::Transfer));
        sheet::fuzzed(bolero::check!(), &samples, either);
    }
}
