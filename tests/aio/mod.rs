//! The async face.

mod bad_use;
mod changes;
mod drops;
mod face;
mod metadata;
mod one_refresh;
mod server;
mod stores;
