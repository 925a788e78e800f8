//! Attributes: what is carried over, what has to be there, what makes objects unique.

use std::collections::HashSet;

use pacslab_dicom::{Dataset, Element, Value, file};
use pacslab_model::{AeTitle, Seed, Tag, Uid, Vr, tags};
use sha2::{Digest, Sha256};

use super::{acquired, answer, at, item, options};
use crate::{Error, WorklistItem, acquire, catalogue, possible};

fn first() -> Dataset {
    acquired().instances().next().unwrap().dataset.clone()
}

/// IHE RAD TF-2, Appendix A: the worklist's values in the images.
#[test]
fn values_of_the_order_reach_the_images_unchanged() {
    let (order, step) = (answer(), item().step().clone());
    let image = first();
    for tag in [
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::ISSUER_OF_PATIENT_ID,
        tags::PATIENT_BIRTH_DATE,
        tags::PATIENT_SEX,
        tags::STUDY_INSTANCE_UID,
        tags::ACCESSION_NUMBER,
        tags::REFERRING_PHYSICIAN_NAME,
        tags::ADMISSION_ID,
        tags::SPECIFIC_CHARACTER_SET,
    ] {
        assert_eq!(image.get(tag), order.get(tag), "{tag}");
    }
    for (tag, text) in [
        (tags::STUDY_ID, "RP1001"),
        (tags::STUDY_DESCRIPTION, "CT CHEST W CONTRAST"),
        (tags::STUDY_DATE, "20260105"),
        (tags::STUDY_TIME, "080000"),
        (tags::PERFORMED_PROCEDURE_STEP_DESCRIPTION, "Chest, venous phase"),
        (tags::PERFORMED_PROCEDURE_STEP_START_DATE, "20260105"),
        (tags::PERFORMED_PROCEDURE_STEP_START_TIME, "080000"),
        (tags::PERFORMING_PHYSICIAN_NAME, "PERFORM^PAUL"),
        (tags::PATIENT_AGE, "046Y"),
        (tags::MODALITY, "CT"),
        (tags::STATION_NAME, "PYMOD1"),
        (tags::TIMEZONE_OFFSET_FROM_UTC, "+0100"),
    ] {
        assert_eq!(image.str(tag), text, "{tag}");
    }
    let codes = |set: &Dataset, tag| set.items(tag).to_vec();
    assert_eq!(
        codes(&image, tags::PROCEDURE_CODE_SEQUENCE),
        codes(&order, tags::REQUESTED_PROCEDURE_CODE_SEQUENCE)
    );
    assert_eq!(
        codes(&image, tags::PERFORMED_PROTOCOL_CODE_SEQUENCE),
        codes(&step, tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE)
    );
    let [request] = image.items(tags::REQUEST_ATTRIBUTES_SEQUENCE) else { panic!() };
    for tag in [
        tags::REQUESTED_PROCEDURE_ID,
        tags::REQUESTED_PROCEDURE_DESCRIPTION,
        tags::REQUESTED_PROCEDURE_CODE_SEQUENCE,
        tags::ACCESSION_NUMBER,
        tags::STUDY_INSTANCE_UID,
    ] {
        assert_eq!(request.get(tag), order.get(tag), "{tag}");
    }
    for tag in [
        tags::SCHEDULED_PROCEDURE_STEP_ID,
        tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION,
        tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE,
    ] {
        assert_eq!(request.get(tag), step.get(tag), "{tag}");
    }
    let [scheme] = image.items(tags::CODING_SCHEME_IDENTIFICATION_SEQUENCE) else { panic!() };
    assert_eq!(scheme.str(tags::CODING_SCHEME_DESIGNATOR), "99PACSLAB");
}

/// Type 1 of the mandatory modules of the CT Image IOD (PS3.3 A.3-1) and of what we chose to say.
const TYPE_1: &[&str] = &[
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "FrameOfReferenceUID",
    "ImageType",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelData",
    "RescaleIntercept",
    "RescaleSlope",
    "PatientPosition",
    "WindowCenter",
    "WindowWidth",
    "Manufacturer",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "BodyPartExamined",
    "CTDIvol",
    "CTDIPhantomTypeCodeSequence",
    "PerformedProcedureStepID",
    "ConvolutionKernel",
];

