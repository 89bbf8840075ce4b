//! Encrypted connections, certificates, and passwords.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use msal_cache_core::{Blocking, Error};
use msal_cache_postgres::{Credentials, PostgresFailure, PostgresStore, PostgresStoreBuilder};

use crate::rows::{load, put};
use crate::server::{Server, as_user, run};
use crate::support::cause;

fn openssl(folder: &Path, words: &str) {
    run(as_user("openssl").current_dir(folder).args(words.split(' ')));
}

/// An authority, and certificates of it for the server, under the name `localhost`, and for a client.
fn make_certificates(folder: &Path) {
    let new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2";
    openssl(folder, &format!("{new} -subj /CN=authority -keyout ca.key -out ca.pem"));
    for (name, subject) in [("server", "localhost"), ("client", "certified")] {
        openssl(
            folder,
            &format!(
                "{new} -subj /CN={subject} -addext subjectAltName=DNS:{subject} -addext \
                 basicConstraints=critical,CA:FALSE -CA ca.pem -CAkey ca.key -keyout {name}.key \
                 -out {name}.pem"
            ),
        );
    }
    let rules = "local all all reject\n\
        hostssl all certified all cert\n\
        hostssl all hashed all scram-sha-256\n\
        host all msal all trust\n";
    fs::write(folder.join("pg_hba.conf"), rules).unwrap();
}

pub(crate) fn start() -> Server {
    let server = Server::start_with(
        &["ssl=on", "ssl_cert_file=server.pem", "ssl_key_file=server.key", "ssl_ca_file=ca.pem"],
        make_certificates,
    );
    server.execute(
        "CREATE ROLE certified LOGIN SUPERUSER; \
         CREATE ROLE hashed LOGIN SUPERUSER PASSWORD 'a secret'",
    );
    server
}

fn refused(builder: PostgresStoreBuilder) -> Error {
    Blocking::connect(builder.connect()).unwrap_err()
}

#[test]
fn a_connection_with_tls_checks_the_certificate_and_its_name() {
    let server = start();
    let authority = fs::read(server.folder().join("ca.pem")).unwrap();
    let at = |host: &str| {
        let address = format!("postgres://msal@{host}:{}/postgres?sslmode=require", server.port);
        PostgresStore::builder(address)
    };
    let store =
        Blocking::connect(at("localhost").root_certificates(&*authority).connect()).unwrap();
    put(&store, "u", "k", "v");
    assert_eq!(load(&store, "u").len(), 1);
    // The system doesn't trust that authority, and the certificate isn't for the other name.
    for builder in [at("localhost"), at("127.0.0.1").root_certificates(&*authority)] {
        let error = refused(builder);
        let PostgresFailure::Unreachable { reason, .. } = cause(&error) else {
            panic!("{error:?}")
        };
        assert!(reason.contains("certificate"), "{reason}");
    }
    let not_pem = refused(at("localhost").root_certificates("not PEM"));
    assert!(matches!(not_pem, Error::Invalid { .. }));
}

#[test]
fn a_client_is_known_by_its_certificate() {
    let server = start();
    let read = |name: &str| fs::read(server.folder().join(name)).unwrap();
    let builder = || {
        let port = server.port;
        PostgresStore::builder(format!(
            "postgres://certified@localhost:{port}/postgres?sslmode=require"
        ))
        .root_certificates(read("ca.pem"))
    };
    let own = builder().client_certificate(read("client.pem"), read("client.key"));
    put(&Blocking::connect(own.connect()).unwrap(), "u", "k", "v");
    let error = refused(builder());
    assert!(matches!(cause(&error), PostgresFailure::Authentication { .. }), "{error:?}");
    let other = builder().client_certificate(read("server.pem"), read("server.key"));
    let error = refused(other);
    assert!(matches!(cause(&error), PostgresFailure::Authentication { .. }), "{error:?}");
}

#[test]
fn credentials_are_asked_for_each_new_connection() {
    let server = start();
    let authority = fs::read(server.folder().join("ca.pem")).unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let builder = |password: &'static str| {
        let calls = calls.clone();
        PostgresStore::builder(format!(
            "postgres://localhost:{}/postgres?sslmode=require",
            server.port
        ))
        .root_certificates(&*authority)
        .credentials(move || {
            calls.fetch_add(1, Ordering::Relaxed);
            let credentials =
                Credentials { username: Some("hashed".into()), password: password.into() };
            async { Ok(credentials) }
        })
    };
    let store = Blocking::connect(builder("a secret").connect()).unwrap();
    put(&store, "u", "k", "v");
    let before = calls.load(Ordering::Relaxed);
    server
        .execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hashed'");
    put(&store, "u", "k", "w");
    assert!(calls.load(Ordering::Relaxed) > before);
    let error = refused(builder("not that secret"));
    assert!(matches!(cause(&error), PostgresFailure::Authentication { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("secret"));
}
