use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest, Sha256};

/// Names one state of a partition, a listing or a blob.
///
/// A revision identifies contents. It has no order and is not a time. Two different contents of one
/// partition, listing or blob never share a revision: not after a restart, not after it was emptied
/// and filled again, and not after a file was replaced by its backup. The same contents may have
/// several revisions.
///
/// A store makes revisions with [`unique`](Self::unique), with [`of_contents`](Self::of_contents),
/// or from a counter that it persists.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(u128);

impl Revision {
    /// The revision of absent contents: no file, an empty partition.
    pub const ABSENT: Self = Self(0);

    /// A revision that no other call returns, in this process or in another one.
    #[must_use]
    pub fn unique() -> Self {
        // Each process draws 64 random bits once, and counts in the other 64. The standard library
        // seeds its hash maps from the operating system, which is random enough here.
        static PROCESS: OnceLock<u64> = OnceLock::new();
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let process = PROCESS.get_or_init(|| RandomState::new().hash_one("msal-cache"));
        Self(u128::from(*process) << 64 | u128::from(NEXT.fetch_add(1, Ordering::Relaxed)))
    }

    /// The revision that these contents have in every process: 128 bits of a SHA-256 over the parts
    /// and their lengths. No parts are [`ABSENT`](Self::ABSENT).
    pub fn of_contents<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        let mut any = false;
        for part in parts {
            any = true;
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        if !any {
            return Self::ABSENT;
        }
        let digest = hash.finalize();
        Self(digest.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
    }

    /// A revision that a store has stored, for example in a column.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits)
    }

    /// The revision as a number to store.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

impl Default for Revision {
    fn default() -> Self {
        Self::ABSENT
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::ABSENT { f.write_str("absent") } else { write!(f, "{:032x}", self.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_revisions_differ_and_are_never_absent() {
        let drawn: std::collections::HashSet<_> = (0..1000).map(|_| Revision::unique()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(!drawn.contains(&Revision::ABSENT));
    }

    #[test]
    fn the_boundaries_of_parts_count() {
        let of = |parts: &[&str]| Revision::of_contents(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&[""]), Revision::ABSENT);
        assert_eq!(of(&[]), Revision::ABSENT);
    }
}
