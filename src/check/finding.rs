use std::fmt;

use crate::Entry;

/// Something about one entry that someone should know.
///
/// `Display` says what it is in one line; it names fields and never quotes a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    kind: Kind,
    entry: Entry,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The record is `null`.
    Null,
    /// Searches pass the record over; this is why ([`Entry::problem`]).
    Unreadable(&'static str),
    /// An access token has expired.
    Expired,
    /// Another record has the same identity and is newer; it stands under this key.
    Duplicate(String),
    /// The record stands under a key that no library gives to these fields. This one does.
    MisplacedKey(String),
    /// A field holds a number where the schema has a string.
    Number(String),
    /// A time is there and says nothing: `null`, or an empty text.
    EmptyTime(String),
    /// A token doesn't say which type of credential it is.
    NoCredentialType,
    /// A token says that it is of this type, which is another one than its section's.
    OtherCredentialType(String),
    /// An account doesn't say of which kind its identity provider is.
    NoAuthorityType,
    /// An account has no id of the user within the tenant.
    NoLocalAccountId,
    /// An access token doesn't say when it was stored.
    NoCachedAt,
    /// An app's own access token has `null` for its user.
    NullHomeAccount,
    /// Another access token of the same client and user has some of the same scopes.
    Overlap(String),
    /// Another record describes the same client, under another name of the same cloud.
    Alias(String),
    /// A token belongs to a user of whom there is no account.
    NoAccount,
    /// An account has neither a refresh token nor an access token that is good.
    NoTokens,
    /// The record stands in a section that the schema doesn't know.
    UnknownSection,
    /// A member of the document is no section.
    UnknownMember,
}

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Severity {
    /// Good to know. Caches that the libraries write by themselves have such things.
    Note,
    /// Some library works worse because of it, or works with an old token.
    Warning,
    /// Some library can't use the cache at all because of it.
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

/// What is fixed for each kind.
struct Card {
    name: &'static str,
    severity: Severity,
    meaning: &'static str,
    remedy: Option<&'static str>,
}

impl Kind {
    /// A name that stays, such as `misplaced-key`; for scripts.
    pub fn as_str(&self) -> &'static str {
        self.card().name
    }

    #[expect(clippy::too_many_lines, reason = "a table")]
    fn card(&self) -> Card {
        use Severity::{Error, Note, Warning};
        let (name, severity, meaning, remedy) = match self {
            Self::Null => (
                "null",
                Error,
                "MSAL Node and MSAL Go can't read a cache with such a record in it.",
                Some("deletes it: it holds nothing"),
            ),
            Self::Unreadable("its expires_on is not a number of seconds") => (
                "unreadable",
                Error,
                "Searches pass it over here, in Node and in Go. In MSAL Python every search for an \
                 access token fails that meets it.",
                None,
            ),
            Self::Unreadable(_) => (
                "unreadable",
                Warning,
                "Searches pass it over. It stays: another library may be able to use it.",
                None,
            ),
            Self::Expired => (
                "expired",
                Note,
                "It is of no use to anyone, and makes every reader's work longer.",
                Some("deletes it"),
            ),
            Self::Duplicate(_) => (
                "duplicate",
                Warning,
                "The newer one is used here. A library that picks the other one works with an old \
                 token, and MSAL Node deletes both.",
                Some("deletes the older one"),
            ),
            Self::MisplacedKey(_) => (
                "misplaced-key",
                Warning,
                "MSAL Node looks at keys first: it doesn't find the record, and deletes it with \
                 its next write.",
                Some("moves it under the key of MSAL Python"),
            ),
            Self::Number(_) => (
                "number",
                Warning,
                "MSAL .NET on .NET 8 or later refuses the whole cache, MSAL Go does for some \
                 fields.",
                Some("writes it as a string"),
            ),
            Self::EmptyTime(_) => (
                "empty-time",
                Error,
                "MSAL Go refuses the whole cache, and MSAL Python fails when it looks for this \
                 token.",
                Some("leaves the field out"),
            ),
            Self::NoCredentialType => (
                "no-credential-type",
                Warning,
                "MSAL Node deletes it with its next write.",
                Some("adds the type of the section"),
            ),
            Self::OtherCredentialType(_) => (
                "other-credential-type",
                Note,
                "MSAL .NET writes this for tokens of an extended cache key. MSAL Node deletes it \
                 with its next write, and MSAL Python fails once it has expired.",
                None,
            ),
            Self::NoAuthorityType => (
                "no-authority-type",
                Error,
                "MSAL Python can't list the accounts of the cache.",
                Some("adds the kind that the tenant tells"),
            ),
            Self::NoLocalAccountId => {
                ("no-local-account-id", Note, "MSAL Node doesn't show the account.", None)
            }
            Self::NoCachedAt => ("no-cached-at", Note, "MSAL Go never uses the token.", None),
            Self::NullHomeAccount => (
                "null-home-account",
                Note,
                "MSAL Python writes this. In a file that MSAL .NET uses for users, .NET can't read \
                 the cache, and its MsalCacheHelper deletes the file: give apps a file of their \
                 own.",
                None,
            ),
            Self::Overlap(_) => (
                "overlap",
                Note,
                "MSAL Python and Go write this. MSAL .NET refuses to choose between such tokens, \
                 and MSAL Node deletes both.",
                None,
            ),
            Self::Alias(_) => (
                "alias",
                Warning,
                "MSAL Node can't refresh tokens of this client (multiple_matching_appMetadata). \
                 A cache that is shared by several libraries should be written for all of them.",
                None,
            ),
            Self::NoAccount => (
                "no-account",
                Note,
                "No list of accounts shows its user, so signing out by account doesn't reach it.",
                None,
            ),
            Self::NoTokens => (
                "no-tokens",
                Note,
                "The user is listed as signed in and will be asked to sign in again.",
                None,
            ),
            Self::UnknownSection => (
                "unknown-section",
                Note,
                "It is kept as it is. MSAL Java drops it with its next write.",
                None,
            ),
            Self::UnknownMember => (
                "unknown-member",
                Note,
                "It is kept as it is. MSAL Java drops it with its next write.",
                None,
            ),
        };
        Card { name, severity, meaning, remedy }
    }
}

