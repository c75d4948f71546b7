//! A place between two parties of a connection that notes when something begins to pass.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::Instant,
};

/// Passes everything on to `to`. What begins a request that is looked for is noted.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    at: Mutex<Option<Instant>>,
    told: Notify,
}

impl Tap {
    pub(crate) async fn start(to: SocketAddr, looked_for: fn(&[u8]) -> bool) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback can be bound");
        let address = listener.local_addr().expect("it is bound");
        let seen = Arc::new(Seen::default());
        let noted = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    // Either side may hang up at any time.
                    drop(pass(near, to, looked_for, &noted).await);
                });
            }
        });
        Tap { address, seen }
    }

    /// Forgets what was noted.
    pub(crate) fn clear(&self) {
        *self.seen.at.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Waits for the first since the last clear.
    pub(crate) async fn first(&self) -> Instant {
        loop {
            let told = self.seen.told.notified();
            if let Some(at) = *self.seen.at.lock().unwrap_or_else(PoisonError::into_inner) {
                return at;
            }
            told.await;
        }
    }
}

async fn pass(
    near: TcpStream,
    to: SocketAddr,
    looked_for: fn(&[u8]) -> bool,
    seen: &Seen,
) -> std::io::Result<()> {
    let far = TcpStream::connect(to).await?;
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ((mut from, mut back), (mut answers, mut onward)) = (near.into_split(), far.into_split());
    let forth = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut buffer).await?;
            let at = Instant::now();
            if read == 0 {
                return onward.shutdown().await;
            }
            if looked_for(&buffer[..read]) {
                seen.at.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(at);
                seen.told.notify_waiters();
            }
            onward.write_all(&buffer[..read]).await?;
        }
    };
    let back = async {
        tokio::io::copy(&mut answers, &mut back).await?;
        back.shutdown().await
    };
    tokio::try_join!(forth, back).map(drop)
}
