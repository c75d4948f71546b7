//! The tools of `check`: takes a raw value, its default and its bounds, and either returns what is good or notes
//! a problem and returns the default, so that the rest of the file is checked too.

use std::{cell::RefCell, fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

use url::{Host, Url};

use crate::{
    config::{
        problem::{KeyPath, Place, any_of, closest},
        raw,
        schedule::{Schedule, check_cron},
        secret::{SecretRef, SecretSource},
        span,
    },
    model::Quantity,
};

/// A problem whose place is still to be looked up.
#[derive(Debug)]
pub(super) struct Finding {
    pub key: KeyPath,
    pub message: String,
    pub fix: Option<String>,
}

/// Says where a key was set: in which file or by which variable, and at which place.
pub(super) type Locate<'a> = &'a dyn Fn(&KeyPath) -> (String, Option<Place>);

/// What a check has found.
pub(super) struct Findings<'a> {
    /// Keys that the reader has complained of, and whose values are missing for that reason.
    spoilt: &'a [KeyPath],
    locate: Locate<'a>,
    list: RefCell<Vec<Finding>>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(spoilt: &'a [KeyPath], locate: Locate<'a>) -> Findings<'a> {
        Findings { spoilt, locate, list: RefCell::default() }
    }

    pub(super) fn into_list(self) -> Vec<Finding> {
        self.list.into_inner()
    }

    pub(super) fn root(&self) -> Scope<'_> {
        Scope { path: KeyPath::default(), findings: self }
    }
}

/// One table or value of the file, while it is checked.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    pub path: KeyPath,
    findings: &'a Findings<'a>,
}

