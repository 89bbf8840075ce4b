//! A cluster of three nodes: all keys of a cache are on one of them, which may change.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use msal_cache_core::{Blocking, CacheStore, Expect, Partition};
use msal_cache_redis::RedisStore;

use crate::servers::Server;
use crate::support::{puts, snapshot, token};

const SLOTS: u16 = 16_384;

struct Cluster {
    nodes: Vec<Server>,
}

impl Cluster {
    fn start() -> Self {
        let nodes: Vec<_> = (0..3).map(|_| Server::start_node()).collect();
        for (node, range) in nodes.iter().zip([0..5000, 5000..11_000, 11_000..SLOTS]) {
            let slots: Vec<_> = range.map(|slot: u16| slot.to_string()).collect();
            node.run::<()>(&format!("CLUSTER ADDSLOTS {}", slots.join(" "))).unwrap();
            node.run::<()>(&format!("CLUSTER MEET 127.0.0.1 {}", nodes[0].port)).unwrap();
        }
        let cluster = Self { nodes };
        until("the cluster is complete", || {
            cluster.nodes.iter().all(|node| {
                let info: String = node.run("CLUSTER INFO").unwrap();
                info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3")
            })
        });
        cluster
    }

    /// A store that is given one node, whichever has the cache.
    fn open(&self, node: usize) -> Blocking<RedisStore> {
        let address = format!("redis://127.0.0.1:{}", self.nodes[node].port);
        Blocking::connect(RedisStore::builder(address).connect()).unwrap()
    }

    /// The node that has the cache.
    fn owner(&self) -> usize {
        let has = |node: &Server| node.run::<bool>("EXISTS {msal:default}:meta").unwrap_or(false);
        self.nodes.iter().position(has).unwrap()
    }
}

pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(30), "not yet: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_cache_in_a_cluster_is_found_by_each_node() {
    let cluster = Cluster::start();
    let stores: Vec<_> = (0..3).map(|node| cluster.open(node)).collect();
    for (n, store) in stores.iter().enumerate() {
        let records = [token("u", &format!("k{n}"), "x"), token("v", &format!("l{n}"), "x")];
        store.commit(&puts(Expect::Any, &records)).unwrap();
        drop(store.guard(&Partition::user("u"), Duration::from_secs(60)).unwrap());
        assert_eq!(store.purge(100).unwrap(), 0);
    }
    for store in &stores {
        assert_eq!(snapshot(store.list(None, None).unwrap()).records().len(), 6);
        assert!(store.get_ref().is_tracking());
    }
}

/// The redirections that a slot on its way leads to.
const REDIRECTIONS: [&str; 3] = ["MOVED", "ASK", "TRYAGAIN"];

/// How often the nodes have replied with each of them.
fn redirections(cluster: &Cluster) -> [u64; 3] {
    let stats = |node: &Server| node.run::<String>("INFO errorstats").unwrap();
    let stats: Vec<_> = cluster.nodes.iter().map(stats).collect();
    REDIRECTIONS.map(|code| {
        let name = format!("errorstat_{code}:count=");
        let counts = stats.iter().filter_map(|it| it.lines().find_map(|it| it.strip_prefix(&name)));
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    })
}

/// Moves the slot of the cache from a node to the next one, as `redis-cli --cluster reshard` does.
fn move_slot(cluster: &Cluster, from: usize, pause: Duration) {
    let to = (from + 1) % 3;
    let (source, target) = (&cluster.nodes[from], &cluster.nodes[to]);
    let id = |node: &Server| node.run::<String>("CLUSTER MYID").unwrap();
    let slot: u16 = source.run("CLUSTER KEYSLOT {msal:default}:meta").unwrap();
    target.run::<()>(&format!("CLUSTER SETSLOT {slot} IMPORTING {}", id(source))).unwrap();
    source.run::<()>(&format!("CLUSTER SETSLOT {slot} MIGRATING {}", id(target))).unwrap();
    loop {
        let keys: Vec<String> = source.run(&format!("CLUSTER GETKEYSINSLOT {slot} 10")).unwrap();
        if keys.is_empty() {
            // Until the nodes know the new owner, the old one names it for each call.
            let asked = redirections(cluster)[1];
            until("a call is redirected by ASK", || redirections(cluster)[1] > asked);
            break;
        }
        let keys = keys.join(" ");
        source
            .run::<()>(
                &format!("MIGRATE 127.0.0.1 {} - 0 5000 KEYS {keys}", target.port)
                    .replace(" - ", "  "),
            )
            .unwrap();
        std::thread::sleep(pause);
    }
    for node in [target, source, &cluster.nodes[(to + 1) % 3]] {
        node.run::<()>(&format!("CLUSTER SETSLOT {slot} NODE {}", id(target))).unwrap();
    }
}

