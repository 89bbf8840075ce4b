use std::fmt;

use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use hmac::{Hmac, Mac};
use msal_cache_core::{Error, Result};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// A key of 256 bits. It stays in one place in memory, and is overwritten when it is dropped.
pub struct Key(Box<[u8; Key::SIZE]>);

impl Key {
    /// The size in bytes.
    pub const SIZE: usize = 32;

    /// A key of random bytes from the operating system.
    ///
    /// # Errors
    ///
    /// [`Error::Backend`] where the operating system has none.
    pub fn generate() -> Result<Self> {
        let mut key = Self(Box::new([0; Self::SIZE]));
        random(&mut key.0[..])?;
        Ok(key)
    }

    /// The key of these bytes. The caller overwrites its own copy.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] unless there are 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        if bytes.len() != Self::SIZE {
            return Err(Error::invalid("key", "it has to have 32 bytes"));
        }
        let mut key = Self(Box::new([0; Self::SIZE]));
        key.0.copy_from_slice(bytes);
        Ok(key)
    }

    pub(crate) fn expose(&self) -> &[u8; Self::SIZE] {
        &self.0
    }

    /// The cipher overwrites its copy of the key when it is dropped.
    pub(crate) fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.0).into())
    }

    /// HMAC-SHA256 of these bytes.
    pub(crate) fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[..]).expect("HMAC takes any length");
        mac.update(bytes);
        mac.finalize().into_bytes().into()
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Clone for Key {
    fn clone(&self) -> Self {
        let mut key = Self(Box::new([0; Self::SIZE]));
        key.0.copy_from_slice(&*self.0);
        key
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Fills a buffer with random bytes of the operating system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| Error::backend("sealed", error.to_string()))
}

/// A text that is overwritten when it is dropped.
pub(crate) type Text = Zeroizing<String>;
