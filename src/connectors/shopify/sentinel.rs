//! What the shop's answers tell of API versions: which one answers, which one shapes the webhooks, what is going away.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::connectors::{
    Notice,
    http::{Answer, excerpt},
};

/// The header that names the API version which answered.
const VERSION: &str = "x-shopify-api-version";

/// The header that says what of a request will be gone in a later version.
const DEPRECATED: &str = "x-shopify-api-deprecated-reason";

/// How long what is going away is told after it was last said.
pub(super) const TOLD: Duration = Duration::from_secs(24 * 3600);

/// The kinds of notices.
pub(super) const KIND_VERSION: &str = "version";
pub(super) const KIND_SHAPED: &str = "webhook_version";
pub(super) const KIND_DEPRECATED: &str = "deprecated";

/// What was noticed since the start.
#[derive(Debug, Clone, Default)]
pub(super) struct Sentinel {
    /// Why the shop that answers is not the one that is meant.
    pub(super) other_shop: Option<String>,
    /// Another version than the pinned one answers.
    pub(super) served: Option<String>,
    /// Another version than the pinned one shapes the webhooks.
    pub(super) pushed: Option<String>,
    /// What was said of each operation, and when last.
    deprecated: BTreeMap<&'static str, (String, Instant)>,
}

impl Sentinel {
    /// Looks at an answer. Tells whether it says something that was not known.
    pub(super) fn watch(
        &mut self,
        answer: &Answer,
        operation: &'static str,
        pinned: &str,
        now: Instant,
    ) -> bool {
        let mut news = false;
        // An answer that names no version (a proxy's error page) says nothing about it.
        if let Some(version) = answer.header(VERSION) {
            let served = (version != pinned).then(|| excerpt(version.as_bytes()));
            news |= self.served != served;
            self.served = served;
        }
        if let Some(reason) = answer.header(DEPRECATED) {
            let reason = excerpt(reason.as_bytes());
            let said = self.deprecated.insert(operation, (reason.clone(), now));
            news |= said.is_none_or(|(said, _)| said != reason);
        }
        news
    }

    /// Looks at the version of a webhook. Tells whether that was not known.
    pub(super) fn watch_push(&mut self, version: &str, pinned: &str) -> bool {
        let pushed = (version != pinned).then(|| excerpt(version.as_bytes()));
        let news = self.pushed != pushed;
        self.pushed = pushed;
        news
    }

    /// Tells whether it was said lately that something in use is going away.
    pub(super) fn warns(&self, now: Instant) -> bool {
        self.lately(now).next().is_some()
    }

    fn lately(&self, now: Instant) -> impl Iterator<Item = (&'static str, &str)> {
        let lately = move |at: &Instant| now.saturating_duration_since(*at) < TOLD;
        self.deprecated
            .iter()
            .filter(move |(_, (_, at))| lately(at))
            .map(|(of, (why, _))| (*of, why.as_str()))
    }

    /// Returns why nothing may be written.
    pub(super) fn stops(&self, pinned: &str) -> Option<String> {
        self.other_shop.clone().or_else(|| self.retired(pinned))
    }

    /// Says that the pinned version does not answer: another one means other things by the same words.
    fn retired(&self, pinned: &str) -> Option<String> {
        let served = self.served.as_ref()?;
        Some(format!(
            "API version `{served}` answers in place of the pinned `{pinned}`, which Shopify has retired: update Evenkeel, \
             or set `api_version` to one that it knows and Shopify serves"
        ))
    }

    /// Tells it to a person.
    pub(super) fn notices(&self, pinned: &str, now: Instant) -> Vec<Notice> {
        let notice = |kind: &str, text: String, stops| Notice { kind: kind.to_owned(), text, stops };
        let mut all: Vec<Notice> =
            self.retired(pinned).into_iter().map(|text| notice(KIND_VERSION, text, true)).collect();
        all.extend(self.pushed.as_ref().map(|pushed| notice(KIND_SHAPED, shaped(pushed, pinned), false)));
        let going: Vec<String> = self.lately(now).map(|(of, why)| format!("`{of}`: {why}")).collect();
        if !going.is_empty() {
            let text = format!(
                "Shopify announces that something in use is going away: {}; look for an update of Evenkeel",
                going.join("; ")
            );
            all.push(notice(KIND_DEPRECATED, text, false));
        }
        all
    }
}

/// Says that another version than the pinned one shapes the webhooks.
pub(super) fn shaped(by: &str, pinned: &str) -> String {
    format!("webhooks are shaped by API version `{by}`, not by `{pinned}`: set it in the app's own settings")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::shopify::graphql::tests::answer;

    const PINNED: &str = "2026-10";

    fn kinds(sentinel: &Sentinel, now: Instant) -> Vec<(String, bool)> {
        let notices = sentinel.notices(PINNED, now);
        notices.into_iter().map(|notice| (notice.kind, notice.stops)).collect()
    }

    #[test]
    fn another_version_stops_writes_until_the_pinned_one_answers_again() {
        let (mut sentinel, now) = (Sentinel::default(), Instant::now());
        let mut watch = |version: Option<&str>| {
            let headers: Vec<(&str, &str)> = version.into_iter().map(|version| (VERSION, version)).collect();
            let news = sentinel.watch(&answer(200, &headers, "{}"), "Orders", PINNED, now);
            (news, sentinel.stops(PINNED).is_some())
        };
        assert_eq!(watch(Some("2026-10")), (false, false));
        assert_eq!(watch(Some("2027-01")), (true, true));
        assert_eq!(watch(Some("2027-01")), (false, true), "that is known");
        assert_eq!(watch(None), (false, true), "a proxy's page");
        assert_eq!(watch(Some("2026-10")), (true, false));
    }

    #[test]
    fn what_is_going_away_is_told_by_operation_and_for_a_day() {
        let (mut sentinel, now) = (Sentinel::default(), Instant::now());
        let mut watch = |operation, reason| {
            let answer = answer(200, &[(VERSION, PINNED), (DEPRECATED, reason)], "{}");
            sentinel.watch(&answer, operation, PINNED, now)
        };
        assert!(watch("Orders", "a"));
        assert!(!watch("Orders", "a"));
        assert!(watch("Orders", "b"));
        assert!(watch("Levels", "a"));
        let text = sentinel.notices(PINNED, now).pop().expect("a notice").text;
        assert!(text.contains("`Levels`: a; `Orders`: b"), "{text}");
        assert_eq!(kinds(&sentinel, now), [(KIND_DEPRECATED.to_owned(), false)]);
        assert_eq!(kinds(&sentinel, now + TOLD), []);
    }

    #[test]
    fn webhooks_of_another_shape_are_told_and_stop_nothing() {
        let (mut sentinel, now) = (Sentinel::default(), Instant::now());
        assert!(sentinel.watch_push("2026-07", PINNED));
        assert_eq!(kinds(&sentinel, now), [(KIND_SHAPED.to_owned(), false)]);
        assert!(sentinel.watch_push("2026-10", PINNED));
        assert_eq!(kinds(&sentinel, now), []);
    }
}
