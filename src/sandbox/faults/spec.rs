//! The text form of a fault: `[system-]kind=value`.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::{BadFault, FaultSpec, FeedFault, Poison, System, Target};
use crate::sandbox::options::Span;

const NAME_IT: &str = "name the SKU, by the merchant's own code, or `off`";

pub(super) fn parse(text: &str) -> Result<FaultSpec, BadFault> {
    let bad = |reason| BadFault { text: text.to_owned(), reason };
    if text == "none" {
        return Ok(FaultSpec::None);
    }
    let (name, value) = text.split_once('=').ok_or_else(|| bad("must be `name=value` or `none`"))?;
    match name {
        "webhooks-dropped" => return Ok(FaultSpec::WebhooksDropped { share: share(value).map_err(bad)? }),
        "webhooks-duplicated" => {
            return Ok(FaultSpec::WebhooksDuplicated { share: share(value).map_err(bad)? });
        }
        "webhooks-reordered" => {
            return Ok(FaultSpec::WebhooksReordered { share: share(value).map_err(bad)? });
        }
        "shopify-rush" if value.is_empty() => return Err(bad(NAME_IT)),
        "shopify-rush" => {
            return Ok(FaultSpec::Rush { sku: (value != "off").then(|| value.to_owned()) });
        }
        _ => {}
    }
    if let Some((kind, _)) = FeedFault::ALL.into_iter().find(|(_, of)| *of == name) {
        return Ok(FaultSpec::Feeds { kind, share: share(value).map_err(bad)? });
    }
    let (on, kind) = target(name);
    if let Some((poison, _)) = Poison::ALL.into_iter().find(|(_, name)| *name == kind) {
        if on == Target::One(System::Queue) {
            return Err(bad("nothing is poisoned on `queue-`"));
        }
        if poison == Poison::Reads && on == Target::One(System::Erp) {
            return Err(bad("reads are poisoned on `shopify-` and `amazon-`"));
        }
        if value.is_empty() {
            return Err(bad(NAME_IT));
        }
        let sku = (value != "off").then(|| value.to_owned());
        return Ok(FaultSpec::Poison { on, kind: poison, sku });
    }
    match kind {
        "outage" => {
            let (lasts, after) = outage(value).map_err(bad)?;
            Ok(FaultSpec::Outage { on, lasts, after })
        }
        "errors" => Ok(FaultSpec::Errors { on, share: share(value).map_err(bad)? }),
        "lost-answers" => Ok(FaultSpec::LostAnswers { on, share: share(value).map_err(bad)? }),
        "throttled" => Ok(FaultSpec::Throttled { on, share: share(value).map_err(bad)? }),
        "latency" => Ok(FaultSpec::Latency { on, ms: span(value).map_err(bad)? }),
        "rival" if ![Target::One(System::Erp), Target::One(System::Queue)].contains(&on) => {
            let every = if value == "off" { None } else { Some(duration(value).map_err(bad)?) };
            Ok(FaultSpec::Rival { on, every })
        }
        _ => {
            Err(bad("the faults are outage, errors, lost-answers, throttled, latency (each may start with \
                      `shopify-`, `amazon-`, `erp-` or `queue-`), poison, poison-refused, poison-hangs, poison-reads (the \
                      same, with a SKU), shopify-rush (with a SKU), rival (`shopify-`, `amazon-`), webhooks-dropped, \
                      webhooks-duplicated, webhooks-reordered, feeds-stuck, feeds-fatal, feeds-refused, feeds-ignored"))
        }
    }
}

fn target(name: &str) -> (Target, &str) {
    for (prefix, system) in [
        ("shopify-", System::Shopify),
        ("amazon-", System::Amazon),
        ("erp-", System::Erp),
        ("queue-", System::Queue),
    ] {
        if let Some(kind) = name.strip_prefix(prefix) {
            return (Target::One(system), kind);
        }
    }
    (Target::All, name)
}

fn outage(value: &str) -> Result<(Duration, Duration), &'static str> {
    if value == "off" {
        return Ok((Duration::ZERO, Duration::ZERO));
    }
    match value.split_once('@') {
        Some((lasts, after)) => Ok((duration(lasts)?, duration(after)?)),
        None => Ok((duration(value)?, Duration::ZERO)),
    }
}

