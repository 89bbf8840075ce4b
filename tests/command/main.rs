//! The command `msal-cache`, driven as people and scripts drive it.

#[allow(dead_code, reason = "the tests ask it for its names alone")]
#[path = "../../src/bin/msal-cache/args.rs"]
mod args;

mod changes;
mod exits;
mod fixtures;
mod help;
mod json;
mod large;
mod people;
mod secrets;
#[cfg(unix)]
mod terminal;
mod tool;
mod watch;
