//! What the scanner knows before it scans: one scheduled procedure step. PS3.4 K.6.1.2.2.

use pacslab_dicom::Dataset;
use pacslab_model::order::Code;
use pacslab_model::{AeTitle, Moment, Seed, Tag, Uid, Vr, tags};

use crate::catalogue::{self, Exam};
use crate::person;
use crate::random::Random;

/// A worklist answer, or the data set of a `.wl` file. Kept as it came, because its values are
/// copied into the images exactly.
#[derive(Clone, PartialEq, Debug)]
pub struct WorklistItem {
    dataset: Dataset,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadItem {
    #[error(
        "the worklist item has {0} scheduled procedure steps (0040,0100); an answer has exactly one"
    )]
    Steps(usize),
    #[error("the worklist item has no {name} {tag}, which images need")]
    Missing { tag: Tag, name: &'static str },
    #[error("{name} '{value}' of the worklist item is longer than {max} characters")]
    Long { name: &'static str, value: String, max: usize },
    #[error("'{0}' is no valid Study Instance UID")]
    StudyUid(String),
}

impl WorklistItem {
    /// # Errors
    /// The item lacks what identifies a patient and a step, or holds values that no image can.
    pub fn new(dataset: Dataset) -> Result<Self, BadItem> {
        let steps = dataset.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).len();
        if steps != 1 {
            return Err(BadItem::Steps(steps));
        }
        let item = Self { dataset };
        for (tag, name, value) in [
            (tags::PATIENT_ID, "Patient ID", item.patient_id()),
            (tags::MODALITY, "Modality", item.modality()),
        ] {
            if value.is_empty() {
                return Err(BadItem::Missing { tag, name });
            }
        }
        for (name, value, max) in [
            ("Patient ID", item.patient_id(), 64),
            ("Accession Number", item.accession(), 16),
            ("Requested Procedure ID", item.procedure_id(), 16),
            ("Scheduled Procedure Step ID", item.step_id(), 16),
        ] {
            if value.chars().count() > max {
                return Err(BadItem::Long { name, value: value.to_owned(), max });
            }
        }
        match item.dataset.str(tags::STUDY_INSTANCE_UID) {
            uid if uid.is_empty() || Uid::new(uid).is_valid() => Ok(item),
            bad => Err(BadItem::StudyUid(bad.to_owned())),
        }
    }

    /// An exam without an order: patient, accession and identifiers follow from the seed.
    pub fn for_exam(exam: &Exam, seed: Seed, at: Moment, station: &AeTitle) -> Self {
        let mut random = Random::new(seed, &["order", &exam.code]);
        let mut number = |prefix: &str, digits: u32| {
            let number = random.word() % 10u64.pow(digits);
            format!("{prefix}{number:0width$}", width = digits as usize)
        };
        let (year, ..) = at.date().ymd();
        let accession = number(&format!("A{:02}", year % 100), 8);
        let (procedure_id, step_id) = (number("RP", 8), number("SP", 8));
        let sex = Some("F").filter(|_| matches!(exam.modality.as_str(), "MG"));
        let patient = person::patient(seed, at, sex);
        let code = |code: &Code| {
            Dataset::new()
                .with_str(tags::CODE_VALUE, Vr::SH, code.value.as_str())
                .with_str(tags::CODING_SCHEME_DESIGNATOR, Vr::SH, code.scheme.as_str())
                .with_str(tags::CODE_MEANING, Vr::LO, code.meaning.as_str())
        };
        let procedure = code(&exam.procedure());
        let step = Dataset::new()
            .with_str(tags::MODALITY, Vr::CS, exam.modality.as_str())
            .with_str(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, station.as_str())
            .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, at.da())
            .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM, at.tm())
            .with_str(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, Vr::LO, exam.name.as_str())
            .with_items(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, vec![procedure.clone()])
            .with_str(tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH, step_id);
        let study = Uid::from_parts(&["exam", &seed.0.to_string(), &exam.code, &at.rfc3339()]);
        let dataset = Dataset::new()
            .with_str(tags::ACCESSION_NUMBER, Vr::SH, accession)
            .with_str(
                tags::REFERRING_PHYSICIAN_NAME,
                Vr::PN,
                person::physician(seed).as_str().to_owned(),
            )
            .with_str(tags::PATIENT_NAME, Vr::PN, patient.name.as_str().to_owned())
            .with_str(tags::PATIENT_ID, Vr::LO, patient.id.id)
            .with_str(tags::ISSUER_OF_PATIENT_ID, Vr::LO, patient.id.issuer)
            .with_str(tags::PATIENT_BIRTH_DATE, Vr::DA, patient.birth_date)
            .with_str(tags::PATIENT_SEX, Vr::CS, patient.sex)
            .with_str(tags::PATIENT_SIZE, Vr::DS, patient.size)
            .with_str(tags::PATIENT_WEIGHT, Vr::DS, patient.weight)
            .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study.as_str().to_owned())
            .with_str(tags::REQUESTED_PROCEDURE_DESCRIPTION, Vr::LO, exam.name.as_str())
            .with_items(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE, vec![procedure])
            .with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step])
            .with_str(tags::REQUESTED_PROCEDURE_ID, Vr::SH, procedure_id);
        Self { dataset }
    }

    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The item of the scheduled procedure step sequence.
    pub fn step(&self) -> &Dataset {
        // `new` has made sure that there is one
        self.dataset.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).first().unwrap_or(&self.dataset)
    }

    pub fn patient_id(&self) -> &str {
        self.dataset.str(tags::PATIENT_ID)
    }

    pub fn accession(&self) -> &str {
        self.dataset.str(tags::ACCESSION_NUMBER)
    }

    pub fn procedure_id(&self) -> &str {
        self.dataset.str(tags::REQUESTED_PROCEDURE_ID)
    }

    pub fn step_id(&self) -> &str {
        self.step().str(tags::SCHEDULED_PROCEDURE_STEP_ID)
    }

    pub fn modality(&self) -> &str {
        self.step().str(tags::MODALITY)
    }

    /// Date and time of the step, which sort as text.
    pub fn scheduled(&self) -> (String, String) {
        let step = self.step();
        (
            step.str(tags::SCHEDULED_PROCEDURE_STEP_START_DATE).to_owned(),
            step.str(tags::SCHEDULED_PROCEDURE_STEP_START_TIME).to_owned(),
        )
    }

    /// The study that the order has planned, if it has.
    pub fn study_uid(&self) -> Option<Uid> {
        Some(Uid::new(self.dataset.str(tags::STUDY_INSTANCE_UID))).filter(|uid| !uid.is_empty())
    }

    /// What was ordered, in words: the procedure's description, else its code's meaning, else
    /// the step's description.
    pub fn procedure_description(&self) -> &str {
        let codes = self.dataset.items(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE);
        [
            self.dataset.str(tags::REQUESTED_PROCEDURE_DESCRIPTION),
            codes.first().map_or("", |code| code.str(tags::CODE_MEANING)),
            self.step_description(),
        ]
        .into_iter()
        .find(|text| !text.is_empty())
        .unwrap_or("")
    }

    /// What is to be done, in words: the step's description or its protocol's meaning.
    pub fn step_description(&self) -> &str {
        let step = self.step();
        match step.str(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION) {
            "" => step
                .items(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE)
                .first()
                .map_or("", |code| code.str(tags::CODE_MEANING)),
            text => text,
        }
    }

    /// The exam of the catalogue that is meant, by code or by name.
    pub fn exam(&self) -> Option<&'static Exam> {
        let codes = self
            .step()
            .items(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE)
            .iter()
            .chain(self.dataset.items(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE));
        let by_code = codes.filter_map(|code| catalogue::exam(code.str(tags::CODE_VALUE)));
        let texts = [self.procedure_description(), self.step_description()];
        let by_name = catalogue::exams()
            .iter()
            .filter(|exam| texts.iter().any(|text| exam.name.eq_ignore_ascii_case(text)));
        // codes of other schemes may look like ours: the modality has to agree
        by_code.chain(by_name).find(|exam| exam.modality == self.modality())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at() -> Moment {
        Moment::parse("2026-01-05T08:00", 0).unwrap()
    }

    #[test]
    fn exams_make_items_that_name_them() {
        let station = AeTitle::new("PYMOD1").unwrap();
        for exam in catalogue::exams() {
            let item = WorklistItem::for_exam(exam, Seed(7), at(), &station);
            assert_eq!(WorklistItem::new(item.dataset().clone()).unwrap(), item);
            assert_eq!(item.exam(), Some(exam));
            assert_eq!(item.procedure_description(), exam.name);
        }
    }

    #[test]
    fn items_that_no_image_can_hold_are_refused() {
        let station = AeTitle::new("PYMOD1").unwrap();
        let exam = catalogue::exam("CTCHW").unwrap();
        let good = WorklistItem::for_exam(exam, Seed(7), at(), &station).dataset().clone();
        let with = |tag, vr, text: &str| {
            WorklistItem::new(good.clone().with_str(tag, vr, text)).unwrap_err().to_string()
        };
        assert!(
            with(tags::ACCESSION_NUMBER, Vr::SH, "12345678901234567").contains("longer than 16")
        );
        assert!(with(tags::PATIENT_ID, Vr::LO, "").contains("Patient ID (0010,0020)"));
        assert!(with(tags::STUDY_INSTANCE_UID, Vr::UI, "1.02.x").contains("1.02.x"));
        let mut none = good;
        none.remove(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE);
        assert_eq!(WorklistItem::new(none), Err(BadItem::Steps(0)));
    }
}
