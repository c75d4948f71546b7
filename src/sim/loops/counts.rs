//! Counts of the ERP, and postings to it.

use crate::{
    core::{
        Command, Refused, Reply,
        command::Count,
        decide::counts::{lacks, raising},
        index::Kind,
    },
    model::{Identifiers, Measure, OrderKey, Posting, Seq, Timestamp},
    sim::{
        loops::Loop,
        plan::{self, ERP},
        trips::{Answer, Ask},
        world::{Then, World},
    },
};

/// How far a read of what moved goes back behind the last one.
const OVERLAP: i64 = 120_000;
/// How many orders are posted at once.
const AT_ONCE: usize = 4;

impl World {
    pub(super) fn counter(&mut self, sweep: bool) {
        if self.plan.by_hand > 0 || self.desks[ERP].counting || self.daemon.durable.initialised.is_none() {
            return;
        }
        self.desks[ERP].counting = true;
        let row = self.daemon.durable.channels.get(&plan::channel(ERP));
        let through = row.and_then(|row| row.counted_through).map(Timestamp::millis);
        match through {
            Some(through) if !sweep => self.send(ERP, Ask::Changed { since: through - OVERLAP }),
            // Up to when movements are known before anything is counted: they are read again from there.
            _ => self.read_counts(None, self.erp.clock(self.now)),
        }
    }

    fn read_counts(&mut self, items: Option<Vec<Identifiers>>, through: i64) {
        let begun = self.daemon.durable.seq;
        self.send(ERP, Ask::Counts { items, begun, through });
    }

    pub(in crate::sim) fn changed_answered(&mut self, answer: Answer) {
        let Answer::Changed(items, through) = answer else {
            self.desks[ERP].counting = false;
            return self.again(ERP, Loop::Counter, &answer);
        };
        if !items.is_empty() {
            return self.read_counts(Some(items), through);
        }
        let through = Timestamp::from_millis(through);
        let counted = Command::CountedThrough { channel: plan::channel(ERP), through };
        self.submit(counted, Then::CountEnded);
    }

    pub(in crate::sim) fn counts_answered(&mut self, sweep: bool, begun: Seq, through: i64, answer: Answer) {
        let Answer::Counted(lines, as_of) = answer else {
            self.desks[ERP].counting = false;
            return self.again(ERP, Loop::Counter, &answer);
        };
        let ids: Vec<Identifiers> = lines.iter().map(|line| line.ids.clone()).collect();
        let counter = plan::channel(ERP);
        let Some(state) = self.daemon.read() else { return self.count_ended() };
        let postings = raising(state, &counter, &ids, 100);
        let count = Count {
            counter,
            measure: Measure::OnHand,
            as_of,
            begun,
            lines,
            opening: false,
            absent: Vec::new(),
            set: self.counted_together(),
        };
        if postings.is_empty() {
            return self.submit_fact(Command::Count(count), Then::Counted { through, sweep });
        }
        self.send(ERP, Ask::LookUp { postings, count: Box::new(count), through, sweep });
    }

    pub(in crate::sim) fn looked_up(
        &mut self,
        postings: &[Posting],
        count: Count,
        (through, sweep): (i64, bool),
        answer: Answer,
    ) {
        let Answer::Held(held) = answer else {
            self.desks[ERP].counting = false;
            return self.again(ERP, Loop::Counter, &answer);
        };
        let absent = postings.iter().zip(&held).filter(|(posting, held)| lacks(posting, held));
        let absent: Vec<OrderKey> = absent.map(|(posting, _)| posting.order.clone()).collect();
        self.submit_fact(Command::Count(Count { absent, ..count }), Then::Counted { through, sweep });
    }

    pub(in crate::sim) fn counted(&mut self, through: i64, sweep: bool, reply: &Result<Reply, Refused>) {
        let channel = plan::channel(ERP);
        if let Ok(Reply::Counted { deferred: 0, .. }) = reply {
            let through = Timestamp::from_millis(through);
            self.submit(Command::CountedThrough { channel: channel.clone(), through }, Then::Nothing);
        }
        if sweep {
            self.submit(Command::Swept { channel }, Then::Nothing);
        }
        self.count_ended();
    }

    pub(in crate::sim) fn count_ended(&mut self) {
        self.desks[ERP].counting = false;
    }

    // ---- postings -------------------------------------------------------------------------------------------------

    pub(super) fn poster(&mut self) {
        let room = AT_ONCE.saturating_sub(self.desks[ERP].posting);
        if room > 0 {
            // The take itself counts as one until its reply is there.
            self.desks[ERP].posting += 1;
            let take = Command::TakePostings { channel: plan::channel(ERP), limit: room };
            self.submit(take, Then::TookPostings);
        }
    }

    pub(in crate::sim) fn took_postings(&mut self, reply: Result<Reply, Refused>) {
        self.desks[ERP].posting = self.desks[ERP].posting.saturating_sub(1);
        let Ok(Reply::Postings(postings)) = reply else { return self.rest(ERP, Loop::Poster, &[Kind::Post]) };
        let none = postings.is_empty();
        for posting in postings {
            self.desks[ERP].posting += 1;
            self.send(ERP, Ask::Post(Box::new(posting)));
        }
        if none {
            self.rest(ERP, Loop::Poster, &[Kind::Post]);
        }
    }

    pub(in crate::sim) fn post_answered(&mut self, posting: &Posting, answer: &Answer) {
        let outcome = answer.outcome();
        let (order, sequence) = (posting.order.clone(), posting.sequence);
        let posted = Command::Posted { channel: plan::channel(ERP), order, sequence, outcome, found: None };
        self.submit_fact(posted, Then::Posted);
    }

    pub(in crate::sim) fn posted(&mut self) {
        self.desks[ERP].posting = self.desks[ERP].posting.saturating_sub(1);
        self.wake_at(ERP, Loop::Poster, self.now);
    }
}
