//! HL7 messages and their acknowledgements.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pacslab_fuzz::run("hl7_message", data));
