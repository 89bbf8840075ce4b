//! Overwriting memory that held secrets.

/// Overwrites the whole buffer of a vector, including the unused part.
pub(crate) fn wipe(mut bytes: Vec<u8>) {
    bytes.resize(bytes.capacity(), 0);
    // `Zeroize` of a vector takes more than twice as long.
    zeroize::zeroize_bytes(&mut bytes);
}
