//! Who asks over the Unix socket, as the kernel tells.

use std::{os::unix::fs::MetadataExt, path::Path};

use tokio::net::UnixStream;

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Peer {
    /// The user, where the kernel tells.
    pub uid: Option<u32>,
    /// Root, or the user that the daemon runs as: who may read its files anyway.
    pub trusted: bool,
}

impl Peer {
    /// Returns who did something, for the journal: the name that the command line tells, and the user that the kernel does.
    pub(super) fn named(self, told: Option<&str>) -> String {
        let uid = self.uid.map_or_else(|| "an unknown user".to_owned(), |uid| format!("uid {uid}"));
        let name: String = told.unwrap_or_default().chars().filter(|c| !c.is_control()).take(64).collect();
        if name.is_empty() { uid } else { format!("{name} ({uid})") }
    }
}

/// Returns who owns the socket, which is who the daemon runs as.
pub(super) fn owner(socket: &Path) -> Option<u32> {
    std::fs::symlink_metadata(socket).ok().map(|there| there.uid())
}

/// Returns how the other end of a connection is told.
pub(super) fn of(owner: Option<u32>) -> impl Fn(&UnixStream) -> Peer {
    move |stream| {
        let uid = stream.peer_cred().ok().map(|cred| cred.uid());
        Peer { uid, trusted: uid.is_some_and(|uid| uid == 0 || Some(uid) == owner) }
    }
}
