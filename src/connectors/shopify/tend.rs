//! Tending a shop: scopes and versions, and the webhook subscriptions, which Shopify deletes after eight failures in a row.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use crate::{
    connectors::{
        Fault, Notice, ONLY_LOOKS, Tended, Tending,
        http::{self, excerpt},
        shopify::{
            call::Caller,
            graphql::{HOOK_CREATE, HOOK_DELETE, HOOK_UPDATE, HOOKS, Operation, STANDING, Trouble},
            health,
            hooks::{self, Plan, Step, Subscription, Topic},
            options::{Hooks, Options},
            orders::graphql::Connection,
            sentinel::{KIND_DEPRECATED, KIND_SHAPED, KIND_VERSION, TOLD, shaped},
        },
    },
    model::Timestamp,
};

/// How many subscriptions a page holds, and how many pages are read.
const PAGE: usize = 100;
const PAGES_MAX: usize = 20;

/// After how many tries in a row that failed for what may pass a person is told.
const TOLD_AFTER: u32 = 10;

/// The kinds of notices.
const KIND_SHOP: &str = "shop";
const KIND_SCOPES: &str = "scopes";
const KIND_WEBHOOKS: &str = "webhooks";
const KIND_MOVED: &str = "webhooks_moved";

/// What is kept in mind from one time to the next. All of it may be lost.
#[derive(Debug, Clone)]
pub(super) struct Care {
    begun: Instant,
    /// The topics of which there was a subscription of ours when it was last looked.
    known: BTreeSet<&'static str>,
    /// Those whose subscription was gone and is not known to be there again.
    gone: BTreeSet<&'static str>,
    /// What is told of subscriptions that had vanished, and since when.
    vanished: Option<(Instant, String)>,
    /// What is told of subscriptions that pointed elsewhere, and since when.
    moved: Option<(Instant, String)>,
    blind: Blind,
    /// Pushes may have been missed, and whoever reads them back was not told yet.
    missed: bool,
}

impl Default for Care {
    fn default() -> Care {
        let (known, gone) = (BTreeSet::new(), BTreeSet::new());
        Care {
            begun: Instant::now(),
            known,
            gone,
            vanished: None,
            moved: None,
            blind: Blind::default(),
            missed: false,
        }
    }
}

/// Tends the shop once.
pub(super) async fn tend(
    caller: &Caller,
    options: &Options,
    care: &mut Care,
    tending: Tending,
) -> Result<Tended, Fault> {
    let said = caller.call(&STANDING, &json!({})).await?;
    let other = health::other_shop(&said.data, options).map_err(Fault::Malformed)?;
    caller.watch_shop(other.clone());
    let other = other.map(|text| Notice { stops: true, ..notice(KIND_SHOP, text) });
    let scopes = health::missing_scopes(&said.data, options).map_err(Fault::Malformed)?;
    let scopes = (!scopes.is_empty()).then(|| notice(KIND_SCOPES, scopes.join("; ")));
    let mut notices: Vec<Notice> = other.into_iter().chain(scopes).collect();
    let now = Instant::now();
    let sentinel = caller.sentinel();
    notices.extend(sentinel.notices(&options.api_version, now));
    if sentinel.served.is_none() {
        let ends = health::version(&said.data, &options.api_version, said.at).map_err(Fault::Malformed)?;
        notices.extend(ends.map(|text| notice(KIND_VERSION, text)));
    }
    let mut unsure = Vec::new();
    if !sentinel.warns(now) && now.duration_since(care.begun) < TOLD {
        // What uses it may not have been called since the start.
        unsure.push(KIND_DEPRECATED);
    }
    let (mut missed, mut again) = (false, false);
    match &options.hooks {
        // Not the shop that is meant: nothing there is ours.
        Some(_) if caller.sentinel().other_shop.is_some() => {
            unsure.extend([KIND_WEBHOOKS, KIND_SHAPED]);
        }
        Some(hooks) => match webhooks(caller, options, hooks, care, (tending, said.at)).await {
            Ok(done) => {
                care.blind = Blind::default();
                missed = done.missed;
                let by = done.shaped.filter(|_| sentinel.pushed.is_none());
                notices.extend(by.map(|by| notice(KIND_SHAPED, shaped(&by, &options.api_version))));
                notices.extend(done.told.map(|text| notice(KIND_WEBHOOKS, text)));
            }
            // Neither what is to be told nor what is over is held up.
            Err(trouble) => {
                tracing::warn!(shop = %options.shop, %trouble, "webhook subscriptions could not be looked at");
                unsure.push(KIND_SHAPED);
                match care.blind.note(&trouble) {
                    Some(why) => {
                        let told: Vec<String> =
                            lately(&care.vanished).map(str::to_owned).into_iter().chain([why]).collect();
                        notices.push(notice(KIND_WEBHOOKS, told.join("; ")));
                    }
                    None => unsure.push(KIND_WEBHOOKS),
                }
                again = true;
            }
        },
        None => {}
    }
    match lately(&care.moved) {
        Some(text) => notices.push(notice(KIND_MOVED, text.to_owned())),
        // It may have happened before the start.
        None if options.hooks.is_some() && now.duration_since(care.begun) < TOLD => unsure.push(KIND_MOVED),
        None => {}
    }
    Ok(Tended { notices, unsure, missed, again })
}

