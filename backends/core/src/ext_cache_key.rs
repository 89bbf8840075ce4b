use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// The extended cache key of these request parameters. It distinguishes the tokens of requests that
/// differ in a parameter that isn't part of an access token's key, such as `fmi_path`.
///
/// The parameters are sorted by name; each name and each value is preceded by its length in bytes
/// and a colon. The key is the SHA-256 of that, in base64url without padding, in lower case: the
/// rule of MSAL Go (`CacheExtKeyGenerator`) and MSAL Python (`_compute_ext_cache_key`). Parameters
/// with an empty value are ignored; the result is `None` if no others are given.
///
/// ```
/// let key = msal_cache_core::ext_cache_key([("fmi_path", "SomeFmiPath/FmiCredentialPath")]);
/// assert_eq!(key.as_deref(), Some("cojvfy5tzae3njpkvcebguvvx5vvmnj8hphqrbogjoi"));
/// ```
pub fn ext_cache_key<K: AsRef<str>, V: AsRef<str>>(
    parameters: impl IntoIterator<Item = (K, V)>,
) -> Option<String> {
    let mut parameters: Vec<_> =
        parameters.into_iter().filter(|(_, value)| !value.as_ref().is_empty()).collect();
    if parameters.is_empty() {
        return None;
    }
    parameters.sort_by(|(a, _), (b, _)| a.as_ref().cmp(b.as_ref()));
    let mut hash = Sha256::new();
    for (name, value) in &parameters {
        for part in [name.as_ref(), value.as_ref()] {
            hash.update(format!("{}:", part.len()));
            hash.update(part);
        }
    }
    Some(URL_SAFE_NO_PAD.encode(hash.finalize()).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::ext_cache_key;

    #[test]
    fn the_boundaries_of_names_and_values_count() {
        assert_ne!(ext_cache_key([("fmi_path", "value")]), ext_cache_key([("fmi_pat", "hvalue")]));
    }

    #[test]
    fn order_and_empty_values_do_not_matter() {
        assert_eq!(
            ext_cache_key([("b", "2"), ("a", "1"), ("c", "")]),
            ext_cache_key([("a", "1"), ("b", "2")])
        );
        assert_eq!(ext_cache_key([("a", "")]), None);
        assert_eq!(ext_cache_key::<&str, &str>([]), None);
    }
}
