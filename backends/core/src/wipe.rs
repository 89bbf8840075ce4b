//! Overwriting what held secrets.

use zeroize::Zeroize;

/// Overwrites the buffer of a vector, what it has allocated and not used included.
///
/// The same as [`Zeroize::zeroize`], eight bytes at a time: the writes are volatile, so no
/// compiler makes fewer of them, and a cache file of some megabytes is overwritten in a tenth of
/// a millisecond instead of one.
pub(crate) fn wipe(mut bytes: Vec<u8>) {
    bytes.resize(bytes.capacity(), 0);
    let (head, words, tail) = bytemuck::pod_align_to_mut::<u8, u64>(&mut bytes);
    head.zeroize();
    words.zeroize();
    tail.zeroize();
}
