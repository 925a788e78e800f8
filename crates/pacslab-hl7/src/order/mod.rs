//! Order messages: ORM^O01, OMG^O19 and OMI^O23 to order changes, and orders to ORM^O01.
//! IHE RAD TF-2 4.2 to 4.4 and 4.13; HL7 v2.5.1 chapter 4.

mod build;
mod group;
mod patient;
mod read;

pub use build::{Sending, build_orm};
pub(crate) use build::{allergies, msh, pid};

use pacslab_model::AeTitle;
use pacslab_model::order::{Order, OrderChange};

use crate::finding::{Code, Finding};
use crate::message::Message;
use crate::path::Path;
use group::Group;

/// How orders are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Strict: whatever IHE requires and is missing is a finding. Lenient: what the lab can fill
    /// is left empty or taken from elsewhere, with a remark.
    pub strict: bool,
    /// Where the accession number is looked for, in this order. Strict reads the first only.
    pub accession: Vec<Path>,
    /// Where the AE title of the station is looked for after IPC-9.
    pub station: Vec<Path>,
    /// Stations by modality and procedure code, for orders that name none.
    pub stations: Vec<StationRule>,
    pub default_station: Option<AeTitle>,
    /// The authority (PID-3.4.1 or PID-3.4.2) whose identifier is PatientID; the first repetition
    /// of PID-3 when none is named or present.
    pub patient_authority: Option<String>,
}

/// One station and which steps it takes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StationRule {
    /// Empty takes every modality.
    pub modality: String,
    /// Universal service id (OBR-4.1); empty takes every procedure.
    pub code: String,
    pub station: AeTitle,
    /// (0040,0010) and (0040,0011), where the message names none.
    pub name: String,
    pub location: String,
}

impl Default for Options {
    fn default() -> Self {
        let paths = |texts: &[&str]| texts.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            strict: false,
            accession: paths(&["OBR-18.1", "OBR-3.1", "ORC-3.1", "OBR-2.1", "ORC-2.1"]),
            station: paths(&["OBR-21.1", "ORC-18.1"]),
            stations: Vec::new(),
            default_station: None,
            patient_authority: None,
        }
    }
}

/// What an order message asks for: one change for each order in it, or everything that is wrong.
/// Groups of one accession number and requested procedure become the steps of one order.
pub fn orders(message: &Message, options: &Options) -> Result<Vec<OrderChange>, Vec<Finding>> {
    let (mut findings, mut remarks) = (Vec::new(), message.remarks().to_vec());
    check_header(message, options, &mut findings, &mut remarks);
    let groups = group::groups(message, &mut findings);
    if groups.is_empty() && findings.is_empty() {
        let text = "the message has neither ORC nor OBR: send at least one order";
        findings.push(Finding::error("ORC", 1, Code::SegmentSequence, text));
    }
    let mut changes: Vec<(OrderChange, usize)> = Vec::new();
    for group in &groups {
        for change in read::changes(group, options, &mut findings) {
            add(&mut changes, change, group, &mut findings);
        }
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    Ok(changes
        .into_iter()
        .map(|(mut change, _)| {
            change.remarks.splice(0..0, remarks.iter().cloned());
            change
        })
        .collect())
}

/// Adds a change as a new order, or its step to the order it belongs to.
fn add(
    changes: &mut Vec<(OrderChange, usize)>,
    change: OrderChange,
    group: &Group<'_>,
    findings: &mut Vec<Finding>,
) {
    let found = changes.iter_mut().find(|(other, origin)| {
        other.control == change.control
            && same_procedure(&other.order, &change.order, *origin == group.index)
    });
    let Some((other, _)) = found else {
        changes.push((change, group.index));
        return;
    };
    let known = &mut other.order;
    if known.procedure.study_uid.is_empty() {
        known.procedure.study_uid = change.order.procedure.study_uid;
    }
    for step in change.order.steps {
        if !step.id.is_empty() && known.steps.iter().any(|s| s.id == step.id) {
            let (segment, field) =
                if group.first("IPC").is_some() { ("IPC", 4) } else { ("OBR", 20) };
            let text = format!("scheduled procedure step id '{}' occurs twice", step.id);
            let finding = Finding::error(segment, group.seq(segment), Code::DuplicateKey, text);
            findings.push(finding.at(field, 1));
        }
        known.steps.push(step);
    }
    for remark in change.remarks {
        if !other.remarks.contains(&remark) {
            other.remarks.push(remark);
        }
    }
}

/// Accession number and requested procedure are the same. Two orders without a requested
/// procedure id are one only when they come from one group (the IPC segments of one OBR).
fn same_procedure(a: &Order, b: &Order, same_group: bool) -> bool {
    let studies = (&a.procedure.study_uid, &b.procedure.study_uid);
    !a.accession.is_empty()
        && a.accession == b.accession
        && a.procedure.id == b.procedure.id
        && (same_group || !a.procedure.id.is_empty())
        && (studies.0 == studies.1 || studies.0.is_empty() || studies.1.is_empty())
}

fn check_header(
    message: &Message,
    options: &Options,
    findings: &mut Vec<Finding>,
    remarks: &mut Vec<String>,
) {
    let mut fault = |field: usize, component: usize, code, text: String| {
        findings.push(Finding::error("MSH", 1, code, text).at(field, component));
    };
    let (kind, event) = message.kind();
    match (kind.to_ascii_uppercase().as_str(), event.to_ascii_uppercase().as_str()) {
        ("ORM", "O01" | "") | ("OMG", "O19") | ("OMI", "O23") => {}
        ("", _) => {
            fault(9, 1, Code::RequiredFieldMissing, "the message type is missing".to_owned());
        }
        ("ORM" | "OMG" | "OMI", event) => {
            let text = format!(
                "event '{event}' is not supported for {kind}; send ORM^O01, OMG^O19 or OMI^O23"
            );
            fault(9, 2, Code::UnsupportedEvent, text);
        }
        _ => {
            let text =
                format!("message type '{kind}' is not an order; send ORM^O01, OMG^O19 or OMI^O23");
            fault(9, 1, Code::UnsupportedMessageType, text);
        }
    }
    match message.version().trim() {
        "" => remarks.push("MSH-12 names no version; read as 2.3.1".to_owned()),
        version => {
            let minor = version.strip_prefix("2.").and_then(|rest| rest.split('.').next());
            if !minor.is_some_and(|n| n.parse::<u8>().is_ok_and(|n| n <= 9)) {
                let text = format!("version '{version}' is not supported; 2.1 to 2.9 are");
                fault(12, 1, Code::UnsupportedVersion, text);
            }
        }
    }
    let processing = message.text("MSH-11.1");
    if !matches!(processing.as_str(), "" | "P" | "T" | "D") {
        let text = format!("processing id '{processing}' is not supported; send P, T or D");
        fault(11, 1, Code::UnsupportedProcessingId, text);
    }
    let Some(msh) = message.segment("MSH") else { return };
    for field in [3, 4, 5, 6, 7, 10, 11, 12] {
        if options.strict && msh.field(field).is_empty() {
            let text = format!("MSH-{field} is required and missing");
            fault(field, 0, Code::RequiredFieldMissing, text);
        }
    }
    if !options.strict && msh.field(10).is_empty() {
        remarks.push("MSH-10 is missing: the sender cannot tell what is acknowledged".to_owned());
    }
}

#[cfg(test)]
mod tests;
