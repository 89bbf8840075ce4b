//! The variables and files of PostgreSQL's own programs, read by processes of their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use msal_cache_core::Blocking;
use msal_cache_postgres::PostgresStore;

use crate::rows::{load, put};
use crate::server::Server;
use crate::tls;

const CHILD: &str = "MSAL_CACHE_POSTGRES_CHILD";

/// Connects in another process, in which only these variables are set. Returns what it prints.
fn connect(variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "environment::a_process_connects_by_its_variables", "--nocapture"]);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
        child.env_remove(name);
    }
    let done = child.envs(variables.iter().copied()).env(CHILD, "postgres://").output().unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(!text.contains("a secret"), "{text}");
    text.lines().find(|line| line.contains("store:")).unwrap_or_else(|| panic!("{text}")).into()
}

/// What the process does that `connect` starts.
fn child(url: &str) {
    match Blocking::connect(PostgresStore::builder(url).environment().connect()) {
        Ok(store) => {
            put(&store, "u", "k", "v");
            println!("\nstore: {}", load(&store, "u").len());
        }
        Err(error) => println!("\nstore: {error:?}"),
    }
}

fn write_passwords(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

#[test]
fn a_process_connects_by_its_variables() {
    if let Ok(url) = std::env::var(CHILD) {
        return child(&url);
    }
    let server: Server = tls::start();
    let folder = server.folder();
    let (port, root) = (server.port.to_string(), folder.join("ca.pem").display().to_string());
    let passwords = folder.join("passwords");
    write_passwords(&passwords, &format!("localhost:{port}:postgres:hashed:a secret\n"));
    let passfile = passwords.display().to_string();
    let base = [
        ("PGHOST", "localhost"),
        ("PGPORT", &port),
        ("PGUSER", "hashed"),
        ("PGDATABASE", "postgres"),
        ("PGSSLMODE", "verify-full"),
    ];
    let with = |more: &[(&str, &str)]| connect(&[&base[..], more].concat());

    let (trusted, known) = (("PGSSLROOTCERT", &*root), ("PGPASSFILE", &*passfile));
    assert_eq!(with(&[trusted, known]), "store: 1");
    assert_eq!(with(&[trusted, ("PGPASSWORD", "a secret")]), "store: 1");
    // With the roots that the system trusts.
    assert_eq!(with(&[("SSL_CERT_FILE", &*root), known]), "store: 1");
    for mode in ["require", "verify-ca", "prefer"] {
        let refused = with(&[known, ("PGSSLMODE", mode)]);
        assert!(refused.contains("certificate"), "{mode}: {refused}");
    }
    let refused = with(&[trusted, known, ("PGHOST", "127.0.0.1")]);
    assert!(refused.contains("certificate"), "{refused}");
    let refused = with(&[trusted, ("PGPASSWORD", "wrong"), known]);
    assert!(refused.contains("Authentication"), "{refused}");

    let services = folder.join("services");
    fs::write(&services, format!("[other]\nuser=x\n[own]\n# a comment\nport={port}\n")).unwrap();
    let services = services.display().to_string();
    let by_service = [trusted, known, ("PGSERVICE", "own"), ("PGSERVICEFILE", &*services)];
    assert_eq!(with(&[&by_service[..], &[("PGPORT", "1")]].concat()), "store: 1");
    let missing = with(&[("PGSERVICE", "missing"), ("PGSERVICEFILE", &*services)]);
    assert!(missing.contains("no section [missing]"), "{missing}");

    fs::set_permissions(&passwords, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
    let readable = with(&[trusted, known]);
    assert!(readable.contains("chmod 0600"), "{readable}");
}
