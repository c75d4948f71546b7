//! The published API descriptions and recorded answers that tests are held against, where they are at hand.

use std::path::PathBuf;

/// Returns the path of a file below `EVENKEEL_SPECS`. Without that variable the test is skipped with a message; on a CI
/// machine (`CI=true`) that is a failure.
pub(crate) fn path(name: &str) -> Option<PathBuf> {
    if let Some(specs) = std::env::var_os("EVENKEEL_SPECS").filter(|specs| !specs.is_empty()) {
        return Some(PathBuf::from(specs).join(name));
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "EVENKEEL_SPECS must be set where CI=true");
    eprintln!("skipped: `{name}` is not at hand (set EVENKEEL_SPECS)");
    None
}

/// Returns the content of such a file.
pub(crate) fn read(name: &str) -> Option<Vec<u8>> {
    let path = path(name)?;
    Some(std::fs::read(&path).unwrap_or_else(|e| panic!("`{}` cannot be read: {e}", path.display())))
}

/// Returns such a file as JSON.
pub(crate) fn json(name: &str) -> Option<serde_json::Value> {
    let body = read(name)?;
    Some(serde_json::from_slice(&body).unwrap_or_else(|e| panic!("`{name}` is not JSON: {e}")))
}
