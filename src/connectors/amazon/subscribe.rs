//! Which notifications Amazon sends to our queue: looked at, and asked for where they are missing.

use serde::Deserialize;

use super::{
    Amazon, encode,
    notifications::{FBA_CHANGE, ORDER_CHANGE},
};
use crate::connectors::{Fault, http};

/// What was found out about subscriptions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    /// The types that are not sent to us.
    pub(super) missing: Vec<&'static str>,
    /// The types that are sent elsewhere, and where.
    pub(super) elsewhere: Vec<(&'static str, String)>,
    /// What Amazon calls our queue, if it knows it.
    destination: Option<String>,
}

#[derive(Deserialize)]
struct Answer<T> {
    payload: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Destination {
    destination_id: String,
    resource: Resource,
}

#[derive(Deserialize)]
struct Resource {
    sqs: Option<Queue>,
}

#[derive(Deserialize)]
struct Queue {
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subscription {
    destination_id: String,
}

impl Amazon {
    /// Returns the types that are followed.
    fn followed(&self) -> Vec<&'static str> {
        let stock = self.options.own_location.is_some().then_some(FBA_CHANGE);
        [ORDER_CHANGE].into_iter().chain(stock).collect()
    }

    /// Looks which of the types that are followed are sent to a queue. Changes nothing.
    pub(super) async fn subscriptions(&self, arn: &str) -> Result<Found, Fault> {
        let answer = self.caller.read(&encode::destinations()).await?;
        let all: Answer<Vec<Destination>> = http::json(&answer.body).map_err(Fault::Malformed)?;
        let ours = |own: &Destination| own.resource.sqs.as_ref().is_some_and(|queue| queue.arn == arn);
        let destination = all.payload.into_iter().find(ours).map(|own| own.destination_id);
        let mut found = Found { destination, ..Found::default() };
        for kind in self.followed() {
            match self.subscribed(kind).await? {
                Some(to) if found.destination.as_ref() == Some(&to) => {}
                Some(to) => found.elsewhere.push((kind, to)),
                None => found.missing.push(kind),
            }
        }
        Ok(found)
    }

    /// Returns where notifications of a type are sent, if anywhere.
    async fn subscribed(&self, kind: &str) -> Result<Option<String>, Fault> {
        let told = self.caller.send(&encode::subscription(kind)).await?;
        match told.answer.status {
            200..=299 => {
                let answer: Answer<Subscription> = http::json(&told.answer.body).map_err(Fault::Malformed)?;
                Ok(Some(answer.payload.destination_id))
            }
            404 => Ok(None),
            _ => Err(told.fault()),
        }
    }

    /// Has what is missing sent to a queue.
    pub(super) async fn subscribe(&self, arn: &str, found: &Found) -> Result<(), Fault> {
        let destination = match &found.destination {
            Some(destination) => destination.clone(),
            None => {
                let answer = self.caller.read(&encode::create_destination(arn)).await?;
                let made: Answer<Destination> = http::json(&answer.body).map_err(Fault::Malformed)?;
                made.payload.destination_id
            }
        };
        for kind in &found.missing {
            self.caller.read(&encode::subscribe(kind, &destination)).await?;
            tracing::info!(kind, queue = arn, "Amazon sends notifications from now on");
        }
        Ok(())
    }
}
