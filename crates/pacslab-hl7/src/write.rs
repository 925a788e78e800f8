//! Messages out: orders (ORM^O01, OMG^O19, OMI^O23), reports (ORU^R01), appointments (SIU); those
//! about patients are in [`crate::adt`]. HL7 v2.5.1 chapters 2, 4, 7 and 10; IHE RAD TF-2 4.2 to 4.4,
//! 4.13, 4.28 and 4.48. What is written here is what [`crate::read`] reads.

mod order;
mod report;
mod schedule;

pub(crate) use order::order_lines;
pub use order::{OrderForm, build_order, build_orm};
pub use report::build_oru;
pub use schedule::build_siu;

use pacslab_model::Moment;
use pacslab_model::order::{Patient, Visit};

use crate::charset::Charset;
use crate::coding::Coding;
use crate::message::Line;
use crate::types::{self, Timestamp};

/// Who sends to whom, and the identity of the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sending {
    pub app: String,
    pub facility: String,
    pub receiving_app: String,
    pub receiving_facility: String,
    /// MSH-12: `2.3.1`, `2.5`, ….
    pub version: String,
    /// MSH-10
    pub control_id: String,
    pub at: Moment,
    pub charset: Charset,
}

/// MSH for a message of this kind (already in its three components).
pub(crate) fn msh(coding: &Coding, kind: &str, sending: &Sending) -> Line {
    let kind: Vec<&str> = kind.split('^').collect();
    let charset = if sending.charset == Charset::ASCII { "" } else { sending.charset.name() };
    Line::msh(&coding.delimiters)
        .with(3, coding.escape(&sending.app))
        .with(4, coding.escape(&sending.facility))
        .with(5, coding.escape(&sending.receiving_app))
        .with(6, coding.escape(&sending.receiving_facility))
        .with(7, sending.at.dt())
        .with(9, coding.components(&kind))
        .with(10, coding.escape(&sending.control_id))
        .with(11, "P")
        .with(12, coding.escape(&sending.version))
        .with(18, charset)
}

pub(crate) fn pid(coding: &Coding, patient: &Patient) -> Line {
    let ids = std::iter::once((&patient.id, "MR"));
    let ids = ids.chain(patient.other_ids.iter().map(|id| (id, "")));
    let ids: Vec<String> =
        ids.map(|(id, kind)| types::cx_from_identifier(coding, id, kind)).collect();
    Line::new("PID")
        .with(1, "1")
        .with(3, ids.join(&coding.delimiters.repetition.to_string()))
        .with(5, types::xpn_from_name(coding, &patient.name, "L"))
        .with(6, types::xpn_from_name(coding, &patient.mother_birth_name, ""))
        .with(7, coding.escape(&patient.birth_date))
        .with(8, coding.escape(&patient.sex))
        .with(11, coding.escape(&patient.address))
}

pub(crate) fn allergies(coding: &Coding, patient: &Patient) -> Vec<Line> {
    let each = patient.allergies.split('\\').filter(|allergy| !allergy.is_empty()).enumerate();
    each.map(|(at, allergy)| {
        let line = Line::new("AL1").with(1, (at + 1).to_string()).with(2, "DA");
        line.with(3, coding.components(&["", allergy]))
    })
    .collect()
}

fn pv1(coding: &Coding, patient: &Patient, visit: &Visit) -> Line {
    let location: Vec<&str> = visit.location.split('^').collect();
    let class = if visit.class.is_empty() { "U" } else { &visit.class };
    let ambulatory = if patient.pregnancy == Some(3) { "B6" } else { "" };
    Line::new("PV1")
        .with(1, "1")
        .with(2, coding.escape(class))
        .with(3, coding.components(&location))
        .with(8, types::xcn_from_name(coding, &visit.referring_physician))
        .with(15, ambulatory)
        .with(19, types::cx_from_identifier(coding, &visit.admission, ""))
}

/// TS as it was read.
fn ts(time: &Timestamp) -> String {
    format!("{}{}{}", time.date, time.time, time.offset)
}

#[cfg(test)]
mod tests;
