//! The RIS: orders, procedure steps, the worklist and its folder, the HL7 door.
//!
//! An order comes through any door as an `OrderChange`; [`Ris::apply`] makes it durable, moves its
//! steps through the table of [`machine`] and writes their `.wl` files, and only then answers.

pub mod events;
pub mod machine;
pub mod worklist;

pub use worklist::{Item, Worklist, WorklistEntry, WorklistError, WorklistSettings};
