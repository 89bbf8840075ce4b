//! An app keeps its tokens in memory if the cache can't be used, and prints the reason: a file, and a file that
//! is sealed.
//!
//! Run it with `cargo run --example fall_back_to_memory --features sealed`.

use std::error::Error;
use std::fs;
use std::path::Path;

use msal_cache::sealed::{KeyRing, SealedBlob};
use msal_cache::store::{CacheStore, Document};
use msal_cache::{CredentialType, Event, Fields, FileStore, Memory, Query, Result, TokenCache};

type Store = Box<dyn CacheStore>;

fn main() -> std::result::Result<(), Box<dyn Error>> {
    fs::create_dir_all("demo")?;

    // A usable path.
    work("demo/fallback.json", plain)?;

    // A directory.
    fs::create_dir_all("demo/a-folder")?;
    work("demo/a-folder", plain)?;

    // A file that other users can read. The error message includes the remedy.
    fs::write("demo/open-to-all.json", "{}")?;
    make_world_readable("demo/open-to-all.json")?;
    work("demo/open-to-all.json", plain)?;

    // A place that can be opened, and not written: no error before `verify`.
    let place =
        if cfg!(target_os = "linux") { "/sys/app/cache.json" } else { "/dev/app/cache.json" };
    work(place, plain)?;

    // A sealed file, first with its key, then with another one, as after the key was lost. The file stays as it is.
    let path = "demo/fallback.sealed";
    if Path::new(path).exists() {
        fs::remove_file(path)?;
    }
    let keys = KeyRing::generate()?;
    work(path, |path| sealed(path, keys))?;
    let others = KeyRing::generate()?;
    work(path, |path| sealed(path, others))
}

/// A cache in a file.
fn plain(path: &str) -> Result<Store> {
    Ok(Box::new(FileStore::open(path)?))
}

/// A cache in a file that is encrypted. An app has its keys in a file or a key store.
fn sealed(path: &str, keys: KeyRing) -> Result<Store> {
    let file = FileStore::builder(path).open_blob()?;
    Ok(Box::new(Document::new(SealedBlob::new(file, "my-app", keys))))
}

fn work(
    path: &str,
    open: impl FnOnce(&str) -> Result<Store>,
) -> std::result::Result<(), Box<dyn Error>> {
    println!("{path}:");
    let cache = verified_or_in_memory(open(path));
    cache.add(
        &Event::new("client")
            .token_endpoint("https://login.microsoftonline.com/contoso/oauth2/v2.0/token")
            .response(Fields::new().set("access_token", "s3cret").set("expires_in", 3600)),
    )?;
    let found = cache.find(CredentialType::AccessToken, &Query::new())?.len();
    println!("   {found} token stored in {:?}\n", cache.store());
    Ok(())
}

/// A cache in the store, or in memory where the store can't be used. Opening checks who can access a
/// file, and writes nothing; `verify` proves that tokens can be written and read back, before a user signs in.
fn verified_or_in_memory(opened: Result<Store>) -> TokenCache<Store> {
    let verified = opened.and_then(|store| {
        let cache = TokenCache::new(store);
        cache.verify()?;
        Ok(cache)
    });
    verified.unwrap_or_else(|error| {
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