fn span(value: &str) -> Result<Span, &'static str> {
    if value == "off" {
        return Ok(Span::new(0, 0));
    }
    let (min, max) = match value.split_once("..") {
        Some((min, max)) => (duration(min)?, duration(max)?),
        None => (duration(value)?, duration(value)?),
    };
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).map_err(|_| "the time is too long");
    if min > max { Err("the range is the wrong way round") } else { Ok(Span::new(ms(min)?, ms(max)?)) }
}

/// `5%` or `off`.
fn share(value: &str) -> Result<f64, &'static str> {
    if value == "off" {
        return Ok(0.0);
    }
    let percent = value.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    match percent {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        Some(_) | None => Err("the share must be a percentage such as `5%`, or `off`"),
    }
}

/// `250ms`, `20s`, `2m`.
fn duration(value: &str) -> Result<Duration, &'static str> {
    let units = [("ms", 1.0), ("s", 1000.0), ("m", 60_000.0)];
    let found = units.iter().find_map(|(suffix, ms)| {
        let number = value.strip_suffix(suffix)?.parse::<f64>().ok()?;
        (0.0..=1e9).contains(&number).then(|| Duration::from_secs_f64(number * ms / 1000.0))
    });
    found.ok_or("the time must look like `250ms`, `20s` or `2m`")
}

impl TryFrom<String> for FaultSpec {
    type Error = BadFault;

    fn try_from(text: String) -> Result<FaultSpec, BadFault> {
        parse(&text)
    }
}

impl From<FaultSpec> for String {
    fn from(spec: FaultSpec) -> String {
        spec.to_string()
    }
}

impl std::str::FromStr for FaultSpec {
    type Err = BadFault;

    fn from_str(text: &str) -> Result<FaultSpec, BadFault> {
        parse(text)
    }
}

impl Display for FaultSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            FaultSpec::Outage { on, lasts, .. } if lasts.is_zero() => write!(f, "{on}outage=off"),
            FaultSpec::Outage { on, lasts, after } => {
                write!(f, "{on}outage={}ms@{}ms", lasts.as_millis(), after.as_millis())
            }
            FaultSpec::Errors { on, share } => write!(f, "{on}errors={}%", share * 100.0),
            FaultSpec::LostAnswers { on, share } => write!(f, "{on}lost-answers={}%", share * 100.0),
            FaultSpec::Throttled { on, share } => write!(f, "{on}throttled={}%", share * 100.0),
            FaultSpec::Latency { on, ms } => write!(f, "{on}latency={}ms..{}ms", ms.min, ms.max),
            FaultSpec::WebhooksDropped { share } => write!(f, "webhooks-dropped={}%", share * 100.0),
            FaultSpec::WebhooksDuplicated { share } => write!(f, "webhooks-duplicated={}%", share * 100.0),
            FaultSpec::WebhooksReordered { share } => write!(f, "webhooks-reordered={}%", share * 100.0),
            FaultSpec::Feeds { kind, share } => {
                let name = FeedFault::ALL.iter().find(|(of, _)| of == kind).map_or("", |(_, name)| name);
                write!(f, "{name}={}%", share * 100.0)
            }
            FaultSpec::Poison { on, kind, sku } => {
                write!(f, "{on}{}={}", kind.name(), sku.as_deref().unwrap_or("off"))
            }
            FaultSpec::Rush { sku } => write!(f, "shopify-rush={}", sku.as_deref().unwrap_or("off")),
            FaultSpec::Rival { on, every: Some(every) } => write!(f, "{on}rival={}ms", every.as_millis()),
            FaultSpec::Rival { on, every: None } => write!(f, "{on}rival=off"),
            FaultSpec::None => f.write_str("none"),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Target::All => "",
            Target::One(System::Shopify) => "shopify-",
            Target::One(System::Amazon) => "amazon-",
            Target::One(System::Erp) => "erp-",
            Target::One(System::Queue) => "queue-",
        })
    }
}
