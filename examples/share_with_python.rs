//! One cache file, a Python app and a Rust app: each finds what the other has stored, and neither
//! asks the user twice.
//!
//! `cargo run --example share_with_python`
//!
//! The Python app is the real MSAL Python with `msal-extensions`. The first run installs them in
//! `.peers/`, which takes Python 3 with `venv`. Its token endpoint is played by a few lines of
//! Python: nothing else leaves the machine, and the tokens are not real.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use msal_cache::{CredentialType, Event, Fields, FileStore, Query, TokenCache};

const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
const AUTHORITY: &str = "https://login.microsoftonline.com/contoso";

/// The Python app. `python app.py PATH CLIENT AUTHORITY sign-in|find SCOPE`
const APP: &str = r#"
import base64, json, sys
import msal, msal_extensions

path, client, authority, what, scope = sys.argv[1:]
encoded = lambda it: base64.urlsafe_b64encode(json.dumps(it).encode()).decode().rstrip("=")


class TokenEndpoint:
    """Plays the identity provider, and counts how often it is asked for tokens."""
    asked = 0

    class Answer:
        def __init__(self, body):
            self.status_code, self.text, self.headers = 200, json.dumps(body), {}
        def raise_for_status(self):
            pass

    def get(self, url, **_):
        return self.Answer({"issuer": authority, **{
            it: authority + "/oauth2/v2.0/" + it.split("_")[0]
            for it in ("authorization_endpoint", "token_endpoint")}})

    def post(self, url, **_):
        self.asked += 1
        claims = {"oid": "alice", "sub": "s", "preferred_username": "alice@contoso.example"}
        return self.Answer({
            "token_type": "Bearer", "expires_in": 3600, "scope": scope,
            "access_token": "a token that Python got for " + scope,
            "refresh_token": "a refresh token",
            "id_token": "e30." + encoded(claims) + ".signature",
            "client_info": encoded({"uid": "alice", "utid": "contoso"})})

    def close(self):
        pass


endpoint = TokenEndpoint()
app = msal.PublicClientApplication(
    client, authority=authority, http_client=endpoint, instance_discovery=False,
    token_cache=msal_extensions.PersistedTokenCache(msal_extensions.FilePersistence(path)))
if what == "sign-in":
    answer = app.acquire_token_by_authorization_code("a code", [scope])
else:
    account, = app.get_accounts()
    print("   Python: {} is signed in".format(account["username"]))
    answer = app.acquire_token_silent([scope], account)
assert answer and "access_token" in answer, answer
print("   Python: {!r}, from the {}; requests: {}".format(
    answer["access_token"], answer["token_source"], endpoint.asked))
assert endpoint.asked == (1 if what == "sign-in" else 0)
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo");
    let path = folder.join("shared_with_python.json");
    fs::create_dir_all(folder)?;
    if path.exists() {
        fs::remove_file(&path)?;
    }

    println!("1. Alice signs in to the Python app.");
    python(&path, "sign-in", "User.Read")?;

    println!("\n2. The Rust app opens the same file, and finds her and her token.");
    let cache = TokenCache::new(FileStore::open(&path)?);
    let query = Query::new().client_id(CLIENT).target(["User.Read"]);
    let alice = cache.find(CredentialType::Account, &Query::new())?;
    let token = cache.find(CredentialType::AccessToken, &query)?;
    let [alice] = &alice[..] else { return Err("there should be one account".into()) };
    let [token] = &token[..] else { return Err("there should be one token".into()) };
    let alice = alice.account().ok_or("an account")?;
    let token = token.access_token().ok_or("an access token")?;
    println!("   Rust: {} is signed in", alice.username().unwrap_or_default());
    println!("   Rust: {:?}, from the cache", token.secret().expose());

    println!("\n3. With her refresh token it gets a token for her mail, and stores it.");
    cache.add(&answer_for_mail())?;
    println!("   Rust: stored");

    println!("\n4. The Python app finds that, without asking anybody.");
    python(&path, "find", "Mail.Read")
}

/// What the token endpoint answers to the refresh token, and the request that it answers.
fn answer_for_mail() -> Event {
    // {"uid":"alice","utid":"contoso"}
    const CLIENT_INFO: &str = "eyJ1aWQiOiJhbGljZSIsInV0aWQiOiJjb250b3NvIn0";
    Event::new(CLIENT)
        .token_endpoint(format!("{AUTHORITY}/oauth2/v2.0/token"))
        .scope(["Mail.Read"])
        .grant_type("refresh_token")
        .skip_account_creation(true)
        .response(
            Fields::new()
                .set("access_token", "a token that Rust got for Mail.Read")
                .set("client_info", CLIENT_INFO)
                .set("expires_in", 3600),
        )
}

/// Runs the Python app, with the interpreter of the tests against the real MSAL Python.
fn python(path: &Path, what: &str, scope: &str) -> Result<(), Box<dyn Error>> {
    let run = r#"source tests/peers/python >/dev/null && exec "$MSAL_CACHE_PYTHON" -c "$@""#;
    let status = Command::new("bash")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["-c", run, "python", APP])
        .arg(path)
        .args([CLIENT, AUTHORITY, what, scope])
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("the Python app ended by {status}").into()) }
}
