use std::ffi::{OsStr, OsString};

use crate::CacheStore;

/// A place that holds records, and how a store opens it.
///
/// One value is one place. Each case makes its own and drops it at its end, after the handles,
/// so that dropping may clean up.
pub trait Harness: Sized {
    /// The store whose promises are tested.
    type Store: CacheStore;

    /// A place that holds nothing and that no other value uses: cases run at the same time, and
    /// each overwrites and deletes what it finds in its place.
    fn new() -> Self;

    /// One more handle on this place, as another part of a program would open it. Earlier
    /// handles stay open.
    fn open(&self) -> Self::Store;
}

/// An ability: what is stored outlives the handles. After the last one is dropped, the next one
/// that is opened finds it. Several threads may open the place at the same time.
pub trait Persistent: Harness + Sync {}

/// An ability: [`guard`](CacheStore::guard) excludes other guards of the partition, through every
/// handle of the place. The provided body of that verb excludes nothing, which is correct too.
pub trait Guarding: Harness {}

/// An ability: another process can open the same place.
///
/// A case starts its own test again in processes of their own, and hands them the address. A
/// process that was started so opens that place, makes none, and ends when its work is done.
pub trait Processes: Harness {
    /// How another process finds this place, such as its path.
    fn address(&self) -> OsString;

    /// A handle on the place at this address.
    fn open_at(address: &OsStr) -> Self::Store;
}

/// An ability: a commit can be made to fail.
pub trait Faults: Harness {
    /// Handles on this place, at least one, whose commits fail once they have begun: the later
    /// and the more different the moments of failure, the better. Other handles must not notice.
    ///
    /// Before such a commit the records take less than 16 KiB, and it brings 128 KiB more. So a
    /// size limit between the two is a fault, for a store that has limits.
    fn open_failing(&self) -> Vec<Box<dyn CacheStore>>;
}
