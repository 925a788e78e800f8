//! A report as a Basic Text SR. PS3.3 A.35.1 (the object), C.17 (its modules), PS3.16 TID 2000.

use pacslab_dicom::file::FileMeta;
use pacslab_dicom::{Dataset, TransferSyntax};
use pacslab_model::order::{Code, Identifier, Order};
use pacslab_model::{Moment, PersonName, Uid, Vr, tags};

use crate::acquire::Instance;
use crate::files::file_name;
use crate::iod::{Object, code};

/// Basic Text SR Storage.
pub const BASIC_TEXT_SR: &str = "1.2.840.10008.5.1.4.1.1.88.11";

/// What the object says, beside what the order tells.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reading {
    /// Each with the code of its heading, as HL7 tells it (LOINC).
    pub sections: Vec<(Code, String)>,
    pub reader: PersonName,
    /// The number that the reader is known by, or empty.
    pub reader_id: String,
    /// 1, 2, …: a correction is another object of the same series.
    pub version: u32,
    /// The version that it corrects; 0: none.
    pub corrects: u32,
    /// Nothing more is to come.
    pub complete: bool,
    /// The reader has put their name to it.
    pub verified: bool,
    /// DA and TM of the signature.
    pub date: String,
    pub time: String,
    /// What was looked at: series, SOP class, object.
    pub evidence: Vec<(Uid, Uid, Uid)>,
    /// The study as its images tell it; empty: from the order.
    pub study_date: String,
    pub study_time: String,
    pub study_id: String,
    pub study_description: String,
}

/// The UIDs of a report: always the same for one version of one order's report.
pub fn uid(order: &Order, version: u32) -> Uid {
    let study = order.procedure.study_uid.as_str();
    Uid::from_parts(&["report", study, &order.accession, &version.to_string()])
}

fn series_uid(order: &Order) -> Uid {
    let study = order.procedure.study_uid.as_str();
    Uid::from_parts(&["report series", study, &order.accession])
}

/// The object. `at` is when it is made.
pub fn basic_text(order: &Order, reading: &Reading, at: Moment) -> Instance {
    let sop_instance = uid(order, reading.version);
    let series = series_uid(order);
    let mut object = Object::default();
    object
        .set(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192")
        .set(tags::SOP_CLASS_UID, BASIC_TEXT_SR)
        .set(tags::SOP_INSTANCE_UID, sop_instance.as_str())
        .set(tags::INSTANCE_CREATION_DATE, at.da())
        .set(tags::INSTANCE_CREATION_TIME, at.tm())
        .set(tags::TIMEZONE_OFFSET_FROM_UTC, at.zone(""));
    patient_and_study(&mut object, order, reading);
    object
        .set(tags::MODALITY, "SR")
        .set(tags::SERIES_INSTANCE_UID, series.as_str())
        .set(tags::SERIES_NUMBER, "900")
        .set(tags::SERIES_DESCRIPTION, "Report")
        .items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, Vec::new())
        .set(tags::MANUFACTURER, "PACS Lab")
        .set(tags::MANUFACTURER_MODEL_NAME, "Simulated reporting")
        .set(tags::INSTITUTION_NAME, "PACS Lab");
    document(&mut object, order, reading);
    content(&mut object, reading);
    let meta = FileMeta {
        sop_class: Uid::new(BASIC_TEXT_SR),
        sop_instance,
        transfer_syntax: TransferSyntax::ExplicitLe,
        source_aet: None,
    };
    let name = file_name("SR", &order.patient.id.id, &order.accession, 900, reading.version);
    Instance { file_name: name, meta, dataset: object.0 }
}

