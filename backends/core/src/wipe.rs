//! Overwriting what held secrets.

/// Overwrites the buffer of a vector, what it has allocated and not used included.
pub(crate) fn wipe(mut bytes: Vec<u8>) {
    bytes.resize(bytes.capacity(), 0);
    // In one go: as `Zeroize`, a vector takes more than twice as long.
    zeroize::zeroize_bytes(&mut bytes);
}
