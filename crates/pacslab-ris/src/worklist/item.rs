//! Orders as worklist data sets and back. PS3.4 K.6.1.2.2 (table K.6-1), PS3.3 C.4.10 to C.4.12.

use std::sync::Arc;

use pacslab_dicom::{Dataset, Element, Value};
use pacslab_model::matching::Attributes;
use pacslab_model::order::{Code, Identifier, Order, ScheduledStep, StepStatus};
use pacslab_model::time::{Date, DateTimeRange, TimeOfDay, TimeRange};
use pacslab_model::{Tag, Vr, tags};
use serde::Serialize;

const LOCAL_NAMESPACE: Tag = Tag::new(0x0040, 0x0031);
const UNIVERSAL_ENTITY_ID: Tag = Tag::new(0x0040, 0x0032);
const UNIVERSAL_ENTITY_ID_TYPE: Tag = Tag::new(0x0040, 0x0033);
const TYPE_OF_PATIENT_ID: Tag = Tag::new(0x0010, 0x0022);
const ORDER_PLACER_IDENTIFIER_SEQUENCE: Tag = Tag::new(0x0040, 0x0026);
const ORDER_FILLER_IDENTIFIER_SEQUENCE: Tag = Tag::new(0x0040, 0x0027);
const ISSUER_OF_ADMISSION_ID_SEQUENCE: Tag = Tag::new(0x0038, 0x0014);

/// One scheduled procedure step of a `.wl` file, as it is matched and answered.
#[derive(Debug)]
pub struct Item {
    /// Name of the file in the worklist folder.
    pub file: Arc<str>,
    /// The item's data set; its scheduled procedure step sequence holds this one step.
    pub dataset: Dataset,
    /// The start on the axis of `DateTimeRange::at`; `i64::MAX` when the item tells none.
    pub(crate) start: i64,
    /// Its status is one that is not offered.
    pub(crate) hidden: bool,
    /// PatientName without regard to case.
    name: Box<str>,
}

impl Item {
    /// The items of a file: one for each scheduled procedure step. A data set without any is one
    /// item, so that people see it.
    pub(crate) fn of_file(file: &Arc<str>, mut dataset: Dataset) -> Vec<Self> {
        let steps = match dataset.items_mut(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE) {
            Some(steps) if steps.len() > 1 => std::mem::take(steps),
            _ => return vec![Self::new(file.clone(), dataset)],
        };
        steps
            .into_iter()
            .map(|step| {
                let one =
                    dataset.clone().with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step]);
                Self::new(file.clone(), one)
            })
            .collect()
    }

    fn new(file: Arc<str>, dataset: Dataset) -> Self {
        let name = dataset.str(tags::PATIENT_NAME).to_lowercase().into_boxed_str();
        let mut item = Self { file, dataset, start: i64::MAX, hidden: false, name };
        let date = Date::parse(item.step_str(tags::SCHEDULED_PROCEDURE_STEP_START_DATE));
        let time = TimeRange::parse(item.step_str(tags::SCHEDULED_PROCEDURE_STEP_START_TIME));
        let start = date
            .and_then(|day| DateTimeRange::at(day, time.map_or(TimeOfDay(0), TimeRange::first)));
        item.start = start.unwrap_or(i64::MAX);
        item
    }

    /// Whether the name holds all these folded texts.
    pub(crate) fn may_be_named(&self, pieces: &[String]) -> bool {
        pieces.iter().all(|piece| self.name.contains(piece.as_str()))
    }

    /// The scheduled procedure step.
    pub fn step(&self) -> Option<&Dataset> {
        self.dataset.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).first()
    }

    /// A text of the step, or "".
    pub fn step_str(&self, tag: Tag) -> &str {
        self.step().map_or("", |step| step.str(tag))
    }

    pub fn entry(&self) -> WorklistEntry {
        let root = |tag| self.dataset.str(tag).to_owned();
        let step = |tag| self.step_str(tag).to_owned();
        let described = step(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION);
        WorklistEntry {
            accession: root(tags::ACCESSION_NUMBER),
            patient_id: root(tags::PATIENT_ID),
            patient_name: root(tags::PATIENT_NAME),
            birth_date: root(tags::PATIENT_BIRTH_DATE),
            sex: root(tags::PATIENT_SEX),
            station: step(tags::SCHEDULED_STATION_AE_TITLE),
            modality: step(tags::MODALITY),
            start_date: step(tags::SCHEDULED_PROCEDURE_STEP_START_DATE),
            start_time: step(tags::SCHEDULED_PROCEDURE_STEP_START_TIME),
            step_id: step(tags::SCHEDULED_PROCEDURE_STEP_ID),
            status: step(tags::SCHEDULED_PROCEDURE_STEP_STATUS),
            description: if described.is_empty() {
                root(tags::REQUESTED_PROCEDURE_DESCRIPTION)
            } else {
                described
            },
            requested_procedure: root(tags::REQUESTED_PROCEDURE_ID),
            study_uid: root(tags::STUDY_INSTANCE_UID),
            file: self.file.to_string(),
        }
    }
}

