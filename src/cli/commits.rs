//! `evenkeel commits`: what is on its way to the channels, and what persons have wanted.

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

use crate::{
    cli::{
        Failure, Global,
        client::{Client, part},
        print,
        show::apart,
    },
    model::Sku,
    web::view::intents::{Commits as View, IntentView},
};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Commits {
    #[command(subcommand)]
    command: Option<Cancel>,
    /// Only intents that have not ended. Of commits, all that are listed are open.
    #[arg(long)]
    open: bool,
    #[arg(long)]
    sku: Option<Sku>,
    /// One intent, by its id or the name that it was given with `--id`, with all of its legs.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    intent: Option<String>,
    #[arg(long, default_value_t = 200)]
    limit: usize,
}

#[derive(Debug, Subcommand)]
enum Cancel {
    /// Roll back an intent that has not raised anything yet.
    Cancel {
        /// As it is listed, or the name that it was given with `--id`.
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
}

pub(super) fn run(global: &Global, commits: &Commits) -> Result<(), Failure> {
    let client = Client::new(global)?;
    if let Some(Cancel::Cancel { id }) = &commits.command {
        let intent: IntentView =
            client.post(&format!("/v1/intents/{}/cancel", part(id)), &serde_json::json!({}))?;
        return print::answer(global.json, &intent, tell_intent);
    }
    let mut path = format!("/v1/commits?open={}&limit={}", commits.open, commits.limit);
    if let Some(sku) = &commits.sku {
        path.push_str(&format!("&sku={}", part(sku.as_str())));
    }
    if let Some(id) = &commits.intent {
        path.push_str(&format!("&intent={}", part(id)));
    }
    let view: View = client.get(&path)?;
    print::answer(global.json, &view, |view| tell(view, commits))
}

fn tell(view: &View, asked: &Commits) {
    if let (Some(now), Some(sku)) = (&view.now, &asked.sku) {
        print::line(&format!("`{sku}` is now `{now}`"));
    }
    if asked.intent.is_some() {
        view.intents.iter().for_each(tell_intent);
    } else {
        let rows = view.intents.iter().map(|i| {
            let what = i.lines.first().map(|line| format!("{} {}", line.sku, line.what)).unwrap_or_default();
            let more =
                if i.line_count > 1 { format!(" and {} more", i.line_count - 1) } else { String::new() };
            let waits = i.legs.iter().find_map(|leg| leg.waits_for.clone());
            [
                named(i),
                i.phase.name().to_owned(),
                i.since.to_string(),
                format!("{what}{more}"),
                i.waiting.to_string(),
                i.undone.clone().or(waits).unwrap_or_default(),
            ]
        });
        let header = ["intent", "phase", "since", "what", "waiting", "why"];
        print::table(header, rows.collect(), none_of(asked.open));
    }
    let reasons = view.commits.iter().flat_map(|c| &c.legs).filter_map(|leg| leg.waits_for.as_deref());
    let notes = print::Notes::of(reasons);
    let rows = view.commits.iter().flat_map(|c| {
        c.legs.iter().map(|leg| {
            let state = leg.state.as_deref().unwrap_or("-");
            let state = if leg.ended && state != "dropped" { "seen" } else { state };
            [
                c.id.to_string(),
                apart(c.sku.as_str(), &leg.listing, leg.several).join(" "),
                c.revision.to_string(),
                print::span(c.age_ms),
                leg.channel.to_string(),
                print::or_dash(leg.desired),
                state.to_owned(),
                notes.short(leg.waits_for.as_deref()),
            ]
        })
    });
    let rows: Vec<_> = rows.collect();
    let header = ["commit", "sku", "revision", "age", "channel", "desired", "state", "waits for"];
    // Of an intent the legs tell: what it raises is of later commits.
    if !rows.is_empty() || view.intents.is_empty() || asked.intent.is_none() {
        print::table(header, rows, "every stock change is seen live everywhere, or given up");
    }
    notes.tell();
    if view.more {
        print::line("there are more; see --limit");
    }
}

/// Says that there are no intents: none at all of late, or none that is still under way.
fn none_of(open: bool) -> &'static str {
    match open {
        true => "no intent is open: what people have set or transferred is done or rolled back",
        false => "nobody has wanted stock moved or limited lately",
    }
}

/// Its id, and the name that its request gave it.
fn named(intent: &IntentView) -> String {
    match &intent.name {
        Some(name) => format!("{} ({name})", intent.id),
        None => intent.id.to_string(),
    }
}

pub(super) fn tell_intent(intent: &IntentView) {
    let why = intent.undone.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    print::line(&format!("intent {} is {} since {}{why}", named(intent), intent.phase.name(), intent.since));
    let rows = intent.lines.iter().map(|line| [line.sku.to_string(), line.what.clone()]);
    print::table(["sku", "what"], rows.collect(), "");
    let rows = intent.legs.iter().map(|leg| {
        [
            apart(leg.sku.as_str(), &leg.listing, leg.several).join(" "),
            leg.channel.to_string(),
            leg.way.name().to_owned(),
            leg.step.clone(),
            leg.waits_for.clone().unwrap_or_default(),
        ]
    });
    print::table(["sku", "channel", "way", "step", "waits for"], rows.collect(), "no listing had to change");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_no_intent_is_open_is_not_told_as_if_there_never_was_one() {
        assert!(none_of(true).starts_with("no intent is open"));
        assert!(none_of(false).starts_with("nobody has wanted"));
    }
}
