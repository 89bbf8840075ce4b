//! Waiting for changes of a cache by any process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use msal_cache_core::{AsyncCacheStore, Load, Record, Result, Watch, event};

use crate::engine::runtime::Runtime;
use crate::engine::state::Engine;
use crate::model::{Decoded, Entry};
use crate::plan::WatchedChange;

/// The least time between two readings, so that many changes are read at once.
const SPACING: Duration = Duration::from_millis(20);

/// Looks for changes of a cache, from the moment at which it was made.
pub(crate) struct Watcher<S, R> {
    engine: Arc<Engine<S, R>>,
    watch: Watch,
    /// Overrides the interval of the watch.
    interval: Option<Duration>,
    seen: Decoded,
    read_at: Instant,
    /// The last error, which is returned once.
    error: Option<String>,
}

impl<S: AsyncCacheStore, R: Runtime> Watcher<S, R> {
    pub(crate) async fn of<C: WatchedChange>(engine: Arc<Engine<S, R>>) -> Result<Self> {
        // Before the reading, so that no change in between is missed.
        let watch = engine.store.watch(engine.state.signal.clone()).await?;
        let seen = read::<C, _, _>(&engine, None).await?.unwrap_or_default();
        let read_at = Instant::now();
        Ok(Self { engine, watch, interval: None, seen, read_at, error: None })
    }

    pub(crate) fn poll_every(&mut self, interval: Duration) {
        self.interval = Some(interval);
    }

    /// The entries as they were last read.
    pub(crate) fn seen(&self) -> &[Entry] {
        &self.seen.entries
    }

    pub(crate) fn clouds(&self) -> &crate::model::Clouds {
        self.engine.clouds()
    }

    /// Waits for changes, at most for `limit`; returns none if there are none by then. It can be
    /// dropped at any await: what is read is compared at once.
    pub(crate) async fn next<C: WatchedChange>(
        &mut self,
        limit: Option<Duration>,
    ) -> Result<Vec<C>> {
        let started = Instant::now();
        loop {
            let left = limit.map(|limit| limit.saturating_sub(started.elapsed()));
            // Made before the reading, so that no change in between is missed.
            let signal = self.engine.state.signal.listen();
            match read::<C, _, _>(&self.engine, Some(&self.seen)).await {
                Ok(None) => self.error = None,
                Ok(Some(now)) => {
                    self.error = None;
                    self.read_at = Instant::now();
                    let clouds = self.engine.clouds();
                    let changes = C::between(&self.seen.entries, &now.entries, clouds);
                    self.seen = now;
                    if !changes.is_empty() {
                        return Ok(changes);
                    }
                }
                Err(error) => {
                    let text = error.to_string();
                    if self.error.as_ref() != Some(&text) {
                        event!(debug, %error, "the cache can't be read for changes");
                        self.error = Some(text);
                        return Err(error);
                    }
                }
            }
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(Vec::new());
            }
            let interval = self.interval.or(self.watch.interval());
            let wait = interval.into_iter().chain(left).min();
            self.engine.runtime.wait(signal, wait).await;
            let early = SPACING.saturating_sub(self.read_at.elapsed());
            if !early.is_zero() {
                self.engine.runtime.sleep(left.map_or(early, |left| early.min(left))).await;
            }
        }
    }
}

/// Reads what a change is about, unless nothing has changed.
async fn read<C: WatchedChange, S: AsyncCacheStore, R: Runtime>(
    engine: &Engine<S, R>,
    known: Option<&Decoded>,
) -> Result<Option<Decoded>> {
    let section = C::SECTION;
    let revision = known.map(|known| known.revision);
    match engine.store.list(section.as_ref(), revision).await? {
        Load::Unchanged => Ok(None),
        Load::Snapshot(snapshot) => {
            engine.listed(section.as_ref(), snapshot.records().iter());
            let mut read = Decoded::of(snapshot, known);
            // For the store, an empty section is a record.
            read.entries.retain(|it| !is_empty_section(it.record()));
            Ok(Some(read))
        }
    }
}

fn is_empty_section(record: &Record) -> bool {
    record.credential_type().as_str().is_empty() && record.value().expose() == "{}"
}
