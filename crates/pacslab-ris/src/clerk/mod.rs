//! What people ask of the department by command or REST: the same changes as by HL7, said shortly.
//! IHE RAD TF-2 4.2 to 4.4 (orders), 4.12 (patients).

mod patients;

pub use patients::PatientWish;

use pacslab_hl7::order::StationRule;
use pacslab_model::order::{
    Code, Identifier, Order, OrderChange, OrderControl, Patient, Priority, RequestedProcedure,
    ScheduledStep, StepStatus, Visit,
};
use pacslab_model::{AeTitle, PersonName, Uid};
use pacslab_store::OrderRecord;
use serde::{Deserialize, Serialize};

use crate::orders::{Applied, RefusedOrder, Ris, which};
use crate::patients::RefusedPatient;

/// From an exam to a room and a station.
#[derive(Clone, Debug, Default)]
pub struct Scheduling {
    /// What can be ordered by code.
    pub exams: Vec<ExamEntry>,
    /// The first that takes the modality and the code.
    pub stations: Vec<StationRule>,
    /// Where no rule takes it.
    pub default_station: Option<AeTitle>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExamEntry {
    pub code: Code,
    pub modality: String,
}

/// An order, or a change of one: what is not said is filled, or stays.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderWish {
    pub accession: String,
    /// Requested procedure id: makes a further procedure of an accession number that there is, and
    /// tells which is to change.
    pub procedure: String,
    /// Code of the catalogue: tells procedure and modality.
    pub exam: String,
    /// Where it is not in the catalogue.
    pub description: String,
    pub modality: String,
    pub patient: PatientWish,
    /// DA and TM of the start.
    pub date: String,
    pub time: String,
    /// AE title; the rules choose one where it is empty.
    pub station: String,
    pub location: String,
    pub priority: Option<Priority>,
    /// FAMILY^GIVEN
    pub referring: String,
    pub reason: String,
    pub study_uid: String,
}

const NOWHERE: (&str, usize, usize) = ("MSH", 0, 0);

impl Scheduling {
    fn exam(&self, code: &str) -> Result<&ExamEntry, RefusedOrder> {
        let found =
            self.exams.iter().find(|exam| exam.code.value.eq_ignore_ascii_case(code.trim()));
        found.ok_or_else(|| {
            let wanted = code.to_uppercase();
            let alike = |exam: &&ExamEntry| {
                wanted.len() >= 2 && exam.code.value.starts_with(&wanted[..2.min(wanted.len())])
            };
            let near: Vec<&str> =
                self.exams.iter().filter(alike).take(6).map(|exam| &*exam.code.value).collect();
            let problem = match near.is_empty() {
                true => "is not in the catalogue".to_owned(),
                false => format!("is not in the catalogue; near it are {}", near.join(", ")),
            };
            RefusedOrder::Value { what: "exam", value: code.to_owned(), problem, place: NOWHERE }
        })
    }

    /// Station, its name, and the room.
    fn place(&self, modality: &str, code: &str) -> Option<(AeTitle, String, String)> {
        let takes = |rule: &&StationRule| {
            (rule.modality.is_empty() || rule.modality == modality)
                && (rule.code.is_empty() || rule.code.eq_ignore_ascii_case(code))
        };
        let rule = self.stations.iter().find(takes);
        let chosen =
            rule.map(|rule| (rule.station.clone(), rule.name.clone(), rule.location.clone()));
        chosen.or_else(|| Some((self.default_station.clone()?, String::new(), String::new())))
    }
}

impl Ris {
    /// Orders an exam: its procedure from the catalogue, its place by the rules.
    ///
    /// # Errors
    /// See [`RefusedOrder`] and [`RefusedPatient`]; nothing has changed then.
    pub fn order_exam(&self, wish: &OrderWish) -> Result<Applied, RefusedPatient> {
        let patient = self.wished(&wish.patient)?;
        let order = self.wished_order(wish, patient, None)?;
        let ((mut applied, ()), shown) = self.work(|work| {
            let change = OrderChange { control: OrderControl::New, order, remarks: Vec::new() };
            let applied = work.apply(change)?;
            work.patient_of(&applied.order)?;
            Ok::<_, RefusedPatient>((applied, ()))
        })?;
        if let Some(shown) = shown.into_iter().next() {
            (applied.order, applied.files) = (shown.order, shown.files);
        }
        Ok(applied)
    }

    /// Another time, place, exam, priority: what is not said stays.
    ///
    /// # Errors
    /// See [`RefusedOrder`]; nothing has changed then.
    pub fn change_order(
        &self,
        accession: &str,
        wish: &OrderWish,
    ) -> Result<Applied, RefusedPatient> {
        let known = self.order_of(accession, &wish.procedure)?;
        let mut patient = Patient { id: known.order.patient.id.clone(), ..Patient::default() };
        if !wish.patient.is_empty() {
            patient = wish.patient.onto_patient(patient)?;
        }
        let order = self.wished_order(wish, patient, Some(&known))?;
        Ok(self.apply(OrderChange { control: OrderControl::Change, order, remarks: Vec::new() })?)
    }

    /// Ends an order, or the requested procedure of it that is named.
    ///
    /// # Errors
    /// See [`RefusedOrder`]: what has begun is discontinued, not cancelled.
    pub fn end_order(
        &self,
        accession: &str,
        procedure: &str,
        discontinue: bool,
    ) -> Result<Applied, RefusedOrder> {
        let known = match procedure {
            "" => self.procedures(accession)?.swap_remove(0),
            procedure => self.order_of(accession, procedure)?,
        };
        let control = if discontinue { OrderControl::Discontinue } else { OrderControl::Cancel };
        let order = Order {
            accession: known.order.accession,
            filler: Identifier { id: String::new(), ..known.order.filler },
            procedure: RequestedProcedure {
                id: procedure.to_owned(),
                ..RequestedProcedure::default()
            },
            ..Order::default()
        };
        self.apply(OrderChange { control, order, remarks: Vec::new() })
    }

