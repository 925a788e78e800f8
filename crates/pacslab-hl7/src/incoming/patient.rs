//! ADT: what has happened to a patient. HL7 v2.5.1 3.3; IHE RAD TF-2 4.1 (RAD-1) and 4.12 (RAD-12).

use pacslab_model::PersonName;
use pacslab_model::order::{Identifier, Order, Patient, Visit};

use crate::adt::AdtEvent;
use crate::finding::{Code, Finding};
use crate::group::{self, Begins, Group};
use crate::map::Attribute;
use crate::message::Message;
use crate::options::Options;
use crate::patient::location;
use crate::reader::{Reader, Spot};
use crate::types::{self, Timestamp, first};

/// One thing that has happened to one patient.
#[derive(Clone, PartialEq, Debug)]
pub struct PatientChange {
    /// Which event told it: `A08`, "changed".
    pub event: &'static AdtEvent,
    /// When it happened: EVN-6, else EVN-2, else MSH-7; empty when nobody says.
    pub at: Timestamp,
    pub action: PatientAction,
    /// As told: what is empty was not told and stays. `id` is never empty; it is the one that
    /// survives a merge.
    pub patient: Patient,
    /// As told; all empty where the message has no PV1.
    pub visit: Visit,
    /// What the sender deletes (`""`), of patient and visit.
    pub cleared: Vec<Attribute>,
}

/// What to do. Whatever the action, demographics that the message tells are those of the patient
/// from now on ([`PatientChange::onto`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PatientAction {
    /// A28: make the patient where unknown, else change.
    Create,
    /// A08, A31: change demographics (and the visit); an unknown patient is made.
    Update,
    /// A01 (inpatient), A04 (arrived as outpatient), A05 (expected): a visit begins, the patient is
    /// made where unknown. `arrived` is false for A05.
    Visit { arrived: bool },
    /// A02: elsewhere from now on ([`PatientChange::visit`]), `from` was before.
    Transfer { from: String },
    /// A06, A07: class and location of the visit change.
    Class { from: String },
    /// A03: the visit is over.
    Discharge { at: Timestamp },
    /// A11, A23: there is no such visit (any more); the patient stays.
    CancelVisit,
    /// A12: back to where the message says.
    CancelTransfer,
    /// A13: the visit goes on.
    CancelDischarge,
    /// A40: everything of `retired` belongs to [`PatientChange::patient`] from now on, and `retired`
    /// becomes an alias. Never empty; the identifier of the configured authority stands first.
    Merge { retired: Vec<Identifier>, name: PersonName },
    /// A47: `from` is replaced by the identifier of [`PatientChange::patient`].
    ChangeId { from: Vec<Identifier> },
}

impl PatientChange {
    /// Patient and visit with what the message tells and deletes; what it does not tell stays.
    pub fn onto(&self, known: &Patient, visit: &Visit) -> (Patient, Visit) {
        let told = Order {
            patient: merged(known, &self.patient),
            visit: merged_visit(visit, &self.visit),
            ..Order::default()
        };
        let mut next = told;
        self.cleared.iter().for_each(|attribute| attribute.clear(&mut next));
        (next.patient, next.visit)
    }
}

fn take<T: Default + PartialEq + Clone>(to: &mut T, from: &T) {
    if *from != T::default() {
        to.clone_from(from);
    }
}

fn merged(known: &Patient, told: &Patient) -> Patient {
    let mut next = known.clone();
    take(&mut next.id, &told.id);
    // an identifier goes by A40 or A47, not by being left out
    for id in &told.other_ids {
        if !next.other_ids.contains(id) {
            next.other_ids.push(id.clone());
        }
    }
    take(&mut next.name, &told.name);
    take(&mut next.birth_date, &told.birth_date);
    take(&mut next.sex, &told.sex);
    take(&mut next.weight, &told.weight);
    take(&mut next.size, &told.size);
    take(&mut next.address, &told.address);
    take(&mut next.mother_birth_name, &told.mother_birth_name);
    take(&mut next.state, &told.state);
    take(&mut next.allergies, &told.allergies);
    take(&mut next.medical_alerts, &told.medical_alerts);
    take(&mut next.pregnancy, &told.pregnancy);
    next
}

fn merged_visit(known: &Visit, told: &Visit) -> Visit {
    let mut next = known.clone();
    take(&mut next.admission, &told.admission);
    take(&mut next.class, &told.class);
    take(&mut next.location, &told.location);
    take(&mut next.referring_physician, &told.referring_physician);
    next
}

