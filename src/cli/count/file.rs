//! The CSV of a count: `sku,location,quantity`, and perhaps `as_of` and `note`. Commas or semicolons part the columns.

use std::collections::{BTreeMap, btree_map::Entry};

use crate::{
    cli::sheet::{Bad, Fields, Sheet},
    model::{LocationId, ids::BadId},
    web::view::{CountedLine, Time},
};

const COLUMNS: [&str; 5] = ["sku", "location", "quantity", "as_of", "note"];

/// Reads the rows. `location` and `note` are those of rows that name none. Returns every problem of the file at once,
/// with its line.
pub(super) fn parse(
    text: &[u8],
    location: Option<&LocationId>,
    note: &str,
) -> Result<Vec<CountedLine>, Bad<CountedLine>> {
    let needed: &[&str] = if location.is_some() { &["sku", "quantity"] } else { &COLUMNS[..3] };
    let sheet = Sheet { columns: &COLUMNS, needed, exact: false };
    let mut seen = BTreeMap::new();
    sheet.read(text, |line, fields| {
        let counted = CountedLine { line: Some(line), ..row(fields, location, note)? };
        match seen.entry((counted.sku.clone(), counted.location.clone())) {
            Entry::Vacant(free) => drop(free.insert(line)),
            Entry::Occupied(first) => {
                return Err(vec![format!(
                    "SKU `{}` at `{}` is on line {} already; add them up",
                    counted.sku,
                    counted.location,
                    first.get()
                )]);
            }
        }
        Ok(Some(counted))
    })
}

/// Reads one row, or tells all that is wrong with it.
fn row(fields: &Fields<'_>, location: Option<&LocationId>, note: &str) -> Result<CountedLine, Vec<String>> {
    let field = |name: &str| fields.get(name).copied().unwrap_or_default();
    let sku = field("sku").parse().map_err(|bad: BadId| bad.to_string());
    let location = match (field("location"), location) {
        ("", Some(location)) => Ok(location.clone()),
        (text, _) => text.parse().map_err(|bad: BadId| bad.to_string()),
    };
    let quantity = super::units(field("quantity"))
        .map_err(|why| format!("`quantity` {why}, is `{}`", field("quantity")));
    let as_of = match field("as_of") {
        "" => Ok(None),
        text => text.parse::<Time>().map(Some).map_err(|bad| format!("`as_of`: {bad}")),
    };
    let note = if field("note").is_empty() { note } else { field("note") }.to_owned();
    match (sku, location, quantity, as_of) {
        (Ok(sku), Ok(location), Ok(quantity), Ok(as_of)) => {
            Ok(CountedLine { line: None, sku, location, quantity, as_of, note })
        }
        (sku, location, quantity, as_of) => {
            Err([sku.err(), location.err(), quantity.err(), as_of.err()].into_iter().flatten().collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sheet;

    fn told(text: &[u8], location: Option<&str>) -> Result<Vec<String>, Vec<String>> {
        let location = location.map(|name| LocationId::new(name).expect("a name"));
        let rows = parse(text, location.as_ref(), "by hand").map_err(|bad| bad.wrong)?;
        let row = |c: &CountedLine| {
            let as_of = c.as_of.map_or(String::new(), |as_of| format!(" {as_of}"));
            let line = c.line.expect("it has a line");
            format!("{line}: {} {} {}{as_of} {}", c.sku, c.location, c.quantity, c.note)
        };
        Ok(rows.iter().map(row).collect())
    }

    #[test]
    fn files_of_spreadsheets_are_read() {
        let plain = b"sku,location,quantity\nA,wh,3\n\"B,1\",wh,0\n";
        assert_eq!(told(plain, None), Ok(vec!["2: A wh 3 by hand".into(), "3: B,1 wh 0 by hand".into()]));
        let excel = b"\xef\xbb\xbfquantity;sku;note;as_of\r\n 3 ; A ;found;2026-11-23T08:00:00+01:00\r\n\r\n;;;\r\n4;B;;\r\n";
        let want = ["2: A wh 3 2026-11-23T07:00:00.000Z found", "5: B wh 4 by hand"];
        assert_eq!(told(excel, Some("wh")), Ok(want.map(str::to_owned).to_vec()));
    }

    #[test]
    fn every_problem_of_a_file_is_told_with_its_line() {
        let text =
            b"sku,location,quantity,shelf\nA,wh,-1,\nA,WH,x,\nB,wh,1,\n\nB,wh,2,\n,wh,2.5,\nC,wh,1,,,\n";
        let wrong = told(text, None).expect_err("bad");
        let begins = ["line 1", "line 2", "line 3", "line 3", "line 6", "line 7", "line 7", "line 8"];
        assert_eq!(wrong.len(), begins.len(), "{wrong:#?}");
        for (wrong, begin) in wrong.iter().zip(begins) {
            assert!(wrong.starts_with(begin), "{wrong} is not of {begin}");
        }
        assert!(wrong[4].contains("on line 4 already"), "{wrong:#?}");
        let empty = told(b"sku,location,quantity\n\n", None).expect_err("bad");
        assert!(empty[0].starts_with("there are no rows"), "{empty:?}");
        let lacks = told(b"sku,quantity\nA,1\n", None).expect_err("bad");
        assert!(lacks[0].contains("`location` is missing"), "{lacks:?}");
    }

    #[test]
    fn fuzzed() {
        let samples = [
            "sku,location,quantity\nA,wh,3\n\"B,1\",wh,0\n",
            "quantity;sku;note;as_of\r\n 3 ; A ;found;2026-11-23T08:00:00+01:00\r\n",
        ];
        let location = LocationId::new("wh").ok();
        sheet::fuzzed(bolero::check!(), &samples, |text| parse(text, location.as_ref(), "by hand"));
    }
}
