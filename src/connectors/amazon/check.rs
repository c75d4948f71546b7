//! Asking whether the account can be worked with.
//!
//! Reads a page of listings and of orders, and dry-runs a write: roles that were added after the refresh token was
//! made let reads through and refuse writes, which nothing else shows. Changes nothing.

use std::sync::atomic::Ordering;

use super::{Amazon, decode, encode, tend::secret_age, write::role_missing};
use crate::{
    clock::Clock,
    connectors::{By, Checked, Fault},
    model::counted,
};

/// How far back the orders are asked for. Only whether they are answered counts.
const BACK_MS: i64 = 3_600_000;

impl Amazon {
    pub(super) async fn look_over(&self) -> Result<Checked, Fault> {
        let mut checked = Checked::default();
        self.look_over_listings(&mut checked).await?;
        self.look_over_orders(&mut checked).await?;
        if let Some(queue) = &self.queue {
            queue.look_over(&mut checked).await;
            self.look_over_subscriptions(queue.arn().as_deref(), &mut checked).await;
        }
        if self.options.feeds {
            self.look_over_feeds(&mut checked).await;
        }
        self.look_over_secret(&mut checked);
        Ok(checked)
    }

    /// Tells which notifications are missing. The daemon asks for them when it starts.
    async fn look_over_subscriptions(&self, arn: Option<&str>, checked: &mut Checked) {
        let Some(arn) = arn else { return };
        match self.subscriptions(arn).await {
            Ok(found) => {
                if !found.missing.is_empty() {
                    let kinds = found.missing.join(" and ");
                    checked.facts.push(format!("{kinds} will be subscribed to when the daemon starts"));
                }
                for (kind, to) in found.elsewhere {
                    checked.problems.push(format!(
                        "{kind} is sent to another queue (destination {to}): delete that subscription, or name that queue"
                    ));
                }
            }
            Err(fault) => checked.problems.push(format!("subscriptions cannot be looked at: {fault}")),
        }
    }

    /// Without feeds all is written one by one, which works as well and takes longer.
    async fn look_over_feeds(&self, checked: &mut Checked) {
        match self.feeds_are_let_in().await {
            Ok(()) => checked.facts.push("feeds are permitted".to_owned()),
            Err(Fault::Unauthorized(told)) => checked.problems.push(format!(
                "feeds are not permitted: {told}; grant the app the role `Product Listing`, authorise it again and replace \
                 `refresh_token`, or set `feed_above = 0` to write all one by one"
            )),
            Err(fault) => checked.facts.push(format!("whether feeds are permitted could not be told: {fault}")),
        }
    }

    fn look_over_secret(&self, checked: &mut Checked) {
        match self.options.secret_since {
            None => checked
                .facts
                .push("`client_secret_since` is not set: nobody is told before it ends".to_owned()),
            Some(since) => checked.facts.extend(secret_age(since, self.clock.now()).map(|told| told.text)),
        }
    }

    async fn look_over_listings(&self, checked: &mut Checked) -> Result<(), Fault> {
        let answer = self.caller.read(&encode::search_all(&self.options, None, None)).await?;
        let page = decode::page(&answer.body, &self.options.marketplace_ids)?;
        let stores = self.options.marketplace_ids.join(", ");
        checked.facts.push(format!("{} in {stores}", counted(page.total, "listing")));
        let own = page.listings.into_iter().flatten().find(|l| l.stock.unwritable().is_none());
        let Some(own) = own else {
            let fact = "none of the first listings is merchant-fulfilled, so writing was not tried";
            checked.facts.push(fact.to_owned());
            return Ok(());
        };
        let marketplace = own.marketplace.as_deref().unwrap_or(self.first_marketplace());
        match self.dry_run(&own.sku, marketplace).await {
            Ok(()) => checked.facts.push("writing is permitted".to_owned()),
            Err(Fault::Unauthorized(told)) => checked.problems.push(role_missing(&told)),
            // For a reason of that listing's own.
            Err(Fault::Refused(why)) => {
                checked.facts.push(format!("the dry run of a write was refused: {why}"))
            }
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    /// Asks once only: orders may be searched 480 times a day, and the feed needs them.
    async fn look_over_orders(&self, checked: &mut Checked) -> Result<(), Fault> {
        if !self.orders_work.load(Ordering::Relaxed) {
            let recently = self.clock.now().plus_millis(-BACK_MS);
            let search = encode::search_orders(&self.options, By::Change, recently, 1, None);
            match self.caller.read(&search).await {
                Ok(_) => self.orders_work.store(true, Ordering::Relaxed),
                Err(Fault::Unauthorized(why)) => {
                    checked.problems.push(format!("orders cannot be read: {why}"));
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            }
        }
        checked.facts.push("orders can be read".to_owned());
        Ok(())
    }
}
