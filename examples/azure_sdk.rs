//! A client of the Azure SDK reads a secret of a key vault. Its user signs in by device code once, and
//! later runs get their tokens from the file.
//!
//! Run it with `cargo run --example azure_sdk --features azure`. It needs no setup: the vault and the
//! server that issues tokens are within the example. The client of the vault is that of the SDK, with
//! a transport that connects to this vault.

use std::error::Error;

use azure_core::http::{ClientOptions, Transport};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use msal_cache::azure::{AuthenticationRecord, Credential};
use msal_cache::http::AsyncHttpEndpoint;
use msal_cache::{AsyncTokenCache, FileStore, TokenCache};

#[path = "azure_sdk/loopback.rs"]
mod loopback;
mod stand_in;
#[path = "azure_sdk/vault.rs"]
mod vault;

const VAULT: &str = "https://contoso.vault.azure.net";
const RECORD: &str = "demo/azure_sdk_record.json";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (vault, server) = (vault::start()?, stand_in::StandIn::start()?);
    let issuer = format!("{}/contoso/oauth2/v2.0", server.url());
    let issuer = AsyncHttpEndpoint::builder()
        .token_endpoint(format!("{issuer}/token"))
        .device_authorization_endpoint(format!("{issuer}/devicecode"));
    // A real app needs no addresses: `AsyncHttpEndpoint::new()` takes them from the authority.
    let endpoint = issuer.build_async()?;
    if let Err(error) = std::fs::remove_file("demo/azure_sdk.json")
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error.into());
    }

    println!("1. The first run:");
    let record = read_secret(&endpoint, &vault.url(), None).await?;
    std::fs::write(RECORD, record.to_json())?;

    println!("\n2. A later run, for the same user:");
    let record = AuthenticationRecord::from_json(&std::fs::read_to_string(RECORD)?)?;
    read_secret(&endpoint, &vault.url(), Some(record)).await?;
    Ok(())
}

/// One run of an app: reads a secret, and returns who was signed in.
async fn read_secret(
    endpoint: &AsyncHttpEndpoint,
    vault: &str,
    record: Option<AuthenticationRecord>,
) -> Result<AuthenticationRecord, Box<dyn Error>> {
    let cache = TokenCache::new(FileStore::open("demo/azure_sdk.json")?);
    let client = AsyncTokenCache::from(cache).client("app", "https://login.example/contoso");
    let mut credential = Credential::for_user(client, endpoint.clone())
        .device_code(|flow| println!("   {}", flow.message()));
    if let Some(record) = &record {
        credential = credential.record(record);
    }
    let credential = credential.build();

    // Without options, the client connects to the vault over HTTPS.
    let transport = Transport::new(loopback::client(vault));
    let options = SecretClientOptions {
        client_options: ClientOptions { transport: Some(transport), ..ClientOptions::default() },
        ..SecretClientOptions::default()
    };
    let vault = SecretClient::new(VAULT, credential.clone(), Some(options))?;
    let secret = vault.get_secret("connection", None).await?.into_model()?;
    println!("   the secret: {}", secret.value.unwrap_or_default());

    let record = credential.record().ok_or("a token has a user")?;
    println!("   read by {}", record.username());
    Ok(record)
}
