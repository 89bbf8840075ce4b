//! Processes that open an empty schema at the same time.

use std::process::{Command, Stdio};

use msal_cache_core::CacheStore;

use crate::rows::{load, put};
use crate::support::{new_schema, open};

/// What a child gets: the schema, and its own name.
const CHILD: &str = "MSAL_CACHE_POSTGRES_FIRST_START";

const PROCESSES: usize = 50;

#[test]
fn fifty_processes_that_start_at_once_create_one_set_of_tables() {
    if let Ok(child) = std::env::var(CHILD) {
        let (schema, process) = child.split_once(' ').unwrap();
        let store = open(schema);
        put(&store, process, process, "v");
        assert!(store.load(&msal_cache_core::Partition::user(process), None).is_ok());
        return;
    }
    let schema = new_schema();
    let start = |n| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", std::thread::current().name().unwrap(), "--nocapture"])
            .env(CHILD, format!("{schema} p{n}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..PROCESSES).map(start).collect();
    let mut failures = Vec::new();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() || !text.contains("1 passed") {
            failures.push(text + &String::from_utf8_lossy(&output.stderr));
        }
    }
    assert!(failures.is_empty(), "{} failures: {failures:?}", failures.len());
    let store = open(&schema);
    for n in 0..PROCESSES {
        assert_eq!(load(&store, &format!("p{n}")).len(), 1);
    }
}
