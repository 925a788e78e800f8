//! What has happened, and which message tells of it. IHE RAD TF-2 4.3 (RAD-3, to whoever placed the
//! order), 4.4 and 4.13 (RAD-4 and RAD-13, to an image manager), 4.12 (RAD-12), 4.28 (RAD-28).
//!
//! Whatever changes an order, the difference between before and after decides.

use pacslab_hl7::Charset;
use pacslab_hl7::Message;
use pacslab_hl7::adt::{Adt, build_adt};
use pacslab_hl7::incoming::{
    Document, PatientAction, PatientChange, Person, Report, ReportStatus, Section, SectionKind,
};
use pacslab_hl7::types::Timestamp;
use pacslab_hl7::write::{Sending, build_order, build_oru};
use pacslab_model::Moment;
use pacslab_model::order::{Code, Identifier, Order, ScheduledStep, StepStatus};
use pacslab_model::{Identifiers, PersonName};
use pacslab_store::StoreError;

use super::{Destination, Letter, WAITING, key};
use crate::orders::{Work, identifiers};
use crate::patients::PatientRecord;
use crate::reports::{ReportRecord, ReportSection};

/// What may happen to an order, or to some of its steps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Happened {
    Placed,
    Changed,
    /// Nothing but what is known of the patient and the visit.
    PatientChanged,
    Begun,
    Completed,
    Cancelled,
    Discontinued,
}

/// ORC-1 of the message that tells of it: to those who take `orders`, and to those who take
/// `status`. Who takes both is told once.
const TABLE: [(Happened, Option<&str>, Option<&str>); 7] = [
    (Happened::Placed, Some("NW"), None),
    (Happened::Changed, Some("XO"), None),
    // an ADT tells it to those who take `patients`
    (Happened::PatientChanged, Some("XO"), None),
    (Happened::Begun, None, Some("SC")),
    (Happened::Completed, None, Some("SC")),
    (Happened::Cancelled, Some("CA"), Some("OC")),
    (Happened::Discontinued, Some("DC"), Some("DC")),
];

/// What is told of a step that is here now.
fn reached(status: StepStatus) -> Option<Happened> {
    match status {
        StepStatus::Scheduled | StepStatus::Arrived | StepStatus::Ready => None,
        // what becomes of the order is not decided by that
        StepStatus::NoShow => None,
        StepStatus::Started | StepStatus::Departed => Some(Happened::Begun),
        StepStatus::Completed => Some(Happened::Completed),
        StepStatus::Cancelled => Some(Happened::Cancelled),
        StepStatus::Discontinued => Some(Happened::Discontinued),
    }
}

impl Destination {
    fn control(&self, happened: Happened) -> Option<&'static str> {
        let (_, orders, status) = TABLE.into_iter().find(|(row, ..)| *row == happened)?;
        let by_adt = happened == Happened::PatientChanged && self.patients;
        let orders = orders.filter(|_| self.orders && !by_adt);
        orders.or(status.filter(|_| self.status))
    }
}

/// What happened between two states of an order, each with the order as it is told: all of it, or
/// with the steps that it happened to.
fn happened(before: Option<&Order>, after: &Order) -> Vec<(Happened, Order)> {
    let Some(before) = before else { return vec![(Happened::Placed, after.clone())] };
    let step_before = |step: &ScheduledStep| before.steps.iter().find(|was| was.id == step.id);
    let mut found = Vec::new();
    let mut same_states = before.clone();
    for step in &mut same_states.steps {
        if let Some(now) = after.steps.iter().find(|now| now.id == step.id) {
            step.status = now.status;
        }
    }
    if same_states != *after {
        (same_states.patient, same_states.visit) = (after.patient.clone(), after.visit.clone());
        let only_patient = same_states == *after;
        let what = if only_patient { Happened::PatientChanged } else { Happened::Changed };
        found.push((what, after.clone()));
    }
    for (what, ..) in TABLE {
        let came = |step: &&ScheduledStep| {
            reached(step.status) == Some(what)
                && step_before(step).is_none_or(|was| reached(was.status) != Some(what))
        };
        let steps: Vec<ScheduledStep> = after.steps.iter().filter(came).cloned().collect();
        if !steps.is_empty() {
            found.push((what, Order { steps, ..after.clone() }));
        }
    }
    found
}

