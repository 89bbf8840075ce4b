//! A store of your own, by the big door: records in partitions, here in `redb`, an embedded
//! database. The contract is four verbs; what they promise is written at `CacheStore`.
//!
//! `cargo run --example store_in_redb`

use std::error::Error as StdError;

use msal_cache::{
    Batch, CacheStore, CredentialType, Error, Event, Expect, Fields, Json, Load, Op, Partition,
    Query, Record, Result, Revision, Snapshot, TokenCache,
};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, Table, TableDefinition};
use serde::{Deserialize, Serialize};

/// Partitions by their names.
const PARTITIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("partitions");

type Readable = ReadOnlyTable<&'static str, &'static [u8]>;
type Writable<'tx> = Table<'tx, &'static str, &'static [u8]>;

/// Stands for the whole store; no partition has this name.
const EVERYTHING: &str = "";

#[derive(Debug)]
pub(crate) struct RedbStore(pub(crate) Database);

impl CacheStore for RedbStore {
    fn load(&self, partition: &Partition, known: Option<Revision>) -> Result<Load> {
        Ok(self.read(|table| Stored::get(table, partition.as_str()))?.into_load(known))
    }

    fn commit(&self, batch: &Batch) -> Result<Vec<Revision>> {
        self.write(|table| {
            let mut revisions = Vec::new();
            for change in batch.changes() {
                let name = change.partition().as_str();
                let mut stored = Stored::get(table, name)?;
                if matches!(change.expect(), Expect::Revision(it) if it.as_u128() != stored.revision) {
                    // The transaction is dropped, and what it has done with it.
                    return Err(Error::Conflict);
                }
                for op in change.ops() {
                    stored.apply(op);
                }
                revisions.push(stored.put(table, name)?);
            }
            Ok(revisions)
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
        self.write(|table| {
            let names = table.iter().map_err(failed)?.map(|entry| Ok(entry?.0.value().to_owned()));
            let mut purged = 0;
            for name in names.collect::<Result<Vec<_>, redb::Error>>().map_err(failed)? {
                let mut stored = Stored::get(table, &name)?;
                let before = stored.records.len();
                stored.records.retain(|it| record(it).expires_on().is_none_or(|at| at >= now));
                if stored.records.len() < before {
                    purged += (before - stored.records.len()) as u64;
                    stored.put(table, &name)?;
                }
            }
            Ok(purged)
        })
    }
}

impl RedbStore {
    fn read<T>(&self, of: impl FnOnce(&Readable) -> Result<T>) -> Result<T> {
        let tx = self.0.begin_read().map_err(failed)?;
        of(&tx.open_table(PARTITIONS).map_err(failed)?)
    }

    /// Opens a database, and makes its table: reading one that isn't there is an error.
    pub(crate) fn new(database: Database) -> Result<Self> {
        let store = Self(database);
        store.write(|_| Ok(()))?;
        Ok(store)
    }

    /// One transaction: all of it is kept, or nothing.
    fn write<T>(&self, change: impl FnOnce(&mut Writable<'_>) -> Result<T>) -> Result<T> {
        let tx = self.0.begin_write().map_err(failed)?;
        let mut table = tx.open_table(PARTITIONS).map_err(failed)?;
        let done = change(&mut table)?;
        Stored::default().put(&mut table, EVERYTHING)?;
        drop(table);
        tx.commit().map_err(failed)?;
        Ok(done)
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
        serde_json::from_slice(bytes).map_err(|error| Error::not_json("a partition", &error))
    }

    fn get(table: &impl ReadableTable<&'static str, &'static [u8]>, name: &str) -> Result<Self> {
        let bytes = table.get(name).map_err(failed)?;
        bytes.map_or_else(|| Ok(Self::default()), |bytes| Self::parse(bytes.value()))
    }

    fn put(&mut self, table: &mut Writable<'_>, name: &str) -> Result<Revision> {
        if self.records.is_empty() && name != EVERYTHING {
            table.remove(name).map_err(failed)?;
            return Ok(Revision::ABSENT);
        }
        let revision = Revision::unique();
        self.revision = revision.as_u128();
        let bytes = serde_json::to_vec(self).map_err(failed)?;
        table.insert(name, &*bytes).map_err(failed)?;
        Ok(revision)
    }

    fn apply(&mut self, op: &Op) {
        let (section, key) = match op {
            Op::Put(record) => (&record.credential_type, &record.key),
            Op::Delete { credential_type, key } => (credential_type, key),
            _ => return,
        };
        let same = |it: &(String, String, String)| it.0 == section.as_str() && *it.1 == **key;
        let at = self.records.iter().position(same);
        match (op, at) {
            (Op::Put(record), Some(at)) => {
                record.value.expose().clone_into(&mut self.records[at].2);
            }
            (Op::Put(record), None) => {
                let (key, value) = (key.to_string(), record.value.expose().to_owned());
                self.records.push((section.as_str().to_owned(), key, value));
            }
            (_, Some(at)) => drop(self.records.remove(at)),
            (_, None) => {}
        }
    }

    fn into_load(self, known: Option<Revision>) -> Load {
        let revision = Revision::from_u128(self.revision);
        if known == Some(revision) {
            return Load::Unchanged;
        }
        Load::Snapshot(Snapshot { revision, records: self.records.iter().map(record).collect() })
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
    println!("all that is stored: {} records", cache.entries(None)?.len());
    Ok(())
}
