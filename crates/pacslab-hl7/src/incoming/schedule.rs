//! SIU: appointments made, moved, changed, cancelled, missed. HL7 v2.5.1 10.3; IHE RAD TF-2 4.48
//! (RAD-48).

use pacslab_model::order::{Code as Concept, Identifier, Order};

use crate::finding::{Code, Finding};
use crate::group::{self, Begins};
use crate::map::Attribute;
use crate::message::{Message, Segment, Value};
use crate::options::Options;
use crate::order::Fill;
use crate::reader::{Reader, Spot, described};
use crate::types::{self, Timestamp, component, first};

/// One appointment.
#[derive(Clone, PartialEq, Debug)]
pub struct Appointment {
    pub action: AppointmentAction,
    /// SCH-1 and SCH-2: its numbers at who asked for it and at who gave it.
    pub placer: Identifier,
    pub filler: Identifier,
    /// SCH-7, else SCH-6: why, or what kind.
    pub reason: Concept,
    /// SCH-25: `Booked`, …, as sent.
    pub status: String,
    /// SCH-11, else what is booked first; without a date where the message does not say, as S15 may.
    pub start: Timestamp,
    /// Of AIS or SCH.
    pub minutes: Option<u32>,
    /// What is booked: AIS, AIG, AIL, AIP.
    pub resources: Vec<Resource>,
    /// The order that it is for, with numbers (SCH-26, SCH-27) where it has some, and one step at
    /// the time, on the station and in the room that are booked; none for S15 and S26. For an S12
    /// without a known order, this is a new one.
    pub order: Order,
    /// What a new order would need beside that.
    pub fill: Vec<Fill>,
}

/// What has happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum AppointmentAction {
    /// S12
    Book,
    /// S13: another time.
    Reschedule,
    /// S14: other details.
    Modify,
    /// S15
    Cancel,
    /// S26: the patient did not come.
    NoShow,
}

/// Somebody or something that is booked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Resource {
    pub kind: ResourceKind,
    pub code: Concept,
    /// Empty: with the appointment.
    pub start: Timestamp,
    pub minutes: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ResourceKind {
    /// AIS: the exam.
    Service,
    /// AIG: the scanner; its code is the AE title.
    Equipment,
    /// AIL: the room.
    Location,
    /// AIP
    Person,
}

impl AppointmentAction {
    pub const ALL: [Self; 5] =
        [Self::Book, Self::Reschedule, Self::Modify, Self::Cancel, Self::NoShow];

    /// MSH-9.2
    pub const fn event(self) -> &'static str {
        match self {
            Self::Book => "S12",
            Self::Reschedule => "S13",
            Self::Modify => "S14",
            Self::Cancel => "S15",
            Self::NoShow => "S26",
        }
    }

    pub fn of_event(event: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.event() == event)
    }

    /// In a few words.
    pub const fn means(self) -> &'static str {
        match self {
            Self::Book => "appointment made",
            Self::Reschedule => "appointment moved",
            Self::Modify => "appointment changed",
            Self::Cancel => "appointment cancelled",
            Self::NoShow => "patient did not come",
        }
    }

    /// Whether the appointment is to take place.
    pub const fn stands(self) -> bool {
        matches!(self, Self::Book | Self::Reschedule | Self::Modify)
    }
}

impl ResourceKind {
    /// In the order of their segments.
    pub const ALL: [Self; 4] = [Self::Service, Self::Equipment, Self::Location, Self::Person];
}

impl Appointment {
    /// The appointment of an order: the exam, the scanner and the room of its first step.
    pub fn of_order(
        action: AppointmentAction,
        placer: Identifier,
        filler: Identifier,
        order: Order,
        minutes: u32,
    ) -> Self {
        let step = order.steps.first();
        let start = step.map_or_else(Timestamp::default, |step| Timestamp {
            date: step.start_date.clone(),
            time: step.start_time.clone(),
            offset: String::new(),
        });
        let book = |kind, code, minutes| Resource { kind, code, start: start.clone(), minutes };
        let mut resources =
            vec![book(ResourceKind::Service, order.procedure.code.clone(), Some(minutes))];
        if let Some(step) = step {
            let scanner = Concept::new(step.station.as_str(), "99PACSLAB", &step.station_name);
            resources.push(book(ResourceKind::Equipment, scanner, None));
            if !step.location.is_empty() {
                let room = Concept::new(&step.location, "", &step.location);
                resources.push(book(ResourceKind::Location, room, None));
            }
        }
        let status = match action {
            AppointmentAction::Cancel => "Cancelled",
            AppointmentAction::NoShow => "Noshow",
            _ => "Booked",
        };
        Self {
            action,
            placer,
            filler,
            reason: Concept::default(),
            status: status.to_owned(),
            start,
            minutes: Some(minutes),
            resources,
            fill: Vec::new(),
            order,
        }
    }
}

