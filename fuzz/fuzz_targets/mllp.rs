//! MLLP framing, in pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pacslab_fuzz::run("mllp", data));
