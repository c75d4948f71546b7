//! systemd understands the unit, and has nothing to say against it.

use std::{fs, path::Path, process::Command};

/// Tells whether systemd's checker is here; under `CI=true` it must be.
fn checker() -> bool {
    let here =
        Command::new("systemd-analyze").arg("--version").output().is_ok_and(|told| told.status.success());
    if !here {
        let must = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!must, "under CI the unit must be checked, and there is no `systemd-analyze` here");
        eprintln!("SKIPPED: there is no `systemd-analyze` here");
    }
    here
}

/// Checks a unit of this text with the drop-in beside it. Returns what is said against it.
fn check(unit: &str) -> Result<(), String> {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd");
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("evenkeel.service");
    fs::write(&path, unit).expect("written");
    let drop_ins = dir.path().join("evenkeel.service.d");
    fs::create_dir(&drop_ins).expect("made");
    let credentials = deploy.join("evenkeel.service.d/credentials.conf");
    fs::copy(credentials, drop_ins.join("credentials.conf")).expect("copied");
    let checked = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output();
    let checked = checked.expect("it was there a moment ago");
    // The machine's own units, which are looked at as well, are not our concern.
    let said = String::from_utf8_lossy(&checked.stderr);
    let ours: String = said.lines().filter(|line| line.contains("evenkeel")).collect();
    if checked.status.success() && ours.is_empty() { Ok(()) } else { Err(ours) }
}

#[test]
fn systemd_has_nothing_to_say_against_the_unit() {
    if !checker() {
        return;
    }
    let unit = include_str!("../../deploy/systemd/evenkeel.service");
    assert_eq!(unit.matches("/usr/bin/evenkeel").count(), 3, "where the binary is started from");
    let unit = unit.replace("/usr/bin/evenkeel", env!("CARGO_BIN_EXE_evenkeel"));
    assert_eq!(check(&unit), Ok(()));
    let said = check(&unit.replace("WatchdogSec=", "WatchdogSecs=")).expect_err("it is misspelt");
    assert!(said.contains("WatchdogSecs"), "{said}");
    let said = check(&unit.replace(" run\n", " run \"\n")).expect_err("a quote is not closed");
    assert!(said.contains("Unbalanced quoting"), "{said}");
}
