//! The cache as a whole: its document, a copy, a check, a repair.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use msal_cache_core::internal::{Next, Retry, compose, decompose};
use msal_cache_core::{AsyncCacheStore, Batch, Error, Result};

use crate::check::{self, Finding};
use crate::engine::runtime::Runtime;
use crate::engine::state::{Engine, MayChange};
use crate::plan::batch;

impl<S: AsyncCacheStore, R: Runtime> Engine<S, R> {
    pub(crate) async fn serialize(&self) -> Result<String> {
        // Before the read, so that a change in between is not forgotten.
        self.state.changed.store(false, Ordering::SeqCst);
        let pending = self.pending(MayChange::Nothing);
        let document = compose(self.list(None).await?)?;
        pending.ended();
        Ok(document)
    }

    pub(crate) async fn deserialize(&self, document: &str) -> Result<()> {
        let new = if document.is_empty() { Vec::new() } else { decompose(document)? };
        // As in `serialize`.
        self.state.changed.store(false, Ordering::SeqCst);
        let pending = self.pending(MayChange::Nothing);
        let stored = match self.list(None).await {
            // An unreadable cache can be replaced too.
            Err(Error::Corrupt { .. }) => Vec::new(),
            stored => self.unless_removed(stored, |it| it.state.decoded.forget_all())?,
        };
        self.commit(&batch::replace(&stored, &new), &[]).await?;
        pending.ended();
        Ok(())
    }

    /// Copies all records into another cache. Returns their number.
    pub(crate) async fn copy_to<T: AsyncCacheStore, Q: Runtime>(
        &self,
        target: &Engine<T, Q>,
    ) -> Result<usize> {
        let records = self.list(None).await?;
        let copied = records.len();
        target.commit_change(&batch::put_all(&records)).await?;
        Ok(copied)
    }

    pub(crate) async fn check(&self) -> Result<Vec<Finding>> {
        Ok(check::check(&self.entries(None).await?, self.now()))
    }

    pub(crate) async fn repair(&self) -> Result<Vec<Finding>> {
        let mut retry = Retry::new();
        loop {
            match retry.after(self.try_repair().await) {
                Next::Return(done) => return done,
                Next::Retry(pause) => self.runtime.sleep(pause).await,
            }
        }
    }

    async fn try_repair(&self) -> Result<Vec<Finding>> {
        let now = self.now();
        let found = check::check(&self.entries(None).await?, now);
        let partitions: Vec<_> = check::repairable_partitions(&found).into_iter().collect();
        let read = self.read_set(&partitions).await?;
        let (mut batch, mut repaired) = (Batch::new(), Vec::new());
        for (partition, stored) in read.iter() {
            let entries = &stored.entries;
            repaired.extend(check::repair_partition(
                &mut batch,
                partition,
                stored.revision,
                entries,
                now,
            ));
        }
        self.commit(&batch, &[]).await?;
        if !repaired.is_empty() {
            self.set_changed();
        }
        // In the order of `check`, and not by partition.
        let key =
            |it: &Finding| (it.entry().credential_type().clone(), it.entry().key().to_owned());
        let order: HashMap<_, _> = found.iter().map(key).zip(0..).collect();
        repaired.sort_by_cached_key(|it: &Finding| order.get(&key(it)).copied());
        Ok(repaired)
    }
}
