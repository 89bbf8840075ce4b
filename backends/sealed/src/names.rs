//! How the names of partitions and keys are kept: as they are, or as HMACs.

use std::borrow::Cow;
use std::sync::Arc;

use msal_cache_core::{CredentialType, Partition, Result};

use crate::envelope::length;
use crate::key::Key;

/// How the names in a store are kept.
#[derive(Clone, Debug)]
pub(crate) enum Names {
    /// As they are.
    Legible,
    /// As HMACs with this key, which belongs to the store.
    Hidden(Arc<Key>),
}

impl Names {
    /// The names of a new store.
    pub(crate) fn new(hidden: bool) -> Result<Self> {
        Ok(if hidden { Self::Hidden(Arc::new(Key::generate()?)) } else { Self::Legible })
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
            Self::Hidden(key) => {
                let name = hide(key, [cache, "partition", partition.as_str(), ""]);
                Cow::Owned(Partition::user(&name))
            }
        }
    }

    /// The key under which a sealed record is stored.
    pub(crate) fn key(&self, cache: &str, section: &CredentialType, key: &Arc<str>) -> Arc<str> {
        match self {
            Self::Legible => key.clone(),
            Self::Hidden(by) => hide(by, [cache, "key", section.as_str(), key]).into(),
        }
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
