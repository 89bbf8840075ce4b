//! A plan as text.

use std::fmt;

use crate::client::plan::{Attempt, Candidate, ClientFamily, Role, SilentPlan, Verdict};
use crate::{Entry, RefreshReason};

impl fmt::Display for SilentPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.candidates.len() {
            0 => writeln!(f, "there is no access token to look at")?,
            1 => writeln!(f, "looked at 1 access token:")?,
            more => writeln!(f, "looked at {more} access tokens:")?,
        }
        for candidate in &self.candidates {
            writeln!(f, "  {candidate}")?;
        }
        if self.cached.is_some() {
            return f.write_str("the one that is good is returned; nobody is asked");
        }
        if let Some(reason) = self.reason {
            writeln!(f, "a new one is needed: {reason}")?;
        }
        if self.is_for_client {
            write!(f, "{} is asked, with the credential of the client", self.token_endpoint)?;
        } else {
            match &self.family {
                ClientFamily::Unknown => {
                    writeln!(f, "the client has got no token yet: it may belong to the family")?;
                }
                ClientFamily::None => writeln!(f, "the client is in no family")?,
                ClientFamily::Member(id) => writeln!(f, "the client is in family {id:?}")?,
            }
            if self.attempts.is_empty() {
                f.write_str("there is no refresh token to trade: the user has to sign in")?;
            } else {
                write!(f, "{} is asked, with these refresh tokens:", self.token_endpoint)?;
            }
            for (at, attempt) in self.attempts.iter().enumerate() {
                write!(f, "\n  {}. {attempt}", at + 1)?;
            }
        }
        match &self.fallback {
            Some(it) if it.outage_only => f.write_str(
                "\nif there is no answer, the token is returned that has expired or is about to",
            ),
            Some(_) => f.write_str("\nif that fails, the aging token is returned"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Place(self.entry()), self.verdict())
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", Place(self.entry()), self.role())
    }
}

/// Where an entry belongs, without its key: that holds the user's id.
struct Place<'a>(&'a Entry);

impl fmt::Display for Place<'_> {
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
            Self::Good => f.write_str("good"),
            Self::Unreadable(problem) => write!(f, "can't be read: {problem}"),
            Self::OtherUser => f.write_str("of another user"),
            Self::OtherClient => f.write_str("of another client"),
            Self::OtherEnvironment => f.write_str("of another cloud"),
            Self::OtherTenant => f.write_str("for another tenant"),
            Self::OtherTokenType => f.write_str("of another token type"),
            Self::OtherKey => f.write_str("bound to another key"),
            Self::OtherExtendedCacheKey => f.write_str("with another extended cache key"),
            Self::LacksScopes(scopes) => write!(f, "lacks {}", scopes.join(" ")),
            Self::PassedOver => f.write_str("passed over, since a new one is wanted"),
            Self::ClockMovedBack(ahead) => {
                write!(f, "stored {ahead} s from now: the clock was moved back")
            }
            Self::Expired(since) => write!(f, "expired {since} s ago"),
            Self::AboutToExpire(left) => write!(f, "expires in {left} s"),
            Self::Aging(since) => write!(f, "good, and to be refreshed since {since} s"),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MaybeFamily => "of a family, to which the client may belong",
            Self::Family => "of the client's family",
            Self::Own => "the client's own",
        })
    }
}

impl fmt::Display for RefreshReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "none is there for this request",
            Self::Expired => "the cached one has expired, or is about to",
            Self::Aging => "the server asked to refresh the cached one by now",
            Self::ClockMovedBack => "the cached one is from the future, so the clock was moved",
            Self::ForceRefresh => "the caller asked for a new one",
            Self::ClaimsChallenge => "the caller brought a claims challenge",
        })
    }
}