fn notice(kind: &str, text: String) -> Notice {
    Notice { kind: kind.to_owned(), text, stops: false }
}

/// What became of the subscriptions.
struct Done {
    /// What a person should know of them.
    told: Option<String>,
    shaped: Option<String>,
    /// Some had vanished.
    missed: bool,
}

/// Has the subscriptions as they must be, or tells what of them is not. `at`: what the shop's clock shows.
async fn webhooks(
    caller: &Caller,
    options: &Options,
    hooks: &Hooks,
    care: &mut Care,
    (tending, at): (Tending, Option<Timestamp>),
) -> Result<Done, Trouble> {
    let several = options.locations.are_several();
    let plan = hooks::plan(&listed(caller).await?, hooks, several, &options.api_version);
    if tending == Tending::Look {
        let lacks = lacks(&plan);
        let told = (!lacks.is_empty()).then(|| format!("{ONLY_LOOKS}: {}", lacks.join("; ")));
        return Ok(Done { told, shaped: plan.shaped, missed: false });
    }
    let Plan { steps, held, shaped, .. } = plan;
    let (mut held, mut failed, mut moved) = (held, Vec::new(), BTreeMap::<String, Vec<String>>::new());
    let fresh = care.known.is_empty();
    // Where there is none, there was none yet, or all were lost while nobody was here, and then all is read anyway.
    let created = steps.iter().filter_map(Step::creates).filter(|_| !fresh || !held.is_empty());
    let gone: Vec<&str> = created.filter(|topic| fresh || care.known.contains(topic)).collect();
    care.gone.extend(gone);
    for step in steps {
        match take(caller, hooks, &step).await {
            Ok(None) => {
                held.extend(step.creates());
                if let Some((topic, from)) = step.takes_from() {
                    moved.entry(shown(from)).or_default().push(excerpt(topic.as_bytes()));
                    care.moved = Some((Instant::now(), given_up(&moved, hooks, at)));
                    care.missed = true;
                }
            }
            Ok(Some(why)) => {
                failed.push(why);
                step.creates().map(|topic| care.gone.remove(topic));
            }
            Err(trouble @ (Trouble::Unauthorized(_) | Trouble::Refused(_))) => {
                failed.push(format!("{}: {trouble}", what(&step)));
                step.creates().map(|topic| care.gone.remove(topic));
            }
            // What was made so far is there; the rest comes with the next try.
            Err(trouble) => return Err(trouble),
        }
    }
    let back: Vec<&str> = care.gone.intersection(&held).copied().collect();
    care.gone.clear();
    if !back.is_empty() {
        care.vanished = Some((Instant::now(), vanished(&back, hooks, at)));
    }
    let missed = std::mem::take(&mut care.missed) || !back.is_empty();
    care.known = held;
    let told: Vec<String> = lately(&care.vanished).map(str::to_owned).into_iter().chain(failed).collect();
    Ok(Done { told: (!told.is_empty()).then(|| told.join("; ")), shaped, missed })
}

/// Why the subscriptions cannot be looked after.
#[derive(Debug, Clone, Default)]
struct Blind {
    /// Tries in a row that failed for what may pass.
    passing: u32,
    /// What is told of what may pass, as it was first said.
    told: Option<String>,
}

impl Blind {
    /// Notes why they could not be. Returns what a person should know of it, if it is time to tell.
    fn note(&mut self, trouble: &Trouble) -> Option<String> {
        let text = format!(
            "webhook subscriptions cannot be looked after, so those that are gone are not made anew: {trouble}; orders are read all \
             the same, only later"
        );
        if lasts(trouble) {
            *self = Blind::default();
            return Some(text);
        }
        self.passing = self.passing.saturating_add(1);
        // In other words it is the same.
        (self.passing >= TOLD_AFTER).then(|| self.told.get_or_insert(text).clone())
    }
}

/// Tells whether it is the same at the next try, as far as one can know.
fn lasts(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::Unauthorized(_) | Trouble::Refused(_) | Trouble::TooCostly(_) | Trouble::Unclear(_) => true,
        Trouble::NotSent(_)
        | Trouble::Timeout(_)
        | Trouble::Lost(_)
        | Trouble::Server { .. }
        | Trouble::Throttled(_) => false,
    }
}

/// Returns what is told of something that happened, if that was lately.
fn lately(happened: &Option<(Instant, String)>) -> Option<&str> {
    happened.as_ref().filter(|(at, _)| at.elapsed() < TOLD).map(|(_, text)| text.as_str())
}

fn vanished(back: &[&str], hooks: &Hooks, at: Option<Timestamp>) -> String {
    format!(
        "subscriptions were gone, as Shopify deletes them after eight deliveries that fail: {} made anew{}, and what was \
         missed is read; see that `{}` can be reached from the internet",
        back.join(", "),
        on(at),
        hooks.uri
    )
}

