//! What a quantity read from a channel means, against what it should show.

use crate::{
    core::writes::{Look, Writes},
    model::{Overflow, Quantity},
};

/// What a read turned out to mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The channel shows what it should.
    Explained,
    /// It shows what a write of ours that was not settled would make it show.
    Landed { shown: Quantity },
    /// It was not known before what it should show.
    Learnt { shown: Quantity },
    /// Nothing that is known explains the difference. Before the fence that may be an order that was not seen yet;
    /// after it, it is another writer.
    Unexplained { expected: Quantity, shown: Quantity },
}

/// Judges a look against what the channel should show. `stale_ms`: how old the read may be.
pub fn judge(writes: &Writes, look: &Look, stale_ms: i64) -> Result<Verdict, Overflow> {
    let shown = look.shown()?;
    Ok(match writes.base {
        Some(_) if writes.explains(look.seen, look.at, stale_ms) => Verdict::Explained,
        Some(base) if base == shown => Verdict::Explained,
        Some(_) if writes.may_have_landed(shown) => Verdict::Landed { shown },
        Some(expected) => Verdict::Unexplained { expected, shown },
        None => Verdict::Learnt { shown },
    })
}

/// Takes a look in: what it explains is believed, what nothing explains waits for its fence. A look that waits
/// already stays: later sights move with the own sales that are learnt, and would push the fence away for ever.
pub fn observe(writes: &mut Writes, look: Look, stale_ms: i64) -> Option<Verdict> {
    let verdict = judge(writes, &look, stale_ms).ok()?;
    match verdict {
        Verdict::Explained => writes.look = None,
        Verdict::Landed { shown } => writes.believe(shown, look.at),
        Verdict::Learnt { .. } | Verdict::Unexplained { .. } => {
            writes.look.get_or_insert_with(|| Box::new(look));
        }
    }
    Some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        core::writes::Unsettled,
        model::{IdempotencyKey, Seq, Timestamp},
    };

    /// What was expected, seen, sold since and still unsettled -> the verdict.
    #[track_caller]
    fn check(expected: Option<i64>, seen: i64, since: i64, unsettled: &[i64], want: Verdict) {
        let q = Quantity::new;
        let at = Timestamp::ZERO;
        let look =
            Look { seen: q(seen), at, seq: Seq::ZERO, since: q(since), on_hand: None, committed: None };
        let key = IdempotencyKey::new("k").expect("a good key");
        let write = |n: &i64| Unsettled { quantity: q(*n), compare: None, key: key.clone(), at, times: 1 };
        let unsettled = unsettled.iter().map(write).collect();
        let writes = Writes { base: expected.map(q), unsettled, ..Writes::default() };
        assert_eq!(judge(&writes, &look, 0), Ok(want));
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
}
