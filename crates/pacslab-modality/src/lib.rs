//! The simulated scanner: a worklist item becomes anatomy, images and objects, and the sequence
//! that a scanner plays on the network. It knows no archive: any DICOM system is driven alike.
//!
//! Item or exam of the catalogue -> phantom (patient space, millimetres) -> slices in Hounsfield
//! units -> composite objects of PS3.3. All of it follows from a seed and a moment, to the byte.

mod acquire;
mod burn;
pub mod catalogue;
mod commit;
mod ct;
mod files;
mod iod;
mod item;
pub mod pdf;
mod person;
pub mod phantom;
mod random;
mod report;
pub mod scanner;
pub mod sr;

pub use acquire::{Acquisition, Error, Instance, Options, Series, acquire, possible};
pub use catalogue::Exam;
pub use commit::Commitment;
pub use files::{WriteError, file_name};
pub use item::{BadItem, WorklistItem};
pub use report::{Done, Ending, Reason, Reported};
pub use scanner::{Found, Scanner, Sent, WorklistKeys};

/// Raised whenever the same seed gives other bytes than before; each object records it.
pub const GENERATOR_VERSION: &str = "1";

/// The designator of the lab's own codes, and the UID that identifies the scheme.
pub const CODING_SCHEME: &str = "99PACSLAB";

#[cfg(test)]
mod tests;
