//! What a restored store leaves alone until a person lets it go live: what it took or moved, the daemon that it may be a copy of
//! would lack.

use std::time::Duration;

use crate::engine::ledger::{Error, Ledger};

/// How often it is looked whether a person has said so.
const LOOK: Duration = Duration::from_secs(1);

/// Tells whether the store was restored and no person has let it go live since.
pub(super) async fn is_restored(ledger: &Ledger) -> Result<bool, Error> {
    ledger.read(|state| state.restored.is_some()).await
}

/// Resolves as soon as it is live, at once where it was never restored.
pub(super) async fn until_live(ledger: &Ledger) -> Result<(), Error> {
    while is_restored(ledger).await? {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
