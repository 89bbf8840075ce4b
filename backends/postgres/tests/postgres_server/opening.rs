//! Opening a place: many processes at once, missing rights, tables of others.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use msal_cache_core::{Blocking, Error};
use msal_cache_postgres::{PostgresFailure, PostgresStore};

use crate::rows::put;
use crate::support::{builder, cause, execute, new_schema, open, pooler_url, runtime, url};

fn refused(schema: &str) -> Error {
    runtime().block_on(builder(schema).connect()).unwrap_err()
}

#[test]
fn many_that_open_an_empty_schema_at_once_create_one_set_of_tables() {
    let schema = new_schema();
    std::thread::scope(|scope| {
        for user in 0..50 {
            let schema = &schema;
            scope.spawn(move || put(&open(schema), &format!("u{user}"), &format!("k{user}"), "v"));
        }
    });
}

#[test]
fn newer_tables_and_those_of_another_application_are_refused() {
    let schema = new_schema();
    drop(open(&schema));
    execute(&format!("UPDATE {schema}.msal_version SET version = 99"));
    let error = refused(&schema);
    assert!(matches!(cause(&error), PostgresFailure::NewerTables { found: 99, known: 1 }));

    let schema = new_schema();
    execute(&format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.msal_records (it int)"));
    assert!(matches!(cause(&refused(&schema)), PostgresFailure::ForeignTable { .. }));
    let schema = new_schema();
    execute(&format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.msal_version (version int)"));
    assert!(matches!(cause(&refused(&schema)), PostgresFailure::ForeignTable { .. }));
}

#[test]
fn a_role_without_rights_gets_the_statements_that_grant_them_and_needs_no_more() {
    let schema = new_schema();
    drop(open(&schema));
    let role = format!("{schema}_app");
    execute(&format!("CREATE ROLE {role} LOGIN"));
    let url = url().replace("msal@", &format!("{role}@"));
    let connect = || PostgresStore::builder(&*url).schema(&schema).create_tables(false).connect();
    let error = runtime().block_on(connect()).unwrap_err();
    let PostgresFailure::Permission { grants, .. } = cause(&error) else { panic!("{error:?}") };
    assert_eq!(*grants, builder(&schema).grants(&role).unwrap());
    execute(grants);
    let store = Blocking::connect(connect()).unwrap();
    put(&store, "u", "k", "v");
    put(&store, "u", "k", "w");
}

#[test]
fn an_operator_can_create_the_tables() {
    let schema = new_schema();
    let error = runtime().block_on(builder(&schema).create_tables(false).connect()).unwrap_err();
    assert!(matches!(cause(&error), PostgresFailure::MissingTables { .. }));
    execute(&format!("CREATE SCHEMA {schema}; {}", builder(&schema).ddl().unwrap()));
    let store = Blocking::connect(builder(&schema).create_tables(false).connect()).unwrap();
    put(&store, "u", "k", "v");
}

#[test]
fn a_server_that_is_not_there_is_unavailable_and_no_error_quotes_a_password() {
    let url = "postgres://app:secret@127.0.0.1:1/db";
    let error = runtime().block_on(PostgresStore::connect(url)).unwrap_err();
    assert!(matches!(error, Error::Unavailable { .. }) && error.is_retryable(), "{error:?}");
    let wrong = runtime().block_on(PostgresStore::connect("postgres://a:secret@h:x/")).unwrap_err();
    assert!(matches!(cause(&wrong), PostgresFailure::Address(_)));
    for text in [format!("{error:?} {}", cause(&error)), format!("{wrong:?} {wrong}")] {
        assert!(!text.contains("secret"), "{text}");
    }
    assert!(!format!("{:?}", PostgresStore::builder(url)).contains("secret"));
}

#[test]
fn a_pooler_that_refuses_an_option_of_the_address_is_named() {
    let url = format!("{}&options=-c%20geqo%3Doff", pooler_url());
    let error = runtime().block_on(PostgresStore::connect(url)).unwrap_err();
    assert!(matches!(cause(&error), PostgresFailure::Pooler { .. }), "{error:?}");
    assert!(!error.is_retryable());
    let excluded = PostgresStore::builder(pooler_url()).pooler(false).connect();
    let error = runtime().block_on(excluded).unwrap_err();
    assert!(matches!(cause(&error), PostgresFailure::Pooler { .. }), "{error:?}");
}

#[test]
fn a_pooler_without_its_server_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let pooler = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut startup = [0; 1024];
        assert!(client.read(&mut startup).unwrap() > 8);
        // What PgBouncer answers, with the code that it has for most errors.
        let text = b"SFATAL\0C08P01\0Mserver login has been failing, try again later\0\0";
        let length = u32::try_from(text.len() + 4).unwrap().to_be_bytes();
        client.write_all(&[b"E", &length[..], text].concat()).unwrap();
    });
    let url = format!("postgres://app@127.0.0.1:{port}/db?sslmode=disable");
    let error = runtime().block_on(PostgresStore::connect(url)).unwrap_err();
    assert!(matches!(cause(&error), PostgresFailure::Unreachable { .. }), "{error:?}");
    assert!(error.is_retryable());
    pooler.join().unwrap();
}

#[test]
fn connections_that_the_server_ended_are_replaced() {
    let schema = new_schema();
    let url = format!("{}&application_name={schema}", url());
    let store = PostgresStore::builder(&*url).schema(&schema).connect();
    let store = Blocking::connect(store).unwrap();
    put(&store, "u", "k", "v");
    for turn in 0..5 {
        execute(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = '{schema}'"
        ));
        std::thread::sleep(Duration::from_millis(50));
        put(&store, "u", "k", &turn.to_string());
    }
}