pub(super) fn read(
    message: &Message,
    action: AppointmentAction,
    options: &Options,
    findings: &mut Vec<Finding>,
    warnings: &mut Vec<Finding>,
) -> Option<Appointment> {
    let groups = group::groups(message, Begins::Whole, findings);
    let mut reader = Reader::new(groups.first()?, options);
    let appointment = appointment(&mut reader, action);
    findings.append(&mut reader.errors);
    warnings.append(&mut reader.warnings);
    Some(appointment)
}

fn appointment(reader: &mut Reader<'_>, action: AppointmentAction) -> Appointment {
    let group = reader.group;
    let sch = |field| group.field("SCH", field);
    let (placer, filler) = (types::identifier_from_ei(sch(1)), types::identifier_from_ei(sch(2)));
    if placer.id.is_empty() && filler.id.is_empty() {
        let text = "the appointment has no number: send SCH-1 or SCH-2".to_owned();
        reader.fault(&Spot::new("SCH", 1, 1), Code::RequiredFieldMissing, text);
    }
    let why = types::code_from_ce(sch(7), 1);
    let order = order(reader, action);
    let (spot, start) = reader.time(Attribute::ScheduledProcedureStepStartDateTime);
    let start = match start {
        Ok(Some(start)) if start.has_day() => start,
        Ok(None) if !action.stands() => Timestamp::default(),
        Ok(None) => {
            let text = "the time of the appointment is missing".to_owned();
            reader.fault(&spot, Code::RequiredFieldMissing, text);
            Timestamp::default()
        }
        // told by the step already
        Ok(Some(_)) | Err(_) => Timestamp::default(),
    };
    let resources: Vec<Resource> = group.segments().filter_map(resource).collect();
    let service = resources.iter().find_map(|resource| resource.minutes);
    Appointment {
        action,
        placer,
        filler,
        reason: if why.is_empty() { types::code_from_ce(sch(6), 1) } else { why },
        status: described(sch(25)),
        start,
        minutes: service.or_else(|| minutes(sch(9), sch(10))),
        resources,
        fill: if action.stands() { Fill::of(&order) } else { Vec::new() },
        order,
    }
}

fn order(reader: &mut Reader<'_>, action: AppointmentAction) -> Order {
    let stands = action.stands();
    let mut order = reader.order(stands, action == AppointmentAction::Book);
    reader.tell_deletions();
    order.procedure.id = reader.assigned(Attribute::RequestedProcedureID, false);
    order.procedure.study_uid = reader.study_uid(false);
    if stands {
        let id = reader.assigned(Attribute::ScheduledProcedureStepID, false);
        order.steps.extend(reader.step_of(&order, id, false));
    }
    order
}

/// AIS, AIG, AIL and AIP, each with its start, duration and units in fields of its own.
fn resource(segment: Segment<'_>) -> Option<Resource> {
    let (kind, code, start, duration) = match segment.name() {
        "AIS" => (ResourceKind::Service, types::code_from_ce(segment.field(3), 1), 4, 7),
        "AIG" => (ResourceKind::Equipment, types::code_from_ce(segment.field(3), 1), 8, 11),
        "AIL" => (ResourceKind::Location, place(segment.field(3)), 6, 9),
        "AIP" => (ResourceKind::Person, person(segment.field(3)), 6, 9),
        _ => return None,
    };
    Some(Resource {
        kind,
        code,
        start: Timestamp::parse(&first(segment.field(start))).unwrap_or_default(),
        minutes: minutes(segment.field(duration), segment.field(duration + 1)),
    })
}

/// PL: the room, else the point of care.
fn place(field: Value<'_>) -> Concept {
    Concept::new(described(field), component(field, 4), crate::patient::location(field))
}

fn person(field: Value<'_>) -> Concept {
    Concept::new(first(field), "", types::name_from_xcn(field).as_str())
}

fn minutes(number: Value<'_>, unit: Value<'_>) -> Option<u32> {
    let number: f64 = first(number).parse().ok()?;
    let unit = first(unit).to_ascii_lowercase();
    let minutes = match unit.as_str() {
        "s" | "sec" => number / 60.0,
        "h" | "hr" | "hour" => number * 60.0,
        _ => number,
    };
    // a week is no appointment
    (minutes > 0.0 && minutes < 10_080.0).then(|| minutes.round() as u32)
}
