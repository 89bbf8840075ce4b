//! Every command line is understood, or is wrong usage. Arguments are separated by NUL.

#![no_main]

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use clap::Parser;

use crate::args::Arguments;

#[allow(dead_code, reason = "the command uses them")]
#[path = "../../../src/bin/msal-cache/args.rs"]
mod args;
#[allow(dead_code, reason = "the command uses them")]
#[path = "../../../src/bin/msal-cache/flags.rs"]
mod flags;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let words = data.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    match Arguments::try_parse_from([OsString::from("msal-cache")].into_iter().chain(words)) {
        Ok(arguments) => {
            let timeout = arguments.common.lock_timeout;
            assert!(timeout <= Duration::from_secs(365 * 86_400), "{timeout:?} overflows clocks");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
