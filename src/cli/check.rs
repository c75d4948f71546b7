//! `evenkeel check`: everything that can be known to be wrong before the daemon runs.

mod places;

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{
        Failure, Global,
        client::{load, secrets},
        failure::Kind,
        print,
    },
    engine::registry,
    model::counted,
    telemetry::causes,
};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Also ask every channel whether credentials, scopes and versions are good. Reads only.
    #[arg(long)]
    online: bool,
}

#[derive(Serialize)]
struct Checked {
    config: String,
    /// What the daemon needs of this machine.
    places: Vec<places::Place>,
    channels: Vec<Channel>,
}

#[derive(Serialize)]
struct Channel {
    channel: String,
    kind: &'static str,
    /// `not asked`, `good`, or what is wrong.
    answer: String,
    notes: Vec<String>,
}

pub(super) fn run(global: &Global, check: &Check) -> Result<(), Failure> {
    let config = load(global)?;
    let secrets = secrets(global, &config)?;
    let connectors = registry::build(&config, &secrets)
        .map_err(|error| Failure::of(Kind::Config, &error).next(MEND).as_json(global.json))?;
    let kinds = config.channels();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut channels = Vec::new();
    for (id, connector) in &connectors {
        let (answer, notes) = if check.online {
            match runtime.block_on(connector.check()) {
                Ok(found) if found.problems.is_empty() => ("good".to_owned(), found.facts),
                Ok(found) => (found.problems.join("; "), found.facts),
                Err(fault) => (causes(&fault), Vec::new()),
            }
        } else {
            ("not asked".to_owned(), Vec::new())
        };
        let kind = kinds.get(id).map_or("unknown", |kind| kind.name());
        channels.push(Channel { channel: id.to_string(), kind, answer, notes });
    }
    let refused = channels.iter().filter(|c| c.answer != "good" && c.answer != "not asked").count();
    let places = places::look(&config);
    let unfit = places.iter().filter(|place| !place.is_good()).count();
    let checked = Checked { config: global.config.display().to_string(), places, channels };
    print::answer(global.json, &checked, tell)?;
    let mut wrong = Vec::new();
    if unfit > 0 {
        wrong.push(format!("{unfit} of what the daemon needs of this machine is not as it must be"));
    }
    if refused > 0 {
        wrong.push(format!("{} refused the check", counted(refused, "channel")));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    let failure = Failure::new(Kind::Refused, wrong.join("; "));
    Err(failure.next("mend what the line's answer says, and check again").as_json(global.json))
}

const MEND: &str = "mend the key named; docs/CONFIG.md tells every key";

fn tell(checked: &Checked) {
    print::line(&format!("{}: the file and its secrets are good", checked.config));
    let rows = checked.places.iter().map(places::Place::row);
    print::table(["key", "at", "answer", "notes"], rows.collect(), "");
    let rows = checked.channels.iter();
    let rows = rows.map(|c| [c.channel.clone(), c.kind.to_owned(), c.answer.clone(), c.notes.join("; ")]);
    print::table(["channel", "kind", "answer", "notes"], rows.collect(), "no channels are configured");
}