impl Work<'_> {
    /// Tells whoever wants to know what became of an order.
    pub(crate) fn tell_order(
        &self,
        before: Option<&Order>,
        after: &Order,
    ) -> Result<(), StoreError> {
        if self.nobody(|one| one.orders || one.status) {
            return Ok(());
        }
        for (what, order) in happened(before, after) {
            self.queue(&identifiers(after), |destination| {
                let control = destination.control(what)?;
                let form = destination.form;
                let kind = form.kind().rsplit_once('^').map_or(form.kind(), |(kind, _)| kind);
                let order = &order;
                let make = move |sending: &Sending| build_order(form, order, control, sending);
                Some((format!("{kind} {control}"), make))
            })?;
        }
        Ok(())
    }

    /// Tells whoever wants to know what happened to a patient.
    pub(crate) fn tell_adt(
        &self,
        change: &PatientChange,
        record: &PatientRecord,
    ) -> Result<(), StoreError> {
        let (mut from, mut gone, mut name) = ("", &[][..], PersonName::default());
        match &change.action {
            PatientAction::Transfer { from: was } | PatientAction::Class { from: was } => {
                from = was
            }
            PatientAction::Merge { retired, name: was } => {
                (gone, name) = (retired.as_slice(), was.clone());
            }
            PatientAction::ChangeId { from: was } => gone = was.get(..1).unwrap_or_default(),
            _ => {}
        }
        // a message for each identifier that is no longer; the others tell of none
        let nobody = [Identifier::default()];
        let each = if gone.is_empty() { &nobody[..] } else { gone };
        let patient_id = record.patient.id.id.clone();
        for prior_id in each {
            let ids = Identifiers { patient_id: patient_id.clone(), ..Identifiers::default() };
            self.queue(&ids, |destination| {
                let adt = Adt {
                    event: change.event,
                    patient: &record.patient,
                    visit: &record.visit,
                    prior_location: from,
                    prior_id,
                    prior_name: &name,
                };
                let kind = format!("ADT^{}", change.event.code);
                let make = move |sending: &Sending| build_adt(&adt, sending);
                destination.patients.then_some((kind, make))
            })?;
        }
        Ok(())
    }

    /// Tells whoever wants reports what became of one: ORU^R01.
    pub(crate) fn tell_oru(
        &self,
        order: &Order,
        record: &ReportRecord,
        documents: &[&[u8]],
    ) -> Result<(), StoreError> {
        let status = record.state.status();
        if self.nobody(|one| one.reports) {
            return Ok(());
        }
        let report = oru(order, record, status, documents);
        self.queue(&identifiers(order), |destination| {
            let kind = format!("ORU^R01 {}", status.as_str());
            let make = |sending: &Sending| build_oru(&report, sending);
            destination.reports.then_some((kind, make))
        })
    }

    /// Queues a message for each destination that `make` has one for.
    fn queue<M: Fn(&Sending) -> Message>(
        &self,
        ids: &Identifiers,
        make: impl Fn(&Destination) -> Option<(String, M)>,
    ) -> Result<(), StoreError> {
        let ris = self.ris();
        for (destination, _) in &ris.outbox.destinations {
            let Some((kind, make)) = make(destination) else { continue };
            let (papers, now) = (self.papers(), self.now());
            let number = papers.next_number("hl7.out")?;
            let control_id = control_id(now, number);
            let mut sending = sending(destination, &control_id, now);
            let mut text = make(&sending).to_text();
            // MSH-18 says what it is then
            if sending.charset.encode(&text).is_none() {
                sending.charset = Charset::UTF_8;
                text = make(&sending).to_text();
            }
            let letter = Letter {
                number,
                destination: destination.name.clone(),
                control_id,
                kind,
                accession: ids.accession.clone(),
                patient_id: ids.patient_id.clone(),
                study_uid: ids.study_uid.clone(),
                queued_at: now,
                since: now,
                tries: 0,
                problem: String::new(),
                text,
                charset: sending.charset.name().to_owned(),
            };
            WAITING.put(papers, &key(&destination.name, number), &letter, now)?;
            self.wake_sender(&destination.name);
        }
        Ok(())
    }

    fn nobody(&self, wants: impl Fn(&Destination) -> bool) -> bool {
        !self.ris().outbox.destinations.iter().any(|(one, _)| wants(one))
    }
}

