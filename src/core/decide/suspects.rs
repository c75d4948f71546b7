//! Legs that may be why requests fail: they go apart from the others, in ever smaller requests, until what makes requests
//! fail is alone and only it waits (I8). What they may go with is kept in the leg; here it is decided who goes together.

use std::cmp::Reverse;

use crate::{
    core::{
        State,
        circuit::Waiting,
        decide::Draft,
        index::{Kind, Work},
        leg::Leg,
        state::{Listing, ListingRef},
    },
    model::{ChannelId, Mode},
};

/// Returns the most that one request may hold with this listing, if it may be why requests fail. What failed before the
/// channel came back from an outage failed because of that.
pub fn suspect(state: &State, held: &Listing) -> Option<usize> {
    let suspect = held.leg.as_ref()?.suspect.as_deref()?;
    let since = state.channels.get(&held.channel).and_then(|row| row.circuit.since());
    since.is_none_or(|since| suspect.at > since).then_some(usize::from(suspect.most))
}

/// Tells whether a leg fails although it goes by itself: it has a pause of its own, and no other waits for it.
pub fn fails_alone(state: &State, held: &Listing) -> bool {
    suspect(state, held) == Some(1) && held.leg.as_ref().is_some_and(|leg: &Leg| leg.tries > 1)
}

/// Cuts suspects into at most `requests`, none of them larger than any of its members may be in. Each comes with the most
/// that a request may hold with it. Those that may go with many are the least likely to be the one, and go first.
pub(super) fn requests<T>(mut suspects: Vec<(usize, T)>, requests: usize) -> Vec<Vec<T>> {
    suspects.sort_by_key(|(most, _)| Reverse(*most));
    let mut out: Vec<Vec<T>> = Vec::new();
    for (most, one) in suspects {
        if let Some(last) = out.last_mut().filter(|last| last.len() < most) {
            last.push(one);
        } else if out.len() < requests {
            out.push(vec![one]);
        } else {
            break;
        }
    }
    out
}

impl Draft<'_> {
    pub(super) fn suspect(&self, listing: &ListingRef) -> Option<usize> {
        suspect(self.state, self.state.listing(listing)?)
    }

    /// Tells whether there may be any on a channel: seldom, and they are looked for among all that is due.
    pub(super) fn any_suspect(&self, channel: &ChannelId) -> bool {
        self.state.index.of(Kind::Suspect, channel).next().is_some()
    }

    /// Returns what waits to be written on a channel.
    pub(super) fn waiting(&self, channel: &ChannelId) -> Waiting {
        let most = self.state.policies().map_or(1, |policies| policies.retry.circuit_failures);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let of = |kind| self.state.index.of(kind, channel);
        // In shadow mode, and before the opening, what waits is not sent: no probe would ever come of it.
        let sent = self.state.mode() == Some(Mode::Live) && self.state.initialised.is_some();
        if !sent && of(Kind::InFlight).next().is_none() {
            return Waiting::Nothing;
        }
        let waiting: Vec<&Work> = of(Kind::Ready).chain(of(Kind::Retry)).take(most).collect();
        let clean = |work: &&Work| {
            let (Work::Ready { listing, .. } | Work::Retry { listing, .. }) = work else { return false };
            self.suspect(listing).is_none()
        };
        if of(Kind::InFlight).next().is_some() || waiting.len() >= most || waiting.iter().any(clean) {
            return Waiting::Some;
        }
        if waiting.is_empty() { Waiting::Nothing } else { Waiting::Suspects }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most that each may go with -> how large the requests are.
    #[track_caller]
    fn check(mosts: &[usize], of: usize, want: &[usize]) {
        let suspects = mosts.iter().copied().enumerate().map(|(n, most)| (most, n)).collect();
        let cut = requests(suspects, of);
        assert_eq!(cut.iter().map(Vec::len).collect::<Vec<_>>(), want, "{mosts:?}");
        for request in &cut {
            assert!(request.iter().all(|n| request.len() <= mosts[*n]), "{cut:?}");
        }
    }

    #[test]
    fn no_request_is_larger_than_any_of_its_members_may_be_in() {
        check(&[], 4, &[]);
        check(&[3, 3, 3, 3, 3], 4, &[3, 2]);
        check(&[1, 1, 1], 4, &[1, 1, 1]);
        check(&[1, 1, 1], 2, &[1, 1]);
        check(&[1, 31, 31, 6, 6], 4, &[4, 1]);
        check(&[2, 2, 2, 2, 2], 2, &[2, 2]);
        check(&[5], 0, &[]);
    }
}
