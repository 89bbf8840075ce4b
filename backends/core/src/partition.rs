use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use arrayvec::ArrayString;
use hashbrown::DefaultHashBuilder;

use crate::{CredentialType, Revision};

/// The unit of atomicity: the records that are read together, change together and have one
/// [`Revision`]. Two writers of different partitions never disturb each other.
///
/// Where a record belongs follows from the record ([`of`](Self::of)) and from nothing else. So a
/// document, which has no partitions, can be divided into them, and the cache can check what a
/// store returns: a record of another partition is an error and not a result.
///
/// Names are in lower case, as the stored keys of all MSAL libraries are: ids that differ in case
/// alone share a partition, since their records share keys. A partition says where to look for a
/// record; only the fields of the record say to which user or client it belongs.
#[derive(Clone)]
pub struct Partition(PartitionName);

/// Most names are short enough to need no allocation: each look-up makes one and drops it.
#[derive(Clone)]
enum PartitionName {
    Short(ArrayString<SHORT>),
    Long(Arc<str>),
}

/// The length of the longest name in which all ids are GUIDs: a client in a tenant with an extended
/// cache key.
const SHORT: usize = 124;

impl Partition {
    /// The name of a kind of partition and the ids in it, separated by slashes.
    #[inline]
    fn named(kind: &str, ids: &[&str]) -> Self {
        let mut name = ArrayString::new();
        let mut push = |part: &str| name.try_push_str(part).is_ok();
        if push(kind) && ids.iter().all(|id| is_plain(id) && push("/") && push(id)) {
            return Self(PartitionName::Short(name));
        }
        Self::escaped(kind, ids)
    }

    /// The name where an id has to be escaped or folded, or is long.
    #[cold]
    fn escaped(kind: &str, ids: &[&str]) -> Self {
        let mut name = kind.to_owned();
        for id in ids {
            name.push('/');
            // The separator and the escape character, as `%2f` and `%25`.
            name.push_str(&id.replace('%', "%25").replace('/', "%2f"));
        }
        Self(PartitionName::Long(name.to_lowercase().into()))
    }

    /// Everything of one user, across clients and tenants.
    pub fn user(home_account_id: &str) -> Self {
        Self::named("user", &[home_account_id])
    }

    /// Whether this is [`user`](Self::user) of an id.
    #[inline]
    pub(crate) fn is_user(&self, home_account_id: &str) -> bool {
        // Most ids are in lower case, and need no escape.
        self.as_str().strip_prefix("user/") == Some(home_account_id)
            || *self == Self::user(home_account_id)
    }

    /// The tokens that one client has for itself in one tenant. Each extended cache key has a
    /// partition of its own, since a client may have 100,000 of them.
    pub fn app(client_id: &str, realm: &str, ext_cache_key: Option<&str>) -> Self {
        match ext_cache_key {
            None => Self::named("app", &[client_id, realm]),
            Some(key) => Self::named("app", &[client_id, realm, key]),
        }
    }

    /// What is known about clients: all of [`CredentialType::AppMetadata`].
    pub fn app_metadata() -> Self {
        Self::named("metadata", &[])
    }

    /// Records without a user and without a client, in any section.
    pub fn unowned() -> Self {
        Self::named("unowned", &[])
    }

    /// The partition of a record with these fields: [`of`](Self::of) where they are known already.
    ///
    /// An empty `home_account_id` counts as missing, as in the files of MSAL Node and Go.
    pub fn of_fields(
        credential_type: &CredentialType,
        home_account_id: Option<&str>,
        client_id: Option<&str>,
        realm: Option<&str>,
        ext_cache_key: Option<&str>,
    ) -> Self {
        match (home_account_id.filter(|home| !home.is_empty()), client_id) {
            _ if *credential_type == CredentialType::AppMetadata => Self::app_metadata(),
            // A member of the document; it may look like a record.
            _ if credential_type.is_document() => Self::unowned(),
            (Some(home), _) => Self::user(home),
            (None, Some(client)) => Self::app(client, realm.unwrap_or_default(), ext_cache_key),
            (None, None) => Self::unowned(),
        }
    }

    /// The name of the partition, for a column or a key of a store: different partitions have
    /// different names, and a name never changes. It is in lower case.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            PartitionName::Short(name) => name,
            PartitionName::Long(name) => name,
        }
    }

    /// A hash of the name, for comparisons within this process.
    pub(crate) fn tag(&self) -> u64 {
        static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);
        HASHER.hash_one(self)
    }

    /// A short name that doesn't reveal the user or client, for a lock file or an event: 16
    /// hexadecimal digits of a SHA-256. It is very unlikely that two partitions share one.
    pub fn digest(&self) -> String {
        let digest = Revision::of_contents([self.as_str().as_bytes()]).as_u128();
        format!("{:016x}", digest >> 64)
    }
}

impl PartialEq for Partition {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Partition {}

impl PartialOrd for Partition {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Partition {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Partition {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether an id is in lower case, and needs no escape.
#[inline]
fn is_plain(id: &str) -> bool {
    // Without an early exit, so that the compiler can use wide instructions.
    let special = |byte| matches!(byte, b'A'..=b'Z' | b'/' | b'%' | 0x80..);
    !id.bytes().fold(false, |any, byte| any | special(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_injective_except_for_case() {
        assert_ne!(Partition::app("a/b", "c", None), Partition::app("a", "b/c", None));
        assert_ne!(Partition::app("a", "b", Some("c")), Partition::app("a", "b/c", None));
        assert_ne!(Partition::user("a%2Fb"), Partition::user("a/b"));
        assert_ne!(Partition::app("a", "b", None), Partition::app("a", "b", Some("")));
        assert_eq!(
            Partition::app("Client", "Contoso.COM", None).as_str(),
            "app/client/contoso.com"
        );
        // As stored keys are folded: `str.lower()` in Python, `ToLowerInvariant` in .NET.
        assert_eq!(Partition::user("\u{c9}A"), Partition::user("\u{e9}a"));
    }

    #[test]
    fn a_name_is_the_same_however_long_it_is() {
        for length in [1, SHORT - 5, SHORT - 4, 3 * SHORT] {
            let home = "h".repeat(length);
            let (one, same) = (Partition::user(&home), Partition::user(&home.to_uppercase()));
            assert_eq!(one.as_str(), format!("user/{home}"));
            assert_eq!(one, same);
            assert_ne!(one, Partition::user(&home[1..]));
            assert!(one > Partition::user(""));
        }
    }
}
