//! What waits for a person.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    model::{ChannelId, Counter, OrderKey, Seq, Sku},
    web::view::Time,
};

/// `GET /v1/dead-letters?channel=&reason=&limit=`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetters {
    /// Orders with lines that no SKU was found for; `evenkeel map list --lines` shows them.
    #[serde(default, skip_serializing_if = "is_none_of_them")]
    pub unmapped_orders: usize,
    /// Listings whose drift waits for a person and that are no dead letter besides; `evenkeel drift` shows them.
    #[serde(default)]
    pub drifts: usize,
    pub letters: Vec<DeadLetter>,
    pub more: bool,
}

fn is_none_of_them(count: &usize) -> bool {
    *count == 0
}

/// Something that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    pub id: LetterId,
    /// `leg`, `posting`, `count` or `quarantine`.
    pub kind: String,
    /// The channel, or `@person` for a person's count.
    pub channel: Counter,
    /// What it is about: a SKU, an order, a topic.
    pub subject: String,
    pub reason: String,
    pub since: Time,
    /// How often in a row it was tried in vain; zero where nothing is tried.
    #[serde(default)]
    pub tries: u32,
    /// The command that helps, once the reason is dealt with.
    #[serde(default)]
    pub command: String,
    /// The other command, where only a person knows which of the two it is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// What `retry` does, in a few words.
    pub retry: String,
    /// What `discard` does, in a few words.
    pub discard: String,
}

/// `POST /v1/dead-letters/retry`, `POST /v1/dead-letters/discard`: all that fit. Held counts are dealt with one by one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LettersRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    /// A part of the reason; upper and lower case are the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// All of them, where neither channel nor reason is named.
    #[serde(default)]
    pub all: bool,
    /// Only tells which.
    #[serde(default)]
    pub dry_run: bool,
}

/// What was done with the dead letters that fit, or would be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LettersDone {
    pub letters: Vec<DeadLetter>,
    /// There are more; the same request goes on with them.
    pub more: bool,
    pub dry_run: bool,
    /// Held counts that are left out: each is dealt with by its id.
    #[serde(default)]
    pub left_counts: usize,
    /// Orders that an ERP may have already and that are left out: a person names a part of the reason, or the id.
    #[serde(default)]
    pub left_asked: usize,
}

/// What a dead letter is retried or discarded by: `leg:main:SKU:0`, `posting:erp:main:1001`, `count:123`,
/// `quarantine:55`. A SKU or an order may itself contain colons.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum LetterId {
    Leg { channel: ChannelId, sku: Sku, n: u16 },
    Posting { channel: ChannelId, order: OrderKey },
    Count(Seq),
    Quarantine(Seq),
}

/// A text that names no dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not the id of a dead letter, such as `leg:main:SKU:0` or `quarantine:55`")]
pub struct BadLetterId(String);

impl LetterId {
    /// Returns the word that the id begins with.
    pub fn kind(&self) -> &'static str {
        match self {
            LetterId::Leg { .. } => "leg",
            LetterId::Posting { .. } => "posting",
            LetterId::Count(_) => "count",
            LetterId::Quarantine(_) => "quarantine",
        }
    }

    fn parse(text: &str) -> Option<LetterId> {
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "leg" => {
                let (channel, rest) = rest.split_once(':')?;
                let (sku, n) = rest.rsplit_once(':')?;
                LetterId::Leg { channel: channel.parse().ok()?, sku: sku.parse().ok()?, n: n.parse().ok()? }
            }
            "posting" => {
                let (channel, rest) = rest.split_once(':')?;
                let (of, order) = rest.split_once(':')?;
                let order = OrderKey { channel: of.parse().ok()?, order: order.parse().ok()? };
                LetterId::Posting { channel: channel.parse().ok()?, order }
            }
            "count" => LetterId::Count(Seq(rest.parse().ok()?)),
            "quarantine" => LetterId::Quarantine(Seq(rest.parse().ok()?)),
            _ => return None,
        })
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.kind())?;
        match self {
            LetterId::Leg { channel, sku, n } => write!(f, "{channel}:{sku}:{n}"),
            LetterId::Posting { channel, order } => write!(f, "{channel}:{order}"),
            LetterId::Count(seq) | LetterId::Quarantine(seq) => seq.fmt(f),
        }
    }
}

impl FromStr for LetterId {
    type Err = BadLetterId;

    fn from_str(text: &str) -> Result<LetterId, BadLetterId> {
        LetterId::parse(text).ok_or_else(|| BadLetterId(text.to_owned()))
    }
}

impl TryFrom<String> for LetterId {
    type Error = BadLetterId;

    fn try_from(text: String) -> Result<LetterId, BadLetterId> {
        text.parse()
    }
}

impl From<LetterId> for String {
    fn from(id: LetterId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_dead_letter_survives_colons_and_slashes() {
        for text in ["leg:main:A:B/C:12", "posting:erp:main:1001:x", "count:123", "quarantine:55"] {
            assert_eq!(text.parse::<LetterId>().map(|id| id.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "leg", "leg:main:A", "leg:Main:A:0", "count:x", "letter:1", "posting:erp:main"] {
            assert!(bad.parse::<LetterId>().is_err(), "{bad:?}");
        }
    }
}
