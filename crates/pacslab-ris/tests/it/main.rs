//! The RIS through real files and sockets.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod folder;
mod hl7_door;
mod interop;
mod orders;
mod performed;
mod support;
