use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::document::layout::DocumentFault;
use crate::document::text::DocumentText;
use crate::document::turns::{Turn, Turns};
use crate::ready::now;
use crate::retry::pause;
use crate::{
    AsyncBlobStore, AsyncCacheStore, Batch, Blob, BlobStore, CacheStore, Change, ChangeSignal,
    CredentialType, Error, Expect, Hold, Load, Op, Partition, RefreshGuard, Result, Revision,
    Snapshot, Watch, event,
};

/// A [`CacheStore`] over any string that can be read and swapped: the one JSON document that all
/// MSAL libraries read and write. Over an [`AsyncBlobStore`], it is an [`AsyncCacheStore`].
///
/// A commit reads the string again, changes only the records of the batch, and swaps it: changes of
/// other writers are merged record by record and never overwritten. The document is parsed once for
/// each change of the string.
///
/// Other libraries write a file in place, so a string that can't be read may be half written. A
/// [`BlobStore`] is read again for up to 200 ms, the last time with other writers excluded, before
/// the result is [`Error::Corrupt`]. An [`AsyncBlobStore`] replaces the string as a whole, so it is
/// read once more at most.
pub struct Document<B> {
    blob: B,
    latest: Mutex<Latest>,
    /// Among the writers of an async blob, which has no lock.
    turns: Turns,
}

/// The latest string that was read.
#[derive(Clone)]
enum Latest {
    Nothing,
    Text(Revision, Arc<DocumentText>),
    Broken(Revision, DocumentFault),
}

/// The pauses before a string that can't be read is read again, in milliseconds: other libraries
/// write in place, which takes milliseconds.
const PATIENCE: [u64; 6] = [1, 4, 10, 25, 60, 100];

/// How often a document is read and swapped for one commit, where each swap meets a conflict.
const ATTEMPTS: u32 = 64;

/// A blob, whether its verbs block or return futures.
trait Io {
    /// Excludes other writers.
    type Hold;

    fn read(&self, known: Option<Revision>) -> impl Future<Output = Result<Blob>>;
    fn swap(&self, expected: Revision, bytes: &[u8]) -> impl Future<Output = Result<Revision>>;
    fn quarantine(&self, unreadable: Revision) -> impl Future<Output = Result<bool>>;
    fn hold(&self) -> impl Future<Output = Result<Self::Hold>>;
    /// Lets other writers proceed, before the document is read once more.
    fn pause(&self, pause: Duration);
    /// The pauses before a string that can't be read is read again.
    fn patience(&self) -> &'static [u64];
    fn place(&self) -> String;
}

impl<B> Document<B> {
    /// The document in this blob.
    pub fn new(blob: B) -> Self {
        Self { blob, latest: Mutex::new(Latest::Nothing), turns: Turns::default() }
    }

    /// The blob's store.
    pub fn blob(&self) -> &B {
        &self.blob
    }

