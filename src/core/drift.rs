//! What a quantity read from a channel means, against what it should show.

use serde::{Deserialize, Serialize};

use crate::{
    core::writes::{Look, Reading, Told, Writes},
    model::{Overflow, Quantity, Seq, Timestamp, policy::DriftPolicy},
};

/// What a read turned out to mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The channel shows what it should.
    Explained,
    /// It shows what a write of ours that was not settled would make it show.
    Landed { shown: Quantity },
    /// It shows what it should, if own sales from about the time as of which that is known are taken for in it, or for not
    /// in it. `expected`: what that makes of it.
    Corrected { expected: Quantity },
    /// It was not known before what it should show.
    Learnt { shown: Quantity },
    /// Nothing that is known explains the difference. Before the fence that may be an order that was not seen yet;
    /// after it, it is another writer.
    Unexplained { expected: Quantity, shown: Quantity },
}

/// Judges a look against what the channel should show.
pub fn judge(writes: &Writes, look: &Look, reading: Reading) -> Result<Verdict, Overflow> {
    let shown = look.shown()?;
    Ok(match writes.base {
        Some(_) if writes.explains(look.seen, look.at, reading.stale_ms) => Verdict::Explained,
        Some(base) if base == shown => Verdict::Explained,
        Some(_) if writes.may_have_landed(shown, reading) => Verdict::Landed { shown },
        Some(base) => match corrected(writes, look, reading) {
            Some(expected) => Verdict::Corrected { expected },
            None => Verdict::Unexplained { expected: base, shown },
        },
        None => Verdict::Learnt { shown },
    })
}

/// Judges a look when all orders up to it are in. Only then a delta of ours without an answer explains that less is shown: before, as
/// many may have been sold unseen.
pub fn judge_fenced(writes: &Writes, look: &Look, reading: Reading) -> Result<Verdict, Overflow> {
    let verdict = judge(writes, look, reading)?;
    let Verdict::Unexplained { expected, shown } = verdict else { return Ok(verdict) };
    for delta in writes.deltas(reading) {
        // What was written since may have come before it.
        let over = writes.may_have_landed(shown.sub(delta)?, reading);
        let with = Writes { base: Some(expected.add(delta)?), ..writes.clone() };
        let explained = judge(&with, look, reading)?;
        if over || matches!(explained, Verdict::Explained | Verdict::Corrected { .. }) {
            return Ok(Verdict::Landed { shown });
        }
    }
    Ok(verdict)
}

/// Returns what the channel should show instead of what is expected, by own sales from about the time as of which that is
/// known. Where it has promised more units than its orders tell, another sale is missing, of however many units.
pub fn corrected(writes: &Writes, look: &Look, reading: Reading) -> Option<Quantity> {
    let told = writes.told.as_deref().filter(|_| look.committed.is_some());
    if told.is_some_and(|told| promises_more(told, look)) {
        return None;
    }
    let base = writes.base?;
    let agrees = |expected: Quantity| {
        told.is_none_or(|told| {
            let as_known = told.at >= writes.counts_from();
            // Units that were put back before what is known came from no sale that is missing.
            let sold = base.sub(expected).and_then(|sold| {
                let more = sold > Quantity::ZERO;
                if more { Ok(sold.sub(writes.put_back_in_doubt()?)?.or_zero()) } else { Ok(sold) }
            });
            is_committed(told, as_known, look, sold).unwrap_or_default()
        })
    };
    writes.corrected(look.seen, look.at, reading, agrees)
}

/// Tells whether what a channel has committed fits that `sold` units more of the own sales came after what is known of it
/// (below zero: fewer). An edit of the stock, or another app, moves what is shown and not what is committed. `as_known`: it told
/// that no earlier than the quantity that is known.
fn is_committed(
    told: &Told,
    as_known: bool,
    look: &Look,
    sold: Result<Quantity, Overflow>,
) -> Result<bool, Overflow> {
    let (sold, Some(committed)) = (sold?, look.committed) else { return Ok(true) };
    if sold >= Quantity::ZERO {
        return Ok(committed >= told.left()?.add(sold)?);
    }
    // What was learnt before the channel told is in what it told.
    let learnt = told.since.sold.add(told.since.sold_about)?;
    let learnt_since = as_known && learnt.add(sold)? >= Quantity::ZERO;
    Ok(!learnt_since || committed <= told.explained()?.1.add(sold)?)
}

