//! `evenkeel check`: everything that can be known to be wrong before the daemon runs.

use clap::Args;
use serde::Serialize;

use crate::{
    cli::{Failure, Global, client::load, failure::Kind, print},
    config::{Secrets, process_env},
    engine::registry,
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
    let secrets = Secrets::load(&config, &process_env())
        .map_err(|problems| Failure::new(Kind::Config, problems).as_json(global.json))?;
    let connectors = registry::build(&config, &secrets)
        .map_err(|error| Failure::new(Kind::Config, error).as_json(global.json))?;
    let kinds = config.channels();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut channels = Vec::new();
    for (id, connector) in &connectors {
        let (answer, notes) = if check.online {
            match runtime.block_on(connector.check()) {
                Ok(found) if found.problems.is_empty() => ("good".to_owned(), found.facts),
                Ok(found) => (found.problems.join("; "), found.facts),
                Err(fault) => (fault.to_string(), Vec::new()),
            }
        } else {
            ("not asked".to_owned(), Vec::new())
        };
        let kind = kinds.get(id).map_or("unknown", |kind| kind.name());
        channels.push(Channel { channel: id.to_string(), kind, answer, notes });
    }
    let bad = channels.iter().filter(|c| c.answer != "good" && c.answer != "not asked").count();
    let checked = Checked { config: global.config.display().to_string(), channels };
    print::answer(global.json, &checked, tell)?;
    if bad > 0 {
        let failure = Failure::new(Kind::Refused, format!("{bad} channels refused the check"));
        return Err(failure.next("mend what the channel's line says").as_json(global.json));
    }
    Ok(())
}

fn tell(checked: &Checked) {
    print::line(&format!("{}: good", checked.config));
    let rows = checked.channels.iter();
    let rows = rows.map(|c| [c.channel.clone(), c.kind.to_owned(), c.answer.clone(), c.notes.join("; ")]);
    print::table(["channel", "kind", "answer", "notes"], rows.collect(), "no channels are configured");
}
