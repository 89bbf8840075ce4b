//! An OAuth 2.0 server as a child process: `oauth.mjs`.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A server of its own on loopback. It ends when it is dropped.
#[derive(Debug)]
pub struct OAuthServer {
    child: Child,
    address: String,
}

/// What came to the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The grant type.
    pub grant_type: String,
    /// The HTTP status of the answer.
    pub status: u64,
    /// The error in the answer, empty where it is none.
    pub error: String,
}

impl OAuthServer {
    /// Starts one that speaks plain HTTP.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one that speaks TLS, with a certificate and its key in these files.
    pub fn start_with_tls(certificate: &Path, key: &Path) -> Self {
        Self::start_with(&[certificate, key])
    }

    fn start_with(arguments: &[&Path]) -> Self {
        assert!(env::var_os("MSAL_CACHE_NODE").is_some(), "run tests/peers/run");
        let mut child = Command::new("node")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("oauth.mjs"))
            .args(arguments)
            .env_remove("PORT")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("it is piped"))
            .read_line(&mut address)
            .expect("the server writes");
        assert!(address.starts_with("http"), "the OAuth server did not start");
        Self { child, address: address.trim().to_owned() }
    }

    /// Its address, which is its name as an issuer too.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where its token endpoint is.
    pub fn token_endpoint(&self) -> String {
        format!("{}/oauth2/v2.0/token", self.authority())
    }

    /// Where it gives out device codes.
    pub fn device_authorization_endpoint(&self) -> String {
        format!("{}/oauth2/v2.0/devicecode", self.authority())
    }

    /// The authority that it is, where it speaks TLS.
    pub fn authority(&self) -> String {
        format!("{}/contoso", self.address)
    }

    /// Does what a person does at the other device: enters the code and signs in under this name,
    /// or says no.
    pub fn approve(&self, user_code: &str, login: Option<&str>) {
        let login = login.map(|login| format!("&login={login}")).unwrap_or_default();
        let path = format!("/approve?user_code={user_code}{login}");
        let answer = self.ask("POST", &path);
        assert_eq!(answer["approved"], login.contains('='), "{answer}");
    }

    /// What came to the token endpoint so far.
    pub fn asked(&self) -> Vec<Asked> {
        let Value::Array(requests) = self.ask("GET", "/requests") else { panic!("a list") };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        requests
            .iter()
            .map(|it| Asked {
                grant_type: text(&it["grant_type"]),
                status: it["status"].as_u64().expect("a number"),
                error: text(&it["error"]),
            })
            .collect()
    }

    fn ask(&self, method: &str, path: &str) -> Value {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .body(())
            .expect("a request");
        let text = ureq::run(request).and_then(|mut it| it.body_mut().read_to_string());
        serde_json::from_str(&text.expect("the server answers")).expect("it answers with JSON")
    }
}

impl Drop for OAuthServer {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
