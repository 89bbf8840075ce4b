//! Servers of a test alone, which can be killed.

use std::ffi::OsStr;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

use crate::support::runtime;

pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    folder: PathBuf,
    options: Vec<String>,
}

fn variable(name: &str) -> String {
    std::env::var(name).expect("run it by tests/servers/postgres")
}

/// A program that runs as a user other than root, as servers have to.
pub(crate) fn as_user(program: impl AsRef<OsStr>) -> Command {
    let user = variable("MSAL_CACHE_POSTGRES_AS");
    let mut words = user.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words).arg(program).stdout(Stdio::null()).stdin(Stdio::null());
    command
}

/// A program of PostgreSQL.
fn program(name: &str) -> Command {
    as_user(Path::new(&variable("MSAL_CACHE_POSTGRES_BIN")).join(name))
}

pub(crate) fn run(command: &mut Command) {
    let done = command.stderr(Stdio::piped()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A folder that the user of the server owns.
fn new_folder(port: u16) -> PathBuf {
    Path::new(&variable("MSAL_CACHE_POSTGRES_FOLDER")).join(format!("server-{port}"))
}

impl Server {
    /// Starts a server with these lines of configuration.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_with(options, |_| ())
    }

    /// The same, with a folder that is changed before the server starts.
    pub(crate) fn start_with(options: &[&str], change: impl FnOnce(&Path)) -> Self {
        let port = free_port();
        let folder = new_folder(port);
        Self::create(&folder, &[]);
        change(&folder);
        Self::launch(port, folder, options)
    }

    /// The same, in this folder, which `initdb` creates with more options.
    pub(crate) fn start_in(folder: &Path, initdb: &[&str], options: &[&str]) -> Self {
        Self::create(folder, initdb);
        Self::launch(free_port(), folder.into(), options)
    }

    fn create(folder: &Path, options: &[&str]) {
        let mut initdb = program("initdb");
        initdb.arg("--pgdata").arg(folder).args(["--username", "msal", "--auth", "trust"]);
        run(initdb.args(["--encoding", "UTF8", "--no-sync"]).args(options));
    }

    /// Starts a standby that follows this server.
    pub(crate) fn standby(&self) -> Self {
        let port = free_port();
        let folder = new_folder(port);
        let from = format!("host=127.0.0.1 port={} user=msal application_name=standby", self.port);
        run(program("pg_basebackup").arg("--pgdata").arg(&folder).args([
            "--dbname",
            &from,
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        ]));
        Self::launch(port, folder, &[])
    }

    fn launch(port: u16, folder: PathBuf, options: &[&str]) -> Self {
        let options = options.iter().map(|it| (*it).to_owned()).collect();
        let child = Self::spawn(port, &folder, &options);
        let mut server = Self { child, port, folder, options };
        server.wait_until_ready();
        server
    }

    fn spawn(port: u16, folder: &Path, options: &Vec<String>) -> Child {
        let mut server = program("postgres");
        server.arg("-D").arg(folder).arg("-p").arg(port.to_string()).stderr(Stdio::null());
        server.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
        server.args(["-c", "max_connections=100", "-c", "shared_buffers=16MB"]);
        for option in options {
            server.args(["-c", option]);
        }
        server.spawn().unwrap()
    }

    fn wait_until_ready(&mut self) {
        let started = Instant::now();
        while !self.answers() {
            assert!(started.elapsed() < Duration::from_secs(60), "the server doesn't start");
            // Those that a killed server leaves end a moment later, and until then it can't start.
            if self.child.try_wait().unwrap().is_some() {
                self.child = Self::spawn(self.port, &self.folder, &self.options);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self) -> bool {
        let url = self.url();
        runtime().block_on(async { tokio_postgres::connect(&url, NoTls).await.is_ok() })
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://msal@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    pub(crate) fn execute(&self, sql: &str) {
        runtime().block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(sql).await.unwrap();
        });
    }

    /// Ends the server as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = Self::spawn(self.port, &self.folder, &self.options);
        self.wait_until_ready();
    }

    /// Starts the server again if it has ended by itself.
    pub(crate) fn recover(&mut self) {
        self.wait_until_ready();
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An immediate shutdown, so that its processes end with it; unless a test has killed it.
        if matches!(self.child.try_wait(), Ok(None)) {
            let pid = self.child.id().to_string();
            let _ = Command::new("kill").args(["-QUIT", &pid]).status();
            let _ = self.child.wait();
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}
