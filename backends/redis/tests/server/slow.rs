//! Calls that can be repeated: listings, and what runs in the background. `blocking.rs` makes a server with
//! many users for them.

use std::collections::BTreeSet;
use std::time::Instant;

use msal_cache_core::{CacheStore, CredentialType, Load};
use redis::{Connection, Script, Value};

use crate::support::snapshot;

/// The calls in the log of slow ones, with their arguments.
fn slow(connection: &mut Connection) -> BTreeSet<String> {
    let log: Vec<Vec<Value>> =
        redis::cmd("SLOWLOG").arg("GET").arg("-1").query(connection).unwrap();
    log.into_iter().map(|entry| format!("{:?}", entry[3])).collect()
}

/// Makes the same calls up to ten times. On a machine that does other work too, any call can be slow once.
/// One that is slow each time blocks the server by itself.
fn blocks_briefly(connection: &mut Connection, name: &str, mut calls: impl FnMut()) {
    let mut always: Option<BTreeSet<String>> = None;
    for round in 1..=10 {
        redis::cmd("SLOWLOG").arg("RESET").exec(connection).unwrap();
        let started = Instant::now();
        calls();
        let (took, now) = (started.elapsed(), slow(connection));
        println!("{name}, round {round}: {took:?}, {} calls took over 2 ms", now.len());
        let both = match &always {
            Some(always) => always.intersection(&now).cloned().collect(),
            None => now,
        };
        if both.is_empty() {
            return;
        }
        always = Some(both);
    }
    panic!("{name}: {always:?}");
}

/// Checks listings, and heartbeats that read many changes, of the cache `default` with two records for each
/// user.
pub(crate) fn listings_and_heartbeats_block_briefly(
    store: &impl CacheStore,
    [connection, beats]: [&mut Connection; 2],
    users: usize,
) {
    let listed = |section| snapshot(store.list(section, None).unwrap());
    let mut revision = None;
    blocks_briefly(connection, "list all", || {
        let all = listed(None);
        assert_eq!(all.records().len(), 2 * users);
        revision = Some(all.revision());
    });
    blocks_briefly(connection, "list a section", || {
        assert_eq!(listed(Some(&CredentialType::AccessToken)).records().len(), users);
    });
    blocks_briefly(connection, "list unchanged", || {
        assert_eq!(store.list(None, revision).unwrap(), Load::Unchanged);
    });
    let heartbeat = Script::new(include_str!("../../src/scripts/heartbeat.lua"));
    blocks_briefly(connection, "heartbeats", || {
        // From the first change on, as many pages as a process reads.
        let (mut known, mut names) = ("1".to_owned(), 0);
        for _ in 0..40 {
            let mut call = heartbeat.key("{msal:default}:meta");
            call.key("{msal:default}:parts").key("{msal:default}:gone").arg(&known).arg(400);
            let beat: (String, String, u8, Vec<String>) = call.invoke(beats).unwrap();
            known = beat.1;
            names += beat.3.len();
        }
        assert!(names > users.min(15_000) / 2, "{names}");
    });
}
