//! The labels of the figures: words from this file and the names of configured channels, never text from outside.

use std::fmt::{self, Write};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::{connectors::Outcome, model::ChannelId};

/// Declares an enum whose variants are label values.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$each:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$each])* $variant,)+ }

        impl $name {
            pub const ALL: &[$name] = &[$($name::$variant,)+];

            pub fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                encoder.write_str(self.name())
            }
        }
    };
}

words! {
    /// What became of a pushed request.
    Push {
        Taken = "taken",
        Duplicate = "duplicate",
        Forged = "forged",
        Unreadable = "unreadable",
        NotFollowed = "not_followed",
        TooLarge = "too_large",
        Busy = "busy",
    }
}

words! {
    /// How an order came in.
    Via { Push = "push", Fetch = "fetch", }
}

words! {
    /// What a channel did with a write.
    WriteOutcome {
        Applied = "applied",
        Accepted = "accepted",
        Stale = "stale",
        Rejected = "rejected",
        Throttled = "throttled",
        Unauthorized = "unauthorized",
        NotSent = "not_sent",
        Unknown = "unknown",
    }
}

words! {
    /// What a read-back showed.
    ReadBack {
        Wanted = "wanted",
        Other = "other",
        Absent = "absent",
        Unwritable = "unwritable",
        Failed = "failed",
    }
}

words! {
    /// Where a leg stands that has not ended.
    LegState {
        Pending = "pending",
        InFlight = "in_flight",
        Accepted = "accepted",
        Probing = "probing",
        Retry = "retry",
        Held = "held",
        Parked = "parked",
    }
}

words! {
    /// A feed that is read since a watermark, or whole.
    Feed {
        Orders = "orders",
        Levels = "levels",
        Sweep = "sweep",
        Catalogue = "catalogue",
        Notifications = "notifications",
    }
}

words! {
    /// How reading a feed ended.
    Polled { Done = "done", Throttled = "throttled", Unauthorized = "unauthorized", Failed = "failed", }
}

words! {
    /// What was done about an unexplained difference.
    Drift {
        Repaired = "repaired",
        Asked = "asked",
        Accepted = "accepted",
        Left = "left",
        Held = "held",
        Released = "released",
        Gone = "gone",
    }
}

words! {
    /// What a channel's lane is doing.
    Lane {
        Running = "running",
        Paused = "paused",
        CircuitOpen = "circuit_open",
        Unauthorized = "unauthorized",
    }
}

words! {
    /// Whether an alert reached its address.
    AlertPost { Delivered = "delivered", Failed = "failed", }
}

impl From<&Outcome> for WriteOutcome {
    fn from(outcome: &Outcome) -> WriteOutcome {
        match outcome {
            Outcome::Applied => WriteOutcome::Applied,
            Outcome::Accepted { .. } => WriteOutcome::Accepted,
            Outcome::Stale => WriteOutcome::Stale,
            Outcome::Rejected { .. } => WriteOutcome::Rejected,
            Outcome::Throttled { .. } => WriteOutcome::Throttled,
            Outcome::Unauthorized { .. } => WriteOutcome::Unauthorized,
            Outcome::NotSent { .. } => WriteOutcome::NotSent,
            Outcome::Unknown { .. } => WriteOutcome::Unknown,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Channel(pub ChannelId);

impl EncodeLabelValue for Channel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        encoder.write_str(self.0.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct By {
    pub channel: Channel,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByKind {
    pub kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByClass {
    pub class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByAssumption {
    pub channel: Channel,
    pub assumption: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByOutcome {
    pub outcome: AlertPost,
}

/// Declares a label set of a channel and one word.
macro_rules! by_channel_and {
    ($($name:ident { $label:ident: $word:ty })+) => {
        $(
            #[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
            pub(super) struct $name {
                pub channel: Channel,
                pub $label: $word,
            }
        )+
    };
}

by_channel_and! {
    ByPush { result: Push }
    ByVia { via: Via }
    ByWrite { outcome: WriteOutcome }
    ByRead { result: ReadBack }
    ByLeg { state: LegState }
    ByFeed { feed: Feed }
    ByDrift { action: Drift }
    ByLane { state: Lane }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ByPoll {
    pub channel: Channel,
    pub feed: Feed,
    pub result: Polled,
}
