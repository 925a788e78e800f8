//! What an order needs and its sender left out; what a change keeps.

use pacslab_model::order::{Order, ScheduledStep, StepStatus};
use pacslab_model::{PersonName, Uid, Vr};
use pacslab_store::Papers;

use super::Ris;
use super::refused::{Place, RefusedOrder};

impl Ris {
    /// The order with everything that a worklist item must have. What `known` has is kept, so that
    /// the same message gives the same order again.
    pub(super) fn filled(
        &self,
        papers: &dyn Papers,
        mut order: Order,
        known: Option<&Order>,
        remarks: &mut Vec<String>,
    ) -> Result<Order, RefusedOrder> {
        let number = |name: &str, prefix: &str| {
            papers.next_number(name).map(|number| format!("{prefix}{number:07}"))
        };
        if let Some(known) = known {
            order.accession.clone_from(&known.accession);
            order.filler.issuer.clone_from(&known.filler.issuer);
            order.further = known.further;
        }
        if order.accession.is_empty() {
            order.accession = number("accession", &self.settings.accession_prefix)?;
            remarks.push(format!("accession number {} assigned", order.accession));
        }
        if order.patient.id.id.is_empty() {
            return Err(RefusedOrder::Missing {
                what: "the patient identifier",
                place: ("PID", 3, 1),
            });
        }
        if order.patient.name.is_empty() {
            order.patient.name = PersonName::new("UNKNOWN");
            remarks.push("no patient name; UNKNOWN is offered to the scanner".to_owned());
        }
        if order.procedure.id.is_empty() {
            order.procedure.id = match known {
                Some(known) => known.procedure.id.clone(),
                None => number("requested procedure", "RP")?,
            };
        }
        if order.procedure.study_uid.is_empty() {
            order.procedure.study_uid = match known {
                Some(known) => known.procedure.study_uid.clone(),
                // each requested procedure is a study
                None => {
                    Uid::from_parts(&[&self.settings.site, "study", &order.accession, &order.key()])
                }
            };
        }
        if order.steps.is_empty() {
            return Err(RefusedOrder::Missing {
                what: "the scheduled procedure step (modality, station and start)",
                place: ("OBR", 24, 1),
            });
        }
        let now = self.clock.now();
        for (at, step) in order.steps.iter_mut().enumerate() {
            let there = known.and_then(|known| known.steps.get(at));
            if step.id.is_empty() {
                step.id = match there {
                    Some(there) => there.id.clone(),
                    None => number("scheduled step", "SPS")?,
                };
            }
            if step.start_date.is_empty() {
                (step.start_date, step.start_time) = match there {
                    Some(there) => (there.start_date.clone(), there.start_time.clone()),
                    None => (now.da(), now.tm()),
                };
            }
            if step.start_time.is_empty() {
                step.start_time = "000000".to_owned();
            }
            if known.is_none() && !step.status.on_worklist() {
                step.status = StepStatus::Scheduled;
            }
        }
        check(&mut order, remarks)?;
        Ok(order)
    }
}

/// Values that DICOM could not carry. Identifiers are refused, because cut they would be others;
/// words are cut.
fn check(order: &mut Order, remarks: &mut Vec<String>) -> Result<(), RefusedOrder> {
    let fits = |what, value: &str, vr: Vr, place: Place| {
        let count = value.chars().count();
        let most = vr.max_chars().unwrap_or(usize::MAX);
        let problem = if count > most {
            format!("has {count} characters; DICOM allows {most}")
        } else if value.contains(|c: char| c == '\\' || c.is_control()) {
            "has a backslash or a control character in it".to_owned()
        } else {
            return Ok(());
        };
        Err(RefusedOrder::Value { what, value: value.to_owned(), problem, place })
    };
    fits("accession number", &order.accession, Vr::SH, ("OBR", 18, 1))?;
    fits("patient identifier", &order.patient.id.id, Vr::LO, ("PID", 3, 1))?;
    fits("requested procedure id", &order.procedure.id, Vr::SH, ("OBR", 19, 1))?;
    let uid = &order.procedure.study_uid;
    if !uid.is_valid() {
        return Err(RefusedOrder::Value {
            what: "study instance UID",
            value: uid.to_string(),
            problem: "is not a valid UID".to_owned(),
            place: ("ZDS", 1, 1),
        });
    }
    let mut cut = |what: &str, text: &mut String, most: usize| {
        if let Some((at, _)) = text.char_indices().nth(most) {
            remarks.push(format!("{what} '{text}' is cut to {most} characters"));
            text.truncate(at);
        }
    };
    cut("procedure description", &mut order.procedure.description, 64);
    for step in &mut order.steps {
        cut("step description", &mut step.description, 64);
        cut("station name", &mut step.station_name, 16);
        cut("location", &mut step.location, 16);
    }
    for (at, step) in order.steps.iter().enumerate() {
        fits("scheduled procedure step id", &step.id, Vr::SH, ("OBR", 20, 1))?;
        fits("modality", &step.modality, Vr::CS, ("OBR", 24, 1))?;
        if step.modality.is_empty() {
            return Err(RefusedOrder::Missing { what: "the modality", place: ("OBR", 24, 1) });
        }
        if order.steps[..at].iter().any(|other| other.id == step.id) {
            return Err(RefusedOrder::Value {
                what: "scheduled procedure step id",
                value: step.id.clone(),
                problem: "occurs twice in the order".to_owned(),
                place: ("OBR", 20, 1),
            });
        }
    }
    Ok(())
}

