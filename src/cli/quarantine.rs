//! `evenkeel quarantine`: messages that could not be read.

use clap::{Args, Subcommand};

use crate::{
    cli::{
        Failure, Global,
        client::{Client, part},
        failure::Kind,
        print,
    },
    model::{ChannelId, Seq},
    web::view::{DiscardRequest, Discarded, Meant, QuarantineBody, QuarantineList, ReplayRequest, Replayed},
};

#[derive(Debug, Subcommand)]
pub(super) enum Quarantine {
    /// List them: what each is, why it could not be read, and whether its body is still kept.
    List {
        #[command(flatten)]
        filter: Filter,
        #[arg(long, default_value_t = 200)]
        limit: usize,
    },
    /// Print what was kept of one. It may hold buyers' data; only root and the daemon's own user may see it.
    Show {
        #[arg(value_parser = number)]
        id: Seq,
    },
    /// Read some again, with today's release and configuration. What can be read takes effect and is over.
    Replay {
        #[command(flatten)]
        meant: Which,
        /// Only tell what can be read.
        #[arg(long)]
        dry_run: bool,
    },
    /// Give some up. What they told never counts.
    Discard {
        #[command(flatten)]
        meant: Which,
        /// Why, for the journal.
        #[arg(long)]
        reason: String,
        /// Only tell which are meant.
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub(super) struct Filter {
    #[arg(long)]
    channel: Option<ChannelId>,
    /// The topic, as the list shows it.
    #[arg(long)]
    topic: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Which {
    #[arg(value_parser = number, required_unless_present = "all", conflicts_with = "all")]
    ids: Vec<Seq>,
    /// All of them, or all that fit `--channel` and `--topic`.
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    filter: Filter,
}

/// Reads a number, as this list shows it or as `dead-letters` does.
fn number(text: &str) -> Result<Seq, String> {
    let text = text.strip_prefix("quarantine:").unwrap_or(text);
    text.parse().map(Seq).map_err(|_| "must be a number, as `evenkeel quarantine list` shows it".to_owned())
}

impl From<Which> for Meant {
    fn from(which: Which) -> Meant {
        let Which { ids, all, filter } = which;
        Meant { ids, all, channel: filter.channel, topic: filter.topic }
    }
}

/// Returns who runs this, as they call themselves.
pub(super) fn caller() -> Option<String> {
    ["SUDO_USER", "USER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
}

pub(super) fn run(global: &Global, command: Quarantine) -> Result<(), Failure> {
    let client = Client::new(global)?;
    match command {
        Quarantine::List { filter, limit } => {
            let mut path = format!("/v1/quarantine?limit={limit}");
            if let Some(channel) = &filter.channel {
                path.push_str(&format!("&channel={channel}"));
            }
            if let Some(topic) = &filter.topic {
                path.push_str(&format!("&topic={}", part(topic)));
            }
            print::answer(global.json, &client.get::<QuarantineList>(&path)?, list)
        }
        Quarantine::Show { id } => {
            let body: QuarantineBody = client.get(&format!("/v1/quarantine/{id}"))?;
            print::answer(global.json, &body, show)
        }
        Quarantine::Replay { meant, dry_run } => {
            let asked = ReplayRequest { meant: meant.into(), dry_run };
            let replayed: Replayed = client.post("/v1/quarantine/replay", &asked)?;
            print::answer(global.json, &replayed, tell)?;
            match replayed.items.iter().filter(|item| !item.done).count() {
                0 => Ok(()),
                failed => Err(Failure::new(
                    Kind::Refused,
                    format!("{failed} still cannot be read, and stay"),
                )
                .next("`evenkeel quarantine show` prints what was kept; report a new shape, or discard them")
                .as_json(global.json)),
            }
        }
        Quarantine::Discard { meant, reason, dry_run } => {
            let asked = DiscardRequest { meant: meant.into(), reason, by: caller(), dry_run };
            let discarded: Discarded = client.post("/v1/quarantine/discard", &asked)?;
            print::answer(global.json, &discarded, |d| {
                let became = if d.dry_run { "would be given up" } else { "are given up" };
                print::line(&format!("{} {became}", d.ids.len()));
            })
        }
    }
}

fn list(all: &QuarantineList) {
    let rows = all.items.iter().map(|item| {
        let body = if item.kept { "kept" } else { "gone" };
        [
            item.id.to_string(),
            item.since.to_string(),
            item.channel.to_string(),
            item.topic.clone(),
            item.subject.clone().unwrap_or_default(),
            body.to_owned(),
            item.why.clone(),
        ]
    });
    let header = ["id", "since", "channel", "topic", "about", "body", "why"];
    print::table(header, rows.collect(), "nothing is in quarantine");
    if all.more {
        print::line("there are more; see --limit");
    }
}

fn show(body: &QuarantineBody) {
    let item = &body.item;
    let about = item.subject.as_deref().unwrap_or("-");
    print::line(&format!("{} {} {about} of {}: {}", item.channel, item.topic, item.since, item.why));
    let intact = if body.intact { "intact" } else { "NOT what was kept: the file was changed" };
    print::line(&format!("sha256 {} ({intact})", item.sha256));
    let text = body.text.as_ref().or(body.base64.as_ref());
    print::line(text.map_or("", String::as_str));
}

fn tell(replayed: &Replayed) {
    let rows = replayed.items.iter().map(|item| {
        let became = match (item.done, replayed.dry_run) {
            (true, true) => "can be read",
            (true, false) => "over",
            (false, _) => "stays",
        };
        [
            item.id.to_string(),
            item.channel.to_string(),
            item.topic.clone(),
            became.to_owned(),
            item.told.clone(),
        ]
    });
    print::table(["id", "channel", "topic", "became", "told"], rows.collect(), "nothing fits");
}