/// Tells whether a channel has promised more units than all orders that it may have counted by then.
fn promises_more(told: &Told, look: &Look) -> bool {
    let most = told.explained().map(|(_, most)| most);
    look.committed.zip(most.ok()).is_some_and(|(committed, most)| committed > most)
}

/// Takes a look in: what it explains is believed, what nothing explains waits for its fence. A look that waits
/// already stays: later sights move with the own sales that are learnt, and would push the fence away for ever.
pub fn observe(writes: &mut Writes, look: Look, reading: Reading) -> Option<Verdict> {
    let stale_ms = reading.stale_ms;
    let verdict = judge(writes, &look, reading).ok()?;
    match verdict {
        Verdict::Explained => {
            writes.look = None;
            writes.look_bears_out(look.seen, look.at, stale_ms);
            // Explained by what may not be in it, it may show as much as it did.
            if look.most().is_ok_and(|most| writes.base.is_some_and(|base| most <= base)) {
                writes.saw(look.at);
            }
            writes.heed(&look);
        }
        Verdict::Landed { shown } => {
            writes.believe(shown, &look, stale_ms);
            writes.heed(&look);
        }
        Verdict::Corrected { expected } => {
            writes.correct(expected, &look, stale_ms);
            writes.heed(&look);
        }
        Verdict::Learnt { .. } | Verdict::Unexplained { .. } => {
            if let (Some(_), Ok(most)) = (&writes.look, look.most()) {
                writes.may_show(most, look.at);
            }
            writes.look.get_or_insert_with(|| Box::new(look));
        }
    }
    Some(verdict)
}

/// What a difference that nothing explains turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// on_hand moved with it: somebody edited the stock there.
    Edit,
    /// Only what is shown moved, as far as the channel tells: another app writes there.
    Rival,
    /// The channel has promised more units than its orders tell: a sale that was not seen.
    Unseen,
}

/// What was done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// Ours is written again.
    Repaired,
    /// A person is asked.
    Asked,
    /// Taken over into the ledger.
    Accepted,
    /// Theirs stays until the stock changes next.
    Left,
    /// Two writers undo each other: nothing is raised there until a person releases it.
    Held,
    /// A person has released it.
    Released,
    /// It shows what it should, without our doing.
    Gone,
}

/// The latest drift of a listing, and how often it was repaired lately.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drifted {
    /// The position of its record.
    pub seq: Seq,
    pub at: Timestamp,
    pub found: Found,
    /// What it should have shown by what was known. On a listing that is held, or that a person has left as it is: what ours would
    /// show.
    pub expected: Quantity,
    pub observed: Quantity,
    pub done: Done,
    /// Why a person is asked although the policy says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The latest repairs, oldest first; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repairs: Vec<Repaired>,
    /// The latest ones that showed less than expected and that a lower of ours went over, oldest first; bounded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lowered: Vec<Repaired>,
    /// The policy has left it, and no person.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub theirs: bool,
    /// A lower of ours went over it: it ends only by a person, whatever is shown then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub passed_over: bool,
    /// When it was seen, by our clock, if a lower of ours went over it at once: that may have been seen there before it turned out
    /// that nothing explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_at: Option<Timestamp>,
    /// The reads, by our clock, between which it came about, as far as they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<(Timestamp, Timestamp)>,
    /// What else it should have shown, if a write of ours without an answer is in it: which of them is so, nobody can tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<Quantity>,
    /// When the read of it was sent, by our clock, as long as it may turn out to have been an old copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// The most units more than ours that it has shown since it is held.
    #[serde(default, skip_serializing_if = "Quantity::is_zero")]
    pub over_most: Quantity,
}

