//! MSH: which kind of message it is, and whether its version and processing id are read.

use super::schedule::AppointmentAction;
use crate::adt::AdtEvent;
use crate::finding::{Code, Finding, Severity};
use crate::message::Message;
use crate::options::Options;

/// The kinds of messages that are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Order,
    Patient(&'static AdtEvent),
    Report,
    Schedule(AppointmentAction),
}

/// `None` where the kind is not read; `findings` says so.
pub(super) fn check(
    message: &Message,
    options: &Options,
    findings: &mut Vec<Finding>,
    warnings: &mut Vec<Finding>,
) -> Option<Kind> {
    let kind = kind(message, warnings).map_err(|finding| findings.push(finding)).ok();
    let mut fault = |field: usize, component: usize, code, text: String| {
        findings.push(Finding::error("MSH", 1, code, text).at(field, component));
    };
    let mut warn = |field: usize, text: &str| warnings.push(warning(field, text));
    match message.version().trim() {
        "" => warn(12, "MSH-12 names no version; read as 2.3.1"),
        version => {
            let minor = version.strip_prefix("2.").and_then(|rest| rest.split('.').next());
            if !minor.is_some_and(|n| n.parse::<u8>().is_ok_and(|n| n <= 9)) {
                let text = format!("version '{version}' is not supported; 2.1 to 2.9 are");
                fault(12, 1, Code::UnsupportedVersion, text);
            }
        }
    }
    let processing = message.text("MSH-11.1").to_ascii_uppercase();
    if !matches!(processing.as_str(), "" | "P" | "T" | "D") {
        let text = format!("processing id '{processing}' is not supported; send P, T or D");
        fault(11, 1, Code::UnsupportedProcessingId, text);
    }
    let msh = message.segment("MSH")?;
    for field in [3, 4, 5, 6, 7, 10, 11, 12] {
        if options.strict && msh.field(field).is_empty() {
            let text = format!("MSH-{field} is required and missing");
            fault(field, 0, Code::RequiredFieldMissing, text);
        }
    }
    if !options.strict && msh.field(10).is_empty() {
        warn(10, "MSH-10 is missing: the sender cannot tell what is acknowledged");
    }
    kind
}

fn kind(message: &Message, warnings: &mut Vec<Finding>) -> Result<Kind, Finding> {
    let error = |component, code, text| Err(Finding::error("MSH", 1, code, text).at(9, component));
    let (kind, mut event) = message.kind();
    let kind = kind.trim().to_ascii_uppercase();
    event = event.trim().to_ascii_uppercase();
    let recorded = message.text("EVN-1.1").trim().to_ascii_uppercase();
    if kind == "ADT" && event.is_empty() && !recorded.is_empty() {
        warnings.push(warning(9, &format!("MSH-9 names no event; {recorded} of EVN-1 is taken")));
        event = recorded;
    }
    match (kind.as_str(), event.as_str()) {
        ("ORM", "O01" | "") | ("OMG", "O19") | ("OMI", "O23") => Ok(Kind::Order),
        ("ORU", "R01" | "") => Ok(Kind::Report),
        ("ADT", event) => match AdtEvent::of_message(event) {
            Some(event) => Ok(Kind::Patient(event)),
            None => error(
                2,
                Code::UnsupportedEvent,
                format!(
                    "event '{event}' is not supported for ADT; A01 to A08, A11, A12, A13, A23, A28, A31, A40 and A47 are"
                ),
            ),
        },
        ("SIU", event) => match AppointmentAction::of_event(event) {
            Some(action) => Ok(Kind::Schedule(action)),
            None => error(
                2,
                Code::UnsupportedEvent,
                format!("event '{event}' is not supported for SIU; S12, S13, S14, S15 and S26 are"),
            ),
        },
        ("", _) => error(1, Code::RequiredFieldMissing, "the message type is missing".to_owned()),
        ("ORM" | "OMG" | "OMI", event) => error(
            2,
            Code::UnsupportedEvent,
            format!(
                "event '{event}' is not supported for {kind}; send ORM^O01, OMG^O19 or OMI^O23"
            ),
        ),
        ("ORU", event) => error(
            2,
            Code::UnsupportedEvent,
            format!("event '{event}' is not supported for ORU; send ORU^R01"),
        ),
        _ => error(
            1,
            Code::UnsupportedMessageType,
            format!("message type '{kind}' is not read; send ADT, ORM, OMG, OMI, ORU or SIU"),
        ),
    }
}

fn warning(field: usize, text: &str) -> Finding {
    let finding = Finding::error("MSH", 1, Code::Accepted, text).at(field, 0);
    Finding { severity: Severity::Information, ..finding }
}
