//! Decides what is done about a difference that nothing explains.

use std::collections::BTreeSet;

use crate::{
    core::{
        count::{Change, Edits},
        decide::drift::Difference,
        drift::{Done, Drifted, Found, Repaired, found, is_loop, repair},
        ledger::{Cause, Entry, Kind},
        leg::{self, Leg},
        state::{Listing, ListingRef, State},
        writes::{Told, shows},
    },
    model::{
        Overflow, Policies, Quantity, Seq, Sku, Timestamp,
        policy::{ChannelPolicy, Repair},
    },
};

/// Why a person is asked about what ours shows instead by now.
pub(in crate::core::decide) const WENT_OVER: &str = "what the ledger lowers went over it meanwhile";

/// How many other quantities are told that a listing should have shown.
const OTHERS_MAX: usize = 16;

/// Judges by what is known, and records nothing.
pub(super) struct Judge<'a> {
    pub(super) state: &'a State,
    pub(super) now: Timestamp,
    /// The position that the drift will have.
    pub(super) seq: Seq,
    /// What the brake knows of the edits of the channel, if that is more than the state does.
    pub(super) edits: Option<Edits>,
    /// How own orders that were learnt since have moved what the listing showed at the drift that a person is asked about.
    pub(super) learnt: Quantity,
}

