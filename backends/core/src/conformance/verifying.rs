//! `TokenCache::verify` on the store.

use super::Harness;
use super::tools::{account, assert_holds, load, put, token};
use crate::internal::{now, verify};
use crate::{Partition, Ready};

/// A place that works passes the check that an app makes at its start, whether it is empty or not, and
/// holds afterwards what it held before. The partitions of others keep their revisions.
pub fn a_working_store_is_verified_and_left_as_it_was<H: Harness>() {
    let place = H::new();
    let (store, other) = (place.open(), place.open());
    let verified = || now(verify(&Ready(&store), 1_700_000_000)).expect("the store can be used");
    verified();
    assert_holds(&other, &[]);
    let records = [account("u", "k", "1"), token("u", "t", "1900000000"), account("v", "l", "2")];
    put(&other, &records);
    let before = load(&other, &Partition::user("u")).revision();
    verified();
    verified();
    assert_holds(&other, &records);
    assert_eq!(load(&other, &Partition::user("u")).revision(), before);
}
