//! Performed procedure steps: what scanners report of their work. PS3.4 F.7, IHE RAD TF-2 4.6, 4.7.
//!
//! A report and what it means for the scheduled steps is one transaction of the desk. A report that
//! names no step we know is kept all the same: the work was done, and somebody will look for it.

mod listed;
mod machine;
mod refused;
mod table;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use pacslab_dicom::{Dataset, TransferSyntax, charset};
use pacslab_model::order::{Identifier, Order};
use pacslab_model::{Event, Identifiers, Outcome, Uid, Vr, tags};
use pacslab_store::{OrderFilter, OrderRecord, Papers, StoreError};
use serde::{Deserialize, Serialize};

use crate::drawer::Drawer;
use crate::events;
use crate::machine::{StepEvent, step};
use crate::orders::{Ris, Work};
use crate::patients;

pub use machine::PerformedStatus;
use machine::{PerformedEvent, perform};
pub use refused::RefusedReport;
pub use table::Place;

/// A performed procedure step as it was reported.
#[derive(Clone, PartialEq, Debug)]
pub struct PerformedStep {
    pub uid: Uid,
    pub status: PerformedStatus,
    pub attributes: Dataset,
    /// The scheduled steps that it is about; none: unscheduled.
    pub steps: Vec<ScheduledAs>,
}

/// A step of an order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ScheduledAs {
    pub accession: String,
    pub issuer: String,
    pub step: String,
}

/// How it lies on the desk.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: PerformedStatus,
    /// Explicit VR little endian, in base 64.
    attributes: String,
    steps: Vec<ScheduledAs>,
}

const PERFORMED: Drawer<Kept> = Drawer::new("mpps");
/// Which reports there are of a scheduled step.
const OF_STEP: Drawer<Vec<Uid>> = Drawer::new("mpps-of-step");

impl Ris {
    /// N-CREATE: a scanner has begun. Without `uid` it gets one. Answers when it is durable.
    ///
    /// # Errors
    /// See [`RefusedReport`]; a refused report has changed nothing.
    pub fn begin_performed(
        &self,
        uid: Option<Uid>,
        attributes: Dataset,
    ) -> Result<PerformedStep, RefusedReport> {
        self.work(|work| work.begin_performed(uid, attributes)).map(|(step, _)| step)
    }

    /// N-SET: it went on, or ended. Answers when it is durable.
    ///
    /// # Errors
    /// See [`RefusedReport`]; a refused report has changed nothing.
    pub fn set_performed(
        &self,
        uid: &Uid,
        changes: &Dataset,
    ) -> Result<PerformedStep, RefusedReport> {
        self.work(|work| work.set_performed(uid, changes)).map(|(step, _)| step)
    }

    /// # Errors
    /// The desk cannot be read.
    pub fn performed(&self, uid: &Uid) -> Result<Option<PerformedStep>, StoreError> {
        get(&*self.desk, uid)
    }

    /// What was reported of a scheduled step, oldest first.
    ///
    /// # Errors
    /// The desk cannot be read.
    pub fn performed_of(&self, order: &Order, step: &str) -> Result<Vec<Uid>, StoreError> {
        let key = key(&order.accession, &order.key(), step);
        Ok(OF_STEP.get(&*self.desk, &key)?.unwrap_or_default())
    }
}

