//! CSV files as spreadsheets save them: their columns, their rows, and everything that is wrong with them, with its line.

use std::collections::BTreeMap;

use crate::{
    cli::{
        Failure, Global,
        client::Client,
        failure::Kind,
        lines::{Lines, unclosed},
    },
    core::wrong::{bounded, merged},
};

/// A row's fields by the names of their columns.
pub(super) type Fields<'a> = BTreeMap<&'a str, &'a str>;

/// What a file must be.
pub(super) struct Sheet<'a> {
    pub(super) columns: &'a [&'a str],
    /// Those that must be there.
    pub(super) needed: &'a [&'a str],
    /// Whether white space around a field counts.
    pub(super) exact: bool,
}

/// A file that cannot be used: the rows that can be read, and all that is wrong with the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bad<R> {
    pub(super) rows: Vec<R>,
    pub(super) wrong: Vec<String>,
}

impl<R> Bad<R> {
    fn of(wrong: Vec<String>) -> Bad<R> {
        Bad { rows: Vec::new(), wrong }
    }

    /// Fails with everything that is wrong: also with what `look` finds, who has the daemon look at the rows that can be read.
    pub(super) fn told(
        self,
        global: &Global,
        next: &str,
        look: impl FnOnce(&Client, Vec<R>) -> Vec<String>,
    ) -> Failure {
        let Bad { rows, mut wrong } = self;
        // Without a daemon, what the file itself shows is told.
        if let Some(client) = Client::new(global).ok().filter(|_| !rows.is_empty()) {
            wrong = merged(wrong, look(&client, rows));
        }
        Failure::new(Kind::Refused, wrong.join("\n")).next(next).as_json(global.json)
    }
}

/// Returns what the daemon says of single lines, if it refuses a request.
pub(super) fn lines_of<A>(answer: Result<A, Failure>) -> Vec<String> {
    let text = answer.err().map(|failure| failure.to_string()).unwrap_or_default();
    let of_line = |line: &&str| line.starts_with("line ") || line.starts_with("and ");
    text.lines().filter(of_line).map(str::to_owned).collect()
}

impl Sheet<'_> {
    /// Reads every row with `one`, which may leave it out. Returns every problem of the file at once. Rows that are
    /// shorter than the header lack their last fields; rows without any text are none.
    pub(super) fn read<R>(
        &self,
        text: &[u8],
        mut one: impl FnMut(u64, &Fields<'_>) -> Result<Option<R>, Vec<String>>,
    ) -> Result<Vec<R>, Bad<R>> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        readable(text).map_err(Bad::of)?;
        let delimiter = delimiter(text);
        let open = unclosed(text, delimiter);
        let never = open.map(|open| {
            format!(
                "line {}: a quote is opened there and never closed, so that the rest cannot be read",
                open.line
            )
        });
        let text = match open {
            Some(open) if open.row == 0 => return Err(Bad::of(never.into_iter().collect())),
            Some(open) => text.get(..open.row).unwrap_or(text),
            None => text,
        };
        let trim = if self.exact { csv::Trim::Headers } else { csv::Trim::All };
        let mut csv =
            csv::ReaderBuilder::new().trim(trim).delimiter(delimiter).flexible(true).from_reader(text);
        let header = csv.headers().map_err(|error| Bad::of(vec![error.to_string()]))?.clone();
        let mut wrong = self.problems_of(&header).map_err(Bad::of)?;
        let (mut rows, mut any) = (Vec::new(), never.is_some());
        let mut lines = Lines::of(text);
        for record in csv.records() {
            let record = match record {
                Ok(record) => record,
                Err(error) => {
                    wrong.push(error.to_string());
                    continue;
                }
            };
            if record.iter().all(|field| field.trim().is_empty()) {
                continue;
            }
            any = true;
            let line = lines.begin(record.position());
            if record.len() > header.len() {
                wrong.push(format!(
                    "line {line}: it has {} fields, the header {}; quote a text that holds a comma",
                    record.len(),
                    header.len()
                ));
                continue;
            }
            match one(line, &header.iter().zip(record.iter()).collect()) {
                Ok(row) => rows.extend(row),
                Err(why) => wrong.extend(why.into_iter().map(|why| format!("line {line}: {why}"))),
            }
        }
        if !any && wrong.is_empty() {
            wrong.push("there are no rows below the line of column names".to_owned());
        }
        wrong.extend(never);
        if wrong.is_empty() { Ok(rows) } else { Err(Bad { rows, wrong: bounded(wrong.into_iter()) }) }
    }

    /// Returns what is wrong with the columns; as a failure if no row can be understood.
    fn problems_of(&self, header: &csv::StringRecord) -> Result<Vec<String>, Vec<String>> {
        let all = self.columns.join(",");
        if header.iter().all(str::is_empty) {
            return Err(vec![format!("the file is empty; its first line names the columns: {all}")]);
        }
        let mut wrong = Vec::new();
        for (n, name) in header.iter().enumerate().filter(|(_, name)| !self.columns.contains(name)) {
            let lower = name.to_lowercase();
            wrong.push(match self.columns.iter().find(|column| **column == lower) {
                _ if name.is_empty() => format!("line 1: column {} has no name; remove it", n + 1),
                Some(column) => format!("line 1: there is no column `{name}`: write it `{column}`"),
                None => format!("line 1: there is no column `{name}`; the columns are {all}"),
            });
        }
        let mut lost = Vec::new();
        for name in self.columns {
            match header.iter().filter(|held| held == name).count() {
                0 if self.needed.contains(name) => lost.push(format!(
                    "line 1: the column `{name}` is missing; the first line names the columns: {all}"
                )),
                0 | 1 => {}
                many => {
                    lost.push(format!("line 1: the column `{name}` is there {many} times; remove the others"))
                }
            }
        }
        if lost.is_empty() {
            return Ok(wrong);
        }
        wrong.extend(lost);
        Err(bounded(wrong.into_iter()))
    }
}

