//! The conformance suite on records that are encrypted.

use std::ffi::{OsStr, OsString};

use msal_cache_core::Blocking;
use msal_cache_core::conformance::{Guarding, Harness, Persistent, Processes};
use msal_cache_postgres::PostgresStore;
use msal_cache_sealed::{Key, KeyRing, Sealed};

use crate::conformance::Schema;
use crate::support::{builder, raw, runtime};

/// The same keys in each process of a test.
fn keys() -> KeyRing {
    let key = |byte| Key::from_bytes(&[byte; 32]).unwrap();
    KeyRing::new([(1, key(1)), (7, key(7))]).unwrap()
}

fn open<const HIDDEN: bool>(schema: &str) -> Blocking<Sealed<PostgresStore>> {
    let connected = async {
        let store = builder(schema).connect().await?;
        let sealed = Sealed::new(store, "conformance", keys());
        Ok(if HIDDEN { sealed.hide_names() } else { sealed })
    };
    Blocking::connect(connected).expect("the server answers")
}

struct Place<const HIDDEN: bool>(Schema);

impl<const HIDDEN: bool> Harness for Place<HIDDEN> {
    type Store = Blocking<Sealed<PostgresStore>>;

    fn new() -> Self {
        Self(Schema::new())
    }

    fn open(&self) -> Self::Store {
        open::<HIDDEN>(self.0.name())
    }
}

impl<const HIDDEN: bool> Persistent for Place<HIDDEN> {}

impl<const HIDDEN: bool> Guarding for Place<HIDDEN> {}

impl<const HIDDEN: bool> Processes for Place<HIDDEN> {
    fn address(&self) -> OsString {
        self.0.name().into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        open::<HIDDEN>(address.to_str().unwrap())
    }
}

// With legible names: on a Redis server, where it takes less time.
mod hidden_names {
    msal_cache_core::conformance!(super::Place<true>: Persistent, Guarding, Processes);
}

/// All rows of the tables of a schema, as text.
fn dump(schema: &str) -> String {
    runtime().block_on(async {
        let client = raw().await;
        let mut all = String::new();
        let tables = client
            .query(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = $1",
                &[&schema],
            )
            .await
            .unwrap();
        assert!(tables.len() > 2);
        for table in tables {
            let table: &str = table.get(0);
            let sql =
                format!(r#"SELECT encode(t::text::bytea, 'escape') FROM {schema}."{table}" t"#);
            for row in client.query(&sql, &[]).await.unwrap() {
                all.push_str(row.get(0));
            }
        }
        all
    })
}

/// Whether the dump has a text, which is the content of a column of bytes: in hexadecimal digits.
fn contains(dump: &str, text: &str) -> bool {
    let digits: Vec<_> = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    dump.contains(&digits.concat()) || dump.contains(text)
}

#[test]
fn p17_no_token_and_no_hidden_name_is_legible_in_the_tables() {
    let [plain, sealed, hidden] = [Schema::new(), Schema::new(), Schema::new()];
    crate::rows::put(&plain.open(), "user-canary", "key-canary", "secret-canary");
    crate::rows::put(&open::<false>(sealed.name()), "user-canary", "key-canary", "secret-canary");
    crate::rows::put(&open::<true>(hidden.name()), "user-canary", "key-canary", "secret-canary");
    // The search finds what is there.
    let shown = dump(plain.name());
    assert!(contains(&shown, "secret-canary") && contains(&shown, "key-canary"));
    let shown = dump(sealed.name());
    assert!(!contains(&shown, "secret-canary") && contains(&shown, "key-canary"));
    assert!(!contains(&dump(hidden.name()), "canary"));
}
