use std::fmt;

/// Why an entry can't be used, and searches skip it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// The record is not a JSON object.
    NotAnObject,
    /// `expires_on` of an access token is not a number of seconds.
    NoExpiry,
    /// A token has no `secret`.
    NoSecret,
    /// An account has no `home_account_id`.
    NoHomeAccountId,
    /// The metadata of a client has no `client_id`.
    NoClientId,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "it is not an object",
            Self::NoExpiry => "its expires_on is not a number of seconds",
            Self::NoSecret => "it has no secret",
            Self::NoHomeAccountId => "it has no home_account_id",
            Self::NoClientId => "it has no client_id",
        })
    }
}
