//! Calls of an app in this crate and in MSAL Python: each scenario of `scenarios.json` runs in both,
//! with the same file and the same responses of the server.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use msal_cache::clock::ManualClock;
use msal_cache::endpoint::{
    TokenEndpoint, TokenRequest, TokenResponse, TransportError, TransportErrorKind,
};
use msal_cache::{
    AccountInfo, AcquireError, AcquiredToken, Client, Error, Fields, FileStore, SilentRequest,
    TokenCache,
};
use msal_cache_peers::{NOW, Peer, document};
use serde_json::{Map, Value, json};

/// The server of a scenario.
struct Scripted {
    responses: Mutex<VecDeque<Value>>,
    requests: Mutex<Vec<Value>>,
}

impl TokenEndpoint for Scripted {
    fn send(&self, request: &TokenRequest) -> Result<TokenResponse, TransportError> {
        let form: Map<_, _> =
            request.form().iter().map(|(name, value)| (name.into(), value.into())).collect();
        self.requests.lock().unwrap().push(json!({
            "url": request.token_endpoint(),
            "form": form,
            "anchor": request.anchor_mailbox(),
        }));
        let response = self.responses.lock().unwrap().pop_front().expect("a response is left");
        if response["unreachable"] == true {
            return Err(TransportError::new(TransportErrorKind::Unreachable, "unreachable"));
        }
        let status = response["status"].as_u64().and_then(|it| u16::try_from(it).ok()).unwrap();
        let body =
            response["text"].as_str().map_or_else(|| response["body"].to_string(), str::to_owned);
        TokenResponse::from_json(status, &body)
    }
}

/// A scenario of the table. Missing parameters have defaults.
struct Scenario<'a> {
    table: &'a Value,
    row: &'a Value,
}

impl Scenario<'_> {
    fn name(&self) -> &str {
        self.row["name"].as_str().expect("a scenario has a name")
    }

    fn text(&self, name: &str, default: &'static str) -> &str {
        self.row[name].as_str().unwrap_or(default)
    }

    fn call(&self) -> &str {
        self.text("call", "silent")
    }

    fn authority(&self) -> &str {
        self.text("authority", "https://login.example/tenant")
    }

    fn home(&self) -> &str {
        self.text("account", "uid.tenant")
    }

    fn scopes(&self) -> Vec<&str> {
        let scopes = self.row["scopes"].as_array();
        scopes.map_or(vec!["User.Read"], |it| it.iter().filter_map(Value::as_str).collect())
    }

    fn responses(&self) -> Vec<Value> {
        let named = |it: &Value| match it.as_str() {
            Some(name) => {
                let response = &self.table["responses"][name];
                assert!(response.is_object(), "{}: no response has the name {name}", self.name());
                response.clone()
            }
            None => it.clone(),
        };
        self.row["server"].as_array().into_iter().flatten().map(named).collect()
    }

    /// The file: records are built from templates, times are relative to `NOW`, and the keys are
    /// MSAL Python's.
    fn file(&self, peer: &mut Peer) -> String {
        let mut file = Map::new();
        for (section, records) in self.row["cache"].as_object().into_iter().flatten() {
            let records: Vec<_> = records
                .as_array()
                .into_iter()
                .flatten()
                .map(|it| self.record(section, it))
                .collect();
            let keys = peer.list("keys", json!({ "credential_type": section, "fields": records }));
            let keyed: Map<_, _> = keys
                .iter()
                .map(|it| it.as_str().unwrap().to_owned())
                .zip(records.clone())
                .collect();
            assert_eq!(
                keyed.len(),
                records.len(),
                "{}: two records with the same key",
                self.name()
            );
            file.insert(section.clone(), keyed.into());
        }
        Value::Object(file).to_string()
    }

    fn record(&self, section: &str, changes: &Value) -> Value {
        let mut record = self.table["templates"][section].as_object().unwrap().clone();
        record.extend(changes.as_object().unwrap().clone());
        let stored = if section == "AccessToken" { "cached_at" } else { "last_modification_time" };
        for (relative, absolute, sign) in [
            ("age", stored, -1),
            ("expires_in", "expires_on", 1),
            ("ext_expires_in", "extended_expires_on", 1),
            ("refresh_in", "refresh_on", 1),
        ] {
            if let Some(seconds) = record.remove(relative) {
                let at = NOW + sign * seconds.as_i64().unwrap();
                record.insert(absolute.into(), at.to_string().into());
            }
        }
        record.into()
    }

    fn theirs(&self, peer: &mut Peer, path: &Path) -> Outcome {
        let response = peer.get(
            "scenario",
            json!({
                "path": path,
                "now": NOW,
                "call": self.call(),
                "client_id": "app",
                "authority": self.authority(),
                "scopes": self.scopes(),
                "home_account_id": self.home(),
                "responses": self.responses(),
                "username": self.row["username"],
                "force_refresh": self.row["force_refresh"].as_bool().unwrap_or_default(),
                "claims_challenge": self.row["claims_challenge"],
                "capabilities": self.row["capabilities"],
                "data": self.row["data"],
            }),
        );
        Outcome {
            result: response["result"].clone(),
            requests: response["requests"].as_array().unwrap().iter().map(comparable).collect(),
            cache: document(&fs::read_to_string(path).unwrap()),
        }
    }

    fn ours(&self, path: &Path) -> Outcome {
        let clock = Arc::new(ManualClock::new(NOW));
        let cache = TokenCache::with_clock(FileStore::open(path).unwrap(), clock);
        let mut client = cache.client("app", self.authority());
        if let Some(capabilities) = self.row["capabilities"].as_array() {
            client = client.with_capabilities(capabilities.iter().filter_map(Value::as_str));
        }
        let server =
            Scripted { responses: Mutex::new(self.responses().into()), requests: Mutex::default() };
        let result = self.call_ours(&client, &server);
        let requests = server.requests.lock().unwrap().iter().map(comparable).collect();
        let cache = document(&fs::read_to_string(path).unwrap());
        Outcome { result, requests, cache }
    }

    fn call_ours(&self, client: &Client<FileStore>, server: &Scripted) -> Value {
        let account = AccountInfo::of(self.home());
        match self.call() {
            "accounts" => {
                let accounts = match self.row["username"].as_str() {
                    Some(name) => client.accounts_named(name),
                    None => client.accounts(),
                };
                let mut accounts: Vec<_> = accounts
                    .unwrap()
                    .iter()
                    .map(|it| (it.home_account_id().to_owned(), it.username().map(str::to_owned)))
                    .collect();
                accounts.sort();
                return json!(accounts);
            }
            "remove_account" => {
                client.remove_account(&account).unwrap();
                return Value::Null;
            }
            "remove_tokens_for_client" => {
                client.remove_tokens_for_client().unwrap();
                return Value::Null;
            }
            _ => {}
        }
        let mut request = match self.call() {
            "for_client" => SilentRequest::for_client(self.scopes()),
            "silent" => SilentRequest::new(self.scopes(), &account),
            other => panic!("{}: unknown call {other}", self.name()),
        };
        request = request.force_refresh(self.row["force_refresh"].as_bool().unwrap_or_default());
        if let Some(claims) = self.row["claims_challenge"].as_str() {
            request = request.claims_challenge(claims);
        }
        if self.row["data"].is_object() {
            request = request.data(Fields::from_json(&self.row["data"].to_string()).unwrap());
        }
        result_of(client.acquire(&request, server))
    }
}

