//! Bodies of STOW-RS.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pacslab_fuzz::run("multipart", data));
