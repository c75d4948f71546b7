//! Checks every table that is not about channels, SKUs or identifiers.

use std::{net::SocketAddr, path::Path, time::Duration};

use tracing_subscriber::EnvFilter;

use crate::{
    config::{
        raw,
        schedule::Schedule,
        scope::Scope,
        settings::{
            AlertTarget, Alerts, Log, LogFormat, MemoryLimits, Retention, RoomLimits, Socket, StopAt, Store,
            Web,
        },
        span::millis,
    },
    model::{
        Instance, Quantity,
        policy::{AlertPolicy, Allocation, Brake, ChannelDrift, DriftPolicy, Repair, Retry},
    },
    store::archive_of,
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// The longest path that a Unix socket's address holds on Linux, in bytes.
const SOCKET_PATH_MAX: usize = 107;

pub(super) fn instance(raw: Option<String>, at: &Scope<'_>) -> Instance {
    at.parsed("instance", raw).unwrap_or_else(|| Instance::new("main").expect("it is a valid name"))
}

pub(super) fn store(raw: raw::Store, at: &Scope<'_>) -> Store {
    let path = at.path("path", raw.path, "/var/lib/evenkeel");
    let beside = archive_of(&path).display().to_string();
    let stop = match raw.stop_bytes {
        Some(bytes) => StopAt::Bytes(at.whole("stop_bytes", Some(bytes), 0, 0..=1 << 50)),
        None => StopAt::Percent(at.whole("stop_percent", raw.stop_percent, 10, 0..=90)),
    };
    Store {
        archive: at.path("archive", raw.archive, &beside),
        path,
        room: RoomLimits { alarm_percent: at.whole("alarm_percent", raw.alarm_percent, 20, 0..=90), stop },
        segment_bytes: at.whole("segment_bytes", raw.segment_bytes, 32 << 20, 1 << 20..=4 << 30),
        cache_bytes: at.whole("cache_bytes", raw.cache_bytes, 4 << 20, 1 << 20..=64 << 30),
        group_max: at.whole("group_max", raw.group_max, 512, 1..=65_536),
        swap_every: swap_every(raw.swap_every, at),
    }
}

fn swap_every(raw: Option<raw::Span>, at: &Scope<'_>) -> Option<Duration> {
    let every = at.span("swap_every", raw, 7 * DAY, Duration::ZERO..=3650 * DAY);
    if !every.is_zero() && every < SECOND {
        at.key("swap_every").problem("must be `0s`, which means never, or at least `1s`");
    }
    (!every.is_zero()).then_some(every)
}

pub(super) fn memory(raw: raw::Memory, at: &Scope<'_>) -> MemoryLimits {
    const MOST: i64 = 1 << 44;
    MemoryLimits {
        alarm_bytes: at.whole("alarm_bytes", raw.alarm_bytes, 1 << 30, 0..=MOST),
        restart_bytes: at.whole("restart_bytes", raw.restart_bytes, 0, 0..=MOST),
        restart_after: at.span("restart_after", raw.restart_after, 6 * HOUR, SECOND..=365 * DAY),
    }
}

pub(super) fn web(raw: raw::Web, at: &Scope<'_>) -> Web {
    let listen = raw.listen.and_then(|text| {
        let parsed = text.parse::<SocketAddr>().ok();
        if parsed.is_none() {
            let message = format!("must be an IP address and a port, is `{}`", text.escape_debug());
            at.key("listen").problem_fix(message, "write it like `127.0.0.1:8480` or `[::1]:8480`");
        }
        parsed
    });
    // So that what is joined to it comes below its path.
    let public_url = at.url("public_url", raw.public_url).map(|mut url| {
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        url
    });
    Web {
        public_url,
        listen: listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8480))),
        body_max_bytes: at.whole("body_max_bytes", raw.body_max_bytes, 4 << 20, 1 << 10..=64 << 20),
        queue_max: at.whole("queue_max", raw.queue_max, 4096, 1..=1_000_000),
        answer_within: at.span(
            "answer_within",
            raw.answer_within,
            4 * SECOND,
            Duration::from_millis(100)..=MINUTE,
        ),
    }
}

pub(super) fn socket(raw: raw::Socket, at: &Scope<'_>) -> Socket {
    let path = at.path("path", raw.path, "/run/evenkeel/evenkeel.sock");
    if path_len(&path) > SOCKET_PATH_MAX {
        let message = format!("must be at most `{SOCKET_PATH_MAX}` bytes long, is `{}`", path_len(&path));
        at.key("path").problem(message);
    }
    Socket { path }
}

fn path_len(path: &Path) -> usize {
    path.as_os_str().len()
}

pub(super) fn log(raw: raw::Log, at: &Scope<'_>) -> Log {
    let formats = [
        ("auto", LogFormat::Auto),
        ("text", LogFormat::Text),
        ("json", LogFormat::Json),
        ("journald", LogFormat::Journald),
    ];
    let level = raw.level.unwrap_or_else(|| "info".to_owned());
    if let Err(why) = check_level(&level) {
        at.key("level").problem_fix(why, "write `error`, `warn`, `info`, `debug`, `trace` or `off`");
    }
    Log { format: at.choice("format", raw.format, LogFormat::Auto, &formats), level }
}

/// Checks log directives. A bare word is read as a level; the filter itself would take a mistyped one for the
/// name of a module, and silence everything else.
fn check_level(level: &str) -> Result<(), String> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let shown = level.escape_debug();
    let bare = level.split(',').map(str::trim).filter(|directive| !directive.contains(['=', '[']));
    for word in bare {
        if !LEVELS.contains(&word.to_lowercase().as_str()) {
            return Err(format!("must be a level or `module=level`, separated by commas, is `{shown}`"));
        }
    }
    match EnvFilter::builder().parse(level) {
        Ok(_) => Ok(()),
        Err(why) => {
            Err(format!("must be a level or `module=level`, separated by commas, is `{shown}`: {why}"))
        }
    }
}

