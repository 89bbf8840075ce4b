//! Problems of a store as a whole.

use msal_cache::check::{Readers, TextFault, readers, salvage};
use msal_cache::file::{OnCorrupt, Permissions};
use msal_cache::store::{Blob, BlobStore, Bytes};
use msal_cache::{Entry, Error};
use serde_json::{Value, json};

use crate::cache::Cache;
use crate::content::{self, Content};
use crate::failure::Failure;
use crate::out::count;
use crate::report::can_be_repaired;
use crate::run::Run;
use crate::sealed::Sealed;
use crate::sealing::numbers;
use crate::store::{Access, StoreRef};

/// A problem of a store as a whole.
pub(crate) struct Trouble {
    /// `corrupt`, `insecure`, `sealed`, `not-sealed` or `text`.
    pub(crate) kind: &'static str,
    pub(crate) message: String,
    /// The consequences, and what can be done.
    pub(crate) meaning: String,
    /// Whether `repair` fixes it.
    pub(crate) repairable: bool,
}

impl Trouble {
    pub(crate) fn as_json(&self) -> Value {
        json!({
            "kind": self.kind,
            "severity": "error",
            "message": self.message,
            "meaning": self.meaning,
            "repairable": self.repairable,
        })
    }
}

/// What a store holds, and what is wrong with it as a whole.
pub(crate) struct Examined {
    pub(crate) entries: Vec<Entry>,
    pub(crate) troubles: Vec<Trouble>,
    /// Which libraries can read the file.
    pub(crate) readers: Option<Readers>,
    /// What is sealed, and by which keys.
    pub(crate) sealed: Option<Sealed>,
}

