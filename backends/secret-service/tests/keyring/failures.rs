//! No bus, no service, a locked collection, a service that doesn't answer: each failure names the way out.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use msal_cache_core::internal::{now, verify};
use msal_cache_core::{Error, Ready};
use msal_cache_file::Cae;
use msal_cache_secret_service::{
    DeveloperToolsStore, OnLocked, SecretEntry, SecretService, SecretServiceFailure,
    SecretServiceOptions, SecretServiceStore,
};

use crate::support::{account, entry, failure, job, keys, printed, put, run_job, unused_name};

#[test]
fn without_a_bus_the_error_names_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_) = job() else {
        let test = "failures::without_a_bus_the_error_names_the_way_out";
        for address in ["unix:path=/nonexistent/bus", "nonsense", "tcp:host=127.0.0.1,port=1"] {
            let mut command = Command::new("env");
            command.arg(format!("DBUS_SESSION_BUS_ADDRESS={address}"));
            run_job(&mut command, test, folder.path());
        }
        // As in a service of the system: no address, no runtime folder.
        let mut command = Command::new("env");
        command.args(["-u", "DBUS_SESSION_BUS_ADDRESS", "-u", "XDG_RUNTIME_DIR"]);
        run_job(&mut command, test, folder.path());
        return;
    };
    let error = SecretServiceStore::open(entry(folder.path(), "x")).unwrap_err();
    assert!(matches!(failure(&error), SecretServiceFailure::NoBus { .. }), "{error:?}");
    assert!(printed(&error).contains("dbus-run-session"), "{}", printed(&error));
}

/// A bus that starts no service.
fn bare_bus(folder: &std::path::Path) -> Command {
    let config = folder.join("bus.conf");
    let text = "<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen><auth>EXTERNAL</auth>\
                <policy context=\"default\"><allow send_destination=\"*\" eavesdrop=\"true\"/>\
                <allow eavesdrop=\"true\"/><allow own=\"*\"/></policy></busconfig>";
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new("dbus-run-session");
    command.arg(format!("--config-file={}", config.display())).arg("--");
    command
}

#[test]
fn without_a_service_the_error_names_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let Some(_) = job() else {
        let test = "failures::without_a_service_the_error_names_the_way_out";
        run_job(&mut bare_bus(folder.path()), test, folder.path());
        return;
    };
    let error = SecretServiceStore::open(entry(folder.path(), "x")).unwrap_err();
    assert!(matches!(failure(&error), SecretServiceFailure::NoService), "{error:?}");
    assert!(printed(&error).contains("gnome-keyring"), "{}", printed(&error));
    plain_text_of_the_tools_is_used_only_if_it_is_there();
}

