//! The names of keys, which are the layout of the data; see the crate documentation.

use msal_cache_core::{CredentialType, Error, Partition, Result};

/// The keys of one cache. They share a hash tag, so a cluster keeps them in one slot.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// The revision of the whole, the counter, and the version of the layout.
    pub(crate) meta: String,
    /// For each record: the partition that holds it.
    pub(crate) own: String,
    /// For each record that expires: when.
    pub(crate) exp: String,
    /// For each partition: the number of its last change.
    pub(crate) parts: String,
    /// For each partition that was deleted lately: the number of that change.
    pub(crate) gone: String,
    /// For each partition that isn't kept for ever: when its time is over.
    pub(crate) due: String,
    /// The prefix of the partitions.
    pub(crate) partitions: String,
    /// The prefix of the guards.
    pub(crate) guards: String,
}

impl Keys {
    pub(crate) fn of(name: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._:-/".contains(c);
        if name.is_empty() || !name.chars().all(plain) {
            let reason = "the name of the cache may have letters, digits and . _ : - / only";
            return Err(Error::invalid("name", reason));
        }
        let key = |part: &str| format!("{{msal:{name}}}:{part}");
        Ok(Self {
            meta: key("meta"),
            own: key("own"),
            exp: key("exp"),
            parts: key("parts"),
            gone: key("gone"),
            due: key("due"),
            partitions: key("p:"),
            guards: key("g:"),
        })
    }

    pub(crate) fn partition(&self, partition: &Partition) -> String {
        format!("{}{}", self.partitions, partition.as_str())
    }

    pub(crate) fn guard(&self, partition: &Partition) -> String {
        format!("{}{}", self.guards, partition.as_str())
    }

    /// The keys that each script that writes gets first.
    pub(crate) fn shared(&self) -> [&str; 6] {
        [&self.meta, &self.own, &self.exp, &self.parts, &self.gone, &self.due]
    }
}

/// The field of a record in the hash of its partition. The revision is in `r`, which is no field of
/// a record, since it lacks the separator.
pub(crate) fn field(credential_type: &CredentialType, key: &str) -> String {
    format!("{}\0{key}", credential_type.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_cache_share_one_hash_tag() {
        let keys = Keys::of("web-app").unwrap();
        assert_eq!(keys.meta, "{msal:web-app}:meta");
        assert_eq!(keys.partition(&Partition::user("{U}")), "{msal:web-app}:p:user/{u}");
        for name in ["", "a{b", "a}b", "a b", "a\0"] {
            assert!(matches!(Keys::of(name), Err(Error::Invalid { .. })), "{name:?}");
        }
    }
}