impl Judge<'_> {
    /// Says what a difference is and what is to be done about it.
    pub(super) fn drifted(
        &self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        difference: &Difference,
    ) -> (Drifted, Option<Edits>) {
        let (mut expected, observed) = (difference.expected, difference.observed);
        let held = self.state.listing(listing);
        let before = held.and_then(|held| held.drift.as_deref());
        let mut kind = found(difference.told.as_ref(), &difference.look, difference.open);
        let mut or = difference.or.clone();
        let mut between = difference.told.map(|told| (told.at, difference.look.at));
        let asked = before.filter(|before| before.done == Done::Asked);
        // A person who is asked already is asked about all of it, from what it showed at first.
        if let Some(first) = asked.filter(|first| goes_on(first, difference)) {
            let first = first.clone().but(self.learnt);
            let of_both = |first_expected: Quantity, expected: Quantity| {
                first_expected.add(expected).and_then(|sum| sum.sub(first.observed)).unwrap_or(expected)
            };
            let firsts = || std::iter::once(&first.expected).chain(&first.or);
            let now = || std::iter::once(&expected).chain(&difference.or);
            let all: BTreeSet<Quantity> =
                firsts().flat_map(|first| now().map(move |now| of_both(*first, *now))).collect();
            expected = of_both(first.expected, expected);
            or = all.into_iter().filter(|other| *other != expected).take(OTHERS_MAX).collect();
            kind = if first.found == kind { kind } else { first.found };
            between = first.between.map(|(from, _)| (from, difference.look.at)).or(between);
        }
        let leg = held.and_then(|held| held.leg.as_ref());
        let mut drifted = Drifted {
            seq: self.seq,
            at: self.now,
            found: kind,
            expected,
            observed,
            done: Done::Gone,
            why: None,
            repairs: before.map(|before| before.repairs.clone()).unwrap_or_default(),
            lowered: before.map(|before| before.lowered.clone()).unwrap_or_default(),
            theirs: false,
            passed_over: difference.passed_over
                || leg.is_some_and(|leg| lowers(leg, observed))
                || asked.is_some_and(|asked| asked.passed_over),
            over_at: difference.passed_over.then_some(difference.look.at),
            between,
            or: or.into_iter().collect(),
            read_at: (!difference.passed_over).then_some(difference.look.at),
            over_most: Quantity::ZERO,
        };
        let mut edits = None;
        if before.is_some_and(|before| before.done == Done::Held) {
            // Only a person ends that, whatever the other writer shows.
            drifted.done = Done::Held;
        } else if let Some(leg) = leg.filter(|leg| difference.passed_over || !shows(observed, leg.quantity)) {
            let answer = self.answer(policy, listing, leg, difference, &mut drifted);
            (drifted.done, drifted.why, edits) = answer;
            if drifted.done == Done::Asked && drifted.passed_over {
                drifted.why.get_or_insert_with(|| WENT_OVER.to_owned());
            }
            if drifted.done == Done::Asked && drifted.found == Found::Edit && !drifted.or.is_empty() {
                drifted.why = Some(unsure(&drifted));
            }
        }
        let ours_since = held.is_some_and(|held| held.ours_since(&drifted));
        against_ours(&mut drifted, before, leg, ours_since);
        (drifted, edits)
    }

    /// Decides what is done about a quantity that is not what is wanted.
    fn answer(
        &self,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        leg: &Leg,
        difference: &Difference,
        drifted: &mut Drifted,
    ) -> (Done, Option<String>, Option<Edits>) {
        let Some(policies) = self.state.policies() else { return (Done::Repaired, None, None) };
        let observed = difference.observed;
        if let Some((done, why)) = self.given_up(listing, leg, difference) {
            let before = self.state.listing(listing).and_then(|held| held.drift.as_deref());
            drifted.theirs = done == Done::Left && before.is_some_and(|before| before.theirs);
            return (done, why, None);
        }
        let over = difference.passed_over || lowers(leg, observed);
        let says = policies.drift.repair(policy.drift, drifted.found == Found::Edit);
        match (drifted.found, says) {
            (Found::Unseen, _) if !over => {
                let why = "the channel has promised more units than its orders tell".to_owned();
                return (Done::Asked, Some(why), None);
            }
            (_, Repair::Ask) => return (Done::Asked, None, None),
            (Found::Edit, Repair::Theirs) if self.state.initialised.is_some() => {
                let taken = self.may_take_over(policies, policy, listing, difference, drifted);
                return match taken {
                    Ok(edits) => (Done::Accepted, None, Some(edits)),
                    Err(why) => (Done::Asked, Some(why), None),
                };
            }
            (Found::Rival, Repair::Theirs) if rests(leg) && observed < leg.quantity => {
                drifted.theirs = true;
                return (Done::Left, None, None);
            }
            (Found::Edit | Found::Rival | Found::Unseen, Repair::Ours | Repair::Theirs) => {}
        }
        // Of what a lower went over, less than expected is no quarrel: mostly a sale that was learnt too late. Again and
        // again it may be another writer that only lowers, and a person should know.
        let quarrel = !difference.passed_over || observed > difference.expected;
        // Nobody undoes what is not written.
        if self.state.still().is_some() {
            return (Done::Repaired, None, None);
        }
        if quarrel && self.loops(policies, drifted) {
            return (Done::Held, None, None);
        }
        let before = self.state.listing(listing).and_then(|held| held.drift.as_deref());
        let asked = before.is_some_and(|before| before.done == Done::Asked);
        let asked = asked && is_loop(&policies.drift, &drifted.lowered);
        let lowered = Repaired { at: self.now, observed };
        if asked || (!quarrel && repair(&policies.drift, &mut drifted.lowered, lowered)) {
            let why = "it showed less than expected again and again while ours went lower: another app may write its own \
                       number, or its sales are told late";
            return (Done::Asked, Some(why.to_owned()), None);
        }
        (Done::Repaired, None, None)
    }

    /// Says what becomes of a difference on a listing that waits for a person, or that one gave up: it goes on so, whatever
    /// is written there, unless more is shown than before and than is wanted.
    fn given_up(
        &self,
        listing: &ListingRef,
        leg: &Leg,
        difference: &Difference,
    ) -> Option<(Done, Option<String>)> {
        let parked = matches!(leg.state, leg::State::Parked { .. });
        if difference.passed_over || !(parked || matches!(leg.state, leg::State::Dropped)) {
            return None;
        }
        let before = self.state.listing(listing).and_then(|held| held.drift.as_deref());
        if let Some(open) = before.filter(|before| before.is_open()) {
            return Some((open.done, open.why.clone()));
        }
        let more = difference.observed > leg.quantity.max(difference.expected);
        match (more, parked) {
            (false, _) => Some((Done::Left, None)),
            (true, true) => {
                Some((Done::Asked, Some("it is a dead letter, and shows more than before".to_owned())))
            }
            (true, false) => None,
        }
    }

    /// Notes that somebody else is written over, or followed, once more. Returns whether that is once too often.
    fn loops(&self, policies: &Policies, drifted: &mut Drifted) -> bool {
        let repaired = Repaired { at: self.now, observed: drifted.observed };
        repair(&policies.drift, &mut drifted.repairs, repaired)
    }

    /// Tells why an edit of a channel's stock is not taken over into the ledger without a person, or what the brake
    /// knows with it.
    fn may_take_over(
        &self,
        policies: &Policies,
        policy: &ChannelPolicy,
        listing: &ListingRef,
        difference: &Difference,
        drifted: &mut Drifted,
    ) -> Result<Edits, String> {
        let big = |_: Overflow| "it does not fit the ledger".to_owned();
        let delta = drifted.delta().map_err(big)?;
        let raises = delta > Quantity::ZERO;
        if !difference.or.is_empty() || self.state.listing(listing).is_some_and(may_have_landed) {
            return Err("a write of ours may have landed there".to_owned());
        }
        let places = self.state.listing(listing).and_then(|held| policy.drawn(&held.ids)).unwrap_or_default();
        if places.len() > 1 {
            return Err("the listing draws on several places".to_owned());
        }
        if self.booked_since(&listing.sku, difference.told, sells) {
            let what = if raises {
                "units were sold meanwhile: a number from before that would put them back"
            } else {
                "units were sold meanwhile: they may be in it"
            };
            return Err(what.to_owned());
        }
        if self.booked_since(&listing.sku, difference.told, corrects) {
            return Err("its stock was counted or corrected meanwhile: that may have it in it".to_owned());
        }
        if self.state.index.recipes.direct(&listing.sku).is_some() {
            return Err("it has no stock of its own".to_owned());
        }
        let row = self.state.skus.get(&listing.sku);
        let place = row.zip(places.first()).and_then(|(row, location)| row.place(location));
        let place = place.filter(|place| place.opened.is_some());
        let place = place.ok_or("its stock was never counted there")?;
        let stock = place.stock;
        let before = stock.on_hand;
        let kept = stock.committed.add(stock.reserved).map_err(big)?;
        if raises && kept > difference.look.committed.unwrap_or_default() {
            let why =
                "units that were sold elsewhere lie there yet: a number with them in it would put them back";
            return Err(why.to_owned());
        }
        let change = Change { before, after: before.add(delta).map_err(big)? };
        let channel = self.state.listing(listing).map(|held| &held.channel);
        let held =
            channel.and_then(|channel| self.state.channels.get(channel)).and_then(|row| row.edits.clone());
        let edits = Edits::with(self.edits.clone().or(held), &place.location, change, self.now);
        if let Some(why) = edits.held_by(&policies.brake, self.state.index.opened()) {
            return Err(format!("the brake holds it: with the edits of the last hour {why}"));
        }
        if raises && self.loops(policies, drifted) {
            return Err(
                "it was raised again and again lately: another app may write its own number".to_owned()
            );
        }
        Ok(edits)
    }

    /// Tells whether entries of a SKU that `are` such may have been booked, anywhere, since a channel told its quantity.
    fn booked_since(&self, sku: &Sku, told: Option<Told>, are: fn(&Entry) -> bool) -> bool {
        let (Some(told), Some(row)) = (told, self.state.skus.get(sku)) else { return true };
        let booked = row.recent.iter().any(|held| are(&held.entry) && held.recorded_at >= told.at);
        // Only so many are remembered: where all of them are newer, there may have been more.
        let all = row.recent.len() >= crate::core::apply::RECENT;
        booked || (all && row.recent.first().is_some_and(|first| first.recorded_at >= told.at))
    }
}