/// A report of the desk as a message has it.
fn oru(order: &Order, record: &ReportRecord, status: ReportStatus, documents: &[&[u8]]) -> Report {
    let section = |section: &ReportSection| Section {
        kind: SectionKind::Text,
        code: section.code.clone(),
        text: section.text.clone(),
    };
    let documents = record.documents.iter().zip(documents).map(|(document, bytes)| Document {
        code: Code::new("18748-4", "LN", "Diagnostic imaging study"),
        media_type: document.media_type.clone(),
        bytes: bytes.to_vec(),
    });
    let at =
        Timestamp { date: record.date.clone(), time: record.time.clone(), ..Timestamp::default() };
    Report {
        order: order.clone(),
        modality: order.steps.first().map(|step| step.modality.clone()).unwrap_or_default(),
        status,
        at,
        interpreter: Person { id: record.interpreter_id.clone(), name: record.interpreter.clone() },
        sections: record.sections.iter().map(section).collect(),
        documents: documents.collect(),
        sr_instance: record.sr_instance.clone(),
        links: record.links.clone(),
        exam_start: Timestamp::default(),
        exam_end: Timestamp::default(),
        assistant: Person::default(),
        transcriptionist: Person::default(),
        observations: Vec::new(),
        studies: Vec::new(),
    }
}

/// MSH-10 of 2.3.1 holds 20 characters: the time tells one data folder from another that counts
/// from 1 as well.
fn control_id(now: Moment, number: u64) -> String {
    let (day, time) = (now.da(), now.tm());
    let short = day.get(2..).unwrap_or_default();
    format!("{short}{}{:08}", time.get(..6).unwrap_or_default(), number % 100_000_000)
}

fn sending(destination: &Destination, control_id: &str, at: Moment) -> Sending {
    Sending {
        app: destination.application.clone(),
        facility: destination.facility.clone(),
        receiving_app: destination.receiving_application.clone(),
        receiving_facility: destination.receiving_facility.clone(),
        version: destination.version.clone(),
        control_id: control_id.to_owned(),
        at,
        charset: destination.charset,
    }
}

#[cfg(test)]
mod tests {
    use pacslab_hl7::write::OrderForm;
    use pacslab_model::AeTitle;

    use super::*;

    fn step(id: &str, status: StepStatus) -> ScheduledStep {
        ScheduledStep {
            id: id.to_owned(),
            description: String::new(),
            protocol: Default::default(),
            modality: "CT".to_owned(),
            station: AeTitle::new("CT1").unwrap(),
            station_name: String::new(),
            location: String::new(),
            start_date: "20260105".to_owned(),
            start_time: "090000".to_owned(),
            performing_physician: PersonName::default(),
            status,
        }
    }

    fn order(statuses: &[StepStatus]) -> Order {
        let steps = statuses.iter().enumerate().map(|(at, status)| step(&at.to_string(), *status));
        Order { accession: "A1".to_owned(), steps: steps.collect(), ..Order::default() }
    }

