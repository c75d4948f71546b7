use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use tokio::net::UnixListener;

use crate::web::socket::{Error, bind};

async fn at(path: &Path) -> Result<(UnixListener, impl Drop), Error> {
    bind(path).await
}

#[tokio::test]
async fn the_socket_is_for_its_user_and_group_and_goes_with_its_owner() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s");
    let (_listener, claim) = at(&path).await.expect("bound");
    let mode = fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    drop(claim);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_replaced_and_a_live_one_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s");
    drop(UnixListener::bind(&path).expect("bound"));
    assert!(path.exists(), "an earlier run left it behind");
    let (_listener, _claim) = at(&path).await.expect("replaced");
    assert!(matches!(at(&path).await, Err(Error::Taken { .. })));
}

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s");
    fs::write(&path, "precious").expect("written");
    assert!(matches!(at(&path).await, Err(Error::NoSocket { .. })));
    assert_eq!(fs::read_to_string(&path).expect("there"), "precious");
}

#[tokio::test]
async fn the_socket_of_a_successor_is_not_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("s");
    let (_listener, claim) = at(&path).await.expect("bound");
    // Moved, not removed: a new file could get a free number at once.
    fs::rename(&path, dir.path().join("old")).expect("moved");
    let _successor = UnixListener::bind(&path).expect("bound");
    drop(claim);
    assert!(path.exists());
}
