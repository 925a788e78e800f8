//! Files in the worklist folder.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pacslab_fuzz::run("worklist_file", data));
