//! What the daemon needs of this machine: directories it may write, a socket, an address. Nothing is made or changed.

use std::{
    fs,
    io::{self, ErrorKind},
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt, MetadataExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};
use serde::Serialize;

use crate::config::{AlertTarget, Config, SecretRef, SecretSource};

/// What stands in a store's directory.
const WITHIN: [&str; 6] = ["lock", "journal", "state", "checkpoints", "archive", "quarantine"];

#[derive(Debug, Serialize)]
pub(super) struct Place {
    /// The key of the configuration.
    key: String,
    at: String,
    /// `good`, or what is wrong.
    pub(super) answer: String,
    notes: Vec<String>,
}

impl Place {
    fn of(key: &str, at: impl ToString, found: Result<Vec<String>, String>) -> Place {
        let (answer, notes) = match found {
            Ok(notes) => ("good".to_owned(), notes),
            Err(wrong) => (wrong, Vec::new()),
        };
        Place { key: key.to_owned(), at: at.to_string(), answer, notes }
    }

    pub(super) fn is_good(&self) -> bool {
        self.answer == "good"
    }

    pub(super) fn row(&self) -> [String; 4] {
        [self.key.clone(), self.at.clone(), self.answer.clone(), self.notes.join("; ")]
    }
}

/// Looks at every place, as the user who asks. For root it also says what the user whose the store is could not use.
pub(super) fn look(config: &Config) -> Vec<Place> {
    let store = &config.store;
    let me = uid();
    let socket = &config.socket.path;
    let serves = UnixStream::connect(socket).is_ok();
    let mut all = vec![Place::of("store.path", store.path.display(), held(&store.path, &WITHIN, me))];
    if !store.archive.starts_with(&store.path) {
        all.push(Place::of("store.archive", store.archive.display(), held(&store.archive, &[], me)));
    }
    all.push(Place::of("socket.path", socket.display(), door(socket)));
    all.push(Place::of("web.listen", config.web.listen, address(config.web.listen, serves)));
    let owner = fs::metadata(&store.path).map(|about| about.uid()).ok();
    let files = files(config).into_iter();
    all.extend(files.map(|(key, path)| Place::of(&key, path.display(), secret(&path, me, owner))));
    all
}

/// Returns this process's user. Not known where there is no `/proc`.
fn uid() -> Option<u32> {
    fs::metadata("/proc/self").map(|about| about.uid()).ok()
}

fn who(me: Option<u32>) -> String {
    me.map_or_else(|| "this user".to_owned(), |me| format!("user {me}"))
}

/// A directory that the daemon writes into, or makes.
fn held(dir: &Path, within: &[&str], me: Option<u32>) -> Result<Vec<String>, String> {
    let about = match fs::metadata(dir) {
        Ok(about) => about,
        Err(error) if error.kind() == ErrorKind::NotFound => return made(dir, me),
        Err(error) => return Err(format!("cannot be looked at by {}: {error}", who(me))),
    };
    if !about.is_dir() {
        return Err("is no directory: name another, or move the file away".to_owned());
    }
    may_write(dir, true, me)?;
    let mut foreign = Vec::new();
    for name in within {
        let path = dir.join(name);
        let Ok(inner) = fs::symlink_metadata(&path) else { continue };
        may_write(&path, inner.is_dir(), me)?;
        if inner.uid() != about.uid() {
            foreign.push(format!("`{name}` is user {}'s", inner.uid()));
        }
    }
    if foreign.is_empty() {
        return Ok(Vec::new());
    }
    let told = format!(
        "the directory is user {}'s, but {}: `chown -R --reference={dir} {dir}` mends it",
        about.uid(),
        foreign.join(", "),
        dir = dir.display()
    );
    // Root and the owner of the directory: the one may write all of it, the other not.
    if about.uid() == 0 || me != Some(0) { Ok(vec![told]) } else { Err(told) }
}

/// One that is not there is made at the start, below what is.
fn made(dir: &Path, me: Option<u32>) -> Result<Vec<String>, String> {
    let above = dir.ancestors().skip(1).find_map(|above| Some((above, fs::metadata(above).ok()?)));
    match above {
        Some((above, about)) if !about.is_dir() => Err(format!("`{}` is no directory", above.display())),
        Some((above, _)) => {
            may_write(above, true, me).map_err(|wrong| {
                format!("is not there, and {wrong}; make it, and give it to the user that the daemon runs as")
            })?;
            Ok(vec!["is not there yet: it is made at the start".to_owned()])
        }
        None => Err("cannot be looked at".to_owned()),
    }
}

fn may_write(path: &Path, directory: bool, me: Option<u32>) -> Result<(), String> {
    let how = Access::READ_OK | Access::WRITE_OK;
    let how = if directory { how | Access::EXEC_OK } else { how };
    access(path, how).map_err(|error| {
        let error = io::Error::from(error);
        format!("`{}` cannot be written by {}, who asks: {error}", path.display(), who(me))
    })
}

