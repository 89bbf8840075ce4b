use std::fmt;
use std::hash::{Hash, Hasher};
use std::mem;

/// A section of the cache: the kind of its records.
///
/// The names come from the schema that all MSAL libraries share. The type is open: a section of a
/// newer library is [`Other`](Self::Other), and is stored and written back like the known ones. Two
/// are equal if their names are; [`From<&str>`](Self::from) gives a known name its own variant.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CredentialType {
    /// Access tokens.
    AccessToken,
    /// Refresh tokens.
    RefreshToken,
    /// ID tokens.
    IdToken,
    /// Signed-in accounts. They aren't credentials, but the schema keeps them with the credentials.
    Account,
    /// Metadata of a client, such as the family with which it shares refresh tokens.
    AppMetadata,
    /// A section whose name this version doesn't know.
    ///
    /// The empty name means the document itself: members of the JSON document that are not objects
    /// (`"version": 3`), and so hold no records, are kept under it as a whole.
    Other(Box<str>),
}

impl CredentialType {
    /// The five sections of the schema, in the order in which they are written.
    pub const KNOWN: [Self; 5] =
        [Self::AccessToken, Self::Account, Self::IdToken, Self::RefreshToken, Self::AppMetadata];

    /// The document itself; see [`Other`](Self::Other).
    pub(crate) fn document() -> Self {
        Self::Other("".into())
    }

    pub(crate) fn is_document(&self) -> bool {
        self.as_str().is_empty()
    }

    /// The name of the section in the JSON document.
    pub fn as_str(&self) -> &str {
        match self {
            Self::AccessToken => "AccessToken",
            Self::RefreshToken => "RefreshToken",
            Self::IdToken => "IdToken",
            Self::Account => "Account",
            Self::AppMetadata => "AppMetadata",
            Self::Other(name) => name,
        }
    }
}

// By name: a known section that is spelled out as `Other` must not become a second one.
impl PartialEq for CredentialType {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(_), _) | (_, Self::Other(_)) => self.as_str() == other.as_str(),
            (known, other) => mem::discriminant(known) == mem::discriminant(other),
        }
    }
}

impl Eq for CredentialType {}

impl Hash for CredentialType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl From<&str> for CredentialType {
    fn from(name: &str) -> Self {
        Self::KNOWN
            .into_iter()
            .find(|known| known.as_str() == name)
            .unwrap_or_else(|| Self::Other(name.into()))
    }
}

impl fmt::Display for CredentialType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::CredentialType;

    #[test]
    fn a_section_is_equal_to_its_name_spelled_out() {
        for known in CredentialType::KNOWN {
            let spelled_out = CredentialType::Other(known.as_str().into());
            assert_eq!(spelled_out, known);
            assert!(!matches!(CredentialType::from(known.as_str()), CredentialType::Other(_)));
            let both = std::collections::HashSet::from([spelled_out, known]);
            assert_eq!(both.len(), 1);
        }
        assert_ne!(CredentialType::from("accesstoken"), CredentialType::AccessToken);
    }
}