    /// The requested procedures of an order: at least one.
    ///
    /// # Errors
    /// There is no such order, or the desk cannot be read.
    pub fn procedures(&self, accession: &str) -> Result<Vec<OrderRecord>, RefusedOrder> {
        let those = which::procedures(&*self.desk, accession)?;
        if those.is_empty() {
            return Err(RefusedOrder::Unknown { number: accession.to_owned() });
        }
        Ok(those)
    }

    /// The requested procedure that is named, or the only one.
    ///
    /// # Errors
    /// There is none, several, or the desk cannot be read.
    pub fn order_of(&self, accession: &str, procedure: &str) -> Result<OrderRecord, RefusedOrder> {
        which::one_of(&mut self.procedures(accession)?, accession, procedure)
    }

    fn wished_order(
        &self,
        wish: &OrderWish,
        patient: Patient,
        known: Option<&OrderRecord>,
    ) -> Result<Order, RefusedOrder> {
        let known = known.map(|known| &known.order);
        let there =
            known.and_then(|order| order.steps.iter().find(|step| step.status.on_worklist()));
        let there = there.or_else(|| known.and_then(|order| order.steps.first()));
        let exam = match wish.exam.trim() {
            "" => None,
            code => Some(self.scheduling.exam(code)?),
        };
        let code = match (exam, known) {
            (Some(exam), _) => exam.code.clone(),
            (None, Some(_)) => Code::default(),
            (None, None) if wish.description.trim().is_empty() => {
                return Err(RefusedOrder::Missing {
                    what: "what is to be done (an exam of the catalogue, or a description)",
                    place: NOWHERE,
                });
            }
            (None, None) => Code::new(
                wish.description
                    .chars()
                    .filter(|c| !c.is_whitespace())
                    .take(16)
                    .collect::<String>(),
                "99PACSLAB",
                wish.description.trim(),
            ),
        };
        let told = [&*wish.modality, exam.map_or("", |exam| &exam.modality)];
        let mut modality =
            told.into_iter().find(|told| !told.is_empty()).unwrap_or("").to_uppercase();
        if modality.is_empty()
            && let Some(there) = there
        {
            modality.clone_from(&there.modality);
        }
        let (station, name, room) = self.wished_place(wish, &modality, &code, exam, there)?;
        let description =
            if wish.description.is_empty() { &code.meaning } else { &wish.description };
        let number = |id: &Identifier| known.map_or_else(|| id.clone(), |_| Identifier::default());
        let placer = Identifier::new(&wish.accession, "PACSLAB");
        let numbered = !wish.accession.is_empty();
        let step = ScheduledStep {
            id: there.map(|there| there.id.clone()).unwrap_or_default(),
            description: description.clone(),
            protocol: code.clone(),
            modality,
            station,
            station_name: name,
            location: room,
            start_date: wish.date.clone(),
            start_time: wish.time.clone(),
            performing_physician: PersonName::default(),
            status: StepStatus::Scheduled,
        };
        Ok(Order {
            accession: known
                .map_or_else(|| wish.accession.clone(), |known| known.accession.clone()),
            placer: if numbered { number(&placer) } else { Identifier::default() },
            filler: known.map_or_else(
                || if numbered { placer.clone() } else { Identifier::default() },
                |known| known.filler.clone(),
            ),
            patient,
            visit: Visit {
                class: if known.is_some() { String::new() } else { "O".to_owned() },
                referring_physician: PersonName::new(&wish.referring),
                ..Visit::default()
            },
            procedure: RequestedProcedure {
                id: known
                    .map_or_else(|| wish.procedure.clone(), |known| known.procedure.id.clone()),
                description: description.clone(),
                code,
                study_uid: Uid::new(&*wish.study_uid),
                priority: wish
                    .priority
                    .or(known.map(|known| known.procedure.priority))
                    .unwrap_or_default(),
                reason: wish.reason.clone(),
                ..RequestedProcedure::default()
            },
            steps: vec![step],
            ..Order::default()
        })
    }

    /// Told, as it was, or by the rules, where another exam asks for another place.
    fn wished_place(
        &self,
        wish: &OrderWish,
        modality: &str,
        code: &Code,
        exam: Option<&ExamEntry>,
        there: Option<&ScheduledStep>,
    ) -> Result<(AeTitle, String, String), RefusedOrder> {
        let location = wish.location.clone();
        if !wish.station.is_empty() {
            let station = AeTitle::new(&wish.station).map_err(|error| RefusedOrder::Value {
                what: "station",
                value: wish.station.clone(),
                problem: format!("is no AE title: {error}"),
                place: NOWHERE,
            })?;
            let rule = self.scheduling.stations.iter().find(|rule| rule.station == station);
            let name = rule.map_or_else(|| station.to_string(), |rule| rule.name.clone());
            let room = rule.map_or_else(String::new, |rule| rule.location.clone());
            return Ok((station, name, if location.is_empty() { room } else { location }));
        }
        if exam.is_none()
            && let Some(there) = there
        {
            return Ok((there.station.clone(), String::new(), location));
        }
        let (station, name, room) =
            self.scheduling.place(modality, &code.value).ok_or(RefusedOrder::Missing {
                what: "the station: name one, or configure one for the modality",
                place: NOWHERE,
            })?;
        let name = if name.is_empty() { station.to_string() } else { name };
        Ok((station, name, if location.is_empty() { room } else { location }))
    }
}
