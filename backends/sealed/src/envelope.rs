//! The envelope: version, number of the key, nonce, ciphertext in segments, their tags.

use chacha20poly1305::aead::{self, AeadInOut};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use msal_cache_core::{Bytes, Error, Result};

use crate::error::SealFailure;
use crate::key::random;
use crate::ring::KeyRing;
use crate::segments::{self, TAG};

/// The version of what this crate writes.
const VERSION: u8 = 1;

/// Version and number of the key.
const HEADER: usize = 5;

/// The length of the text, in the authenticated data.
const LENGTH: usize = 8;

const NONCE: usize = 24;

/// What an envelope belongs to: the authenticated data after the header and the length of the text.
#[derive(Clone)]
pub(crate) struct Context(Vec<u8>);

impl Context {
    /// Each field is preceded by its length, so that no two lists of fields are the same bytes.
    pub(crate) fn of<const N: usize>(fields: [&str; N]) -> Self {
        let size = fields.iter().map(|field| field.len() + 4).sum::<usize>();
        let mut bytes = Vec::with_capacity(HEADER + LENGTH + size);
        bytes.extend_from_slice(&[0; HEADER + LENGTH]);
        for field in fields {
            bytes.extend_from_slice(&length(field.len()));
            bytes.extend_from_slice(field.as_bytes());
        }
        Self(bytes)
    }

    /// The authenticated data of each segment. A text that loses or gets segments has another length.
    fn with_header(mut self, header: &[u8], length: usize) -> Vec<u8> {
        self.0[..HEADER].copy_from_slice(header);
        self.0[HEADER..][..LENGTH].copy_from_slice(&(length as u64).to_be_bytes());
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
    to.reserve_exact(HEADER + NONCE + segments::sealed_size(size));
    to.push(VERSION);
    to.extend_from_slice(&number.to_be_bytes());
    let mut nonce = [0; NONCE];
    random(&mut nonce)?;
    to.extend_from_slice(&nonce);
    let begin = to.len();
    for part in text {
        to.extend_from_slice(part);
    }
    to.resize(begin + segments::sealed_size(size), 0);
    let data = context.with_header(&to[start..start + HEADER], size);
    let cipher = key.cipher();
    let (text, tags) = to[begin..].split_at_mut(size);
    segments::each(text, tags, |index, text, tag| {
        tag.copy_from_slice(&cipher.encrypt_inout_detached(
            &nonce_of(nonce, index),
            &data,
            text.into(),
        )?);
        Ok(())
    })
    .map_err(|_| Error::invalid("record", "it is too long to be sealed"))
}

/// Opens the envelope that begins at `start`: afterwards, `bytes` is the text. In place, since a copy of a
/// large document takes as long as a tenth of its decryption.
pub(crate) fn open(
    ring: &KeyRing,
    context: Context,
    mut bytes: Vec<u8>,
    start: usize,
    what: impl Fn() -> String + Copy,
) -> Result<Vec<u8>> {
    let number = number(&bytes[start..], what)?;
    let key = ring.opening(number, what)?;
    let begin = start + HEADER + NONCE;
    let opened = open_text(&key.cipher(), context, &mut bytes[start..]);
    let Ok(size) = opened else {
        // Segments that were opened before another one was refused are overwritten.
        drop(Bytes::from(bytes));
        return Err(SealFailure::Broken { what: what(), number }.into());
    };
    bytes.truncate(begin + size);
    bytes.drain(..begin);
    Ok(bytes)
}

/// Decrypts the text of an envelope, which is at least as long as an empty one, in its place, and returns
/// its length.
fn open_text(
    cipher: &XChaCha20Poly1305,
    context: Context,
    envelope: &mut [u8],
) -> std::result::Result<usize, aead::Error> {
    let (head, sealed) = envelope.split_at_mut(HEADER + NONCE);
    let size = segments::text_size(sealed.len()).ok_or(aead::Error)?;
    let data = context.with_header(&head[..HEADER], size);
    let nonce: [u8; NONCE] = head[HEADER..].try_into().map_err(|_| aead::Error)?;
    let (text, tags) = sealed.split_at_mut(size);
    segments::each(text, tags, |index, text, tag| {
        let nonce = nonce_of(nonce, index);
        cipher.decrypt_inout_detached(&nonce, &data, text.into(), (&*tag).into())
    })?;
    Ok(size)
}

/// The nonce of a segment: the last four bytes, as an integer, are larger by its index. The other 20 are
/// random, and belong to one envelope.
fn nonce_of(mut nonce: [u8; NONCE], index: u32) -> XNonce {
    if let Some(last) = nonce.last_chunk_mut::<4>() {
        *last = u32::from_be_bytes(*last).wrapping_add(index).to_be_bytes();
    }
    nonce.into()
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
