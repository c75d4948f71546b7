//! Mutations, their payloads and what is in them.

use std::sync::Arc;

use apollo_compiler::resolvers::{FieldError, ResolveInfo, ResolvedValue};
use serde_json::Value;

use crate::sandbox::shopify::app::gid;
use crate::sandbox::shopify::graph::{Desk, coded};
use crate::sandbox::shopify::ids::Kind;
use crate::sandbox::shopify::inventory::{self, Call, Group, Outcome, Refused};

use super::{Node, Resolved, Selected, Thing, leaf, time};

impl<'a> Node<'a, '_> {
    pub(super) fn mutation<'r>(&self, field: &Selected<'_>, info: &ResolveInfo<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let (payload, act): (_, inventory::Mutation) = match field.name {
            "inventorySetQuantities" => ("InventorySetQuantitiesPayload", inventory::set_quantities),
            "inventoryAdjustQuantities" => ("InventoryAdjustQuantitiesPayload", inventory::adjust_quantities),
            "inventoryActivate" => ("InventoryActivatePayload", inventory::activate),
            "bulkOperationRunQuery" => return Some(Ok(self.begin_bulk(field))),
            _ => return self.subscribe(field),
        };
        let arguments: Value = serde_json::to_value(field.arguments).unwrap_or(Value::Null);
        let key = self.desk.keys.get(info.field_selections()[0].response_key().as_str());
        let call = Call { mutation: field.name, arguments, key: key.map(String::as_str) };
        Some(self.perform(payload, act, &call))
    }

    fn perform<'r>(
        &self,
        payload: &'static str,
        act: inventory::Mutation,
        call: &Call<'_>,
    ) -> Result<ResolvedValue<'r>, FieldError>
    where
        'a: 'r,
    {
        let Desk { world, now_ms, concurrent, .. } = self.desk;
        let outcome = inventory::once(&mut world.borrow_mut(), call, act, *concurrent, *now_ms);
        match outcome {
            Ok(outcome) => Ok(self.node(Thing::Payload(payload, outcome))),
            Err(Refused { code, message }) => Err(coded(code, message)),
        }
    }

    pub(super) fn payload<'r>(&self, outcome: &Arc<Outcome>, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let Thing::Payload(payload, _) = &self.thing else { return None };
        Some(Ok(match field.name {
            "inventoryAdjustmentGroup" => self.maybe(outcome.group.clone().map(Thing::Group)),
            "inventoryLevel" => self.maybe(outcome.level.map(|(item, place)| Thing::Level(item, place))),
            "webhookSubscription" => self.maybe(outcome.subscription.map(Thing::Subscription)),
            "deletedWebhookSubscriptionId" => leaf(outcome.deleted.map(gid)),
            "userErrors" => {
                let name = match *payload {
                    "InventorySetQuantitiesPayload" => "InventorySetQuantitiesUserError",
                    "InventoryAdjustQuantitiesPayload" => "InventoryAdjustQuantitiesUserError",
                    _ => "UserError",
                };
                let count = 0..outcome.errors.len();
                self.list(count.map(|n| Thing::UserError(name, Arc::clone(outcome), n)))
            }
            _ => return None,
        }))
    }

    pub(super) fn user_error<'r>(
        &self,
        outcome: &Outcome,
        n: usize,
        field: &Selected<'_>,
    ) -> Option<Resolved<'r>> {
        let error = &outcome.errors[n];
        Some(Ok(match field.name {
            "code" => leaf(Some(error.code).filter(|code| !code.is_empty())),
            "message" => ResolvedValue::leaf(error.message.as_str()),
            "field" => {
                let path: Vec<ResolvedValue<'r>> =
                    error.field.iter().map(|part| ResolvedValue::leaf(part.as_str())).collect();
                ResolvedValue::list(path)
            }
            _ => return None,
        }))
    }

    pub(super) fn group<'r>(&self, group: &Arc<Group>, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::InventoryAdjustmentGroup.gid(group.number)),
            "createdAt" => time(group.created_ms),
            "reason" => ResolvedValue::leaf(group.reason.as_str()),
            "referenceDocumentUri" => leaf(group.reference.clone()),
            "changes" => self.list(self.changes(group, field)),
            _ => return None,
        }))
    }

    /// The changes that pass the filters of the field's arguments.
    fn changes(&self, group: &Arc<Group>, field: &Selected<'_>) -> Vec<Thing> {
        let wanted = |argument: &str, value: &str| {
            let list = field.arguments.get(argument).and_then(|value| value.as_array());
            list.is_none_or(|list| list.iter().any(|entry| entry.as_str() == Some(value)))
        };
        (0..group.changes.len())
            .filter(|n| {
                let change = &group.changes[*n];
                wanted("quantityNames", &change.name)
                    && wanted("inventoryItemIds", &Kind::InventoryItem.gid(change.item as u64))
                    && wanted("locationIds", &crate::sandbox::shopify::ids::location_gid(change.place))
            })
            .map(|n| Thing::Change(Arc::clone(group), n))
            .collect()
    }

    pub(super) fn change<'r>(&self, group: &Group, n: usize, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        let change = &group.changes[n];
        Some(Ok(match field.name {
            "name" => ResolvedValue::leaf(change.name.as_str()),
            "delta" => ResolvedValue::leaf(change.delta),
            // Recorded answers never have it.
            "quantityAfterChange" => ResolvedValue::null(),
            "ledgerDocumentUri" => leaf(change.ledger.clone()),
            "item" => self.node(Thing::Item(change.item)),
            "location" => self.node(Thing::Location(change.place)),
            _ => return None,
        }))
    }
}
