//! What a quantity read from a channel means, once the channel's orders have been read past it.

use crate::{
    core::leg::Writes,
    model::{Overflow, Quantity},
};

/// The verdict on a fenced read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The channel shows what it should. Its quantity is known from here on.
    Explained { base: Quantity },
    /// Nothing that we know of explains the difference.
    Drift { expected: Quantity, base: Quantity },
    /// It was not known before what the channel should show.
    Learnt { base: Quantity },
}

/// Judges a read whose fence has passed: what was seen, moved by own sales placed after the read, against what the
/// channel should show.
pub fn judge(writes: &Writes) -> Result<Option<Verdict>, Overflow> {
    let Some(look) = &writes.look else { return Ok(None) };
    let base = look.seen.add(look.since)?;
    Ok(Some(match writes.base {
        None => Verdict::Learnt { base },
        Some(expected) if expected == base => Verdict::Explained { base },
        // A write that may still land explains exactly what it would show.
        Some(_) if writes.unsettled.iter().any(|write| write.quantity == base) => Verdict::Explained { base },
        Some(expected) => Verdict::Drift { expected, base },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::leg::{Look, Unsettled},
        model::{Seq, Timestamp},
    };

    /// What was expected, seen, sold since and still unsettled -> the verdict.
    #[track_caller]
    fn check(expected: Option<i64>, seen: i64, since: i64, unsettled: &[i64], want: Verdict) {
        let q = Quantity::new;
        let at = Timestamp::ZERO;
        let look =
            Look { seen: q(seen), at, seq: Seq::ZERO, since: q(since), on_hand: None, committed: None };
        let writes = Writes {
            base: expected.map(q),
            look: Some(look),
            unsettled: unsettled.iter().map(|n| Unsettled { quantity: q(*n), compare: None, at }).collect(),
            ..Writes::default()
        };
        assert_eq!(judge(&writes), Ok(Some(want)));
    }

    #[test]
    fn a_difference_is_drift_only_if_nothing_explains_it() {
        let q = Quantity::new;
        check(Some(5), 5, 0, &[], Verdict::Explained { base: q(5) });
        check(Some(4), 5, -1, &[], Verdict::Explained { base: q(4) }); // sold after the read
        check(Some(5), 7, 0, &[7], Verdict::Explained { base: q(7) }); // a write of ours landed late
        check(Some(5), 3, 0, &[], Verdict::Drift { expected: q(5), base: q(3) });
        check(None, 3, 0, &[], Verdict::Learnt { base: q(3) });
    }
}
