use std::fmt;

use crate::model::{Entry, Problem};

/// A problem of one entry.
///
/// `Display` describes it in one line, which never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    kind: Kind,
    entry: Entry,
}

/// The kind of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The record is `null`.
    Null,
    /// Searches skip the record, for this reason ([`Entry::problem`]).
    Unreadable(Problem),
    /// An access token has expired.
    Expired,
    /// An access token was superseded by a later one for the same API, which has expired.
    Superseded,
    /// A newer record has the same identity. It is stored under this key.
    Duplicate(String),
    /// Another record has the same identity, and nothing says which of the two is newer. It is
    /// stored under this key.
    Undated(String),
    /// The record is stored under a key that no library builds from its fields. MSAL Python builds
    /// this one.
    MisplacedKey(String),
    /// This field is a number, and a string in the schema.
    Number(String),
    /// This field is a time, and it is `null` or blank.
    EmptyTime(String),
    /// A token has no `credential_type`.
    NoCredentialType,
    /// A token has this `credential_type`, which differs from its section.
    OtherCredentialType(String),
    /// The `credential_type` of a token is no text.
    OddCredentialType,
    /// An account has no `authority_type`.
    NoAuthorityType,
    /// An account has no `local_account_id`.
    NoLocalAccountId,
    /// An access token has no `cached_at`.
    NoCachedAt,
    /// An access token of an app has `null` as its `home_account_id`.
    NullHomeAccount,
    /// Another access token of the same client and user has a scope in common. This is its key.
    Overlap(String),
    /// Another record describes the same client, under another host name of the same cloud. This is
    /// its key.
    Alias(String),
    /// A token belongs to a user without an account record.
    NoAccount,
    /// An account has neither a refresh token nor a valid access token.
    NoTokens,
    /// The record is in a section that is not in the schema.
    UnknownSection,
    /// A member of the document is not a section of the schema.
    UnknownMember,
    /// A section of the schema is `null`.
    NullSection,
}

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// For information. Caches that the MSAL libraries write contain such records.
    Note,
    /// A library works less well because of it, or uses an old token.
    Warning,
    /// A library can't use the cache because of it.
    Error,
}

impl Severity {
    /// `note`, `warning`, `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The constant properties of a kind.
struct KindInfo {
    name: &'static str,
    severity: Severity,
    meaning: &'static str,
    remedy: Option<&'static str>,
}

impl Kind {
    /// A stable name for scripts, for example `misplaced-key`.
    pub fn as_str(&self) -> &'static str {
        self.info().name
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    fn info(&self) -> KindInfo {
        use Severity::{Error, Note, Warning};
        let (name, severity, meaning, remedy) = match self {
            Self::Null => (
                "null",
                Error,
                "MSAL Node and MSAL Go can't read a cache that contains such a record.",
                Some("deletes it"),
            ),
            Self::Unreadable(Problem::NoExpiry) => (
                "unreadable",
                Error,
                "Searches skip it here, in MSAL Node and in MSAL Go. In MSAL Python, every search \
                 for an access token that encounters it fails.",
                None,
            ),
            Self::Unreadable(_) => (
                "unreadable",
                Warning,
                "Searches skip it. It is kept, since another library may be able to use it.",
                None,
            ),
            Self::Expired => (
                "expired",
                Note,
                "It can't be used, and it slows down every read.",
                Some("deletes it"),
            ),
            Self::Superseded => (
                "superseded",
                Note,
                "A later token for the same API has expired. Requests here return neither of the two, \
                 and would return this one if only the later one were deleted.",
                Some("deletes it"),
            ),
            Self::Duplicate(_) => (
                "duplicate",
                Warning,
                "Searches here return the newer one. A library that picks the older one uses an \
                 old token, and MSAL Node deletes both.",
                Some("deletes the older one"),
            ),
            Self::Undated(_) => (
                "undated",
                Warning,
                "MSAL Go, .NET, Java and Node don't write when they stored a token. Both are kept, \
                 since each may be the one that the server accepts. A refresh here tries the \
                 likelier one first; another library may use either.",
                None,
            ),
            Self::MisplacedKey(_) => (
                "misplaced-key",
                Warning,
                "MSAL Node looks records up by key: it doesn't find this one, and its next write \
                 deletes it.",
                Some("moves it to the key that MSAL Python uses"),
            ),
            Self::Number(_) => (
                "number",
                Warning,
                "MSAL .NET on .NET 8 or later rejects the whole cache. MSAL Go does so for some \
                 fields.",
                Some("rewrites it as a string"),
            ),
            Self::EmptyTime(_) => (
                "empty-time",
                Error,
                "MSAL Go rejects the whole cache, and MSAL Python fails when it searches for this \
                 token.",
                Some("removes the field"),
            ),
            Self::NoCredentialType => (
                "no-credential-type",
                Warning,
                "MSAL Node's next write deletes it.",
                Some("adds the type of its section"),
            ),
            Self::OtherCredentialType(_) => (
                "other-credential-type",
                Note,
                "MSAL .NET writes this for tokens with an extended cache key. MSAL Node's next \
                 write deletes it, and MSAL Python fails once it has expired.",
                None,
            ),
            Self::OddCredentialType => (
                "odd-credential-type",
                Warning,
                "MSAL Node's next write deletes it. Requests skip an access token with it, since a \
                 type sets tokens of other flows apart.",
                None,
            ),
            Self::NoAuthorityType => (
                "no-authority-type",
                Error,
                "MSAL Python can't list the accounts of the cache.",
                Some("adds the type, which follows from the tenant"),
            ),
            Self::NoLocalAccountId => {
                ("no-local-account-id", Note, "MSAL Node doesn't list the account.", None)
            }
            Self::NoCachedAt => ("no-cached-at", Note, "MSAL Go never uses the token.", None),
            Self::NullHomeAccount => (
                "null-home-account",
                Note,
                "MSAL Python writes this. MSAL .NET can't read a user cache that contains it, and \
                 its MsalCacheHelper deletes the file. Keep tokens of apps in a separate file.",
                None,
            ),
            Self::Overlap(_) => (
                "overlap",
                Note,
                "MSAL Python and MSAL Go write such tokens. MSAL .NET refuses to choose between \
                 them, and MSAL Node deletes both.",
                None,
            ),
            Self::Alias(_) => (
                "alias",
                Warning,
                "MSAL Node can't refresh tokens of this client (multiple_matching_appMetadata). \
                 If several libraries share the cache, write it with the profile `family`.",
                None,
            ),
            Self::NoAccount => (
                "no-account",
                Note,
                "Its user is in no list of accounts, so signing out an account doesn't remove it.",
                None,
            ),
            Self::NoTokens => (
                "no-tokens",
                Note,
                "The user is listed as signed in, but the next token request requires a new \
                 sign-in.",
                None,
            ),
            Self::UnknownSection => (
                "unknown-section",
                Note,
                "It is kept unchanged. MSAL Java's next write removes it.",
                None,
            ),
            Self::NullSection => (
                "null-section",
                Error,
                "MSAL Python fails when it searches the section.",
                Some("removes it"),
            ),
            Self::UnknownMember => (
                "unknown-member",
                Note,
                "It is kept unchanged. MSAL Java's next write removes it.",
                None,
            ),
        };
        KindInfo { name, severity, meaning, remedy }
    }
}

impl Finding {
    pub(super) fn new(kind: Kind, entry: &Entry) -> Self {
        Self { kind, entry: entry.clone() }
    }

