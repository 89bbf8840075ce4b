//! An app keeps its tokens in memory if the cache file can't be used, and prints the reason.
//!
//! Run it with `cargo run --example fall_back_to_memory`.

use std::error::Error;
use std::fs;
use std::path::Path;

use msal_cache::store::CacheStore;
use msal_cache::{CredentialType, Event, Fields, FileStore, Memory, Query, TokenCache};

fn main() -> Result<(), Box<dyn Error>> {
    fs::create_dir_all("demo")?;

    // A usable path.
    work("demo/fallback.json")?;

    // A directory.
    fs::create_dir_all("demo/a-folder")?;
    work("demo/a-folder")?;

    // A file that other users can read. The error message includes the remedy.
    fs::write("demo/open-to-all.json", "{}")?;
    make_world_readable("demo/open-to-all.json")?;
    work("demo/open-to-all.json")?;

    // A place that can be opened, and not written: no error before `verify`.
    work(if cfg!(target_os = "linux") { "/sys/app/cache.json" } else { "/dev/app/cache.json" })
}

fn work(path: &str) -> Result<(), Box<dyn Error>> {
    println!("{path}:");
    let cache = open_or_fall_back(Path::new(path));
    cache.add(
        &Event::new("client")
            .token_endpoint("https://login.microsoftonline.com/contoso/oauth2/v2.0/token")
            .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600)),
    )?;
    let found = cache.find(CredentialType::AccessToken, &Query::new())?.len();
    println!("   {found} token stored in {:?}\n", cache.store());
    Ok(())
}

/// A cache in the file, or in memory where the file can't be used. Opening checks who can access the
/// file, and writes nothing; `verify` proves that tokens can be written, before a user signs in.
fn open_or_fall_back(path: &Path) -> TokenCache<Box<dyn CacheStore>> {
    let opened = FileStore::open(path).and_then(|store| {
        let cache = TokenCache::new(Box::new(store) as Box<dyn CacheStore>);
        cache.verify()?;
        Ok(cache)
    });
    opened.unwrap_or_else(|error| {
        println!("   error: {error}");
        let mut cause = error.source();
        while let Some(error) = cause {
            println!("   caused by: {error}");
            cause = error.source();
        }
        println!("   tokens are kept in memory until the process ends");
        TokenCache::new(Box::new(Memory::new()))
    })
}

#[cfg(unix)]
fn make_world_readable(path: &str) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_world_readable(_path: &str) -> std::io::Result<()> {
    Ok(())
}