pub(super) fn allocation(raw: raw::Allocation, at: &Scope<'_>) -> Allocation {
    Allocation { safety_stock: at.units("safety_stock", raw.safety_stock).unwrap_or(Quantity::ZERO) }
}

pub(super) fn brake(raw: raw::Brake, at: &Scope<'_>) -> Brake {
    Brake {
        zero_percent: at.whole("zero_percent", raw.zero_percent, 20, 1..=100),
        move_percent: at.whole("move_percent", raw.move_percent, 50, 1..=100),
        min_skus: at.whole("min_skus", raw.min_skus, 10, 0..=1_000_000),
    }
}

pub(super) fn retry(raw: raw::Retry, at: &Scope<'_>) -> Retry {
    let least = Duration::from_millis(10);
    let base = at.span("base", raw.base, SECOND, least..=5 * MINUTE);
    let cap = at.span("cap", raw.cap, 5 * MINUTE, least..=DAY);
    if base > cap {
        at.key("base").problem("must not be longer than `retry.cap`");
    }
    Retry {
        base_ms: millis(base),
        cap_ms: millis(cap),
        circuit_failures: at.whole("circuit_failures", raw.circuit_failures, 5, 1..=1000),
        circuit_open_ms: millis(at.span(
            "circuit_open",
            raw.circuit_open,
            30 * SECOND,
            Duration::from_millis(100)..=HOUR,
        )),
    }
}

pub(super) fn alerts(raw: raw::Alerts, at: &Scope<'_>) -> Alerts {
    if raw.webhook_url.is_some() && raw.webhook_secret.is_some() {
        at.key("webhook_url")
            .problem_fix("must not be given together with `webhook_secret`", "remove one of the two");
    }
    let secret = raw.webhook_secret.and_then(|secret| at.key("webhook_secret").secret(secret));
    let plain = at.url("webhook_url", raw.webhook_url);
    let target = secret.map(AlertTarget::Secret).or(plain.map(AlertTarget::Plain));
    let repeat = at.span("repeat", raw.repeat, 4 * HOUR, Duration::ZERO..=30 * DAY);
    if !repeat.is_zero() && repeat < MINUTE {
        at.key("repeat").problem("must be `0s`, which means never, or at least `1m`");
    }
    Alerts {
        policy: AlertPolicy {
            after_tries: at.whole("after_tries", raw.after_tries, 10, 1..=1000),
            after_ms: millis(at.span("after", raw.after, 15 * MINUTE, SECOND..=7 * DAY)),
            repeat_ms: millis(repeat),
            webhook: target.is_some(),
            oversold_units: at.whole(
                "oversold_units",
                raw.oversold_units,
                AlertPolicy::oversold_units(),
                0..=1_000_000,
            ),
        },
        target,
        runbook_url: at.url("runbook_url", raw.runbook_url),
    }
}

/// What may be done about a difference.
const REPAIRS: [(&str, Repair); 3] =
    [("ours", Repair::Ours), ("ask", Repair::Ask), ("theirs", Repair::Theirs)];

pub(super) fn drift(raw: raw::Drift, at: &Scope<'_>) -> DriftPolicy {
    let within = Duration::from_millis(DriftPolicy::loop_within_ms().unsigned_abs());
    let (times, most) = (DriftPolicy::loop_repairs(), DriftPolicy::LOOP_REPAIRS_MAX);
    DriftPolicy {
        repair: at.choice("repair", raw.repair, Repair::default(), &REPAIRS),
        on_hand: repair_or_none("on_hand", raw.on_hand, at),
        loop_repairs: at.whole("loop_repairs", raw.loop_repairs, times, 2..=i64::from(most)),
        loop_within_ms: millis(at.span("loop_within", raw.loop_within, within, MINUTE..=7 * DAY)),
    }
}

pub(super) fn channel_drift(raw: raw::ChannelDrift, at: &Scope<'_>) -> ChannelDrift {
    ChannelDrift {
        repair: repair_or_none("repair", raw.repair, at),
        on_hand: repair_or_none("on_hand", raw.on_hand, at),
    }
}

fn repair_or_none(key: &str, value: Option<String>, at: &Scope<'_>) -> Option<Repair> {
    value.map(|value| at.choice(key, Some(value), Repair::default(), &REPAIRS))
}

pub(super) fn reconcile(raw: raw::Reconcile, at: &Scope<'_>) -> Schedule {
    at.schedule(["every", "cron"], (raw.every, raw.cron), Schedule::Every(6 * HOUR))
}

pub(super) fn tend(raw: raw::Tend, at: &Scope<'_>) -> Schedule {
    at.schedule(["every", ""], (raw.every, None), Schedule::Every(HOUR))
}

pub(super) fn retention(raw: raw::Retention, at: &Scope<'_>) -> Retention {
    let archive = raw.archive.map(|span| at.span("archive", Some(span), 3650 * DAY, 30 * DAY..=36_500 * DAY));
    let quarantine = at.span("quarantine", raw.quarantine, 14 * DAY, HOUR..=3650 * DAY);
    let orders = at.span("orders", raw.orders, 90 * DAY, Duration::ZERO..=36_500 * DAY);
    if !orders.is_zero() && orders < SECOND {
        at.key("orders").problem("must be `0s`, which means for ever, or at least `1s`");
    }
    Retention { archive, quarantine, orders: (!orders.is_zero()).then_some(orders) }
}