/// One repair: what somebody else had written over ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repaired {
    pub at: Timestamp,
    #[serde(rename = "v")]
    pub observed: Quantity,
}

impl Found {
    /// Returns the name that people know it by.
    pub fn name(self) -> &'static str {
        match self {
            Found::Edit => "edit",
            Found::Rival => "rival",
            Found::Unseen => "unseen",
        }
    }
}

impl Done {
    /// Returns the name that people and metrics know it by.
    pub fn name(self) -> &'static str {
        match self {
            Done::Repaired => "repaired",
            Done::Asked => "asked",
            Done::Accepted => "accepted",
            Done::Left => "left",
            Done::Held => "held",
            Done::Released => "released",
            Done::Gone => "gone",
        }
    }
}

impl Drifted {
    /// Tells whether it waits for a person; until then nothing is raised there.
    pub fn is_open(&self) -> bool {
        match self.done {
            Done::Asked | Done::Held => true,
            Done::Repaired | Done::Accepted | Done::Left | Done::Released | Done::Gone => false,
        }
    }

    /// Returns how many units more than ours a held listing shows: so many are sold there that may not be there.
    pub fn over(&self) -> Quantity {
        let over = self.observed.sub(self.expected).unwrap_or_default().or_zero();
        if self.done == Done::Held { over } else { Quantity::ZERO }
    }

    /// Returns it as what it is once it is known how own orders had moved what was shown by then.
    pub fn but(self, moved: Quantity) -> Drifted {
        let by = |expected: Quantity| expected.add(moved).unwrap_or(expected);
        let or = self.or.iter().copied().map(by).collect();
        Drifted { expected: by(self.expected), or, ..self }
    }

    /// Returns the change of the stock that it would be.
    pub fn delta(&self) -> Result<Quantity, Overflow> {
        self.observed.sub(self.expected)
    }

    /// Returns when the stock changed, at the time that promises least: units that are gone may have gone after whatever
    /// is counted as of then, and units that came may be in it.
    pub fn event_at(&self) -> Result<Timestamp, Overflow> {
        let Some((before, seen)) = self.between else { return Ok(self.at) };
        Ok(if self.delta()? > Quantity::ZERO { before } else { seen })
    }
}

/// Tells what a difference is. `told`: what the channel told with the last quantity that was explained. `open`: the least that it had
/// committed at the look by all orders that are known.
///
/// A manual edit moves available and on_hand together; a sale moves available and committed against each other; another
/// app may move units between other states, or write where nothing but the quantity is told.
pub fn found(told: Option<&Told>, look: &Look, open: Option<Quantity>) -> Found {
    let (Some(told), Some(now), Some(committed)) = (told, Told::of(look), look.committed) else {
        return Found::Rival;
    };
    // Where it may or may not have more, that is not taken for an edit: what is taken over would be counted again when its order
    // comes. What of it was known when is in doubt only by the times that are told: the orders themselves may tell of all of it.
    let tells_all = |most: Quantity| committed <= most && open == Some(committed);
    if told.explained().is_ok_and(|(least, most)| committed > least && !tells_all(most)) {
        return Found::Unseen;
    }
    if now.other == told.other { Found::Edit } else { Found::Rival }
}

/// Notes a repair among the latest ones. Returns whether they are a loop: two writers undo each other.
pub fn repair(policy: &DriftPolicy, repairs: &mut Vec<Repaired>, repaired: Repaired) -> bool {
    let from = repaired.at.plus_millis(-policy.loop_within_ms);
    repairs.retain(|held| held.at > from);
    repairs.push(repaired);
    let surplus = repairs.len().saturating_sub(most(policy));
    repairs.drain(..surplus);
    is_loop(policy, repairs)
}

/// Tells whether so many are a loop.
pub fn is_loop(policy: &DriftPolicy, repairs: &[Repaired]) -> bool {
    repairs.len() >= most(policy)
}

