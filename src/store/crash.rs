//! Named points at which a test can make the process die.
//!
//! `EVENKEEL_CRASH_AT=after_sync` aborts at the first pass of that point, `after_sync:3` at the third. No
//! destructor runs and no buffer is flushed: to the files it looks like `kill -9`. Release builds have none.

/// Ends the process here if `EVENKEEL_CRASH_AT` names this point.
pub fn crash_point(name: &str) {
    #[cfg(debug_assertions)]
    plan::pass(name);
    #[cfg(not(debug_assertions))]
    let _ = name;
}

#[cfg(debug_assertions)]
mod plan {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();

    #[derive(Debug)]
    pub(super) struct Plan {
        name: String,
        passes_left: AtomicU64,
    }

    pub(super) fn pass(name: &str) {
        let plan =
            PLAN.get_or_init(|| std::env::var("EVENKEEL_CRASH_AT").ok().map(|text| Plan::parse(&text)));
        if plan.as_ref().is_some_and(|plan| plan.is_due(name)) {
            std::process::abort();
        }
    }

    impl Plan {
        pub(super) fn parse(text: &str) -> Plan {
            let (name, passes) = match text.rsplit_once(':') {
                Some((name, count)) if count.parse::<u64>().is_ok_and(|n| n > 0) => {
                    (name, count.parse().unwrap_or(1))
                }
                _ => (text, 1),
            };
            Plan { name: name.to_owned(), passes_left: AtomicU64::new(passes) }
        }

        /// Counts a pass, and says whether it is the one to die at.
        pub(super) fn is_due(&self, name: &str) -> bool {
            self.name == name && self.passes_left.fetch_sub(1, Ordering::Relaxed) == 1
        }
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::plan::Plan;

    /// Passes the points in order, and expects the process to die at the one with this index.
    #[track_caller]
    fn check(plan: &str, passes: &[&str], dies_at: Option<usize>) {
        let plan = Plan::parse(plan);
        assert_eq!(passes.iter().position(|name| plan.is_due(name)), dies_at);
    }

    #[test]
    fn the_named_point_is_deadly_at_the_named_pass_only() {
        check("after_sync", &["after_append", "after_sync", "after_sync"], Some(1));
        check("after_sync:2", &["after_sync", "after_append", "after_sync"], Some(2));
        check("after_sync:3", &["after_sync", "after_sync"], None);
        check("after_sync:x", &["after_sync"], None);
        check("", &["after_sync"], None);
    }
}
