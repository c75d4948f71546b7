//! Tests of decisions, through commands only. [`world`] holds the daemon's state, the channels that it speaks to,
//! and the invariants that are checked after every record.

mod alerts;
#[allow(clippy::wildcard_enum_match_arm, reason = "a test asks for some records")]
mod assumptions;
mod blind;
mod bulk;
mod by_hand;
mod contended;
mod convergence;
mod counts;
mod doubt;
#[allow(clippy::wildcard_enum_match_arm, reason = "a test asks for some records")]
mod drift;
mod drift_edits;
mod drift_kept;
mod drift_over;
mod drift_unseen;
mod epoch;
#[allow(clippy::wildcard_enum_match_arm, reason = "a test asks for some records")]
mod exposure;
mod gone;
mod ignore;
mod intents;
mod isolated;
mod left_to_others;
mod letters;
mod made;
mod missing;
mod moved;
mod named;
mod notified;
mod older_orders;
mod open_orders;
mod outlets;
mod owed;
mod pauses;
mod places_gone;
mod portions;
mod postings;
mod prune;
mod put_back;
mod quarantine;
mod recipes;
mod reported;
mod returns;
mod settled;
mod shared_ids;
mod shipped_as_own;
mod simulated;
mod sold_before;
mod stands;
mod survey;
mod suspects;
mod tended;
mod trial;
mod unanswered;
mod unread;
mod was_bundle;
mod whole_seconds;
mod whose;
#[allow(
    dead_code,
    clippy::wildcard_enum_match_arm,
    reason = "a test asks for some of the ways to move the world, and for some records"
)]
mod world;
