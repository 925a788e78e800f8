//! The embedded PACS's DIMSE door: the table of services and one file behind each row.
//!
//! The wire half of each service is in `pacslab_dimse::service`, the effect in the archive and
//! the RIS; what is here translates between them.

mod availability;
mod commitment;
pub mod conformance;
mod door;
mod find_study;
mod find_worklist;
mod gate;
mod get;
mod identifier;
mod move_;
mod mpps;
pub mod policy;
mod services;
mod status_map;
mod store;
mod verification;

pub use door::Door;
pub use gate::{Gate, kinds};
pub use services::{AbstractSyntax, SERVICES, Service, offer};
