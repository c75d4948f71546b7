//! Whatever may stand in a configuration: it is taken, or every problem of it is told.

use super::*;
use crate::fuzz;

#[test]
fn files() {
    let samples = [EXAMPLE, include_str!("../../cli/demo/evenkeel.toml")];
    let words = [
        "[[",
        "]]",
        "[channels.shopify.main]\n",
        "\"\"\"",
        "= 99999999999999999999",
        "= -1",
        "= \"\"",
        "= []",
        "= {}",
        "= true",
        "= 1e300",
        "= \"9999999999d\"",
        "= nan",
        ".",
        "#",
        "= 2026-11-23",
        "\u{202e}",
    ];
    fuzz::bytes(bolero::check!(), &samples, &words, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Err(problems) = parse(&text) {
            assert!(problems.iter().count() > 0);
            assert!(problems.to_string().len() < 200_000, "what is told is bounded");
        }
    });
}
