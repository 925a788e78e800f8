//! Data sets in every transfer syntax. PS3.5.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pacslab_fuzz::run("dataset", data));
