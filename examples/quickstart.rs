//! The main job, step by step: a cache file that MSAL Python wrote is opened, searched, added
//! to, signed out of and written back.
//!
//! `cargo run --example quickstart`
//!
//! Nothing has to be set up, and nothing leaves the machine. The tokens are not real.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use msal_cache::{
    CredentialType, Entry, Event, Fields, FileStore, ManualClock, Permissions, Query, TokenCache,
};

/// What `SerializableTokenCache.serialize()` of MSAL Python 1.39 gave.
const WRITTEN_BY_MSAL_PYTHON: &str = include_str!("../tests/fixtures/python-all.json");

/// A moment at which the tokens in it are good: 14 November 2023. An app leaves this to the clock
/// of the system and calls `TokenCache::new`.
const THAT_DAY: i64 = 1_700_000_100;

const ALICE: &str = "22222222-2222-2222-2222-222222222222.11111111-1111-1111-1111-111111111111";

fn main() -> Result<(), Box<dyn Error>> {
    let path = Path::new("demo/quickstart.json");
    fs::create_dir_all("demo")?;
    fs::write(path, WRITTEN_BY_MSAL_PYTHON)?;
    println!("1. MSAL Python wrote {} ({} bytes)", path.display(), WRITTEN_BY_MSAL_PYTHON.len());

    // `open` refuses a file that others can read, and says how to mend it. This one was just
    // made under the umask of the shell, so it is repaired instead.
    let store = FileStore::builder(path).permissions(Permissions::Repair).open()?;
    let cache = TokenCache::with_clock(store, Arc::new(ManualClock::new(THAT_DAY)));

    println!("\n2. Who is signed in?");
    for entry in cache.search(CredentialType::Account, &Query::new())? {
        let account = entry.account().ok_or("an account")?;
        let name = account.username().filter(|name| !name.is_empty());
        let tenant = account.realm().unwrap_or_default();
        println!("   {:<24} in {tenant}", name.unwrap_or("(without a name)"));
    }

    println!("\n3. A token of Alice that can read mail:");
    let query = Query::new().home_account_id(ALICE).target(["mail.read"]);
    for entry in cache.search(CredentialType::AccessToken, &query)? {
        let token = entry.access_token().ok_or("an access token")?;
        let left = token.expires_on() - THAT_DAY;
        println!("   scopes {:?}, good for {left} s", token.target().unwrap_or_default());
        println!(
            "   printed, it is {:?}; sent, it is {:?}",
            token.secret(),
            token.secret().expose()
        );
    }

    println!("\n4. Bob signs in: one token response, one write.");
    cache.add(&sign_in_of_bob())?;
    let bob = Query::new().username("bob@contoso.example");
    println!("   accounts of Bob: {}", cache.find(CredentialType::Account, &bob)?.len());

    println!("\n5. Alice signs out.");
    let alice = Query::new().home_account_id(ALICE);
    let mut removed = 0;
    for credential_type in [
        CredentialType::AccessToken,
        CredentialType::RefreshToken,
        CredentialType::IdToken,
        CredentialType::Account,
    ] {
        for entry in of_user(&cache.entries(Some(credential_type.clone()))?, ALICE) {
            cache.modify(credential_type.clone(), entry, None)?;
            removed += 1;
        }
    }
    println!("   {removed} records of hers removed, whichever library wrote them");
    println!("   left of her: {}", cache.find(CredentialType::AccessToken, &alice)?.len());

    println!("\n6. What the file holds now, as another handle reads it:");
    let other = TokenCache::new(FileStore::open(path)?);
    for credential_type in CredentialType::KNOWN {
        let entries = other.entries(Some(credential_type.clone()))?;
        println!("   {:>2} in {credential_type}", entries.len());
    }
    println!("\n7. {} ({} bytes); Bob in it:", path.display(), fs::metadata(path)?.len());
    for line in fs::read_to_string(path)?.lines().filter(|line| line.starts_with("\"bob")) {
        println!("   {}", short(line));
    }
    println!("\n8. What MSAL Python makes of it:");
    if !read_by_msal_python(path) {
        println!("   it is not installed here; let it read the file by");
        println!("   tests/peers/read {}", path.display());
    }
    Ok(())
}

/// Lets MSAL Python read the file, if there is one on this machine.
fn read_by_msal_python(path: &Path) -> bool {
    [".peers/venv/bin/python", "python3"].into_iter().any(|python| {
        let has_msal =
            Command::new(python).args(["-c", "import msal"]).stderr(Stdio::null()).status();
        has_msal.is_ok_and(|status| status.success())
            && Command::new(python)
                .arg("tests/peers/read.py")
                .arg(path)
                .status()
                .is_ok_and(|status| status.success())
    })
}

/// The response of the token endpoint, and the request that it answers.
fn sign_in_of_bob() -> Event {
    // {"uid":"bob","utid":"contoso"} and {"preferred_username":"bob@contoso.example",...}
    const CLIENT_INFO: &str = "eyJ1aWQiOiJib2IiLCJ1dGlkIjoiY29udG9zbyJ9";
    const CLAIMS: &str =
        "eyJwcmVmZXJyZWRfdXNlcm5hbWUiOiJib2JAY29udG9zby5leGFtcGxlIiwic3ViIjoicyIsIm9pZCI6ImJvYiJ9";
    Event::new("04b07795-8ddb-461a-bbee-02f9e1bf7b46")
        .token_endpoint("https://login.microsoftonline.com/contoso/oauth2/v2.0/token")
        .scope(["User.Read"])
        .grant_type("authorization_code")
        .response(
            Fields::new()
                .set("access_token", "an access token of Bob")
                .set("refresh_token", "a refresh token of Bob")
                .set("id_token", format!("e30.{CLAIMS}.signature"))
                .set("client_info", CLIENT_INFO)
                .set("expires_in", 3600),
        )
}

fn of_user<'a>(entries: &'a [Entry], home_account_id: &'a str) -> impl Iterator<Item = &'a Entry> {
    entries.iter().filter(move |it| it.get("home_account_id").as_deref() == Some(home_account_id))
}

fn short(line: &str) -> String {
    let cut = line.char_indices().nth(92).map(|(at, _)| format!("{}...", &line[..at]));
    cut.unwrap_or_else(|| line.to_owned())
}
