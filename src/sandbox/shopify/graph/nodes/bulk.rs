//! Bulk operations, and counts.

use std::rc::Rc;

use apollo_compiler::resolvers::ResolvedValue;
use apollo_compiler::response::JsonValue;

use crate::sandbox::shopify::bulk;
use crate::sandbox::shopify::graph::{Desk, inner, unfit_for_bulk};
use crate::sandbox::shopify::ids::Kind;

use super::{Node, Resolved, Selected, Thing, text_argument, time};

/// What came of beginning an operation: which it is, or why there is none.
pub(in crate::sandbox::shopify::graph) type Begun = Result<usize, (&'static str, String)>;

impl<'a> Node<'a, '_> {
    pub(super) fn begin_bulk<'r>(&self, field: &Selected<'_>) -> ResolvedValue<'r>
    where
        'a: 'r,
    {
        let query = text_argument(field, "query").unwrap_or_default();
        let grouped = field.arguments.get("groupObjects").and_then(JsonValue::as_bool).unwrap_or(false);
        let begun = match unfit_for_bulk(query) {
            Some(why) => Err(("INVALID", why)),
            None => self.start_bulk(query, grouped),
        };
        self.node(Thing::BulkBegun(Rc::new(begun)))
    }

    fn start_bulk(&self, query: &str, grouped: bool) -> Begun {
        let Desk { world, options, now_ms, .. } = self.desk;
        let mut world = world.borrow_mut();
        let (takes, signature) = (world.dice.within(options.bulk_ms), world.dice.uuid());
        let begun = world.shopify.begin_bulk(query, grouped, *now_ms, takes, signature);
        begun.map_err(|running| {
            let ids: Vec<String> = running.iter().map(|n| Kind::BulkOperation.gid(*n as u64)).collect();
            let message = format!(
                "Bulk query operations for this app and shop are already in progress: {}.",
                ids.join(", ")
            );
            ("OPERATION_IN_PROGRESS", message)
        })
    }

    pub(super) fn bulk_begun<'r>(&self, begun: &Rc<Begun>, field: &Selected<'_>) -> Option<Resolved<'r>>
    where
        'a: 'r,
    {
        Some(Ok(match field.name {
            "bulkOperation" => self.maybe(begun.as_ref().as_ref().ok().copied().map(Thing::Bulk)),
            "userErrors" => {
                let error = begun.is_err().then(|| Thing::BulkError(Rc::clone(begun)));
                self.list(error)
            }
            _ => return None,
        }))
    }

    pub(super) fn bulk_error<'r>(&self, begun: &Begun, field: &Selected<'_>) -> Option<Resolved<'r>> {
        let (code, message) = begun.as_ref().err()?;
        Some(Ok(match field.name {
            "code" => ResolvedValue::leaf(*code),
            "message" => ResolvedValue::leaf(message.as_str()),
            "field" => ResolvedValue::null(),
            _ => return None,
        }))
    }

    pub(super) fn bulk<'r>(&self, number: usize, field: &Selected<'_>) -> Option<Resolved<'r>> {
        let (told, created_ms, done_ms) = self.read(|shop| {
            let bulk = &shop.bulks[number];
            let done_ms = bulk.file.is_some().then_some(bulk.done_ms);
            (bulk::told(bulk, number, self.desk.host, self.desk.now_ms), bulk.created_ms, done_ms)
        });
        Some(Ok(match field.name {
            "id" => ResolvedValue::leaf(Kind::BulkOperation.gid(number as u64)),
            "createdAt" => time(created_ms),
            "completedAt" => done_ms.map_or_else(ResolvedValue::null, time),
            name => ResolvedValue::Leaf(inner(told.get(name)?.clone())),
        }))
    }

    pub(super) fn count<'r>(
        &self,
        all: usize,
        limit: Option<usize>,
        field: &Selected<'_>,
    ) -> Option<Resolved<'r>> {
        let counted = limit.map_or(all, |limit| all.min(limit));
        Some(Ok(match field.name {
            "count" => ResolvedValue::leaf(i64::try_from(counted).unwrap_or(i64::MAX)),
            "precision" => ResolvedValue::leaf(if counted < all { "AT_LEAST" } else { "EXACT" }),
            _ => return None,
        }))
    }
}