/// Where nothing of ours is written, what is believed to be shown is the other writer's: what it shows is held against ours.
/// `ours_since`: ours was seen there after that.
fn against_ours(drifted: &mut Drifted, before: Option<&Drifted>, leg: Option<&Leg>, ours_since: bool) {
    let Some(leg) = leg else { return };
    let more = before.is_some_and(|before| before.done == Done::Left && before.observed > before.expected);
    let left = drifted.done == Done::Left && more && leg.state == leg::State::Dropped;
    if drifted.done != Done::Held && !left {
        return;
    }
    drifted.expected = leg.quantity;
    drifted.or.clear();
    let most = before.filter(|before| before.done == Done::Held).map(|before| before.over_most);
    let over = if ours_since { Quantity::ZERO } else { drifted.over() };
    drifted.over_most = over.max(most.unwrap_or_default());
}

/// Says that nobody knows how many units an edit is of.
fn unsure(drifted: &Drifted) -> String {
    let others: Vec<String> = drifted.or.iter().map(Quantity::to_string).collect();
    format!(
        "a write of ours without an answer may have landed there: then it should show {}, so it is not known how many \
         units were edited",
        others.join(" or ")
    )
}

fn sells(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Sale | Kind::Baseline)
}

/// Tells whether an entry says anew how many there are.
fn corrects(entry: &Entry) -> bool {
    match entry.cause {
        Cause::Count { .. } | Cause::Operator { .. } | Cause::Edit { .. } | Cause::Merged { .. } => true,
        Cause::Order { .. } | Cause::Intent { .. } => false,
    }
}

/// Tells whether a write of ours without an answer may be in what a listing shows, however long ago it left.
fn may_have_landed(held: &Listing) -> bool {
    let probed = held.leg.as_ref().is_some_and(|leg| matches!(leg.state, leg::State::Probing { .. }));
    probed || !held.writes.unsettled.is_empty()
}

/// Tells whether nothing is under way to a listing.
fn rests(leg: &Leg) -> bool {
    matches!(leg.state, leg::State::Confirmed | leg::State::Dropped)
}

/// Tells whether a leg lowers what a listing shows: it is under way, and the ledger's, whatever is shown.
pub(in crate::core::decide) fn lowers(leg: &Leg, observed: Quantity) -> bool {
    let parked = matches!(leg.state, leg::State::Parked { .. });
    !parked && !rests(leg) && leg.quantity < observed
}

/// Tells whether a difference is one more on top of what a person is asked about: nothing of ours was written since.
fn goes_on(first: &Drifted, difference: &Difference) -> bool {
    !difference.passed_over && !first.passed_over && difference.known_at <= first.at
}
