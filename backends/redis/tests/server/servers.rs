//! Servers that a test starts for itself: full ones, killed ones, ones with TLS.

use std::fs;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use msal_cache_core::{Blocking, CacheStore, Error, Expect, Partition, Result, Revision};
use msal_cache_redis::{RedisFailure, RedisStore};

use crate::failures::failure;
use crate::support::{puts, snapshot, token};

/// A server on a port and in a folder of its own.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    folder: PathBuf,
    options: Vec<String>,
}

impl Server {
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_on(free_port(), options)
    }

    /// A node of a cluster, which also needs the port that is larger by 10,000.
    pub(crate) fn start_node() -> Self {
        let port = loop {
            let port = free_port();
            if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
                break port;
            }
        };
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        Self::start_on(port, &options)
    }

    /// A sentinel of a primary, which is called `mine`.
    pub(crate) fn start_sentinel(primary: u16, quorum: u32) -> Self {
        let port = free_port();
        let folder = std::env::temp_dir().join(format!("msal-cache-redis-{port}"));
        fs::create_dir_all(&folder).unwrap();
        let config = format!(
            "sentinel monitor mine 127.0.0.1 {primary} {quorum}\n\
             sentinel down-after-milliseconds mine 500\n\
             sentinel failover-timeout mine 3000\n"
        );
        fs::write(folder.join("sentinel.conf"), config).unwrap();
        Self::start_on(port, &["--sentinel"])
    }

    fn start_on(port: u16, options: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("msal-cache-redis-{port}"));
        fs::create_dir_all(&folder).unwrap();
        let options: Vec<_> = options.iter().map(|it| (*it).to_owned()).collect();
        let child = Self::spawn(port, &folder, &options);
        Self { child, port, folder, options }
    }

    fn spawn(port: u16, folder: &PathBuf, options: &[String]) -> Child {
        let program = std::env::var("MSAL_CACHE_REDIS_SERVER").unwrap_or("redis-server".into());
        let mut server = Command::new(program);
        if let [sentinel, ..] = options
            && sentinel == "--sentinel"
        {
            server.arg(folder.join("sentinel.conf"));
        }
        server.args(["--bind", "127.0.0.1", "--port"]).arg(port.to_string());
        if !options.iter().any(|it| it == "--sentinel" || it == "--save") {
            server.args(["--save", ""]);
        }
        server.arg("--dir").arg(folder).args(options).stdout(Stdio::null());
        let child = server.spawn().expect("tests/servers/redis installs the server");
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "the server doesn't start");
            std::thread::sleep(Duration::from_millis(20));
        }
        child
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = Self::spawn(self.port, &self.folder, &self.options);
    }

    /// Runs a command, whose words are separated by spaces.
    pub(crate) fn run<T: redis::FromRedisValue>(&self, words: &str) -> redis::RedisResult<T> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port))?;
        let mut words = words.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap());
        for word in words {
            cmd.arg(word);
        }
        cmd.query(&mut client.get_connection()?)
    }

    pub(crate) fn open(&self) -> Result<Blocking<RedisStore>> {
        Blocking::connect(RedisStore::connect(format!("redis://127.0.0.1:{}", self.port)))
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_server_that_evicts_keys_without_an_expiry_is_refused() {
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
        let server = Server::start(&["--maxmemory-policy", policy]);
        let refused = server.open().unwrap_err();
        assert!(matches!(failure(&refused), RedisFailure::Evicts { .. }), "{refused:?}");
        assert!(failure(&refused).to_string().contains(policy));
    }
    for policy in ["noeviction", "volatile-lru", "volatile-ttl"] {
        Server::start(&["--maxmemory-policy", policy]).open().unwrap();
    }
}

