//! Runs the command `msal-cache` as users and scripts do.

#[allow(dead_code, reason = "the tests use the argument definitions only")]
#[path = "../../src/bin/msal-cache/args.rs"]
mod args;
#[allow(dead_code, reason = "the tests use the argument definitions only")]
#[path = "../../src/bin/msal-cache/flags.rs"]
mod flags;

mod adal;
mod changes;
mod exit_codes;
mod fixtures;
mod help;
mod json;
mod large;
mod output;
mod purpose;
mod robust;
mod sealed;
mod secrets;
#[cfg(feature = "http")]
mod sign_in;
#[cfg(unix)]
mod terminal;
mod tool;
mod watch;
mod wishes;

#[cfg(feature = "http")]
#[path = "../../examples/stand_in/mod.rs"]
mod stand_in;
