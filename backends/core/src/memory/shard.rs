use smallvec::SmallVec;

/// The number of shards: far more than threads that run at the same time.
pub(super) const SHARDS: usize = 64;

/// The shard of a hash. The tables use other bits of it.
pub(super) fn shard_of(hash: u64) -> usize {
    (hash >> 32) as usize % SHARDS
}

/// The shards of these hashes, in the order in which they are locked, so that two callers never
/// wait for each other.
pub(super) fn shards_of(hashes: &[u64]) -> SmallVec<[usize; 4]> {
    let mut shards: SmallVec<_> = hashes.iter().map(|hash| shard_of(*hash)).collect();
    shards.sort_unstable();
    shards.dedup();
    shards
}
