//! Typed ids. Each is validated once, at the edge, and then trusted.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// Why a text cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadId {
    #[error("`{what}` must not be empty")]
    Empty { what: &'static str },
    #[error("`{what}` must be at most {max} bytes, is {len}")]
    TooLong { what: &'static str, max: usize, len: usize },
    #[error("`{what}` must not contain control characters or outer white space, is `{text}`")]
    Unprintable { what: &'static str, text: String },
    #[error("`{what}` must consist of a-z, 0-9, `-` and `_`, is `{text}`")]
    NotAName { what: &'static str, text: String },
}

fn printable(what: &'static str, max: usize, text: &str) -> Result<(), BadId> {
    if text.is_empty() {
        return Err(BadId::Empty { what });
    }
    if text.len() > max {
        return Err(BadId::TooLong { what, max, len: text.len() });
    }
    // Nearly all ids are of these, and one is made of every id that is read.
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    if !plain && (text.trim() != text || text.chars().any(char::is_control)) {
        return Err(BadId::Unprintable { what, text: text.escape_debug().to_string() });
    }
    Ok(())
}

fn name(what: &'static str, max: usize, text: &str) -> Result<(), BadId> {
    printable(what, max, text)?;
    let ok = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if text.bytes().all(ok) {
        return Ok(());
    }
    Err(BadId::NotAName { what, text: text.to_owned() })
}

macro_rules! text_id {
    ($(#[$doc:meta])* $id:ident, $what:literal, $rule:ident, $max:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $id(Arc<str>);

        impl $id {
            /// Checks the text and wraps it.
            pub fn new(text: &str) -> Result<Self, BadId> {
                $rule($what, $max, text)?;
                Ok(Self(Arc::from(text)))
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $id {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $id {
            type Error = BadId;
            fn try_from(text: String) -> Result<Self, BadId> {
                Self::new(&text)
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl AsRef<str> for $id {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_id!(
    /// The canonical SKU: what all channels' identifiers are mapped to. Case-sensitive, at most 128 bytes.
    Sku, "sku", printable, 128
);
text_id!(
    /// One configured channel (a shop, a marketplace account, an ERP), by its name in the configuration.
    ChannelId, "channel", name, 64
);
text_id!(
    /// A place where stock lies, by its name in the configuration.
    LocationId, "location", name, 64
);
text_id!(
    /// An order's id as its channel gives it.
    OrderId, "order", printable, 128
);
text_id!(
    /// An order line's id as its channel gives it.
    LineId, "line", printable, 128
);
text_id!(
    /// The id of one pushed delivery, the same across its retries.
    DeliveryId, "delivery", printable, 255
);
text_id!(
    /// What makes a repeated write recognisable to the channel.
    IdempotencyKey, "idempotency key", printable, 128
);
text_id!(
    /// This installation's name. Part of every idempotency key, so that two daemons never share one.
    Instance, "instance", name, 32
);

/// Who counts: a channel, or a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Counter {
    Channel(ChannelId),
    Person,
}

/// How a person is told from the channels, none of which can be called so.
const PERSON: &str = "@person";

impl TryFrom<String> for Counter {
    type Error = BadId;
    fn try_from(text: String) -> Result<Counter, BadId> {
        if text == PERSON { Ok(Counter::Person) } else { ChannelId::new(&text).map(Counter::Channel) }
    }
}

impl From<Counter> for String {
    fn from(counter: Counter) -> String {
        match counter {
            Counter::Channel(channel) => channel.into(),
            Counter::Person => PERSON.to_owned(),
        }
    }
}

impl From<ChannelId> for Counter {
    fn from(channel: ChannelId) -> Counter {
        Counter::Channel(channel)
    }
}

impl PartialEq<ChannelId> for Counter {
    fn eq(&self, channel: &ChannelId) -> bool {
        matches!(self, Counter::Channel(own) if own == channel)
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Counter::Channel(channel) => channel.fmt(f),
            Counter::Person => f.write_str("a person"),
        }
    }
}

/// An order, among all channels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OrderKey {
    pub channel: ChannelId,
    pub order: OrderId,
}

impl fmt::Display for OrderKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.channel, self.order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_keeps_case_slash_space_and_unicode_and_refuses_the_rest() {
        for good in ["TSHIRT-BL-M", "A B/1", "größe|ü+", "0"] {
            assert_eq!(Sku::new(good).map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", " A", "A ", "A\nB", &"x".repeat(129)] {
            assert!(Sku::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_channel_name_is_lower_case() {
        assert!(ChannelId::new("main-2_x").is_ok());
        assert!(ChannelId::new("Main").is_err());
    }

    #[test]
    fn a_person_who_counts_is_no_channel() {
        let channel = Counter::from(ChannelId::new("erp").expect("a good name"));
        for (counter, text) in [(channel, "\"erp\""), (Counter::Person, "\"@person\"")] {
            assert_eq!(serde_json::to_string(&counter).ok().as_deref(), Some(text));
            assert_eq!(serde_json::from_str::<Counter>(text).ok(), Some(counter));
        }
        assert!(serde_json::from_str::<Counter>("\"@erp\"").is_err());
    }

    #[test]
    fn a_bad_id_is_refused_by_serde_too() {
        assert!(serde_json::from_str::<Sku>("\" A\"").is_err());
    }
}
