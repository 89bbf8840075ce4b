//! Keys of the command line, stores that are sealed by them, and what can be said without keys.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use msal_cache::sealed::{
    Key, KeyRing, Sealed, SealedBlob, is_sealed_document, is_sealed_record, key_of_document,
    key_of_record,
};
use msal_cache::store::{Blob, BlobStore, Bytes, CacheStore, Load, Record, Revision};
use msal_cache::{CredentialType, Error};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::flags::{GlobalArgs, KeyArgs};
use crate::store::{StoreRef, begin};
use crate::{key_store, well_known};

/// The name by which a cache is sealed that has no other one.
const NAME: &str = "msal-cache";

/// A store before its seals are opened.
pub(crate) enum Raw {
    /// One text.
    Text(Box<dyn BlobStore>),
    /// A row for each record.
    Rows(Box<dyn CacheStore>),
}

/// How a store is sealed, as the command line says.
pub(crate) struct Sealing {
    pub(crate) ring: KeyRing,
    name: String,
    hide_names: bool,
}

impl Sealing {
    /// `None` without keys.
    pub(crate) fn of(common: &GlobalArgs, store: &StoreRef) -> Result<Option<Self>, Failure> {
        let KeyArgs { seal_name, hide_names, .. } = &common.keys;
        let Some(ring) = ring(common)? else {
            if seal_name.is_some() || *hide_names {
                return Err(no_keys("--seal-name and --hide-names need the keys of the store"));
            }
            return Ok(None);
        };
        let name = seal_name.as_deref().or(store.seal_name()).unwrap_or(NAME).to_owned();
        Ok(Some(Self { ring, name, hide_names: *hide_names }))
    }

    /// An error without keys.
    pub(crate) fn required(common: &GlobalArgs, store: &StoreRef) -> Result<Self, Failure> {
        Self::of(common, store)?.ok_or_else(|| no_keys("the keys of the store are missing"))
    }

    /// Replaces the keys by those that there would be after a new one was added. The new one only seals what
    /// is thrown away.
    pub(crate) fn expect_new_key(&mut self, common: &GlobalArgs) -> Result<(), Failure> {
        if common.keys.key_file.is_none() && common.keys.key_secret_service.is_none() {
            // An error, since these keys can't be changed.
            self.ring.add_key().map_err(Failure::Keys)?;
        }
        let kept = self.ring.to_text();
        let line = format!(
            "{} {}\n",
            self.ring.newest().saturating_add(1),
            STANDARD.encode([0; Key::SIZE])
        );
        // Sized at once, so that no key is left behind by a reallocation.
        let mut text = Zeroizing::new(Vec::with_capacity(kept.expose().len() + line.len()));
        text.extend_from_slice(kept.expose());
        text.extend_from_slice(line.as_bytes());
        let text = str::from_utf8(&text).map_err(|_| Failure::usage("the keys are no text"))?;
        self.ring = KeyRing::from_text(text).map_err(Failure::Keys)?;
        Ok(())
    }

    pub(crate) fn text<B: BlobStore>(&self, blob: B) -> SealedBlob<B> {
        SealedBlob::new(blob, &*self.name, self.ring.clone())
    }

    /// The rows, with hidden names if those of the store are.
    pub(crate) fn rows<S: CacheStore>(&self, rows: S) -> Sealed<S> {
        let sealed = Sealed::new(rows, &*self.name, self.ring.clone());
        // What is wrong shows when it is used.
        let are_hidden = matches!(sealed.are_names_hidden(), Ok(Some(true)));
        if self.hide_names || are_hidden { sealed.hide_names() } else { sealed }
    }

    /// The text of a sealed document.
    pub(crate) fn open_document(&self, bytes: Bytes, place: &Path) -> Result<Bytes, Failure> {
        match self.text(Sent { bytes, place }).read(None)? {
            Blob::Present(_, text) => Ok(text),
            Blob::Absent | Blob::Unchanged => Ok(Bytes::default()),
        }
    }
}

pub(crate) fn no_keys(reason: &str) -> Failure {
    Failure::usage(reason).with_hint(
        "--key-file FILE, --key-credential, --key-env or --key-secret-service has the keys; \
         `msal-cache keys --create --key-file FILE` creates new ones",
    )
}

/// The keys that the command line names.
pub(crate) fn ring(common: &GlobalArgs) -> Result<Option<KeyRing>, Failure> {
    let keys = &common.keys;
    let ring = if let Some(path) = &keys.key_file {
        KeyRing::from_file(path)
    } else if let Some(name) = &keys.key_credential {
        KeyRing::from_credential(name)
    } else if let Some(variable) = &keys.key_env {
        KeyRing::from_env(variable)
    } else if let Some(app) = &keys.key_secret_service {
        KeyRing::from_blob(key_store::keys_of(app, common)?)
    } else {
        return Ok(None);
    };
    ring.map(Some).map_err(Failure::Keys)
}

/// A document that was read.
#[derive(Debug)]
struct Sent<'a> {
    bytes: Bytes,
    place: &'a Path,
}

impl BlobStore for Sent<'_> {
    fn read(&self, _: Option<Revision>) -> msal_cache::Result<Blob> {
        Ok(Blob::Present(Revision::unique(), self.bytes.clone()))
    }

    fn swap(&self, _: Revision, _: &[u8]) -> msal_cache::Result<Revision> {
        Err(Error::Conflict)
    }

    fn place(&self) -> String {
        self.place.display().to_string()
    }
}

