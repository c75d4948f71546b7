//! What ERPs are told of orders: one posting under way per order, looked up before it is tried again.

use crate::{
    core::{
        backoff::{self, digest},
        circuit::{Allowed, Subject},
        command::{Refused, Reply},
        decide::{Draft, answers::health_of},
        fault::excerpt,
        index::{Kind, Work},
        posting::{Item, PostState, Step, in_shadow, most, reference, target},
        record::Record,
    },
    model::{
        ChannelId, Mode, OrderKey, Outcome, Overflow, Policies, Posting, PostingLine, Timestamp, Totals,
        policy::ChannelPolicy,
    },
};

impl Draft<'_> {
    pub(super) fn take_postings(&mut self, channel: &ChannelId, limit: usize) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let policy = self.channel(channel)?;
        let row = self.state.channels.get(channel);
        let limit = match row.map_or(Allowed::All, |row| row.circuit.allows(self.now)) {
            Allowed::All => limit,
            Allowed::Probe => 1,
            Allowed::None => 0,
        };
        let paused = row.is_some_and(|row| row.pause.is_some() || row.stopped().is_some());
        if self.state.mode() != Some(Mode::Live) || paused || self.state.initialised.is_none() {
            return Ok(Reply::Postings(Vec::new()));
        }
        let due: Vec<OrderKey> = self
            .state
            .index
            .of(Kind::Post, channel)
            .map_while(|work| {
                if let Work::Post { at, order, .. } = work
                    && *at <= self.now
                {
                    Some(order.clone())
                } else {
                    None
                }
            })
            .take(limit)
            .collect();
        let mut postings = Vec::new();
        for key in due {
            postings.extend(self.send_posting(&policies, &policy, channel, &key));
        }
        Ok(Reply::Postings(postings))
    }

    fn send_posting(
        &mut self,
        policies: &Policies,
        policy: &ChannelPolicy,
        channel: &ChannelId,
        key: &OrderKey,
    ) -> Option<Posting> {
        let order = self.state.orders.get(key)?;
        let held = order.posting(channel)?.clone();
        let target = held.with_gone(target(order, policy.posts, &policy.locations).ok()?, &policy.locations);
        let placed_at = order.placed_at;
        if held.shadow && held.sequence == 0 {
            let posting = held.asked(in_shadow(order));
            self.emit(Record::Posting { key: key.clone(), posting });
            return None;
        }
        if !held.is_behind(&target, &policy.locations) && !held.unsure {
            let posting = PostState { step: Step::Done, tries: 0, fault: None, ..held };
            self.emit(Record::Posting { key: key.clone(), posting });
            return None;
        }
        let mut next = held.clone();
        next.attempt(&target);
        match self.posting_lines(channel, &next, &target) {
            Ok(lines) => {
                let (sequence, sent) = (next.sequence, most(&held.sent, &target));
                let posting = PostState { step: Step::InFlight { target }, sent, ..next };
                self.emit(Record::Posting { key: key.clone(), posting });
                let reference = reference(policies, key);
                Some(Posting { order: key.clone(), reference, sequence, placed_at, lines })
            }
            Err(missing) => {
                // It heals itself once the ERP has the item.
                let seed = digest(&[key.order.as_str(), missing.as_str()]);
                let at = backoff::next(&policies.retry, held.tries + 1, seed, self.now);
                let fault = Some(excerpt(&format!("it does not have SKU {missing}")));
                let posting = PostState { step: Step::Retry { at }, tries: held.tries + 1, fault, ..held };
                self.emit(Record::Posting { key: key.clone(), posting });
                None
            }
        }
    }

    /// Names the items as the ERP does, or returns the SKU that it does not have.
    fn posting_lines(
        &self,
        channel: &ChannelId,
        held: &PostState,
        target: &[Item],
    ) -> Result<Vec<PostingLine>, String> {
        target
            .iter()
            .map(|item| {
                let row = self.state.skus.get(&item.sku);
                let ids = row.and_then(|row| row.called_on(channel)).cloned();
                let ids = ids.ok_or_else(|| item.sku.to_string())?;
                Ok(held.line(ids, item))
            })
            .collect()
    }

    pub(super) fn posted(
        &mut self,
        channel: &ChannelId,
        key: &OrderKey,
        sequence: u32,
        outcome: Outcome,
        found: Option<Vec<Totals>>,
    ) -> Result<Reply, Refused> {
        let policies = self.policies()?;
        let policy = self.channel(channel)?;
        let health = health_of(&outcome);
        let order = self.state.orders.get(key);
        let held = order.and_then(|order| order.posting(channel)).filter(|p| p.sequence == sequence).cloned();
        let Some(held) = held else { return Err(Refused::Nothing(format!("posting {sequence} of {key}"))) };
        let Step::InFlight { target: told } = held.step.clone() else { return Ok(Reply::Duplicate) };
        let seed = digest(&[key.order.as_str()]);
        let again = backoff::next(&policies.retry, held.tries + 1, seed, self.now);
        let mut held = PostState { fault: fault(&outcome), ..held };
        if is_unsent(&outcome) {
            held.unsent();
        }
        let failed =
            |at: Timestamp| PostState { step: Step::Retry { at }, tries: held.tries + 1, ..held.clone() };
        let waits = |at: Timestamp| PostState { step: Step::Retry { at }, ..held.clone() };
        let posting = match outcome {
            Outcome::Applied | Outcome::Accepted { .. } => self.acknowledged(&policy, key, &held, told),
            Outcome::Rejected { reason } => self.parked(&policy, held, told, reason, found),
            Outcome::Throttled { retry_after_ms } => waits(self.now.plus_millis(retry_after_ms.max(0))),
            Outcome::Unauthorized { .. } => waits(self.now.plus_millis(policies.retry.circuit_open_ms)),
            Outcome::Stale | Outcome::NotSent { .. } => failed(again),
            // It may land yet: look no sooner than the ERP's `late` bound allows.
            Outcome::Unknown { .. } => {
                let late = self.now.plus_millis(policy.abilities.late_ms);
                PostState { unsure: true, ..failed(again.max(late)) }
            }
        };
        self.emit(Record::Posting { key: key.clone(), posting });
        self.judge(channel, &policies, &health, Some(&Subject::Order(key.clone())));
        Ok(Reply::Done)
    }

    fn acknowledged(
        &self,
        policy: &ChannelPolicy,
        key: &OrderKey,
        held: &PostState,
        told: Vec<Item>,
    ) -> PostState {
        let order = self.state.orders.get(key);
        let wanted: Result<Vec<Item>, Overflow> =
            order.map_or(Ok(Vec::new()), |order| target(order, policy.posts, &policy.locations));
        let elsewhere = |item: &Item| !policy.locations.contains(&item.location);
        let sent = held.sent.iter().filter(|item| elsewhere(item)).filter(|item| !told.contains(item));
        let next = PostState {
            sent: sent.cloned().collect(),
            acked: held.holding(told, &policy.locations),
            ..held.clone()
        };
        let more = wanted.is_ok_and(|wanted| next.is_behind(&wanted, &policy.locations));
        PostState {
            step: if more { Step::Pending } else { Step::Done },
            unanswered: Vec::new(),
            acked_at: self.seq,
            tries: 0,
            since: self.now,
            unsure: false,
            fault: None,
            ..next
        }
    }

    /// The ERP refuses the rest of a posting. It has taken of it what was found there; what people did there beyond
    /// what it was told is theirs. Where nothing was found out, its counts wait.
    fn parked(
        &self,
        policy: &ChannelPolicy,
        held: PostState,
        told: Vec<Item>,
        reason: String,
        found: Option<Vec<Totals>>,
    ) -> PostState {
        let (step, tries) = (Step::Parked { reason }, held.tries.saturating_add(1));
        match found.filter(|found| found.len() == told.len()) {
            Some(found) => {
                let acked = told.into_iter().zip(found).map(|(item, found)| {
                    let totals = found.least(held.told(&item.sku, &item.location));
                    Item { totals, ..item }
                });
                let acked = held.holding(acked.collect(), &policy.locations);
                let unanswered = Vec::new();
                PostState { step, tries, acked, unanswered, acked_at: self.seq, unsure: false, ..held }
            }
            None => PostState { step, tries, unsure: true, ..held },
        }
    }

    /// What was under way when the process ended is looked up again, no sooner than it can have landed.
    pub(super) fn restart_postings(&mut self) {
        let under_way = self.state.index.all(Kind::Posting).filter_map(|work| {
            if let Work::Posting { channel, order } = work {
                Some((channel.clone(), order.clone()))
            } else {
                None
            }
        });
        for (channel, key) in under_way.collect::<Vec<_>>() {
            let held = self.state.orders.get(&key).and_then(|order| order.posting(&channel)).cloned();
            let Some(held) = held else { continue };
            let late_ms = self.channel(&channel).map_or(0, |policy| policy.abilities.late_ms);
            let step = Step::Retry { at: self.now.plus_millis(late_ms) };
            let fault = Some("the daemon was stopped before the answer was in".to_owned());
            let posting = PostState { step, tries: held.tries + 1, unsure: true, fault, ..held };
            self.emit(Record::Posting { key, posting });
        }
    }
}

/// Tells whether nothing was sent.
fn is_unsent(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::NotSent { .. } | Outcome::Throttled { .. } | Outcome::Unauthorized { .. } => true,
        Outcome::Applied
        | Outcome::Accepted { .. }
        | Outcome::Stale
        | Outcome::Rejected { .. }
        | Outcome::Unknown { .. } => false,
    }
}

/// Returns why a try did not go through.
fn fault(outcome: &Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::Applied | Outcome::Accepted { .. } => return None,
        Outcome::Stale => "it was changed there meanwhile".to_owned(),
        Outcome::Throttled { retry_after_ms } => {
            format!("it asks to wait for {} ms", retry_after_ms.max(&0))
        }
        Outcome::Rejected { reason } | Outcome::NotSent { reason } => excerpt(reason),
        Outcome::Unauthorized { reason } => excerpt(&format!("credentials are refused: {reason}")),
        Outcome::Unknown { fault } => excerpt(fault),
    })
}
