//! ORU^R01: reports. HL7 v2.5.1 7.3.1; IHE RAD TF-2 4.28 (RAD-28) and 4.128 (RAD-128).

use pacslab_hl7::incoming::Report;
use pacslab_hl7::{Code, Finding, Severity};

use super::{Refused, Story, of_the_header};
use crate::orders::Work;
use crate::reports::{self, RefusedReport};

/// Every report of the message, or none.
pub(super) fn apply(
    work: &Work<'_>,
    told: &[Report],
    strict: bool,
    story: &mut Story,
) -> Result<Vec<Finding>, Refused> {
    let mut warnings = Vec::new();
    for one in told {
        if story.ids.is_empty() {
            story.ids = crate::orders::identifiers(&one.order);
        }
        let applied = work.report(one, strict).map_err(|refused| refusal(refused, story))?;
        let record = &applied.record;
        story.ids = reports::ids(record, &one.order);
        let again = if applied.changed { "" } else { ", as it was already" };
        let state = record.state.as_str();
        story.said.push(format!("report of order {} {state}{again}", record.accession));
        warnings.extend(applied.remarks.iter().map(|remark| Finding {
            severity: Severity::Warning,
            ..Finding::error("OBR", 1, Code::Accepted, remark)
        }));
        story.said.extend(applied.remarks);
    }
    Ok(warnings)
}

fn refusal(refused: RefusedReport, story: &mut Story) -> Refused {
    let text = refused.to_string();
    story.said.push(text.clone());
    let finding = match refused {
        RefusedReport::Order(refused) => of_the_header(refused.finding(false)),
        RefusedReport::Store(error) => return error.into(),
        RefusedReport::Unknown(_) => Finding::error("OBR", 1, Code::UnknownKey, text).at(18, 1),
        RefusedReport::Unexpected { .. } => {
            Finding::error("OBR", 1, Code::TableValueNotFound, text).at(25, 1)
        }
        RefusedReport::Bad(_) => {
            Finding::error("OBX", 1, Code::RequiredFieldMissing, text).at(5, 0)
        }
    };
    Refused::Sender(vec![finding])
}
