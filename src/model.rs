//! The words of the domain: ids, amounts, times, orders, listings, policies.
//!
//! Owns the shapes that the journal keeps. Knows no I/O, clock, randomness or hash order, and takes no decision.

pub mod channel;
pub mod exchange;
pub mod forms;
pub mod ids;
pub mod listing;
pub mod order;
pub mod policy;
pub mod quantity;
pub mod time;
pub mod words;

pub use channel::{Abilities, Measure, Visible};
pub use exchange::{CatalogueItem, CountLine, Notice, Observed, Outcome, Posting, PostingLine, Put, Told};
pub use ids::{
    ChannelId, Counter, DeliveryId, IdempotencyKey, Instance, LineId, LocationId, OrderId, OrderKey, Sku,
};
pub use listing::{FulfilledBy, IdKind, Identifier, Identifiers, Levels};
pub use order::{LineSnapshot, OrderSnapshot, Rest, Seen, Totals};
pub use policy::{Mode, Policies, Retry, Returns};
pub use quantity::{Overflow, Quantity};
pub use time::{Revision, Seq, Timestamp};
pub use words::{counted, shell, which};
