//! Names, opens and writes stores.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

use msal_cache::file::{FileStoreBuilder, OnCorrupt, Permissions};
use msal_cache::sealed::is_sealed_document;
use msal_cache::store::{Batch, Blob, BlobStore, CacheStore, Document, Expect, Record};
use msal_cache::{Entry, Error, FileStore, SqliteStore, TokenCache};

use crate::cache::{Cache, clock};
use crate::failure::{Failure, STDIN, printable};
use crate::flags::GlobalArgs;
use crate::key_store::KeyStoreEntry;
use crate::sealing::{Raw, Sealing, sealed_without_keys};
use crate::server::Address;
use crate::{input, well_known};

/// A store, as named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreRef {
    File(PathBuf),
    Sqlite(PathBuf),
    /// A cache on a server.
    Server(Address),
    /// A cache in the key store of the desktop.
    KeyStore(KeyStoreEntry),
    /// A document on standard input, which can't be changed.
    Input,
}

/// What a subcommand does with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads a store that exists.
    Read,
    /// Reads a store that exists, sealed or not.
    ReadEither,
    /// Changes a store that exists.
    Change,
    /// Adds to a store, which is created if it is missing or empty.
    Create,
    /// The same for a store that isn't sealed.
    CreatePlain,
}

/// The extensions of databases.
const DATABASES: [&str; 4] = ["db", "db3", "sqlite", "sqlite3"];

/// How every database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

