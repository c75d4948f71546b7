//! What the source tree promises and no compiler checks.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// What a pure module must not name: I/O, clocks, randomness, hash order, and the modules that have them.
const IMPURE: [&str; 22] = [
    "tokio",
    "reqwest",
    "sled",
    "rand::",
    "tracing::",
    "SystemTime",
    "Instant",
    "HashMap",
    "HashSet",
    "RandomState",
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::process",
    "std::thread",
    "jiff",
    "crate::engine",
    "crate::store",
    "crate::connectors",
    "crate::clock",
    "crate::web",
];

/// Functions over the limit, and why each may be.
const LONG: [(&str, &str); 3] = [
    ("src/core/leg.rs: step", "the total transition table of a leg, one row per state and event"),
    ("src/core/apply.rs: one", "one arm for each kind of record, each only handing on"),
    ("src/store/tests.rs: check", "one crash scenario told in order"),
];
const LINES_MAX: usize = 70;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the directory is there") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Returns every source file below these directories as its name and text.
fn sources(dirs: &[&str]) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    for dir in dirs {
        collect(&root().join(dir), &mut paths);
        let file = root().join(format!("{dir}.rs"));
        if file.is_file() {
            paths.push(file);
        }
    }
    assert!(!paths.is_empty(), "{dirs:?} hold no sources");
    let read = |path: PathBuf| {
        let name = path.strip_prefix(root()).expect("below the root").display().to_string();
        (name, fs::read_to_string(&path).expect("a text"))
    };
    paths.into_iter().map(read).collect()
}

/// Returns the lines that hold code, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(n, line)| (n + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Tells whether the text names this: not as a part of a longer word.
fn names(line: &str, word: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(inside) && (word.ends_with("::") || !after.is_some_and(inside))
    })
}

#[test]
fn core_and_model_are_free_of_io_clocks_randomness_and_hash_order() {
    let more = ["crate::cli", "crate::config", "crate::sandbox", "crate::telemetry"];
    let mut wrong = Vec::new();
    for (name, text) in sources(&["src/core", "src/model"]) {
        for (n, line) in code(&text) {
            let named = IMPURE.iter().chain(&more).filter(|word| names(line, word));
            wrong.extend(named.map(|word| format!("{name}:{n}: {word}")));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_sandbox_shares_nothing_with_what_it_tests() {
    let mut wrong = Vec::new();
    for (name, text) in sources(&["src/sandbox"]) {
        for (n, line) in code(&text) {
            let own = line.matches("crate::sandbox").count();
            if line.matches("crate::").count() != own || names(line, "evenkeel::") {
                wrong.push(format!("{name}:{n}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nothing_but_the_command_line_knows_the_sandbox() {
    let mut wrong = Vec::new();
    for (name, text) in sources(&["src"]) {
        if !name.starts_with("src/sandbox") && !name.starts_with("src/cli") {
            wrong.extend(
                code(&text).filter(|(_, l)| l.contains("crate::sandbox")).map(|(n, _)| format!("{name}:{n}")),
            );
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Returns the functions of a file with their number of lines. rustfmt puts the closing brace below the `fn`.
fn functions(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (n, line) in lines.iter().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(at) = words.iter().position(|word| *word == "fn").filter(|_| !line.ends_with('}')) else {
            continue;
        };
        let heads = |word: &&str| {
            ["pub", "async", "const", "unsafe", "extern"].contains(word) || word.starts_with("pub(")
        };
        let Some(name) = words.get(at + 1).filter(|_| words[..at].iter().all(heads)) else {
            continue;
        };
        let name = name.split(['(', '<']).next().unwrap_or_default();
        let close = format!("{indent}}}");
        let end = lines[n..].iter().position(|line| *line == close);
        let next = lines[n..]
            .iter()
            .position(|line| line.ends_with(';') && !line.starts_with(&format!("{indent} ")));
        if let Some(end) = end.filter(|end| next.is_none_or(|next| next > *end)) {
            found.push((name, end + 1));
        }
    }
    found
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for (name, text) in sources(&["src", "tests"]) {
        let over = functions(&text).into_iter().filter(|(_, lines)| *lines > LINES_MAX);
        long.extend(over.map(|(function, lines)| (format!("{name}: {function}"), lines)));
    }
    long.retain(|(function, _)| !LONG.iter().any(|(known, _)| known == function));
    assert!(long.is_empty(), "over {LINES_MAX} lines: {long:#?}");
}

#[test]
fn the_checks_themselves_find_what_they_look_for() {
    assert!(names("use tokio::time;", "tokio") && names("x: HashMap<A, B>", "HashMap"));
    assert!(!names("let instantly = 1;", "Instant") && !names("operand::x", "rand::"));
    let text = "impl A {\n    pub(crate) async fn one(\n        a: u8,\n    ) {\n        b();\n    }\n}\nfn two() {}\nfn three() {\n}\n";
    assert_eq!(functions(text), [("one", 5), ("three", 2)]);
}
