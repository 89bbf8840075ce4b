//! What a listing returns.

use super::Harness;
use super::tools::{
    account, assert_holds, assert_same, delete, list, list_since, purge, put, put_one, record,
    token,
};
use crate::{CredentialType, Record};

/// A listing has exactly the records of its section, in all partitions; a listing of all sections
/// has all records. It is exact after each put and delete.
pub fn listings_are_exact<H: Harness>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let records = [
        account("u", "ku", "1"),
        account("v", "kv", "1"),
        token("u", "tu", "7"),
        token("v", "tv", "7"),
        record("RefreshToken", "r", r#"{"home_account_id":"u","client_id":"c"}"#),
        record("IdToken", "i", r#"{"home_account_id":"v","client_id":"c"}"#),
        record("AppMetadata", "m", r#"{"client_id":"c","environment":"e"}"#),
        record("AccessToken", "app", r#"{"client_id":"c","realm":"r"}"#),
        record("AccessToken", "ext", r#"{"client_id":"c","realm":"r","ext_cache_key":"x"}"#),
        record("Account", "unowned", "{}"),
        record("Invented", "x", r#"{"home_account_id":"u"}"#),
        record("Invented", "y", r#"{"client_id":"c"}"#),
        record("", "version", "3"),
    ];
    let mut held = Vec::new();
    for record in &records {
        put_one(&store, record);
        held.push(record.clone());
        assert_holds(&store, &held);
    }
    assert_holds(&other, &held);
    let absent = CredentialType::from("Absent");
    assert_same("an absent section", list(&store, Some(&absent)).records(), &[]);
    while !held.is_empty() {
        delete(&store, &[held.remove(held.len() / 2)]);
        assert_holds(&store, &held);
    }
    assert_holds(&other, &held);
}

/// A listing is `Unchanged` to a caller that knows its revision, until the section changes: in any
/// partition, by any verb, through any handle.
pub fn a_listing_is_unchanged_until_something_changes<H: Harness>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let mut tokens = vec![token("u", "a", "50"), token("v", "b", "150")];
    put(&store, &tokens);
    let section = CredentialType::AccessToken;
    let changes: [Mutation<'_>; 7] = [
        &|held| {
            held.push(token("u", "c", "150"));
            put_one(&store, &held[2]);
        },
        &|held| {
            held[1] = token("v", "b", "151");
            put_one(&store, &held[1]);
        },
        &|held| {
            held.push(record("AccessToken", "d", r#"{"client_id":"c"}"#));
            put_one(&other, &held[3]);
        },
        &|held| drop(delete(&other, &[held.remove(1)])),
        &|held| {
            held.remove(0);
            assert_eq!(purge(&store, 100), 1);
        },
        &|held| {
            held.remove(0);
            assert_eq!(purge(&other, 200), 1);
        },
        &|held| drop(delete(&store, &[held.remove(0)])),
    ];
    for (at, change) in changes.iter().enumerate() {
        for listed in [Some(&section), None] {
            let before = list(&store, listed).revision();
            assert!(list_since(&store, listed, before).is_none(), "before change {at}");
        }
        let before = [Some(&section), None].map(|it| (it, list(&store, it).revision()));
        change(&mut tokens);
        for (listed, before) in before {
            let after = list_since(&store, listed, before);
            let after = after.unwrap_or_else(|| panic!("`Unchanged` after change {at}"));
            assert_same(&format!("after change {at}"), after.records(), &tokens);
            assert!(list_since(&store, listed, after.revision()).is_none(), "after change {at}");
        }
    }
}

/// The listing of all sections changes with each section, also with those not in the schema.
pub fn a_change_in_any_section_changes_the_full_listing<H: Harness>() {
    let place = H::new();
    let store = place.open();
    let mut known = list(&store, None).revision();
    for section in ["AccessToken", "Account", "IdToken", "RefreshToken", "AppMetadata", "X", ""] {
        put_one(&store, &record(section, "k", "3"));
        let now = list_since(&store, None, known);
        known = now.unwrap_or_else(|| panic!("`Unchanged` after {section:?}")).revision();
    }
}

/// Changes records, in the store and in the list of expected records.
type Mutation<'a> = &'a dyn Fn(&mut Vec<Record>);
