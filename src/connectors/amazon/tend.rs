//! What a person should know of an account beyond what its reads and writes tell: the age of the client secret, the queue of
//! notifications, and the end of what we use.

use std::collections::BTreeMap;

use super::{Amazon, subscribe::Found};
use crate::{
    clock::Clock,
    connectors::{Fault, Notice, ONLY_LOOKS, Tended, Tending},
    model::Timestamp,
};

const DAY_MS: i64 = 24 * 3_600_000;
/// How long a client secret lives.
const SECRET_DAYS: i64 = 180;
/// From which age on people are told.
const SECRET_TOLD_DAYS: i64 = 150;
/// How long before the end of an API people are told.
const REMOVAL_TOLD_DAYS: i64 = 180;

/// What we use, and when Amazon takes it away as far as is known (UTC, in milliseconds). Version 0 of the orders, of which Amazon
/// removes the reads on 2027-03-27, is not used.
const USED: [(&str, Option<i64>); 6] = [
    ("Orders 2026-01-01", None),
    ("Listings Items 2021-08-01", None),
    ("FBA Inventory v1", None),
    ("Notifications v1", None),
    ("Reports 2021-06-30", None),
    ("Feeds 2021-06-30", None),
];

/// The kinds of notices.
const SECRET: &str = "client-secret";
const QUEUE: &str = "queue";
const SUBSCRIPTIONS: &str = "subscriptions";
const REMOVAL: &str = "removal";
const REPORTS: &str = "reports";
const FEEDS: &str = "feeds";

impl Amazon {
    pub(super) async fn look_after(&self, tending: Tending) -> Tended {
        let now = self.clock.now();
        let mut tended = Tended::default();
        let told = [
            self.options.secret_since.and_then(|since| secret_age(since, now)),
            removals(&USED, &self.caller.sunsets(), now),
            self.queue.as_ref().and_then(|queue| queue.wrong()).map(|text| notice(QUEUE, text)),
            self.reports.wrong().map(|why| notice(REPORTS, why)),
            self.feeds.wrong().map(|why| notice(FEEDS, why)),
        ];
        tended.notices.extend(told.into_iter().flatten());
        if self.reports.is_unsure() {
            tended.unsure.push(REPORTS);
        }
        if self.options.feeds && self.feeds.is_unsure() {
            tended.unsure.push(FEEDS);
        }
        let arn = self.queue.as_ref().and_then(|queue| queue.arn());
        if let Some(arn) = arn {
            self.look_after_subscriptions(&arn, tending, &mut tended).await;
        }
        tended
    }

    async fn look_after_subscriptions(&self, arn: &str, tending: Tending, tended: &mut Tended) {
        let mends = tending == Tending::Mend;
        let done = async {
            let found = self.subscriptions(arn).await?;
            if mends && !found.missing.is_empty() {
                self.subscribe(arn, &found).await?;
            }
            Ok::<_, Fault>(found)
        };
        match done.await {
            Ok(found) => {
                tended.missed = mends && !found.missing.is_empty();
                let missing = missing(&found).filter(|_| !mends);
                let told: Vec<String> = missing.into_iter().chain(elsewhere(&found)).collect();
                tended.notices.extend((!told.is_empty()).then(|| notice(SUBSCRIPTIONS, told.join("; "))));
            }
            // Notifications only make faster what is polled anyway: whatever is refused here stops nothing.
            Err(Fault::Unauthorized(why) | Fault::Refused(why)) => {
                let text = format!("Amazon does not let its notifications be subscribed to: {why}");
                tended.notices.push(notice(SUBSCRIPTIONS, text));
            }
            Err(fault) => {
                tracing::debug!(%fault, "subscriptions could not be looked at");
                tended.unsure.push(SUBSCRIPTIONS);
            }
        }
    }
}

fn notice(kind: &str, text: String) -> Notice {
    Notice { kind: kind.to_owned(), text, stops: false }
}

