//! An OAuth 2.0 server as a child process: `oauth.mjs`.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

const CERTIFICATE: &str = "cert.pem";

/// A server on the loopback interface. It ends when it is dropped.
#[derive(Debug)]
pub struct OAuthServer {
    child: Child,
    address: String,
    agent: ureq::Agent,
    /// Of the certificate.
    folder: Option<TempDir>,
}

/// A request to the token endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRequest {
    /// The grant type.
    pub grant_type: String,
    /// The HTTP status of the response.
    pub status: u64,
    /// The error in the response; empty for a success.
    pub error: String,
}

impl OAuthServer {
    /// Starts a server over plain HTTP.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server over TLS, with a certificate and its key in these files.
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
        Self {
            child,
            address: address.trim().to_owned(),
            agent: Agent::new_with_defaults(),
            folder: None,
        }
    }

    /// Starts a server over TLS, with a certificate of its own.
    pub fn start_trusted() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a key");
        let (certificate, key) = (folder.path().join(CERTIFICATE), folder.path().join("key.pem"));
        fs::write(&certificate, made.cert.pem()).expect("it is written");
        fs::write(&key, made.signing_key.serialize_pem()).expect("it is written");
        let mut server = Self::start_with_tls(&certificate, &key);
        let certificate = Certificate::from_pem(made.cert.pem().as_bytes()).expect("it is one");
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[certificate]));
        server.agent = Agent::config_builder().tls_config(tls.build()).build().into();
        server.folder = Some(folder);
        server
    }

    /// The file of the certificate that `start_trusted` has made.
    pub fn certificate(&self) -> PathBuf {
        self.folder.as_ref().expect("the server has a certificate").path().join(CERTIFICATE)
    }

    /// The address, which is also the issuer.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The address of the token endpoint.
    pub fn token_endpoint(&self) -> String {
        format!("{}/oauth2/v2.0/token", self.authority())
    }

    /// The address of the device authorization endpoint.
    pub fn device_authorization_endpoint(&self) -> String {
        format!("{}/oauth2/v2.0/devicecode", self.authority())
    }

    /// The authority, if the server uses TLS.
    pub fn authority(&self) -> String {
        format!("{}/contoso", self.address)
    }

    /// Acts as the user: enters the code and signs in under this name, or declines without one.
    pub fn approve(&self, user_code: &str, login: Option<&str>) {
        let login = login.map(|login| format!("&login={login}")).unwrap_or_default();
        let path = format!("/approve?user_code={user_code}{login}");
        let response = self.request("POST", &path);
        assert_eq!(response["approved"], login.contains('='), "{response}");
    }

    /// The requests to the token endpoint so far.
    pub fn requests(&self) -> Vec<SentRequest> {
        let Value::Array(requests) = self.request("GET", "/requests") else { panic!("a list") };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        requests
            .iter()
            .map(|it| SentRequest {
                grant_type: text(&it["grant_type"]),
                status: it["status"].as_u64().expect("a number"),
                error: text(&it["error"]),
            })
            .collect()
    }

    fn request(&self, method: &str, path: &str) -> Value {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.address))
            .body(())
            .expect("a request");
        let text = self.agent.run(request).and_then(|mut it| it.body_mut().read_to_string());
        serde_json::from_str(&text.expect("a response")).expect("the response is JSON")
    }
}

impl Drop for OAuthServer {
    fn drop(&mut self) {
        // The server ends when its standard input is closed.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
