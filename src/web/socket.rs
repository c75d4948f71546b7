//! The Unix socket of the admin API: its file, who may use it, and what an earlier run left behind.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::net::{UnixListener, UnixStream};
use tracing::{info, warn};

/// The user of the daemon and its group may connect.
const MODE: u32 = 0o660;

/// Why the socket could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("another daemon listens on `{}` (socket.path)", path.display())]
    Taken { path: PathBuf },
    #[error("`{}` is there already and is no socket (socket.path)", path.display())]
    NoSocket { path: PathBuf },
    #[error("cannot listen on `{}` (socket.path)", path.display())]
    Bind {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Holds the socket's file, and removes it when it is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    path: PathBuf,
    inode: u64,
}

/// Listens on `path`. A socket that nobody listens on any more is replaced.
pub(super) async fn bind(path: &Path) -> Result<(UnixListener, Claim), Error> {
    let failed = |source| Error::Bind { path: path.to_owned(), source };
    clear(path).await?;
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(failed)?;
    let inode = fs::symlink_metadata(path).map_err(failed)?.ino();
    Ok((listener, Claim { path: path.to_owned(), inode }))
}

/// Removes what an earlier run left at `path`, if nobody listens there.
async fn clear(path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Bind { path: path.to_owned(), source };
    let kind = match fs::symlink_metadata(path) {
        Ok(there) => there.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    if !kind.is_socket() {
        return Err(Error::NoSocket { path: path.to_owned() });
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(Error::Taken { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            info!(path = %path.display(), "replacing a socket that nobody listens on");
            fs::remove_file(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Another daemon may have replaced it meanwhile.
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|there| there.ino() == self.inode);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            warn!(path = %self.path.display(), %error, "the socket could not be removed");
        }
    }
}
