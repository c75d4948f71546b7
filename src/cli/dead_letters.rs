//! `evenkeel dead-letters`: what waits for a person.

use clap::Subcommand;

use crate::{
    cli::{
        Failure, Global,
        client::{Client, part},
        print,
    },
    web::view::{self, Done, LetterId},
};

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetters {
    /// List them, with what retrying and discarding each does.
    List {
        #[arg(long, default_value_t = 200)]
        limit: usize,
    },
    /// Try one again; take a held count over after all.
    Retry { id: LetterId },
    /// Give one up.
    Discard { id: LetterId },
}

pub(super) fn run(global: &Global, command: &DeadLetters) -> Result<(), Failure> {
    let client = Client::new(global)?;
    match command {
        DeadLetters::List { limit } => {
            let letters: view::DeadLetters = client.get(&format!("/v1/dead-letters?limit={limit}"))?;
            print::answer(global.json, &letters, tell)
        }
        DeadLetters::Retry { id } => act(global, &client, id, "retry"),
        DeadLetters::Discard { id } => act(global, &client, id, "discard"),
    }
}

fn act(global: &Global, client: &Client, id: &LetterId, verb: &str) -> Result<(), Failure> {
    let path = format!("/v1/dead-letters/{}/{verb}", part(&id.to_string()));
    let done: Done = client.post(&path, &serde_json::json!({}))?;
    print::answer(global.json, &done, |done| print::line(&done.done))
}

fn tell(letters: &view::DeadLetters) {
    let rows = letters.letters.iter().map(|l| {
        [l.id.to_string(), l.since.to_string(), l.reason.clone(), l.retry.clone(), l.discard.clone()]
    });
    print::table(["id", "since", "reason", "retry", "discard"], rows.collect(), "nothing waits for a person");
    if letters.unmapped_orders > 0 {
        let orders = letters.unmapped_orders;
        print::line(&format!("{orders} orders have lines without a SKU: see `evenkeel map list --lines`"));
    }
    if letters.more {
        print::line("there are more; see --limit");
    }
}