/// Type 2: may be empty, has to be there.
const TYPE_2: &[&str] = &[
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
    "SeriesNumber",
    "Manufacturer",
    "PositionReferenceIndicator",
    "SliceThickness",
    "InstanceNumber",
    "KVP",
    "AcquisitionNumber",
];

#[test]
fn what_the_ct_image_iod_requires_is_there() {
    // the barest item that a worklist may answer
    let mut bare = answer();
    for tag in [
        tags::REFERRING_PHYSICIAN_NAME,
        tags::PATIENT_BIRTH_DATE,
        tags::PATIENT_SEX,
        tags::ACCESSION_NUMBER,
        tags::REQUESTED_PROCEDURE_ID,
    ] {
        bare.remove(tag);
    }
    for order in [answer(), bare] {
        let item = WorklistItem::new(order).unwrap();
        for instance in acquire(&item, &options()).unwrap().instances() {
            let tag = |keyword: &str| pacslab_dicom::dict::tag(keyword).expect(keyword);
            for keyword in TYPE_1 {
                let element = instance.dataset.get(tag(keyword));
                assert!(element.is_some_and(|e| !e.is_empty()), "{keyword} is type 1");
            }
            for keyword in TYPE_2 {
                assert!(instance.dataset.contains(tag(keyword)), "{keyword} is type 2");
            }
            assert!(!instance.dataset.contains(tags::LATERALITY), "the chest is unpaired");
            fits(&instance.dataset);
        }
    }
}