/// C.7.1.1, C.7.2.1.
pub(crate) fn patient_and_study(object: &mut Object, order: &Order, reading: &Reading) {
    let (patient, procedure) = (&order.patient, &order.procedure);
    let step = order.steps.first();
    let or = |told: &str, else_: &str| {
        if told.is_empty() { else_.to_owned() } else { told.to_owned() }
    };
    let started = step.map_or(("", ""), |step| (step.start_date.as_str(), &step.start_time));
    object
        .set(tags::PATIENT_NAME, patient.name.as_str())
        .set(tags::PATIENT_ID, patient.id.id.as_str())
        .set_if(tags::ISSUER_OF_PATIENT_ID, &patient.id.issuer)
        .set(tags::PATIENT_BIRTH_DATE, patient.birth_date.as_str())
        .set(tags::PATIENT_SEX, patient.sex.as_str())
        .set(tags::STUDY_INSTANCE_UID, procedure.study_uid.as_str())
        .set(tags::STUDY_DATE, or(&reading.study_date, started.0))
        .set(tags::STUDY_TIME, or(&reading.study_time, started.1))
        .set(tags::STUDY_ID, or(&reading.study_id, &procedure.id))
        .set_if(tags::STUDY_DESCRIPTION, &or(&reading.study_description, &procedure.description))
        .set(tags::ACCESSION_NUMBER, order.accession.as_str())
        .set(tags::REFERRING_PHYSICIAN_NAME, order.visit.referring_physician.as_str());
}

/// C.17.2: what the document is about, how far it is, who stands for it.
fn document(object: &mut Object, order: &Order, reading: &Reading) {
    let procedure = &order.procedure;
    let coded = match procedure.code.value.is_empty() {
        true => Vec::new(),
        false => vec![concept(&procedure.code)],
    };
    let number = |id: &Identifier| id.id.chars().take(64).collect::<String>();
    let mut request = Object::default();
    request
        .set(tags::STUDY_INSTANCE_UID, procedure.study_uid.as_str())
        .items(tags::REFERENCED_STUDY_SEQUENCE, Vec::new())
        .set(tags::ACCESSION_NUMBER, order.accession.as_str())
        .set(tags::PLACER_ORDER_NUMBER, number(&order.placer))
        .set(tags::FILLER_ORDER_NUMBER, number(&order.filler))
        .set(tags::REQUESTED_PROCEDURE_ID, procedure.id.as_str())
        .set(tags::REQUESTED_PROCEDURE_DESCRIPTION, procedure.description.as_str())
        .items(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, coded.clone());
    let verified = reading.verified && !reading.reader.is_empty();
    object
        .set(tags::INSTANCE_NUMBER, reading.version.to_string())
        .set(tags::CONTENT_DATE, reading.date.as_str())
        .set(tags::CONTENT_TIME, reading.time.as_str())
        .set(tags::COMPLETION_FLAG, if reading.complete { "COMPLETE" } else { "PARTIAL" })
        .set(tags::VERIFICATION_FLAG, if verified { "VERIFIED" } else { "UNVERIFIED" })
        .items(tags::REFERENCED_REQUEST_SEQUENCE, vec![request.0])
        .items(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, coded);
    if verified {
        let known_by = match reading.reader_id.as_str() {
            "" => Vec::new(),
            id => {
                let id: String = id.chars().take(16).collect();
                let name: String = reading.reader.as_str().chars().take(64).collect();
                vec![code(&id, crate::CODING_SCHEME, &name)]
            }
        };
        let mut observer = Object::default();
        observer
            .set(tags::VERIFYING_OBSERVER_NAME, reading.reader.as_str())
            .set(tags::VERIFYING_ORGANIZATION, "PACS Lab")
            .set(tags::VERIFICATION_DATE_TIME, format!("{}{}", reading.date, reading.time))
            .items(tags::VERIFYING_OBSERVER_IDENTIFICATION_CODE_SEQUENCE, known_by);
        object.items(tags::VERIFYING_OBSERVER_SEQUENCE, vec![observer.0]);
    }
    if reading.corrects > 0 {
        let before = uid(order, reading.corrects);
        let before = (series_uid(order), Uid::new(BASIC_TEXT_SR), before);
        object.items(tags::PREDECESSOR_DOCUMENTS_SEQUENCE, vec![references(order, &[before])]);
    }
    if !reading.evidence.is_empty() {
        object.items(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            vec![references(order, &reading.evidence)],
        );
    }
}