impl Work<'_> {
    fn begin_performed(
        &self,
        uid: Option<Uid>,
        mut attributes: Dataset,
    ) -> Result<PerformedStep, RefusedReport> {
        let uid = match uid {
            Some(uid) if !uid.is_valid() => return Err(RefusedReport::Uid(uid)),
            Some(uid) => uid,
            None => {
                let number = self.papers().next_number("mpps")?.to_string();
                Uid::from_parts(&["mpps", &self.ris().settings.site, &number])
            }
        };
        if PERFORMED.get(self.papers(), uid.as_str())?.is_some() {
            return Err(RefusedReport::Duplicate(uid));
        }
        table::creates(&attributes)?;
        let status = attributes.str(tags::PERFORMED_PROCEDURE_STEP_STATUS);
        if PerformedStatus::parse(status) != Some(PerformedStatus::InProgress) {
            return Err(RefusedReport::status(status, "IN PROGRESS"));
        }
        declare_charset(&mut attributes);
        let mut performed = PerformedStep {
            uid,
            status: PerformedStatus::InProgress,
            attributes,
            steps: Vec::new(),
        };
        self.tell_performed(&performed, "has begun");
        for item in performed.attributes.items(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE) {
            let Some((record, at)) = self.scheduled(&performed, item)? else {
                self.tell_unscheduled(&performed, item);
                continue;
            };
            let scheduled = ScheduledAs {
                accession: record.order.accession.clone(),
                issuer: record.order.key().into_owned(),
                step: record.order.steps[at].id.clone(),
            };
            if !performed.steps.contains(&scheduled) {
                self.link(&scheduled, &performed.uid)?;
                self.advance(&performed, &record, at, StepEvent::Start)?;
                performed.steps.push(scheduled);
            }
        }
        self.keep_performed(&performed)?;
        Ok(performed)
    }

    fn set_performed(&self, uid: &Uid, changes: &Dataset) -> Result<PerformedStep, RefusedReport> {
        let Some(mut performed) = get(self.papers(), uid)? else {
            return Err(RefusedReport::Unknown(uid.clone()));
        };
        let asked = match changes.text(tags::PERFORMED_PROCEDURE_STEP_STATUS) {
            None => Some(performed.status),
            Some(text) => PerformedStatus::parse(text),
        };
        // that it has ended goes before whatever else is wrong with it
        let event = asked.map_or(PerformedEvent::Update, PerformedEvent::towards);
        let Some(next) = perform(performed.status, event) else {
            return Err(RefusedReport::Ended(uid.clone(), performed.status));
        };
        if asked.is_none() {
            let told = changes.str(tags::PERFORMED_PROCEDURE_STEP_STATUS);
            return Err(RefusedReport::status(told, "IN PROGRESS, COMPLETED, DISCONTINUED"));
        }
        table::sets(&performed.attributes, changes)?;
        for element in changes.iter().filter(|element| !element.tag.is_group_length()) {
            performed.attributes.put(element.clone());
        }
        performed.status = next;
        if next.is_final() {
            table::ends(&performed.attributes)?;
        }
        declare_charset(&mut performed.attributes);
        self.keep_performed(&performed)?;
        if next.is_final() {
            self.expect_listed(&performed)?;
        }
        let (text, event) = match next {
            PerformedStatus::InProgress => ("goes on".to_owned(), None),
            PerformedStatus::Completed => {
                let listed = performed.listed().len();
                (format!("is COMPLETED with {listed} objects"), Some(StepEvent::Complete))
            }
            PerformedStatus::Discontinued => {
                (format!("is DISCONTINUED: {}", performed.reason()), Some(StepEvent::Discontinue))
            }
        };
        self.tell_performed(&performed, &text);
        let Some(event) = event else { return Ok(performed) };
        for scheduled in &performed.steps {
            let filter = OrderFilter {
                accession: Some(scheduled.accession.clone()),
                ..OrderFilter::default()
            };
            let found = self.papers().orders(&filter)?;
            let record = found.iter().find(|one| one.order.key() == scheduled.issuer);
            let at = record.and_then(|one| step_named(&one.order, &scheduled.step));
            if let (Some(record), Some(at)) = (record, at) {
                self.advance(&performed, record, at, event)?;
            }
        }
        Ok(performed)
    }

    /// The step that an item of the scheduled step attributes names: by study and step, then by
    /// accession number and step of the same patient.
    fn scheduled(
        &self,
        performed: &PerformedStep,
        item: &Dataset,
    ) -> Result<Option<(OrderRecord, usize)>, StoreError> {
        let id = item.str(tags::SCHEDULED_PROCEDURE_STEP_ID);
        let told = |tag| Some(item.str(tag).to_owned()).filter(|text| !text.is_empty());
        let filters = [
            OrderFilter { study_uid: told(tags::STUDY_INSTANCE_UID), ..OrderFilter::default() },
            OrderFilter { accession: told(tags::ACCESSION_NUMBER), ..OrderFilter::default() },
        ];
        for filter in filters {
            if filter == OrderFilter::default() {
                continue;
            }
            let mut records = self.papers().orders(&filter)?;
            // orders of one study, and procedures of one order, may count their steps alike
            let accession = item.str(tags::ACCESSION_NUMBER);
            let procedure = item.str(tags::REQUESTED_PROCEDURE_ID);
            records.sort_by_key(|record| {
                let order = &record.order;
                (order.accession != accession, order.procedure.id != procedure, order.further)
            });
            let by_study = filter.study_uid.is_some();
            for record in records {
                if !by_study && !self.same_patient(performed, &record.order)? {
                    continue;
                }
                if let Some(at) = step_named(&record.order, id) {
                    return Ok(Some((record, at)));
                }
            }
        }
        Ok(None)
    }

    fn same_patient(&self, performed: &PerformedStep, order: &Order) -> Result<bool, StoreError> {
        let set = &performed.attributes;
        let issuer = set.str(tags::ISSUER_OF_PATIENT_ID);
        let told = Identifier::new(set.str(tags::PATIENT_ID), issuer);
        patients::same(self.papers(), &told, &order.patient.id)
    }

    /// Moves a step as the report says; what its table does not foresee leaves it where it is.
    fn advance(
        &self,
        performed: &PerformedStep,
        record: &OrderRecord,
        at: usize,
        event: StepEvent,
    ) -> Result<(), RefusedReport> {
        let mut order = record.order.clone();
        if !self.same_patient(performed, &order)? {
            let text = format!(
                "{} reports on order {} for patient '{}', which was ordered for patient '{}': \
                 correct one of the two",
                performed.station(),
                order.accession,
                performed.attributes.str(tags::PATIENT_ID),
                order.patient.id.id
            );
            self.warn(events::UNMATCHED, text, performed);
        }
        let current = &mut order.steps[at];
        match step(current.status, event) {
            Ok(next) => {
                current.status = next;
                // written also when nothing changes: the file follows whether there is a report
                self.keep(&order, Some(record))?;
            }
            Err(unexpected) => {
                let text = format!(
                    "order {}, step {}: {unexpected}; the report of {} is kept",
                    order.accession,
                    order.steps[at].id,
                    performed.station()
                );
                self.warn(events::PERFORMED, text, performed);
            }
        }
        Ok(())
    }

    fn link(&self, scheduled: &ScheduledAs, uid: &Uid) -> Result<(), StoreError> {
        let key = key(&scheduled.accession, &scheduled.issuer, &scheduled.step);
        let mut those = OF_STEP.get(self.papers(), &key)?.unwrap_or_default();
        those.push(uid.clone());
        OF_STEP.put(self.papers(), &key, &those, self.now())
    }

    fn keep_performed(&self, performed: &PerformedStep) -> Result<(), StoreError> {
        let bytes = pacslab_dicom::encode(&performed.attributes, &TransferSyntax::ExplicitLe);
        let kept = Kept {
            status: performed.status,
            attributes: BASE64.encode(bytes),
            steps: performed.steps.clone(),
        };
        PERFORMED.put(self.papers(), performed.uid.as_str(), &kept, self.now())
    }

    fn tell_performed(&self, performed: &PerformedStep, what: &str) {
        let set = &performed.attributes;
        let item = set.items(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE).first();
        let accession = item.map_or("", |item| item.str(tags::ACCESSION_NUMBER));
        let of = match accession {
            "" => format!("for patient '{}'", set.str(tags::PATIENT_ID)),
            accession => format!("of order {accession}"),
        };
        let id = set.str(tags::PERFORMED_PROCEDURE_STEP_ID);
        let text = format!("performed step {id} {of} on {} {what}", performed.station());
        let event = Event::new(self.now(), events::PERFORMED, text).outcome(Outcome::Ok);
        self.tell(event.ids(performed.ids()));
    }

    fn tell_unscheduled(&self, performed: &PerformedStep, item: &Dataset) {
        let text = format!(
            "no scheduled step fits what {} reports: study {}, accession number '{}', step '{}', \
             patient '{}'; the report is kept",
            performed.station(),
            item.str(tags::STUDY_INSTANCE_UID),
            item.str(tags::ACCESSION_NUMBER),
            item.str(tags::SCHEDULED_PROCEDURE_STEP_ID),
            performed.attributes.str(tags::PATIENT_ID)
        );
        self.warn(events::UNMATCHED, text, performed);
    }

    fn warn(&self, kind: &'static str, text: String, performed: &PerformedStep) {
        let event = Event::new(self.now(), kind, text).outcome(Outcome::Warning);
        self.tell(event.ids(performed.ids()));
    }
}

