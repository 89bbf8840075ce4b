use std::fmt;

/// The kind of identity provider behind an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthorityType {
    /// Microsoft Entra ID and Microsoft accounts: `MSSTS`.
    Mssts,
    /// Active Directory Federation Services: `ADFS`.
    Adfs,
    /// Another kind, under the name that a library wrote.
    Other(Box<str>),
}

impl AuthorityType {
    /// The name in the cache.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Mssts => "MSSTS",
            Self::Adfs => "ADFS",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for AuthorityType {
    fn from(name: &str) -> Self {
        match name {
            "MSSTS" => Self::Mssts,
            "ADFS" => Self::Adfs,
            other => Self::Other(other.into()),
        }
    }
}

impl fmt::Display for AuthorityType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
