use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::error::SignInError;

/// 256 random bits of the operating system in base64url: 43 characters, as RFC 7636, section 4.1,
/// recommends for a code verifier.
pub(super) fn token() -> Result<Zeroizing<String>, SignInError> {
    token_from(getrandom::fill)
}

fn token_from(
    fill: impl FnOnce(&mut [u8]) -> Result<(), getrandom::Error>,
) -> Result<Zeroizing<String>, SignInError> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(&mut *bytes).map_err(|error| SignInError::Random(io::Error::other(error.to_string())))?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// The code challenge of a verifier by the method `S256` (RFC 7636, section 4.2).
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(challenge(verifier), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn a_system_without_random_numbers_is_no_fault_of_the_caller() {
        let failed = token_from(|_| Err(getrandom::Error::UNSUPPORTED)).unwrap_err();
        assert!(matches!(failed, SignInError::Random(_)), "{failed:?}");
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let (one, other) = (token().unwrap(), token().unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(*one, *other);
    }
}