impl Attributes for Item {
    fn text(&self, tag: Tag) -> Option<std::borrow::Cow<'_, str>> {
        Attributes::text(&self.dataset, tag)
    }

    fn items(&self, tag: Tag) -> Option<Vec<&dyn Attributes>> {
        Attributes::items(&self.dataset, tag)
    }
}

/// What a list of the worklist shows of an item. Texts as they are in the data set, "" if absent.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct WorklistEntry {
    pub accession: String,
    pub patient_id: String,
    pub patient_name: String,
    pub birth_date: String,
    pub sex: String,
    pub station: String,
    pub modality: String,
    pub start_date: String,
    pub start_time: String,
    pub step_id: String,
    pub status: String,
    pub description: String,
    pub requested_procedure: String,
    pub study_uid: String,
    /// Name of the file in the worklist folder.
    pub file: String,
}

/// The worklist data set of one step: type 1 attributes valued, type 2 present.
///
/// `status` is what the item says about the step, which need not be all that the lab knows.
pub fn dataset(order: &Order, step: &ScheduledStep, status: StepStatus) -> Dataset {
    let Order { patient, visit, procedure, .. } = order;
    let mut set = Dataset::new();
    text(&mut set, tags::INSTITUTION_NAME, Vr::LO, &procedure.institution);
    text(&mut set, tags::INSTITUTIONAL_DEPARTMENT_NAME, Vr::LO, &procedure.department);
    let mut put = |tag, vr, value: &str| set.put_str(tag, vr, value);
    put(tags::ACCESSION_NUMBER, Vr::SH, &order.accession);
    put(tags::REFERRING_PHYSICIAN_NAME, Vr::PN, visit.referring_physician.as_str());
    put(tags::PATIENT_NAME, Vr::PN, patient.name.as_str());
    put(tags::PATIENT_ID, Vr::LO, &patient.id.id);
    put(tags::PATIENT_BIRTH_DATE, Vr::DA, &patient.birth_date);
    put(tags::PATIENT_SEX, Vr::CS, &patient.sex);
    put(tags::PATIENT_WEIGHT, Vr::DS, &patient.weight);
    put(tags::MEDICAL_ALERTS, Vr::LO, &patient.medical_alerts);
    put(tags::ALLERGIES, Vr::LO, &patient.allergies);
    put(tags::STUDY_INSTANCE_UID, Vr::UI, procedure.study_uid.as_str());
    put(tags::REQUESTING_PHYSICIAN, Vr::PN, procedure.requesting_physician.as_str());
    put(tags::REQUESTED_PROCEDURE_DESCRIPTION, Vr::LO, described(order));
    put(tags::ADMISSION_ID, Vr::LO, &visit.admission.id);
    put(tags::SPECIAL_NEEDS, Vr::LO, "");
    put(tags::CURRENT_PATIENT_LOCATION, Vr::LO, &visit.location);
    put(tags::PATIENT_STATE, Vr::LO, &patient.state);
    put(tags::REQUESTED_PROCEDURE_ID, Vr::SH, &procedure.id);
    put(tags::REQUESTED_PROCEDURE_PRIORITY, Vr::SH, procedure.priority.as_str());
    put(tags::PATIENT_TRANSPORT_ARRANGEMENTS, Vr::LO, &procedure.transport);
    put(tags::CONFIDENTIALITY_CONSTRAINT_ON_PATIENT_DATA_DESCRIPTION, Vr::LO, "");
    set.put_items(tags::REFERENCED_STUDY_SEQUENCE, Vec::new());
    set.put_items(tags::REFERENCED_PATIENT_SEQUENCE, Vec::new());
    match patient.pregnancy {
        Some(status) => set.put_u16(tags::PREGNANCY_STATUS, status),
        None => set.put_bytes(tags::PREGNANCY_STATUS, Vr::US, Vec::new()),
    }

    // optional attributes, type 3: left out when there is nothing to say
    text(&mut set, tags::ISSUER_OF_PATIENT_ID, Vr::LO, &patient.id.issuer);
    text(&mut set, tags::PATIENT_SIZE, Vr::DS, &patient.size);
    text(&mut set, tags::PATIENT_ADDRESS, Vr::LO, &patient.address);
    text(&mut set, tags::PATIENT_MOTHER_BIRTH_NAME, Vr::PN, patient.mother_birth_name.as_str());
    text(&mut set, tags::ROUTE_OF_ADMISSIONS, Vr::LO, &visit.class);
    text(&mut set, tags::REASON_FOR_THE_REQUESTED_PROCEDURE, Vr::LO, &procedure.reason);
    text(&mut set, tags::CONFIDENTIALITY_CODE, Vr::LO, &procedure.confidentiality);
    text(&mut set, tags::REQUESTED_PROCEDURE_COMMENTS, Vr::LT, &procedure.comments);
    text(&mut set, tags::PLACER_ORDER_NUMBER, Vr::LO, &order.placer.id);
    text(&mut set, tags::FILLER_ORDER_NUMBER, Vr::LO, &order.filler.id);
    code(&mut set, tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, &procedure.code);
    code(&mut set, tags::REASON_FOR_REQUESTED_PROCEDURE_CODE_SEQUENCE, &procedure.reason_code);
    authority(&mut set, tags::ISSUER_OF_ACCESSION_NUMBER_SEQUENCE, &order.accession_issuer);
    authority(&mut set, ORDER_PLACER_IDENTIFIER_SEQUENCE, &order.placer);
    authority(&mut set, ORDER_FILLER_IDENTIFIER_SEQUENCE, &order.filler);
    authority(&mut set, ISSUER_OF_ADMISSION_ID_SEQUENCE, &visit.admission);
    if !patient.id.universal_id.is_empty() {
        let mut item = Dataset::new();
        universal(&mut item, &patient.id);
        set.put_items(tags::ISSUER_OF_PATIENT_ID_QUALIFIERS_SEQUENCE, vec![item]);
    }
    if !patient.other_ids.is_empty() {
        let others = patient.other_ids.iter().map(|other| {
            let mut item = Dataset::new()
                .with_str(tags::PATIENT_ID, Vr::LO, other.id.as_str())
                .with_str(TYPE_OF_PATIENT_ID, Vr::CS, "TEXT");
            text(&mut item, tags::ISSUER_OF_PATIENT_ID, Vr::LO, &other.issuer);
            item
        });
        set.put_items(tags::OTHER_PATIENT_IDS_SEQUENCE, others.collect());
    }
    set.put_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step_item(order, step, status)]);
    // ISO_IR 100 is what both worklist servers assume when nothing is declared
    let charset = if is_ascii(&set) { "ISO_IR 100" } else { pacslab_dicom::charset::UTF8 };
    set.put_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, charset);
    set
}

