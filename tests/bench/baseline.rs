//! The baseline: the least code for a task, without a schema, other writers or error messages. A
//! look-up builds a key and reads a hash map; a file takes `serde_json`, a temporary file, `fsync`
//! and `rename`; SQLite takes one statement or transaction.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::hash::Hash;
use std::io::Write as _;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::workload::{CLIENT, ENVIRONMENT, EXPIRES_ON, Probe, SignIn};

macro_rules! records {
    ($($name:ident { $($field:ident),* })*) => {$(
        #[derive(Clone, Serialize, Deserialize)]
        pub(crate) struct $name { $(pub(crate) $field: String,)* }
    )*};
}

records! {
    AccessToken {
        credential_type, secret, home_account_id, environment, client_id, target, realm,
        token_type, cached_at, expires_on, extended_expires_on
    }
    RefreshToken {
        credential_type, secret, home_account_id, environment, client_id, last_modification_time
    }
    IdToken { credential_type, secret, home_account_id, environment, realm, client_id }
    Account { home_account_id, environment, realm, local_account_id, username, authority_type }
    AppMetadata { client_id, environment }
}

/// A hash map with foldhash, the fastest hasher.
type Map<K, V> = HashMap<K, V, hashbrown::DefaultHashBuilder>;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Sections<K: Eq + Hash, A, C, I, R, M> {
    pub(crate) access_token: Map<K, A>,
    pub(crate) account: Map<K, C>,
    pub(crate) id_token: Map<K, I>,
    pub(crate) refresh_token: Map<K, R>,
    pub(crate) app_metadata: Map<K, M>,
}

impl<K: Eq + Hash, A, C, I, R, M> Default for Sections<K, A, C, I, R, M> {
    fn default() -> Self {
        Self {
            access_token: Map::default(),
            account: Map::default(),
            id_token: Map::default(),
            refresh_token: Map::default(),
            app_metadata: Map::default(),
        }
    }
}

/// All records decoded.
pub(crate) type Typed = Sections<String, AccessToken, Account, IdToken, RefreshToken, AppMetadata>;
/// All records as borrowed JSON.
pub(crate) type Raw<'a> =
    Sections<Cow<'a, str>, &'a RawValue, &'a RawValue, &'a RawValue, &'a RawValue, &'a RawValue>;
/// All records as owned JSON.
pub(crate) type RawOwned =
    Sections<String, Box<RawValue>, Box<RawValue>, Box<RawValue>, Box<RawValue>, Box<RawValue>>;

/// The records of one sign-in, with their keys.
pub(crate) struct Records {
    access_token: (String, AccessToken),
    refresh_token: Option<(String, RefreshToken)>,
    id_token: (String, IdToken),
    account: (String, Account),
    app_metadata: (String, AppMetadata),
    home_account_id: String,
}

pub(crate) fn push_lower(key: &mut String, part: &str) {
    let start = key.len();
    key.push_str(part);
    key[start..].make_ascii_lowercase();
}

/// Replaces `key` by the key of an access token.
pub(crate) fn access_token_key(key: &mut String, home: &str, realm: &str, scopes: &[String]) {
    key.clear();
    for part in [home, "-", ENVIRONMENT, "-accesstoken-", CLIENT, "-", realm, "-"] {
        push_lower(key, part);
    }
    for (at, scope) in scopes.iter().enumerate() {
        if at > 0 {
            key.push(' ');
        }
        push_lower(key, scope);
    }
}

fn key_of(home: &str, kind: &str, tail: &str) -> String {
    let mut key = String::with_capacity(192);
    for part in [home, "-", ENVIRONMENT, "-", kind, "-", CLIENT, "-", tail, "-"] {
        push_lower(&mut key, part);
    }
    key
}

fn account_key(home: &str, realm: &str) -> String {
    [home, "-", ENVIRONMENT, "-", realm].concat().to_ascii_lowercase()
}

