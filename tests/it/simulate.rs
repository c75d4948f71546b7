//! `evenkeel simulate` as a person runs it.

use std::process::{Command, Output};

use serde_json::Value;

fn simulate(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .arg("simulate")
        .args(args)
        .env_remove("EVENKEEL_CONFIG")
        .env_remove("EVENKEEL_SOCKET")
        .output()
        .expect("it runs")
}

fn told(args: &[&str]) -> Value {
    let output = simulate(&[args, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it tells JSON")
}

#[test]
fn a_seed_plays_the_same_each_time_and_another_does_not() {
    let played = told(&["--seed", "7", "--workload", "steady"]);
    assert_eq!((&played["seeds"], &played["broken"]), (&Value::from(1), &Value::from(Vec::<Value>::new())));
    assert!(played["figures"]["orders"].as_u64() > Some(0), "{played:#}");
    assert_eq!(told(&["--seed", "7", "--workload", "steady"])["figures"], played["figures"]);
    assert_ne!(told(&["--seed", "8", "--workload", "steady"])["figures"]["end"], played["figures"]["end"]);
}

#[test]
fn it_says_what_it_can_play() {
    for wrong in [["--workload", "nope"], ["--seeds", "0"], ["--days", "0"]] {
        let output = simulate(&wrong);
        assert_eq!((output.status.code(), &*output.stdout), (Some(2), &b""[..]), "{output:?}");
    }
    let error = String::from_utf8_lossy(&simulate(&["--workload", "nope"]).stderr).into_owned();
    assert!(error.contains("hot-sku"), "{error}");
}
