//! A Python app and a Rust app share one cache file: the user signs in to one of them, and both
//! have tokens.
//!
//! Run it with `cargo run --example share_with_python`. The Python app uses MSAL Python and
//! `msal-extensions`. The first run installs them in `.peers/`, which needs Python 3 with `venv`.
//! The token endpoint is simulated within the Python app, and its tokens are not real.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use msal_cache::{CredentialType, Event, Fields, FileStore, Query, TokenCache};

const CLIENT: &str = "11111111-2222-3333-4444-555555555555";
const AUTHORITY: &str = "https://login.microsoftonline.com/contoso";

/// The Python app. Usage: `python app.py PATH CLIENT AUTHORITY sign-in|find SCOPE`
const APP: &str = r#"
import base64, json, sys
import msal, msal_extensions

path, client, authority, what, scope = sys.argv[1:]
encoded = lambda it: base64.urlsafe_b64encode(json.dumps(it).encode()).decode().rstrip("=")


class TokenEndpoint:
    """Simulates the identity provider and counts token requests."""
    requests = 0

    class Response:
        def __init__(self, body):
            self.status_code, self.text, self.headers = 200, json.dumps(body), {}
        def raise_for_status(self):
            pass

    def get(self, url, **_):
        return self.Response({"issuer": authority, **{
            it: authority + "/oauth2/v2.0/" + it.split("_")[0]
            for it in ("authorization_endpoint", "token_endpoint")}})

    def post(self, url, **_):
        self.requests += 1
        claims = {"oid": "alice", "sub": "s", "preferred_username": "alice@contoso.example"}
        return self.Response({
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
    response = app.acquire_token_by_authorization_code("a code", [scope])
else:
    account, = app.get_accounts()
    print("   Python: {} is signed in".format(account["username"]))
    response = app.acquire_token_silent([scope], account)
assert response and "access_token" in response, response
print("   Python: {!r} from {}; requests: {}".format(
    response["access_token"], response["token_source"], endpoint.requests))
assert endpoint.requests == (1 if what == "sign-in" else 0)
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

    println!("\n2. The Rust app opens the same file and finds her account and token.");
    let cache = TokenCache::new(FileStore::open(&path)?);
    let query = Query::new().client_id(CLIENT).target(["User.Read"]);
    let alice = cache.find(CredentialType::Account, &Query::new())?;
    let token = cache.find(CredentialType::AccessToken, &query)?;
    let [alice] = &alice[..] else { return Err("there should be one account".into()) };
    let [token] = &token[..] else { return Err("there should be one token".into()) };
    let alice = alice.account().ok_or("an account")?;
    let token = token.access_token().ok_or("an access token")?;
    println!("   Rust: {} is signed in", alice.username().unwrap_or_default());
    println!("   Rust: {:?} from the cache", token.secret().expose());

    println!(
        "\n3. The Rust app uses her refresh token to get a token for her mail, and stores it."
    );
    cache.add(&mail_response())?;
    println!("   Rust: stored");

    println!("\n4. The Python app finds that token without a request.");
    python(&path, "find", "Mail.Read")
}

/// The response of the token endpoint to the refresh token, with the parameters of its request.
fn mail_response() -> Event {
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

/// Runs the Python app in the virtual environment of `tests/peers`.
fn python(path: &Path, what: &str, scope: &str) -> Result<(), Box<dyn Error>> {
    let run = r#"source tests/peers/python >/dev/null && exec "$MSAL_CACHE_PYTHON" -c "$@""#;
    let status = Command::new("bash")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["-c", run, "python", APP])
        .arg(path)
        .args([CLIENT, AUTHORITY, what, scope])
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("the Python app failed: {status}").into()) }
}
