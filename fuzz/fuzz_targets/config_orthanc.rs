//! `orthanc.json` and Orthanc's variables.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pacslab_fuzz::run("config_orthanc", data));
