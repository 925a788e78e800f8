//! What a message says in a sentence, for people who look at senders.

use pacslab_model::order::{Identifier, Order};

use super::{Appointment, PatientAction, PatientChange, Report, What};
use crate::order::OrderRequest;
use crate::types::Timestamp;

impl What {
    /// One sentence for each thing in the message.
    pub fn sentences(&self) -> Vec<String> {
        match self {
            Self::Patients(changes) => changes.iter().map(of_patient).collect(),
            Self::Orders(requests) if requests.is_empty() => {
                vec!["a reply to an order: nothing to do".to_owned()]
            }
            Self::Orders(requests) => requests.iter().map(of_order).collect(),
            Self::Reports(reports) => reports.iter().map(of_report).collect(),
            Self::Appointment(appointment) => vec![of_appointment(appointment)],
        }
    }
}

fn of_patient(change: &PatientChange) -> String {
    let who = patient(&change.patient.id, change.patient.name.as_str());
    let means = change.event.means;
    let ids =
        |ids: &[Identifier]| ids.iter().map(|id| id.id.as_str()).collect::<Vec<_>>().join(" and ");
    let mut text = match &change.action {
        PatientAction::Merge { retired, .. } => {
            format!("patient {} merged into {who}", ids(retired))
        }
        PatientAction::ChangeId { from } => format!("patient {} is now {who}", ids(from)),
        PatientAction::Transfer { .. } | PatientAction::CancelTransfer => {
            format!("patient {who} {means}, now at {}", change.visit.location.replace('^', " "))
        }
        _ => format!("patient {who} {means}"),
    };
    let cleared: Vec<&str> = change.cleared.iter().map(|cleared| cleared.row().what).collect();
    if !cleared.is_empty() {
        text += &format!("; deletes {}", cleared.join(", "));
    }
    text
}

fn of_order(request: &OrderRequest) -> String {
    let order = &request.order;
    let mut text = format!("order {} of {}", request.code, number(order));
    if !order.procedure.description.is_empty() {
        text += &format!(": {}", order.procedure.description);
    }
    if !order.patient.id.id.is_empty() {
        text += &format!(" for {}", patient(&order.patient.id, order.patient.name.as_str()));
    }
    for step in &order.steps {
        let modality = if step.modality.is_empty() { "" } else { " " };
        text += &format!(
            "; step {} {}{modality}on {} at {}, {}",
            if step.id.is_empty() { "(new)" } else { &step.id },
            step.modality,
            step.station,
            moment(&step.start_date, &step.start_time),
            step.status.as_str()
        );
    }
    if !request.fill.is_empty() {
        let fill: Vec<String> = request.fill.iter().map(ToString::to_string).collect();
        text += &format!("; the lab fills {}", fill.join(", "));
    }
    text
}

fn of_report(report: &Report) -> String {
    let mut text = format!(
        "report {} of {} by {}",
        report.status.as_str(),
        number(&report.order),
        match report.interpreter.name.as_str() {
            "" => "nobody named",
            name => name,
        }
    );
    text += &format!(", {} sections, {} documents", report.sections.len(), report.documents.len());
    text
}

fn of_appointment(appointment: &Appointment) -> String {
    let Timestamp { date, time, .. } = &appointment.start;
    let number = [&appointment.placer.id, &appointment.filler.id];
    let number = number.into_iter().find(|id| !id.is_empty()).map_or("", String::as_str);
    let order = &appointment.order;
    let mut text = format!("{} {number}", appointment.action.means());
    if !date.is_empty() {
        text += &format!(", {}", moment(date, time));
    }
    if !order.procedure.description.is_empty() {
        text += &format!(": {}", order.procedure.description);
    }
    if !order.patient.id.id.is_empty() {
        text += &format!(" for {}", patient(&order.patient.id, order.patient.name.as_str()));
    }
    text
}

fn patient(id: &Identifier, name: &str) -> String {
    format!("{} {name}", id.id).trim_end().to_owned()
}

/// The number that people would ask for.
fn number(order: &Order) -> &str {
    let numbers = [&order.accession, &order.placer.id, &order.filler.id];
    numbers.into_iter().find(|number| !number.is_empty()).map_or("(no number)", String::as_str)
}

fn moment(date: &str, time: &str) -> String {
    if date.is_empty() { "(when is left to the lab)".to_owned() } else { format!("{date} {time}") }
}