    fn latest(&self) -> Latest {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, latest: Latest) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = latest;
    }

    /// Reads the string once.
    async fn read_once(&self, io: &impl Io) -> Result<Latest> {
        let latest = self.latest();
        let (revision, text) = match &latest {
            Latest::Nothing => (None, None),
            Latest::Text(revision, text) => (Some(*revision), Some(text)),
            Latest::Broken(revision, _) => (Some(*revision), None),
        };
        let read = match io.read(revision).await? {
            Blob::Unchanged => return Ok(latest),
            Blob::Absent => Latest::Text(Revision::ABSENT, Arc::new(DocumentText::empty())),
            Blob::Present(revision, bytes) => match text {
                Some(text) if text.expose().as_bytes() == bytes.expose() => {
                    Latest::Text(revision, text.clone())
                }
                _ => match DocumentText::from_bytes(bytes.into_vec()) {
                    Ok(text) => Latest::Text(revision, Arc::new(text)),
                    Err(fault) => Latest::Broken(revision, fault),
                },
            },
        };
        self.remember(read.clone());
        Ok(read)
    }

    /// Reads the string until it is whole, or until all pauses are used.
    async fn read_patiently(&self, io: &impl Io) -> Result<Latest> {
        let mut read = self.read_once(io).await?;
        for pause in io.patience() {
            if !matches!(read, Latest::Broken(..)) {
                break;
            }
            io.pause(Duration::from_millis(*pause));
            read = self.read_once(io).await?;
        }
        Ok(read)
    }

    /// The document, for a reader.
    async fn read(&self, io: &impl Io) -> Result<Arc<DocumentText>> {
        let before = self.latest();
        let mut read = self.read_once(io).await?;
        if let (Latest::Broken(before, fault), Latest::Broken(now, _)) = (&before, &read)
            && before == now
        {
            // The first reader of this string has waited.
            return Err(fault.at(&io.place()));
        }
        if matches!(read, Latest::Broken(..)) {
            read = self.read_patiently(io).await?;
        }
        if let Latest::Broken(_, fault) = &read {
            // A reader needs no lock. This one takes it to exclude a slow writer; without it, the
            // string counts as it was read.
            let fault = fault.at(&io.place());
            let Ok(_hold) = io.hold().await else { return Err(fault) };
            read = self.read_once(io).await?;
        }
        match read {
            Latest::Text(_, text) => Ok(text),
            Latest::Broken(_, fault) => Err(fault.at(&io.place())),
            Latest::Nothing => Err(unexpected_unchanged()),
        }
    }

    /// The document, for a writer that excludes others. One that can't be read is set aside if the
    /// store supports that, so that a new sign-in can repair the cache; but only for a writer that
    /// `adds` a record, since deleting from an unreadable document repairs nothing.
    async fn read_to_write(
        &self,
        io: &impl Io,
        adds: bool,
    ) -> Result<(Revision, Arc<DocumentText>)> {
        match self.read_patiently(io).await? {
            Latest::Text(revision, text) => Ok((revision, text)),
            Latest::Broken(revision, fault) => {
                if !adds || !io.quarantine(revision).await? {
                    return Err(fault.at(&io.place()));
                }
                Ok((Revision::ABSENT, Arc::new(DocumentText::empty())))
            }
            Latest::Nothing => Err(unexpected_unchanged()),
        }
    }

    /// Reads, plans and swaps, and repeats that if another writer swaps in between. `plan` returns
    /// the changes of the document; its error ends the write.
    async fn write<'p>(
        &self,
        io: &impl Io,
        adds: bool,
        plan: impl Fn(&DocumentText) -> Result<Planned<'p>>,
    ) -> Result<Arc<DocumentText>> {
        for attempt in 0..ATTEMPTS {
            if attempt > 1 {
                io.pause(pause(attempt));
            }
            let _hold = io.hold().await?;
            let (revision, text) = self.read_to_write(io, adds).await?;
            let written = match plan(&text)? {
                Planned::Commit(batch) => text.apply(batch)?,
                Planned::Purge(batch) => text.apply(&batch)?,
            };
            let Some(written) = written else { return Ok(text) };
            match io.swap(revision, written.expose().as_bytes()).await {
                Ok(revision) => {
                    let written = Arc::new(written);
                    self.remember(Latest::Text(revision, written.clone()));
                    return Ok(written);
                }
                Err(Error::Conflict) => {
                    event!(debug, attempt, "conflict: writing the document again");
                }
                Err(error) => return Err(error),
            }
        }
        // Not a conflict: nothing that the commit expects has changed, so planning it again would
        // multiply the attempts.
        Err(Error::Contended { place: io.place(), attempts: ATTEMPTS })
    }

    async fn load_from(
        &self,
        io: &impl Io,
        partition: &Partition,
        known: Option<Revision>,
    ) -> Result<Load> {
        Ok(self.read(io).await?.load_since(partition, known))
    }

    async fn load_many_from(
        &self,
        io: &impl Io,
        wanted: &[(&Partition, Option<Revision>)],
    ) -> Result<Vec<Load>> {
        let text = self.read(io).await?;
        Ok(wanted.iter().map(|(partition, known)| text.load_since(partition, *known)).collect())
    }

    async fn commit_to(&self, io: &impl Io, batch: &Batch) -> Result<Vec<Revision>> {
        let mut ops = batch.changes().iter().flat_map(Change::ops);
        let adds = ops.any(|op| matches!(op, Op::Put(_)));
        let check = |text: &DocumentText| {
            let holds = |change: &Change| match change.expect() {
                Expect::Any => true,
                Expect::Revision(expected) => expected == text.revision(change.partition()),
            };
            if batch.changes().iter().all(holds) {
                Ok(Planned::Commit(batch))
            } else {
                Err(Error::Conflict)
            }
        };
        let text = self.write(io, adds, check).await?;
        Ok(batch.changes().iter().map(|change| text.revision(change.partition())).collect())
    }

    async fn list_from(
        &self,
        io: &impl Io,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        let text = self.read(io).await?;
        if known == Some(text.revision) {
            return Ok(Load::Unchanged);
        }
        Ok(Load::Snapshot(Snapshot::new(text.revision, text.list(credential_type))))
    }

    async fn purge_from(&self, io: &impl Io, now: i64) -> Result<u64> {
        if self.read(io).await?.expired(now).next().is_none() {
            return Ok(0);
        }
        let purged = AtomicU64::new(0);
        let plan = |text: &DocumentText| {
            let mut batch = Batch::new();
            let mut expired = 0;
            for (partition, credential_type, key) in text.expired(now) {
                batch.change(partition, Expect::Any).delete(credential_type.clone(), key);
                expired += 1;
            }
            purged.store(expired, Ordering::Relaxed);
            Ok(Planned::Purge(batch))
        };
        self.write(io, false, plan).await?;
        Ok(purged.into_inner())
    }
}

