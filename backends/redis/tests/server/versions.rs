//! Servers that are too old. No registry has one that runs, so a thread answers as they do.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use msal_cache_core::Blocking;
use msal_cache_redis::{RedisFailure, RedisStore};

use crate::failures::failure;

/// The words of the next command.
fn command(from: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut line = String::new();
    let mut length = |from: &mut BufReader<TcpStream>| -> Option<usize> {
        line.clear();
        from.read_line(&mut line).ok()?;
        line.trim_end().get(1..)?.parse().ok()
    };
    (0..length(from)?)
        .map(|_| {
            let mut word = vec![0; length(from)? + 2];
            from.read_exact(&mut word).ok()?;
            word.truncate(word.len() - 2);
            String::from_utf8(word).ok()
        })
        .collect()
}

/// What a version answers to the commands that a client sends first.
fn answer(version: &str, words: &[String]) -> String {
    let name = words[0].to_ascii_uppercase();
    let bulk = |text: &str| format!("${}\r\n{text}\r\n", text.len());
    match name.as_str() {
        "HELLO" if version.starts_with('4') => "-ERR unknown command 'HELLO'\r\n".into(),
        "HELLO" if version.starts_with('5') => {
            "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n".into()
        }
        "HELLO" => format!("%2\r\n+version\r\n{}+proto\r\n:3\r\n", bulk(version)),
        "CLIENT" => "-ERR Unknown subcommand or wrong number of arguments for 'SETINFO'\r\n".into(),
        "INFO" if words[1] == "server" => bulk(&format!("# Server\r\nredis_version:{version}\r\n")),
        "INFO" => bulk("# Memory\r\nmaxmemory_policy:noeviction\r\n"),
        // Of the scripts that the cache would need: a command came too early.
        _ => "-ERR a command before the version was checked\r\n".into(),
    }
}

/// Starts a server of a version, and returns its port.
fn server(version: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let mut requests = BufReader::new(client.try_clone().unwrap());
            std::thread::spawn(move || {
                while let Some(words) = command(&mut requests) {
                    if client.write_all(answer(version, &words).as_bytes()).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_server_before_redis_6_2_is_refused_with_its_version() {
    for (version, reported) in
        [("4.0.14", "before 6"), ("5.0.14", "before 6"), ("6.0.16", "6.0.16")]
    {
        let address = format!("redis://127.0.0.1:{}", server(version));
        let refused = Blocking::connect(RedisStore::connect(address)).unwrap_err();
        let RedisFailure::TooOld { found, .. } = failure(&refused) else { panic!("{refused:?}") };
        assert_eq!(found, reported);
        assert!(failure(&refused).to_string().contains("needs Redis 6.2 or later"));
    }
}
