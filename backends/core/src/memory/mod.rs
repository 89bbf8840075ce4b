//! Records in memory.

mod commit;
mod contents;
mod owners;
mod partition;
mod shard;
mod store;

pub use store::Memory;
