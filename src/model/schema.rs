//! Facts of the schema that all MSAL libraries share, each in one place: scopes, token types, and
//! the names that the libraries give to one field.

/// The scopes of `OpenID` Connect, which are granted with any token and don't say what it is for.
const OPENID_SCOPES: [&str; 4] = ["openid", "profile", "offline_access", "email"];

/// The scopes that are requested for every user, as MSAL does: for a refresh token, an ID token
/// and the user's name.
pub(crate) const REQUESTED_SCOPES: [&str; 3] = [OFFLINE_ACCESS, "openid", "profile"];

/// The scope that grants a refresh token.
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// The type of a token whose record or response doesn't say it.
pub(crate) const BEARER: &str = "Bearer";

/// The names of the field with the id of the key that a token is bound to.
pub(crate) const KEY_ID: [&str; 3] = ["key_id", "keyid", "kid"];

/// The names of the field with the hash of the assertion on whose behalf a token was acquired.
pub(crate) const ASSERTION: [&str; 2] = ["user_assertion_hash", "userAssertionHash"];

/// The type that a server returns where none applies (RFC 8693, section 2.2.1).
const NO_TOKEN_TYPE: &str = "N_A";

/// The type of an access token; `None` where there is none: it is missing, blank or `N_A`.
pub(crate) fn token_type(text: Option<&str>) -> Option<&str> {
    let text = text?.trim();
    (!text.is_empty() && !text.eq_ignore_ascii_case(NO_TOKEN_TYPE)).then_some(text)
}

/// Whether a scope is one of `OpenID` Connect.
pub(crate) fn is_openid_scope(scope: &str) -> bool {
    OPENID_SCOPES.iter().any(|it| it.eq_ignore_ascii_case(scope))
}

/// A hash of a scope that doesn't depend on ASCII case. Scopes with the same hash have to be
/// compared.
pub(crate) fn scope_hash(scope: &str) -> u32 {
    // Upper and lower case differ in this bit.
    const CASE: u64 = 0x2020_2020_2020_2020;
    let mix = |hash: u64, chunk: [u8; 8]| {
        let chunk = u64::from_le_bytes(chunk) | CASE;
        (hash ^ chunk).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    };
    let (chunks, rest) = scope.as_bytes().as_chunks::<8>();
    let hash = chunks.iter().fold(scope.len() as u64, |hash, chunk| mix(hash, *chunk));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let hash = mix(hash, last);
    (hash >> 32) as u32
}

/// The scopes of a text in which they are separated by white space (RFC 6749, section 3.3).
pub(crate) fn scopes(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace()
}

/// The scopes of several such texts.
pub(crate) fn scopes_of_all<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Vec<String> {
    let mut all = Vec::new();
    for text in texts {
        all.extend(scopes(text.as_ref()).map(str::to_owned));
    }
    all
}

/// Calls `each` with the scopes of a text. Most callers pass one scope, which is not split.
pub(crate) fn for_each_scope<'a>(text: &'a str, each: impl FnMut(&'a str)) {
    let blank = text.bytes().fold(false, |any, byte| any | byte.is_ascii_whitespace());
    if blank || text.is_empty() {
        scopes(text).for_each(each);
    } else {
        std::iter::once(text).for_each(each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_ignores_case() {
        for scope in ["", "a", "User.Read", "https://graph.microsoft.com/Calendars.Read", "\u{e9}x"]
        {
            assert_eq!(scope_hash(scope), scope_hash(&scope.to_ascii_uppercase()));
            assert_eq!(scope_hash(scope), scope_hash(&scope.to_ascii_lowercase()));
            assert_ne!(scope_hash(scope), scope_hash(&format!("{scope}x")));
            assert_ne!(scope_hash("https://graph.microsoft.com/User.Read"), scope_hash(scope));
        }
    }

    #[test]
    fn white_space_separates() {
        let all = |text: &'static str| {
            let mut all = Vec::new();
            for_each_scope(text, |scope| all.push(scope));
            all
        };
        assert_eq!(all(" a  b\tc "), ["a", "b", "c"]);
        assert_eq!(all("a"), ["a"]);
        assert_eq!(all(""), [""; 0]);
        assert_eq!(all(" "), [""; 0]);
    }
}