fn step_item(order: &Order, step: &ScheduledStep, status: StepStatus) -> Dataset {
    let description = [step.description.as_str(), step.protocol.meaning.as_str(), described(order)]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or(&step.modality);
    let mut item = Dataset::new()
        .with_str(tags::MODALITY, Vr::CS, step.modality.as_str())
        .with_str(tags::REQUESTED_CONTRAST_AGENT, Vr::LO, "")
        .with_str(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, step.station.as_str())
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, step.start_date.as_str())
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM, step.start_time.as_str())
        .with_str(
            tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME,
            Vr::PN,
            step.performing_physician.as_str(),
        )
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, Vr::LO, description)
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH, step.id.as_str())
        .with_str(tags::SCHEDULED_STATION_NAME, Vr::SH, step.station_name.as_str())
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_LOCATION, Vr::SH, step.location.as_str())
        .with_str(tags::PRE_MEDICATION, Vr::LO, "")
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_STATUS, Vr::CS, status.as_str());
    code(&mut item, tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, &step.protocol);
    item
}

/// The requested procedure in words: it must not be empty (type 1C, no code to stand for it).
fn described(order: &Order) -> &str {
    let procedure = &order.procedure;
    let first = order.steps.first();
    [
        procedure.description.as_str(),
        procedure.code.meaning.as_str(),
        procedure.code.value.as_str(),
        first.map_or("", |step| step.description.as_str()),
        first.map_or("", |step| step.modality.as_str()),
    ]
    .into_iter()
    .find(|text| !text.is_empty())
    .unwrap_or("")
}

