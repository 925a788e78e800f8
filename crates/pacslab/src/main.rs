//! A radiology department in one binary.
fn main() {}
