//! What a file is that is not a token cache, and what can be done about it.

use msal_cache::sealed::is_sealed_document;
use msal_cache::{Error, check};

use crate::store::{StoreRef, begin};

/// What the content of a file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Nothing, or only blanks or zeros, as after a full disk.
    Empty,
    /// A text with the name of a section.
    Damaged,
    /// A cache of ADAL.
    Adal,
    /// Another text.
    Text,
    /// Something else, with what it is.
    Foreign(&'static str),
}

/// How files of other kinds begin.
const FOREIGN: [(&[u8], &str); 10] = [
    (
        b"\x01\0\0\0\xd0\x8c\x9d\xdf\x01\x15\xd1\x11",
        "it is encrypted for a Windows user (DPAPI), as the MSAL libraries do on Windows",
    ),
    (b"eyJ", "it looks encrypted (JWE), as Azure Identity for Go does on Linux"),
    (b"SQLite format 3\0", "it is a SQLite database"),
    (b"\xff\xfe", "it is text in UTF-16"),
    (b"\xfe\xff", "it is text in UTF-16"),
    (b"\x1f\x8b", "it is compressed"),
    (b"PK\x03\x04", "it is a ZIP archive"),
    (b"-----BEGIN ", "it is a certificate or a key"),
    (b"keychain", "it is a key store of macOS"),
    (b"GnomeKeyring", "it is a key store of GNOME"),
];

impl Content {
    /// The content that begins with these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        if bytes.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace()) {
            return Self::Empty;
        }
        if let Some((_, what)) = FOREIGN.iter().find(|(begin, _)| bytes.starts_with(begin)) {
            return Self::Foreign(what);
        }
        // A document has more quotes and colons than encrypted data.
        let text =
            bytes.iter().filter(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace());
        if text.count() * 8 < bytes.len() * 7 {
            return Self::Foreign("it is no text: it is encrypted, or belongs to another program");
        }
        if is_adal(bytes) {
            return Self::Adal;
        }
        let has = |name: &[u8]| has(bytes, name);
        let sections = ["\"AccessToken\"", "\"RefreshToken\"", "\"IdToken\"", "\"Account\""];
        if sections.iter().any(|name| has(name.as_bytes())) { Self::Damaged } else { Self::Text }
    }
}

/// Whether a text looks like a cache of ADAL: a list, with names of its entries. Those of Azure CLI may
/// be of apps only.
pub(crate) fn is_adal(bytes: &[u8]) -> bool {
    let is_list = bytes.iter().find(|it| !it.is_ascii_whitespace()) == Some(&b'[');
    is_list && (has(bytes, b"\"_authority\"") || has(bytes, b"\"servicePrincipalId\""))
}

fn has(bytes: &[u8], name: &[u8]) -> bool {
    bytes.windows(name.len()).any(|part| part == name)
}

/// Advice about a store that is not a token cache.
pub(crate) fn advice(store: &StoreRef, error: &Error) -> &'static str {
    let path = match store {
        StoreRef::File(path) => path,
        StoreRef::KeyStore(_) => {
            return "it belongs to another program, or is damaged, and is left as it is";
        }
        StoreRef::Sqlite(_) | StoreRef::Server(_) | StoreRef::Input => return database(error),
    };
    if is_sealed_document(&begin(path)) {
        return "its text is damaged; `msal-cache repair STORE` with the same keys moves the file aside and \
                recovers its readable records";
    }
    match Content::of(&begin(path)) {
        Content::Foreign(what) => what,
        Content::Adal => ADAL,
        Content::Empty => "`msal-cache repair STORE` makes it an empty cache",
        content @ (Content::Damaged | Content::Text) => {
            let recovered = std::fs::read(path).ok().and_then(|bytes| check::salvage(&bytes).ok());
            match recovered.as_deref() {
                Some("{}") | None if content == Content::Damaged => LOST,
                Some("{}") | None => UNKNOWN,
                Some(_) => {
                    "`msal-cache repair STORE` moves the file aside and recovers its readable records"
                }
            }
        }
    }
}

/// What a damaged cache is from which nothing can be recovered.
pub(crate) const LOST: &str = "it is a damaged cache without a readable record; `msal-cache repair \
     STORE --force` renames it and begins an empty cache";

/// What a cache of ADAL is.
pub(crate) const ADAL: &str = "it is a cache of ADAL, the predecessor of MSAL; `msal-cache import STORE FILE \
     --redeem` signs its users in to another store";

/// What another text is.
pub(crate) const UNKNOWN: &str = "it has no readable record, and may belong to another program";

/// Advice about a database that can't be read.
pub(crate) fn database(error: &Error) -> &'static str {
    match error {
        Error::Corrupt { reason, .. } if reason.contains("newer version") => {
            "install the newer version of msal-cache"
        }
        Error::Corrupt { reason, .. } if !reason.contains("damaged") => {
            "it belongs to another program, and is left as it is"
        }
        _ => DAMAGED,
    }
}

/// Advice about a damaged database.
pub(crate) const DAMAGED: &str = "a damaged database can't be repaired: restore a backup, or delete it \
     and sign in again";
