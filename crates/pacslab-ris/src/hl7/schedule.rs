//! SIU: appointments. HL7 v2.5.1 10.3; IHE RAD TF-2 4.48 (RAD-48).

use pacslab_hl7::incoming::Appointment;
use pacslab_hl7::{Code, Finding, Severity};

use super::{Refused, Story, of_the_header, patients};
use crate::orders::{Done, Work};

pub(super) fn apply(
    work: &Work<'_>,
    appointment: &Appointment,
    strict: bool,
    story: &mut Story,
) -> Result<Vec<Finding>, Refused> {
    story.ids = crate::orders::identifiers(&appointment.order);
    let booked = work.appoint(appointment, strict).map_err(|refused| {
        story.said.push(refused.to_string());
        Refused::Sender(vec![in_siu(of_the_header(refused.finding(false)))])
    })?;
    story.ids = crate::orders::identifiers(&booked.order);
    if appointment.action.stands() {
        work.patient_of(&booked.order).map_err(|refused| patients::told(refused, story))?;
    }
    let again = if booked.done == Done::Repeated { ", as it was already" } else { "" };
    let (means, accession) = (appointment.action.means(), &booked.order.accession);
    story.said.push(format!("{means} for order {accession}{again}"));
    let warnings = booked.remarks.iter().map(|remark| Finding {
        severity: Severity::Warning,
        ..Finding::error("SCH", 1, Code::Accepted, remark)
    });
    let warnings = warnings.collect();
    story.said.extend(booked.remarks);
    Ok(warnings)
}

/// A refusal names the fields of an order message; the same things stand elsewhere in SIU.
fn in_siu(finding: Finding) -> Finding {
    let (segment, field) = match (&*finding.segment, finding.field) {
        ("OBR", 18) => ("SCH", 27),
        ("OBR", 24) => ("AIS", 3),
        ("OBR" | "ORC" | "ZDS", _) => ("SCH", 2),
        _ => return finding,
    };
    Finding { segment: segment.into(), ..finding }.at(field, 1)
}
