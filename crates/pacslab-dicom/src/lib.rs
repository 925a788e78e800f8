//! DICOM data sets: bounded parsing and writing (PS3.5), character sets, files (PS3.10), JSON
//! (PS3.18 F). Bytes in, values or a typed error out; no sockets, no clock.
//!
//! The data dictionary and the UID registry come from dicom-rs; the encoding is our own
//! (`docs/adr/0001`), because everything from outside passes through here first.

pub mod charset;
pub mod dataset;
pub mod dict;
pub mod dump;
mod encode;
pub mod file;
pub mod json;
mod parse;
pub mod scan;
pub mod scanner;
mod storage_classes;
mod syntax;
pub mod wire;
pub mod zip;

pub use charset::Charset;
pub use dataset::{Dataset, Element, Value, query_keys};
pub use encode::encode;
pub use file::FileMeta;
pub use parse::{MAX_INFLATED, MAX_PARTS, inflated, parse, parse_until};
pub use syntax::TransferSyntax;
pub use wire::ParseError;

#[cfg(test)]
mod tests;