#[derive(Deserialize)]
struct Claims<'a> {
    #[serde(borrow)]
    oid: Cow<'a, str>,
    #[serde(borrow)]
    preferred_username: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ClientInfo<'a> {
    uid: &'a str,
    utid: &'a str,
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Builds the records of a sign-in from its ID token and client info.
pub(crate) fn records(sign_in: &SignIn) -> Records {
    let payload = decode(sign_in.id_token.split('.').nth(1).unwrap());
    let claims: Claims<'_> = serde_json::from_slice(&payload).unwrap();
    let client_info = decode(&sign_in.client_info);
    let info: ClientInfo<'_> = serde_json::from_slice(&client_info).unwrap();
    let home = [info.uid, ".", info.utid].concat();
    let realm = &sign_in.realm;
    let (environment, client_id) = (ENVIRONMENT.to_owned(), CLIENT.to_owned());
    let mut key = String::with_capacity(320);
    access_token_key(&mut key, &home, realm, &sign_in.scopes);
    let access_token = AccessToken {
        credential_type: "AccessToken".into(),
        secret: sign_in.access_token.clone(),
        home_account_id: home.clone(),
        environment: environment.clone(),
        client_id: client_id.clone(),
        target: sign_in.scopes.join(" "),
        realm: realm.clone(),
        token_type: "Bearer".into(),
        cached_at: "1700000000".into(),
        expires_on: EXPIRES_ON.to_string(),
        extended_expires_on: EXPIRES_ON.to_string(),
    };
    let refresh_token = sign_in.refresh_token.as_ref().map(|secret| {
        let record = RefreshToken {
            credential_type: "RefreshToken".into(),
            secret: secret.clone(),
            home_account_id: home.clone(),
            environment: environment.clone(),
            client_id: client_id.clone(),
            last_modification_time: "1700000000".into(),
        };
        (key_of(&home, "refreshtoken", ""), record)
    });
    let id_token = IdToken {
        credential_type: "IdToken".into(),
        secret: sign_in.id_token.clone(),
        home_account_id: home.clone(),
        environment: environment.clone(),
        realm: realm.clone(),
        client_id: client_id.clone(),
    };
    let account = Account {
        home_account_id: home.clone(),
        environment: environment.clone(),
        realm: realm.clone(),
        local_account_id: claims.oid.into_owned(),
        username: claims.preferred_username.into_owned(),
        authority_type: "MSSTS".into(),
    };
    Records {
        access_token: (key, access_token),
        refresh_token,
        id_token: (key_of(&home, "idtoken", realm), id_token),
        account: (account_key(&home, realm), account),
        app_metadata: (
            ["appmetadata-", ENVIRONMENT, "-", CLIENT].concat(),
            AppMetadata { client_id, environment },
        ),
        home_account_id: home,
    }
}

impl Typed {
    fn insert(&mut self, records: Records) {
        self.access_token.insert(records.access_token.0, records.access_token.1);
        self.refresh_token.extend(records.refresh_token);
        self.id_token.insert(records.id_token.0, records.id_token.1);
        self.account.insert(records.account.0, records.account.1);
        self.app_metadata.insert(records.app_metadata.0, records.app_metadata.1);
    }
}

/// A cache in memory: maps by key, and the keys of the access tokens of each user.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) sections: Typed,
    by_user: Map<String, Vec<String>>,
    /// Secrets by key, in a map of `std`, for hits.
    secrets: HashMap<String, Box<str>>,
    key: String,
}

impl Memory {
    pub(crate) fn of(sign_ins: impl Iterator<Item = SignIn>) -> Self {
        let mut memory = Self::default();
        sign_ins.for_each(|sign_in| memory.add(&sign_in));
        let secrets = memory.sections.access_token.iter();
        memory.secrets =
            secrets.map(|(key, it)| (key.clone(), it.secret.as_str().into())).collect();
        memory
    }

