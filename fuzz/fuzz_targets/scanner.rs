//! The header scanner, in pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pacslab_fuzz::run("scanner", data));
