//! An order in the three ways that it is sent: ORM^O01 as a RIS sends it to its scanners' worklist
//! (IHE RAD TF-2 4.4), OMG^O19, and OMI^O23 to an image manager (4.4 of the 2.5.1 option).

use pacslab_model::order::{Code, Identifier, Order, OrderControl, ScheduledStep, StepStatus};

use super::{Sending, allergies, msh, pid, pv1};
use crate::coding::Coding;
use crate::message::{self, Line, Message};
use crate::types;

/// How an order is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OrderForm {
    /// ORM^O01: any version; an ORC/OBR pair a step, the study UID in ZDS.
    Orm,
    /// OMG^O19: since 2.4; as ORM, with the timing in TQ1.
    Omg,
    /// OMI^O23: since 2.5; accession number, procedure, study and step in IPC.
    Omi,
}

impl OrderForm {
    pub const ALL: [Self; 3] = [Self::Orm, Self::Omg, Self::Omi];

    /// MSH-9
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Orm => "ORM^O01^ORM_O01",
            Self::Omg => "OMG^O19^OMG_O19",
            Self::Omi => "OMI^O23^OMI_O23",
        }
    }

    /// The first version that has it.
    pub const fn since(self) -> &'static str {
        match self {
            Self::Orm => "2.1",
            Self::Omg => "2.4",
            Self::Omi => "2.5",
        }
    }
}

/// One ORM^O01 with an ORC/OBR pair for each step.
pub fn build_orm(order: &Order, control: OrderControl, sending: &Sending) -> Message {
    build_order(OrderForm::Orm, order, code(control), sending)
}

/// One message of an order. `control` is ORC-1: NW, XO, CA, DC of a placer; NW, XO, SC, OC of a
/// filler. ORC-5 follows from it and from the states of the steps.
pub fn build_order(form: OrderForm, order: &Order, control: &str, sending: &Sending) -> Message {
    let coding = Coding::new(sending.charset);
    let write = Writer { coding, form, order, control, sending };
    let mut message = Message::new(coding);
    message.push(msh(&coding, form.kind(), sending));
    message.push(pid(&coding, &order.patient));
    message.push(pv1(&coding, &order.patient, &order.visit));
    allergies(&coding, &order.patient).into_iter().for_each(|line| message.push(line));
    for (at, steps) in write.groups().into_iter().enumerate() {
        let step = steps.first();
        message.push(write.orc(step));
        if form != OrderForm::Orm {
            message.push(write.tq1(step));
        }
        message.push(write.obr(at + 1, step));
        let comments = &order.procedure.comments;
        if !comments.is_empty() {
            message.push(Line::new("NTE").with(1, "1").with(3, coding.escape(comments)));
        }
        write.observations().into_iter().for_each(|line| message.push(line));
        if form == OrderForm::Omi {
            match steps {
                [] => message.push(write.ipc(None)),
                steps => steps.iter().for_each(|step| message.push(write.ipc(Some(step)))),
            }
        }
    }
    let study = &order.procedure.study_uid;
    if !study.is_empty() && form != OrderForm::Omi {
        let pointer = coding.components(&[study.as_str(), &sending.app, "Application", "DICOM"]);
        message.push(Line::new("ZDS").with(1, pointer));
    }
    message
}

/// What a response tells of an order: ORC, OBR and, in an OMI's, IPC.
pub(crate) fn order_lines(
    coding: &Coding,
    form: OrderForm,
    order: &Order,
    control: &str,
    sending: &Sending,
) -> Vec<Line> {
    let write = Writer { coding: *coding, form, order, control, sending };
    let mut lines = Vec::new();
    for (at, steps) in write.groups().into_iter().enumerate() {
        lines.push(write.orc(steps.first()));
        lines.push(write.obr(at + 1, steps.first()));
        if form == OrderForm::Omi {
            lines.extend(steps.iter().map(|step| write.ipc(Some(step))));
        }
    }
    lines
}

struct Writer<'a> {
    coding: Coding,
    form: OrderForm,
    order: &'a Order,
    control: &'a str,
    sending: &'a Sending,
}

