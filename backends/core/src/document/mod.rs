//! The JSON document that all MSAL libraries share.

mod convert;
mod edit;
mod index;
mod layout;
mod out;
mod parse;
mod store;
mod text;
mod turns;

pub use convert::{compose, decompose};
pub use store::Document;
