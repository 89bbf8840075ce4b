//! The envelope: version, number of the key, nonce, ciphertext, tag.

use chacha20poly1305::XNonce;
use chacha20poly1305::aead::AeadInOut;
use msal_cache_core::{Error, Result};

use crate::error::SealFailure;
use crate::key::random;
use crate::ring::KeyRing;

/// The version of what this crate writes.
const VERSION: u8 = 1;

/// Version and number of the key.
const HEADER: usize = 5;

const NONCE: usize = 24;

const TAG: usize = 16;

/// What an envelope belongs to: the authenticated data after the header.
#[derive(Clone)]
pub(crate) struct Context(Vec<u8>);

impl Context {
    /// Each field is preceded by its length, so that no two lists of fields are the same bytes.
    pub(crate) fn of<const N: usize>(fields: [&str; N]) -> Self {
        let size = fields.iter().map(|field| field.len() + 4).sum::<usize>();
        let mut bytes = Vec::with_capacity(HEADER + size);
        bytes.extend_from_slice(&[0; HEADER]);
        for field in fields {
            bytes.extend_from_slice(&length(field.len()));
            bytes.extend_from_slice(field.as_bytes());
        }
        Self(bytes)
    }

    fn with_header(mut self, header: &[u8]) -> Vec<u8> {
        self.0[..HEADER].copy_from_slice(header);
        self.0
    }
}

/// The length of a field. Longer ones than 4 GiB don't exist in a cache; they would fail to open.
pub(crate) fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes()
}

/// Appends the envelope of `text`, which is sealed by the newest key.
pub(crate) fn seal<const N: usize>(
    ring: &KeyRing,
    context: Context,
    text: [&[u8]; N],
    to: &mut Vec<u8>,
) -> Result<()> {
    let (number, key) = ring.sealing();
    let size = text.iter().map(|it| it.len()).sum::<usize>();
    let start = to.len();
    // At once, since a reallocation would leave the text behind.
    to.reserve_exact(HEADER + NONCE + size + TAG);
    to.push(VERSION);
    to.extend_from_slice(&number.to_be_bytes());
    let mut nonce = [0; NONCE];
    random(&mut nonce)?;
    to.extend_from_slice(&nonce);
    let begin = to.len();
    for part in text {
        to.extend_from_slice(part);
    }
    let data = context.with_header(&to[start..start + HEADER]);
    let tag = key
        .cipher()
        .encrypt_inout_detached(&XNonce::from(nonce), &data, (&mut to[begin..]).into())
        .map_err(|_| Error::invalid("record", "it is too long to be sealed"))?;
    to.extend_from_slice(&tag);
    Ok(())
}

/// Opens the envelope that begins at `start`: afterwards, `bytes` is the text. In place, since a copy of a
/// large document takes longer than to decrypt it.
pub(crate) fn open(
    ring: &KeyRing,
    context: Context,
    mut bytes: Vec<u8>,
    start: usize,
    what: impl Fn() -> String + Copy,
) -> Result<Vec<u8>> {
    let number = number(&bytes[start..], what)?;
    let key = ring.opening(number, what)?;
    let data = context.with_header(&bytes[start..][..HEADER]);
    let begin = start + HEADER + NONCE;
    let nonce: [u8; NONCE] =
        bytes[begin - NONCE..][..NONCE].try_into().expect("its length was checked");
    let end = bytes.len() - TAG;
    let tag: [u8; TAG] = bytes[end..].try_into().expect("its length was checked");
    key.cipher()
        .decrypt_inout_detached(
            &XNonce::from(nonce),
            &data,
            (&mut bytes[begin..end]).into(),
            &tag.into(),
        )
        .map_err(|_| SealFailure::Broken { what: what(), number })?;
    bytes.truncate(end);
    bytes.drain(..begin);
    Ok(bytes)
}

/// The number of the key that sealed an envelope.
pub(crate) fn number(bytes: &[u8], what: impl Fn() -> String) -> Result<u32> {
    match bytes {
        [VERSION, a, b, c, d, rest @ ..] if rest.len() >= NONCE + TAG => {
            Ok(u32::from_be_bytes([*a, *b, *c, *d]))
        }
        [] | [VERSION, ..] => Err(SealFailure::NotSealed { what: what() }.into()),
        [version, ..] => Err(SealFailure::Version { what: what(), version: *version }.into()),
    }
}
