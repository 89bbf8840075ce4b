//! The file store and the SQLite store give the same answer about who can be trusted with a cache,
//! whoever owns what is on the way to it. This needs root, to act as two other users:
//! `sudo cargo test -p msal-cache --all-features --test trust_users`, or as `.ci/run` does it.
#![cfg(unix)]
#![allow(missing_docs, reason = "a test")]

mod leftovers;
mod situations;
mod table;

#[test]
fn p7_both_stores_trust_the_same_files_whoever_owns_them() {
    if situations::is_job() {
        return;
    }
    assert!(rustix::process::geteuid().is_root(), "this test acts as other users: run it as root");
    let tried = situations::of_all_users("p7_both_stores_trust_the_same_files_whoever_owns_them");
    println!("P7: {tried} situations of three users; both stores give the same answer");
    assert!(tried >= 60, "{tried}");
}
