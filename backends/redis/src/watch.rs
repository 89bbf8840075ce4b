//! A watch on a store: the server reports the changes, and a task makes the connection again.

use std::sync::Arc;
use std::time::Duration;

use msal_cache_core::{ChangeSignal, Error, Result, Watch};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::state::StoreState;

/// The pause between two attempts to connect, and between two reports of a store that isn't told of
/// its changes.
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) async fn watch(shared: &Arc<StoreState>, signal: ChangeSignal) -> Result<Watch> {
    let runtime = Handle::try_current().map_err(|_| Error::no_runtime())?;
    shared.server.call(false, |_| async { Ok(()) }).await?;
    let Some(local) = &shared.local else {
        return Ok(Watch::polling_every(Watch::DEFAULT_INTERVAL));
    };
    let watching = local.watchers.watch(signal.clone());
    let (shared, local) = (Arc::downgrade(shared), local.clone());
    let keeper = runtime.spawn(async move {
        loop {
            tokio::time::sleep(PAUSE).await;
            if local.is_tracking() {
                continue;
            }
            let Some(shared) = shared.upgrade() else { return };
            if shared.server.call(false, |_| async { Ok(()) }).await.is_ok() {
                signal.notify();
            }
        }
    });
    Ok(Watch::notified((watching, Keeper(keeper))))
}

struct Keeper(JoinHandle<()>);

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}
