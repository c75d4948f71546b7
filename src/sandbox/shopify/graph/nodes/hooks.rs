//! Webhook subscriptions.

use apollo_compiler::resolvers::{FieldError, ResolvedValue};
use serde_json::Value;

use crate::sandbox::shopify::app::{self, LATEST, Subscription};
use crate::sandbox::shopify::inventory::{Call, Mutation};

use super::{Node, Resolved, Selected, Thing, leaf, text_argument, time};

impl<'a> Node<'a, '_> {
    pub(super) fn subscriptions<'r>(&self, field: &Selected<'_>) -> Result<ResolvedValue<'r>, FieldError>
    where
        'a: 'r,
    {
        let uri = text_argument(field, "uri");
        let topics = field.arguments.get("topics").and_then(|topics| topics.as_array());
        let wanted = |there: &Subscription| {
            uri.is_none_or(|uri| uri == there.uri)
                && topics.is_none_or(|all| all.iter().any(|one| one.as_str() == Some(there.topic.as_str())))
        };
        let found = self.read(|shop| {
            let all = shop.app.subscriptions().into_iter();
            let all = all.filter(|number| shop.app.subscription(*number).is_some_and(|there| wanted(&there)));
            all.collect::<Vec<u64>>()
        });
        let things = found.into_iter().map(Thing::Subscription);
        self.short_connection("WebhookSubscriptionConnection", field, things)
    }

    pub(super) fn subscription<'r>(&self, number: u64, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let there = self.read(|shop| shop.app.subscription(number))?;
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(app::gid(number)),
            "legacyResourceId" => ResolvedValue::leaf(number.to_string()),
            "topic" => ResolvedValue::leaf(there.topic.as_str()),
            "uri" => ResolvedValue::leaf(there.uri.as_str()),
            "name" => leaf(there.name.clone()),
            "format" => ResolvedValue::leaf(there.format.as_str()),
            "filter" => leaf(there.filter.clone()),
            "includeFields" => ResolvedValue::list(texts(&there.include_fields)),
            "metafieldNamespaces" => ResolvedValue::list(texts(&[])),
            "apiVersion" => self.node(Thing::Version(LATEST.to_owned())),
            "createdAt" => time(there.created_ms),
            "updatedAt" => time(there.updated_ms),
            _ => return None,
        }))
    }

    /// A mutation of subscriptions; these take no idempotency key.
    pub(super) fn subscribe<'r>(&self, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let (payload, act): (_, Mutation) = match field.name {
            "webhookSubscriptionCreate" => ("WebhookSubscriptionCreatePayload", app::create),
            "webhookSubscriptionUpdate" => ("WebhookSubscriptionUpdatePayload", app::update),
            "webhookSubscriptionDelete" => ("WebhookSubscriptionDeletePayload", app::delete),
            _ => return None,
        };
        let arguments: Value = serde_json::to_value(field.arguments).unwrap_or(Value::Null);
        let call = Call { mutation: field.name, arguments, key: None };
        let outcome = act(&mut self.desk.world.borrow_mut(), &call, self.desk.now_ms);
        Some(Ok(self.node(Thing::Payload(payload, outcome.into()))))
    }
}

fn texts<'r>(all: &[String]) -> Vec<ResolvedValue<'r>> {
    all.iter().map(|text| ResolvedValue::leaf(text.as_str())).collect()
}
