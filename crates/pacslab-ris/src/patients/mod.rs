//! Patients: who they are, by which identifiers, and whether they are here. IHE RAD TF-2 4.1
//! (RAD-1) and 4.12 (RAD-12); HL7 v2.5.1 3.6.2 (merging).
//!
//! A patient lies on the desk under the identifier that the department uses. Identifiers of other
//! authorities and those that a merge retired lead to it; who names a retired one is told so.

mod presence;

pub use presence::{Presence, VisitEvent, visit};

use pacslab_hl7::incoming::{PatientAction, PatientChange};
use pacslab_model::order::{Identifier, Order, Patient, StepStatus, Visit};
use pacslab_model::{Event, Identifiers, Moment, Outcome};
use pacslab_store::{OrderFilter, OrderRecord, Papers, StoreError};
use serde::{Deserialize, Serialize};

use crate::drawer::Drawer;
use crate::events;
use crate::machine::{self, StepEvent};
use crate::orders::{RefusedOrder, Ris, Work};
use crate::refile::Refile;

/// A patient as the department knows them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PatientRecord {
    pub patient: Patient,
    pub visit: Visit,
    pub presence: Presence,
    /// Identifiers that were this patient's, or another's until a merge.
    pub retired: Vec<Identifier>,
    pub created_at: Option<Moment>,
    pub changed_at: Option<Moment>,
}

/// Where an identifier leads that is no patient's own.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
struct Alias {
    of: Identifier,
    /// Taken out of use by A40 or A47.
    retired: bool,
}

const PATIENTS: Drawer<PatientRecord> = Drawer::new("patient");
const ALIASES: Drawer<Alias> = Drawer::new("patient alias");

