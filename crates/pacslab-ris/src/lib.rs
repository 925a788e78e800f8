//! The RIS: orders, procedure steps, reports, the worklist and its folder, the HL7 door.
//!
//! An order comes through any door as an `OrderChange`; [`Ris::apply`] makes it durable, moves its
//! steps through the table of [`machine`] and writes their `.wl` files, and only then answers.

mod arrivals;
pub mod clerk;
mod drawer;
pub mod events;
pub mod hl7;
pub mod machine;
pub mod mllp;
mod orders;
pub mod outbox;
pub mod patients;
pub mod performed;
mod refile;
pub mod reports;
pub mod worklist;

pub use arrivals::Images;
pub use hl7::{Heard, Hl7Inbox};
pub use orders::{
    Applied, Booked, BookingState, Done, Place, Reconciled, RefusedOrder, Ris, RisSettings, Shown,
    Work,
};
pub use outbox::{Destination, Letter, LetterFilter, Tally};
pub use patients::{PatientApplied, PatientRecord, Presence, RefusedPatient};
pub use performed::{PerformedStatus, PerformedStep, RefusedReport};
pub use refile::Refile;
pub use reports::{OrderState, ReportApplied, ReportRecord, ReportSection, ReportState, Signed};
pub use worklist::{Item, Worklist, WorklistEntry, WorklistError, WorklistSettings};
