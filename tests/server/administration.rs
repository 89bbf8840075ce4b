//! What an operator does on the server.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::stores::Server;

/// Sends SQL, or a command of Redis, to the server.
pub(crate) fn administer(text: &str) {
    match Server::started() {
        Server::Postgres(url) => {
            let folder =
                env::var_os("MSAL_CACHE_POSTGRES_BIN").expect("tests/servers/postgres sets it");
            let mut command = Command::new(Path::new(&folder).join("psql"));
            command.args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", &url]);
            let mut psql = command.stdin(Stdio::piped()).spawn().unwrap();
            psql.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
            assert!(psql.wait().unwrap().success(), "{text}");
        }
        Server::Redis(url) => {
            let mut stream = TcpStream::connect(url.trim_start_matches("redis://")).unwrap();
            stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
            let mut reply = String::new();
            BufReader::new(stream).read_line(&mut reply).unwrap();
            assert_eq!(reply, "+OK\r\n");
        }
    }
}
