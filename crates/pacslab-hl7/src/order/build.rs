//! An order as ORM^O01, the way a RIS sends it to its scanners' worklist. IHE RAD TF-2 4.4.

use pacslab_model::Moment;
use pacslab_model::order::{Code, Order, OrderControl, Patient, ScheduledStep, StepStatus};

use crate::charset::Charset;
use crate::coding::Coding;
use crate::message::{self, Line, Message};
use crate::types;

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

/// One ORM^O01 with an ORC/OBR pair for each step.
pub fn build_orm(order: &Order, control: OrderControl, sending: &Sending) -> Message {
    let coding = Coding::new(sending.charset);
    let write = Writer { coding, order, control, sending };
    let mut message = Message::new(coding);
    message.push(msh(&coding, "ORM^O01^ORM_O01", sending));
    message.push(pid(&coding, &order.patient));
    message.push(write.pv1());
    allergies(&coding, &order.patient).into_iter().for_each(|line| message.push(line));
    let steps: Vec<Option<&ScheduledStep>> = match order.steps.as_slice() {
        [] => vec![None],
        steps => steps.iter().map(Some).collect(),
    };
    for (at, step) in steps.into_iter().enumerate() {
        message.push(write.orc(step));
        message.push(write.obr(at + 1, step));
        let comments = &order.procedure.comments;
        if !comments.is_empty() {
            message.push(Line::new("NTE").with(1, "1").with(3, coding.escape(comments)));
        }
        write.observations().into_iter().for_each(|line| message.push(line));
    }
    let study = &order.procedure.study_uid;
    if !study.is_empty() {
        let pointer = coding.components(&[study.as_str(), &sending.app, "Application", "DICOM"]);
        message.push(Line::new("ZDS").with(1, pointer));
    }
    message
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

struct Writer<'a> {
    coding: Coding,
    order: &'a Order,
    control: OrderControl,
    sending: &'a Sending,
}

