//! The front door: what a message says, typed. HL7 v2.5.1 chapters 3 (ADT), 4 (orders), 7 (ORU) and
//! 10 (SIU); IHE RAD TF-2 4.1 to 4.4, 4.12, 4.13, 4.28 and 4.48. Versions 2.1 to 2.9 are read alike.
//!
//! ```text
//! bytes ── Message::parse ── read(&message, &options) ─┬─ Ok(Incoming)  ── do it ── ack::accept_with
//!                                                      └─ Err(Refusal)  ─────────── ack::refuse
//! ```
//!
//! Nothing here knows what is stored: whether a patient, an order or an appointment is known is for
//! the one that acts on the value.

mod header;
mod patient;
mod report;
mod schedule;
mod words;

pub use patient::{PatientAction, PatientChange};
pub use report::{Document, Observation, Person, Report, ReportStatus, Section, SectionKind};
pub use schedule::{Appointment, AppointmentAction, Resource, ResourceKind};

use crate::finding::{Code, Finding, Severity};
use crate::message::Message;
use crate::options::Options;
use crate::order::{self, OrderRequest};
use header::Kind;

/// What a message says, and what was unusual about it.
#[derive(Clone, PartialEq, Debug)]
pub struct Incoming {
    pub what: What,
    /// What was bridged, for the acknowledgement and the log; nothing here is in the way. Those of
    /// one order are also in its [`OrderRequest::warnings`].
    pub warnings: Vec<Finding>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// ADT: one change; several only where an A40 merges several patients.
    Patients(Vec<PatientChange>),
    /// ORM^O01, OMG^O19, OMI^O23: at least one, unless all of the message was replies (OK, DR, …).
    Orders(Vec<OrderRequest>),
    /// ORU^R01: one for each OBR.
    Reports(Vec<Report>),
    /// SIU
    Appointment(Box<Appointment>),
}

/// Why a message is refused: at least one finding, each with segment, field and component.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    pub findings: Vec<Finding>,
}

/// Reads a message.
///
/// # Errors
/// A kind of message that is not read (AR), or content that cannot be acted on (AE).
pub fn read(message: &Message, options: &Options) -> Result<Incoming, Refusal> {
    let mut findings = Vec::new();
    let mut warnings: Vec<Finding> = message.remarks().iter().map(|text| unusual(text)).collect();
    let kind = header::check(message, options, &mut findings, &mut warnings);
    let Some(kind) = kind else { return Err(Refusal { findings }) };
    let what = match kind {
        Kind::Order => {
            let requests = order::requests(message, options, &mut findings);
            warnings.extend(requests.iter().flat_map(|request| request.warnings.clone()));
            What::Orders(requests)
        }
        Kind::Patient(event) => {
            What::Patients(patient::read(message, event, options, &mut findings, &mut warnings))
        }
        Kind::Report => What::Reports(report::read(message, options, &mut findings, &mut warnings)),
        Kind::Schedule(action) => {
            match schedule::read(message, action, options, &mut findings, &mut warnings) {
                Some(appointment) => What::Appointment(Box::new(appointment)),
                None => return Err(Refusal { findings }),
            }
        }
    };
    if !findings.is_empty() {
        return Err(Refusal { findings });
    }
    let mut once: Vec<Finding> = Vec::new();
    for warning in warnings {
        if !once.contains(&warning) {
            once.push(warning);
        }
    }
    Ok(Incoming { what, warnings: once })
}

/// A remark about the bytes of a message.
fn unusual(text: &str) -> Finding {
    let finding = Finding::error("MSH", 1, Code::Accepted, text);
    Finding { severity: Severity::Information, ..finding }
}

#[cfg(test)]
mod tests;
