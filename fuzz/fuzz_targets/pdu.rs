//! PDUs as a peer sends them. PS3.8 9.3.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pacslab_fuzz::run("pdu", data));
