//! What listeners of the bus learn.

use std::process::{Command, Stdio};
use std::time::Duration;

use msal_cache_secret_service::{SecretService, SecretServiceStore};

use crate::support::{account, entry, keys, put, unused_name};

#[test]
fn no_secret_crosses_the_bus_in_plain_text() {
    let (folder, name) = (tempfile::tempdir().unwrap(), unused_name());
    let recorded = folder.path().join("recorded");
    let mut monitor = Command::new("dbus-monitor")
        .args(["--session", "--binary"])
        .stdout(std::fs::File::create(&recorded).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let has_begun = || std::fs::metadata(&recorded).unwrap().len() > 0;
    while !has_begun() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let entry = entry(folder.path(), &name);
    let store = SecretServiceStore::open(entry.clone()).unwrap();
    put(&store, &account("a", "CANARY-OF-THE-SECRET")).unwrap();
    put(&store, &account("b", "CANARY-OF-THE-SECRET")).unwrap();
    drop(store);
    assert_eq!(keys(&SecretServiceStore::open(entry.clone()).unwrap()).unwrap(), ["a", "b"]);
    SecretService::connect().unwrap().remove(&entry).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    let recorded = std::fs::read(&recorded).unwrap();
    let holds = |text: &str| recorded.windows(text.len()).any(|it| it == text.as_bytes());
    // The calls were recorded: attributes are in plain text.
    for call in [&*name, "CreateItem", "SetSecret", "GetSecret"] {
        assert!(holds(call), "the monitor has not recorded {call}");
    }
    assert!(!holds("CANARY"), "a secret crossed the bus in plain text");
}
