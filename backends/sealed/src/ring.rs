use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use msal_cache_core::{BlobStore, Bytes, Error, Result, Revision, retry};
use zeroize::Zeroizing;

use crate::error::SealFailure;
use crate::file;
use crate::key::Key;
use crate::stored;
use crate::text::Keys;

/// Numbered keys: the one with the highest number seals, all of them open.
///
/// A clone shares the keys, which are overwritten when the last one is dropped. The text of a key ring
/// has one key in each line: its number and its 32 bytes in Base64. The guide is `docs::sealed` of `msal-cache`.
///
/// A ring [from a file](Self::from_file) or [a blob](Self::from_blob) reads it again when it meets the number of
/// a key that it lacks, so that apps that run go on after a key was added.
#[derive(Clone)]
pub struct KeyRing(Arc<Inner>);

struct Inner {
    keys: RwLock<Keys>,
    source: Source,
}

enum Source {
    Fixed,
    File(PathBuf),
    Blob(Box<dyn BlobStore>),
    Callback(Box<dyn Fn(u32) -> Result<Option<Key>> + Send + Sync>),
}

impl KeyRing {
    /// A new key, with the number 1.
    ///
    /// # Errors
    ///
    /// Where the operating system has no random bytes.
    pub fn generate() -> Result<Self> {
        Keys::generate().map(Self::fixed)
    }

    /// These keys, by their numbers.
    ///
    /// # Errors
    ///
    /// [`SealFailure::Keys`] where there is none, or two have one number.
    pub fn new(keys: impl IntoIterator<Item = (u32, Key)>) -> Result<Self> {
        let mut sealing = BTreeMap::new();
        for (number, key) in keys {
            if sealing.insert(number, Arc::new(key)).is_some() {
                return Err(SealFailure::keys(
                    "the key ring",
                    format!("key {number} is twice there"),
                ));
            }
        }
        Keys { sealing }.checked("the key ring").map(Self::fixed)
    }

    /// The keys in the text of a key ring. The caller overwrites its own copy of the text.
    ///
    /// # Errors
    ///
    /// [`SealFailure::Keys`] where it is none.
    pub fn from_text(text: &str) -> Result<Self> {
        Keys::parse("the text", text).map(Self::fixed)
    }

