//! Whole units of stock, with checked arithmetic.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("quantity out of range")]
pub struct Overflow;

/// Whole units. Below zero means oversold where it is a balance, and taken away where it is a difference.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Quantity(i64);

#[expect(clippy::should_implement_trait, reason = "checked: an operator could not say that it overflowed")]
impl Quantity {
    pub const ZERO: Quantity = Quantity(0);
    /// The largest amount that is believed from outside, in either direction (Shopify's own bound).
    pub const LIMIT: i64 = 1_000_000_000;

    pub const fn new(units: i64) -> Quantity {
        Quantity(units)
    }

    /// Takes an amount from outside, if it lies within [`Quantity::LIMIT`].
    pub fn bounded(units: i64) -> Result<Quantity, Overflow> {
        if (-Self::LIMIT..=Self::LIMIT).contains(&units) { Ok(Quantity(units)) } else { Err(Overflow) }
    }

    pub const fn units(self) -> i64 {
        self.0
    }

    pub fn add(self, other: Quantity) -> Result<Quantity, Overflow> {
        self.0.checked_add(other.0).map(Quantity).ok_or(Overflow)
    }

    pub fn sub(self, other: Quantity) -> Result<Quantity, Overflow> {
        self.0.checked_sub(other.0).map(Quantity).ok_or(Overflow)
    }

    pub fn neg(self) -> Result<Quantity, Overflow> {
        self.0.checked_neg().map(Quantity).ok_or(Overflow)
    }

    pub fn times(self, factor: Quantity) -> Result<Quantity, Overflow> {
        self.0.checked_mul(factor.0).map(Quantity).ok_or(Overflow)
    }

    /// Returns how often `each` is in it whole, rounded towards less. `None`: `each` is not above zero.
    pub fn whole(self, each: Quantity) -> Option<Quantity> {
        (each.0 > 0).then(|| Quantity(self.0.div_euclid(each.0)))
    }

    /// Returns the amount, or zero where it is below.
    pub fn or_zero(self) -> Quantity {
        Quantity(self.0.max(0))
    }

    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_never_wraps() {
        assert_eq!(Quantity::new(i64::MAX).add(Quantity::new(1)), Err(Overflow));
        assert_eq!(Quantity::new(i64::MIN).sub(Quantity::new(1)), Err(Overflow));
        assert_eq!(Quantity::new(i64::MIN).neg(), Err(Overflow));
        assert_eq!(Quantity::new(2).sub(Quantity::new(5)), Ok(Quantity::new(-3)));
    }

    #[test]
    fn an_amount_from_outside_is_bounded() {
        assert!(Quantity::bounded(Quantity::LIMIT).is_ok());
        assert_eq!(Quantity::bounded(-Quantity::LIMIT - 1), Err(Overflow));
    }
}