fn result_of(acquired: Result<AcquiredToken, AcquireError>) -> Value {
    let error = match acquired {
        Ok(token) => {
            return json!({ "token": token.secret().expose(), "source": token.source().as_str() });
        }
        Err(error) => error,
    };
    if let Some(error) = error.server_error() {
        let mut result = Map::new();
        for (name, value) in [
            ("error", Some(error.error())),
            ("suberror", error.suberror()),
            ("claims", error.claims()),
            ("correlation_id", error.correlation_id()),
            ("classification", error.classification()),
        ] {
            result.extend(value.map(|value| (name.to_owned(), value.into())));
        }
        return result.into();
    }
    match error {
        AcquireError::InteractionRequired(_) => json!({ "none": true }),
        AcquireError::Transport(_) => json!({ "outage": true }),
        AcquireError::InvalidResponse(_) => json!({ "answer": true }),
        AcquireError::Invalid(error) if matches!(*error, Error::Invalid { .. }) => {
            json!({ "invalid": true })
        }
        other => panic!("{other}"),
    }
}

/// A request with its claims parsed, so that whitespace in JSON is ignored.
fn comparable(request: &Value) -> Value {
    let mut request = request.clone();
    if let Some(claims) = request["form"].get_mut("claims") {
        *claims = serde_json::from_str(claims.as_str().unwrap()).unwrap();
    }
    request
}

/// The observable outcome of a call.
struct Outcome {
    result: Value,
    requests: Vec<Value>,
    cache: Value,
}

/// The records that only one of two documents has, and those that differ.
#[derive(Debug, Default, PartialEq)]
struct Difference {
    ours: BTreeSet<String>,
    theirs: BTreeSet<String>,
    changed: BTreeSet<String>,
}

