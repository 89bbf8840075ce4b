//! The command `msal-cache` against a real OAuth server over TLS, and with the cache of a real ADAL Python.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use msal_cache_peers::{OAuthServer, SentRequest};
use serde_json::Value;
use tempfile::TempDir;

const APP: &str = "command-line-app";

/// The command in a folder, with a server that it trusts.
struct Tool {
    folder: TempDir,
    server: OAuthServer,
}

impl Tool {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), server: OAuthServer::start_trusted() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The host and the port of the server.
    fn environment(&self) -> &str {
        self.server.address().strip_prefix("https://").unwrap()
    }

    fn start(&self, args: &[&str]) -> Child {
        let command = env::var_os("MSAL_CACHE_COMMAND").expect("run tests/peers/run");
        Command::new(command)
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("SSL_CERT_FILE", self.server.certificate())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Runs the command, and returns its result.
    fn json(&self, args: &[&str]) -> Value {
        let done = self.start(&[args, &["--json"]].concat()).wait_with_output().unwrap();
        assert!(done.status.success(), "{args:?}: {done:?}");
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// A token of a user, by `get-token --refresh`.
    fn token(&self, user: &str, scope: &str) -> Output {
        let args = ["get-token", "cache.json", "--refresh", "--account", user, "--scope", scope];
        let client = ["--client", APP, "--tenant", "contoso", "--environment", self.environment()];
        let args = [&args[..], &client, &["--no-instance-discovery"]].concat();
        self.start(&args).wait_with_output().unwrap()
    }

    /// Signs alice in by device code.
    fn sign_in(&self, more: &[&str]) -> Value {
        let args = ["sign-in", "cache.json", "--device-code", "--client", APP, "--json"];
        let scopes = ["--scope", "User.Read", "--scope", "Mail.Read"];
        let mut child = self.start(&[&args[..], &scopes, more].concat());
        let mut message = String::new();
        BufReader::new(child.stderr.take().unwrap()).read_line(&mut message).unwrap();
        let (_, code) =
            message.split_once("enter the code ").unwrap_or_else(|| panic!("{message}"));
        self.server.approve(code.trim().trim_end_matches('.'), Some("alice"));
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{done:?}");
        serde_json::from_slice(&done.stdout).unwrap()
    }

    /// Lets all access tokens expire.
    fn expire(&self) {
        let mut stored: Value =
            serde_json::from_slice(&fs::read(self.path("cache.json")).unwrap()).unwrap();
        for token in stored["AccessToken"].as_object_mut().unwrap().values_mut() {
            token["expires_on"] = "1".into();
        }
        fs::write(self.path("cache.json"), stored.to_string()).unwrap();
    }

    fn requests(&self, grant_type: &str) -> Vec<SentRequest> {
        self.server.requests().into_iter().filter(|it| it.grant_type == grant_type).collect()
    }
}

#[test]
fn a_cache_of_adal_is_imported() {
    let tool = Tool::new();
    let python = env::var_os("MSAL_CACHE_PYTHON").expect("run tests/peers/run");
    let written = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/adal_writer.py"))
        .args([&tool.server.authority(), APP, "api://things", "alice", "bob"])
        .env("REQUESTS_CA_BUNDLE", tool.server.certificate())
        .output()
        .unwrap();
    assert!(written.status.success(), "{written:?}");
    fs::write(tool.path("adal.json"), &written.stdout).unwrap();

    let import = ["import", "cache.json", "adal.json", "--redeem", "--no-instance-discovery"];
    let imported = tool.json(&import);
    let users = imported["users"].as_array().unwrap();
    let of_user = |it: &Value| (it["username"].clone(), it["home_account_id"].clone());
    let users: Vec<_> = users.iter().map(of_user).collect();
    assert_eq!(
        users,
        [
            ("alice@contoso.example".into(), "alice.contoso".into()),
            ("bob@contoso.example".into(), "bob.contoso".into()),
        ]
    );
    assert_eq!(tool.requests("refresh_token").len(), 2);
    // A token is in the cache, and its successor comes by the refresh token of the server's response.
    assert!(tool.token("alice", "api://things/.default").status.success());
    assert_eq!(tool.requests("refresh_token").len(), 2);
    tool.expire();
    assert!(tool.token("alice", "api://things/.default").status.success());
    assert_eq!(tool.requests("refresh_token").len(), 3);

    // The refresh tokens are spent: the server replaces them.
    let again = tool.start(&import).wait_with_output().unwrap();
    assert_eq!(again.status.code(), Some(8), "{again:?}");
    let entries: Vec<Value> = serde_json::from_slice(&written.stdout).unwrap();
    for entry in entries {
        for name in ["accessToken", "refreshToken"] {
            let secret = entry[name].as_str().unwrap();
            for text in [&again.stdout, &again.stderr] {
                assert!(!String::from_utf8_lossy(text).contains(secret), "{name}");
            }
        }
    }
}

#[test]
fn a_user_signs_in_by_device_code_and_tokens_are_refreshed() {
    let tool = Tool::new();
    let place = ["--tenant", "contoso", "--environment", tool.environment()];
    let result = tool.sign_in(&[&place[..], &["--no-instance-discovery"]].concat());
    assert_eq!(result["username"], "alice@contoso.example");
    assert_eq!(result["home_account_id"], "alice.contoso");

    let token = tool.token("alice", "User.Read");
    assert!(token.status.success() && tool.requests("refresh_token").is_empty(), "{token:?}");
    // Each time, the server replaces the refresh token.
    for round in 1..=3 {
        tool.expire();
        let new = tool.token("alice", "User.Read");
        assert!(new.status.success() && new.stdout != token.stdout, "{new:?}");
        let sent = tool.requests("refresh_token");
        assert!(sent.len() == round && sent.iter().all(|it| it.status == 200), "{sent:?}");
    }
}

#[test]
fn a_user_of_another_provider_signs_in_at_its_discovered_endpoints() {
    let tool = Tool::new();
    let issuer = tool.server.address();
    let result = tool.sign_in(&["--issuer", issuer]);
    assert_eq!(result["username"], "alice@contoso.example");
    let token = |issuer: &str| {
        let args = ["get-token", "cache.json", "--refresh", "--account", "alice"];
        let more = ["--scope", "User.Read", "--client", APP, "--issuer", issuer];
        tool.start(&[&args[..], &more].concat()).wait_with_output().unwrap()
    };
    let first = token(issuer);
    assert!(first.status.success() && tool.requests("refresh_token").is_empty(), "{first:?}");
    tool.expire();
    let second = token(issuer);
    assert!(second.status.success() && second.stdout != first.stdout, "{second:?}");
    assert_eq!(tool.requests("refresh_token").len(), 1);
    // No document is there.
    tool.expire();
    let failed = token(&format!("{issuer}/elsewhere"));
    assert_eq!((failed.status.code(), failed.stdout.len()), (Some(8), 0), "{failed:?}");
    assert!(String::from_utf8_lossy(&failed.stderr).contains("/elsewhere/.well-known/"));
}