impl Writer<'_> {
    fn pv1(&self) -> Line {
        let (coding, visit) = (&self.coding, &self.order.visit);
        let location: Vec<&str> = visit.location.split('^').collect();
        let class = if visit.class.is_empty() { "U" } else { &visit.class };
        let ambulatory = if self.order.patient.pregnancy == Some(3) { "B6" } else { "" };
        Line::new("PV1")
            .with(1, "1")
            .with(2, coding.escape(class))
            .with(3, coding.components(&location))
            .with(8, types::xcn_from_name(coding, &visit.referring_physician))
            .with(15, ambulatory)
            .with(19, types::cx_from_identifier(coding, &visit.admission, ""))
    }

    fn orc(&self, step: Option<&ScheduledStep>) -> Line {
        let (coding, order) = (&self.coding, self.order);
        let procedure = &order.procedure;
        let institution = &procedure.institution;
        let status = match (self.control, step.map(|step| step.status)) {
            (OrderControl::Cancel | OrderControl::Discontinue, _) => "CA",
            (_, Some(StepStatus::Started | StepStatus::Departed)) => "IP",
            (_, Some(StepStatus::Completed)) => "CM",
            (_, Some(StepStatus::Discontinued)) => "DC",
            (_, Some(StepStatus::Cancelled)) => "CA",
            _ => "SC",
        };
        let department = ["", "", "", "", "", "", "", "", procedure.department.as_str()];
        // ORC ends at 21 before 2.5
        let confidentiality = match message::is_since_2_5(&self.sending.version) {
            true => procedure.confidentiality.as_str(),
            false => "",
        };
        Line::new("ORC")
            .with(1, control_code(self.control))
            .with(2, types::ei_from_identifier(coding, &order.placer))
            .with(3, types::ei_from_identifier(coding, &order.filler))
            .with(5, status)
            .with(7, self.timing(step))
            .with(9, format!("{}{}", self.sending.at.da(), self.sending.at.tm()))
            .with(12, types::xcn_from_name(coding, &procedure.requesting_physician))
            .with(13, coding.components(&department))
            .with(17, coding.components(&["", institution]))
            .with(28, coding.components(&["", confidentiality]))
    }

    fn obr(&self, seq: usize, step: Option<&ScheduledStep>) -> Line {
        let (coding, order) = (&self.coding, self.order);
        let (patient, procedure) = (&order.patient, &order.procedure);
        let code = &procedure.code;
        let no_code = Code::default();
        let (protocol, step_text) =
            step.map_or((&no_code, ""), |step| (&step.protocol, step.description.as_str()));
        let meaning = if code.meaning.is_empty() { &procedure.description } else { &code.meaning };
        let service = coding.components(&[
            &code.value,
            meaning,
            &code.scheme,
            &protocol.value,
            if protocol.meaning.is_empty() { step_text } else { &protocol.meaning },
            &protocol.scheme,
        ]);
        let requested = coding.components(&[&code.value, &procedure.description, &code.scheme]);
        let reason = &procedure.reason_code;
        let of_step = |text: fn(&ScheduledStep) -> &str| step.map_or("", text);
        let (date, time) = (of_step(|step| &step.start_date), of_step(|step| &step.start_time));
        Line::new("OBR")
            .with(1, seq.to_string())
            .with(2, types::ei_from_identifier(coding, &order.placer))
            .with(3, types::ei_from_identifier(coding, &order.filler))
            .with(4, service)
            .with(5, types::priority_code(procedure.priority))
            .with(12, coding.components(&["", &patient.state]))
            .with(13, coding.escape(&patient.medical_alerts))
            .with(16, types::xcn_from_name(coding, &procedure.requesting_physician))
            .with(18, coding.escape(&order.accession))
            .with(19, coding.escape(&procedure.id))
            .with(20, coding.escape(of_step(|step| &step.id)))
            .with(21, coding.escape(of_step(|step| step.station.as_str())))
            .with(24, coding.escape(of_step(|step| &step.modality)))
            .with(27, self.timing(step))
            .with(30, coding.escape(&procedure.transport))
            .with(31, coding.components(&[&reason.value, &procedure.reason, &reason.scheme]))
            .with(
                34,
                step.map_or(String::new(), |step| {
                    types::ndl_from_name(coding, &step.performing_physician)
                }),
            )
            .with(36, coding.escape(&format!("{date}{time}")))
            .with(44, requested)
    }

    /// TQ: once, at the scheduled start, with the priority.
    fn timing(&self, step: Option<&ScheduledStep>) -> String {
        let start = step.map_or(String::new(), |s| format!("{}{}", s.start_date, s.start_time));
        let priority = types::priority_code(self.order.procedure.priority);
        self.coding.components(&["1", "Once", "", &start, "", priority])
    }

    fn observations(&self) -> Vec<Line> {
        let patient = &self.order.patient;
        let coding = &self.coding;
        let rows = [
            (&patient.weight, ["29463-7", "Body Weight", "LN"], ["kg", "kilogram", "ISO+"]),
            (&patient.size, ["8302-2", "Body Height", "LN"], ["m", "meter", "ISO+"]),
        ];
        let told = rows.into_iter().filter(|(value, ..)| !value.is_empty()).enumerate();
        told.map(|(at, (value, name, unit))| {
            Line::new("OBX")
                .with(1, (at + 1).to_string())
                .with(2, "NM")
                .with(3, coding.components(&name))
                .with(4, "1")
                .with(5, coding.escape(value))
                .with(6, coding.components(&unit))
                .with(11, "F")
        })
        .collect()
    }
}

fn control_code(control: OrderControl) -> &'static str {
    match control {
        OrderControl::New => "NW",
        OrderControl::Change => "XO",
        OrderControl::Cancel => "CA",
        OrderControl::Discontinue => "DC",
        OrderControl::StatusChange => "SC",
    }
}