impl Difference {
    fn of(ours: &Value, theirs: &Value) -> Self {
        let records = |document: &Value| -> BTreeMap<(String, String), Value> {
            let sections = document.as_object().into_iter().flatten();
            let records = sections.flat_map(|(section, records)| {
                let records = records.as_object().into_iter().flatten();
                let key = |key: &String| (section.clone(), key.clone());
                records.map(move |(name, record)| (key(name), record.clone())).collect::<Vec<_>>()
            });
            records.collect()
        };
        let (ours, theirs) = (records(ours), records(theirs));
        let mut difference = Self::default();
        for (id, record) in &ours {
            match theirs.get(id) {
                None => drop(difference.ours.insert(label(&id.0, record))),
                Some(other) if other != record => drop(difference.changed.insert(id.0.clone())),
                Some(_) => {}
            }
        }
        for (id, record) in theirs.iter().filter(|(id, _)| !ours.contains_key(id)) {
            difference.theirs.insert(label(&id.0, record));
        }
        difference
    }

    /// Reads the difference that the table lists.
    fn expected(listed: &Value) -> Self {
        let list = |name: &str| {
            let items = listed[name].as_array().into_iter().flatten();
            items.map(|it| it.as_str().unwrap().to_owned()).collect()
        };
        Self { ours: list("ours"), theirs: list("theirs"), changed: list("changed") }
    }
}

/// The name of a record in the table.
fn label(section: &str, record: &Value) -> String {
    let name = match section {
        "AccessToken" | "RefreshToken" => &record["secret"],
        "AppMetadata" => &record["client_id"],
        "Account" => &record["home_account_id"],
        _ => return section.to_owned(),
    };
    format!("{section} {}", name.as_str().unwrap())
}

/// The differences that the table doesn't list, and the listed ones that don't occur.
fn faults(differs: &Value, ours: &Outcome, theirs: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    let mut check = |what: &str, holds: bool, shown: String| {
        if !holds {
            faults.push(format!("  {what}: {shown}"));
        }
    };
    let shown = format!("ours {} theirs {}", ours.result, theirs.result);
    match differs.get("result") {
        None => check("result", ours.result == theirs.result, shown),
        Some(listed) => {
            let holds = ours.result == listed["ours"] && theirs.result == listed["theirs"];
            check("result, as listed", holds && ours.result != theirs.result, shown);
        }
    }
    let shown = format!("ours {:?} theirs {:?}", ours.requests, theirs.requests);
    match differs.get("requests") {
        None => check("requests", ours.requests == theirs.requests, shown),
        Some(listed) => {
            let counts = json!(ours.requests.len()) == listed["ours"]
                && json!(theirs.requests.len()) == listed["theirs"];
            let urls = listed.get("url").is_none_or(|url| {
                // Only the address differs.
                let [mut our, mut their] = [ours.requests[0].clone(), theirs.requests[0].clone()];
                our["url"].take() == url["ours"]
                    && their["url"].take() == url["theirs"]
                    && our == their
            });
            let differ = ours.requests != theirs.requests;
            check("requests, as listed", counts && urls && differ, shown);
        }
    }
    let found = Difference::of(&ours.cache, &theirs.cache);
    let expected = Difference::expected(&differs["cache"]);
    let shown = format!(
        "found {found:?}\n    listed {expected:?}\n    ours {}\n    theirs {}",
        ours.cache, theirs.cache
    );
    check("cache", found == expected, shown);
    faults
}

#[test]
fn scenarios_have_equal_outcomes() {
    let mut peer = Peer::start();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios.json");
    let table: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let rows = table["scenarios"].as_array().unwrap();
    assert!(rows.len() >= 40);
    let (mut wrong, mut equal, mut reasons) = (Vec::new(), 0, Vec::new());
    for row in rows {
        let scenario = Scenario { table: &table, row };
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (folder.path().join("ours.json"), folder.path().join("theirs.json"));
        let file = scenario.file(&mut peer);
        for path in [&ours, &theirs] {
            peer.get("save_file", json!({ "path": path, "state": file }));
        }
        let differs = &row["differs"];
        let faults = faults(differs, &scenario.ours(&ours), &scenario.theirs(&mut peer, &theirs));
        if !faults.is_empty() {
            wrong.push(format!("{}\n{}", scenario.name(), faults.join("\n")));
        } else if let Some(why) = differs["why"].as_str() {
            reasons.push(format!("  {}: {why}", scenario.name()));
        } else {
            equal += 1;
        }
    }
    assert!(wrong.is_empty(), "{} scenarios:\n{}", wrong.len(), wrong.join("\n"));
    println!("{equal} scenarios have equal outcomes, {} differ on purpose:", reasons.len());
    println!("{}", reasons.join("\n"));
}
