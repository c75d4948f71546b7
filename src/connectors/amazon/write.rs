//! Writing quantities: who may be written, one patch each, and what a 403 means.
//!
//! Owns the order of these steps. Every put has an outcome of its own; none is repeated here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use futures::{StreamExt, stream};

use super::{
    Amazon,
    call::throttled,
    decode::{self, Written},
    encode,
    listings::Reading,
};
use crate::{
    connectors::{Fault, Observed, Outcome, Put},
    model::IdKind,
};

/// How many patches are under way at a time.
const AT_ONCE: usize = 4;

/// What to do about a 403 that speaks of a role.
const ROLE: &str = "grant the app the role `Product Listing`, authorise it again (roles are fixed in the refresh \
                    token) and replace `refresh_token`";

/// A put that has passed the guard.
pub(super) struct Ready<'a> {
    pub(super) sku: &'a str,
    marketplace: Arc<str>,
}

impl Amazon {
    /// Writes each put by itself and returns their outcomes in order.
    pub(super) async fn write_all(&self, puts: &[Put]) -> Vec<Outcome> {
        let ready = self.pass(puts).await;
        let calls: Vec<_> = puts.iter().zip(&ready).map(|(put, ready)| self.attempt(put, ready)).collect();
        let results: Vec<Written> = stream::iter(calls).buffered(AT_ONCE).collect().await;
        self.explain(&ready, results).await
    }

    /// Lets through only what is known to be merchant-fulfilled, reading what is not known yet.
    pub(super) async fn pass<'a>(&self, puts: &'a [Put]) -> Vec<Result<Ready<'a>, Outcome>> {
        let sound: Vec<Result<&str, Outcome>> = puts.iter().map(|put| self.sound(put)).collect();
        let unknown: BTreeSet<&str> =
            sound.iter().flatten().copied().filter(|sku| self.guard.allowed(sku).is_none()).collect();
        let read = if unknown.is_empty() { Ok(BTreeMap::new()) } else { self.look(&unknown).await };
        let one = |sku: Result<&'a str, Outcome>| {
            let sku = sku?;
            match self.guard.allowed(sku) {
                Some(marketplace) => Ok(Ready { sku, marketplace }),
                None => Err(kept_out(&read, sku)),
            }
        };
        sound.into_iter().map(one).collect()
    }

    /// Checks what needs no answer from Amazon, and returns the SKU.
    fn sound<'a>(&self, put: &'a Put) -> Result<&'a str, Outcome> {
        let rejected = |reason: String| Err(Outcome::Rejected { reason });
        let Some(sku) = put.ids.get(IdKind::Sku) else {
            return rejected(format!("no seller SKU among {}", put.ids));
        };
        if put.location != self.options.location {
            let ours = &self.options.location;
            return rejected(format!("this account shows location `{ours}`, not `{}`", put.location));
        }
        if put.quantity.units() < 0 {
            return rejected(format!("a listing cannot show {}", put.quantity));
        }
        Ok(sku)
    }

    async fn attempt(&self, put: &Put, ready: &Result<Ready<'_>, Outcome>) -> Written {
        let ready = match ready {
            Ok(ready) => ready,
            Err(outcome) => return Written::Done(outcome.clone()),
        };
        let request = encode::patch_quantity(&self.options, ready.sku, &ready.marketplace, put.quantity);
        let request = match request {
            Ok(request) => request,
            Err(e) => return Written::Done(Outcome::Rejected { reason: e.to_string() }),
        };
        match self.caller.send(&request).await {
            Ok(told) => decode::written(told.answer.status, &told.answer.body, told.hold),
            Err(failed) => Written::Done(failed.outcome()),
        }
    }

    /// Finds out what each 403 means. A missing role concerns every write, a SKU's path only its own.
    async fn explain(&self, ready: &[Result<Ready<'_>, Outcome>], results: Vec<Written>) -> Vec<Outcome> {
        let accepted = results.iter().zip(ready).rev().find_map(|(result, ready)| match (result, ready) {
            (Written::Done(Outcome::Accepted { .. }), Ok(ready)) => Some(ready),
            _ => None,
        });
        if let Some(ready) = accepted {
            let written = (Arc::from(ready.sku), Arc::clone(&ready.marketplace));
            *self.last_written.lock().unwrap_or_else(PoisonError::into_inner) = Some(written);
        }
        let mut cause = accepted.map(|_| Cause::WritesWork);
        let mut outcomes = Vec::with_capacity(results.len());
        for (result, ready) in results.into_iter().zip(ready) {
            outcomes.push(match (result, ready) {
                (Written::Done(outcome), _) => outcome,
                (Written::Forbidden(_), Err(outcome)) => outcome.clone(),
                (Written::Forbidden(told), Ok(ready)) => {
                    let found = match cause.take() {
                        // What was found out about one SKU's path says nothing about the next.
                        Some(Cause::ThisPath) | None => self.cause(ready).await,
                        Some(known) => known,
                    };
                    let outcome = found.outcome(ready.sku, &told);
                    cause = Some(found);
                    outcome
                }
            });
        }
        outcomes
    }

    /// Tells a missing write role from trouble with one SKU, when no other write of the batch worked: by a dry run
    /// on the listing that was last written with success, else by reading the same listing.
    async fn cause(&self, ready: &Ready<'_>) -> Cause {
        let last = self.last_written.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((sku, marketplace)) = last.filter(|(sku, _)| &**sku != ready.sku) {
            return match self.dry_run(&sku, &marketplace).await {
                // A dry run that is refused for its content was let in.
                Ok(()) | Err(Fault::Refused(_)) => Cause::WritesWork,
                Err(Fault::Unauthorized(_)) => Cause::NoRole,
                Err(fault) => Cause::NotTold(fault),
            };
        }
        let Ok(request) = encode::get_listing(&self.options, ready.sku) else { return Cause::ThisPath };
        match self.caller.read(&request).await {
            Ok(_) => Cause::NoRole,
            Err(Fault::Refused(_)) => Cause::ThisPath,
            Err(Fault::Unauthorized(why)) => {
                match self.caller.read(&encode::search_all(&self.options, None, None)).await {
                    Ok(_) => Cause::ThisPath,
                    Err(Fault::Unauthorized(_)) => Cause::NoAccess(why),
                    Err(fault) => Cause::NotTold(fault),
                }
            }
            Err(fault) => Cause::NotTold(fault),
        }
    }

    /// Asks whether a write would be let in. Writes nothing.
    pub(super) async fn dry_run(&self, sku: &str, marketplace: &str) -> Result<(), Fault> {
        let request = encode::patch_preview(&self.options, sku, marketplace)
            .map_err(|e| Fault::Refused(e.to_string()))?;
        self.caller.read(&request).await.map(|_| ())
    }
}

