//! Order messages, and the files they become.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pacslab_fuzz::run("hl7_order", data));