/// An order with what a change tells in place of what was known, and which of its steps the change
/// names, with the state that it tells for them.
pub(super) fn merged(
    change: Order,
    known: &Order,
    remarks: &mut Vec<String>,
) -> (Order, Vec<(usize, StepStatus)>) {
    let mut next = known.clone();
    fn take<T: Default + PartialEq>(to: &mut T, from: T) {
        if from != T::default() {
            *to = from;
        }
    }
    take(&mut next.placer, change.placer);
    take(&mut next.accession_issuer, change.accession_issuer);
    // the authority is part of the key
    if !change.filler.id.is_empty() {
        next.filler.id = change.filler.id;
    }
    let (to, from) = (&mut next.patient, change.patient);
    if !from.id.id.is_empty() {
        to.id = from.id;
    }
    take(&mut to.other_ids, from.other_ids);
    take(&mut to.name, from.name);
    take(&mut to.birth_date, from.birth_date);
    take(&mut to.sex, from.sex);
    take(&mut to.weight, from.weight);
    take(&mut to.size, from.size);
    take(&mut to.address, from.address);
    take(&mut to.mother_birth_name, from.mother_birth_name);
    take(&mut to.state, from.state);
    take(&mut to.allergies, from.allergies);
    take(&mut to.medical_alerts, from.medical_alerts);
    take(&mut to.pregnancy, from.pregnancy);
    let (to, from) = (&mut next.visit, change.visit);
    take(&mut to.admission, from.admission);
    take(&mut to.class, from.class);
    take(&mut to.location, from.location);
    take(&mut to.referring_physician, from.referring_physician);
    let (to, from) = (&mut next.procedure, change.procedure);
    take(&mut to.description, from.description);
    take(&mut to.code, from.code);
    to.priority = from.priority;
    take(&mut to.reason, from.reason);
    take(&mut to.reason_code, from.reason_code);
    take(&mut to.requesting_physician, from.requesting_physician);
    take(&mut to.transport, from.transport);
    take(&mut to.comments, from.comments);
    take(&mut to.confidentiality, from.confidentiality);
    take(&mut to.institution, from.institution);
    take(&mut to.department, from.department);
    if !from.study_uid.is_empty() && from.study_uid != to.study_uid {
        remarks.push(format!(
            "study instance UID {} is kept; {} came with the change",
            to.study_uid, from.study_uid
        ));
    }
    if !from.id.is_empty() && from.id != to.id {
        remarks.push(format!("requested procedure id {} is kept; {} came", to.id, from.id));
    }
    let mut taken: Vec<(usize, StepStatus)> = Vec::new();
    for (at, step) in change.steps.into_iter().enumerate() {
        let found = match step.id.is_empty() {
            true => (at < next.steps.len()).then_some(at),
            false => next.steps.iter().position(|there| there.id == step.id),
        };
        // a lone step under another id is the same step
        let found = found.or((next.steps.len() == 1 && taken.is_empty() && at == 0).then_some(0));
        match found {
            Some(at) if !taken.iter().any(|(other, _)| *other == at) => {
                taken.push((at, step.status));
                merge_step(&mut next.steps[at], step);
            }
            _ => {
                taken.push((next.steps.len(), step.status));
                next.steps.push(step);
            }
        }
    }
    (next, taken)
}

fn merge_step(to: &mut ScheduledStep, from: ScheduledStep) {
    fn take<T: Default + PartialEq>(to: &mut T, from: T) {
        if from != T::default() {
            *to = from;
        }
    }
    take(&mut to.description, from.description);
    take(&mut to.protocol, from.protocol);
    take(&mut to.modality, from.modality);
    to.station = from.station;
    take(&mut to.station_name, from.station_name);
    take(&mut to.location, from.location);
    if !from.start_date.is_empty() {
        (to.start_date, to.start_time) = (from.start_date, from.start_time);
    }
    take(&mut to.performing_physician, from.performing_physician);
}

/// The first thing in which two orders differ.
pub(super) fn difference(a: &Order, b: &Order) -> Option<String> {
    if a == b {
        return None;
    }
    let (p, q) = (&a.patient, &b.patient);
    let pairs = [
        ("patient", p.id.id.as_str(), q.id.id.as_str()),
        ("patient name", p.name.as_str(), q.name.as_str()),
        ("birth date", &p.birth_date, &q.birth_date),
        ("requested procedure", &a.procedure.id, &b.procedure.id),
        ("procedure", &a.procedure.description, &b.procedure.description),
        ("study", a.procedure.study_uid.as_str(), b.procedure.study_uid.as_str()),
    ];
    if let Some((what, there, came)) = pairs.into_iter().find(|(_, there, came)| there != came) {
        return Some(format!("{what} '{there}' there, '{came}' sent"));
    }
    if a.steps.len() != b.steps.len() {
        return Some(format!("{} steps there, {} sent", a.steps.len(), b.steps.len()));
    }
    for (there, came) in a.steps.iter().zip(&b.steps) {
        let start = |step: &ScheduledStep| format!("{} {}", step.start_date, step.start_time);
        let pairs = [
            ("step", there.id.clone(), came.id.clone()),
            ("modality", there.modality.clone(), came.modality.clone()),
            ("station", there.station.to_string(), came.station.to_string()),
            ("start", start(there), start(came)),
        ];
        if let Some((what, there, came)) = pairs.into_iter().find(|(_, there, came)| there != came)
        {
            return Some(format!("{what} '{there}' there, '{came}' sent"));
        }
    }
    Some("details of patient, visit or procedure differ".to_owned())
}
