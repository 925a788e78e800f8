//! What the scanner produces, looked at as a whole.

mod images;
mod network;
mod objects;

use pacslab_dicom::Dataset;
use pacslab_model::{AeTitle, Moment, Seed, Vr, tags};

use crate::{Acquisition, Options, WorklistItem, acquire};

fn at() -> Moment {
    Moment::parse("2026-01-05T08:00", 3600).unwrap()
}

fn options() -> Options {
    Options::new(Seed(7), at(), AeTitle::new("PYMOD1").unwrap())
}

fn code(value: &str, scheme: &str, meaning: &str) -> Dataset {
    crate::iod::code(value, scheme, meaning)
}

/// An answer as a worklist gives it.
fn answer() -> Dataset {
    let step = Dataset::new()
        .with_str(tags::MODALITY, Vr::CS, "CT")
        .with_str(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, "PYMOD1")
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, "20260105")
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM, "081000")
        .with_str(tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME, Vr::PN, "PERFORM^PAUL")
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, Vr::LO, "Chest, venous phase")
        .with_items(
            tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE,
            vec![code("CHESTV", "99LOCAL", "Chest, venous phase")],
        )
        .with_str(tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH, "SPS1001");
    Dataset::new()
        .with_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100")
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, "ACC1001")
        .with_str(tags::REFERRING_PHYSICIAN_NAME, Vr::PN, "Ärztin^Anna")
        .with_str(tags::PATIENT_NAME, Vr::PN, "DOE^JANE")
        .with_str(tags::PATIENT_ID, Vr::LO, "P12345")
        .with_str(tags::ISSUER_OF_PATIENT_ID, Vr::LO, "HOSPITAL")
        .with_str(tags::PATIENT_BIRTH_DATE, Vr::DA, "19800101")
        .with_str(tags::PATIENT_SEX, Vr::CS, "F")
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "1.2.826.0.1.3680043.8.498.1001")
        .with_str(tags::REQUESTED_PROCEDURE_DESCRIPTION, Vr::LO, "CT CHEST W CONTRAST")
        .with_items(
            tags::REQUESTED_PROCEDURE_CODE_SEQUENCE,
            vec![code("CTCHW", "99PACSLAB", "CT CHEST W CONTRAST")],
        )
        .with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step])
        .with_str(tags::ADMISSION_ID, Vr::LO, "V100")
        .with_str(tags::REQUESTED_PROCEDURE_ID, Vr::SH, "RP1001")
}

fn item() -> WorklistItem {
    WorklistItem::new(answer()).unwrap()
}

fn acquired() -> Acquisition {
    acquire(&item(), &options()).unwrap()
}
