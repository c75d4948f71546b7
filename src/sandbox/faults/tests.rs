use super::*;

const AMAZON: Target = Target::One(System::Amazon);

fn check(text: &str, expected: FaultSpec) {
    assert_eq!(FaultSpec::parse(text), Ok(expected.clone()), "{text}");
    assert_eq!(FaultSpec::parse(&expected.to_string()), Ok(expected), "{text} written out and read again");
}

fn check_bad(text: &str, reason: &str) {
    let error = FaultSpec::parse(text).expect_err(text);
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn faults_are_read_from_their_text() {
    let seconds = Duration::from_secs;
    check("amazon-outage=20s", FaultSpec::Outage { on: AMAZON, lasts: seconds(20), after: Duration::ZERO });
    check("amazon-outage=2m@5s", FaultSpec::Outage { on: AMAZON, lasts: seconds(120), after: seconds(5) });
    check("outage=off", FaultSpec::Outage { on: Target::All, lasts: Duration::ZERO, after: Duration::ZERO });
    check("shopify-errors=5%", FaultSpec::Errors { on: Target::One(System::Shopify), share: 0.05 });
    check("lost-answers=0.5%", FaultSpec::LostAnswers { on: Target::All, share: 0.005 });
    check("erp-throttled=off", FaultSpec::Throttled { on: Target::One(System::Erp), share: 0.0 });
    check("latency=50ms..200ms", FaultSpec::Latency { on: Target::All, ms: Span::new(50, 200) });
    check("amazon-latency=1s", FaultSpec::Latency { on: AMAZON, ms: Span::new(1000, 1000) });
    check("webhooks-dropped=5%", FaultSpec::WebhooksDropped { share: 0.05 });
    check("webhooks-duplicated=10%", FaultSpec::WebhooksDuplicated { share: 0.1 });
    check("webhooks-reordered=20%", FaultSpec::WebhooksReordered { share: 0.2 });
    check("rival=2s", FaultSpec::Rival { on: Target::All, every: Some(seconds(2)) });
    let poison = |on, kind, sku: Option<&str>| FaultSpec::Poison { on, kind, sku: sku.map(str::to_owned) };
    check("poison=TSHIRT/BL=M", poison(Target::All, Poison::Fails, Some("TSHIRT/BL=M")));
    check("amazon-poison-hangs=A B", poison(AMAZON, Poison::Hangs, Some("A B")));
    check("shopify-poison-refused=off", poison(Target::One(System::Shopify), Poison::Refused, None));
    check("poison-reads=A", poison(Target::All, Poison::Reads, Some("A")));
    check("shopify-rush=A B", FaultSpec::Rush { sku: Some("A B".to_owned()) });
    check("shopify-rush=off", FaultSpec::Rush { sku: None });
    check("none", FaultSpec::None);
}

#[test]
fn texts_that_are_no_fault_say_why() {
    check_bad("amazon", "must be `name=value`");
    check_bad("amazon-lies=5%", "the faults are");
    check_bad("erp-rival=2s", "the faults are");
    check_bad("poison=", "name the SKU");
    check_bad("shopify-rush=", "name the SKU");
    check_bad("amazon-rush=A", "the faults are");
    check_bad("erp-poison-reads=A", "`shopify-` and `amazon-`");
    check_bad("shopify-errors=5", "a percentage such as `5%`");
    check_bad("shopify-errors=101%", "a percentage such as `5%`");
    check_bad("amazon-outage=20", "`250ms`, `20s` or `2m`");
    check_bad("latency=200ms..50ms", "the wrong way round");
}

fn faults(specs: &[&str]) -> Faults {
    let mut faults = Faults::new(1);
    for text in specs {
        faults.apply(&FaultSpec::parse(text).expect(text), 1_000);
    }
    faults
}

fn count(faults: &mut Faults, system: System, now_ms: i64, outcome: Outcome) -> usize {
    (0..1_000).filter(|_| faults.fate(system, now_ms).outcome == outcome).count()
}

#[test]
fn without_faults_everything_is_served_at_once() {
    let mut faults = faults(&["errors=50%", "none"]);
    let served = Fate { delay: Duration::ZERO, outcome: Outcome::Served };
    assert!((0..100).all(|_| faults.fate(System::Erp, 0) == served));
}

#[test]
fn a_fault_hits_its_own_system_about_as_often_as_its_share() {
    let mut faults = faults(&["shopify-errors=20%", "amazon-lost-answers=10%"]);
    assert!((150..250).contains(&count(&mut faults, System::Shopify, 0, Outcome::Refused)));
    assert!((60..150).contains(&count(&mut faults, System::Amazon, 0, Outcome::LostAnswer)));
    assert_eq!(count(&mut faults, System::Erp, 0, Outcome::Served), 1_000);
}

#[test]
fn an_outage_starts_and_ends_on_time() {
    let mut faults = faults(&["amazon-outage=20s@5s"]);
    let mut served = |now_ms| count(&mut faults, System::Amazon, now_ms, Outcome::Served);
    assert_eq!(served(5_999), 1_000);
    assert_eq!(served(6_000), 0);
    assert_eq!(served(25_999), 0);
    assert_eq!(served(26_000), 1_000);
}

#[test]
fn latency_stays_within_its_range() {
    let mut faults = faults(&["latency=50ms..200ms"]);
    let delays: Vec<Duration> = (0..200).map(|_| faults.fate(System::Erp, 0).delay).collect();
    assert!(delays.iter().all(|d| (50..=200).contains(&d.as_millis())));
    assert!(delays.iter().any(|d| *d != delays[0]));
}

#[test]
fn poisons_add_up_and_are_taken_back_by_their_kind() {
    let of = |faults: &Faults, system| {
        let all = faults.poisons(system).map(|(kind, sku)| format!("{kind:?} {sku}"));
        all.collect::<Vec<_>>().join(", ")
    };
    let specs = ["poison=A", "shopify-poison=B", "poison=A", "amazon-poison-refused=A"];
    let mut faults = faults(&specs);
    assert_eq!(of(&faults, System::Shopify), "Fails A, Fails B");
    assert_eq!(of(&faults, System::Amazon), "Fails A, Refused A");
    faults.apply(&FaultSpec::parse("poison=off").expect("a fault"), 0);
    assert_eq!((of(&faults, System::Shopify), of(&faults, System::Amazon)), ("".into(), "Refused A".into()));
    faults.apply(&FaultSpec::None, 0);
    assert_eq!(of(&faults, System::Amazon), "");
}