/// Opens and reads a store, even if other users can access it.
pub(crate) fn examine(run: &Run<'_>, store: &StoreRef) -> Result<Examined, Failure> {
    let (entries, troubles) = (Vec::new(), Vec::new());
    let mut found = Examined { entries, troubles, readers: None, sealed: None };
    let (cache, permissions) = match open(run, store, Permissions::Refuse) {
        // Other users can access the store: report it, and check the content as well.
        Err(Failure::Cache(error @ Error::Insecure { .. })) => {
            found.troubles.push(insecure(store, &error));
            (open(run, store, Permissions::Ignore), Permissions::Ignore)
        }
        opened => (opened, Permissions::Refuse),
    };
    let read = match cache {
        Ok(cache) => run.waiting("Reading", || cache.entries(None)).map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    // Standard input is read once.
    if read.as_ref().err().is_none_or(is_seal) {
        found.sealed = Sealed::find(run, store, permissions)?;
    }
    if let Err(failure) = &read
        && is_seal(failure)
    {
        found.troubles.push(seal(store, failure, found.sealed.as_ref()));
        return Ok(found);
    }
    if let Err(failure) = &read
        && !matches!(failure, Failure::Cache(Error::Corrupt { .. }))
    {
        return read.map(|_| found);
    }
    let bytes = match store {
        StoreRef::File(path) if !run.common.keys.any() => std::fs::read(path).ok().map(Bytes::from),
        // No other library can read it.
        StoreRef::File(_) => match store.open_blob(run.common, permissions)? {
            Some(blob) => match blob.read(None)? {
                Blob::Present(_, bytes) => Some(bytes),
                Blob::Absent | Blob::Unchanged => None,
            },
            None => None,
        },
        StoreRef::Sqlite(_) | StoreRef::Server(_) | StoreRef::KeyStore(_) | StoreRef::Input => None,
    };
    let is_plain = !run.common.keys.any();
    found.readers = bytes.as_ref().filter(|_| is_plain).map(|bytes| readers(bytes.expose()));
    match read {
        Ok(entries) => {
            found.entries = entries;
            let fault = found.readers.as_ref().and_then(|it| Some((it, it.fault.as_ref()?)));
            // A section that is null is a finding, which has a remedy.
            let fault = fault.filter(|(_, fault)| !matches!(fault, TextFault::Section(_)));
            if let Some((readers, fault)) = fault {
                found.troubles.push(Trouble {
                    kind: "text",
                    message: format!("{}: {fault}", store.text()),
                    meaning: format!("{} This library can.", of_readers(readers)),
                    repairable: *fault == TextFault::ByteOrderMark,
                });
            }
        }
        Err(Failure::Cache(error @ Error::Corrupt { .. })) => {
            let bytes = bytes.as_ref().map(Bytes::expose);
            found.troubles.push(corrupt(&error, bytes, found.readers.as_ref()));
        }
        Err(failure) => return Err(failure),
    }
    let damage = store.open_database(run.common, permissions).and_then(|database| {
        let damage = database.map(|it| run.waiting("Checking", || it.find_damage()));
        Ok(damage.transpose()?.flatten())
    });
    if let (Ok(Some(damage)), true) = (damage, found.troubles.iter().all(|it| it.kind != "corrupt"))
    {
        found.troubles.push(Trouble {
            kind: "corrupt",
            message: format!("{} is damaged: {damage}", store.text()),
            meaning: sentence(content::DAMAGED),
            repairable: false,
        });
    }
    Ok(found)
}

fn is_seal(failure: &Failure) -> bool {
    matches!(failure.kind().0, "sealed" | "not-sealed")
}

/// A store that can't be opened by the given keys, or without keys.
fn seal(store: &StoreRef, failure: &Failure, sealed: Option<&Sealed>) -> Trouble {
    let missing = sealed.and_then(Sealed::missing).unwrap_or_default();
    let meaning = match failure.kind().0 {
        "not-sealed" => {
            let plain = sealed.map_or(1, |it| it.seals.plain);
            let plain = count(plain, if store.is_text() { "document" } else { "record" });
            format!("Not sealed: {plain}. `msal-cache seal` seals what is plain.")
        }
        _ if !missing.is_empty() => {
            format!("The key ring lacks {}. The entries could not be checked.", numbers(missing))
        }
        _ => "The entries could not be checked; give its keys and its name (--seal-name).".into(),
    };
    Trouble { kind: failure.kind().0, message: failure.message(), meaning, repairable: false }
}

fn open(run: &Run<'_>, store: &StoreRef, permissions: Permissions) -> Result<Cache, Failure> {
    store.open_with(run.common, Access::Read, permissions, OnCorrupt::Error)
}

fn insecure(store: &StoreRef, error: &Error) -> Trouble {
    let Error::Insecure { path, reason, remedy } = error else {
        return corrupt(error, None, None);
    };
    Trouble {
        kind: "insecure",
        message: format!("{} is not safe for tokens: {reason}", path.display()),
        meaning: format!(
            "Users who can access the store can use its tokens, or replace it. {}",
            sentence(remedy)
        ),
        repairable: can_be_repaired(store, path, reason),
    }
}

/// A store that this library can't read.
fn corrupt(error: &Error, bytes: Option<&[u8]>, readers: Option<&Readers>) -> Trouble {
    let (kind, message) = ("corrupt", error.to_string());
    let Some(bytes) = bytes else {
        return Trouble {
            kind,
            message,
            meaning: sentence(content::database(error)),
            repairable: false,
        };
    };
    let records = salvage(bytes).is_ok_and(|document| document != "{}");
    let (remedy, repairable) = match Content::of(bytes) {
        _ if records => {
            ("`msal-cache repair` moves the file aside and recovers its readable records.", true)
        }
        Content::Empty => ("`msal-cache repair` makes it an empty cache.", true),
        Content::Damaged => {
            ("It has no readable record: `msal-cache repair --force` begins an empty cache.", false)
        }
        Content::Text => ("It has no readable record, and may belong to another program.", false),
        Content::Adal => {
            let meaning = format!("{}.", sentence(content::ADAL));
            return Trouble { kind, message, meaning, repairable: false };
        }
        Content::Foreign(what) => {
            return Trouble {
                kind,
                message,
                meaning: format!("{}. Only the program that wrote it can read it.", sentence(what)),
                repairable: false,
            };
        }
    };
    let readers = readers.map(of_readers).unwrap_or_default();
    Trouble { kind, message, meaning: format!("{readers} {remedy}"), repairable }
}

/// Which of the other libraries can read the file.
fn of_readers(readers: &Readers) -> &'static str {
    match (readers.python, readers.node) {
        (true, true) if readers.fault == Some(TextFault::Empty) => {
            "MSAL Python and MSAL Node begin with an empty cache."
        }
        (true, true) => "MSAL Python and MSAL Node can read it.",
        (true, false) => "MSAL Node can't read it. MSAL Python can.",
        (false, true) => "MSAL Python can't read it. MSAL Node reads what it can.",
        (false, false) => "MSAL Python and MSAL Node can't read it.",
    }
}

fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|it| it.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", chars.as_str())
}