impl StoreRef {
    /// Parses a path, `file:PATH`, `sqlite:PATH`, the address of a server, `-`, or the name of a well-known location.
    pub(crate) fn parse(name: &OsStr) -> Result<Self, Failure> {
        // A path may be in another encoding than UTF-8.
        let Some(text) = name.to_str() else { return Ok(Self::of_path(name.into())) };
        if text.is_empty() {
            return Err(Failure::usage("the name of the store is empty"));
        }
        if text == STDIN {
            return Ok(Self::Input);
        }
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(expand(path)));
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            return Ok(Self::Sqlite(expand(path)));
        }
        if let Some(address) = Address::parse(text) {
            return Ok(Self::Server(address));
        }
        if let Some(entry) = KeyStoreEntry::parse(text)? {
            return Ok(Self::KeyStore(entry));
        }
        if let Some(path) = well_known::find(text)? {
            return Ok(Self::of_path(path));
        }
        Ok(Self::of_path(expand(text)))
    }

    /// The extension decides, unless the content is clearly of the other kind. What is missing or
    /// empty is what its name says: another process may be creating it.
    fn of_path(path: PathBuf) -> Self {
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let is_named = DATABASES.iter().any(|it| it.eq_ignore_ascii_case(extension));
        let begin = begin(&path);
        let text = begin.strip_prefix("\u{feff}".as_bytes()).unwrap_or(&begin);
        let is_json = text.trim_ascii_start().starts_with(b"{");
        if begin.starts_with(MAGIC) || (is_named && !is_json) {
            Self::Sqlite(path)
        } else {
            Self::File(path)
        }
    }

    /// The path; what a backup is beside, for a server and a key store.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Server(address) => address.local_path(),
            Self::KeyStore(entry) => entry.local_path(),
            Self::File(path) | Self::Sqlite(path) => path,
            Self::Input => Path::new(STDIN),
        }
    }

    /// The path as it was named, the address of a server without its password, `-` for standard
    /// input.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Server(address) => address.shown().to_owned(),
            Self::KeyStore(entry) => entry.name().to_owned(),
            _ => self.path().display().to_string(),
        }
    }

    /// Whether there is a store to read.
    pub(crate) fn exists(&self) -> bool {
        matches!(self, Self::Server(_) | Self::KeyStore(_))
            || self.path().symlink_metadata().is_ok()
    }

    /// Whether both are one store.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let (one, two) = (self.path(), other.path());
        let real = |it: &Path| it.canonicalize().ok();
        match (self, other) {
            // Under another user or encryption, it is the same cache.
            (Self::Server(_), Self::Server(_)) => one == two,
            (Self::KeyStore(one), Self::KeyStore(two)) => one == two,
            (Self::Server(_) | Self::KeyStore(_), _) | (_, Self::Server(_) | Self::KeyStore(_)) => {
                false
            }
            _ => one == two || real(one).is_some_and(|it| Some(it) == real(two)),
        }
    }

    /// The path as text, for a message.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Input => "standard input".into(),
            Self::Server(address) => printable(address.shown()),
            Self::KeyStore(entry) => printable(entry.name()),
            Self::File(path) | Self::Sqlite(path) => printable(&path.display().to_string()),
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Sqlite(_) => "sqlite",
            Self::Server(address) => address.kind().name(),
            Self::KeyStore(_) => "secret-service",
            Self::Input => "document",
        }
    }

    /// Opens the store with the permissions of the command line. A broken file is an error.
    pub(crate) fn open(&self, common: &GlobalArgs, access: Access) -> Result<Cache, Failure> {
        let permissions = permissions(common);
        if matches!(access, Access::Create | Access::CreatePlain) {
            self.begin_if_empty(common, access)?;
        }
        self.open_with(common, access, permissions, OnCorrupt::Error)
    }

    pub(crate) fn open_with(
        &self,
        common: &GlobalArgs,
        access: Access,
        permissions: Permissions,
        on_corrupt: OnCorrupt,
    ) -> Result<Cache, Failure> {
        let Some(raw) = self.open_raw(common, access, permissions, on_corrupt)? else {
            return input::cache(common);
        };
        let keys = match self.sealing(common, access)? {
            // A destination has keys, and the source may have none.
            Some(_) if access == Access::ReadEither && !self.is_sealed(&raw)? => None,
            None if self.is_sealed(&raw)? => {
                return Err(sealed_without_keys(&self.text(), raw.seals()?.keys.into_keys()));
            }
            keys => keys,
        };
        let store: Box<dyn CacheStore> = match (keys, raw) {
            (Some(keys), Raw::Text(blob)) => Box::new(Document::new(keys.text(blob))),
            (Some(keys), Raw::Rows(rows)) => Box::new(keys.rows(rows)),
            (None, Raw::Text(blob)) => Box::new(Document::new(blob)),
            (None, Raw::Rows(rows)) => rows,
        };
        Ok(TokenCache::with_clock(store, clock(common)))
    }

    fn is_sealed(&self, raw: &Raw) -> Result<bool, Failure> {
        match self {
            // Without reading it all.
            Self::File(path) => Ok(is_sealed_document(&begin(path))),
            _ => raw.is_sealed(),
        }
    }

    /// The keys by which the store is opened.
    fn sealing(&self, common: &GlobalArgs, access: Access) -> Result<Option<Sealing>, Failure> {
        if access == Access::CreatePlain { Ok(None) } else { Sealing::of(common, self) }
    }

    /// Opens the store without its keys; `None` for standard input.
    pub(crate) fn open_raw(
        &self,
        common: &GlobalArgs,
        access: Access,
        permissions: Permissions,
        on_corrupt: OnCorrupt,
    ) -> Result<Option<Raw>, Failure> {
        self.look(access)?;
        Ok(Some(match self {
            Self::File(path) => Raw::Text(Box::new(
                file(common, path, permissions).on_corrupt(on_corrupt).open_blob()?,
            )),
            Self::KeyStore(entry) => Raw::Text(entry.open(common)?),
            Self::Sqlite(path) => Raw::Rows(Box::new(sqlite(common, path, permissions)?)),
            Self::Server(address) => {
                Raw::Rows(address.open(matches!(access, Access::Create | Access::CreatePlain))?)
            }
            Self::Input => return Ok(None),
        }))
    }

    /// The text of a file as a blob, for what a store of records can't do. With keys, it is sealed.
    pub(crate) fn open_blob(
        &self,
        common: &GlobalArgs,
        permissions: Permissions,
    ) -> Result<Option<Box<dyn BlobStore>>, Failure> {
        let Self::File(path) = self else { return Ok(None) };
        let builder = file(common, path, permissions).on_corrupt(OnCorrupt::Quarantine);
        let blob = builder.open_blob()?;
        Ok(Some(match Sealing::of(common, self)? {
            Some(keys) => Box::new(keys.text(blob)),
            None => Box::new(blob),
        }))
    }

    /// The database, for what no other store has.
    pub(crate) fn open_database(
        &self,
        common: &GlobalArgs,
        permissions: Permissions,
    ) -> Result<Option<SqliteStore>, Failure> {
        let Self::Sqlite(path) = self else { return Ok(None) };
        Ok(Some(sqlite(common, path, permissions)?))
    }

    /// Finds out whether the store can be opened. Opening a database creates it, and opening a pipe
    /// waits for its other end.
    fn look(&self, access: Access) -> Result<(), Failure> {
        if matches!(self, Self::Server(_) | Self::KeyStore(_)) {
            return Ok(());
        }
        let (Self::File(path) | Self::Sqlite(path)) = self else {
            return match access {
                Access::Read | Access::ReadEither => Ok(()),
                Access::Change | Access::Create | Access::CreatePlain => {
                    let reason = "standard input can be read, and not changed";
                    Err(Failure::usage(reason).with_hint("name a file, a database or a server"))
                }
            };
        };
        let failed = |source| Failure::File { operation: "open", path: path.clone(), source };
        let missing = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        match path.metadata() {
            Ok(found) if found.is_file() => Ok(()),
            Ok(found) => Err(Failure::NotAFile { path: path.clone(), what: what(&found) }),
            Err(error)
                if missing(&error) && matches!(access, Access::Create | Access::CreatePlain) =>
            {
                Ok(())
            }
            Err(error) if missing(&error) => match fs::read_link(path) {
                Ok(target) => Err(Failure::Dangling { path: path.clone(), target }),
                Err(_) => Err(Failure::Missing(path.clone())),
            },
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether it is a file without content.
    pub(crate) fn is_empty_file(&self) -> bool {
        let Self::File(path) = self else { return false };
        path.metadata().is_ok_and(|found| found.is_file() && found.len() == 0)
    }

    /// Makes an empty file an empty cache, as the other MSAL libraries do.
    pub(crate) fn begin_if_empty(
        &self,
        common: &GlobalArgs,
        access: Access,
    ) -> Result<(), Failure> {
        let Self::File(path) = self else { return Ok(()) };
        if !self.is_empty_file() {
            return Ok(());
        }
        let blob = file(common, path, permissions(common)).open_blob()?;
        let _hold = blob.hold()?;
        match blob.read(None)? {
            Blob::Present(revision, bytes) if bytes.expose().is_empty() => {
                let begun = match self.sealing(common, access)? {
                    Some(keys) => keys.text(&blob).swap(revision, b"{}"),
                    None => blob.swap(revision, b"{}"),
                };
                match begun {
                    // Another program has written it.
                    Ok(_) | Err(Error::Conflict) => Ok(()),
                    Err(error) => Err(error.into()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether it is one text, and not a row for each record.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::File(_) | Self::KeyStore(_) | Self::Input)
    }

    /// Whether its tokens are encrypted where they are kept: what is written elsewhere is then not plain.
    pub(crate) fn is_protected(&self, common: &GlobalArgs) -> bool {
        common.keys.any() || matches!(self, Self::KeyStore(_))
    }
}

/// The permissions that the command line asks for.
pub(crate) fn permissions(common: &GlobalArgs) -> Permissions {
    if common.insecure { Permissions::Ignore } else { Permissions::Refuse }
}

/// The options of a file.
pub(crate) fn file(common: &GlobalArgs, path: &Path, permissions: Permissions) -> FileStoreBuilder {
    FileStore::builder(path).permissions(permissions).lock_timeout(common.lock_timeout)
}

fn sqlite(
    common: &GlobalArgs,
    path: &Path,
    permissions: Permissions,
) -> Result<SqliteStore, Failure> {
    let builder = SqliteStore::builder(path).permissions(permissions);
    Ok(builder.busy_timeout(common.lock_timeout).open()?)
}

/// The first bytes of a regular file.
pub(crate) fn begin(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if path.metadata().is_ok_and(|found| found.is_file()) {
        // An error shows when the file is opened.
        let _ = fs::File::open(path).and_then(|file| file.take(4096).read_to_end(&mut bytes));
    }
    bytes
}

/// What there is in place of a file.
fn what(found: &fs::Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = found.file_type();
        if kind.is_fifo() {
            return "a pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_block_device() || kind.is_char_device() {
            return "a device";
        }
    }
    if found.is_dir() { "a folder" } else { "not a file" }
}

/// Stores entries unchanged and deletes those of `deleted`, in one commit.
pub(crate) fn write<S: CacheStore>(
    cache: &TokenCache<S>,
    entries: &[Entry],
    deleted: &[&Entry],
) -> Result<(), Failure> {
    let mut batch = Batch::new();
    for record in deleted.iter().map(|it| Record::from(*it)) {
        let change = batch.change(record.partition(), Expect::Any);
        change.delete_record(&record);
    }
    for record in entries.iter().map(Record::from) {
        batch.change(record.partition(), Expect::Any).put(record);
    }
    msal_cache::store::retry(|| cache.store().commit(&batch))?;
    Ok(())
}

/// Expands a leading `~/`, which a shell doesn't expand after `sqlite:`.
fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), std::env::home_dir()) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}
