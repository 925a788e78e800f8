//! What an ended step lists, compared with what has come.

use std::sync::Mutex;

use pacslab_dicom::Dataset;
use pacslab_model::{Tag, Uid, Vr, tags};
use pacslab_ris::{Images, PerformedStatus, RisSettings, events};
use pacslab_store::{Arrival, StoreError};

use super::support::*;

/// An archive that lacks these.
struct Lacks(Mutex<Vec<Uid>>);

impl Images for Lacks {
    fn arrivals_after(&self, _: u64, _: usize) -> Result<Vec<Arrival>, StoreError> {
        Ok(Vec::new())
    }

    fn missing(&self, asked: &[Uid]) -> Result<Vec<Uid>, StoreError> {
        let lacking = self.0.lock().unwrap();
        Ok(asked.iter().filter(|uid| lacking.contains(uid)).cloned().collect())
    }
}

fn set(values: &[(Tag, &str)]) -> Dataset {
    let vr = |tag| pacslab_dicom::dict::vr(tag).unwrap();
    values.iter().fold(Dataset::new(), |set, (tag, value)| match vr(*tag) {
        Vr::SQ => set.with_items(*tag, Vec::new()),
        vr => set.with_str(*tag, vr, *value),
    })
}

fn begun() -> Dataset {
    let scheduled = set(&[
        (tags::STUDY_INSTANCE_UID, "1.2.3"),
        (tags::REFERENCED_STUDY_SEQUENCE, ""),
        (tags::ACCESSION_NUMBER, ""),
        (tags::REQUESTED_PROCEDURE_ID, ""),
        (tags::REQUESTED_PROCEDURE_DESCRIPTION, ""),
        (tags::SCHEDULED_PROCEDURE_STEP_ID, ""),
        (tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, ""),
        (tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE, ""),
    ]);
    set(&[
        (tags::PATIENT_NAME, ""),
        (tags::PATIENT_ID, "P1"),
        (tags::PATIENT_BIRTH_DATE, ""),
        (tags::PATIENT_SEX, ""),
        (tags::REFERENCED_PATIENT_SEQUENCE, ""),
        (tags::PERFORMED_PROCEDURE_STEP_ID, "PPS1"),
        (tags::PERFORMED_STATION_AE_TITLE, "CT1"),
        (tags::PERFORMED_STATION_NAME, ""),
        (tags::PERFORMED_LOCATION, ""),
        (tags::PERFORMED_PROCEDURE_STEP_START_DATE, "20260105"),
        (tags::PERFORMED_PROCEDURE_STEP_START_TIME, "080000"),
        (tags::PERFORMED_PROCEDURE_STEP_STATUS, "IN PROGRESS"),
        (tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION, ""),
        (tags::PERFORMED_PROCEDURE_TYPE_DESCRIPTION, ""),
        (tags::PROCEDURE_CODE_SEQUENCE, ""),
        (tags::PERFORMED_PROCEDURE_STEP_END_DATE, ""),
        (tags::PERFORMED_PROCEDURE_STEP_END_TIME, ""),
        (tags::MODALITY, "CT"),
        (tags::STUDY_ID, ""),
        (tags::PERFORMED_PROTOCOL_CODE_SEQUENCE, ""),
        (tags::PERFORMED_SERIES_SEQUENCE, ""),
    ])
    .with_items(tags::SCHEDULED_STEP_ATTRIBUTES_SEQUENCE, vec![scheduled])
}

fn ended(images: &[&str]) -> Dataset {
    let listed = images.iter().map(|uid| {
        set(&[(tags::REFERENCED_SOP_CLASS_UID, "1.2"), (tags::REFERENCED_SOP_INSTANCE_UID, uid)])
    });
    let series = set(&[
        (tags::PERFORMING_PHYSICIAN_NAME, ""),
        (tags::OPERATORS_NAME, ""),
        (tags::PROTOCOL_NAME, "CHEST"),
        (tags::SERIES_INSTANCE_UID, "1.2.3.4"),
        (tags::SERIES_DESCRIPTION, ""),
        (tags::RETRIEVE_AE_TITLE, ""),
        (tags::REFERENCED_NON_IMAGE_COMPOSITE_SOP_INSTANCE_SEQUENCE, ""),
    ])
    .with_items(tags::REFERENCED_IMAGE_SEQUENCE, listed.collect());
    set(&[
        (tags::PERFORMED_PROCEDURE_STEP_STATUS, "COMPLETED"),
        (tags::PERFORMED_PROCEDURE_STEP_END_DATE, "20260105"),
        (tags::PERFORMED_PROCEDURE_STEP_END_TIME, "081000"),
    ])
    .with_items(tags::PERFORMED_SERIES_SEQUENCE, vec![series])
}

#[test]
fn objects_that_are_listed_and_do_not_come_are_told_once() {
    let mut lab = Lab::with(RisSettings { listed_within: 0, ..RisSettings::default() });
    let step = lab.ris.begin_performed(None, begun()).unwrap();
    let archive = Lacks(Mutex::new(vec![Uid::new("1.5"), Uid::new("1.6")]));
    assert!(!lab.ris.compare_listed(&archive).unwrap(), "nothing is listed yet");
    let step = lab.ris.set_performed(&step.uid, &ended(&["1.4", "1.5", "1.6"])).unwrap();
    assert_eq!(step.status, PerformedStatus::Completed);

    // one more has come: the next may come as well, also after a restart
    archive.0.lock().unwrap().pop();
    assert!(lab.ris.compare_listed(&archive).unwrap());
    lab.reopen();
    let _ = lab.events.take();
    assert!(!lab.ris.compare_listed(&archive).unwrap());
    let told = event(&lab.events, events::MISSING);
    for word in ["CT1 reported 3 objects", "1 of them", "1.5"] {
        assert!(told.message.contains(word), "{}", told.message);
    }
    assert!(!lab.ris.compare_listed(&archive).unwrap());
    assert!(lab.events.take().iter().all(|event| event.kind != events::MISSING), "told again");
}

#[test]
fn what_has_come_is_not_missed() {
    let lab = Lab::new();
    let step = lab.ris.begin_performed(None, begun()).unwrap();
    lab.ris.set_performed(&step.uid, &ended(&["1.4"])).unwrap();
    assert!(lab.ris.compare_listed(&Lacks(Mutex::new(vec![Uid::new("1.4")]))).unwrap());
    let _ = lab.events.take();
    assert!(!lab.ris.compare_listed(&Lacks(Mutex::default())).unwrap());
    assert!(lab.events.take().is_empty());
}
