//! Command sets. PS3.7 6.3.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pacslab_fuzz::run("command", data));