    fn destination(words: &str) -> Destination {
        let has = |word| words.contains(word);
        Destination {
            name: "X".to_owned(),
            orders: has("orders"),
            status: has("status"),
            reports: has("reports"),
            patients: has("patients"),
            form: OrderForm::Orm,
            version: "2.5.1".to_owned(),
            charset: Charset::UTF_8,
            application: String::new(),
            facility: String::new(),
            receiving_application: String::new(),
            receiving_facility: String::new(),
        }
    }

    /// One row a happening, one column a kind of destination.
    #[test]
    fn every_cell_is_as_the_table_says() {
        use Happened as H;
        let rows = [
            (H::Placed, ["NW", "-", "NW", "NW"]),
            (H::Changed, ["XO", "-", "XO", "XO"]),
            (H::PatientChanged, ["XO", "-", "XO", "-"]),
            (H::Begun, ["-", "SC", "SC", "-"]),
            (H::Completed, ["-", "SC", "SC", "-"]),
            (H::Cancelled, ["CA", "OC", "CA", "CA"]),
            (H::Discontinued, ["DC", "DC", "DC", "DC"]),
        ];
        assert_eq!(rows.len(), TABLE.len());
        let columns = ["orders", "status", "orders status", "orders patients"];
        for (what, cells) in rows {
            for (column, cell) in columns.iter().zip(cells) {
                let found = destination(column).control(what).unwrap_or("-");
                assert_eq!(found, cell, "{what:?} to {column}");
            }
            assert_eq!(destination("reports").control(what), None);
        }
    }

    /// Each state that a step may come to, from each that it may come from.
    #[test]
    fn what_is_told_of_a_step_is_where_it_came_to() {
        for from in StepStatus::ALL {
            for to in StepStatus::ALL {
                let told = happened(Some(&order(&[from])), &order(&[to]));
                let told: Vec<Happened> = told.into_iter().map(|(what, _)| what).collect();
                let expected = reached(to).filter(|now| reached(from) != Some(*now));
                assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn only_the_steps_that_moved_are_told_and_a_change_tells_them_all() {
        use StepStatus::{Cancelled, Completed, Scheduled, Started};
        let before = order(&[Scheduled, Started, Scheduled]);
        let after = order(&[Cancelled, Completed, Scheduled]);
        let told = happened(Some(&before), &after);
        let ids = |order: &Order| order.steps.iter().map(|s| s.id.clone()).collect::<String>();
        let told: Vec<_> = told.iter().map(|(what, order)| (*what, ids(order))).collect();
        let cells = [(Happened::Completed, "1".to_owned()), (Happened::Cancelled, "0".to_owned())];
        assert_eq!(told, cells);
        assert_eq!(happened(Some(&before), &before), []);
        let mut moved = after.clone();
        moved.steps[2].start_time = "100000".to_owned();
        let told = happened(Some(&before), &moved);
        assert_eq!((told[0].0, told[0].1.steps.len()), (Happened::Changed, 3));
        assert_eq!(told.len(), 3);
        let mut renamed = before.clone();
        renamed.patient.name = "ROE^JANE".into();
        renamed.visit.location = "WARD2".to_owned();
        let told = happened(Some(&before), &renamed);
        assert_eq!((told[0].0, told.len()), (Happened::PatientChanged, 1));
        let mut more = before.clone();
        more.steps.push(step("9", Scheduled));
        assert_eq!(happened(Some(&before), &more)[0].0, Happened::Changed);
        assert_eq!(happened(None, &before)[0].0, Happened::Placed);
    }

    #[test]
    fn control_ids_fit_and_differ() {
        let now = Moment::new(1_767_600_000_000_000, 0);
        let (one, two) = (control_id(now, 1), control_id(now, 100_000_002));
        assert_eq!((one.as_str(), one.len()), ("26010508000000000001", 20));
        assert_ne!(one, two);
        assert_eq!(two.len(), 20);
    }
}
