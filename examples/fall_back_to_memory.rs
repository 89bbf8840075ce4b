//! A cache that can't be used is an error that says why; the app decides to go on in memory.
//!
//! `cargo run --example fall_back_to_memory`

use std::error::Error as StdError;
use std::fs;
use std::path::Path;

use msal_cache::{
    CacheStore, CredentialType, Error, Event, Fields, FileStore, Memory, Query, TokenCache,
};

fn main() -> Result<(), Box<dyn StdError>> {
    fs::create_dir_all("demo")?;

    // A good place.
    work("demo/fallback.json")?;

    // A folder stands where the file should be.
    fs::create_dir_all("demo/a-folder")?;
    work("demo/a-folder")?;

    // A file that others can read. The error tells how to mend it.
    fs::write("demo/open-to-all.json", "{}")?;
    make_readable_for_all("demo/open-to-all.json")?;
    work("demo/open-to-all.json")
}

fn work(path: &str) -> Result<(), Box<dyn StdError>> {
    println!("{path}:");
    let cache = TokenCache::new(open_or_fall_back(Path::new(path)));
    cache.add(
        &Event::new("client")
            .token_endpoint("https://login.microsoftonline.com/contoso/oauth2/v2.0/token")
            .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600)),
    )?;
    let found = cache.find(CredentialType::AccessToken, &Query::new())?.len();
    println!("   {found} token in {:?}\n", cache.store());
    Ok(())
}

/// The file, or memory where the file can't be used.
fn open_or_fall_back(path: &Path) -> Box<dyn CacheStore> {
    match FileStore::open(path) {
        Ok(store) => Box::new(store),
        Err(error) => {
            println!("   not used: {error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                println!("   because: {error}");
                cause = error.source();
            }
            if let Error::Insecure { remedy, .. } = &error {
                println!("   what to do: {remedy}");
            }
            println!("   tokens are kept in memory, until this process ends");
            Box::new(Memory::new())
        }
    }
}

#[cfg(unix)]
fn make_readable_for_all(path: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable_for_all(_path: &str) -> std::io::Result<()> {
    Ok(())
}
