//! Wrong usage, for who reads JSON: the parser tells it as text for people.

use std::ffi::OsString;

use clap::error::ErrorKind;

use crate::cli::{Failure, failure::Kind};

/// Tells whether JSON is asked for, whatever else is wrong with the arguments.
fn wants_json(args: &[OsString]) -> bool {
    args.iter().take_while(|arg| *arg != "--").any(|arg| arg == "--json")
}

/// Returns the failure that wrong arguments are, if it is to be told as JSON. `None`: the parser tells it by itself, as it does
/// with its help and its version.
pub(super) fn failure(error: &clap::Error, args: &[OsString]) -> Option<Failure> {
    if !error.use_stderr() || !wants_json(args) {
        return None;
    }
    let text = error.render().to_string();
    // What is called without the command or the arguments that it needs answers with its help.
    let (what, tips) = if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        ("a command or an argument is missing".to_owned(), Vec::new())
    } else {
        told(&text)
    };
    let usage =
        text.lines().skip_while(|line| !line.starts_with("Usage: ")).take_while(|line| !line.is_empty());
    let usage: Vec<String> =
        usage.map(|line| format!("`{}`", line.trim_start_matches("Usage: ").trim())).collect();
    let usage = (!usage.is_empty()).then(|| format!("it is called as {}", usage.join(" or ")));
    let next = tips.into_iter().chain(usage).chain(["`--help` tells more".to_owned()]);
    let next = next.collect::<Vec<_>>().join("; ");
    Some(Failure::new(Kind::Usage, what).next(next).as_json(true))
}

/// Returns what is wrong, in one line, and what may be meant instead.
fn told(text: &str) -> (String, Vec<String>) {
    let what = text.split("\n\n").next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let what: Vec<&str> = what.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let tip = |line: &str| line.trim().strip_prefix("tip: ").map(str::to_owned);
    (what.join(" "), text.lines().filter_map(tip).collect())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Cli;

    /// Arguments -> parts of what is told as JSON; `None`: the parser tells it by itself.
    #[track_caller]
    fn check(line: &str, want: Option<[&str; 2]>) {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Cli::try_parse_from(&args).expect_err("wrong");
        let failure = failure(&error, &args);
        let Some([what, next]) = want else { return assert!(failure.is_none(), "{failure:?}") };
        let failure = failure.expect("it is told");
        let told = failure.told();
        let part = |key: &str, want: &str| told[key].as_str().is_some_and(|text| text.contains(want));
        assert!(failure.code() == 2 && told["code"] == 2, "{told:#}");
        assert!(part("error", what) && part("next", next), "{told:#}");
        assert!(!told["error"].as_str().is_some_and(|text| text.contains('\n')), "{told:#}");
    }

    #[test]
    fn wrong_arguments_are_told_as_json_where_that_is_asked_for() {
        check(
            "evenkeel --json status --nope",
            Some(["unexpected argument '--nope' found", "`evenkeel status"]),
        );
        check("evenkeel sku --json", Some(["arguments were not provided: <SKU>", "`evenkeel sku"]));
        check("evenkeel outbox --limit x --json", Some(["invalid value 'x' for '--limit", "--help"]));
        check("evenkeel --json stauts", Some(["unrecognized subcommand 'stauts'", "status"]));
        check(
            "evenkeel order --json",
            Some(["<CHANNEL>", "`evenkeel order CHANNEL ORDER` or `evenkeel order CHANNEL:ORDER` or"]),
        );
        check("evenkeel --json map", Some(["", "`evenkeel map"]));
        check("evenkeel --json", Some(["", "--help"]));
        check("evenkeel status --nope", None);
        check("evenkeel sku -- --json --more", None);
        check("evenkeel --json --help", None);
        check("evenkeel --json --version", None);
        check("evenkeel", None);
    }
}