#[test]
fn on_a_full_server_sign_ins_fail_as_a_whole_and_users_can_sign_out() {
    let server = Server::start(&["--maxmemory", "5mb"]);
    let store = server.open().unwrap();
    let large = "x".repeat(20_000);
    let mut stored = Vec::new();
    let refused = loop {
        let n = stored.len();
        let records =
            [token(&format!("u{n}"), &format!("k{n}"), &large), token("all", &format!("a{n}"), "")];
        match store.commit(&puts(Expect::Any, &records)) {
            Ok(_) => stored.push(records),
            Err(error) => break error,
        }
        assert!(stored.len() < 1000, "the memory is not limited");
    };
    assert!(matches!(failure(&refused), RedisFailure::OutOfMemory { .. }), "{refused:?}");
    assert_eq!(snapshot(store.list(None, None).unwrap()).records().len(), stored.len() * 2);
    // A new process can connect, too.
    let other = server.open().unwrap();
    for [record, _] in stored.drain(..stored.len() / 2) {
        let mut batch = msal_cache_core::Batch::new();
        batch.change(record.partition(), Expect::Any).delete_record(&record);
        other.commit(&batch).unwrap();
    }
    store.commit(&puts(Expect::Any, &[token("new", "k", "x")])).unwrap();
}

/// With `always`, nothing is lost. Otherwise, the last commits may be: with `everysec`, the server
/// holds back what it writes while the disk is busy; a snapshot has what was there when it was made.
/// What is there afterwards is what one of the commits left.
#[test]
fn a_server_that_is_killed_has_the_commits_that_its_persistence_promises() {
    for (name, options) in [
        ("appendfsync always", ["--appendonly", "yes", "--appendfsync", "always"]),
        ("appendfsync everysec", ["--appendonly", "yes", "--appendfsync", "everysec"]),
        ("a snapshot each second", ["--save", "1 1", "--appendonly", "no"]),
    ] {
        let mut server = Server::start(&options);
        let store = server.open().unwrap();
        let (user, mut written, mut lost) = (Partition::user("u"), 0, 0);
        // After how many commits there is which revision.
        let mut revisions = vec![Revision::ABSENT];
        for _ in 0..3 {
            for _ in 0..200 {
                let record = token("u", &format!("k{written}"), "x");
                revisions.push(store.commit(&puts(Expect::Any, &[record])).unwrap()[0]);
                written += 1;
            }
            server.kill();
            let down = store.load(&user, None).unwrap_err();
            assert!(matches!(failure(&down), RedisFailure::Unreachable { .. }), "{down:?}");
            assert!(matches!(down, Error::Unavailable { .. }) && down.is_retryable());
            server.restart();
            // The server may still be loading its file.
            let started = Instant::now();
            let found = loop {
                match store.load(&user, None) {
                    Ok(load) => break snapshot(load),
                    Err(_) if started.elapsed() < Duration::from_secs(10) => {}
                    Err(error) => panic!("{error:?}"),
                }
            };
            let remaining = found.records().len();
            assert_eq!(found.revision(), revisions[remaining], "{name}: a state that never was");
            lost += revisions.len() - 1 - remaining;
            revisions.truncate(remaining + 1);
        }
        println!("{name}: {lost} of {written} acknowledged commits lost");
        assert!(lost == 0 || !name.ends_with("always"), "{name}: {lost} lost");
    }
}

