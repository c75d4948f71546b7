//! What a connector does where its channel takes many writes as one document.

use async_trait::async_trait;

use crate::{
    connectors::{Fault, Outcome, Put},
    core::bulk::{Bulk, Told},
};

#[async_trait]
pub trait Bulks: Send + Sync {
    /// The most writes of one bulk.
    fn most(&self) -> usize;

    /// Sends a bulk. What it does not hold is not sent, and its outcome says so.
    async fn begin(&self, puts: &[Put]) -> Begun;

    /// Asks how far the open bulk is. What is refused of it is told before its end, and may be told again.
    async fn ask(&self, bulk: &Bulk) -> Result<Vec<Told>, Fault>;
}

/// What came of sending a bulk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    pub told: Told,
    /// One for each put, in the same order.
    pub outcomes: Vec<Outcome>,
}
