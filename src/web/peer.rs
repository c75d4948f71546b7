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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_root_and_the_owner_of_the_socket_are_trusted() {
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        let uid = ours.peer_cred().expect("told").uid();
        let told = |owner: Option<u32>| of(owner)(&ours).trusted;
        assert!(told(Some(uid)));
        assert_eq!(told(Some(uid + 1)), uid == 0);
        assert_eq!(told(None), uid == 0);
        assert!(!Peer::default().trusted);
    }

    #[test]
    fn a_name_that_is_told_never_hides_the_user() {
        let peer = Peer { uid: Some(7), trusted: false };
        assert_eq!(peer.named(None), "uid 7");
        assert_eq!(peer.named(Some("ann\n")), "ann (uid 7)");
        assert_eq!(
            Peer::default().named(Some(&"x".repeat(99))),
            format!("{} (an unknown user)", "x".repeat(64))
        );
    }
}
