//! What comes in by push: read, decided, durable, and only then answered. What cannot be read goes to quarantine.

use std::{
    fs::File,
    io::Write,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tracing::warn;

use crate::{
    clock::Clock,
    connectors::{Connector, Fact, Push, Received, Refusal},
    core::{Command, Reply, state::Quarantined},
    engine::{
        lane::Hint,
        ledger::{Error, Ledger},
        wake::ChannelWakes,
    },
    model::{ChannelId, DeliveryId, Identifiers},
    telemetry::Metrics,
};

pub use crate::web::Taken;

/// Bodies that could not be read, as 0600 files beside the journal. The journal holds only their digest and ids.
pub struct Quarantine {
    dir: PathBuf,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
}

/// One channel's door for pushes.
pub struct Intake {
    pub channel: ChannelId,
    pub connector: Arc<dyn Connector>,
    pub ledger: Ledger,
    pub quarantine: Arc<Quarantine>,
    pub hints: mpsc::Sender<Hint>,
    /// Where it is told what is to be counted anew in the channel's own warehouses.
    pub recounts: Option<mpsc::Sender<Identifiers>>,
    pub wakes: Arc<ChannelWakes>,
    pub metrics: Arc<Metrics>,
}

impl Intake {
    pub async fn push(&self, push: &Push) -> Taken {
        let taken = match self.connector.receive(push) {
            Ok(received) => self.received(received, push).await,
            Err(Refusal::Forged(why)) => {
                warn!(channel = %self.channel, %why, "a push was not authentic");
                Taken::Forged
            }
            Err(Refusal::NotFollowed { .. }) => Taken::NotFollowed,
            Err(Refusal::Unparsable { delivery, topic, why }) => {
                self.unreadable(delivery.as_ref(), &topic, &why, push).await
            }
        };
        self.metrics.pushed(&self.channel, taken);
        taken
    }

    async fn received(&self, received: Received, push: &Push) -> Taken {
        let (mut orders, mut fetch, mut look) = (Vec::new(), Vec::new(), Vec::new());
        for fact in received.facts {
            match fact {
                Fact::Order(order) => orders.push(order),
                Fact::Fetch(order) => fetch.push(order),
                Fact::Look(ids) => look.push(ids),
                Fact::Changed => self.wakes.feed.notify_one(),
                Fact::Tend => self.wakes.tend.notify_one(),
                Fact::Recount(ids) => {
                    if let Some(recounts) = &self.recounts {
                        // Everything is counted now and then, and after each start.
                        drop(recounts.try_send(ids));
                    }
                }
            }
        }
        let (channel, delivery) = (self.channel.clone(), received.delivery.clone());
        match self.ledger.submit_now(Command::Push { channel, delivery, orders, fetch, look }).await {
            Ok(Reply::Pushed { look }) => {
                for hint in look {
                    // A full lane finds out by itself, at the next reconcile.
                    drop(self.hints.try_send(hint));
                }
                Taken::Yes
            }
            Ok(Reply::Duplicate) => Taken::Duplicate,
            Ok(_) => Taken::Yes,
            Err(Error::Full | Error::NoRoom | Error::Closed) => Taken::Busy,
            Err(Error::Stopped) => Taken::Stopped,
            Err(Error::Refused(reason)) => {
                self.unreadable(Some(&received.delivery), &received.topic, &reason.to_string(), push).await
            }
        }
    }

    async fn unreadable(&self, delivery: Option<&DeliveryId>, topic: &str, why: &str, push: &Push) -> Taken {
        let id = delivery.map(DeliveryId::to_string);
        // Nobody else has it: what was not kept is not acknowledged, and whoever sent it sends it again.
        if let Err(error) = self.quarantine.put(&push.body) {
            warn!(channel = %self.channel, %error, "an unreadable message could not be kept, and was not taken");
            return Taken::Busy;
        }
        match self.quarantine.record(&self.channel, topic, id, why, &digest(&push.body)).await {
            Ok(()) => Taken::Quarantined,
            Err(Error::Full | Error::NoRoom | Error::Closed | Error::Refused(_)) => Taken::Busy,
            Err(Error::Stopped) => Taken::Stopped,
        }
    }
}

impl Quarantine {
    /// Bodies go to `dir`, which is made when it is first needed.
    pub fn new(dir: PathBuf, ledger: Ledger, clock: Arc<dyn Clock>) -> Quarantine {
        Quarantine { dir, ledger, clock }
    }

    /// Keeps a body, if it can, and records it. The same body of the same channel is recorded once.
    pub async fn keep(
        &self,
        channel: &ChannelId,
        topic: &str,
        id: Option<String>,
        why: &str,
        body: &[u8],
    ) -> Result<(), Error> {
        let sha256 = digest(body);
        // A feed tells of it again and again.
        if !self.has(&sha256)
            && let Err(error) = self.put(body)
        {
            warn!(%channel, %error, dir = %self.dir.display(), "the body of an unreadable message could not be kept");
        }
        self.record(channel, topic, id, why, &sha256).await
    }

    /// Makes a body durable. One that lies there already is kept for as long again.
    fn put(&self, body: &[u8]) -> std::io::Result<()> {
        let name = digest(body);
        // Whoever wrote it may have died before its name was durable; one that is not ours to touch is replaced.
        self.renew(&name).or_else(|_| write_private(&self.dir, &name, body))
    }

    fn renew(&self, name: &str) -> std::io::Result<()> {
        let file = File::open(self.dir.join(name))?;
        let now = u64::try_from(self.clock.now().millis()).unwrap_or_default();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_millis(now))?;
        file.sync_all()?;
        File::open(&self.dir)?.sync_all()
    }

    /// Records that a message could not be read.
    async fn record(
        &self,
        channel: &ChannelId,
        topic: &str,
        id: Option<String>,
        why: &str,
        sha256: &str,
    ) -> Result<(), Error> {
        let item = Quarantined {
            channel: channel.clone(),
            topic: clip(topic, 200),
            id: id.map(|id| clip(&id, 200)),
            why: clip(why, 500),
            sha256: sha256.to_owned(),
            at: self.clock.now(),
        };
        let Quarantined { channel, topic, id, sha256, .. } = item.clone();
        let seen = move |s: &crate::core::State| {
            s.quarantine.values().any(|q| q.sha256 == sha256 && q.channel == channel && q.id == id)
        };
        if self.ledger.read(seen).await? {
            return Ok(());
        }
        let Quarantined { channel, id, why, sha256, .. } = &item;
        warn!(%channel, topic, id, why, %sha256, "an authentic message could not be read: kept in quarantine");
        self.ledger.submit(Command::Quarantine(item)).await.map(drop)
    }

    /// Returns a body that was kept. `None`: it is gone.
    pub async fn body(&self, sha256: &str) -> std::io::Result<Option<Vec<u8>>> {
        let Some(path) = self.path(sha256) else { return Ok(None) };
        match tokio::fs::read(path).await {
            Ok(body) => Ok(Some(body)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Tells whether a body is still kept.
    pub fn has(&self, sha256: &str) -> bool {
        self.path(sha256).is_some_and(|path| path.exists())
    }

    /// Removes a body that no entry speaks of any more.
    pub async fn forget(&self, sha256: &str) -> Result<(), Error> {
        let named = sha256.to_owned();
        let wanted = move |s: &crate::core::State| s.quarantine.values().any(|q| q.sha256 == named);
        if let Some(path) = self.path(sha256)
            && !self.ledger.read(wanted).await?
        {
            // One that cannot be removed goes when its time is over.
            drop(std::fs::remove_file(path));
        }
        Ok(())
    }

    /// Returns where a body lies. Of a name that is no digest, nothing was kept.
    fn path(&self, sha256: &str) -> Option<PathBuf> {
        let digest = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        digest.then(|| self.dir.join(sha256))
    }

    /// Removes bodies that are older than `keep`.
    pub fn expire(&self, keep: Duration) {
        let Ok(files) = std::fs::read_dir(&self.dir) else { return };
        for file in files.flatten() {
            let age = file.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age > keep) {
                // One that cannot be removed is tried again the next time.
                drop(std::fs::remove_file(file.path()));
            }
        }
    }
}

/// Cuts a text from outside to at most `max` bytes, at a character's edge.
fn clip(text: &str, max: usize) -> String {
    let end = text.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= max).last();
    text[..end.unwrap_or(0)].to_owned()
}

fn digest(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a file that is whole and lasts, or is not there.
fn write_private(dir: &Path, name: &str, body: &[u8]) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let mut file = tempfile::Builder::new().permissions(PermissionsExt::from_mode(0o600)).tempfile_in(dir)?;
    file.write_all(body)?;
    file.as_file().sync_all()?;
    file.persist(dir.join(name))?;
    // Its name lasts as well.
    File::open(dir)?.sync_all()
}