/// Fails for what no spreadsheet reads as text either.
fn readable(text: &[u8]) -> Result<(), Vec<String>> {
    let Err(error) = std::str::from_utf8(text) else { return Ok(()) };
    let good = &text[..error.valid_up_to()];
    let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
    Err(vec![format!("line {line}: this is not UTF-8 text; save the file as `CSV UTF-8`")])
}

/// Returns what parts the columns: a comma, or a semicolon or a tab where the first line has no comma.
fn delimiter(text: &[u8]) -> u8 {
    let head = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let parts = [b',', b';', b'\t'].into_iter().find(|byte| head.contains(byte));
    parts.unwrap_or(b',')
}

/// Reads changed files: a file is told what is wrong with it in few words, and no row comes out of nothing.
#[cfg(test)]
pub(super) fn fuzzed<R>(
    target: crate::fuzz::Target,
    samples: &[&str],
    parse: impl Fn(&[u8]) -> Result<Vec<R>, Bad<R>>,
) {
    let words = ["\"", "\n", "\r\n", ";", ",,", "\u{feff}", "-1", "99999999999999999999", "=1+1", "\t"];
    crate::fuzz::bytes(target, samples, &words, |text| match parse(text) {
        // Without quotes and odd ends of lines, each line is a row, or blank.
        Ok(rows) if !text.contains(&b'"') && !text.contains(&b'\r') => {
            let lines = text.split(|byte| *byte == b'\n').skip(1);
            let filled = lines.filter(|line| line.iter().any(|b| b.is_ascii_alphanumeric())).count();
            assert!(rows.len() <= filled, "{} rows of {filled} lines", rows.len());
        }
        Ok(_) => {}
        Err(Bad { wrong, .. }) => {
            assert!(!wrong.is_empty() && wrong.len() < 100, "{} problems", wrong.len());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHEET: Sheet<'_> =
        Sheet { columns: &["sku", "channel", "note"], needed: &["sku", "channel"], exact: false };

    fn told(text: &[u8]) -> Result<Vec<String>, Vec<String>> {
        let read = SHEET.read(text, |line, fields| {
            let field = |name: &str| fields.get(name).copied().unwrap_or_default();
            if field("sku") == "?" {
                return Err(vec!["it is odd".to_owned()]);
            }
            let row = format!("{line}: {} {} {}", field("sku"), field("channel"), field("note"));
            Ok(Some(row).filter(|_| !field("sku").is_empty()))
        });
        read.map_err(|bad| bad.wrong)
    }

    #[test]
    fn commas_semicolons_and_tabs_part_columns() {
        for text in [
            "sku,channel,note\nA,us,x\n\n,us,\n\"B,1\",us\n",
            "\u{feff}sku;channel;note\r\n A ; us;x\r\n;;\r\n;us;\r\n\"B,1\";us\r\n",
            "sku\tchannel\tnote\nA\tus\tx\n\n\tus\t\nB,1\tus\n",
        ] {
            assert_eq!(told(text.as_bytes()), Ok(vec!["2: A us x".into(), "5: B,1 us ".into()]), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_what_mends_it() {
        for (text, wanted) in [
            ("", "the file is empty; its first line names the columns: sku,channel,note"),
            ("\n\n", "the file is empty"),
            ("channel\nus\n", "line 1: the column `sku` is missing; the first line names the columns"),
            ("sku,channel,sku\nA,us,B\n", "line 1: the column `sku` is there 2 times"),
            ("SKU,channel\nA,us\n", "line 1: there is no column `SKU`: write it `sku`"),
            ("sku,channel,upc\nA,us,1\n", "line 1: there is no column `upc`; the columns are sku,channel"),
            ("sku,channel,\nA,us,\n", "line 1: column 3 has no name"),
            ("A,us\nB,us\n", "line 1: there is no column `A`"),
            ("sku,channel\nA,us,x\n", "line 2: it has 3 fields, the header 2"),
            ("sku,channel\n?,us\n", "line 2: it is odd"),
            ("sku,channel\n\n", "there are no rows"),
        ] {
            let wrong = told(text.as_bytes()).expect_err(text);
            assert!(wrong[0].contains(wanted), "{text}: {wrong:?}");
        }
        let wide = told(format!("sku{}\n", ",odd".repeat(500)).as_bytes()).expect_err("it is wide");
        assert_eq!(wide.len(), 51, "{wide:?}");
        let many = format!("sku,channel\n{}", "?,us\n".repeat(53));
        let wrong = told(many.as_bytes()).expect_err("all are odd");
        assert_eq!((wrong.len(), wrong[50].as_str()), (51, "and 3 more"));
        let wrong = told(b"sku,channel\nA,us\n?,us\nB,\"us\nC,us\n?,us\n").expect_err("a quote is open");
        assert_eq!(wrong.len(), 2, "{wrong:?}");
        assert!(
            wrong[0] == "line 3: it is odd" && wrong[1].starts_with("line 4: a quote is opened"),
            "{wrong:?}"
        );
        let wrong = told(b"\"sku,channel\nA,us\n").expect_err("a quote is open");
        assert!(wrong.len() == 1 && wrong[0].starts_with("line 1: a quote is opened"), "{wrong:?}");
        let latin = told(b"sku,channel\nA,us\nGR\xdcN,us\n").expect_err("not UTF-8");
        assert_eq!(latin, ["line 3: this is not UTF-8 text; save the file as `CSV UTF-8`"]);
    }
}