fn most(policy: &DriftPolicy) -> usize {
    usize::try_from(policy.loop_repairs.min(DriftPolicy::LOOP_REPAIRS_MAX)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::writes::{Move, Turnover, Unsettled},
        model::{IdempotencyKey, Seq, Timestamp},
    };

    /// What was expected, seen, sold since and still unsettled -> the verdict.
    #[track_caller]
    fn check(expected: Option<i64>, seen: i64, since: i64, unsettled: &[i64], want: Verdict) {
        let q = Quantity::new;
        let at = Timestamp::ZERO;
        let look = Look { seen: q(seen), since: q(since), ..Look::bare(Quantity::ZERO, at, Seq::ZERO) };
        let key = IdempotencyKey::new("k").expect("a good key");
        let write = |n: &i64| Unsettled {
            quantity: q(*n),
            compare: None,
            delta: None,
            key: key.clone(),
            at,
            times: 1,
            bulk: None,
        };
        let unsettled = unsettled.iter().map(write).collect();
        let writes = Writes { base: expected.map(q), unsettled, ..Writes::default() };
        assert_eq!(judge(&writes, &look, Reading::default()), Ok(want));
    }

    #[test]
    fn a_difference_is_unexplained_only_if_nothing_explains_it() {
        let q = Quantity::new;
        check(Some(5), 5, 0, &[], Verdict::Explained);
        check(Some(4), 5, -1, &[], Verdict::Explained); // sold after the read
        check(Some(5), 7, 0, &[7], Verdict::Landed { shown: q(7) }); // a write of ours landed late
        check(Some(5), 3, 0, &[7], Verdict::Unexplained { expected: q(5), shown: q(3) });
        check(None, 3, -1, &[], Verdict::Learnt { shown: q(2) });
    }

    fn look([available, on_hand, committed]: [i64; 3]) -> Look {
        let q = Quantity::new;
        let (on_hand, committed) = (Some(q(on_hand)), Some(q(committed)));
        let at = Timestamp::ZERO;
        Look { on_hand, committed, ..Look::bare(q(available), at, Seq::ZERO) }
    }

    /// `available on_hand committed` then, own sales and shipments learnt since, the same three now -> what it is.
    #[track_caller]
    fn check_since(then: [i64; 3], [sold, gone]: [i64; 2], now: [i64; 3], want: Found) {
        let (sold, gone) = (Quantity::new(sold), Quantity::new(gone));
        let since = Turnover { sold, gone, ..Turnover::default() };
        let told = Told { since, ..Told::of(&look(then)).expect("all is told") };
        assert_eq!(found(Some(&told), &look(now), None), want);
    }

    #[track_caller]
    fn check_found(then: [i64; 3], sold: i64, now: [i64; 3], want: Found) {
        check_since(then, [sold, 0], now, want);
    }

    #[test]
    fn units_that_were_shipped_hide_no_sale() {
        check_since([7, 10, 3], [0, 3], [4, 7, 3], Found::Unseen);
        check_since([7, 10, 3], [2, 3], [4, 6, 2], Found::Edit);
        check_since([7, 10, 3], [0, 0], [4, 7, 3], Found::Edit);
    }

    #[test]
    fn an_edit_moves_on_hand_and_a_sale_does_not() {
        check_found([8, 10, 2], 0, [5, 7, 2], Found::Edit);
        check_found([8, 10, 2], 0, [12, 14, 2], Found::Edit);
        check_found([8, 10, 2], 0, [6, 7, 1], Found::Edit); // one was shipped, two were taken
        check_found([8, 10, 2], 3, [1, 6, 5], Found::Edit); // three were sold, four were taken
        check_found([8, 10, 2], 0, [5, 10, 2], Found::Rival); // three were set aside
        check_found([8, 10, 2], 0, [5, 10, 5], Found::Unseen);
        check_found([8, 10, 2], 1, [5, 10, 5], Found::Unseen);
        assert_eq!(found(None, &look([5, 7, 2]), None), Found::Rival);
        let told = Told::of(&look([8, 10, 2]));
        assert_eq!(found(told.as_ref(), &Look { on_hand: None, ..look([5, 7, 2]) }, None), Found::Rival);
    }

    /// What is committed there rose by the three that were sold about when 7 became known, and 10 show: were they in it?
    #[track_caller]
    fn check_in_it(told_at: i64, want: Option<i64>) {
        let (q, at) = (Quantity::new, |seconds: i64| Timestamp::from_millis(seconds * 1_000));
        let since = Turnover { sold: q(3), ..Turnover::default() };
        let told = Told { at: at(told_at), since, ..Told::of(&look([10, 10, 0])).expect("all is told") };
        let sold = Move { quantity: q(-3), at: at(101), learnt: at(120) };
        let writes = Writes {
            base: Some(q(7)),
            known_at: at(100),
            moves: [sold].into_iter().collect(),
            told: Some(Box::new(told)),
            ..Writes::default()
        };
        let look = Look { at: at(150), ..look([10, 13, 3]) };
        let reading = Reading { compares: true, wanted: Some(q(7)), ..Reading::default() };
        assert_eq!(corrected(&writes, &look, reading), want.map(q));
    }

    /// 9 are expected with the units (if any) that were put back about when 6 became known, and these show now: available, on hand,
    /// committed. Before, 10 were committed.
    #[track_caller]
    fn check_put_back(back: i64, now: [i64; 3], want: Option<i64>) {
        let (q, at) = (Quantity::new, |seconds: i64| Timestamp::from_millis(seconds * 1_000));
        let told = Told { at: at(130), ..Told::of(&look([6, 16, 10])).expect("all is told") };
        let put_back = Move { quantity: q(back), at: at(101), learnt: at(120) };
        let writes = Writes {
            base: Some(q(9)),
            known_at: at(100),
            moves: [put_back].into_iter().filter(|held| held.quantity > q(0)).collect(),
            told: Some(Box::new(told)),
            ..Writes::default()
        };
        let reading = Reading { compares: true, wanted: Some(q(9)), ..Reading::default() };
        assert_eq!(corrected(&writes, &Look { at: at(150), ..look(now) }, reading), want.map(q));
    }

    #[test]
    fn units_that_were_put_back_before_the_quantity_that_is_known_commit_nothing_more() {
        check_put_back(3, [6, 16, 10], Some(6)); // they were in it
        check_put_back(3, [5, 15, 10], None);
        check_put_back(2, [6, 16, 10], None);
        check_put_back(0, [6, 16, 10], None); // somebody took three
    }

    #[test]
    fn what_a_channel_told_of_before_the_quantity_that_is_known_tells_no_edit_from_a_sale() {
        check_in_it(100, None); // they are committed since then, so they were not in it: three were put there
        check_in_it(50, Some(10)); // they may have been sold in between
    }

    /// Seconds at which ours was written again -> whether the last is one too many.
    #[track_caller]
    fn check_loop(at: &[i64], want: bool) {
        let policy = DriftPolicy { loop_repairs: 3, loop_within_ms: 60_000, ..DriftPolicy::default() };
        let (mut repairs, mut loops) = (Vec::new(), false);
        for seconds in at {
            let at = Timestamp::from_millis(seconds * 1_000);
            loops = repair(&policy, &mut repairs, Repaired { at, observed: Quantity::ZERO });
        }
        assert_eq!(loops, want, "{repairs:?}");
        assert!(repairs.len() <= 3);
    }

    #[test]
    fn repairs_within_a_while_are_a_loop() {
        check_loop(&[1], false);
        check_loop(&[1, 20], false);
        check_loop(&[1, 20, 40], true);
        check_loop(&[1, 20, 61], false);
        check_loop(&[1, 70, 140, 210, 280], false);
        check_loop(&[1, 30, 62, 80], true);
    }
}
