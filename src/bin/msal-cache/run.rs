//! What every subcommand uses: the global flags, the output and the opened store.

use std::ffi::OsStr;
use std::time::Instant;

use msal_cache::Entry;

use crate::cache::Cache;
use crate::failure::{Failure, complain, printable};
use crate::flags::GlobalArgs;
use crate::out::{DIM, Out, count};
use crate::progress;
use crate::store::{Access, StoreRef};

/// The context of a subcommand.
pub(crate) struct Run<'a> {
    pub(crate) common: &'a GlobalArgs,
    pub(crate) out: &'a mut Out,
    /// The store that was named last, to which errors refer.
    pub(crate) store: Option<StoreRef>,
}

/// An opened store and all its entries.
pub(crate) struct Loaded {
    pub(crate) store: StoreRef,
    pub(crate) cache: Cache,
    pub(crate) entries: Vec<Entry>,
}

impl Run<'_> {
    /// The store of this name.
    pub(crate) fn store(&mut self, name: &OsStr) -> Result<StoreRef, Failure> {
        let store = StoreRef::parse(name)?;
        self.verbose(|| format!("store: {} ({})", store.text(), store.kind()));
        self.store = Some(store.clone());
        Ok(store)
    }

    pub(crate) fn open(
        &mut self,
        name: &OsStr,
        access: Access,
    ) -> Result<(StoreRef, Cache), Failure> {
        let store = self.store(name)?;
        let cache = self.waiting("Opening", || store.open(self.common, access))?;
        Ok((store, cache))
    }

    /// Opens an existing store and reads all its entries.
    pub(crate) fn load(&mut self, name: &OsStr, access: Access) -> Result<Loaded, Failure> {
        let (store, cache) = self.open(name, access)?;
        let began = Instant::now();
        let entries = self.waiting("Reading", || cache.entries(None))?;
        self.verbose(|| {
            let entries = count(entries.len(), "entry");
            format!("read {entries} in {:.1} ms", began.elapsed().as_secs_f64() * 1e3)
        });
        Ok(Loaded { store, cache, entries })
    }

    /// Runs work that may take long or wait for another process, and says so on standard error.
    pub(crate) fn waiting<T>(&self, what: &'static str, work: impl FnOnce() -> T) -> T {
        if self.common.quiet {
            return work();
        }
        progress::during(what, self.store.as_ref(), self.common.lock_timeout, work)
    }

    /// Prints a line on standard error with `--verbose`.
    pub(crate) fn verbose(&self, line: impl FnOnce() -> String) {
        if self.common.verbose {
            complain(&format!("{DIM}{}{DIM:#}", printable(&line())));
        }
    }

    pub(crate) fn now(&self) -> i64 {
        self.out.calendar.now
    }
}
