//! `evenkeel dead-letters`: what waits for a person.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};

use crate::{
    cli::{
        Failure, Global,
        client::{Client, part},
        print,
    },
    model::{self, ChannelId, counted},
    web::view::{self, Done, LetterId, LettersDone, LettersRequest},
};

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetters {
    /// List them: what each is about, why and since when it waits, how often it was tried, and the command that helps, or
    /// both where only a person knows which.
    List {
        #[command(flatten)]
        which: Which,
        #[arg(long, default_value_t = 200)]
        limit: usize,
    },
    /// Try one again, or all that fit; take a held count over after all.
    Retry(Those),
    /// Give one up, or all that fit.
    Discard(Those),
}

#[derive(Debug, Args)]
pub(super) struct Which {
    /// Those of this channel.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<ChannelId>,
    /// Those whose reason has this text in it; upper and lower case are the same.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// One, or all that fit.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("those").required(true).multiple(true))]
pub(super) struct Those {
    /// As `evenkeel dead-letters list` shows it.
    #[arg(group = "those", conflicts_with_all = ["channel", "reason", "all", "dry_run"])]
    id: Option<LetterId>,
    /// Those of this channel. Held counts are left out: each is dealt with by its id. So are, unless --reason is given, orders
    /// that the ERP may have already.
    #[arg(long, value_name = "CHANNEL", group = "those")]
    channel: Option<ChannelId>,
    /// Those whose reason has this text in it; upper and lower case are the same.
    #[arg(long, value_name = "TEXT", group = "those")]
    reason: Option<String>,
    /// All but held counts, and orders that an ERP may have already.
    #[arg(long, group = "those", conflicts_with_all = ["channel", "reason"])]
    all: bool,
    /// Only show which they are.
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn run(global: &Global, command: &DeadLetters) -> Result<(), Failure> {
    let client = Client::new(global)?;
    match command {
        DeadLetters::List { which, limit } => {
            let mut path = format!("/v1/dead-letters?limit={limit}");
            for (name, text) in [
                ("channel", which.channel.as_ref().map(ToString::to_string)),
                ("reason", which.reason.clone()),
            ] {
                path.extend(text.map(|text| format!("&{name}={}", part(&text))));
            }
            let letters: view::DeadLetters = client.get(&path)?;
            print::answer(global.json, &letters, |letters| {
                let besides = besides(letters);
                let none = if besides.is_empty() {
                    "nothing waits for a person"
                } else {
                    "there are no dead letters"
                };
                tell(&letters.letters, none);
                besides.iter().for_each(|line| print::line(line));
                if letters.more {
                    print::line("there are more; see --limit");
                }
            })
        }
        DeadLetters::Retry(those) => act(global, &client, those, "retry"),
        DeadLetters::Discard(those) => act(global, &client, those, "discard"),
    }
}

/// Says what else waits for a person, and where it is dealt with.
fn besides(letters: &view::DeadLetters) -> Vec<String> {
    let (orders, drifts) = (letters.unmapped_orders, letters.drifts);
    let unmapped = || {
        let (orders, have) = (counted(orders, "order"), model::which(orders, "has", "have"));
        format!("{orders} {have} lines without a SKU: see `evenkeel map list --lines`")
    };
    let drift = || {
        let (drifts, wait) = (counted(drifts, "drift"), model::which(drifts, "waits", "wait"));
        format!("{drifts} {wait} for a person: see `evenkeel drift`")
    };
    let unmapped = (orders > 0).then(unmapped);
    unmapped.into_iter().chain((drifts > 0).then(drift)).collect()
}

fn act(global: &Global, client: &Client, those: &Those, verb: &str) -> Result<(), Failure> {
    if let Some(id) = &those.id {
        let path = format!("/v1/dead-letters/{}/{verb}", part(&id.to_string()));
        let done: Done = client.post(&path, &serde_json::json!({}))?;
        return print::answer(global.json, &done, |done| print::line(&done.done));
    }
    let asked = LettersRequest {
        channel: those.channel.clone(),
        reason: those.reason.clone(),
        all: those.all,
        dry_run: those.dry_run,
    };
    let done: LettersDone = client.post(&format!("/v1/dead-letters/{verb}"), &asked)?;
    print::answer(global.json, &done, |done| {
        let left = left_out(done);
        tell(
            &done.letters,
            if left.is_empty() { "no dead letter fits" } else { "no other dead letter fits" },
        );
        left.iter().for_each(|line| print::line(line));
        let letters = done.letters.len();
        let are = model::which(letters, "is", "are");
        let what = match (done.dry_run, verb) {
            (true, "retry") => "would be tried again".to_owned(),
            (true, _) => "would be given up".to_owned(),
            (false, "retry") => format!("{are} tried again"),
            (false, _) => format!("{are} given up"),
        };
        print::line(&format!("{letters} {what}"));
        if done.more {
            print::line("there are more; the same command goes on with them");
        }
    })
}

/// Says what fits but is left out, and what it wants.
fn left_out(done: &LettersDone) -> Vec<String> {
    let (orders, counts) = (done.left_asked, done.left_counts);
    let asked = || {
        let (of, are) = (counted(orders, "order"), model::which(orders, "is", "are"));
        format!(
            "{of} that an ERP may have already {are} left out: name a part of the reason with --reason, or the id"
        )
    };
    let held = || {
        let (of, are) = (counted(counts, "held count"), model::which(counts, "is", "are"));
        format!("{of} {are} left out: each is dealt with by its id")
    };
    (orders > 0).then(asked).into_iter().chain((counts > 0).then(held)).collect()
}

fn tell(letters: &[view::DeadLetter], none: &str) {
    let rows = letters.iter().map(|l| {
        [
            l.channel.to_string(),
            l.subject.clone(),
            l.reason.clone(),
            l.since.to_string(),
            l.tries.to_string(),
            helps(l),
        ]
    });
    print::table(["channel", "about", "reason", "since", "tries", "helps"], rows.collect(), none);
    choices(letters).iter().for_each(|choice| print::line(choice));
}

/// Returns the command that helps, or both where a person is asked.
fn helps(letter: &view::DeadLetter) -> String {
    match &letter.other {
        Some(other) => format!("{} or {other}", letter.command),
        None => letter.command.clone(),
    }
}

/// Says what the two answers do, once for each kind of question.
fn choices(letters: &[view::DeadLetter]) -> BTreeSet<String> {
    let asked = letters.iter().filter(|letter| letter.other.is_some());
    let say = |l: &view::DeadLetter| format!("a {}: retry {}; discard {}", l.kind, l.retry, l.discard);
    asked.map(say).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Counter, Timestamp};

