//! The async face.

mod drops;
mod face;
mod server;
mod stores;
