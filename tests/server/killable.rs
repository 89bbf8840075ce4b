//! A server of a test alone, of the same kind as the one that the script has started, which can be killed.

use std::ffi::OsStr;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use msal_cache::postgres::PostgresStore;
use msal_cache::redis::RedisStore;
use msal_cache::store::{Blocking, CacheStore};

use crate::stores::Server;

/// How long a server may take to start. The machine may be busy with other work.
const LONGEST_START: Duration = Duration::from_secs(120);

/// How long a store waits for an answer. On a busy machine, a server is slow.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct Killable {
    child: Child,
    port: u16,
    folder: PathBuf,
    is_postgres: bool,
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set by the script of the server"))
}

/// A program of PostgreSQL, as a user other than root.
fn postgres(program: impl AsRef<Path>) -> Command {
    let user = variable("MSAL_CACHE_POSTGRES_AS");
    let mut words = user.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).arg(Path::new(&variable("MSAL_CACHE_POSTGRES_BIN")).join(program));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

impl Killable {
    /// Starts a server whose acknowledged commits survive `kill -9`.
    pub(crate) fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let is_postgres = matches!(Server::started(), Server::Postgres(_));
        let folder = if is_postgres {
            let folder = Path::new(&variable("MSAL_CACHE_POSTGRES_FOLDER")).join(port.to_string());
            let mut initdb = postgres("initdb");
            initdb.arg("--pgdata").arg(&folder).args(["--username", "msal", "--auth", "trust"]);
            assert!(initdb.args(["--encoding", "UTF8", "--no-sync"]).status().unwrap().success());
            folder
        } else {
            let folder = std::env::temp_dir().join(format!("msal-cache-server-{port}"));
            fs::create_dir_all(&folder).unwrap();
            folder
        };
        let child = Self::spawn(is_postgres, port, &folder);
        let mut server = Self { child, port, folder, is_postgres };
        server.wait_until_ready();
        server
    }

    fn spawn(is_postgres: bool, port: u16, folder: &Path) -> Child {
        let port = OsStr::new(&port.to_string()).to_owned();
        if is_postgres {
            let mut server = postgres("postgres");
            server.arg("-D").arg(folder).arg("-p").arg(port);
            for setting in [
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "max_connections=200",
                "shared_buffers=16MB",
            ] {
                server.args(["-c", setting]);
            }
            return server.spawn().unwrap();
        }
        let mut server = Command::new(variable("MSAL_CACHE_REDIS_SERVER"));
        server.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
        server.args(["--appendfsync", "always", "--port"]).arg(port).arg("--dir").arg(folder);
        server.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        server.spawn().unwrap()
    }

    fn wait_until_ready(&mut self) {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err()
            || self.connect("ready").is_err()
        {
            assert!(started.elapsed() < LONGEST_START, "the server doesn't start");
            // The processes of a killed PostgreSQL end a moment later, and until then it can't start.
            if self.child.try_wait().unwrap().is_some() {
                self.child = Self::spawn(self.is_postgres, self.port, &self.folder);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The address of the server, or of a proxy to it.
    pub(crate) fn url_at(&self, port: u16) -> String {
        if self.is_postgres {
            format!("postgres://msal@127.0.0.1:{port}/postgres?sslmode=disable")
        } else {
            format!("redis://127.0.0.1:{port}")
        }
    }

    fn connect(&self, name: &str) -> msal_cache::Result<Box<dyn CacheStore>> {
        connect(&self.url_at(self.port), name)
    }

    /// A store, as another process opens it.
    pub(crate) fn open(&self, name: &str) -> Box<dyn CacheStore> {
        self.connect(name).unwrap()
    }

    /// Ends the server as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = Self::spawn(self.is_postgres, self.port, &self.folder);
        self.wait_until_ready();
    }
}

/// Opens the store at an address.
pub(crate) fn connect(url: &str, name: &str) -> msal_cache::Result<Box<dyn CacheStore>> {
    Ok(if url.starts_with("postgres") {
        let builder = PostgresStore::builder(url).name(name).pool_size(3).timeout(TIMEOUT);
        Box::new(Blocking::connect(builder.connect())?)
    } else {
        let builder = RedisStore::builder(url).name(name).timeout(TIMEOUT);
        Box::new(Blocking::connect(builder.connect())?)
    })
}

impl Drop for Killable {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // An immediate shutdown of PostgreSQL, so that its processes end with it.
            let signal = if self.is_postgres { "-QUIT" } else { "-KILL" };
            let _ = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
