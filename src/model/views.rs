//! Views of entries: the fields of each type of record.

use msal_cache_core::internal::seconds;
use msal_cache_core::{CredentialType, Result};

use crate::model::{AuthorityType, Entry, Fields, Secret};

/// An access token.
#[derive(Clone, Copy, Debug)]
pub struct AccessToken<'a>(pub(crate) &'a Entry);

/// A refresh token.
#[derive(Clone, Copy, Debug)]
pub struct RefreshToken<'a>(pub(crate) &'a Entry);

/// An ID token.
#[derive(Clone, Copy, Debug)]
pub struct IdToken<'a>(pub(crate) &'a Entry);

/// A signed-in account in one tenant.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a>(pub(crate) &'a Entry);

/// What is known of a client.
#[derive(Clone, Copy, Debug)]
pub struct AppMetadata<'a>(pub(crate) &'a Entry);

impl Entry {
    /// The entry as an access token.
    pub fn access_token(&self) -> Option<AccessToken<'_>> {
        self.readable(&CredentialType::AccessToken).map(AccessToken)
    }

    /// The entry as a refresh token.
    pub fn refresh_token(&self) -> Option<RefreshToken<'_>> {
        self.readable(&CredentialType::RefreshToken).map(RefreshToken)
    }

    /// The entry as an ID token.
    pub fn id_token(&self) -> Option<IdToken<'_>> {
        self.readable(&CredentialType::IdToken).map(IdToken)
    }

    /// The entry as an account.
    pub fn account(&self) -> Option<Account<'_>> {
        self.readable(&CredentialType::Account).map(Account)
    }

    /// The entry as the metadata of a client.
    pub fn app_metadata(&self) -> Option<AppMetadata<'_>> {
        self.readable(&CredentialType::AppMetadata).map(AppMetadata)
    }

    fn readable(&self, credential_type: &CredentialType) -> Option<&Self> {
        (self.credential_type() == credential_type && self.problem().is_none()).then_some(self)
    }
}

macro_rules! texts {
    ($view:ident { $($(#[$doc:meta])* $name:ident),* $(,)? }) => {
        impl<'a> $view<'a> {
            $($(#[$doc])* pub fn $name(&self) -> Option<&'a str> {
                self.0.known(stringify!($name))
            })*
        }
    };
}

macro_rules! secrets {
    ($($view:ident),*) => {$(
        impl<'a> $view<'a> {
            /// The token.
            pub fn secret(&self) -> Secret<'a> {
                // Only an entry with a secret has this view.
                Secret::new(self.0.known("secret").unwrap_or_default())
            }
        }
    )*};
}

macro_rules! times {
    ($view:ident { $($(#[$doc:meta])* $name:ident),* $(,)? }) => {
        impl $view<'_> {
            $($(#[$doc])* pub fn $name(&self) -> Option<i64> {
                self.0.known(stringify!($name)).and_then(seconds)
            })*
        }
    };
}

secrets!(AccessToken, RefreshToken, IdToken);

texts!(AccessToken {
    /// The user, `<uid>.<utid>`; none for a token that the app has for itself.
    home_account_id,
    /// The host of the authority.
    environment,
    /// The client that got the token.
    client_id,
    /// The tenant.
    realm,
    /// The scopes, separated by blanks.
    target,
    /// `Bearer`, `pop`, `ssh-cert`.
    token_type,
    /// The key that a proof-of-possession token or a certificate is bound to.
    key_id,
});

times!(AccessToken {
    /// When the token was got, in seconds since the epoch.
    cached_at,
    /// When it should be refreshed though it is still good, in seconds since the epoch.
    refresh_on,
    /// Until when it may be used during an outage, in seconds since the epoch.
    extended_expires_on,
});

impl<'a> AccessToken<'a> {
    /// When the token expires, in seconds since the epoch.
    pub fn expires_on(&self) -> i64 {
        // An entry without a readable one is no view.
        self.0.known("expires_on").and_then(seconds).unwrap_or_default()
    }

    /// The scopes, one by one.
    pub fn scopes(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.scopes()
    }

    /// The [extended cache key](crate::store::ext_cache_key), under which only requests with the same
    /// key find the token. The value is the one that MSAL Python and Go compute, for tokens of all
    /// libraries.
    pub fn ext_cache_key(&self) -> Option<&'a str> {
        self.0.ext_cache_key()
    }
}

texts!(RefreshToken {
    /// The user, `<uid>.<utid>`.
    home_account_id,
    /// The host of the authority.
    environment,
    /// The client that got the token.
    client_id,
    /// The scopes of the request that the token came with.
    target,
    /// The family of clients that share the token.
    family_id,
});

times!(RefreshToken {
    /// When the token was stored, in seconds since the epoch.
    last_modification_time,
});

texts!(IdToken {
    /// The user, `<uid>.<utid>`.
    home_account_id,
    /// The host of the authority.
    environment,
    /// The client that got the token.
    client_id,
    /// The tenant.
    realm,
});

impl IdToken<'_> {
    /// What the token says about its user. It is not verified.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) where it is not a JSON Web Token.
    pub fn claims(&self) -> Result<Fields> {
        crate::model::jwt::claims("id token", self.secret().expose())
    }

    /// When the token was issued, in seconds since the epoch.
    pub(crate) fn issued_at(self) -> Option<i64> {
        self.claims().ok()?.get("iat").and_then(serde_json::Value::as_i64)
    }
}

texts!(Account {
    /// The user, `<uid>.<utid>`, the same in every tenant.
    home_account_id,
    /// The host of the authority.
    environment,
    /// The tenant.
    realm,
    /// The user's id within the tenant.
    local_account_id,
    /// The name to show, such as `alice@contoso.com`. Names change; don't decide by it.
    username,
    /// How the user signed in, for sign-ins of MSAL Python: the grant type.
    account_source,
});

impl Account<'_> {
    /// The kind of identity provider.
    pub fn authority_type(&self) -> Option<AuthorityType> {
        self.0.known("authority_type").map(AuthorityType::from)
    }
}

texts!(AppMetadata {
    /// The client.
    client_id,
    /// The host of the authority.
    environment,
    /// The family of clients that share refresh tokens with it.
    family_id,
});
