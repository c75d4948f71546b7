//! Reads bodies without letting strangers fill the memory.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many bytes beyond the limit are read and thrown away, so that the sender gets to see its answer.
const DRAIN_MAX: usize = 16 << 20;

/// Why a body was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unread {
    TooLarge,
    /// Too much is being read at once.
    NoRoom,
    /// The sender broke off.
    Broken,
}

/// The memory that bodies may take together. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Room(Arc<Semaphore>);

/// A body, and its share of the room for as long as it is kept.
pub(super) struct Held {
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new(bytes: usize) -> Room {
        Room(Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))))
    }

    /// Reads a body of at most `max` bytes.
    pub(super) async fn read(&self, mut body: Body, max: usize) -> Result<Held, Unread> {
        let mut bytes = BytesMut::new();
        let mut share: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { continue };
            if bytes.len().saturating_add(data.len()) > max {
                drop((bytes, share));
                drain(body).await;
                return Err(Unread::TooLarge);
            }
            let count = u32::try_from(data.len()).map_err(|_| Unread::TooLarge)?;
            let more = Arc::clone(&self.0).try_acquire_many_owned(count).map_err(|_| Unread::NoRoom)?;
            match &mut share {
                Some(share) => share.merge(more),
                None => share = Some(more),
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Held { bytes: bytes.freeze(), _share: share })
    }
}

async fn drain(mut body: Body) {
    let mut left = DRAIN_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let read = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(read) else { return };
        left = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a body of `length` bytes; `room` and `max` as given.
    async fn check(room: &Room, length: usize, max: usize, want: Result<usize, Unread>) -> Option<Held> {
        let read = room.read(Body::from(vec![b'x'; length]), max).await;
        let got = read.as_ref().map(|held| held.bytes.len()).map_err(|unread| *unread);
        assert_eq!(got, want, "{length} bytes of at most {max}");
        read.ok()
    }

    #[tokio::test]
    async fn a_body_is_bounded_by_its_own_limit_and_by_the_room_for_all() {
        let room = Room::new(100);
        check(&room, 40, 40, Ok(40)).await;
        check(&room, 41, 40, Err(Unread::TooLarge)).await;
        let held = check(&room, 60, 60, Ok(60)).await;
        check(&room, 60, 60, Err(Unread::NoRoom)).await;
        drop(held);
        check(&room, 60, 60, Ok(60)).await;
        check(&room, 0, 60, Ok(0)).await;
    }
}