/// Stops a writer, also if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn commits_survive_resharding_and_local_answers_end() {
    let cluster = Cluster::start();
    let (store, other) = (cluster.open(0), cluster.open(1));
    for n in 0..200 {
        let record = token(&format!("u{n}"), &format!("k{n}"), "x");
        store.commit(&puts(Expect::Any, &[record])).unwrap();
    }
    let user = Partition::user("u0");
    let known = snapshot(store.load(&user, None).unwrap()).revision();
    let stop = AtomicBool::new(false);
    let (owner, before) = (cluster.owner(), redirections(&cluster));
    let written = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::SeqCst) {
                let key = format!("w{}", written.load(Ordering::SeqCst));
                other.commit(&puts(Expect::Any, &[token("written", &key, "x")])).unwrap();
                written.fetch_add(1, Ordering::SeqCst);
            }
        });
        let stops = Stop(&stop);
        for (nth, pause) in [1, 20].into_iter().enumerate() {
            move_slot(&cluster, (owner + nth) % 3, Duration::from_millis(pause));
            let before = written.load(Ordering::SeqCst);
            until("the writer continues", || written.load(Ordering::SeqCst) > before);
        }
        drop(stops);
    });
    let written = written.into_inner();
    let after = redirections(&cluster);
    let met: [u64; 3] = std::array::from_fn(|at| after[at] - before[at]);
    println!("two moves of a slot during {written} commits: {REDIRECTIONS:?} {met:?}, 0 lost");
    assert!(met[0] > 0 && met[1] > 0, "{REDIRECTIONS:?}: {met:?}");
    let found = snapshot(store.load(&Partition::user("written"), None).unwrap());
    assert_eq!(found.records().len(), written);
    assert_eq!(snapshot(store.list(None, None).unwrap()).records().len(), 200 + written);
    other.commit(&puts(Expect::Any, &[token("u0", "k0", "changed")])).unwrap();
    let started = Instant::now();
    while store.is_unchanged(&user, known) {
        assert!(started.elapsed() < Duration::from_millis(900), "a local answer of another node");
    }
    assert_ne!(snapshot(store.load(&user, None).unwrap()).revision(), known);
}

#[test]
fn a_cache_is_found_after_a_failover_in_a_cluster() {
    let mut cluster = Cluster::start();
    let store = cluster.open(0);
    store.commit(&puts(Expect::Any, &[token("u", "k", "x")])).unwrap();
    let owner = cluster.owner();
    let id: String = cluster.nodes[owner].run("CLUSTER MYID").unwrap();
    let replica = Server::start_node();
    replica.run::<()>(&format!("CLUSTER MEET 127.0.0.1 {}", cluster.nodes[0].port)).unwrap();
    until("the replica follows", || replica.run::<()>(&format!("CLUSTER REPLICATE {id}")).is_ok());
    until("the replica is up to date", || {
        let info: String = replica.run("INFO replication").unwrap();
        info.contains("master_link_status:up") && replica.run::<i64>("DBSIZE").unwrap() > 0
    });
    let store = {
        drop(store);
        // It is given the node that ends, and another one.
        let ports = [owner, (owner + 1) % 3].map(|node| cluster.nodes[node].port);
        let address = format!("redis://127.0.0.1:{},127.0.0.1:{}", ports[0], ports[1]);
        Blocking::connect(RedisStore::connect(address)).unwrap()
    };
    // All nodes have to know the replica before its primary ends.
    std::thread::sleep(Duration::from_secs(2));
    cluster.nodes[owner].kill();
    let user = Partition::user("u");
    until("the replica has taken over", || store.load(&user, None).is_ok());
    assert_eq!(snapshot(store.load(&user, None).unwrap()).records().len(), 1);
    until("it can be written", || {
        store.commit(&puts(Expect::Any, &[token("u", "k", "y")])).is_ok()
    });
}
