//! `evenkeel returns`: units that came back and are held until a person has looked at them.

use clap::{Args, Subcommand};

use crate::{
    cli::{Failure, Global, client::Client, input, once::Once, print},
    core::command::Fate,
    model::{LocationId, Quantity, Sku, counted, which},
    web::view::{self, ReturnedDone, ReturnedRequest},
};

#[derive(Debug, Subcommand)]
pub(super) enum Returns {
    /// List what is held back.
    List {
        #[arg(long, default_value_t = 1_000)]
        limit: usize,
    },
    /// Put units on sale again.
    Restock(Units),
    /// Take units off the books: they cannot be sold. Take them out of the ERP as well, or its next count brings
    /// them back.
    Discard(Units),
}

#[derive(Debug, Args)]
pub(super) struct Units {
    sku: Sku,
    /// How many; all that are held back of this SKU, if not given.
    #[arg(value_parser = units, allow_negative_numbers = true)]
    quantity: Option<Quantity>,
    /// Where they are; needed if they are in several places.
    #[arg(long)]
    location: Option<LocationId>,
    /// Why, for the journal.
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    once: Once,
}

fn units(text: &str) -> Result<Quantity, String> {
    input::units(text, 1)
}

pub(super) fn run(global: &Global, command: Returns) -> Result<(), Failure> {
    let client = Client::new(global)?;
    match command {
        Returns::List { limit } => {
            let held: view::Returns = client.get(&format!("/v1/returns?limit={limit}"))?;
            print::answer(global.json, &held, tell)
        }
        Returns::Restock(units) => deal(global, &client, units, Fate::Restock),
        Returns::Discard(units) => deal(global, &client, units, Fate::Discard),
    }
}

fn deal(global: &Global, client: &Client, units: Units, fate: Fate) -> Result<(), Failure> {
    let Units { sku, quantity, location, note, once } = units;
    let id = once.id();
    let asked =
        ReturnedRequest { sku: sku.clone(), location, quantity, fate, note, request: Some(id.clone()) };
    let done: ReturnedDone =
        client.post("/v1/returns", &asked).map_err(|failed| once.lost(failed, &id, ""))?;
    let became = match fate {
        Fate::Restock => "on sale again",
        Fate::Discard => "off the books",
    };
    print::answer(global.json, &done, |d| {
        let ReturnedDone { sku: now, location, quantity, left, again } = d;
        if *now != sku {
            print::line(&format!("`{sku}` is now `{now}`"));
        }
        let still = format!("{} still held back", which(left, "is", "are"));
        if *again {
            let left = counted(left, "unit");
            print::line(&format!("this was done before; {left} of {now} at {location} {still}"));
            return;
        }
        let (units, are) = (counted(quantity, "unit"), which(quantity, "is", "are"));
        print::line(&format!("{units} of {now} at {location} {are} {became}; {left} {still}"));
    })
}

fn tell(held: &view::Returns) {
    let rows = held.rows.iter().map(|row| {
        [row.sku.to_string(), row.location.to_string(), row.reserved.to_string(), row.on_hand.to_string()]
    });
    print::table(["sku", "location", "held back", "on_hand"], rows.collect(), "nothing is held back");
    if held.more {
        print::line("there are more; see --limit");
    }
}