/// C.17.2.1: objects of the study, by series.
fn references(order: &Order, seen: &[(Uid, Uid, Uid)]) -> Dataset {
    let mut series: Vec<(&Uid, Vec<Dataset>)> = Vec::new();
    for (of, class, instance) in seen {
        let reference = Dataset::new()
            .with_str(tags::REFERENCED_SOP_CLASS_UID, Vr::UI, class.as_str())
            .with_str(tags::REFERENCED_SOP_INSTANCE_UID, Vr::UI, instance.as_str());
        match series.iter_mut().find(|(known, _)| *known == of) {
            Some((_, there)) => there.push(reference),
            None => series.push((of, vec![reference])),
        }
    }
    let series = series.into_iter().map(|(uid, objects)| {
        Dataset::new()
            .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, uid.as_str())
            .with_items(tags::REFERENCED_SOP_SEQUENCE, objects)
    });
    Dataset::new()
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, order.procedure.study_uid.as_str())
        .with_items(tags::REFERENCED_SERIES_SEQUENCE, series.collect())
}

/// C.17.3: title, observer, and a section for each heading. TID 2000.
fn content(object: &mut Object, reading: &Reading) {
    let mut tree = Vec::new();
    if !reading.reader.is_empty() {
        let mut person = item("HAS OBS CONTEXT", "CODE", ("121005", "Observer Type"));
        person.items(tags::CONCEPT_CODE_SEQUENCE, vec![code("121006", "DCM", "Person")]);
        let mut name = item("HAS OBS CONTEXT", "PNAME", ("121008", "Person Observer Name"));
        name.set(tags::PERSON_NAME, reading.reader.as_str());
        tree.extend([person.0, name.0]);
    }
    for (heading, text) in &reading.sections {
        let (section, entry) = headings(heading);
        let mut said = item("CONTAINS", "TEXT", entry);
        said.set(tags::TEXT_VALUE, text.as_str());
        let mut container = item("CONTAINS", "CONTAINER", section);
        container
            .set(tags::CONTINUITY_OF_CONTENT, "SEPARATE")
            .items(tags::CONTENT_SEQUENCE, vec![said.0]);
        tree.push(container.0);
    }
    let template = Dataset::new().with_str(tags::MAPPING_RESOURCE, Vr::CS, "DCMR").with_str(
        tags::TEMPLATE_IDENTIFIER,
        Vr::CS,
        "2000",
    );
    object
        .set(tags::VALUE_TYPE, "CONTAINER")
        .items(
            tags::CONCEPT_NAME_CODE_SEQUENCE,
            vec![code("18748-4", "LN", "Diagnostic imaging study")],
        )
        .set(tags::CONTINUITY_OF_CONTENT, "SEPARATE")
        .items(tags::CONTENT_TEMPLATE_SEQUENCE, vec![template]);
    if !tree.is_empty() {
        object.items(tags::CONTENT_SEQUENCE, tree);
    }
}

type Concept = (&'static str, &'static str);

/// CID 7001 and what TID 2002 has in each section, by the LOINC code of the text.
fn headings(of: &Code) -> (Concept, Concept) {
    match of.value.as_str() {
        "11329-0" => (("121060", "History"), ("121060", "History")),
        "19005-8" => (("121072", "Impressions"), ("121073", "Impression")),
        "55107-7" => (("121076", "Conclusions"), ("121077", "Conclusion")),
        _ => (("121070", "Findings"), ("121071", "Finding")),
    }
}

fn item(relationship: &str, kind: &str, name: Concept) -> Object {
    let mut item = Object::default();
    item.set(tags::RELATIONSHIP_TYPE, relationship)
        .set(tags::VALUE_TYPE, kind)
        .items(tags::CONCEPT_NAME_CODE_SEQUENCE, vec![code(name.0, "DCM", name.1)]);
    item
}

fn concept(of: &Code) -> Dataset {
    let most = |text: &str, count| text.chars().take(count).collect::<String>();
    let scheme = if of.scheme.is_empty() { crate::CODING_SCHEME } else { &of.scheme };
    let meaning = if of.meaning.is_empty() { &of.value } else { &of.meaning };
    code(&most(&of.value, 16), &most(scheme, 16), &most(meaning, 64))
}