    #[test]
    fn a_question_with_two_answers_names_both_commands_and_says_once_what_they_do() {
        let letter = |id: &str, other: Option<&str>| view::DeadLetter {
            id: id.parse().expect("an id"),
            kind: "posting".to_owned(),
            channel: Counter::Channel("erp".parse().expect("a name")),
            subject: id.to_owned(),
            reason: "placed before the opening stock".to_owned(),
            since: view::Time(Timestamp::ZERO),
            tries: 0,
            command: format!("evenkeel dead-letters retry {id}"),
            other: other.map(str::to_owned),
            retry: "posts what is missing".to_owned(),
            discard: "leaves it to others".to_owned(),
        };
        let ids = ["posting:erp:main:1", "posting:erp:main:2", "posting:erp:main:3"];
        let [one, two, three] = [
            letter(ids[0], Some("evenkeel dead-letters discard X")),
            letter(ids[1], Some("Y")),
            letter(ids[2], None),
        ];
        assert_eq!(
            helps(&one),
            format!("evenkeel dead-letters retry {} or evenkeel dead-letters discard X", ids[0])
        );
        assert_eq!(helps(&three), format!("evenkeel dead-letters retry {}", ids[2]));
        let said: Vec<String> = choices(&[one, two, three.clone()]).into_iter().collect();
        assert_eq!(said, ["a posting: retry posts what is missing; discard leaves it to others"]);
        assert!(choices(&[three]).is_empty());
    }

    #[test]
    fn what_is_left_out_of_all_is_counted_with_what_it_wants() {
        let check = |left_asked: usize, left_counts: usize, want: &[&str]| {
            let done =
                LettersDone { letters: Vec::new(), more: false, dry_run: false, left_counts, left_asked };
            assert_eq!(left_out(&done), want);
        };
        check(0, 0, &[]);
        check(0, 1, &["1 held count is left out: each is dealt with by its id"]);
        let asked = "8 orders that an ERP may have already are left out: name a part of the reason with --reason, or \
                     the id";
        check(8, 0, &[asked]);
    }

    #[test]
    fn what_waits_and_is_no_dead_letter_is_named_with_the_command_that_shows_it() {
        let check = |unmapped_orders: usize, drifts: usize, want: &[&str]| {
            let told = view::DeadLetters { unmapped_orders, drifts, letters: Vec::new(), more: false };
            assert_eq!(besides(&told), want);
        };
        check(0, 0, &[]);
        check(0, 1, &["1 drift waits for a person: see `evenkeel drift`"]);
        let unmapped = "1 order has lines without a SKU: see `evenkeel map list --lines`";
        check(1, 2, &[unmapped, "2 drifts wait for a person: see `evenkeel drift`"]);
    }
}