    /// The kind of the problem.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The entry that has the problem.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// How severe the problem is.
    pub fn severity(&self) -> Severity {
        self.kind.info().severity
    }

    /// The effect on the libraries, in one to three sentences.
    pub fn meaning(&self) -> &'static str {
        self.kind.info().meaning
    }

    /// What [`TokenCache::repair`](crate::TokenCache::repair) does about it, for example `deletes
    /// it`; `None` if it does nothing.
    pub fn remedy(&self) -> Option<&'static str> {
        self.kind.info().remedy
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Null => f.write_str("the record is null"),
            Kind::Unreadable(problem) => write!(f, "can't be used: {problem}"),
            Kind::Expired => f.write_str("has expired"),
            Kind::Superseded => f.write_str("superseded by a token that has expired"),
            Kind::Duplicate(_) => f.write_str("a newer record has the same identity"),
            Kind::Undated(_) => f.write_str(
                "another record has the same identity, and nothing says which one is newer",
            ),
            Kind::MisplacedKey(_) => {
                f.write_str("is stored under a key that doesn't match its fields")
            }
            Kind::Number(field) => write!(f, "{field} is a number instead of a string"),
            Kind::EmptyTime(field) => write!(f, "{field} is null or empty"),
            Kind::NoCredentialType => f.write_str("has no credential_type"),
            Kind::OtherCredentialType(found) => {
                let section = self.entry.credential_type();
                write!(f, "credential_type is {found:?} instead of {section}")
            }
            Kind::OddCredentialType => f.write_str("credential_type is not a string"),
            Kind::NoAuthorityType => f.write_str("has no authority_type"),
            Kind::NoLocalAccountId => f.write_str("has no local_account_id"),
            Kind::NoCachedAt => f.write_str("has no cached_at"),
            Kind::NullHomeAccount => f.write_str("home_account_id is null"),
            Kind::Overlap(_) => f.write_str("shares scopes with another access token"),
            Kind::Alias(_) => {
                f.write_str("another record describes the same client in the same cloud")
            }
            Kind::NoAccount => f.write_str("belongs to a user without an account record"),
            Kind::NoTokens => f.write_str("has no usable token"),
            Kind::UnknownSection => {
                let section = self.entry.credential_type();
                write!(f, "section {:?} is not in the schema", section.as_str())
            }
            Kind::UnknownMember => f.write_str("is not a section of the schema"),
            Kind::NullSection => f.write_str("the section is null"),
        }
    }
}
