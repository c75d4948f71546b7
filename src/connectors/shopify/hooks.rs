//! Webhook subscriptions: which there must be, and what is to be done about those that there are.
//!
//! Thinks only. Ours are those that point to us, or bear the name that we give them; no other is ever touched.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::connectors::shopify::options::Hooks;

/// A topic that is subscribed to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) name: &'static str,
    /// What of the body is sent. Empty: all of it, which is for topics that tell of no person.
    fields: &'static [&'static str],
    /// It matters only where the shop has several locations.
    several: bool,
}

/// What an order body must hold to be booked, and nothing of its buyer.
const ORDER: &[&str] = &[
    "id",
    "name",
    "created_at",
    "updated_at",
    "cancelled_at",
    "location_id",
    "line_items",
    "fulfillments",
    "refunds",
];

const fn topic(name: &'static str, fields: &'static [&'static str]) -> Topic {
    Topic { name, fields, several: false }
}

const fn several(name: &'static str) -> Topic {
    Topic { name, fields: &[], several: true }
}

/// All that may be subscribed to.
pub(super) const TOPICS: [Topic; 18] = [
    topic("ORDERS_CREATE", ORDER),
    topic("ORDERS_UPDATED", ORDER),
    topic("ORDERS_CANCELLED", ORDER),
    topic("ORDERS_FULFILLED", ORDER),
    topic("ORDERS_PARTIALLY_FULFILLED", ORDER),
    topic("ORDERS_EDITED", &[]),
    topic("ORDERS_DELETE", &["id"]),
    topic("REFUNDS_CREATE", &["id", "order_id"]),
    topic("FULFILLMENTS_CREATE", &["id", "order_id"]),
    topic("FULFILLMENTS_UPDATE", &["id", "order_id"]),
    topic("INVENTORY_LEVELS_UPDATE", &[]),
    // Its body is the shop, with its owner.
    topic("APP_UNINSTALLED", &["id"]),
    topic("APP_SCOPES_UPDATE", &[]),
    several("FULFILLMENT_ORDERS_MOVED"),
    several("FULFILLMENT_ORDERS_ORDER_ROUTING_COMPLETE"),
    several("FULFILLMENT_ORDERS_SPLIT"),
    several("FULFILLMENT_ORDERS_MERGED"),
    several("FULFILLMENT_ORDERS_CANCELLED"),
];

/// A subscription as the shop tells it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Subscription {
    pub(super) id: String,
    pub(super) topic: String,
    pub(super) uri: String,
    pub(super) name: Option<String>,
    pub(super) format: String,
    pub(super) filter: Option<String>,
    pub(super) include_fields: Vec<String>,
    pub(super) api_version: Version,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Version {
    pub(super) handle: String,
}

/// A subscription as it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wanted {
    uri: String,
    name: String,
    format: &'static str,
    /// Null takes a filter off: it would hide some of what happens.
    filter: Option<String>,
    include_fields: &'static [&'static str],
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// One too many that bears our name.
    Delete {
        id: String,
        topic: String,
        /// Where it points, if not to us.
        elsewhere: Option<String>,
    },
    Update {
        id: String,
        topic: &'static Topic,
        /// Where it points, if not to us.
        elsewhere: Option<String>,
    },
    Create {
        topic: &'static Topic,
    },
}

impl Step {
    /// Returns the topic of a subscription that it makes.
    pub(super) fn creates(&self) -> Option<&'static str> {
        match self {
            Step::Create { topic } => Some(topic.name),
            Step::Delete { .. } | Step::Update { .. } => None,
        }
    }

    /// Returns the topic that it takes away from another address, and that address: somebody may listen there.
    pub(super) fn takes_from(&self) -> Option<(&str, &str)> {
        match self {
            Step::Delete { topic, elsewhere, .. } => Some((topic, elsewhere.as_deref()?)),
            Step::Update { topic, elsewhere, .. } => Some((topic.name, elsewhere.as_deref()?)),
            Step::Create { .. } => None,
        }
    }
}

/// What there is, and what is to be done about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// In this order: a name and an address are free before they are taken.
    pub(super) steps: Vec<Step>,
    /// The topics of ours that there are, whether or not they are as they must be.
    pub(super) held: BTreeSet<&'static str>,
    /// How many there are that are not ours.
    pub(super) foreign: usize,
    /// An API version that shapes what is sent to us, and is not the pinned one.
    pub(super) shaped: Option<String>,
}

