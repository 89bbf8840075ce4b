//! The conformance suite.

use std::ffi::{OsStr, OsString};

use msal_cache_core::conformance::{Faults, Guarding, Harness, Persistent, Processes};
use msal_cache_core::{Blocking, CacheStore, conformance};
use msal_cache_postgres::PostgresStore;

use crate::support::{execute, new_schema, open};

/// A schema, which is dropped at the end.
pub(crate) struct Schema(String);

impl Schema {
    pub(crate) fn name(&self) -> &str {
        &self.0
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", self.0));
    }
}

impl Harness for Schema {
    type Store = Blocking<PostgresStore>;

    fn new() -> Self {
        Self(new_schema())
    }

    fn open(&self) -> Self::Store {
        open(&self.0)
    }
}

impl Persistent for Schema {}

impl Guarding for Schema {}

impl Processes for Schema {
    fn address(&self) -> OsString {
        (&self.0).into()
    }

    fn open_at(address: &OsStr) -> Self::Store {
        open(address.to_str().unwrap())
    }
}

impl Faults for Schema {
    fn open_failing(&self) -> Vec<Box<dyn CacheStore>> {
        let failing = self.open();
        // Only a commit that has to fail puts a record with this key. It fails at its last statement.
        execute(&format!(
            "CREATE FUNCTION {0}.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF EXISTS (SELECT 1 FROM {0}.msal_records WHERE key = 'kw') THEN \
             RAISE EXCEPTION 'no'; END IF; RETURN new; END $$; \
             CREATE TRIGGER fail BEFORE UPDATE OR INSERT ON {0}.msal_sessions \
             FOR EACH ROW EXECUTE FUNCTION {0}.fail()",
            self.0
        ));
        vec![Box::new(failing)]
    }
}

mod schema {
    msal_cache_core::conformance!(super::Schema: Guarding, Persistent, Processes, Faults);
}

/// Two caches in the same tables.
struct Neighbour(Schema);

impl Harness for Neighbour {
    type Store = Blocking<PostgresStore>;

    fn new() -> Self {
        let schema = Schema::new();
        let neighbour = schema.open();
        conformance_neighbour(&neighbour);
        Self(schema)
    }

    fn open(&self) -> Self::Store {
        let builder = crate::support::builder(&self.0.0).name("another");
        Blocking::connect(builder.connect()).unwrap()
    }
}

fn conformance_neighbour(store: &Blocking<PostgresStore>) {
    crate::rows::put(store, "u", "k", "a neighbour");
}

mod beside_another_cache {
    msal_cache_core::conformance!(super::Neighbour);
}

#[test]
fn the_suite_is_not_empty() {
    assert!(conformance::cases::<Schema>().len() > 30);
}
