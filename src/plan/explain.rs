//! A plan as text.

use std::fmt;

use crate::model::{Entry, RefreshReason};
use crate::plan::candidates::{Candidate, Verdict};
use crate::plan::silent::{Attempt, ClientFamily, Role, SilentPlan};

impl fmt::Display for SilentPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.candidates.len() {
            0 => writeln!(f, "the cache has no access token of this owner")?,
            1 => writeln!(f, "1 cached access token:")?,
            more => writeln!(f, "{more} cached access tokens:")?,
        }
        for candidate in &self.candidates {
            writeln!(f, "  {candidate}")?;
        }
        if self.cached.is_some() {
            return f.write_str("the valid one is returned without a request");
        }
        if let Some(reason) = self.reason {
            writeln!(f, "a new token is needed: {reason}")?;
        }
        if self.is_for_client {
            write!(
                f,
                "it is requested from {} with the credential of the client{}",
                self.token_endpoint,
                if self.is_on_behalf_of { ", on behalf of a user" } else { "" }
            )?;
        } else {
            match &self.family {
                ClientFamily::Unknown => {
                    writeln!(f, "the client has no token yet: it may be in the family")?;
                }
                ClientFamily::None => writeln!(f, "the client is in no family")?,
                ClientFamily::Member(id) => writeln!(f, "the client is in family {id:?}")?,
            }
            if self.attempts.is_empty() {
                f.write_str("there is no refresh token: the user has to sign in")?;
            } else {
                write!(
                    f,
                    "it is requested from {} with these refresh tokens:",
                    self.token_endpoint
                )?;
            }
            for (at, attempt) in self.attempts.iter().enumerate() {
                write!(f, "\n  {}. {attempt}", at + 1)?;
            }
        }
        match &self.fallback {
            Some(it) if it.outage_only => f.write_str(
                "\nif the server doesn't respond, the expired or expiring token is returned",
            ),
            Some(_) => {
                f.write_str("\nif that fails, the token that was to be refreshed is returned")
            }
            None => Ok(()),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", RecordLabel(self.entry()), self.verdict())
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", RecordLabel(self.entry()), self.role())
    }
}

/// Names an entry without its key, which contains the id of the user.
struct RecordLabel<'a>(&'a Entry);

impl fmt::Display for RecordLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for name in ["client_id", "environment", "realm", "target"] {
            if let Some(text) = self.0.known(name).filter(|text| !text.is_empty()) {
                write!(f, "{between}{name} {text:?}")?;
                between = ", ";
            }
        }
        if between.is_empty() { f.write_str("a record") } else { Ok(()) }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("valid"),
            Self::Unreadable(problem) => write!(f, "can't be used: {problem}"),
            Self::OtherUser => f.write_str("of another user"),
            Self::OtherClient => f.write_str("of another client"),
            Self::OtherEnvironment => f.write_str("of another cloud"),
            Self::OtherTenant => f.write_str("for another tenant"),
            Self::OtherTokenType => f.write_str("of another token type"),
            Self::OtherFlow => f.write_str("of another flow, such as one on behalf of a user"),
            Self::OtherKey => f.write_str("bound to another key"),
            Self::OtherExtendedCacheKey => f.write_str("with another extended cache key"),
            Self::LacksScopes(scopes) => write!(f, "lacks {}", scopes.join(" ")),
            Self::Skipped => f.write_str("skipped, since a new token is requested"),
            Self::Superseded => f.write_str("superseded by a token that was stored later"),
            Self::ClockMovedBack(ahead) => {
                write!(f, "stored {ahead} s in the future: the clock was set back")
            }
            Self::Expired(since) => write!(f, "expired {since} s ago"),
            Self::AboutToExpire(left) => write!(f, "expires in {left} s"),
            Self::Aging(since) => write!(f, "valid, to be refreshed since {since} s"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaybeFamily => "of a family that the client may be in",
            Self::Family => "of the client's family",
            Self::Own => "the client's own",
        })
    }
}

impl fmt::Display for RefreshReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "no cached token matches the request",
            Self::Expired => "the cached token has expired or is about to",
            Self::Aging => "the server asked to refresh the cached token by now",
            Self::ClockMovedBack => {
                "the cached token was stored in the future: the clock was set back"
            }
            Self::ForceRefresh => "the caller requests a new token",
            Self::ClaimsChallenge => "the caller has a claims challenge",
        })
    }
}