/// As `azure-identity` does, the plain file is used where the key store can't be.
fn plain_text_of_the_tools_is_used_only_if_it_is_there() {
    let home = std::path::PathBuf::from(std::env::var_os("HOME").unwrap());
    if !home.starts_with(std::env::temp_dir()) {
        // Not the home of the user.
        let folder = tempfile::tempdir().unwrap();
        let mut command = bare_bus(folder.path());
        command.arg("env").arg(format!("HOME={}", folder.path().display()));
        let test = "failures::without_a_service_the_error_names_the_way_out";
        run_job(&mut command, test, folder.path());
        return;
    }
    let error = DeveloperToolsStore::open(Cae::Without).unwrap_err();
    assert!(matches!(failure(&error), SecretServiceFailure::NoService), "{error:?}");
    std::fs::create_dir_all(home.join(".IdentityService")).unwrap();
    let path = home.join(".IdentityService/msal.cache.nocae");
    // A signal file.
    for empty in ["", "{}"] {
        std::fs::write(&path, empty).unwrap();
        assert!(DeveloperToolsStore::open(Cae::Without).is_err());
    }
    std::fs::write(&path, r#"{"Account": {}}"#).unwrap();
    let mut private = std::fs::metadata(&path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut private, 0o600);
    std::fs::set_permissions(&path, private).unwrap();
    let opened = DeveloperToolsStore::open(Cae::Without).unwrap();
    assert!(matches!(opened, DeveloperToolsStore::File(_)), "{opened:?}");
}

/// A key store of its own for a job: on its own bus, in its own folder, unlocked or not.
fn session(folder: &std::path::Path, start: &str) -> Command {
    let script = format!(
        r#"export XDG_DATA_HOME=$MSAL_CACHE_JOB/data XDG_RUNTIME_DIR=$MSAL_CACHE_JOB/run
mkdir -p -m 700 "$XDG_DATA_HOME" "$XDG_RUNTIME_DIR"
{start}
exec "$@""#
    );
    let mut command = Command::new("dbus-run-session");
    command.args(["--", "bash", "-c", &script, "bash"]).env("MSAL_CACHE_JOB", folder);
    command
}

/// Starts the service, or replaces the one that runs.
const UNLOCKED: &str = "printf password | gnome-keyring-daemon --replace --unlock --components=secrets \
                        >/dev/null 2>&1";

#[test]
fn a_locked_collection_is_an_error_or_a_prompt() {
    let Some(folder) = job() else {
        let folder = tempfile::tempdir().unwrap();
        let test = "failures::a_locked_collection_is_an_error_or_a_prompt";
        run_job(&mut session(folder.path(), UNLOCKED), test, folder.path());
        return;
    };
    let name = unused_name();
    let store = SecretServiceStore::open(entry(&folder, &name)).unwrap();
    put(&store, &account("a", "1")).unwrap();
    let of_app = SecretEntry::app(&name).unwrap();
    SecretService::connect().unwrap().write(&of_app, b"{}").unwrap();
    let locked = Command::new("dbus-send")
        .args(["--session", "--print-reply", "--dest=org.freedesktop.secrets"])
        .args(["/org/freedesktop/secrets", "org.freedesktop.Secret.Service.Lock"])
        .arg("array:objpath:/org/freedesktop/secrets/collection/login")
        .output()
        .unwrap();
    assert!(locked.status.success(), "{locked:?}");

    // What is there is found without a prompt.
    let service = SecretService::connect().unwrap();
    assert!(service.contains(&entry(&folder, &name)).unwrap());
    assert!(service.contains(&of_app).unwrap());
    assert!(!service.contains(&entry(&folder, "new")).unwrap());
    assert_eq!(service.apps().unwrap(), [&*name]);

    let never = SecretServiceStore::builder(entry(&folder, &name)).on_locked(OnLocked::Error);
    let never = never.open().unwrap();
    for error in [
        keys(&never).unwrap_err(),
        put(&never, &account("b", "1")).unwrap_err(),
        now(verify(&Ready(&never), 1)).unwrap_err(),
    ] {
        let SecretServiceFailure::Locked { place } = failure(&error) else { panic!("{error:?}") };
        assert!(place.contains(&name), "{place}");
        assert!(printed(&error).contains("OnLocked::Prompt"), "{}", printed(&error));
    }
    // A new entry needs the collection.
    let new = SecretServiceStore::builder(entry(&folder, "new")).on_locked(OnLocked::Error);
    let error = put(&new.open().unwrap(), &account("b", "1")).unwrap_err();
    assert!(matches!(failure(&error), SecretServiceFailure::Locked { .. }), "{error:?}");

    // There is no display for the prompt.
    let asks = SecretServiceStore::builder(entry(&folder, &name))
        .prompt_timeout(Duration::from_secs(5))
        .open()
        .unwrap();
    let error = keys(&asks).unwrap_err();
    let dismissed = matches!(
        failure(&error),
        SecretServiceFailure::Dismissed { .. } | SecretServiceFailure::TimedOut { .. }
    );
    assert!(dismissed, "{error:?}");

    // Unlocked by the login, both go on.
    let unlocked = Command::new("bash").args(["-c", UNLOCKED]).status().unwrap();
    assert!(unlocked.success());
    assert_eq!(keys(&never).unwrap(), ["a"]);
    put(&never, &account("b", "1")).unwrap();
    assert_eq!(keys(&store).unwrap(), ["a", "b"]);
}

#[test]
fn without_a_collection_the_error_names_the_way_out() {
    let Some(folder) = job() else {
        let folder = tempfile::tempdir().unwrap();
        let test = "failures::without_a_collection_the_error_names_the_way_out";
        let start = "gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1";
        run_job(&mut session(folder.path(), start), test, folder.path());
        return;
    };
    let options = SecretServiceStore::builder(entry(&folder, "x")).on_locked(OnLocked::Error);
    let store = options.open().unwrap();
    assert!(keys(&store).unwrap().is_empty());
    let error = put(&store, &account("a", "1")).unwrap_err();
    assert!(matches!(failure(&error), SecretServiceFailure::NoCollection { .. }), "{error:?}");
    assert!(printed(&error).contains("Seahorse"), "{}", printed(&error));
    // The collection of the login session is always there.
    let session = entry(&folder, "y").collection("session");
    let store = SecretServiceStore::builder(session).on_locked(OnLocked::Error).open().unwrap();
    now(verify(&Ready(&store), 1)).unwrap();
}

#[test]
fn a_service_that_does_not_answer_is_an_error_at_the_deadline_and_one_that_restarts_is_found_again()
{
    let Some(folder) = job() else {
        let folder = tempfile::tempdir().unwrap();
        let test = "failures::a_service_that_does_not_answer_is_an_error_at_the_deadline_and_one_that_restarts_is_found_again";
        run_job(&mut session(folder.path(), UNLOCKED), test, folder.path());
        return;
    };
    let store = SecretServiceStore::builder(entry(&folder, "x"))
        .timeout(Duration::from_secs(1))
        .open()
        .unwrap();
    put(&store, &account("a", "1")).unwrap();
    // The process that provides the service, once there is one other than this.
    let daemon = |old: &str| {
        let started = Instant::now();
        loop {
            let asked = Command::new("dbus-send")
                .args(["--session", "--print-reply", "--dest=org.freedesktop.DBus"])
                .args(["/org/freedesktop/DBus"])
                .args(["org.freedesktop.DBus.GetConnectionUnixProcessID"])
                .arg("string:org.freedesktop.secrets")
                .output()
                .unwrap();
            let text = String::from_utf8(asked.stdout).unwrap();
            match text.split_whitespace().last() {
                Some(process) if process != old => return process.to_owned(),
                _ => assert!(started.elapsed() < Duration::from_secs(20), "no service: {text}"),
            }
            thread::sleep(Duration::from_millis(50));
        }
    };
    let signal = |name: &str, process: &str| {
        assert!(Command::new("kill").args([name, process]).status().unwrap().success());
    };
    let process = daemon("");
    signal("-STOP", &process);
    let started = Instant::now();
    let error = keys(&store).unwrap_err();
    assert!(matches!(failure(&error), SecretServiceFailure::TimedOut { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(5));
    signal("-CONT", &process);
    assert_eq!(keys(&store).unwrap(), ["a"]);

    signal("-KILL", &process);
    thread::sleep(Duration::from_millis(300));
    assert!(Command::new("bash").args(["-c", UNLOCKED]).status().unwrap().success());
    daemon(&process);
    assert_eq!(keys(&store).unwrap(), ["a"]);
    put(&store, &account("b", "1")).unwrap();
    assert_eq!(keys(&store).unwrap(), ["a", "b"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_before_the_entry_changes() {
    let name = unused_name();
    let path = std::path::Path::new("/proc/signal");
    let entry = entry(path, &name);
    let store = SecretServiceStore::open(entry.clone()).unwrap();
    let error = put(&store, &account("a", "1")).unwrap_err();
    assert!(matches!(error, Error::ReadOnly { .. } | Error::Io { .. }), "{error:?}");
    let service = SecretServiceOptions::new().connect().unwrap();
    assert!(service.read(&entry).unwrap().is_none());
    assert!(!service.remove(&entry).unwrap());
    drop(SecretService::connect().unwrap());
}
