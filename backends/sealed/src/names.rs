//! How the names of partitions and keys are kept: as they are, or as HMACs.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use hashbrown::HashMap;
use msal_cache_core::{CredentialType, Partition, Result};

use crate::envelope::length;
use crate::key::Key;

/// How the names in a store are kept.
#[derive(Clone, Debug)]
pub(crate) enum Names {
    /// As they are.
    Legible,
    /// As HMACs.
    Hidden(Arc<Hider>),
}

/// The key that hides names, which belongs to the store.
pub(crate) struct Hider {
    key: Key,
    /// The names of partitions that were hidden lately: an HMAC takes as long as a look-up.
    known: RwLock<HashMap<Partition, Partition>>,
}

/// How many names of partitions are known at most.
const KNOWN: usize = 4096;

impl Names {
    /// The names of a new store.
    pub(crate) fn new(hidden: bool) -> Result<Self> {
        Ok(if hidden { Self::hidden_by(Key::generate()?) } else { Self::Legible })
    }

    pub(crate) fn hidden_by(key: Key) -> Self {
        Self::Hidden(Arc::new(Hider { key, known: RwLock::default() }))
    }

    pub(crate) fn are_hidden(&self) -> bool {
        matches!(self, Self::Hidden(_))
    }

    /// The partition in which the sealed records of this one are, in the cache with this name.
    pub(crate) fn partition<'p>(
        &self,
        cache: &str,
        partition: &'p Partition,
    ) -> Cow<'p, Partition> {
        match self {
            Self::Legible => Cow::Borrowed(partition),
            Self::Hidden(hider) => Cow::Owned(hider.with(cache, partition, Partition::clone)),
        }
    }

    /// The key under which a sealed record is stored.
    pub(crate) fn key(&self, cache: &str, section: &CredentialType, key: &Arc<str>) -> Arc<str> {
        match self {
            Self::Legible => key.clone(),
            Self::Hidden(by) => hide(&by.key, [cache, "key", section.as_str(), key]).into(),
        }
    }
}

impl fmt::Debug for Hider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hider(..)")
    }
}

impl Hider {
    pub(crate) fn expose(&self) -> &[u8] {
        self.key.expose()
    }

    /// Calls `f` with the hidden name of a partition.
    pub(crate) fn with<T>(
        &self,
        cache: &str,
        partition: &Partition,
        f: impl FnOnce(&Partition) -> T,
    ) -> T {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(name) = known.get(partition) {
                return f(name);
            }
        }
        let name = hide(&self.key, [cache, "partition", partition.as_str(), ""]);
        let name = Partition::user(&name);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(partition.clone(), name.clone());
        drop(known);
        f(&name)
    }
}

/// 128 bits of an HMAC over these texts, as hexadecimal digits.
fn hide(key: &Key, fields: [&str; 4]) -> String {
    let mut text = Vec::with_capacity(256);
    for field in fields {
        text.extend_from_slice(&length(field.len()));
        text.extend_from_slice(field.as_bytes());
    }
    let mac = key.mac(&text);
    let bits = mac[..16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte));
    format!("{bits:032x}")
}
