//! Which of several refresh tokens of a client is most likely the current one.
//!
//! MSAL Python and this crate write when a refresh token was stored (`last_modification_time`). MSAL
//! Go, .NET, Java and Node don't, and a record of one library may stay beside that of another, which
//! has refreshed since. A server that accepts each refresh token once takes the use of an old one for
//! theft, so the likeliest is tried first; the others follow if the server refuses it.

use msal_cache_core::CredentialType;

use crate::model::Entry;

/// When a refresh token was stored, in seconds since the epoch, as far as the records of its user
/// tell: by its own time; or else by the newest ID token of the same client and host under a key of
/// the same library, which arrived with it; or else by the newest access token of them, which
/// arrived with it or with another refresh token. 0 where nothing tells.
pub(crate) fn stored_at(token: &Entry, stored: &[Entry]) -> i64 {
    if token.stored_at() > 0 {
        return token.stored_at();
    }
    let is_of_client = |it: &&Entry| {
        let same = |name| it.known(name) == token.known(name);
        let host = |it: &Entry| it.known("environment").map(str::to_lowercase);
        same("home_account_id") && same("client_id") && host(it) == host(token)
    };
    let of_client = || stored.iter().filter(is_of_client);
    let of_library = |it: &&Entry| {
        *it.credential_type() == CredentialType::IdToken
            && dashes(it) == dashes(token).saturating_sub(1)
    };
    let issued = of_client().filter(of_library).filter_map(|it| it.id_token()?.issued_at()).max();
    issued.unwrap_or_else(|| of_client().map(access_token_stored_at).max().unwrap_or_default())
}

fn access_token_stored_at(entry: &Entry) -> i64 {
    if *entry.credential_type() == CredentialType::AccessToken { entry.stored_at() } else { 0 }
}

/// The dashes at the end of a key, by which the libraries differ. MSAL Go writes none behind a
/// refresh token's client or an ID token's tenant; .NET and Java write two and one, Node three and
/// two.
fn dashes(entry: &Entry) -> usize {
    entry.key().bytes().rev().take_while(|it| *it == b'-').count()
}
