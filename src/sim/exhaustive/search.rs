//! Goes through all states that can be reached, each once, and cuts a way to a fault down to what it takes.

use std::collections::HashSet;

use super::{
    model::{Model, Step},
    same::Print,
};
use crate::{core::backoff::mix, model::Quantity};

/// What a search has found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) states: usize,
    /// States from which everything was let come to rest.
    pub(super) rested: usize,
    /// The longest way that was gone.
    pub(super) depth: usize,
    /// All states that can be reached were met.
    pub(super) whole: bool,
    pub(super) broken: Option<Counter>,
}

/// A way to a state in which something does not hold.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) why: String,
    pub(super) steps: Vec<Step>,
}

/// A state on the way, with what may come next of it.
struct At {
    model: Model,
    print: Print,
    steps: Vec<Step>,
    /// No step led anywhere else.
    stuck: bool,
}

/// `most`: how many states at most. `rest`: of so many states one is let come to rest, besides those at the end.
pub(super) fn search(start: &Model, most: usize, rest: u128) -> Found {
    let mut met: HashSet<Print> = HashSet::new();
    let mut found = Found::default();
    let at =
        |model: Model, print: Print| At { steps: mixed(model.steps(), print), model, print, stuck: true };
    let print = start.print();
    met.insert(print);
    let mut way: Vec<Step> = Vec::new();
    let mut stack = vec![at(start.clone(), print)];
    while let Some(top) = stack.last_mut() {
        let Some(step) = top.steps.pop() else {
            let ends = top.stuck || top.print % rest == 0;
            let rested = if ends { top.model.clone().rest() } else { Ok(()) };
            found.rested += usize::from(ends);
            if let Err(why) = rested {
                found.broken = Some(Counter { why, steps: way });
                break;
            }
            stack.pop();
            way.pop();
            continue;
        };
        let (mut model, before) = (top.model.clone(), top.model.confirmed());
        let held = model.step(step).and_then(|()| model.holds(&before));
        if let Err(why) = held {
            way.push(step);
            found.broken = Some(Counter { why, steps: way });
            break;
        }
        let print = model.print();
        top.stuck &= print == top.print;
        if met.insert(print) {
            way.push(step);
            found.depth = found.depth.max(way.len());
            stack.push(at(model, print));
            if met.len() >= most {
                found.states = met.len();
                return found;
            }
        }
    }
    found.states = met.len();
    found.whole = found.broken.is_none();
    found.broken = found.broken.map(|counter| shortest(start, counter));
    found
}

/// Puts steps in an order that the state draws, so that a search that is cut short has met some of everything.
fn mixed(steps: Vec<Step>, print: Print) -> Vec<Step> {
    let seed = u64::try_from(print & u128::from(u64::MAX)).unwrap_or(0);
    let mut steps: Vec<(u64, Step)> = (0..).map(|n| mix(seed ^ n)).zip(steps).collect();
    steps.sort_by_key(|(drawn, _)| *drawn);
    steps.into_iter().map(|(_, step)| step).collect()
}

/// Plays steps, leaving out those that are not possible. Returns those that were made and what did not hold.
fn play(start: &Model, steps: &[Step]) -> Option<Counter> {
    let (mut model, mut made) = (start.clone(), Vec::new());
    for step in steps {
        if !model.steps().contains(step) {
            continue;
        }
        made.push(*step);
        let before = model.confirmed();
        if let Err(why) = model.step(*step).and_then(|()| model.holds(&before)) {
            return Some(Counter { why, steps: made });
        }
    }
    model.rest().err().map(|why| Counter { why, steps: made })
}

/// Returns what kind of rule does not hold.
pub(super) fn kind(why: &str) -> &str {
    why.split(':').next().unwrap_or_default()
}

/// Leaves out every step without which something of the same kind does not hold either.
fn shortest(start: &Model, mut counter: Counter) -> Counter {
    let wanted = kind(&counter.why).to_owned();
    let mut from = 0;
    while from < counter.steps.len() {
        let mut fewer = counter.steps.clone();
        fewer.remove(from);
        match play(start, &fewer).filter(|other| kind(&other.why) == wanted) {
            Some(other) if other.steps.len() < counter.steps.len() => (counter, from) = (other, 0),
            Some(_) | None => from += 1,
        }
    }
    counter
}

/// Tells a way step by step, with what is true and what is known after each.
pub(super) fn story(start: &Model, counter: &Counter) -> String {
    let (mut model, mut story) = (start.clone(), String::new());
    for step in &counter.steps {
        let held = model.step(*step);
        story += &format!("{step:?}{}", held.err().map(|why| format!(" ({why})")).unwrap_or_default());
        for market in &model.markets {
            let held = model.held(market);
            let (leg, writes) = (held.leg.as_ref().expect("it has a leg"), &held.writes);
            let (id, shown, unseen) = (&market.id, market.shown, market.unseen(&model.state));
            let believed = writes.base.map_or(0, Quantity::units);
            story += &format!(
                "\n    {id} shows {shown} ({unseen} unseen), believed {believed}, {} of {}",
                leg.name(),
                leg.quantity
            );
            for write in &writes.unsettled {
                let by = write.delta.map_or(String::new(), |by| format!("by {by} "));
                let from = write.compare.map_or(by, |from| format!("from {from} "));
                story += &format!(", may land: {from}to {}", write.quantity);
            }
        }
        story.push('\n');
    }
    format!("{story}=> {}", counter.why)
}
