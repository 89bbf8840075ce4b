//! The guard of a partition: a key with a lease, which a task renews until the guard is dropped.

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use msal_cache_core::{Error, Partition, RefreshGuard, Result, Revision};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::reply::hex;
use crate::scripts::millis;
use crate::server::Attempt;
use crate::state::StoreState;

/// A guard ends this long after its holder has died.
const LEASE: Duration = Duration::from_secs(3);

/// For how long the key of a lease that has ended is there. Its holder may not have died, but the server
/// was away: then it may have a refresh token that it hasn't stored yet. So a connection takes such a
/// lease only when it is as old as a lease.
const KEPT: Duration = Duration::from_secs(60);

/// Two renewals may fail before the lease ends.
const RENEWAL: Duration = Duration::from_millis(900);

/// How long dropping a guard waits for the server, outside of a runtime.
const LONGEST_RELEASE: Duration = Duration::from_secs(1);

/// A guard that was dropped in a task is released by a message that is under way, so every caller
/// waits this long.
const LEAST_WAIT: Duration = Duration::from_millis(20);

/// The longest pause between two attempts to take a guard.
const LONGEST_PAUSE: Duration = Duration::from_millis(25);

/// What a [`RefreshGuard`] owns. The task that renews the lease sees when it is dropped.
struct HeldLease {
    shared: Arc<StoreState>,
    partition: Partition,
    token: String,
    release: Option<oneshot::Sender<()>>,
    /// Is closed when the server has released the guard.
    released: mpsc::Receiver<()>,
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.forget();
        drop(self.release.take());
        // A blocking program waits until others can take the guard. A task must not block.
        if Handle::try_current().is_err() {
            let _ = self.released.recv_timeout(LONGEST_RELEASE);
        }
    }
}

impl HeldLease {
    fn forget(&self) {
        let mut leases = self.shared.leases.lock();
        // After a lost lease, another task of this store may hold the guard.
        if leases.get(&self.partition) == Some(&self.token) {
            leases.remove(&self.partition);
        }
    }
}

pub(crate) async fn guard(
    shared: &Arc<StoreState>,
    partition: &Partition,
    wait: Duration,
) -> Result<RefreshGuard> {
    let runtime = Handle::try_current().map_err(|_| Error::no_runtime())?;
    let (answer, answered) = oneshot::channel();
    let lease = Lease {
        shared: shared.clone(),
        key: shared.keys.guard(partition),
        token: hex(Revision::unique()),
    };
    // A task of its own, so that a caller that is dropped leaves no lease behind.
    runtime.spawn(lease.run(partition.clone(), wait, answer));
    answered.await.map_err(|_| Error::runtime_ended())?
}

/// One attempt to hold a guard, and then the lease.
struct Lease {
    shared: Arc<StoreState>,
    key: String,
    token: String,
}

impl Lease {
    async fn run(
        self,
        partition: Partition,
        wait: Duration,
        answer: oneshot::Sender<Result<RefreshGuard>>,
    ) {
        if let Err(error) = self.take(wait, &answer).await {
            // A lease may have been taken although the answer was lost.
            self.release().await;
            let _ = answer.send(Err(error));
            return;
        }
        let (release, mut dropped) = oneshot::channel();
        let (_closed, released) = mpsc::channel();
        let (shared, token) = (self.shared.clone(), self.token.clone());
        self.shared.leases.lock().insert(partition.clone(), token.clone());
        let held = HeldLease { shared, partition, token, release: Some(release), released };
        // Where the caller is dropped, so is the guard.
        let _ = answer.send(Ok(RefreshGuard::new(held)));
        while tokio::time::timeout(RENEWAL, &mut dropped).await.is_err() {
            if matches!(self.renew().await, Ok(0)) {
                return;
            }
        }
        self.release().await;
    }

    async fn take(
        &self,
        wait: Duration,
        answer: &oneshot::Sender<Result<RefreshGuard>>,
    ) -> Result<()> {
        let wait = wait.max(LEAST_WAIT);
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if self.try_take().await? {
                return Ok(());
            }
            let waited = started.elapsed();
            if waited >= wait || answer.is_closed() {
                return Err(Error::Locked {
                    path: "the guard of a partition".into(),
                    holder: Some("another process or task".into()),
                    waited,
                });
            }
            tokio::time::sleep(pause.min(wait.saturating_sub(waited))).await;
            // Waiters that start together don't stay together.
            pause = LONGEST_PAUSE.min(pause * 2).mul_f64(0.75 + fastrand::f64() / 4.0);
        }
    }

    async fn try_take(&self) -> Result<bool> {
        let taken: i64 = self
            .shared
            .server
            .call(false, |Attempt { mut connection, since, .. }| async move {
                let mut call = self.shared.scripts.take.key(&self.key);
                call.arg(&self.token)
                    .arg(millis(Some(KEPT)))
                    .arg(millis(Some(KEPT.saturating_sub(LEASE))));
                call.arg(u8::from(since.elapsed() >= LEASE));
                call.invoke_async(&mut connection).await
            })
            .await?;
        Ok(taken == 1)
    }

    async fn renew(&self) -> Result<i64> {
        self.shared
            .server
            .call(false, |Attempt { mut connection, .. }| async move {
                let mut call = self.shared.scripts.renew.key(&self.key);
                call.arg(&self.token).arg(millis(Some(KEPT))).invoke_async(&mut connection).await
            })
            .await
    }

    async fn release(&self) {
        let released: Result<i64> = self
            .shared
            .server
            .call(false, |Attempt { mut connection, .. }| async move {
                let mut call = self.shared.scripts.release.key(&self.key);
                call.arg(&self.token).invoke_async(&mut connection).await
            })
            .await;
        // Where it fails, the lease ends on its own.
        drop(released);
    }
}