fn text(set: &mut Dataset, tag: Tag, vr: Vr, value: &str) {
    if !value.is_empty() {
        set.put_str(tag, vr, value);
    }
}

/// Code Sequence Macro, PS3.3 8.8: value and meaning are type 1, the scheme as well.
fn code(set: &mut Dataset, tag: Tag, code: &Code) {
    if code.value.is_empty() {
        return;
    }
    let scheme = if code.scheme.is_empty() { "L" } else { &code.scheme };
    let meaning = if code.meaning.is_empty() { &code.value } else { &code.meaning };
    let item = Dataset::new()
        .with_str(tags::CODE_VALUE, Vr::SH, code.value.as_str())
        .with_str(tags::CODING_SCHEME_DESIGNATOR, Vr::SH, scheme)
        .with_str(tags::CODE_MEANING, Vr::LO, meaning.as_str());
    set.put_items(tag, vec![item]);
}

/// HL7v2 Hierarchic Designator Macro, PS3.3 10.17.
fn authority(set: &mut Dataset, tag: Tag, of: &Identifier) {
    if of.issuer.is_empty() && of.universal_id.is_empty() {
        return;
    }
    let mut item = Dataset::new();
    text(&mut item, LOCAL_NAMESPACE, Vr::UT, &of.issuer);
    universal(&mut item, of);
    set.put_items(tag, vec![item]);
}

fn universal(item: &mut Dataset, of: &Identifier) {
    if !of.universal_id.is_empty() {
        item.put_str(UNIVERSAL_ENTITY_ID, Vr::UT, of.universal_id.as_str());
        let kind = if of.universal_type.is_empty() { "ISO" } else { &of.universal_type };
        item.put_str(UNIVERSAL_ENTITY_ID_TYPE, Vr::CS, kind);
    }
}

pub(crate) fn is_ascii(set: &Dataset) -> bool {
    set.iter().all(|Element { value, .. }| match value {
        Value::Text(text) => text.is_ascii(),
        Value::Items(items) => items.iter().all(is_ascii),
        _ => true,
    })
}
