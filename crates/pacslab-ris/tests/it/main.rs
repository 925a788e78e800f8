//! The RIS through real files and sockets.

mod folder;
mod hl7_door;
mod orders;
mod support;
