//! From what is available to what each listing should show. The policy is *shared*: every channel shows all, but for what
//! is owed to sales that were booked at another place.

pub mod owed;
pub mod shelves;

use crate::model::{ChannelId, Overflow, Policies, Quantity, policy::Override};

/// Whether, and how, a listing is kept from selling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pause {
    /// Write nothing. What is shown still sells.
    Frozen,
    /// Show zero.
    Stopped,
}

/// The bounds of one listing, after all overrides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    pub safety_stock: Quantity,
    pub buffer: Quantity,
    pub min: Quantity,
    pub max: Option<Quantity>,
}

impl Bounds {
    /// Returns the bounds of a SKU on a channel: the channel's, then each of the SKU's deviations that concerns it,
    /// field by field.
    pub fn of<'a>(
        policies: &Policies,
        overrides: impl Iterator<Item = &'a Override>,
        channel: &ChannelId,
    ) -> Bounds {
        let mut bounds = Bounds { safety_stock: policies.allocation.safety_stock, ..Bounds::default() };
        if let Some(policy) = policies.channels.get(channel) {
            bounds = Bounds { buffer: policy.buffer, min: policy.min, max: policy.max, ..bounds };
        }
        for over in overrides.filter(|o| o.channel.as_ref().is_none_or(|c| c == channel)) {
            bounds.safety_stock = over.safety_stock.unwrap_or(bounds.safety_stock);
            bounds.buffer = over.buffer.unwrap_or(bounds.buffer);
            bounds.min = over.min.unwrap_or(bounds.min);
            bounds.max = over.max.or(bounds.max);
        }
        bounds
    }

    /// Returns these bounds with at most `most`, if that is less.
    pub fn at_most(self, most: Option<Quantity>) -> Bounds {
        let max = match (self.max, most) {
            (Some(max), Some(most)) => Some(max.min(most)),
            (max, most) => max.or(most),
        };
        Bounds { max, ..self }
    }
}

/// Returns what a listing should show of `free` units, that is of what is available less the safety stock.
///
/// `min` is the least that is shown *while that much is there*: below it the listing shows zero, because a shelf
/// that shows more than there is sells what is not there.
pub fn desired(free: Quantity, bounds: Bounds, stopped: bool) -> Result<Quantity, Overflow> {
    if stopped {
        return Ok(Quantity::ZERO);
    }
    let free = free.sub(bounds.buffer)?.or_zero();
    let capped = bounds.max.map_or(free, |max| free.min(max));
    Ok(if capped < bounds.min { Quantity::ZERO } else { capped })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `available safety buffer min max` -> what is shown; max below zero means none.
    #[track_caller]
    fn check([available, safety_stock, buffer, min, max]: [i64; 5], want: i64) {
        let q = Quantity::new;
        let max = (max >= 0).then(|| q(max));
        let bounds = Bounds { safety_stock: q(safety_stock), buffer: q(buffer), min: q(min), max };
        let free = q(available - safety_stock);
        assert_eq!(desired(free, bounds, false), Ok(q(want)));
        assert_eq!(desired(free, bounds, true), Ok(Quantity::ZERO));
    }

    #[test]
    fn what_is_kept_back_is_kept_back_and_never_shown_below_zero() {
        check([10, 0, 0, 0, -1], 10);
        check([10, 2, 3, 0, -1], 5);
        check([4, 2, 3, 0, -1], 0);
        check([-3, 0, 0, 0, -1], 0);
        check([10, 0, 0, 0, 4], 4);
        check([3, 0, 0, 5, -1], 0);
        check([5, 0, 0, 5, -1], 5);
    }

    #[test]
    fn an_allotment_only_ever_lowers_what_the_policy_allows() {
        let most = |max: Option<i64>, allotted: Option<i64>| {
            let bounds = Bounds { max: max.map(Quantity::new), ..Bounds::default() };
            bounds.at_most(allotted.map(Quantity::new)).max.map(Quantity::units)
        };
        let all = [(None, None), (Some(5), None), (None, Some(3)), (Some(5), Some(3)), (Some(5), Some(9))];
        let got = all.map(|(max, allotted)| most(max, allotted));
        assert_eq!(got, [None, Some(5), Some(3), Some(3), Some(5)]);
    }
}
