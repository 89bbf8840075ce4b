//! Loads of several partitions that return something wrong.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use msal_cache_core::{CacheStore, Error, Load, Memory, Partition, Result, Revision};

use crate::wrapper::Flaw;

type Wanted<'a> = (&'a Partition, Option<Revision>);

macro_rules! loads {
    ($($(#[$doc:meta])* $flaw:ident = |$correct:ident, $wanted:ident| $load:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Default)]
        pub(crate) struct $flaw;

        impl Flaw for $flaw {
            fn load_many(&self, $correct: &Memory, $wanted: &[Wanted<'_>]) -> Result<Vec<Load>> {
                $load
            }
        }
    )*};
}

loads! {
    /// `WHERE name IN (..) ORDER BY name`.
    AnswersByName = |correct, wanted| {
        let mut wanted = wanted.to_vec();
        wanted.sort_by_key(|(partition, _)| *partition);
        correct.load_many(&wanted)
    };
    /// `WHERE name IN (..)`, without a row for an absent partition.
    SkipsAbsentPartitions = |correct, wanted| {
        let found = correct.load_many(wanted)?;
        Ok(found.into_iter().filter(|it| match it {
            Load::Unchanged => true,
            Load::Snapshot(found) => found.revision() != Revision::ABSENT,
        }).collect())
    };
    IgnoresKnownRevisions = |correct, wanted| {
        let wanted: Vec<_> = wanted.iter().map(|(partition, _)| (*partition, None)).collect();
        correct.load_many(&wanted)
    };
    ComparesTheFirstRevisionOnly = |correct, wanted| {
        let found = correct.load_many(wanted)?;
        let unchanged = found.first() == Some(&Load::Unchanged);
        Ok(if unchanged { vec![Load::Unchanged; found.len()] } else { found })
    };
    /// Keeps the known revisions in a map by partition.
    KnowsOneRevisionOfAPartition = |correct, wanted| {
        let known: HashMap<_, _> = wanted.iter().copied().collect();
        let wanted: Vec<_> = wanted.iter().map(|(it, _)| (*it, known[it])).collect();
        correct.load_many(&wanted)
    };
    RefusesToReadNothing = |correct, wanted| {
        if wanted.is_empty() {
            return Err(Error::backend("broken", "syntax error near `IN ()`"));
        }
        correct.load_many(wanted)
    };
    ReadsOneByOne = |correct, wanted| {
        let load = |(partition, known): &Wanted<'_>| {
            thread::sleep(Duration::from_micros(200));
            correct.load(partition, *known)
        };
        wanted.iter().map(load).collect()
    };
}