/// Says which notifications are not subscribed to and are left so.
fn missing(found: &Found) -> Option<String> {
    (!found.missing.is_empty()).then(|| format!("{ONLY_LOOKS}; not sent are: {}", found.missing.join(", ")))
}

/// Says which notifications go to another queue.
fn elsewhere(found: &Found) -> Option<String> {
    let kinds: Vec<String> =
        found.elsewhere.iter().map(|(kind, to)| format!("{kind} (destination {to})")).collect();
    (!kinds.is_empty()).then(|| {
        format!(
            "Amazon sends these notifications to another queue: {}; delete that subscription, or name that queue",
            kinds.join(", ")
        )
    })
}

/// Says when the client secret ends, if that is near.
pub(super) fn secret_age(since: Timestamp, now: Timestamp) -> Option<Notice> {
    let (age, end) = (now.since(since), day(since.plus_millis(SECRET_DAYS * DAY_MS)));
    let advice = "take a new one (Seller Central, Develop Apps, LWA credentials; the refresh token stays valid), put it into \
                  the file of `client_secret`, set `client_secret_since`, `evenkeel reload`";
    if age >= SECRET_DAYS * DAY_MS {
        return Some(notice(SECRET, format!("the client secret has ended on {end}: {advice}")));
    }
    (age >= SECRET_TOLD_DAYS * DAY_MS)
        .then(|| notice(SECRET, format!("the client secret ends on {end}, and then nothing works: {advice}")))
}

/// Says what of that which we use comes to an end.
fn removals(used: &[(&str, Option<i64>)], said: &BTreeMap<String, String>, now: Timestamp) -> Option<Notice> {
    let near = |at: &i64| now >= Timestamp::from_millis(*at - REMOVAL_TOLD_DAYS * DAY_MS);
    let known = used.iter().filter_map(|(what, at)| {
        let at = at.filter(near)?;
        Some(format!("Amazon removes {what} on {}", day(Timestamp::from_millis(at))))
    });
    let said = said.iter().map(|(operation, what)| format!("Amazon says of {operation}: {what}"));
    let all: Vec<String> = known.chain(said).collect();
    (!all.is_empty())
        .then(|| notice(REMOVAL, format!("{}; look for a newer release of Evenkeel", all.join("; "))))
}

fn day(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.millis()).unwrap_or_default().strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_the_secret_is_told_in_time_and_in_the_same_words() {
        let check = |days: i64, want: Option<&str>| {
            let since = Timestamp::from_millis(0);
            let told = secret_age(since, since.plus_millis(days * DAY_MS));
            let text = told.as_ref().map(|notice| notice.text.split(": ").next().unwrap_or_default());
            assert_eq!(text, want, "{days}");
        };
        check(-1, None);
        check(149, None);
        check(150, Some("the client secret ends on 1970-06-30, and then nothing works"));
        check(179, Some("the client secret ends on 1970-06-30, and then nothing works"));
        check(180, Some("the client secret has ended on 1970-06-30"));
        check(4000, Some("the client secret has ended on 1970-06-30"));
    }

    #[test]
    fn what_comes_to_an_end_is_told_half_a_year_ahead() {
        let check = |used: &[(&str, Option<i64>)], said: &[(&str, &str)], want: Option<&str>| {
            let said = said.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
            let told = removals(used, &said, Timestamp::from_millis(200 * DAY_MS));
            assert_eq!(told.map(|notice| notice.text).as_deref(), want);
        };
        check(&[("A", None), ("B", Some(381 * DAY_MS))], &[], None);
        check(
            &[("A", None), ("B", Some(380 * DAY_MS))],
            &[],
            Some("Amazon removes B on 1971-01-16; look for a newer release of Evenkeel"),
        );
        check(
            &[],
            &[("GetOrder", "sunset: Sat, 27 Mar 2027 00:00:00 GMT")],
            Some(
                "Amazon says of GetOrder: sunset: Sat, 27 Mar 2027 00:00:00 GMT; look for a newer release of Evenkeel",
            ),
        );
    }
}
