//! Implements `CacheStore`, the contract for a store of records in partitions, over the embedded
//! database `redb`.
//!
//! Run it with `cargo run --example store_in_redb`. `your_own_store` shows `BlobStore`, the smaller
//! contract for a store of a single value.

use std::error::Error as StdError;

use msal_cache::store::{
    Batch, CacheStore, Change, Expect, Json, Load, Op, Partition, Record, Revision, Snapshot,
};
use msal_cache::{CredentialType, Error, Event, Fields, Query, Result, TokenCache};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition};
use serde::{Deserialize, Serialize};

/// Partitions by name.
const PARTITIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("partitions");

/// By section and key, the name of the partition that holds the record.
const OWNERS: TableDefinition<'_, (&str, &str), &str> = TableDefinition::new("owners");

type Readable = ReadOnlyTable<&'static str, &'static [u8]>;

/// The row with the revision of the whole store. No partition has this name.
const EVERYTHING: &str = "";

#[derive(Debug)]
pub(crate) struct RedbStore(Database);

impl CacheStore for RedbStore {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        Ok(self.read(|table| Stored::get(table, partition.as_str()))?.into_load(known))
    }

    fn load_many(&self, wanted: &[(&Partition, Option<Revision>)]) -> Result<Vec<Load>> {
        self.read(|table| {
            let load = |(partition, known): &(&Partition, Option<Revision>)| {
                Ok(Stored::get(table, partition.as_str())?.into_load(*known))
            };
            wanted.iter().map(load).collect()
        })
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.write(|tables| {
            for change in batch.changes() {
                let stored = Stored::get(&tables.partitions, change.partition().as_str())?;
                match change.expect() {
                    Expect::Revision(expected) if expected.as_u128() != stored.revision => {
                        // Dropping the transaction rolls it back.
                        return Err(Error::Conflict);
                    }
                    Expect::Revision(_) | Expect::Any => {}
                }
            }
            for change in batch.changes().iter().filter(|it| !it.ops().is_empty()) {
                tables.apply(change.partition().as_str(), change.ops())?;
            }
            // Only now: a later change may have taken a key from an earlier one.
            let revision = |change: &Change| {
                let stored = Stored::get(&tables.partitions, change.partition().as_str())?;
                Ok(Revision::from_u128(stored.revision))
            };
            batch.changes().iter().map(revision).collect()
        })
    }

    fn list(&self, section: Option<&CredentialType>, known: Option<Revision>) -> Result<Load> {
        let mut all = self.read(|table| {
            let mut all = Stored::get(table, EVERYTHING)?;
            for entry in table.iter().map_err(failed)? {
                all.records.extend(Stored::parse(entry.map_err(failed)?.1.value())?.records);
            }
            Ok(all)
        })?;
        all.records.retain(|(it, ..)| section.is_none_or(|section| section.as_str() == it));
        Ok(all.into_load(known))
    }

    fn purge(&self, now: i64) -> Result<u64> {
        self.write(|tables| {
            let entries = tables.partitions.iter().map_err(failed)?;
            let names = entries.map(|entry| Ok(entry?.0.value().to_owned()));
            let mut purged = 0;
            for name in names.collect::<Result<Vec<_>, redb::Error>>().map_err(failed)? {
                let stored = Stored::get(&tables.partitions, &name)?;
                let expired = |it: &Record| it.expires_on().is_some_and(|at| at < now);
                let mut batch = Batch::new();
                for record in stored.records.iter().map(record).filter(expired) {
                    batch.change(record.partition(), Expect::Any).delete_record(&record);
                    purged += 1;
                }
                for change in batch.changes() {
                    tables.apply(&name, change.ops())?;
                }
            }
            Ok(purged)
        })
    }
}

impl RedbStore {
    /// Uses a database and creates its tables, since reading a missing table is an error.
    pub(crate) fn new(database: Database) -> Result<Self> {
        let store = Self(database);
        store.write(|_| Ok(()))?;
        Ok(store)
    }

    fn read<T>(&self, of: impl FnOnce(&Readable) -> Result<T>) -> Result<T> {
        let tx = self.0.begin_read().map_err(failed)?;
        of(&tx.open_table(PARTITIONS).map_err(failed)?)
    }

    /// Runs one transaction, which is committed as a whole or not at all.
    fn write<T>(&self, change: impl FnOnce(&mut Tables<'_>) -> Result<T>) -> Result<T> {
        let tx = self.0.begin_write().map_err(failed)?;
        let partitions = tx.open_table(PARTITIONS).map_err(failed)?;
        let owners = tx.open_table(OWNERS).map_err(failed)?;
        let mut tables = Tables { partitions, owners };
        let done = change(&mut tables)?;
        Stored::default().put(&mut tables.partitions, EVERYTHING)?;
        drop(tables);
        tx.commit().map_err(failed)?;
        Ok(done)
    }
}

struct Tables<'tx> {
    partitions: Table<'tx, &'static str, &'static [u8]>,
    owners: Table<'tx, (&'static str, &'static str), &'static str>,
}

