//! What a person asks for is done once, however often it is asked for: an answer may be lost.

use crate::{
    core::{
        command::{Command, Refused, Reply},
        decide::Draft,
        record::Record,
    },
    model::{ChannelId, DeliveryId},
};

impl Draft<'_> {
    /// Carries a command out, unless it was carried out for the same request. Remembered as long as a push is.
    pub(super) fn once(&mut self, request: DeliveryId, command: Command) -> Result<Reply, Refused> {
        // People share the memory of pushes with the channels; the space keeps their ids apart from any channel's.
        let channel = ChannelId::new("person").expect("a valid name");
        let text = format!("request {request}");
        let delivery = DeliveryId::new(&text).map_err(|bad| Refused::NotSo(bad.to_string()))?;
        if self.state.deliveries.contains_key(&(channel.clone(), delivery.clone())) {
            return Ok(Reply::Duplicate);
        }
        let reply = self.run(command)?;
        if !self.records.is_empty() {
            self.emit(Record::Delivered { channel, delivery });
        }
        Ok(reply)
    }
}
