use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use msal_cache_core::{
    Blob, BlobStore, ChangeSignal, Error, Hold, Partition, RefreshGuard, Result, Revision, Watch,
};
use msal_cache_file::FileBlob;

use crate::signal::{self, Stamp};
use crate::{SecretEntry, SecretService};

/// The text of one entry, read and swapped as a whole. [`SecretServiceStore`](crate::SecretServiceStore) is
/// built on it; use it for a wrapper that stores another text than the document itself. See
/// [`SecretServiceStoreBuilder::open_blob`](crate::SecretServiceStoreBuilder::open_blob).
pub struct SecretServiceBlob {
    service: SecretService,
    entry: SecretEntry,
    /// The signal file, with the lock and the guards beside it. It holds no secret.
    signal: FileBlob,
    /// What was read last.
    latest: Mutex<Option<Latest>>,
}

/// What an entry held.
#[derive(Clone, Copy)]
struct Latest {
    revision: Revision,
    /// The signal file before it was read.
    stamp: Option<Stamp>,
    read_at: Instant,
}

/// For this long, an entry is not read again if the signal file is unchanged. Programs that are no MSAL, such
/// as a key manager, don't touch it.
const TRUSTED: Duration = Duration::from_secs(1);

impl SecretServiceBlob {
    pub(crate) fn new(service: SecretService, entry: SecretEntry, signal: FileBlob) -> Self {
        Self { service, entry, signal, latest: Mutex::default() }
    }

    /// The entry.
    pub fn entry(&self) -> &SecretEntry {
        &self.entry
    }

    /// The service.
    pub fn service(&self) -> &SecretService {
        &self.service
    }

    fn latest(&self) -> MutexGuard<'_, Option<Latest>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the entry is at this revision as far as the signal file tells.
    fn is_still(&self, known: Revision, stamp: Option<Stamp>) -> bool {
        let latest = *self.latest();
        latest.is_some_and(|latest| {
            latest.revision == known
                && latest.stamp == stamp
                && stamp.is_some_and(|it| it.is_settled())
                && latest.read_at.elapsed() < TRUSTED
        })
    }

    /// Reads the entry. The revision is that of the contents, since the service has none: it counts the time
    /// of a change in seconds.
    fn read_entry(&self, stamp: Option<Stamp>) -> Result<Blob> {
        let read_at = Instant::now();
        let (revision, blob) = match self.service.read(&self.entry)? {
            Some(bytes) if !bytes.expose().is_empty() => {
                let revision = revision_of(bytes.expose());
                (revision, Blob::Present(revision, bytes))
            }
            // MSAL .NET and Go write an empty secret for an empty cache.
            _ => (Revision::ABSENT, Blob::Absent),
        };
        *self.latest() = Some(Latest { revision, stamp, read_at });
        Ok(blob)
    }
}

fn revision_of(document: &[u8]) -> Revision {
    Revision::of_contents([document])
}

impl BlobStore for SecretServiceBlob {
    fn read(&self, known: Option<Revision>) -> Result<Blob> {
        // Before the entry: a change after it moves the time again.
        let stamp = signal::look(self.entry.signal())?;
        if known.is_some_and(|known| self.is_still(known, stamp)) {
            return Ok(Blob::Unchanged);
        }
        Ok(match self.read_entry(stamp)? {
            Blob::Present(revision, _) if known == Some(revision) => Blob::Unchanged,
            read => read,
        })
    }

    fn swap(&self, expected: Revision, bytes: &[u8]) -> Result<Revision> {
        let _hold = self.hold()?;
        let found = match self.read_entry(None)? {
            Blob::Present(revision, _) => revision,
            Blob::Absent | Blob::Unchanged => Revision::ABSENT,
        };
        if found != expected {
            return Err(Error::Conflict);
        }
        *self.latest() = None;
        self.service.write(&self.entry, bytes)?;
        signal::touch(self.entry.signal())?;
        Ok(revision_of(bytes))
    }

    fn hold(&self) -> Result<Hold<'_>> {
        self.signal.hold()
    }

    fn guard(&self, partition: &Partition, wait: Duration) -> Result<RefreshGuard> {
        self.signal.guard(partition, wait)
    }

    fn watch(&self, signal: ChangeSignal) -> Result<Watch> {
        self.signal.watch(signal)
    }

    fn place(&self) -> String {
        self.entry.to_string()
    }
}

impl fmt::Debug for SecretServiceBlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretServiceBlob").field(&format_args!("{}", self.entry)).finish()
    }
}