impl<'a> Scope<'a> {
    pub(super) fn key(&self, key: &str) -> Scope<'a> {
        Scope { path: self.path.key(key), findings: self.findings }
    }

    pub(super) fn index(&self, index: usize) -> Scope<'a> {
        Scope { path: self.path.index(index), findings: self.findings }
    }

    /// Notes a problem of this key.
    pub(super) fn problem(&self, message: impl Into<String>) {
        self.note(message.into(), None);
    }

    /// Notes a problem and what to do about it.
    pub(super) fn problem_fix(&self, message: impl Into<String>, fix: impl Into<String>) {
        self.note(message.into(), Some(fix.into()));
    }

    fn note(&self, message: String, fix: Option<String>) {
        if !self.is_spoilt() {
            self.findings.list.borrow_mut().push(Finding { key: self.path.clone(), message, fix });
        }
    }

    /// Says whether the reader has complained of this key or one around it, so that its value is missing.
    pub(super) fn is_spoilt(&self) -> bool {
        self.findings.spoilt.iter().any(|spoilt| self.path.is_within(spoilt))
    }

    /// Says whether the reader has complained of this key, one around it, or one below it.
    pub(super) fn is_partly_spoilt(&self) -> bool {
        self.is_spoilt() || self.findings.spoilt.iter().any(|spoilt| spoilt.is_within(&self.path))
    }

    /// Takes a value that must be there.
    pub(super) fn required<T>(&self, key: &str, value: Option<T>, example: &str) -> Option<T> {
        if value.is_none() {
            self.key(key).problem_fix("is missing", format!("for example `{key} = {example}`"));
        }
        value
    }

    /// Takes a whole number within bounds.
    pub(super) fn whole<T>(&self, key: &str, value: Option<i64>, default: T, bounds: RangeInclusive<i64>) -> T
    where
        T: TryFrom<i64>,
    {
        let Some(value) = value else { return default };
        if bounds.contains(&value)
            && let Ok(value) = T::try_from(value)
        {
            return value;
        }
        self.key(key).problem(outside(&bounds, value));
        default
    }

    /// Takes units of stock, zero or more.
    pub(super) fn units(&self, key: &str, value: Option<i64>) -> Option<Quantity> {
        let bounds = 0..=Quantity::LIMIT;
        let value = value?;
        if bounds.contains(&value) {
            return Some(Quantity::new(value));
        }
        self.key(key).problem(outside(&bounds, value));
        None
    }

    /// Takes a record id of a database, one or more.
    pub(super) fn record(&self, key: &str, value: Option<i64>) -> Option<i64> {
        let value = value?;
        if value < 1 {
            self.key(key).problem(format!("must be a record id, `1` or more, is `{value}`"));
            return None;
        }
        Some(value)
    }

    /// Takes a time span within bounds.
    pub(super) fn span(
        &self,
        key: &str,
        value: Option<raw::Span>,
        default: Duration,
        bounds: RangeInclusive<Duration>,
    ) -> Duration {
        self.span_or_none(key, value, bounds).unwrap_or(default)
    }

    pub(super) fn span_or_none(
        &self,
        key: &str,
        value: Option<raw::Span>,
        bounds: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let raw::Span(text) = value?;
        match span::parse(&text) {
            Ok(span) if bounds.contains(&span) => return Some(span),
            Ok(_) => {
                let (low, high) = (span::human(*bounds.start()), span::human(*bounds.end()));
                self.key(key).problem(format!("must be from `{low}` to `{high}`, is `{text}`"));
            }
            Err(why) => self.key(key).problem_fix(
                format!("must be a time span, is `{}`: {why}", text.escape_debug()),
                "write it like `250ms`, `30s`, `5m`, `1h 30m` or `14d`",
            ),
        }
        None
    }

    /// Takes one of a few words.
    pub(super) fn choice<T: Copy>(
        &self,
        key: &str,
        value: Option<String>,
        default: T,
        words: &[(&str, T)],
    ) -> T {
        let Some(value) = value else { return default };
        if let Some((_, choice)) = words.iter().find(|(word, _)| *word == value) {
            return *choice;
        }
        let known = || words.iter().map(|(word, _)| *word);
        let message = format!("must be {}, is `{}`", any_of(known()), value.escape_debug());
        match closest(&value, known()) {
            Some(near) => self.key(key).problem_fix(message, format!("did you mean `{near}`?")),
            None => self.key(key).problem(message),
        }
        default
    }

    /// Takes a text that its type checks.
    pub(super) fn parsed<T>(&self, key: &str, value: Option<String>) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        value?.parse().map_err(|why| self.key(key).problem(format!("{why}"))).ok()
    }

    /// Takes a text that must not be empty or hold control characters.
    pub(super) fn text(&self, key: &str, value: Option<String>) -> Option<String> {
        let value = value?;
        if value.trim().is_empty() || value.trim() != value || value.chars().any(char::is_control) {
            let shown = value.escape_debug();
            self.key(key).problem(format!("must be a text without outer white space, is `{shown}`"));
            return None;
        }
        Some(value)
    }

    /// Takes the address of a service: https, or http for loopback, with no credentials, query or fragment.
    pub(super) fn url(&self, key: &str, value: Option<String>) -> Option<Url> {
        let text = value?;
        // A refused address is not repeated whole: it may carry a password or a token.
        let url: Url = match text.parse() {
            Ok(url) => url,
            Err(why) => {
                self.key(key).problem_fix(format!("must be a URL: {why}"), "write it like `https://host/`");
                return None;
            }
        };
        let why = match url.scheme() {
            "https" => None,
            "http" if is_loopback(&url) => None,
            "http" => Some("must begin with `https://`; plain http is accepted for loopback only"),
            _ => Some("must begin with `https://`"),
        };
        let extra = !url.username().is_empty() || url.password().is_some();
        let why = why.or(extra.then_some("must not hold a user name or a password"));
        let tail = url.query().is_some() || url.fragment().is_some();
        let why = why.or(tail.then_some("must not hold a `?` or a `#`"));
        if let Some(why) = why {
            self.key(key).problem(why);
            return None;
        }
        Some(url)
    }

    /// Takes the way to a secret. Repeats no value: some write the secret itself there.
    pub(super) fn secret(&self, value: raw::Secret) -> Option<SecretRef> {
        let ways = [
            value.file.map(|path| ("file", SecretSource::File(path.into()))),
            value.credential.map(|name| ("credential", SecretSource::Credential(name))),
            value.env.map(|name| ("env", SecretSource::Env(name))),
        ];
        let mut given = ways.into_iter().flatten();
        let (key, source) = match (given.next(), given.next()) {
            (Some(way), None) => way,
            (None, _) => {
                self.problem("must have one of `file`, `credential` or `env`");
                return None;
            }
            (Some(_), Some(_)) => {
                self.problem("must have only one of `file`, `credential` and `env`");
                return None;
            }
        };
        let why = match &source {
            SecretSource::File(path) if !path.is_absolute() => Some("must be an absolute path"),
            SecretSource::Credential(name) if name.is_empty() || name.contains('/') => {
                Some("must be the name of a credential, without `/`")
            }
            SecretSource::Env(name) if name.is_empty() || name.contains('=') => {
                Some("must be the name of an environment variable")
            }
            SecretSource::File(_) | SecretSource::Credential(_) | SecretSource::Env(_) => None,
        };
        if let Some(why) = why {
            self.key(key).problem(why);
            return None;
        }
        let (origin, place) = (self.findings.locate)(&self.path.key(key));
        Some(SecretRef { source, key: self.path.to_string(), origin, place })
    }

    /// Takes the absolute path of a file or directory.
    pub(super) fn path(&self, key: &str, value: Option<String>, default: &str) -> PathBuf {
        let Some(path) = value.map(PathBuf::from) else { return default.into() };
        if !path.is_absolute() {
            let shown = path.display().to_string();
            self.key(key).problem(format!("must be an absolute path, is `{}`", shown.escape_debug()));
            return default.into();
        }
        path
    }

    /// Takes an interval or a cron expression, not both.
    pub(super) fn schedule(&self, keys: [&str; 2], value: RawSchedule, default: Schedule) -> Schedule {
        let [every_key, cron_key] = keys;
        let (every, cron) = value;
        if every.is_some() && cron.is_some() {
            let message = format!("must not be given together with `{every_key}`");
            self.key(cron_key).problem_fix(message, "remove one of the two");
        }
        let bounds = Duration::from_millis(100)..=Duration::from_hours(7 * 24);
        let every = self.span_or_none(every_key, every, bounds);
        let Some(cron) = cron else { return every.map_or(default, Schedule::Every) };
        if let Err(why) = check_cron(&cron) {
            self.key(cron_key).problem_fix(
                format!("must be a cron expression, is `{}`: {why}", cron.escape_debug()),
                "write six fields, seconds first, in UTC: `0 */5 * * * *` is every five minutes",
            );
            return default;
        }
        Schedule::Cron(cron)
    }
}

/// An interval and a cron expression, of which at most one is given.
pub(super) type RawSchedule = (Option<raw::Span>, Option<String>);

fn outside(bounds: &RangeInclusive<i64>, value: i64) -> String {
    format!("must be from `{}` to `{}`, is `{value}`", bounds.start(), bounds.end())
}

/// Says whether an address never leaves this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}
