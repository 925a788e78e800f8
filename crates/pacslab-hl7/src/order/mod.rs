//! Order messages: ORM^O01, OMG^O19 and OMI^O23 to order changes.
//! IHE RAD TF-2 4.2 to 4.4 and 4.13; HL7 v2.5.1 chapter 4.

mod control;
mod read;
mod step;

pub use crate::options::{Options, StationRule};
pub use crate::write::{OrderForm, Sending, build_order, build_orm};
pub(crate) use read::numbered;

use std::fmt;

use pacslab_model::order::{Order, OrderChange, OrderControl};

use crate::finding::{Code, Finding};
use crate::group::{self, Begins, Group};
use crate::map::Attribute;
use crate::message::Message;

/// What an order message asks for, of one order.
#[derive(Clone, PartialEq, Debug)]
pub struct OrderRequest {
    pub control: OrderControl,
    /// ORC-1 as it came, in capitals: CA and OC are both cancellations, of placer and filler.
    pub code: String,
    /// As told: what is empty was not told.
    pub order: Order,
    /// What a new or changed order needs and does not bring: the lab fills it, for XO from the order
    /// that it has.
    pub fill: Vec<Fill>,
    /// What the sender deletes (`""`): [`Attribute::clear`] does it.
    pub cleared: Vec<Attribute>,
    /// What was missing or unusual and how it was bridged, for the acknowledgement and the log.
    pub warnings: Vec<Finding>,
}

/// What the lab fills in an order. Steps are counted as in [`Order::steps`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fill {
    AccessionNumber,
    PatientName,
    RequestedProcedureId,
    StudyInstanceUid,
    StepId(usize),
    /// Date and time, or the time alone.
    StepStart(usize),
}

impl Fill {
    /// What is empty in an order and must not stay so.
    pub fn of(order: &Order) -> Vec<Self> {
        let mut fill = Vec::new();
        let mut need = |missing: bool, what: Self| {
            if missing {
                fill.push(what);
            }
        };
        need(order.accession.is_empty(), Self::AccessionNumber);
        need(order.patient.name.is_empty(), Self::PatientName);
        need(order.procedure.id.is_empty(), Self::RequestedProcedureId);
        need(order.procedure.study_uid.is_empty(), Self::StudyInstanceUid);
        for (at, step) in order.steps.iter().enumerate() {
            need(step.id.is_empty(), Self::StepId(at));
            need(step.start_date.is_empty() || step.start_time.is_empty(), Self::StepStart(at));
        }
        fill
    }
}

impl fmt::Display for Fill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccessionNumber => "accession number",
            Self::PatientName => "patient name",
            Self::RequestedProcedureId => "requested procedure id",
            Self::StudyInstanceUid => "study instance UID",
            Self::StepId(_) => "scheduled procedure step id",
            Self::StepStart(_) => "scheduled start",
        })
    }
}

impl From<OrderRequest> for OrderChange {
    fn from(request: OrderRequest) -> Self {
        let remarks = request.warnings.iter().map(Finding::remark).collect();
        Self { control: request.control, order: request.order, remarks }
    }
}

/// What each order of a message asks for; what is wrong is in `findings`. Groups of one accession
/// number and requested procedure become the steps of one order.
pub(crate) fn requests(
    message: &Message,
    options: &Options,
    findings: &mut Vec<Finding>,
) -> Vec<OrderRequest> {
    let groups = group::groups(message, Begins::Order, findings);
    if groups.is_empty() && findings.is_empty() {
        let text = "the message has neither ORC nor OBR: send at least one order";
        findings.push(Finding::error("ORC", 1, Code::SegmentSequence, text));
    }
    let mut requests: Vec<(OrderRequest, usize)> = Vec::new();
    for group in &groups {
        for request in read::requests(group, options, findings) {
            add(&mut requests, request, group, findings);
        }
    }
    let schedules = |request: &OrderRequest| control::schedules(request.control);
    let filled = |(mut request, _): (OrderRequest, usize)| {
        if schedules(&request) {
            request.fill = Fill::of(&request.order);
        }
        request
    };
    requests.into_iter().map(filled).collect()
}

/// Adds a request as a new order, or its step to the order it belongs to.
fn add(
    requests: &mut Vec<(OrderRequest, usize)>,
    request: OrderRequest,
    group: &Group<'_>,
    findings: &mut Vec<Finding>,
) {
    let found = requests.iter_mut().find(|(other, origin)| {
        other.code == request.code
            && same_procedure(&other.order, &request.order, *origin == group.index)
    });
    let Some((other, _)) = found else {
        requests.push((request, group.index));
        return;
    };
    let known = &mut other.order;
    if known.procedure.study_uid.is_empty() {
        known.procedure.study_uid = request.order.procedure.study_uid;
    }
    for step in request.order.steps {
        if !step.id.is_empty() && known.steps.iter().any(|s| s.id == step.id) {
            let (segment, field) = if group.has("IPC") { ("IPC", 4) } else { ("OBR", 20) };
            let text = format!("scheduled procedure step id '{}' occurs twice", step.id);
            let finding = Finding::error(segment, group.seq(segment), Code::DuplicateKey, text);
            findings.push(finding.at(field, 1));
        }
        known.steps.push(step);
    }
    for warning in request.warnings {
        if !other.warnings.contains(&warning) {
            other.warnings.push(warning);
        }
    }
    for attribute in request.cleared {
        if !other.cleared.contains(&attribute) {
            other.cleared.push(attribute);
        }
    }
}

/// Accession number and requested procedure are the same. Two orders without a requested
/// procedure id are one only when they come from one group (the IPC segments of one OBR).
fn same_procedure(a: &Order, b: &Order, same_group: bool) -> bool {
    let studies = (&a.procedure.study_uid, &b.procedure.study_uid);
    let same_number = match (a.accession.is_empty(), b.accession.is_empty()) {
        (false, false) => a.accession == b.accession,
        // the lab will give them one number
        (true, true) => same_group,
        _ => false,
    };
    same_number
        && a.procedure.id == b.procedure.id
        && (same_group || !a.procedure.id.is_empty())
        && (studies.0 == studies.1 || studies.0.is_empty() || studies.1.is_empty())
}

#[cfg(test)]
mod tests;