    /// The keys in a file, which has to be as private as a file with tokens (mode 0600), in a folder
    /// in which no other user can replace it.
    ///
    /// # Errors
    ///
    /// [`Error::Insecure`] where other users can read or replace it, [`Error::Io`] where it is
    /// missing, [`SealFailure::Keys`] where it is no key ring.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = msal_cache_disk::absolute(path.as_ref())?;
        let keys = RwLock::new(file::read(&path)?);
        Ok(Self(Arc::new(Inner { keys, source: Source::File(path) })))
    }

    /// Creates a file with [new keys](Self::generate), mode 0600.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the file is there already; the rest is as for
    /// [`from_file`](Self::from_file).
    pub fn create_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = msal_cache_disk::absolute(path.as_ref())?;
        file::create(&path, &Keys::generate()?)?;
        Self::from_file(path)
    }

    /// Adds a new key to a file, which then seals. Returns its number.
    ///
    /// # Errors
    ///
    /// As for [`from_file`](Self::from_file); [`Error::Locked`] where another process changes the keys
    /// for 10 seconds.
    pub fn add_key_to_file(path: impl AsRef<Path>) -> Result<u32> {
        let path = msal_cache_disk::absolute(path.as_ref())?;
        file::replace(&path, |keys| keys.add(&path.display().to_string()))
    }

    /// The keys in a string that is stored elsewhere, such as an entry of the key store of the desktop.
    ///
    /// # Errors
    ///
    /// [`SealFailure::Keys`] where there is none, or it is no key ring; the errors of the blob.
    pub fn from_blob(blob: impl BlobStore + 'static) -> Result<Self> {
        let keys = stored::read(&blob)?;
        let (_, keys) = keys.ok_or_else(|| SealFailure::keys(blob.place(), "there is none"))?;
        Ok(Self::of_blob(keys, blob))
    }

    /// The keys in a string that is stored elsewhere; [new ones](Self::generate), which are stored, where there
    /// is none. Of processes that do so at once, each has the keys of the one that was first.
    ///
    /// # Errors
    ///
    /// [`SealFailure::Keys`] where it is no key ring; the errors of the blob.
    pub fn from_blob_or_new(blob: impl BlobStore + 'static) -> Result<Self> {
        let keys = retry(|| {
            if let Some((_, keys)) = stored::read(&blob)? {
                return Ok(keys);
            }
            let keys = Keys::generate()?;
            blob.swap(Revision::ABSENT, keys.text().as_bytes())?;
            Ok(keys)
        })?;
        Ok(Self::of_blob(keys, blob))
    }

    fn of_blob(keys: Keys, blob: impl BlobStore + 'static) -> Self {
        let source = Source::Blob(Box::new(blob));
        Self(Arc::new(Inner { keys: RwLock::new(keys), source }))
    }

    /// The keys in a credential that systemd passes to a service (`LoadCredentialEncrypted=`): the
    /// file of this name in `$CREDENTIALS_DIRECTORY`, whose permissions systemd sets.
    ///
    /// # Errors
    ///
    /// [`SealFailure::Keys`] where there is none, or it is no key ring.
    pub fn from_credential(name: &str) -> Result<Self> {
        let place = format!("the credential {name}");
        let wrong = |reason: &str| SealFailure::keys(place.clone(), reason);
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(Error::invalid("name", "it is not the name of a credential"));
        }
        let folder = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or_else(|| {
            wrong(
                "CREDENTIALS_DIRECTORY is not set; add LoadCredential= to the unit of the service",
            )
        })?;
        let text = file::read_text(&Path::new(&folder).join(name))?;
        Keys::parse(&place, &text).map(Self::fixed)
    }

    /// The keys in an environment variable, which has the text of a key ring or one key in Base64, then
    /// with the number 1. Processes of the same user can read the environment of this one.
    ///
    /// # Errors
    ///
    /// [`SealFailure::Keys`] where it isn't set, or is no key ring.
    pub fn from_env(variable: &str) -> Result<Self> {
        let place = format!("the environment variable {variable}");
        let text = std::env::var(variable)
            .map(Zeroizing::new)
            .map_err(|_| SealFailure::keys(place.clone(), "it is not set, or not Unicode"))?;
        if text.trim().contains(char::is_whitespace) {
            return Keys::parse(&place, &text).map(Self::fixed);
        }
        let line = Zeroizing::new(format!("1 {}", text.trim()));
        Keys::parse(&place, &line).map(Self::fixed)
    }

    /// Keys that a function returns by their numbers, such as one that unwraps them with a key
    /// management service. It is called once for each key, and for `newest`, which seals, at once.
    ///
    /// # Errors
    ///
    /// Those of the function; [`SealFailure::Keys`] where it has no key `newest`.
    pub fn from_callback(
        newest: u32,
        key: impl Fn(u32) -> Result<Option<Key>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let Some(found) = key(newest)? else {
            return Err(SealFailure::keys("the callback", format!("it has no key {newest}")));
        };
        let mut keys = Keys::default();
        keys.sealing.insert(newest, Arc::new(found));
        let source = Source::Callback(Box::new(key));
        Ok(Self(Arc::new(Inner { keys: RwLock::new(keys), source })))
    }

    fn fixed(keys: Keys) -> Self {
        Self(Arc::new(Inner { keys: RwLock::new(keys), source: Source::Fixed }))
    }

    fn keys(&self) -> Keys {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The numbers of the keys, ascending. Of a callback: of those that were needed.
    pub fn numbers(&self) -> Vec<u32> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.sealing.keys().copied().collect()
    }

    /// The number of the key that seals.
    pub fn newest(&self) -> u32 {
        self.sealing().0
    }

    /// Reads the keys of a file or a blob again. Other rings don't change.
    ///
    /// # Errors
    ///
    /// As for [`from_file`](Self::from_file) and [`from_blob`](Self::from_blob); the keys stay as they were.
    pub fn reload(&self) -> Result<()> {
        let new = match &self.0.source {
            Source::File(path) => file::read(path)?,
            Source::Blob(blob) => {
                let found = stored::read(&**blob)?;
                found.ok_or_else(|| SealFailure::keys(blob.place(), "there is none"))?.1
            }
            Source::Fixed | Source::Callback(_) => return Ok(()),
        };
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    /// Adds a new key to the file or the blob of the ring, and to the ring. The key then seals. Returns its
    /// number.
    ///
    /// # Errors
    ///
    /// [`SealFailure::Keys`] where the keys are from elsewhere; the errors of the file or the blob.
    pub fn add_key(&self) -> Result<u32> {
        self.change(Keys::add)
    }

    /// Removes a key from the file or the blob of the ring, and from the ring. What it has sealed can't be
    /// opened any more: see [`Sealed::keys_in_use`](crate::Sealed::keys_in_use), and think of backups.
    ///
    /// # Errors
    ///
    /// [`SealFailure::Keys`] where there is no such key, where it is the newest one, and where the keys are from
    /// elsewhere; the errors of the file or the blob.
    pub fn remove_key(&self, number: u32) -> Result<()> {
        self.change(|keys, place| keys.remove(place, number))
    }

    fn change<T>(&self, change: impl Fn(&mut Keys, &str) -> Result<T>) -> Result<T> {
        let done = match &self.0.source {
            Source::File(path) => {
                file::replace(path, |keys| change(keys, &path.display().to_string()))?
            }
            Source::Blob(blob) => stored::replace(&**blob, change)?,
            Source::Fixed | Source::Callback(_) => {
                let reason = "its keys are kept where this library can't change them";
                return Err(SealFailure::keys("the key ring", reason));
            }
        };
        self.reload()?;
        Ok(done)
    }

    /// The text of the ring, to store it elsewhere. It has the keys in the clear.
    pub fn to_text(&self) -> Bytes {
        self.keys().text().as_bytes().to_vec().into()
    }

    /// The key that seals, and its number.
    pub(crate) fn sealing(&self) -> (u32, Arc<Key>) {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        let (number, key) = keys.sealing.last_key_value().expect("a ring has a key");
        (*number, key.clone())
    }

    fn held(&self, number: u32) -> Option<Arc<Key>> {
        let keys = self.0.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.sealing.get(&number).cloned()
    }

    /// The key of this number, which sealed `what`.
    pub(crate) fn opening(&self, number: u32, what: impl Fn() -> String) -> Result<Arc<Key>> {
        if let Some(key) = self.held(number) {
            return Ok(key);
        }
        match &self.0.source {
            Source::Fixed => {}
            Source::File(_) | Source::Blob(_) => self.reload()?,
            Source::Callback(callback) => {
                if let Some(key) = callback(number)? {
                    let mut keys = self.0.keys.write().unwrap_or_else(PoisonError::into_inner);
                    // A later key opens, and doesn't seal: `newest` was chosen.
                    if keys.sealing.last_key_value().is_some_and(|(newest, _)| number < *newest) {
                        return Ok(keys.sealing.entry(number).or_insert(Arc::new(key)).clone());
                    }
                    return Ok(Arc::new(key));
                }
            }
        }
        self.held(number).ok_or_else(|| {
            SealFailure::MissingKey { what: what(), number, has: self.numbers() }.into()
        })
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyRing").field(&self.numbers()).finish()
    }
}