/// Why a write was answered with 403.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    /// Other writes are let in, so it is this SKU.
    WritesWork,
    /// Reads are let in, but not those of this SKU's path.
    ThisPath,
    /// This listing can be read and not written.
    NoRole,
    /// Nothing is let in.
    NoAccess(String),
    NotTold(Fault),
}

impl Cause {
    fn outcome(&self, sku: &str, told: &str) -> Outcome {
        match self {
            Cause::WritesWork | Cause::ThisPath if encode::is_plain(sku) => Outcome::Rejected {
                reason: format!(
                    "{told}; other requests are let in, and the path of this SKU holds nothing that must be encoded: \
                     the app's role does not cover this listing, see in Seller Central who may change it"
                ),
            },
            Cause::WritesWork | Cause::ThisPath => Outcome::Rejected {
                reason: format!(
                    "{told}; other requests are let in, and the path of this SKU holds characters that must be encoded, \
                     which Amazon does not always understand: offer it under a SKU of letters, digits, `-`, `.`, `_` \
                     and `~`"
                ),
            },
            Cause::NoRole => Outcome::Unauthorized { reason: role_missing(told) },
            Cause::NoAccess(why) => Outcome::Unauthorized { reason: why.clone() },
            Cause::NotTold(Fault::Throttled { retry_after }) => throttled(*retry_after),
            Cause::NotTold(fault) => {
                Outcome::NotSent { reason: format!("refused ({told}), and why could not be told: {fault}") }
            }
        }
    }
}

/// Returns the outcome of a put that was not let through.
fn kept_out(read: &Result<BTreeMap<String, Reading>, Fault>, sku: &str) -> Outcome {
    let rejected = |reason: String| Outcome::Rejected { reason };
    match read {
        Ok(readings) => match readings.get(sku).map(Reading::observed) {
            Some(Observed::Unwritable { why }) => rejected(format!("not written: {why}")),
            Some(Observed::Unread { why }) => {
                Outcome::NotSent { reason: format!("who fulfils it could not be read: {why}") }
            }
            Some(Observed::Absent) => rejected(format!("Amazon has no listing with the SKU `{sku}`")),
            // Read as writable, and forgotten or contradicted meanwhile.
            Some(Observed::Seen(_)) | None => {
                Outcome::NotSent { reason: "who fulfils it is being read again".to_owned() }
            }
        },
        Err(Fault::Throttled { retry_after }) => throttled(*retry_after),
        Err(Fault::Unauthorized(reason)) => Outcome::Unauthorized { reason: reason.clone() },
        Err(fault) => Outcome::NotSent { reason: format!("who fulfils it could not be read: {fault}") },
    }
}

/// Says what to do where reads work and writes are refused.
pub(super) fn role_missing(told: &str) -> String {
    format!("{told}; reads work and writes do not: {ROLE}")
}