/// Why a change of a patient had no effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedPatient {
    #[error("patient {0} is not known here; register them first (A04, A28)")]
    Unknown(String),

    #[error("patient {id} was replaced by {into}; name that one")]
    Retired { id: String, into: String },

    #[error("identifier {id} belongs to another patient ({name}); merge them (A40) instead")]
    Taken { id: String, name: String },

    #[error("patient {id} {problem}")]
    Visit { id: String, problem: String },

    #[error(transparent)]
    Order(#[from] RefusedOrder),

    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of a change.
#[derive(Clone, PartialEq, Debug)]
pub struct PatientApplied {
    pub record: PatientRecord,
    /// Whether the patient was not known before.
    pub created: bool,
    /// Orders that say it now.
    pub orders: usize,
    pub remarks: Vec<String>,
}

/// `4711 of PACSLAB`
pub fn shown(id: &Identifier) -> String {
    match authority(id) {
        "" => id.id.clone(),
        authority => format!("{} of {authority}", id.id),
    }
}

fn authority(id: &Identifier) -> &str {
    if id.issuer.is_empty() { &id.universal_id } else { &id.issuer }
}

/// Identifiers hold no control characters, so that no two have the same key.
fn key(id: &Identifier) -> String {
    format!("{}\u{1f}{}", id.id, authority(id))
}

/// A patient that an identifier leads to.
struct Found {
    record: PatientRecord,
    /// The identifier was theirs before a merge.
    retired: bool,
}

/// By the identifier; without an authority by the only one who has it.
fn find(papers: &dyn Papers, id: &Identifier) -> Result<Option<Found>, StoreError> {
    let own = |record| Some(Found { record, retired: false });
    if let Some(record) = PATIENTS.get(papers, &key(id))? {
        return Ok(own(record));
    }
    if let Some(alias) = ALIASES.get(papers, &key(id))? {
        let record = PATIENTS.get(papers, &key(&alias.of))?;
        return Ok(record.map(|record| Found { record, retired: alias.retired }));
    }
    if authority(id).is_empty() {
        let mut those = PATIENTS.beginning(papers, &key(id), 2)?;
        if those.len() == 1 {
            return Ok(own(those.remove(0).1));
        }
        let mut aliases = ALIASES.beginning(papers, &key(id), 2)?;
        return match aliases.pop() {
            Some((_, alias)) if those.is_empty() && aliases.is_empty() => {
                let record = PATIENTS.get(papers, &key(&alias.of))?;
                Ok(record.map(|record| Found { record, retired: alias.retired }))
            }
            _ => Ok(None),
        };
    }
    // it was told without authority before
    let bare = Identifier { id: id.id.clone(), ..Identifier::default() };
    Ok(PATIENTS.get(papers, &key(&bare))?.and_then(own))
}

/// Whether two identifiers are of one patient: by what both say, or by a merge.
pub(crate) fn same(
    papers: &dyn Papers,
    told: &Identifier,
    ordered: &Identifier,
) -> Result<bool, StoreError> {
    let alike = |id: &Identifier| {
        let (a, b) = (authority(id), authority(ordered));
        id.id == ordered.id && (a == b || a.is_empty() || b.is_empty())
    };
    Ok(alike(told) || find(papers, told)?.is_some_and(|found| alike(&found.record.patient.id)))
}

impl Ris {
    /// The patient whom an identifier leads to, a retired one too.
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn patient(&self, id: &Identifier) -> Result<Option<PatientRecord>, StoreError> {
        Ok(find(&*self.desk, id)?.map(|found| found.record))
    }

    /// Patients by identifier, those after `after` (`None`: from the first).
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn patients(
        &self,
        after: Option<&Identifier>,
        limit: usize,
    ) -> Result<Vec<PatientRecord>, StoreError> {
        let after = after.map(key).unwrap_or_default();
        let found = PATIENTS.after(&*self.desk, &after, limit)?;
        Ok(found.into_iter().map(|(_, record)| record).collect())
    }

    /// Does what has happened to a patient, with all that follows from it.
    ///
    /// # Errors
    /// See [`RefusedPatient`]; nothing has changed then.
    pub fn change_patient(
        &self,
        change: &PatientChange,
        strict: bool,
    ) -> Result<PatientApplied, RefusedPatient> {
        self.work(|work| work.change_patient(change, strict)).map(|(applied, _)| applied)
    }
}

impl Work<'_> {
    /// Does what has happened to a patient. Leniently an unknown patient is made, and a visit takes
    /// turns that the table does not foresee; both are remarked on.
    ///
    /// # Errors
    /// See [`RefusedPatient`].
    pub fn change_patient(
        &self,
        change: &PatientChange,
        strict: bool,
    ) -> Result<PatientApplied, RefusedPatient> {
        let mut remarks = Vec::new();
        let mut id = change.patient.id.clone();
        let mut orders = 0;
        let known = match &change.action {
            PatientAction::ChangeId { from } => {
                let known = self.renamed(change, from, strict, &mut remarks)?;
                if let (Some(record), Some(prior)) = (&known, from.first()) {
                    orders += self.orders_follow(prior, record)?;
                }
                known
            }
            _ => self.known(&id)?,
        };
        let created = known.is_none();
        if created && strict && !makes(&change.action) {
            return Err(RefusedPatient::Unknown(shown(&id)));
        }
        if created && !makes(&change.action) {
            remarks.push(format!("patient {} was not known and is registered", shown(&id)));
        }
        let mut record = known.unwrap_or_else(|| PatientRecord {
            created_at: Some(self.now()),
            ..PatientRecord::default()
        });
        // told by an identifier of another authority: the department's own stays
        if !record.patient.id.id.is_empty() {
            id = record.patient.id.clone();
        }
        let before = record.clone();
        let told = as_told(change, &id);
        (record.patient, record.visit) = told.onto(&record.patient, &record.visit);
        if let Some(event) = VisitEvent::of(&change.action) {
            record.presence = match visit(record.presence, event) {
                Some(next) => next,
                None => {
                    let problem = format!(
                        "is {}, which {} ({}) does not foresee",
                        record.presence.as_str(),
                        change.event.code,
                        change.event.means
                    );
                    if strict {
                        return Err(RefusedPatient::Visit { id: shown(&id), problem });
                    }
                    remarks.push(format!("patient {} {problem}", shown(&id)));
                    after_all(event, record.presence)
                }
            };
        }
        if let PatientAction::Merge { retired, .. } = &change.action {
            orders += self.merged(retired, &mut record, strict, &mut remarks)?;
        }
        let renamed = matches!(change.action, PatientAction::ChangeId { .. });
        if record != before || created || renamed {
            record.changed_at = Some(self.now());
            self.keep_patient(&record)?;
        }
        orders += self.orders_say(&record, &change.action)?;
        if before.patient != record.patient && !created {
            self.refile(&Refile::Describe { patient: record.patient.clone() })?;
        }
        self.tell_adt(change, &record)?;
        self.tell_patient(change, &record, &remarks);
        Ok(PatientApplied { record, created, orders, remarks })
    }

    /// Makes a patient known of whom an order tells first. What is known already is left to ADT.
    ///
    /// # Errors
    /// The patient was merged into another.
    pub fn patient_of(&self, order: &Order) -> Result<(), RefusedPatient> {
        if self.known(&order.patient.id)?.is_some() {
            return Ok(());
        }
        self.keep_patient(&PatientRecord {
            patient: order.patient.clone(),
            visit: order.visit.clone(),
            created_at: Some(self.now()),
            changed_at: Some(self.now()),
            ..PatientRecord::default()
        })?;
        Ok(())
    }

    fn known(&self, id: &Identifier) -> Result<Option<PatientRecord>, RefusedPatient> {
        match find(self.papers(), id)? {
            Some(Found { record, retired: true }) => {
                Err(RefusedPatient::Retired { id: shown(id), into: shown(&record.patient.id) })
            }
            found => Ok(found.map(|found| found.record)),
        }
    }

    fn keep_patient(&self, record: &PatientRecord) -> Result<(), StoreError> {
        let (papers, now) = (self.papers(), self.now());
        let own = key(&record.patient.id);
        PATIENTS.put(papers, &own, record, now)?;
        ALIASES.remove(papers, &own)?;
        let others = record.patient.other_ids.iter().map(|id| (id, false));
        for (id, retired) in others.chain(record.retired.iter().map(|id| (id, true))) {
            let at = key(id);
            if at == own || id.id.is_empty() || PATIENTS.get(papers, &at)?.is_some() {
                continue;
            }
            let alias = Alias { of: record.patient.id.clone(), retired };
            ALIASES.put(papers, &at, &alias, now)?;
        }
        Ok(())
    }

    /// The same was asked for before: the retired identifier leads there already.
    fn is_done(
        &self,
        retired: &Identifier,
        to: &Identifier,
        remarks: &mut Vec<String>,
    ) -> Result<bool, StoreError> {
        let (before, now) = (find(self.papers(), retired)?, find(self.papers(), to)?);
        let (Some(before), Some(now)) = (before, now) else { return Ok(false) };
        let done = before.retired && before.record.patient.id == now.record.patient.id;
        if done {
            remarks.push(format!("{} was replaced by {} already", shown(retired), shown(to)));
        }
        Ok(done)
    }

    /// A47: the same patient under another identifier.
    fn renamed(
        &self,
        change: &PatientChange,
        from: &[Identifier],
        strict: bool,
        remarks: &mut Vec<String>,
    ) -> Result<Option<PatientRecord>, RefusedPatient> {
        let to = &change.patient.id;
        let Some(prior) = from.first() else { return self.known(to) };
        if self.is_done(prior, to, remarks)? {
            return self.known(to);
        }
        let Some(mut record) = self.known(prior)? else {
            if strict {
                return Err(RefusedPatient::Unknown(shown(prior)));
            }
            remarks.push(format!("patient {} was not known", shown(prior)));
            return self.known(to);
        };
        if let Some(other) = self.known(to)?
            && other.patient.id != record.patient.id
        {
            let name = other.patient.name.to_string();
            return Err(RefusedPatient::Taken { id: shown(to), name });
        }
        let old = record.patient.id.clone();
        PATIENTS.remove(self.papers(), &key(&old))?;
        record.patient.id.clone_from(to);
        record.retired.push(old.clone());
        self.refile(&Refile::Merge { from: old, patient: record.patient.clone() })?;
        Ok(Some(record))
    }

    /// A40: everything of the retired belongs to the survivor.
    fn merged(
        &self,
        retired: &[Identifier],
        record: &mut PatientRecord,
        strict: bool,
        remarks: &mut Vec<String>,
    ) -> Result<usize, RefusedPatient> {
        let Some(first) = retired.first() else { return Ok(0) };
        if self.is_done(first, &record.patient.id, remarks)? {
            return Ok(0);
        }
        let gone = match self.known(first)? {
            Some(gone) => gone,
            None if strict => return Err(RefusedPatient::Unknown(shown(first))),
            None => {
                remarks.push(format!("patient {} was not known", shown(first)));
                let patient = Patient { id: first.clone(), ..Patient::default() };
                PatientRecord { patient, ..PatientRecord::default() }
            }
        };
        if gone.patient.id == record.patient.id {
            let name = record.patient.name.to_string();
            return Err(RefusedPatient::Taken { id: shown(first), name });
        }
        PATIENTS.remove(self.papers(), &key(&gone.patient.id))?;
        for id in retired.iter().chain(&gone.patient.other_ids).chain(&gone.retired) {
            if !record.retired.contains(id) {
                record.retired.push(id.clone());
            }
        }
        self.refile(&Refile::Merge {
            from: gone.patient.id.clone(),
            patient: record.patient.clone(),
        })?;
        // what the survivor does not say stays as it was said of the other
        self.orders_follow(&gone.patient.id, record)
    }

    /// Orders of an identifier become those of a patient.
    fn orders_follow(
        &self,
        from: &Identifier,
        record: &PatientRecord,
    ) -> Result<usize, RefusedPatient> {
        let theirs = self.orders_of(from)?;
        for known in &theirs {
            let mut order = known.order.clone();
            order.patient = record.patient.clone();
            self.keep(&order, Some(known))?;
        }
        Ok(theirs.len())
    }

    /// Orders say of their patient what is known, and steps of one who has come are ARRIVED.
    fn orders_say(
        &self,
        record: &PatientRecord,
        action: &PatientAction,
    ) -> Result<usize, RefusedPatient> {
        let mut changed = 0;
        let today = self.now().da();
        for known in self.orders_of(&record.patient.id)? {
            let mut order = known.order.clone();
            order.patient = record.patient.clone();
            if open(&order) {
                // a visit is told of by the order that was placed in it
                let visit = &mut order.visit;
                visit.location.clone_from(&record.visit.location);
                if !record.visit.class.is_empty() {
                    visit.class.clone_from(&record.visit.class);
                }
            }
            let event = match action {
                PatientAction::Visit { arrived: true } => Some(StepEvent::Arrive),
                PatientAction::CancelVisit => Some(StepEvent::Unarrive),
                _ => None,
            };
            for step in &mut order.steps {
                let waits = matches!(step.status, StepStatus::Scheduled | StepStatus::Arrived);
                if let Some(event) = event
                    && waits
                    && (step.start_date <= today || event == StepEvent::Unarrive)
                    && let Ok(next) = machine::step(step.status, event)
                {
                    step.status = next;
                }
            }
            if order != known.order {
                self.keep(&order, Some(&known))?;
                changed += 1;
            }
        }
        Ok(changed)
    }

    fn orders_of(&self, id: &Identifier) -> Result<Vec<OrderRecord>, StoreError> {
        let filter = OrderFilter { patient_id: Some(id.id.clone()), ..OrderFilter::default() };
        let mut found = self.papers().orders(&filter)?;
        found.retain(|known| {
            let (ours, theirs) = (authority(id), authority(&known.order.patient.id));
            ours == theirs || ours.is_empty() || theirs.is_empty()
        });
        Ok(found)
    }

    fn tell_patient(&self, change: &PatientChange, record: &PatientRecord, remarks: &[String]) {
        let id = &record.patient.id;
        let text = format!("patient {} {}", shown(id), change.event.means);
        let outcome = if remarks.is_empty() { Outcome::Ok } else { Outcome::Warning };
        let event = Event::new(self.now(), events::PATIENT, text).outcome(outcome);
        let event = event.ids(Identifiers { patient_id: id.id.clone(), ..Identifiers::default() });
        self.tell(match remarks {
            [] => event,
            remarks => event.field("remarks", remarks.join("; ")),
        });
    }
}

fn open(order: &Order) -> bool {
    order.steps.iter().any(|step| !machine::is_final(step.status))
}

/// Whether it is no wonder that the patient is new.
const fn makes(action: &PatientAction) -> bool {
    matches!(action, PatientAction::Create | PatientAction::Update | PatientAction::Visit { .. })
}

/// Where a visit is after an event that came without the one before it.
const fn after_all(event: VisitEvent, now: Presence) -> Presence {
    match event {
        VisitEvent::Arrive
        | VisitEvent::Move
        | VisitEvent::CancelMove
        | VisitEvent::CancelLeave => Presence::Here,
        VisitEvent::Leave => Presence::Gone,
        VisitEvent::Cancel => Presence::Absent,
        // whoever is here is not expected
        VisitEvent::Expect => now,
    }
}

/// The change as told of the identifier that the department uses; the told one is one of the others.
fn as_told(change: &PatientChange, id: &Identifier) -> PatientChange {
    let mut told = change.clone();
    if key(&told.patient.id) != key(id) {
        let other = std::mem::replace(&mut told.patient.id, id.clone());
        if authority(&other) != authority(id) && !authority(&other).is_empty() {
            told.patient.other_ids.push(other);
        }
    }
    told
}