/// What a write does with the document.
enum Planned<'a> {
    Commit(&'a Batch),
    Purge(Batch),
}

fn unexpected_unchanged() -> Error {
    Error::backend("blob", "it reported `Unchanged` to a caller that knows no revision")
}

/// Blocks in each verb.
struct BlockingIo<'a, B>(&'a B);

impl<'a, B: BlobStore> Io for BlockingIo<'a, B> {
    type Hold = Hold<'a>;

    async fn read(&self, known: Option<Revision>) -> Result<Blob> {
        self.0.read(known)
    }

    async fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        self.0.swap(expected, bytes)
    }

    async fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        self.0.quarantine(unreadable)
    }

    async fn hold(&self) -> Result<Hold<'a>> {
        self.0.hold()
    }

    fn pause(&self, pause: Duration) {
        thread::sleep(pause);
    }

    fn patience(&self) -> &'static [u64] {
        &PATIENCE
    }

    fn place(&self) -> String {
        self.0.place()
    }
}

/// Waits without blocking. Writers of one handle take turns; of other handles, the swap decides.
struct AsyncIo<'a, B>(&'a B, &'a Turns);

impl<'a, B: AsyncBlobStore> Io for AsyncIo<'a, B> {
    type Hold = Turn<'a>;

    async fn read(&self, known: Option<Revision>) -> Result<Blob> {
        self.0.read(known).await
    }

    async fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        self.0.swap(expected, bytes).await
    }

    async fn quarantine(&self, unreadable: Revision) -> Result<bool> {
        self.0.quarantine(unreadable).await
    }

    async fn hold(&self) -> Result<Turn<'a>> {
        Ok(self.1.take().await)
    }

    /// Doesn't wait, since there may be no timer. The swap of the blob can wait where it conflicts.
    fn pause(&self, _: Duration) {}

    fn patience(&self) -> &'static [u64] {
        &[]
    }

    fn place(&self) -> String {
        self.0.place()
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: BlobStore> CacheStore for Document<B> {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        now(self.load_from(&BlockingIo(&self.blob), partition, known))
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        now(self.load_many_from(&BlockingIo(&self.blob), wanted))
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        now(self.commit_to(&BlockingIo(&self.blob), batch))
    }

    fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        now(self.list_from(&BlockingIo(&self.blob), credential_type, known))
    }

    fn purge(&self, at: i64) -> Result<u64> {
        now(self.purge_from(&BlockingIo(&self.blob), at))
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.blob.guard(partition, wait)
    }

    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.blob.watch(signal)
    }

    #[inline]
    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        // What another program has written is only found by reading.
        let _ = (partition, known);
        false
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn is_immediate(&self) -> bool {
        false
    }

    /// None, since the inner store may borrow.
    fn detached(self: Arc<Self>) -> Option<Arc<dyn CacheStore>> {
        None
    }
}

#[deny(clippy::missing_trait_methods)]
impl<B: AsyncBlobStore> AsyncCacheStore for Document<B> {
    async fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        self.load_from(&AsyncIo(&self.blob, &self.turns), partition, known).await
    }

    async fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.load_many_from(&AsyncIo(&self.blob, &self.turns), wanted).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.commit_to(&AsyncIo(&self.blob, &self.turns), batch).await
    }

    async fn list(
        &self,
        credential_type: Option<&CredentialType>,
        known: Option<Revision>,
    ) -> Result<Load> {
        self.list_from(&AsyncIo(&self.blob, &self.turns), credential_type, known).await
    }

    async fn purge(&self, at: i64) -> Result<u64> {
        self.purge_from(&AsyncIo(&self.blob, &self.turns), at).await
    }

    async fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.blob.guard(partition, wait).await
    }

    async fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.blob.watch(signal).await
    }

    fn is_unchanged(&self, partition: &Partition, known: Revision) -> bool {
        // As in the blocking form.
        let _ = (partition, known);
        false
    }

    fn is_shared(&self) -> bool {
        true
    }
}

impl<B: fmt::Debug> fmt::Debug for Document<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.blob).finish()
    }
}