    pub(crate) fn hit(&mut self, probe: &Probe) -> usize {
        let Probe { home_account_id, realm, scopes, .. } = probe;
        access_token_key(&mut self.key, home_account_id, realm, scopes);
        self.secrets.get(&self.key).map_or(0, |secret| secret.len())
    }

    /// The length of the first secret that has these scopes.
    pub(crate) fn subset(&self, probe: &Probe, scopes: &[String]) -> usize {
        let has = |target: &str, wanted: &String| {
            target.split(' ').any(|scope| scope.eq_ignore_ascii_case(wanted))
        };
        let keys = self.by_user.get(&probe.home_account_id).map_or(&[][..], Vec::as_slice);
        let found = keys.iter().map(|key| &self.sections.access_token[key]).find(|it| {
            it.environment == ENVIRONMENT
                && it.client_id == CLIENT
                && it.realm == probe.realm
                && scopes.iter().all(|wanted| has(&it.target, wanted))
        });
        found.map_or(0, |it| it.secret.len())
    }

    pub(crate) fn refresh_token(&self, probe: &Probe) -> Option<&RefreshToken> {
        self.sections.refresh_token.get(&key_of(&probe.home_account_id, "refreshtoken", ""))
    }

    pub(crate) fn accounts(&self) -> Vec<Account> {
        let accounts = self.sections.account.values();
        accounts.filter(|it| it.environment == ENVIRONMENT).cloned().collect()
    }

    pub(crate) fn account(&self, probe: &Probe) -> Option<Account> {
        let key = account_key(&probe.home_account_id, &probe.realm);
        self.sections.account.get(&key).cloned()
    }

    pub(crate) fn add(&mut self, sign_in: &SignIn) {
        let records = records(sign_in);
        let keys = self.by_user.entry(records.home_account_id.clone()).or_default();
        if !keys.contains(&records.access_token.0) {
            keys.push(records.access_token.0.clone());
        }
        self.sections.insert(records);
    }

    pub(crate) fn sign_out(&mut self, probe: &Probe) {
        let (home, realm) = (&probe.home_account_id, &probe.realm);
        for key in self.by_user.remove(home).unwrap_or_default() {
            self.sections.access_token.remove(&key);
        }
        self.sections.refresh_token.remove(&key_of(home, "refreshtoken", ""));
        self.sections.id_token.remove(&key_of(home, "idtoken", realm));
        self.sections.account.remove(&account_key(home, realm));
    }
}

/// Identifies a version of a file.
#[derive(PartialEq)]
pub(crate) struct Stamp(u64, Option<std::time::SystemTime>);

pub(crate) fn stamp(path: &Path) -> Stamp {
    let found = fs::metadata(path).unwrap();
    Stamp(found.len(), found.modified().ok())
}

/// Opens the file and finds one token.
pub(crate) fn open_and_find(path: &Path, key: &str) -> usize {
    let bytes = fs::read(path).unwrap();
    let sections: Raw<'_> = serde_json::from_slice(&bytes).unwrap();
    let found = sections.access_token[key].get();
    serde_json::from_str::<AccessToken>(found).unwrap().secret.len()
}

/// A file that is decoded in memory and rewritten by each sign-in.
pub(crate) struct JsonFile<'p> {
    path: &'p Path,
    sections: Typed,
    stamp: Stamp,
    out: Vec<u8>,
}

impl<'p> JsonFile<'p> {
    pub(crate) fn open(path: &'p Path) -> Self {
        let sections = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        Self { path, sections, stamp: stamp(path), out: Vec::new() }
    }

    pub(crate) fn add(&mut self, sign_in: &SignIn) {
        let _lock = lock(self.path);
        assert!(self.stamp == stamp(self.path), "no other process writes here");
        self.sections.insert(records(sign_in));
        self.out.clear();
        serde_json::to_writer(&mut self.out, &self.sections).unwrap();
        write(self.path, &self.out);
        self.stamp = stamp(self.path);
    }
}

