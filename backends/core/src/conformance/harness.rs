use std::ffi::{OsStr, OsString};

use crate::CacheStore;

/// A place for records, and how a store opens it.
///
/// Each value is a place of its own. A case creates its places and drops them at the end, after all
/// handles, so that dropping can clean up.
pub trait Harness: Sized {
    /// The store under test.
    type Store: CacheStore;

    /// An empty place that no other value uses: cases run concurrently, and overwrite and delete
    /// what they find.
    fn new() -> Self;

    /// Opens another handle of this place, as another part of a program would. Earlier handles stay
    /// open.
    fn open(&self) -> Self::Store;
}

/// An ability: records outlive the handles. A handle that is opened after all others were dropped
/// finds them. Several threads may open the place at the same time.
pub trait Persistent: Harness + Sync {}

/// An ability: [`guard`](CacheStore::guard) excludes other guards of the partition, through every
/// handle of the place. The provided body of that verb excludes nothing, which is correct too.
pub trait Guarding: Harness {}

/// An ability: another process can open the same place.
///
/// A case starts its own test again in new processes, and passes them the address. Such a process
/// opens that place, creates none, and exits when its work is done.
pub trait Processes: Harness {
    /// The address by which another process finds this place, such as its path.
    fn address(&self) -> OsString;

    /// Opens a handle of the place at this address.
    fn open_at(address: &OsStr) -> Self::Store;
}

/// An ability: a commit can be made to fail.
pub trait Faults: Harness {
    /// Opens handles of this place, at least one, whose commits fail after they have started. Late
    /// and different moments of failure find more. Other handles must not be affected.
    ///
    /// Before such a commit the records take less than 16 KiB, and the commit adds more than
    /// 128 KiB. So a store with a size limit can fail by a limit between the two.
    fn open_failing(&self) -> Vec<Box<dyn CacheStore>>;
}
