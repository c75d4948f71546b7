//! `evenkeel reload`: the changed configuration takes effect without a restart.

use clap::Args;

use crate::{
    cli::{Failure, Global, client::Client, effect, failure::Kind, print},
    web::view::{ReloadRequest, Reloaded},
};

#[derive(Debug, Args)]
pub(super) struct Reload {
    /// Only show what would change, and what that would do to the listings.
    #[arg(long, conflicts_with = "confirm")]
    dry_run: bool,
    /// Take it over although it would change more than `[brake]` allows.
    #[arg(long, visible_alias = "yes")]
    confirm: bool,
}

pub(super) fn run(global: &Global, reload: &Reload) -> Result<(), Failure> {
    let asked = ReloadRequest { dry_run: reload.dry_run, confirm: reload.confirm };
    let told: Reloaded = Client::new(global)?.post("/v1/reload", &asked)?;
    print::answer(global.json, &told, tell)?;
    match told.held {
        Some(why) if !reload.dry_run => {
            Err(Failure::new(Kind::Refused, format!("held: {why}; nothing was changed"))
                .next("if that is meant, `evenkeel reload --confirm`; otherwise mend the file")
                .as_json(global.json))
        }
        _ => Ok(()),
    }
}

fn tell(told: &Reloaded) {
    if told.unchanged {
        return print::line("the file says what is in effect already");
    }
    let names = |what: &str, all: Vec<String>| {
        if !all.is_empty() {
            print::line(&format!("{what}: {}", all.join(", ")));
        }
    };
    names("changed", told.changes.clone());
    let text = |all: &[crate::model::ChannelId]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    names("channels added", text(&told.added));
    names("channels removed (their listings stay as they are)", text(&told.removed));
    names("channels started anew", text(&told.restarted));
    told.notes.iter().for_each(|note| print::line(&format!("note: {note}")));
    effect::tell(&told.effect);
    match (&told.held, told.done) {
        (Some(why), _) => print::line(&format!("the brake holds it: {why}")),
        (None, true) => print::line("it is in effect"),
        (None, false) => print::line("nothing was changed"),
    }
}