/// Returns the topics to follow.
pub(super) fn followed(several: bool) -> impl Iterator<Item = &'static Topic> {
    TOPICS.iter().filter(move |topic| several || !topic.several)
}

impl Hooks {
    /// Returns the name of our subscription to a topic. Shopify wants it unique in the shop, of at most 50 characters.
    fn name(&self, topic: &str) -> String {
        let digest = Sha256::digest(topic.as_bytes());
        let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("evenkeel-{}-{short}", self.instance)
    }

    /// Returns what our subscription to a topic must be.
    pub(super) fn wanted(&self, topic: &Topic) -> Wanted {
        let (uri, name) = (self.uri.to_string(), self.name(topic.name));
        Wanted { uri, name, format: "JSON", filter: None, include_fields: topic.fields }
    }
}

impl Wanted {
    fn is(&self, there: &Subscription) -> bool {
        let fields: BTreeSet<&str> = there.include_fields.iter().map(String::as_str).collect();
        there.uri == self.uri
            && there.name.as_ref() == Some(&self.name)
            && there.format == self.format
            && there.filter.as_deref().unwrap_or_default().is_empty()
            && fields == self.include_fields.iter().copied().collect()
    }
}

/// Finds out what is to be done.
pub(super) fn plan(listed: &[Subscription], hooks: &Hooks, several: bool, pinned: &str) -> Plan {
    let named = |there: &Subscription| there.name.as_deref() == Some(hooks.name(&there.topic).as_str());
    let points = |there: &Subscription| there.uri == hooks.uri.as_str();
    let elsewhere = |there: &Subscription| (!points(there)).then(|| there.uri.clone());
    let ours: Vec<&Subscription> = listed.iter().filter(|there| named(there) || points(there)).collect();
    let mut plan = Plan {
        foreign: listed.len() - ours.len(),
        shaped: ours.iter().map(|there| &there.api_version.handle).find(|shaped| *shaped != pinned).cloned(),
        ..Plan::default()
    };
    let (mut updates, mut creates) = (Vec::new(), Vec::new());
    let mut kept = BTreeSet::new();
    for topic in followed(several) {
        let mut held = ours.iter().filter(|there| there.topic == topic.name);
        // The one that points to us is kept: that address could not be given to another.
        let Some(there) = held.clone().find(|there| points(there)).or_else(|| held.next()) else {
            creates.push(Step::Create { topic });
            continue;
        };
        plan.held.insert(topic.name);
        kept.insert(&there.id);
        if !hooks.wanted(topic).is(there) {
            updates.push(Step::Update { id: there.id.clone(), topic, elsewhere: elsewhere(there) });
        }
    }
    let extra = ours.iter().filter(|there| named(there) && !kept.contains(&there.id));
    let delete = |there: &&Subscription| {
        let (id, topic) = (there.id.clone(), there.topic.clone());
        Step::Delete { id, topic, elsewhere: elsewhere(there) }
    };
    plan.steps = extra.map(delete).collect();
    plan.steps.extend(updates.into_iter().chain(creates));
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{connectors::specs, model::Instance};

    const PINNED: &str = "2026-10";

    fn hooks() -> Hooks {
        let uri = "https://hooks.example.org/webhooks/shopify/main".parse().expect("a URL");
        Hooks { uri, instance: Instance::new("test").expect("a name") }
    }

    /// Ours, as it must be.
    fn good(topic: &Topic) -> Subscription {
        let Wanted { uri, name, format, filter, include_fields } = hooks().wanted(topic);
        Subscription {
            id: format!("gid://shopify/WebhookSubscription/{}", topic.name),
            topic: topic.name.to_owned(),
            uri,
            name: Some(name),
            format: format.to_owned(),
            filter,
            include_fields: include_fields.iter().map(|field| (*field).to_owned()).collect(),
            api_version: Version { handle: PINNED.to_owned() },
        }
    }

    fn all() -> Vec<Subscription> {
        followed(false).map(good).collect()
    }

    /// What is to be done about these, in words.
    #[track_caller]
    fn check(listed: &[Subscription], want: &[&str]) -> Plan {
        let plan = plan(listed, &hooks(), false, PINNED);
        let short = |id: &str| id.rsplit('/').next().unwrap_or_default().to_owned();
        let told: Vec<String> = plan
            .steps
            .iter()
            .map(|step| match step {
                Step::Delete { id, .. } => format!("delete {}", short(id)),
                Step::Update { id, topic, .. } => format!("update {} {}", short(id), topic.name),
                Step::Create { topic } => format!("create {}", topic.name),
            })
            .collect();
        assert_eq!(told, want);
        plan
    }

    #[test]
    fn what_is_as_it_must_be_is_left_alone_and_what_is_missing_is_made() {
        let plan = check(&all(), &[]);
        assert_eq!((plan.held.len(), plan.foreign), (13, 0));
        let mut some = all();
        some.remove(0);
        check(&some, &["create ORDERS_CREATE"]);
        assert_eq!(super::plan(&[], &hooks(), true, PINNED).steps.len(), 18);
    }

    #[test]
    fn ours_are_mended_where_they_differ() {
        type Change = fn(&mut Subscription);
        let changes: [Change; 6] = [
            |there| there.uri = "https://old.example.org/webhooks/shopify/main".to_owned(),
            |there| there.name = None,
            |there| there.format = "XML".to_owned(),
            |there| there.filter = Some("total_price:>=100".to_owned()),
            |there| there.include_fields = Vec::new(),
            |there| there.include_fields.truncate(3),
        ];
        for change in changes {
            let mut some = all();
            change(&mut some[0]);
            check(&some, &["update ORDERS_CREATE ORDERS_CREATE"]);
        }
        let mut some = all();
        some[0].include_fields.reverse();
        check(&some, &[]);
    }

    #[test]
    fn where_one_of_ours_pointed_that_points_elsewhere_is_known() {
        let mut some = all();
        (some[0].uri, some[1].name) = ("https://old.example.org/".to_owned(), None);
        let plan =
            check(&some, &["update ORDERS_CREATE ORDERS_CREATE", "update ORDERS_UPDATED ORDERS_UPDATED"]);
        let from: Vec<Option<(&str, &str)>> = plan.steps.iter().map(Step::takes_from).collect();
        assert_eq!(from, [Some(("ORDERS_CREATE", "https://old.example.org/")), None]);
    }

    #[test]
    fn what_is_not_ours_is_never_touched() {
        let mut foreign = good(&TOPICS[0]);
        foreign.uri = "https://elsewhere.example.org/".to_owned();
        for name in [None, Some("evenkeel-other-0badf00d".to_owned()), Some("loyalty".to_owned())] {
            let some: Vec<Subscription> =
                all().into_iter().chain([Subscription { name, ..foreign.clone() }]).collect();
            assert_eq!(check(&some, &[]).foreign, 1);
        }
    }

    #[test]
    fn one_too_many_of_ours_goes_first() {
        let mut other = good(&TOPICS[0]);
        (other.id, other.uri) = ("x/2".to_owned(), "https://old.example.org/".to_owned());
        let mut by_hand = good(&TOPICS[0]);
        (by_hand.id, by_hand.name) = ("x/1".to_owned(), None);
        let rest = all().into_iter().skip(1);
        let some: Vec<Subscription> = [other, by_hand].into_iter().chain(rest).collect();
        check(&some, &["delete 2", "update 1 ORDERS_CREATE"]);
        // The shop has one location again.
        let moved: Vec<Subscription> = all().into_iter().chain([good(&TOPICS[13])]).collect();
        check(&moved, &["delete FULFILLMENT_ORDERS_MOVED"]);
    }

    #[test]
    fn another_version_that_shapes_ours_is_told() {
        let mut some = all();
        some[3].api_version.handle = "2026-04".to_owned();
        assert_eq!(check(&some, &[]).shaped.as_deref(), Some("2026-04"));
    }

    #[test]
    fn every_topic_is_published_and_every_name_is_short_and_its_own() {
        let longest = Instance::new(&"i".repeat(32)).expect("a name");
        let hooks = Hooks { instance: longest, ..hooks() };
        let names: BTreeSet<String> = TOPICS.iter().map(|topic| hooks.name(topic.name)).collect();
        assert_eq!(names.len(), TOPICS.len());
        assert!(names.iter().all(|name| name.len() <= 50), "{names:?}");
        for version in ["2026-10", "2026-07"] {
            let Some(sdl) = specs::read(&format!("shopify/schema-{version}.graphql")) else { return };
            let sdl = String::from_utf8(sdl).expect("the schema is text");
            let (_, values) = sdl.split_once("enum WebhookSubscriptionTopic {").expect("it is there");
            let (values, _) = values.split_once("\n}").expect("it ends");
            let published: BTreeSet<&str> = values.lines().map(str::trim).collect();
            for topic in &TOPICS {
                assert!(published.contains(topic.name), "{} in {version}", topic.name);
            }
        }
    }
}