pub(super) fn read(
    message: &Message,
    event: &'static AdtEvent,
    options: &Options,
    findings: &mut Vec<Finding>,
    warnings: &mut Vec<Finding>,
) -> Vec<PatientChange> {
    let begins = if event.merges() { Begins::Patient } else { Begins::Whole };
    let mut groups = group::groups(message, begins, findings);
    if groups.is_empty() && findings.is_empty() {
        // without PID there is still a message to say that of
        groups = group::groups(message, Begins::Whole, findings);
    }
    let one = |group: &Group<'_>| {
        let mut reader = Reader::new(group, options);
        let change = change(&mut reader, event);
        findings.append(&mut reader.errors);
        warnings.append(&mut reader.warnings);
        change
    };
    groups.iter().map(one).collect()
}

fn change(reader: &mut Reader<'_>, event: &'static AdtEvent) -> PatientChange {
    let makes = matches!(event.code, "A01" | "A04" | "A05" | "A28");
    let mut patient = reader.patient(true, makes);
    let visit = reader.visit();
    reader.tell_deletions();
    let action = action(reader, event, &patient);
    if matches!(action, PatientAction::Merge { .. } | PatientAction::ChangeId { .. }) {
        // those of the prior patient are no further identifiers of this one
        let prior = prior(reader);
        patient.other_ids.retain(|id| !prior.contains(id));
    }
    PatientChange {
        event,
        at: happened(reader.group),
        action,
        patient,
        visit,
        cleared: std::mem::take(&mut reader.cleared),
    }
}

fn action(reader: &mut Reader<'_>, event: &AdtEvent, patient: &Patient) -> PatientAction {
    match event.code {
        "A01" | "A04" => PatientAction::Visit { arrived: true },
        "A05" => PatientAction::Visit { arrived: false },
        "A02" => PatientAction::Transfer { from: prior_location(reader) },
        "A03" => PatientAction::Discharge { at: discharged(reader) },
        "A06" | "A07" => PatientAction::Class { from: prior_location(reader) },
        "A11" | "A23" => PatientAction::CancelVisit,
        "A12" => PatientAction::CancelTransfer,
        "A13" => PatientAction::CancelDischarge,
        "A28" => PatientAction::Create,
        "A40" => {
            let retired = retired(reader, patient);
            PatientAction::Merge {
                retired,
                name: types::name_from_xpn(reader.group.field("MRG", 7)),
            }
        }
        "A47" => PatientAction::ChangeId { from: retired(reader, patient) },
        _ => PatientAction::Update,
    }
}

/// MRG-1, with the identifier that PatientID is made of in front.
fn prior(reader: &Reader<'_>) -> Vec<Identifier> {
    let ids = reader.group.field("MRG", 1).repetitions().map(types::identifier_from_cx);
    let mut ids: Vec<Identifier> = ids.filter(|id| !id.id.is_empty()).collect();
    if ids.is_empty() {
        // before 2.3 there was no list
        ids.extend([4, 2].map(|field| types::identifier_from_cx(reader.group.field("MRG", field))));
        ids.retain(|id| !id.id.is_empty());
    }
    let authority = reader.options.patient_authority.as_deref();
    let first = ids
        .iter()
        .position(|id| authority.is_some_and(|name| id.issuer == name || id.universal_id == name));
    if let Some(at) = first {
        ids[..=at].rotate_right(1);
    }
    ids
}

fn retired(reader: &mut Reader<'_>, patient: &Patient) -> Vec<Identifier> {
    let spot = Spot::new("MRG", 1, 1);
    let prior = prior(reader);
    if prior.is_empty() {
        let text = "the identifier that is replaced is missing".to_owned();
        reader.fault(&spot, Code::RequiredFieldMissing, text);
    }
    let same = |id: &Identifier| {
        id.id == patient.id.id
            && (id.issuer == patient.id.issuer
                || id.issuer.is_empty()
                || patient.id.issuer.is_empty())
            && (id.universal_id == patient.id.universal_id
                || id.universal_id.is_empty()
                || patient.id.universal_id.is_empty())
    };
    if !patient.id.id.is_empty() && prior.iter().any(same) {
        let text =
            format!("'{}' is to replace itself: MRG-1 and PID-3 are the same", patient.id.id);
        reader.fault(&spot, Code::DuplicateKey, text);
    }
    prior
}

/// PV1-6, as [`Visit::location`] has it.
fn prior_location(reader: &Reader<'_>) -> String {
    location(reader.group.field("PV1", 6))
}

fn discharged(reader: &Reader<'_>) -> Timestamp {
    let told = Timestamp::parse(&first(reader.group.field("PV1", 45)));
    told.unwrap_or_else(|| happened(reader.group))
}

fn happened(group: &Group<'_>) -> Timestamp {
    let places = [("EVN", 6), ("EVN", 2), ("MSH", 7)];
    let mut times =
        places.map(|(name, field)| Timestamp::parse(&first(group.field(name, field)))).into_iter();
    times.find_map(|time| time.filter(Timestamp::has_day)).unwrap_or_default()
}
