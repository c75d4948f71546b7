//! Which order a text means: by the channel's own id of it, or by the number that people see (`#1001`), with its channel
//! or alone.

use crate::model::{ChannelId, OrderId, OrderKey};

/// What somebody has called an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Called {
    channel: Option<ChannelId>,
    text: String,
}

impl Called {
    /// Reads `CHANNEL:ORDER`, or what an order is called without its channel.
    pub fn read(text: &str) -> Called {
        let parts = text.split_once(':').and_then(|(channel, rest)| Some((channel.parse().ok()?, rest)));
        match parts.filter(|(_, rest)| !rest.is_empty()) {
            Some((channel, rest)) => Called::on(channel, rest),
            None => Called { channel: None, text: text.to_owned() },
        }
    }

    /// What is called so on this channel.
    pub fn on(channel: ChannelId, text: &str) -> Called {
        Called { channel: Some(channel), text: text.to_owned() }
    }

    pub fn channel(&self) -> Option<&ChannelId> {
        self.channel.as_ref()
    }

    /// Returns the order that has the text as its id on a channel, if there is such a one.
    pub fn by_id(&self, channel: &ChannelId) -> Option<OrderKey> {
        let here = self.channel.as_ref().is_none_or(|own| own == channel);
        let order = self.text.parse::<OrderId>().ok().filter(|_| here)?;
        Some(OrderKey { channel: channel.clone(), order })
    }

    /// Tells whether an order with this number may be meant.
    pub fn fits(&self, key: &OrderKey, name: Option<&str>) -> bool {
        let here = self.channel.as_ref().is_none_or(|own| *own == key.channel);
        here && (key.order.as_str() == self.text || name == Some(self.text.as_str()))
    }

    /// Leaves of the orders that may be meant the one whose id was given with its channel, if it is among them: a number that
    /// people see may be another's id.
    pub fn meant(&self, mut found: Vec<OrderKey>) -> Vec<OrderKey> {
        let exact = self.channel.as_ref().and_then(|channel| self.by_id(channel));
        if let Some(exact) = exact.filter(|exact| found.contains(exact)) {
            found = vec![exact];
        }
        found
    }
}

impl std::fmt::Display for Called {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.channel {
            Some(channel) => write!(f, "{channel}:{}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> OrderKey {
        let (channel, order) = text.split_once(':').expect("both");
        OrderKey { channel: channel.parse().expect("a name"), order: order.parse().expect("an id") }
    }

    /// A text, against three orders -> those that it means.
    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        let called = Called::read(text);
        let all = [("main:7001", "#1001"), ("main:1002", "#1001x"), ("us:7002", "1002"), ("us:7001", "#5")];
        let fits =
            all.iter().map(|(of, name)| (key(of), *name)).filter(|(of, name)| called.fits(of, Some(name)));
        let found = called.meant(fits.map(|(of, _)| of).collect());
        assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), want, "{text}");
        assert_eq!(called.to_string(), text);
    }

    #[test]
    fn an_order_is_called_by_its_id_or_by_its_number() {
        check("#1001", &["main:7001"]);
        check("main:#1001", &["main:7001"]);
        check("us:#1001", &[]);
        check("7001", &["main:7001", "us:7001"]);
        check("us:7001", &["us:7001"]);
        check("1002", &["main:1002", "us:7002"]);
        check("main:1002", &["main:1002"]);
        check("us:1002", &["us:7002"]);
        check("Main:1002", &[]);
    }
}