impl PerformedStep {
    /// (0040,0241), who performs it.
    pub fn station(&self) -> &str {
        self.attributes.str(tags::PERFORMED_STATION_AE_TITLE)
    }

    /// The objects that its series list.
    pub fn listed(&self) -> Vec<Uid> {
        let series = self.attributes.items(tags::PERFORMED_SERIES_SEQUENCE).iter();
        let lists = series.flat_map(|series| {
            let images = series.items(tags::REFERENCED_IMAGE_SEQUENCE);
            let others = series.items(tags::REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE);
            images.iter().chain(others)
        });
        lists.map(|one| Uid::new(one.str(tags::REFERENCED_SOP_INSTANCE_UID))).collect()
    }

    /// Why it was discontinued, CID 9301: `110513 Discontinued for unspecified reason`.
    pub fn reason(&self) -> String {
        let code = self.attributes.items(tags::DISCONTINUATION_REASON_CODE_SEQUENCE).first();
        code.map_or("no reason told".to_owned(), |code| {
            format!("{} {}", code.str(tags::CODE_VALUE), code.str(tags::CODE_MEANING))
        })
    }

    /// By which a timeline finds it.
    pub fn ids(&self) -> Identifiers {
        let items = self.attributes.items(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE);
        let first = |tag| items.first().map_or("", |item| item.str(tag)).to_owned();
        Identifiers {
            accession: first(tags::ACCESSION_NUMBER),
            patient_id: self.attributes.str(tags::PATIENT_ID).to_owned(),
            study_uid: first(tags::STUDY_INSTANCE_UID),
            sop_uid: self.uid.to_string(),
            ..Identifiers::default()
        }
    }
}