/// What a store says without keys.
#[derive(Debug, Default)]
pub(crate) struct Seals {
    /// How many records, or documents, each key has sealed.
    pub(crate) keys: BTreeMap<u32, usize>,
    /// How many aren't sealed.
    pub(crate) plain: usize,
    /// Whether the store is one text.
    pub(crate) is_document: bool,
    /// Whether keys and users look hidden.
    pub(crate) hides_names: bool,
}

impl Raw {
    /// Reads the seals of everything that is stored.
    pub(crate) fn seals(&self) -> Result<Seals, Failure> {
        let mut seals = Seals::default();
        match self {
            Self::Text(blob) => {
                seals.is_document = true;
                if let Blob::Present(_, bytes) = blob.read(None)? {
                    match sealed_by(bytes.expose(), &blob.place())? {
                        Some(key) => drop(seals.keys.insert(key, 1)),
                        None => seals.plain = usize::from(!bytes.expose().is_empty()),
                    }
                }
            }
            Self::Rows(rows) => {
                let records = records(&**rows, None)?;
                for record in &records {
                    if is_sealed_record(record) {
                        *seals.keys.entry(key_of_record(record)?).or_default() += 1;
                    } else {
                        seals.plain += 1;
                    }
                }
                seals.hides_names = records.iter().any(is_hidden);
            }
        }
        Ok(seals)
    }

    /// Whether anything is sealed, by a few records of a section.
    pub(crate) fn is_sealed(&self) -> Result<bool, Failure> {
        Ok(match self {
            Self::Text(blob) => match blob.read(None)? {
                Blob::Present(_, bytes) => is_sealed_document(bytes.expose()),
                Blob::Absent | Blob::Unchanged => false,
            },
            Self::Rows(rows) => {
                let sections =
                    [Some(CredentialType::AppMetadata), Some(CredentialType::Account), None];
                for section in &sections {
                    let found = records(&**rows, section.as_ref())?;
                    if !found.is_empty() {
                        return Ok(found.iter().any(is_sealed_record));
                    }
                }
                false
            }
        })
    }
}

/// A stored key that is an HMAC. No key of MSAL is.
fn is_hidden(record: &Record) -> bool {
    let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    record.key().len() == 32 && record.key().bytes().all(is_digit)
}

fn records(rows: &dyn CacheStore, section: Option<&CredentialType>) -> Result<Vec<Record>, Error> {
    Ok(match rows.list(section, None)? {
        Load::Snapshot(snapshot) => snapshot.into_records(),
        Load::Unchanged => Vec::new(),
    })
}

/// The number of the key of a document; `None` for a plain one.
pub(crate) fn sealed_by(bytes: &[u8], place: &str) -> Result<Option<u32>, Failure> {
    if !is_sealed_document(bytes) {
        return Ok(None);
    }
    Ok(Some(key_of_document(bytes, place)?))
}

/// The failure of a store that is sealed, where no keys are given.
pub(crate) fn sealed_without_keys(text: &str, keys: impl IntoIterator<Item = u32>) -> Failure {
    Failure::Sealed(format!("{text} is sealed by {}, and no keys are given", numbers(keys)))
}

/// `key 1`, `keys 1, 2`.
pub(crate) fn numbers(keys: impl IntoIterator<Item = u32>) -> String {
    let numbers: Vec<_> = keys.into_iter().map(|it| it.to_string()).collect();
    let noun = if numbers.len() == 1 { "key" } else { "keys" };
    format!("{noun} {}", numbers.join(", "))
}

/// The files with older contents of a store: backups of the command, and files that were set aside.
pub(crate) fn kept_beside(store: &StoreRef) -> Vec<PathBuf> {
    let path = store.path();
    let Some(name) = path.file_name() else { return Vec::new() };
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let Ok(found) = std::fs::read_dir(folder) else { return Vec::new() };
    let is_kept = |it: &OsStr| {
        let rest = it.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
        let Some(rest) = rest.and_then(|rest| str::from_utf8(rest).ok()) else { return false };
        let is_number = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
        rest.strip_prefix(".corrupt-").is_some_and(is_number)
            || rest.strip_prefix(".backup-").and_then(|it| it.strip_suffix(".json")).is_some()
    };
    let files = found.flatten().filter(|it| it.file_type().is_ok_and(|kind| kind.is_file()));
    let mut kept: Vec<_> = files
        .map(|it| it.file_name())
        .filter(|it| is_kept(it))
        .map(|it| path.with_file_name(it))
        .collect();
    kept.sort();
    kept
}

/// The keys of sealed files beside a store, with the number of files of each.
pub(crate) fn keys_beside(store: &StoreRef) -> Result<BTreeMap<u32, usize>, Failure> {
    let mut keys = BTreeMap::new();
    for path in kept_beside(store) {
        if let Some(key) = sealed_by(&begin(&path), &path.display().to_string())? {
            *keys.entry(key).or_default() += 1;
        }
    }
    Ok(keys)
}

impl StoreRef {
    /// The name by which the app seals its cache, where the name of the store says it.
    fn seal_name(&self) -> Option<&str> {
        match self {
            Self::Server(address) => Some(address.cache_name()),
            Self::KeyStore(entry) => entry.app(),
            Self::File(path) | Self::Sqlite(path) => well_known::app_of(path),
            Self::Input => None,
        }
    }
}
