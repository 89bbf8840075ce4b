//! No output contains a secret.

use std::fmt::Debug;

use super::Harness;
use super::tools::{account, commit, deletes, list, load, put, puts, token};
use crate::{CacheStore, Expect, Partition, Revision};

const SECRET: &str = "CANARY";

/// `Debug` and error messages contain no values: of the store before and after it has read and
/// written, of what it returns, and of its errors.
pub fn debug_output_contains_no_values<H: Harness>() {
    let place = H::new();
    let store = place.open();
    assert_silent("a new store", &store);
    let records = [account("u", "k", SECRET), token("u", "l", &format!("\"{SECRET}\""))];
    let batch = puts(Expect::Any, &records);
    assert_silent("a batch", &batch);
    assert_silent("the result of a commit", &commit(&store, &batch));
    assert_silent("a store that has written", &store);
    let reader = place.open();
    assert_silent("a load", &load(&reader, &Partition::user("u")));
    assert_silent("a listing", &list(&reader, None));
    assert_silent("a store that has read", &reader);

    let stale = puts(Expect::Revision(Revision::unique()), &records);
    let error = store.commit(&stale).expect_err("the store never returned that revision");
    assert_silent("a conflict", &error);
    assert!(!error.to_string().contains(SECRET), "a conflict contains a value");
    assert_silent("a store after a conflict", &store);
    put(&store, &[account("u", "k", &SECRET.repeat(100))]);
    commit(&store, &deletes(Expect::Any, &records));
    assert_silent("a store that has deleted", &store);
}

#[track_caller]
pub(super) fn assert_silent(what: &str, it: &dyn Debug) {
    for printed in [format!("{it:?}"), format!("{it:#?}")] {
        assert!(!printed.contains(SECRET), "the output of {what} contains a value: {printed}");
    }
}
