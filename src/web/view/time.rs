//! Points in time, as text.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// A point in time: `2026-11-23T15:04:05.678Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(pub Timestamp);

/// A text that is no point in time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time such as `2026-11-23T15:04:05Z`")]
pub struct BadTime(String);

impl Time {
    /// Returns the milliseconds since 1970.
    pub fn millis(self) -> i64 {
        self.0.millis()
    }
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Time {
        Time(at)
    }
}

impl FromStr for Time {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Time, BadTime> {
        let at: jiff::Timestamp = text.parse().map_err(|_| BadTime(text.to_owned()))?;
        Ok(Time(Timestamp::from_millis(at.as_millisecond())))
    }
}

impl TryFrom<String> for Time {
    type Error = BadTime;

    fn try_from(text: String) -> Result<Time, BadTime> {
        text.parse()
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (jiff::Timestamp::MIN.as_millisecond(), jiff::Timestamp::MAX.as_millisecond());
        match jiff::Timestamp::from_millisecond(self.millis().clamp(least, most)) {
            Ok(at) => write!(f, "{at:.3}"),
            Err(_) => self.millis().fmt(f),
        }
    }
}

impl From<Time> for String {
    fn from(time: Time) -> String {
        time.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_and_written_as_text_in_utc() {
        let time = Time(Timestamp::from_millis(1_795_446_245_678));
        assert_eq!(time.to_string(), "2026-11-23T15:04:05.678Z");
        assert_eq!("2026-11-23T16:04:05.678+01:00".parse(), Ok(time));
        assert!("yesterday".parse::<Time>().is_err());
        assert!(!Time(Timestamp::MAX).to_string().is_empty());
    }
}