#[test]
fn a_failover_loses_no_commit_that_replicas_have_confirmed() {
    let mut primary = Server::start(&["--repl-diskless-sync-delay", "0"]);
    let replica = Server::start(&["--replicaof", "127.0.0.1", &primary.port.to_string()]);
    let on_replica = |command: &str| -> String {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", replica.port)).unwrap();
        let mut connection = client.get_connection().unwrap();
        let mut words = command.split(' ');
        let mut cmd = redis::cmd(words.next().unwrap());
        for word in words {
            cmd.arg(word);
        }
        cmd.query(&mut connection).unwrap()
    };
    let started = Instant::now();
    while !on_replica("INFO replication").contains("master_link_status:up") {
        assert!(started.elapsed() < Duration::from_secs(20), "the replica doesn't follow");
        std::thread::sleep(Duration::from_millis(50));
    }
    let timeout = Duration::from_secs(2);
    let address = format!("redis://127.0.0.1:{}", primary.port);
    let builder = RedisStore::builder(address).replicas(1).timeout(timeout);
    let store = Blocking::connect(builder.connect()).unwrap();
    let refused = replica.open().unwrap_err();
    assert!(matches!(failure(&refused), RedisFailure::ReadOnly { .. }), "{refused:?}");
    for n in 0..500 {
        store.commit(&puts(Expect::Any, &[token("u", &format!("k{n}"), "x")])).unwrap();
    }
    // A replica that is behind: the commit is applied, and the error tells that it may be lost.
    let signal = |name: &str| {
        let kill = Command::new("kill").arg(name).arg(replica.child.id().to_string()).status();
        assert!(kill.unwrap().success());
    };
    signal("-STOP");
    let behind = store.commit(&puts(Expect::Any, &[token("u", "late", "x")])).unwrap_err();
    primary.kill();
    signal("-CONT");
    let RedisFailure::NotReplicated { copies: 0, replicas: 1, .. } = failure(&behind) else {
        panic!("{behind:?}");
    };
    on_replica("REPLICAOF NO ONE");
    let found = snapshot(replica.open().unwrap().load(&Partition::user("u"), None).unwrap());
    assert!(found.records().len() >= 500, "{} commits", found.records().len());
}

#[test]
fn without_persistence_a_restart_loses_the_data_and_no_revision_returns() {
    let mut server = Server::start(&[]);
    let store = server.open().unwrap();
    let put = puts(Expect::Any, &[token("u", "k", "x")]);
    let revision = store.commit(&put).unwrap()[0];
    server.kill();
    server.restart();
    let lost = snapshot(store.load(&Partition::user("u"), Some(revision)).unwrap());
    assert!(lost.records().is_empty());
    let late = puts(Expect::Revision(revision), &[token("u", "k", "y")]);
    assert!(matches!(store.commit(&late), Err(Error::Conflict)));
    assert_ne!(store.commit(&put).unwrap()[0], revision);
}

/// The certificate is trusted by the environment of a process, so the test starts itself again.
#[test]
fn a_connection_with_tls_checks_the_certificate() {
    const ADDRESS: &str = "MSAL_CACHE_REDIS_TLS";
    if let Ok(address) = std::env::var(ADDRESS) {
        let store = Blocking::connect(RedisStore::connect(address)).unwrap();
        store.commit(&puts(Expect::Any, &[token("u", "k", "x")])).unwrap();
        return;
    }
    let folder = std::env::temp_dir().join(format!("msal-cache-redis-tls-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (key, certificate) = (folder.join("key.pem"), folder.join("certificate.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"])
        .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl is installed").success());
    let tls_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let [key, certificate] = [&key, &certificate].map(|it| it.to_str().unwrap());
    let port = tls_port.to_string();
    let server = Server::start(&[
        "--tls-port",
        &port,
        "--tls-cert-file",
        certificate,
        "--tls-key-file",
        key,
        "--tls-ca-cert-file",
        certificate,
        "--tls-auth-clients",
        "no",
    ]);
    let address = format!("rediss://localhost:{tls_port}");
    let distrusted = Blocking::connect(RedisStore::connect(&*address)).unwrap_err();
    assert!(matches!(failure(&distrusted), RedisFailure::Unreachable { .. }), "{distrusted:?}");
    let name = std::thread::current().name().unwrap().to_owned();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &name, "--nocapture"])
        .env(ADDRESS, &address)
        .env("SSL_CERT_FILE", certificate)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let status = child.wait().unwrap();
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut output).unwrap();
    assert!(status.success() && output.contains("1 passed"), "{output}");
    let stored = server.open().unwrap();
    assert_eq!(snapshot(stored.list(None, None).unwrap()).records().len(), 1);
    fs::remove_dir_all(&folder).unwrap();
}