fn get(papers: &dyn Papers, uid: &Uid) -> Result<Option<PerformedStep>, StoreError> {
    let Some(kept) = PERFORMED.get(papers, uid.as_str())? else { return Ok(None) };
    let broken = |problem: String| StoreError::Other(format!("performed step {uid}: {problem}"));
    let bytes = BASE64.decode(&kept.attributes).map_err(|error| broken(error.to_string()))?;
    let attributes = pacslab_dicom::parse(&bytes, &TransferSyntax::ExplicitLe)
        .map_err(|error| broken(error.to_string()))?;
    let Kept { status, steps, .. } = kept;
    Ok(Some(PerformedStep { uid: uid.clone(), status, attributes, steps }))
}

/// Numbers hold no control characters, so that no two steps have the same key.
fn key(accession: &str, issuer: &str, step: &str) -> String {
    format!("{accession}\u{1f}{issuer}\u{1f}{step}")
}

/// The step with this id; without one the only step there is.
fn step_named(order: &Order, id: &str) -> Option<usize> {
    match (id, order.steps.len()) {
        ("", 1) => Some(0),
        ("", _) => None,
        _ => order.steps.iter().position(|step| step.id == id),
    }
}

/// N-CREATE and N-SET may come in different character sets: what is kept of both is in one.
fn declare_charset(set: &mut Dataset) {
    set.put_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, charset::UTF8);
}
