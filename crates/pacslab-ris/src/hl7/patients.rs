//! ADT: patients. HL7 v2.5.1 chapter 3; IHE RAD TF-2 4.1 (RAD-1) and 4.12 (RAD-12).

use pacslab_hl7::incoming::PatientChange;
use pacslab_hl7::{Code, Finding, Severity};

use super::{Refused, Story, of_the_header};
use crate::orders::Work;
use crate::patients::{RefusedPatient, shown};

/// Every change of the message, or none.
pub(super) fn apply(
    work: &Work<'_>,
    changes: &[PatientChange],
    strict: bool,
    story: &mut Story,
) -> Result<Vec<Finding>, Refused> {
    let mut warnings = Vec::new();
    for change in changes {
        story.ids.patient_id.clone_from(&change.patient.id.id);
        let applied =
            work.change_patient(change, strict).map_err(|refused| told(refused, story))?;
        let id = shown(&applied.record.patient.id);
        let orders = match applied.orders {
            0 => String::new(),
            1 => ", 1 order says so".to_owned(),
            many => format!(", {many} orders say so"),
        };
        story.said.push(format!("patient {id} {}{orders}", change.event.means));
        warnings.extend(applied.remarks.iter().map(|remark| Finding {
            severity: Severity::Warning,
            ..Finding::error("PID", 1, Code::Accepted, remark)
        }));
        story.said.extend(applied.remarks);
    }
    Ok(warnings)
}

/// As the acknowledgement tells it.
pub(super) fn told(refused: RefusedPatient, story: &mut Story) -> Refused {
    let text = refused.to_string();
    story.said.push(text.clone());
    let finding = match refused {
        RefusedPatient::Order(refused) => of_the_header(refused.finding(false)),
        RefusedPatient::Store(error) => return error.into(),
        RefusedPatient::Unknown(_) | RefusedPatient::Retired { .. } => {
            Finding::error("PID", 1, Code::UnknownKey, text).at(3, 1)
        }
        RefusedPatient::Taken { .. } => Finding::error("PID", 1, Code::DuplicateKey, text).at(3, 1),
        RefusedPatient::Visit { .. } => {
            Finding::error("MSH", 1, Code::UnsupportedEvent, text).at(9, 2)
        }
    };
    Refused::Sender(vec![finding])
}