impl<'a> Writer<'a> {
    /// The steps of each ORC. IPC has neither time nor state nor performer, so that only steps with
    /// the same ones share an ORC; elsewhere each has its own.
    fn groups(&self) -> Vec<&'a [ScheduledStep]> {
        let order = self.order;
        if order.steps.is_empty() {
            return vec![&[]];
        }
        let told = |step: &ScheduledStep| {
            let when = (step.start_date.clone(), step.start_time.clone());
            (when, self.status(Some(step)), step.performing_physician.clone())
        };
        let together = |a: &ScheduledStep, b: &ScheduledStep| {
            self.form == OrderForm::Omi && told(a) == told(b)
        };
        order.steps.chunk_by(together).collect()
    }

    fn status(&self, step: Option<&ScheduledStep>) -> &'static str {
        match (self.control, step.map(|step| step.status)) {
            ("CA" | "OC" | "DC" | "OD", _) => "CA",
            (_, Some(StepStatus::Started | StepStatus::Departed)) => "IP",
            (_, Some(StepStatus::Completed)) => "CM",
            (_, Some(StepStatus::Discontinued)) => "DC",
            (_, Some(StepStatus::Cancelled | StepStatus::NoShow)) => "CA",
            _ => "SC",
        }
    }

    fn orc(&self, step: Option<&ScheduledStep>) -> Line {
        let (coding, order) = (&self.coding, self.order);
        let procedure = &order.procedure;
        let institution = &procedure.institution;
        let department = ["", "", "", "", "", "", "", "", procedure.department.as_str()];
        // ORC ends at 21 before 2.5
        let confidentiality = match message::is_since_2_5(&self.sending.version) {
            true => procedure.confidentiality.as_str(),
            false => "",
        };
        Line::new("ORC")
            .with(1, coding.escape(self.control))
            .with(2, types::ei_from_identifier(coding, &order.placer))
            .with(3, types::ei_from_identifier(coding, &order.filler))
            .with(5, self.status(step))
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
        let omi = self.form == OrderForm::Omi;
        let meaning = if code.meaning.is_empty() { &procedure.description } else { &code.meaning };
        let protocol = step.filter(|_| !omi).map(protocol).unwrap_or_default();
        let service = coding.components(&[
            &code.value,
            meaning,
            &code.scheme,
            &protocol.value,
            &protocol.meaning,
            &protocol.scheme,
        ]);
        let requested = coding.components(&[&code.value, &procedure.description, &code.scheme]);
        let reason = &procedure.reason_code;
        let of_step = |text: fn(&ScheduledStep) -> &str| step.map_or("", text);
        let (date, time) = (of_step(|step| &step.start_date), of_step(|step| &step.start_time));
        // an OMI has them in IPC
        let id = |text: &str| if omi { String::new() } else { coding.escape(text) };
        let before_tq1 = |text: String| match self.form {
            OrderForm::Orm => text,
            OrderForm::Omg | OrderForm::Omi => String::new(),
        };
        Line::new("OBR")
            .with(1, seq.to_string())
            .with(2, types::ei_from_identifier(coding, &order.placer))
            .with(3, types::ei_from_identifier(coding, &order.filler))
            .with(4, service)
            .with(5, before_tq1(types::priority_code(procedure.priority).to_owned()))
            .with(12, coding.components(&["", &patient.state]))
            .with(13, coding.escape(&patient.medical_alerts))
            .with(16, types::xcn_from_name(coding, &procedure.requesting_physician))
            .with(18, id(&order.accession))
            .with(19, id(&procedure.id))
            .with(20, id(of_step(|step| &step.id)))
            .with(21, id(of_step(|step| step.station.as_str())))
            .with(24, id(of_step(|step| &step.modality)))
            .with(27, self.timing(step))
            .with(30, coding.escape(&procedure.transport))
            .with(31, coding.components(&[&reason.value, &procedure.reason, &reason.scheme]))
            .with(
                34,
                step.map_or(String::new(), |step| {
                    types::ndl_from_name(coding, "", &step.performing_physician)
                }),
            )
            .with(36, before_tq1(coding.escape(&format!("{date}{time}"))))
            .with(44, requested)
    }

    /// TQ: once, at the scheduled start, with the priority.
    fn timing(&self, step: Option<&ScheduledStep>) -> String {
        if self.form != OrderForm::Orm {
            return String::new();
        }
        let start = step.map_or(String::new(), |s| format!("{}{}", s.start_date, s.start_time));
        let priority = types::priority_code(self.order.procedure.priority);
        self.coding.components(&["1", "Once", "", &start, "", priority])
    }

    fn tq1(&self, step: Option<&ScheduledStep>) -> Line {
        let start = step.map_or(String::new(), |s| format!("{}{}", s.start_date, s.start_time));
        let priority = types::priority_code(self.order.procedure.priority);
        Line::new("TQ1")
            .with(1, "1")
            .with(7, self.coding.escape(&start))
            .with(9, self.coding.components(&[priority, "", "HL70485"]))
    }

    fn ipc(&self, step: Option<&ScheduledStep>) -> Line {
        let (coding, order) = (&self.coding, self.order);
        let Identifier { issuer, universal_id, universal_type, .. } = &order.accession_issuer;
        let accession = [&order.accession, issuer, universal_id, universal_type];
        let accession = accession.map(String::as_str);
        let line = Line::new("IPC")
            .with(1, coding.components(&accession))
            .with(2, coding.escape(&order.procedure.id))
            .with(3, coding.escape(order.procedure.study_uid.as_str()));
        let Some(step) = step else { return line };
        let protocol = protocol(step);
        line.with(4, coding.escape(&step.id))
            .with(5, coding.components(&[&step.modality, "", "DCM"]))
            .with(6, coding.components(&[&protocol.value, &protocol.meaning, &protocol.scheme]))
            .with(7, coding.escape(&step.station_name))
            .with(8, coding.components(&["", &step.location]))
            .with(9, coding.escape(step.station.as_str()))
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

/// The protocol, under the description of the step where it has no words of its own.
fn protocol(step: &ScheduledStep) -> Code {
    let mut protocol = step.protocol.clone();
    if protocol.meaning.is_empty() {
        protocol.meaning.clone_from(&step.description);
    }
    protocol
}

/// The code of a placer.
fn code(control: OrderControl) -> &'static str {
    match control {
        OrderControl::New => "NW",
        OrderControl::Change => "XO",
        OrderControl::Cancel => "CA",
        OrderControl::Discontinue => "DC",
        OrderControl::StatusChange => "SC",
    }
}
