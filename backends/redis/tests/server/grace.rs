//! Guards whose holder can't renew them, since the server is away.

use std::time::{Duration, Instant};

use msal_cache_core::{CacheStore, Error, Expect, Partition};

use crate::servers::Server;
use crate::support::{puts, token};

#[test]
fn after_an_outage_that_is_longer_than_a_lease_its_holder_stores_first() {
    let mut server = Server::start(&["--appendonly", "yes", "--appendfsync", "always"]);
    let (holder, other) = (server.open().unwrap(), server.open().unwrap());
    let users = ["living", "dead"].map(Partition::user);
    let held = holder.guard(&users[0], Duration::ZERO).unwrap();
    // Its runtime ends, as with a process.
    let dying = server.open().unwrap();
    let lost = dying.guard(&users[1], Duration::ZERO).unwrap();
    drop(dying);
    server.kill();
    std::thread::sleep(Duration::from_millis(3500));
    server.restart();
    let connected = Instant::now();
    for user in &users {
        let refused = other.guard(user, Duration::ZERO);
        assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    }
    holder.commit(&puts(Expect::Any, &[token("living", "k", "new")])).unwrap();
    drop(other.guard(&users[1], Duration::from_secs(60)).unwrap());
    assert!(connected.elapsed() > Duration::from_millis(2900), "{:?}", connected.elapsed());
    // The other one is renewed again.
    let refused = other.guard(&users[0], Duration::from_secs(1));
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    drop(held);
    drop(other.guard(&users[0], Duration::from_secs(60)).unwrap());
    drop(lost);
}