/// Says from where subscriptions that bear our name were taken, by address.
fn given_up(moved: &BTreeMap<String, Vec<String>>, hooks: &Hooks, at: Option<Timestamp>) -> String {
    let from = |(address, topics): (&String, &Vec<String>)| format!("`{address}` ({})", topics.join(", "));
    let from: Vec<String> = moved.iter().map(from).collect();
    format!(
        "subscriptions of this instance pointed elsewhere, and were taken to `{}`{}: from {}; if another daemon listens \
         there, it hears nothing any more: the newer of the two is to be set up with an `instance` of its own",
        hooks.uri,
        on(at),
        from.join(" and ")
    )
}

fn on(at: Option<Timestamp>) -> String {
    let at = at.and_then(|at| jiff::Timestamp::from_millisecond(at.millis()).ok());
    at.map(|at| format!(" at {at}")).unwrap_or_default()
}

/// Returns an address without what may be secret in it.
fn shown(uri: &str) -> String {
    let url = Url::parse(uri).ok();
    let Some((url, host)) = url.as_ref().and_then(|url| Some((url, url.host_str()?))) else {
        return excerpt(uri.as_bytes());
    };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    excerpt(format!("{}://{host}{port}{}", url.scheme(), url.path()).as_bytes())
}

/// Reads all subscriptions of the app in the shop.
async fn listed(caller: &Caller) -> Result<Vec<Subscription>, Trouble> {
    let (mut all, mut after) = (Vec::new(), None::<String>);
    for _ in 0..PAGES_MAX {
        let said = caller.call(&HOOKS, &json!({"first": PAGE, "after": after})).await?;
        let page: Connection<Subscription> =
            http::json_part(&said.data["webhookSubscriptions"]).map_err(Trouble::Unclear)?;
        all.extend(page.nodes);
        after = page.page_info.next().map_err(Trouble::Unclear)?;
        if after.is_none() {
            return Ok(all);
        }
    }
    // One that is ours could be among the rest, and would be made a second time.
    Err(Trouble::Unclear(format!("more than {} webhook subscriptions", PAGE * PAGES_MAX)))
}

/// Takes a step. Returns why it was refused, if it was.
async fn take(caller: &Caller, hooks: &Hooks, step: &Step) -> Result<Option<String>, Trouble> {
    let (operation, variables): (&Operation, Value) = match step {
        Step::Create { topic } => (&HOOK_CREATE, json!({"topic": topic.name, "hook": hooks.wanted(topic)})),
        Step::Update { id, topic, .. } => (&HOOK_UPDATE, json!({"id": id, "hook": hooks.wanted(topic)})),
        Step::Delete { id, .. } => (&HOOK_DELETE, json!({"id": id})),
    };
    let said = caller.call(operation, &variables).await?;
    let made: Made = http::json_part(&said.data["made"]).map_err(Trouble::Unclear)?;
    let first = made.user_errors.first();
    Ok(first.map(|error| format!("{}: {}", what(step), excerpt(error.message.as_bytes()))))
}

fn what(step: &Step) -> String {
    let named = |topic: &Topic| topic.name;
    match step {
        Step::Create { topic } => format!("`{}` cannot be subscribed to", named(topic)),
        Step::Update { topic, .. } => format!("the subscription to `{}` cannot be mended", named(topic)),
        Step::Delete { id, .. } => {
            format!("the subscription `{}`, which is one too many, cannot be deleted", excerpt(id.as_bytes()))
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made {
    #[serde(default)]
    user_errors: Vec<UserError>,
}

#[derive(Debug, Deserialize)]
struct UserError {
    #[serde(default)]
    message: String,
}

/// Says what of the subscriptions is not as it must be.
fn lacks(plan: &Plan) -> Vec<String> {
    let lack = |step: &Step| match step {
        Step::Create { topic } => format!("{} is not subscribed to", topic.name),
        Step::Update { topic, elsewhere: Some(uri), .. } => {
            format!("the subscription to {} points to `{}`", topic.name, shown(uri))
        }
        Step::Update { topic, .. } => format!("the subscription to {} is not as it must be", topic.name),
        Step::Delete { .. } => "one subscription is one too many".to_owned(),
    };
    plan.steps.iter().map(lack).collect()
}

/// Says what is subscribed to; changes nothing.
pub(super) async fn facts(caller: &Caller, options: &Options) -> Result<Vec<String>, Trouble> {
    let Some(hooks) = &options.hooks else {
        let text = "no `web.public_url` is given: webhook subscriptions are not looked after".to_owned();
        return Ok(vec![text]);
    };
    let several = options.locations.are_several();
    let plan = hooks::plan(&listed(caller).await?, hooks, several, &options.api_version);
    let followed = hooks::followed(several).count();
    let mut facts = vec![format!(
        "{} of {followed} webhook topics are subscribed to, at `{}`",
        plan.held.len(),
        hooks.uri
    )];
    let lacks = lacks(&plan);
    if !lacks.is_empty() {
        facts.push(format!("webhooks: {}; the daemon mends that when it runs", lacks.join("; ")));
    }
    if plan.foreign > 0 {
        facts.push(format!("webhooks: {} of the app are not ours and are left alone", plan.foreign));
    }
    Ok(facts)
}