impl Tables<'_> {
    /// Applies operations to one partition.
    fn apply(&mut self, name: &str, ops: &[Op]) -> Result<()> {
        for op in ops.iter().filter(|op| matches!(op, Op::Put(_))) {
            let (section, key) = op.target();
            let owner = self.owner(section, key)?.filter(|owner| owner != name);
            if let Some(owner) = owner {
                // A key names one record in the whole store: the other partition loses its record.
                let mut other = Stored::get(&self.partitions, &owner)?;
                other.delete(section, key);
                other.put(&mut self.partitions, &owner)?;
            }
        }
        let mut stored = Stored::get(&self.partitions, name)?;
        for op in ops {
            let (section, key) = op.target();
            match op {
                Op::Put(record) => stored.insert(record),
                Op::Delete { .. } => stored.delete(section, key),
            }
        }
        stored.put(&mut self.partitions, name)?;
        for (section, key) in ops.iter().map(Op::target) {
            if stored.find(section, key).is_some() {
                self.owners.insert((section.as_str(), key), name).map_err(failed)?;
            } else if self.owner(section, key)?.as_deref() == Some(name) {
                self.owners.remove((section.as_str(), key)).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn owner(&self, section: &CredentialType, key: &str) -> Result<Option<String>> {
        let owner = self.owners.get((section.as_str(), key)).map_err(failed)?;
        Ok(owner.map(|owner| owner.value().to_owned()))
    }
}

/// A partition as it is stored.
#[derive(Default, Serialize, Deserialize)]
struct Stored {
    revision: u128,
    /// Section, key and value.
    records: Vec<(String, String, String)>,
}

impl Stored {
    fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(failed)
    }

    fn get(table: &impl ReadableTable<&'static str, &'static [u8]>, name: &str) -> Result<Self> {
        let bytes = table.get(name).map_err(failed)?;
        bytes.map_or_else(|| Ok(Self::default()), |bytes| Self::parse(bytes.value()))
    }

    /// Writes the partition at a new revision, or removes it if it is empty.
    fn put(
        &mut self,
        table: &mut Table<'_, &'static str, &'static [u8]>,
        name: &str,
    ) -> Result<()> {
        if self.records.is_empty() && name != EVERYTHING {
            table.remove(name).map_err(failed)?;
            return Ok(());
        }
        self.revision = Revision::unique().as_u128();
        let bytes = serde_json::to_vec(self).map_err(failed)?;
        table.insert(name, &*bytes).map_err(failed)?;
        Ok(())
    }

    fn find(&self, section: &CredentialType, key: &str) -> Option<usize> {
        self.records.iter().position(|it| it.0 == section.as_str() && it.1 == key)
    }

    fn insert(&mut self, record: &Record) {
        let (section, key) = (record.credential_type(), record.key());
        let value = record.value().expose().to_owned();
        match self.find(section, key) {
            Some(at) => self.records[at].2 = value,
            None => self.records.push((section.as_str().to_owned(), key.to_owned(), value)),
        }
    }

    fn delete(&mut self, section: &CredentialType, key: &str) {
        if let Some(at) = self.find(section, key) {
            self.records.remove(at);
        }
    }

    fn into_load(self, known: Option<Revision>) -> Load {
        let revision = Revision::from_u128(self.revision);
        if known == Some(revision) {
            return Load::Unchanged;
        }
        Load::Snapshot(Snapshot::new(revision, self.records.iter().map(record).collect()))
    }
}

fn record((section, key, value): &(String, String, String)) -> Record {
    Record::new(section.as_str().into(), key.as_str(), Json::from_stored(value))
}

fn failed(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    Error::backend("redb", error)
}

fn main() -> Result<(), Box<dyn StdError>> {
    std::fs::create_dir_all("demo")?;
    let cache = TokenCache::new(RedbStore::new(Database::create("demo/cache.redb")?)?);
    cache.add(
        &Event::new("client")
            .token_endpoint("https://login.microsoftonline.com/contoso/oauth2/v2.0/token")
            .scope(["https://graph.microsoft.com/.default"])
            .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600)),
    )?;
    let query = Query::new().client_id("client").realm("contoso").home_account_id(None);
    let found = cache.find(CredentialType::AccessToken, &query)?;
    println!("found in demo/cache.redb: {found:#?}");
    println!("stored records: {}", cache.entries(None)?.len());
    Ok(())
}
