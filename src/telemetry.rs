//! What the daemon tells about itself while it runs: log lines and figures.
//!
//! Owns where logs go and in which form, and the names of all metrics. Knows nothing of what is logged or counted
//! or why, and keeps no global: [`Metrics`] is handed down. Nothing here may carry a SKU as a label.

mod causes;
mod labels;
mod logs;
mod metrics;

pub use causes::causes;
pub use labels::{AlertPost, Drift, Feed, Lane, LegState, Polled, Push, ReadBack, Via, WriteOutcome};
pub use logs::{Error, Logs};
pub use metrics::{CONTENT_TYPE, Metrics};