/// PS3.5 6.2: no value is longer than its VR allows; UIDs are valid.
fn fits(dataset: &Dataset) {
    for Element { tag, vr, value } in dataset {
        match value {
            Value::Items(items) => items.iter().for_each(fits),
            Value::Text(text) => {
                for part in text.split('\\') {
                    let longest = vr.max_chars().unwrap_or(usize::MAX);
                    assert!(part.chars().count() <= longest, "{tag} {vr} '{part}'");
                    assert!(*vr != Vr::UI || Uid::new(part).is_valid(), "{tag} '{part}'");
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_object_says_that_it_is_synthetic() {
    for instance in acquired().instances() {
        assert!(instance.dataset.str(tags::SERIES_DESCRIPTION).contains("SYNTHETIC"));
        assert_eq!(instance.dataset.str(tags::BURNED_IN_ANNOTATION), "YES");
        assert_eq!(instance.dataset.str(tags::SOFTWARE_VERSIONS), "generator 1");
    }
}

#[test]
fn studies_hold_together_and_repetitions_are_new_series() {
    let one = acquired();
    let mut again = options();
    again.run = 2;
    again.mpps = Some(Uid::new("1.2.3"));
    let two = acquire(&item(), &again).unwrap();
    assert_eq!(one.study_uid, two.study_uid);
    assert_ne!(one.series[0].uid, two.series[0].uid);
    assert_ne!(one.series[0].number, two.series[0].number);
    let uids: HashSet<&Uid> =
        one.instances().chain(two.instances()).map(|i| &i.meta.sop_instance).collect();
    assert_eq!(uids.len(), 32);
    let names: HashSet<&str> =
        one.instances().chain(two.instances()).map(|i| i.file_name.as_str()).collect();
    assert_eq!(names.len(), 32);
    assert!(names.contains("CT_P12345_ACC1001_1_0001.dcm"));

    let image = &two.series[0].instances[0].dataset;
    let [mpps] = image.items(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE) else { panic!() };
    assert_eq!(mpps.str(tags::REFERENCED_SOP_INSTANCE_UID), "1.2.3");
    assert_eq!(image.str(tags::PERFORMED_PROCEDURE_STEP_ID), two.performed_step_id);

    // everything above the series is the same in all objects
    let level = |set: &Dataset| -> Vec<Element> {
        let study = [tags::STUDY_ID, tags::STUDY_DESCRIPTION, tags::STUDY_TIME, tags::STUDY_DATE];
        let patient = |tag: Tag| tag.group() == 0x0010;
        set.iter().filter(|e| patient(e.tag) || study.contains(&e.tag)).cloned().collect()
    };
    let expected = level(image);
    assert!(one.instances().all(|i| level(&i.dataset) == expected));
}

#[test]
fn an_order_without_a_study_gets_one() {
    let mut order = answer();
    order.remove(tags::STUDY_INSTANCE_UID);
    let item = WorklistItem::new(order).unwrap();
    let study = acquire(&item, &options()).unwrap().study_uid;
    assert!(study.is_valid());
    assert_eq!(acquire(&item, &options()).unwrap().study_uid, study);
    let other = crate::Options { seed: Seed(8), ..options() };
    assert_ne!(acquire(&item, &other).unwrap().study_uid, study);
}

#[test]
fn files_read_back_as_they_were_made() {
    let folder = tempfile::tempdir().unwrap();
    let acquisition = acquired();
    let paths = acquisition.write(&folder.path().join("new")).unwrap();
    assert_eq!(paths.len(), 16);
    for (path, instance) in paths.iter().zip(acquisition.instances()) {
        let (meta, dataset) = file::read(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!((meta, dataset), (instance.meta.clone(), instance.dataset.clone()));
    }
    // a file where the folder should be
    let error = acquisition.write(&paths[0]).unwrap_err();
    assert!(error.to_string().contains("0001.dcm"), "{error}");
}

#[test]
fn the_exams_that_can_be_made_are_made_and_others_are_named() {
    let station = AeTitle::new("PYMOD1").unwrap();
    let can: Vec<&str> = possible().map(|exam| exam.code.as_str()).collect();
    assert!(
        can.contains(&"CTCHW")
            && can.contains(&"CTPE")
            && can.contains(&"CTHEADWO")
            && !can.contains(&"MRBRWO")
    );
    for exam in catalogue::exams() {
        let item = WorklistItem::for_exam(exam, Seed(3), at(), &station);
        match acquire(&item, &options()) {
            Ok(_) => assert!(can.contains(&exam.code.as_str()), "{}", exam.code),
            Err(error @ Error::NotModelled { .. }) => {
                let text = error.to_string();
                assert!(text.contains(&exam.name) && text.contains("CTCHW"), "{text}");
            }
        }
    }
}

#[test]
fn orders_of_other_catalogues_are_understood_by_their_words() {
    let made = |text: &str| {
        let mut order = answer().with_str(tags::REQUESTED_PROCEDURE_DESCRIPTION, Vr::LO, text);
        order.remove(tags::REQUESTED_PROCEDURE_CODE_SEQUENCE);
        let steps = order.items_mut(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).unwrap();
        steps[0].put_str(tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION, Vr::LO, "");
        steps[0].remove(tags::SCHEDULED_PROTOCOL_CODE_SEQUENCE);
        let acquisition = acquire(&WorklistItem::new(order).unwrap(), &options());
        let image = acquisition.ok()?.instances().next()?.dataset.clone();
        Some(image.contains(tags::CONTRAST_BOLUS_AGENT))
    };
    assert_eq!(made("Thorax with contrast"), Some(true));
    assert_eq!(made("CT CHEST WITHOUT CONTRAST"), Some(false));
    assert_eq!(made("Lung, low dose"), Some(false));
    assert_eq!(made("CT CHEST W CONTRAST"), Some(true));
    assert_eq!(made("Schädel, Brain"), Some(false));
    assert_eq!(made("Knee"), None);
}

/// Byte identity on every platform. A change of these numbers needs a raised generator version
/// and a line in CHANGELOG.md.
#[test]
fn one_seed_gives_the_same_bytes_everywhere() {
    let hash_of = |item: &WorklistItem| {
        let mut hash = Sha256::new();
        for instance in acquire(item, &options()).unwrap().instances() {
            hash.update(pacslab_dicom::encode(&instance.dataset, &instance.meta.transfer_syntax));
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let exam = |code: &str| {
        let exam = catalogue::exam(code).unwrap();
        WorklistItem::for_exam(exam, Seed(7), at(), &options().station)
    };
    let made: Vec<_> = [item(), exam("CTCHWO"), exam("CTHEADWO")].iter().map(hash_of).collect();
    assert_eq!(made, HASHES, "generator version {}", crate::GENERATOR_VERSION);
}

const HASHES: [&str; 3] = [
    "16a55c69563bf719d638df084fe061a63430ae79bc640d9087cad1c6883d682d",
    "e39c403bc62b560b82d883cdb6cb0cfaf33d36cbdc8b8104ca32188973b1bf3d",
    "42f88e768e91f4784d6d21b84a056dd90eda9011d99bd6e11c7cdfbae89c1eca",
];
