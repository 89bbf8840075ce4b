#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| msal_cache_fuzz::check(data));
