//! Row-level security: each role sees the cache that has its name.

use msal_cache_core::{Batch, Blocking, CacheStore, Expect, Load, Partition};
use msal_cache_postgres::{PostgresFailure, PostgresStore};

use crate::rows::{load, put, record};
use crate::support::{builder, cause, execute, new_schema, url};

#[test]
fn roles_of_different_caches_do_not_see_each_other() {
    let schema = new_schema();
    let owner = Blocking::connect(builder(&schema).connect()).unwrap();
    let roles = ["one", "two"].map(|name| format!("{schema}_{name}"));
    execute(&builder(&schema).row_level_security().unwrap());
    for role in &roles {
        execute(&format!("CREATE ROLE {role} LOGIN; {}", builder(&schema).grants(role).unwrap()));
    }
    let open = |role: &str, name: &str| {
        let own = PostgresStore::builder(url().replace("msal@", &format!("{role}@")));
        let own = own.schema(&schema).name(name).create_tables(false);
        Blocking::connect(own.connect()).unwrap()
    };
    for role in &roles {
        let store = open(role, role);
        put(&store, "u", "k", role);
        assert_eq!(load(&store, "u").len(), 1);
        assert_eq!(store.purge(0).unwrap(), 0);
    }
    // The first role asks for the cache of the second one.
    let foreign = open(&roles[0], &roles[1]);
    assert!(load(&foreign, "u").is_empty());
    let Load::Snapshot(listed) = foreign.list(None, None).unwrap() else { panic!() };
    assert!(listed.records().is_empty());
    let own = record("u", "k", "x");
    let mut batch = Batch::new();
    batch.change(Partition::user("u"), Expect::Any).put(own);
    let refused = foreign.commit(&batch).unwrap_err();
    assert!(matches!(cause(&refused), PostgresFailure::Permission { .. }), "{refused:?}");
    assert!(load(&open(&roles[1], &roles[1]), "u")[0].value().expose().contains(&roles[1]));
    drop(owner);
}