/// The socket's directory. It is not made by the daemon.
fn door(socket: &Path) -> Result<Vec<String>, String> {
    match fs::symlink_metadata(socket) {
        Ok(there) if !there.file_type().is_socket() => {
            return Err("is there already and is no socket: name another, or move it away".to_owned());
        }
        Ok(_) | Err(_) => {}
    }
    let dir = socket.parent().unwrap_or(Path::new("/"));
    match fs::metadata(dir) {
        Ok(about) if about.is_dir() => may_write(dir, true, uid()).map(|()| Vec::new()),
        Ok(_) => Err(format!("`{}` is no directory", dir.display())),
        // Nothing below it outlives a reboot, so that something makes it anew each time.
        Err(error) if error.kind() == ErrorKind::NotFound && dir.starts_with("/run") => Ok(vec![format!(
            "`{}` is not there: systemd makes it for the service (`RuntimeDirectory=`)",
            dir.display()
        )]),
        Err(error) => Err(format!("`{}` cannot be used: {error}; make the directory", dir.display())),
    }
}

/// Whether the address is there and free. A daemon that runs has it already.
fn address(listen: SocketAddr, serves: bool) -> Result<Vec<String>, String> {
    match TcpListener::bind(listen) {
        Ok(_) => Ok(Vec::new()),
        Err(error) if error.kind() == ErrorKind::AddrInUse && serves => {
            Ok(vec!["is in use, as it must be while the daemon runs".to_owned()])
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            Err(format!("another program listens there ({error}): stop it, or name another port"))
        }
        Err(error) => Err(format!("cannot be listened on: {error}; name another address or port")),
    }
}

/// A secret's file could be read by whoever asks. Root can read what the daemon cannot.
fn secret(path: &Path, me: Option<u32>, owner: Option<u32>) -> Result<Vec<String>, String> {
    let of = fs::metadata(path).map(|about| about.uid()).ok();
    match (me, of, owner) {
        (Some(0), Some(of), Some(owner)) if owner != 0 && of != owner => Err(format!(
            "is user {of}'s, and the store is user {owner}'s, who cannot read it: `chown {owner} {}`",
            path.display()
        )),
        _ => Ok(Vec::new()),
    }
}

/// Returns the secrets that are files of their own, with their keys.
fn files(config: &Config) -> Vec<(String, PathBuf)> {
    let mut all: Vec<&SecretRef> = Vec::new();
    if let Some(AlertTarget::Secret(at)) = &config.alerts.target {
        all.push(at);
    }
    for shop in config.shopify.values() {
        all.push(shop.access.secret());
        all.extend(&shop.webhook_secrets);
    }
    for amazon in config.amazon.values() {
        all.extend([&amazon.client_secret, &amazon.refresh_token]);
        let key = amazon.queue.as_ref().and_then(|queue| queue.key.as_ref());
        all.extend(key.map(|(_, secret)| secret));
    }
    all.extend(config.tryton.values().map(|erp| &erp.key));
    let of = |at: &SecretRef| match &at.source {
        SecretSource::File(path) => Some((at.key().to_owned(), path.clone())),
        SecretSource::Credential(_) | SecretSource::Env(_) => None,
    };
    all.into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[track_caller]
    fn check(found: Result<Vec<String>, String>, wanted: Result<&str, &str>) {
        match (&found, wanted) {
            (Ok(notes), Ok(note)) => assert!(notes.join("; ").contains(note), "{found:?}"),
            (Err(wrong), Err(said)) => assert!(wrong.contains(said), "{found:?}"),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => panic!("{found:?}"),
        }
    }

    #[test]
    fn a_directory_is_one_or_can_be_made_and_nothing_is_left_behind() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, new) = (dir.path().join("file"), dir.path().join("a/b"));
        fs::write(&file, "").expect("written");
        check(held(dir.path(), &WITHIN, None), Ok(""));
        check(held(&new, &WITHIN, None), Ok("is made at the start"));
        check(held(&file, &WITHIN, None), Err("is no directory"));
        check(held(&file.join("store"), &WITHIN, None), Err("cannot be looked at"));
        assert!(!new.exists() && fs::read_dir(dir.path()).expect("readable").count() == 1);
    }

    #[test]
    fn a_socket_needs_its_directory_and_its_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("written");
        check(door(&dir.path().join("new.sock")), Ok(""));
        check(door(&file), Err("is no socket"));
        check(door(&dir.path().join("none/new.sock")), Err("make the directory"));
        check(door(Path::new("/run/no-such-directory/new.sock")), Ok("RuntimeDirectory="));
        let old = dir.path().join("old.sock");
        let held = UnixListener::bind(&old).expect("bound");
        check(door(&old), Ok(""));
        drop(held);
        check(door(&old), Ok(""));
    }

    #[test]
    fn an_address_is_free_or_the_running_daemons() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
        let at = taken.local_addr().expect("an address");
        check(address(at, false), Err("another program listens there"));
        check(address(at, true), Ok("while the daemon runs"));
        drop(taken);
        check(address(at, false), Ok(""));
        check(address("192.0.2.1:1".parse().expect("an address"), false), Err("cannot be listened on"));
    }

    #[test]
    fn a_secret_must_be_readable_for_whose_the_store_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("secret");
        fs::write(&file, "x").expect("written");
        let of = fs::metadata(&file).expect("there").uid();
        check(secret(&file, Some(0), Some(of + 1)), Err("who cannot read it"));
        for (me, owner) in [(Some(0), Some(of)), (Some(7), Some(of + 1)), (Some(0), None), (Some(0), Some(0))]
        {
            check(secret(&file, me, owner), Ok(""));
        }
    }
}