impl Finding {
    pub(super) fn new(kind: Kind, entry: &Entry) -> Self {
        Self { kind, entry: entry.clone() }
    }

    /// What was found.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// The entry that it is about.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// How much it matters.
    pub fn severity(&self) -> Severity {
        self.kind.card().severity
    }

    /// What it means, and for whom; a sentence or two.
    pub fn meaning(&self) -> &'static str {
        self.kind.card().meaning
    }

    /// What [`TokenCache::repair`](crate::TokenCache::repair) does about it, such as `deletes
    /// it`; `None` where it leaves the entry alone.
    pub fn remedy(&self) -> Option<&'static str> {
        self.kind.card().remedy
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Null => f.write_str("the record is null"),
            Kind::Unreadable(problem) => write!(f, "can't be used: {problem}"),
            Kind::Expired => f.write_str("has expired"),
            Kind::Duplicate(_) => f.write_str("a newer record has the same identity"),
            Kind::MisplacedKey(_) => f.write_str("stands under a key that doesn't fit its fields"),
            Kind::Number(field) => write!(f, "{field} is a number instead of a string"),
            Kind::EmptyTime(field) => write!(f, "{field} is there and says nothing"),
            Kind::NoCredentialType => f.write_str("has no credential_type"),
            Kind::OtherCredentialType(found) => {
                let section = self.entry.credential_type();
                write!(f, "says that it is {found:?} and not {section}")
            }
            Kind::NoAuthorityType => f.write_str("has no authority_type"),
            Kind::NoLocalAccountId => f.write_str("has no local_account_id"),
            Kind::NoCachedAt => f.write_str("has no cached_at"),
            Kind::NullHomeAccount => f.write_str("home_account_id is null"),
            Kind::Overlap(_) => f.write_str("shares scopes with another access token"),
            Kind::Alias(_) => f.write_str("the client is described twice in one cloud"),
            Kind::NoAccount => f.write_str("belongs to a user who has no account here"),
            Kind::NoTokens => f.write_str("has no token that can be used"),
            Kind::UnknownSection => {
                let section = self.entry.credential_type();
                write!(f, "section {:?} is not of the schema", section.as_str())
            }
            Kind::UnknownMember => f.write_str("is no section of the schema"),
        }
    }
}