/// Reads, changes and writes a shared file.
pub(crate) fn add_to_shared(path: &Path, sign_in: &SignIn) {
    let _lock = lock(path);
    let mut sections: Typed = match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap(),
        Err(_) => Typed::default(),
    };
    sections.insert(records(sign_in));
    write(path, &serde_json::to_vec(&sections).unwrap());
}

/// Locks the file until the result is dropped.
fn lock(path: &Path) -> File {
    let path = path.with_extension("lock");
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
    file.lock().unwrap();
    file
}

fn write(path: &Path, bytes: &[u8]) {
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let mut file = File::create(&temporary).unwrap();
    file.write_all(bytes).unwrap();
    file.sync_all().unwrap();
    fs::rename(&temporary, path).unwrap();
    File::open(path.parent().unwrap()).unwrap().sync_all().unwrap();
}

/// Replaces the end of each token by a number, so that each sign-in writes new tokens.
pub(crate) fn renew(sign_in: &mut SignIn, number: usize) {
    for token in
        [Some(&mut sign_in.access_token), sign_in.refresh_token.as_mut()].into_iter().flatten()
    {
        token.truncate(token.len() - 10);
        write!(token, "{number:010}").unwrap();
    }
}

pub(crate) mod sqlite {
    //! A table of keys and values.

    use rusqlite::{Connection, TransactionBehavior};

    use super::{AccessToken, Path, Records, SignIn, Typed, records};

    const PUT: &str =
        "INSERT INTO e (k, v) VALUES (?1, ?2) ON CONFLICT (k) DO UPDATE SET v = excluded.v";

    pub(crate) fn open(path: &Path, synchronous: &str) -> Connection {
        let connection = Connection::open(path).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
        let table = "CREATE TABLE IF NOT EXISTS e (k TEXT PRIMARY KEY, v BLOB NOT NULL)";
        connection.execute_batch(&format!("PRAGMA synchronous = {synchronous}; {table}")).unwrap();
        connection
    }

    fn rows(records: &Records) -> impl Iterator<Item = (&str, Vec<u8>)> {
        fn row(record: &(String, impl serde::Serialize)) -> (&str, Vec<u8>) {
            (&record.0, serde_json::to_vec(&record.1).unwrap())
        }
        let refresh_token = records.refresh_token.as_ref().map(row);
        let others = [
            row(&records.access_token),
            row(&records.id_token),
            row(&records.account),
            row(&records.app_metadata),
        ];
        others.into_iter().chain(refresh_token)
    }

    pub(crate) fn add(connection: &mut Connection, sign_in: &SignIn) {
        let records = records(sign_in);
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let mut put = transaction.prepare_cached(PUT).unwrap();
        for row in rows(&records) {
            put.execute(row).unwrap();
        }
        drop(put);
        transaction.commit().unwrap();
    }

    /// Inserts all records in one transaction.
    pub(crate) fn fill(connection: &mut Connection, sections: &Typed) {
        let transaction = connection.transaction().unwrap();
        let mut put = transaction.prepare(PUT).unwrap();
        macro_rules! fill {
            ($($section:ident),*) => {$(
                for (key, record) in &sections.$section {
                    put.execute((key, serde_json::to_vec(record).unwrap())).unwrap();
                }
            )*};
        }
        fill!(access_token, account, id_token, refresh_token, app_metadata);
        drop(put);
        transaction.commit().unwrap();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    }

    pub(crate) fn find(connection: &Connection, key: &str) -> Vec<u8> {
        let mut find = connection.prepare_cached("SELECT v FROM e WHERE k = ?1").unwrap();
        find.query_row([key], |row| row.get(0)).unwrap()
    }

    pub(crate) fn open_and_find(path: &Path, key: &str) -> usize {
        let found = find(&Connection::open(path).unwrap(), key);
        serde_json::from_slice::<AccessToken>(&found).unwrap().secret.len()
    }
}
