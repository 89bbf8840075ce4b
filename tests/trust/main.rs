//! The file store and the SQLite store give the same answer about who can be trusted with a cache:
//! the situations that need no user but this one. `users.rs` tries all of them.
#![cfg(unix)]
#![allow(missing_docs, reason = "a test")]

mod situations;
mod table;

#[test]
fn p7_both_stores_trust_the_same_files_of_this_user() {
    let tried = situations::of_this_user();
    println!("P7: {tried} situations of one user; both stores give the same answer");
    assert!(tried >= 30, "{tried}");
}
