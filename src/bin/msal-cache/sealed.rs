//! What is sealed in a store, and by which keys.

use std::collections::{BTreeMap, BTreeSet};

use msal_cache::file::{OnCorrupt, Permissions};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::out::count;
use crate::run::Run;
use crate::sealing::{self, Seals, numbers};
use crate::store::{Access, StoreRef};

/// A sealed store.
pub(crate) struct Sealed {
    pub(crate) seals: Seals,
    /// The keys of files beside the store, with their number.
    pub(crate) beside: BTreeMap<u32, usize>,
    /// The keys of the command line, and which of them seals.
    pub(crate) given: Option<(Vec<u32>, u32)>,
}

impl Sealed {
    /// Finds the seals; `None` where nothing is sealed and no keys are given.
    pub(crate) fn find(
        run: &Run<'_>,
        store: &StoreRef,
        permissions: Permissions,
    ) -> Result<Option<Self>, Failure> {
        let raw = store.open_raw(run.common, Access::Read, permissions, OnCorrupt::Error)?;
        let Some(raw) = raw else { return Ok(None) };
        let ring = sealing::ring(run.common)?;
        let seals = raw.seals()?;
        if ring.is_none() && seals.keys.is_empty() {
            return Ok(None);
        }
        let given = ring.map(|ring| (ring.numbers(), ring.newest()));
        Ok(Some(Self { seals, beside: sealing::keys_beside(store)?, given }))
    }

    /// The keys that the store or a file beside it needs.
    pub(crate) fn needed(&self) -> impl Iterator<Item = u32> {
        let keys: BTreeSet<_> = self.seals.keys.keys().chain(self.beside.keys()).copied().collect();
        keys.into_iter()
    }

    /// The keys that are needed and not given; `None` where no keys are given.
    pub(crate) fn missing(&self) -> Option<Vec<u32>> {
        let (given, _) = self.given.as_ref()?;
        Some(self.needed().filter(|it| !given.contains(it)).collect())
    }

    pub(crate) fn as_json(&self) -> Value {
        let by = |keys: &BTreeMap<u32, usize>| -> serde_json::Map<_, _> {
            keys.iter().map(|(key, number)| (key.to_string(), json!(number))).collect()
        };
        json!({
            "keys": by(&self.seals.keys),
            "files": by(&self.beside),
            "plain": self.seals.plain,
            "names": if self.seals.is_document || self.seals.hides_names { "hidden" } else { "legible" },
            "needed": self.needed().collect::<Vec<_>>(),
            "missing": self.missing(),
            "newest": self.given.as_ref().map(|(_, newest)| newest),
        })
    }

    /// Sentences for users.
    pub(crate) fn lines(&self) -> Vec<String> {
        let noun = if self.seals.is_document { "document" } else { "record" };
        let by = |keys: &BTreeMap<u32, usize>, noun| {
            let parts =
                keys.iter().map(|(key, number)| format!("key {key} ({})", count(*number, noun)));
            parts.collect::<Vec<_>>().join(", ")
        };
        let mut lines = Vec::new();
        if !self.seals.keys.is_empty() {
            lines.push(format!("sealed by {}", by(&self.seals.keys, noun)));
            lines.push(if self.seals.is_document {
                "legible: its size and the number of its key".into()
            } else if self.seals.hides_names {
                "legible: sections, expiries and sizes; users, clients and scopes are hidden".into()
            } else {
                "legible: sections, expiries, sizes, and the keys of records, which name users, clients and scopes".to_owned()
            });
        }
        if !self.beside.is_empty() {
            lines.push(format!("files beside it: sealed by {}", by(&self.beside, "file")));
        }
        match &self.given {
            Some((given, newest)) => {
                lines.push(format!(
                    "the key ring has {}; key {newest} seals",
                    numbers(given.iter().copied())
                ));
                let old: Vec<_> = self.needed().filter(|it| it != newest).collect();
                if !old.is_empty() {
                    let old = numbers(old);
                    lines.push(format!(
                        "still needed: {old}, until `msal-cache rekey` has sealed all anew"
                    ));
                }
            }
            None => lines.push(format!("needed to open it: {}", numbers(self.needed()))),
        }
        lines
    }
}
