//! Orders, the desk and the folder.

use std::fs;

use pacslab_model::matching::Rules;
use pacslab_model::order::{OrderControl, StepStatus};
use pacslab_model::{AeTitle, Moment, Outcome, Uid, tags};
use pacslab_ris::{Done, Images, RefusedOrder, RisSettings, events};
use pacslab_store::{Arrival, Expect, StoreError};

use super::support::*;

#[test]
fn a_new_order_is_on_the_worklist_when_it_is_answered() {
    let lab = Lab::new();
    let mut wanted = order("ACC1001");
    wanted.procedure.id.clear();
    wanted.steps[0].id.clear();
    let applied = lab.apply(OrderControl::New, &wanted).unwrap();
    assert_eq!(
        (applied.done, applied.files.as_slice()),
        (Done::Created, &["ACC1001.wl".to_owned()][..])
    );
    assert!(applied.order.procedure.study_uid.is_valid());
    assert_eq!(applied.order.procedure.id, "RP0000001");
    assert_eq!(applied.order.steps[0].id, "SPS0000001");
    assert_eq!(lab.files(), ["ACC1001.wl"]);
    let item = lab.ris.worklist().find(&accession("ACC1001"), &Rules::WORKLIST, 2).remove(0);
    let entry = item.entry();
    assert_eq!(entry.patient_name, "DOE^JANE");
    assert_eq!((entry.station.as_str(), entry.modality.as_str()), ("PYMOD1", "CT"));
    assert_eq!(entry.study_uid, applied.order.procedure.study_uid.as_str());
    assert_eq!(lab.desk.order("ACC1001").unwrap().unwrap().order, applied.order);
}

#[test]
fn the_same_order_again_changes_nothing_and_another_is_refused() {
    let lab = Lab::new();
    let mut wanted = order("ACC1001");
    wanted.steps[0].id.clear();
    wanted.steps[0].start_date.clear();
    wanted.filler.issuer = "HERE".to_owned();
    let first = lab.apply(OrderControl::New, &wanted).unwrap();
    let again = lab.apply(OrderControl::New, &wanted).unwrap();
    assert_eq!((again.done, &again.order), (Done::Repeated, &first.order));

    let mut other = wanted.clone();
    other.patient.id.id = "P9".to_owned();
    let refused = lab.apply(OrderControl::New, &other).unwrap_err();
    assert_eq!(refused.code().number(), 205);
    assert_eq!(refused.finding(false).place(), "OBR-18.1");
    assert!(refused.to_string().contains("patient 'P12345' there, 'P9' sent"), "{refused}");
    assert_eq!(lab.files().len(), 1);

    // accession numbers are unique per authority
    other.filler.issuer = "ELSEWHERE".to_owned();
    assert_eq!(lab.apply(OrderControl::New, &other).unwrap().done, Done::Created);
    assert_eq!(lab.files().len(), 2, "{:?}", lab.files());
    assert_eq!(found(lab.ris.worklist(), &accession("ACC1001")).len(), 2);
}

#[test]
fn an_order_without_numbers_gets_them_once() {
    let lab = Lab::new();
    let mut wanted = order("");
    wanted.placer.id = "PLACER-7".to_owned();
    let first = lab.apply(OrderControl::New, &wanted).unwrap();
    assert_eq!(first.order.accession, "PL0000001");
    assert!(first.remarks.iter().any(|remark| remark.contains("PL0000001")));
    let again = lab.apply(OrderControl::New, &wanted).unwrap();
    assert_eq!((again.done, again.order.accession.as_str()), (Done::Repeated, "PL0000001"));
}

#[test]
fn a_change_keeps_identifiers_and_rewrites_the_file() {
    let lab = Lab::new();
    let first = lab.apply(OrderControl::New, &order("A1")).unwrap().order;
    let mut change = order("A1");
    change.procedure.study_uid = Uid::new("1.2.3");
    change.patient.birth_date.clear();
    change.steps[0].start_time = "143000".to_owned();
    change.steps[0].station = AeTitle::new("CT2").unwrap();
    let changed = lab.apply(OrderControl::Change, &change).unwrap();
    assert_eq!(changed.done, Done::Changed);
    assert_eq!(changed.order.procedure.study_uid, first.procedure.study_uid);
    assert_eq!(changed.order.patient.birth_date, "19800101");
    assert!(changed.remarks.iter().any(|remark| remark.contains("1.2.3")), "{:?}", changed.remarks);
    let entry = lab.ris.worklist().entries().remove(0);
    assert_eq!((entry.station.as_str(), entry.start_time.as_str()), ("CT2", "143000"));

    let unknown = lab.apply(OrderControl::Change, &order("A2")).unwrap_err();
    assert_eq!(unknown.code().number(), 204);
    assert!(unknown.to_string().contains("A2"), "{unknown}");
}

#[test]
fn steps_come_and_go_with_their_files() {
    let lab = Lab::new();
    let mut wanted = order("A1");
    lab.apply(OrderControl::New, &wanted).unwrap();
    assert_eq!(lab.files(), ["A1.wl"]);
    wanted.steps.push(step("SPS2", "20260106", "090000"));
    lab.apply(OrderControl::Change, &wanted).unwrap();
    assert_eq!(lab.files(), ["A1_SPS1.wl", "A1_SPS2.wl"]);

    let mut one = order("A1");
    one.steps[0].status = StepStatus::Completed;
    let done = lab.apply(OrderControl::StatusChange, &one).unwrap();
    assert_eq!(done.order.steps[0].status, StepStatus::Completed);
    assert_eq!(lab.files(), ["A1_SPS2.wl"]);

    let mut whole = order("A1");
    whole.steps.clear();
    let done = lab.apply(OrderControl::Cancel, &whole).unwrap();
    assert_eq!(done.order.steps[1].status, StepStatus::Cancelled);
    assert_eq!(lab.files(), [""; 0]);
    assert_eq!(
        lab.apply(OrderControl::Cancel, &one).unwrap_err().finding(false).place(),
        "ORC-1.1"
    );
    let refused = lab.apply(OrderControl::Change, &wanted).unwrap_err();
    assert!(matches!(refused, RefusedOrder::Step { .. }), "{refused}");
}

#[test]
fn a_step_that_has_begun_is_discontinued_not_cancelled() {
    let lab = Lab::new();
    let mut wanted = order("A1");
    lab.apply(OrderControl::New, &wanted).unwrap();
    wanted.steps[0].status = StepStatus::Started;
    lab.apply(OrderControl::StatusChange, &wanted).unwrap();
    wanted.steps.clear();
    let refused = lab.apply(OrderControl::Cancel, &wanted).unwrap_err();
    assert!(refused.to_string().ends_with("discontinue it (DC) instead"), "{refused}");
    assert!(lab.apply(OrderControl::Change, &order("A1")).is_err());
    assert_eq!(lab.files(), ["A1.wl"]);
    lab.apply(OrderControl::Discontinue, &wanted).unwrap();
    assert_eq!(lab.files(), [""; 0]);
}

#[test]
fn names_are_safe_everywhere_and_foreign_files_stay() {
    let lab = Lab::new();
    fs::write(lab.folder.path().join("A1.wl"), b"somebody else's").unwrap();
    let applied = lab.apply(OrderControl::New, &order("A1")).unwrap();
    assert_eq!(fs::read(lab.folder.path().join("A1.wl")).unwrap(), b"somebody else's");
    assert!(applied.files[0].starts_with("A1~"), "{:?}", applied.files);
    let told = event(&lab.events, events::WORKLIST_WRITTEN);
    assert!(told.message.contains("A1.wl is a file of somebody else's"), "{}", told.message);

    for accession in
        ["../../etc/x", "CON", "com1.x", "a:b*c?", "..", ".hidden", "end.", "Ä 1", "NUL "]
    {
        let mut wanted = order(accession);
        wanted.placer.id.clear();
        let files = lab.apply(OrderControl::New, &wanted).unwrap().files;
        let name = &files[0];
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        assert!(name.chars().all(plain) && !name.starts_with('.'), "{accession}: {name}");
        let stem = name.split('.').next().unwrap().to_uppercase();
        assert!(!["CON", "NUL", "COM1"].contains(&stem.as_str()), "{accession}: {name}");
        assert!(lab.folder.path().join(name).is_file());
        assert!(!found(lab.ris.worklist(), &accession_key(accession)).is_empty(), "{accession}");
    }
    let long = lab.apply(OrderControl::New, &order("12345678901234567")).unwrap_err();
    assert!(long.to_string().contains("17 characters"), "{long}");
}

fn accession_key(value: &str) -> Vec<pacslab_model::Key> {
    use pacslab_model::{Key, Test, Vr};
    let value = value.trim_end().to_owned();
    vec![Key {
        tag: tags::ACCESSION_NUMBER,
        vr: Vr::SH,
        test: if value.contains(['*', '?']) { Test::Wildcard(value) } else { Test::Value(value) },
    }]
}

#[test]
fn what_a_crash_left_undone_is_done_at_the_next_start() {
    let mut lab = Lab::new();
    for accession in ["LOST", "STALE", "ENDED", "FINE"] {
        lab.apply(OrderControl::New, &order(accession)).unwrap();
    }
    let path = |lab: &Lab, name: &str| lab.folder.path().join(name);
    let stale = fs::read(path(&lab, "STALE.wl")).unwrap();
    // the desk went on, the folder did not
    fs::remove_file(path(&lab, "LOST.wl")).unwrap();
    let mut record = lab.desk.order("STALE").unwrap().unwrap();
    record.order.patient.name = "ROE^RICHARD".into();
    let at = Moment::new(0, 0);
    lab.desk.put_order(&record.order, Expect::Version(record.version), at).unwrap();
    lab.desk.set_step("ENDED", "SPS1", StepStatus::Scheduled, StepStatus::Completed, at).unwrap();
    fs::write(path(&lab, ".1-2.pacslab-tmp"), &stale[..100]).unwrap();
    // of another desk, and of nobody
    let other = order("OTHER");
    pacslab_ris::worklist::file::write(
        lab.folder.path(),
        &other,
        &other.steps[0],
        StepStatus::Scheduled,
    )
    .unwrap();
    fs::write(path(&lab, "foreign.wl"), wl("X")).unwrap();

    lab.reopen();
    assert_eq!(lab.files(), ["FINE.wl", "LOST.wl", "OTHER.wl", "STALE.wl", "foreign.wl"]);
    let entries = lab.ris.worklist().entries();
    let stale = entries.iter().find(|entry| entry.accession == "STALE").unwrap();
    assert_eq!(stale.patient_name, "ROE^RICHARD");
    let again = lab.ris.reconcile().unwrap();
    assert_eq!((again.orders_written, again.files_removed), (0, 0));
}

#[derive(Default)]
struct Arrived(Vec<Arrival>);

impl Images for Arrived {
    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>, StoreError> {
        Ok(self.0.iter().filter(|a| a.number > cursor).take(limit).cloned().collect())
    }

    fn missing(&self, _: &[Uid]) -> Result<Vec<Uid>, StoreError> {
        Ok(Vec::new())
    }
}

impl Arrived {
    fn add(&mut self, accession: &str, study_uid: &Uid, calling_ae: &str) {
        let number = self.0.len() as u64 + 1;
        self.0.push(Arrival {
            number,
            at: Moment::new(0, 0),
            accession: accession.to_owned(),
            patient_id: "P12345".to_owned(),
            study_uid: study_uid.clone(),
            series_uid: Uid::default(),
            sop_instance: Uid::new(format!("1.2.{number}")),
            sop_class: Uid::default(),
            calling_ae: calling_ae.to_owned(),
        });
    }
}

#[test]
fn images_start_the_step_of_the_scanner_that_sent_them() {
    let lab = Lab::new();
    let mut wanted = order("A1");
    wanted.steps.push(step("SPS2", "20260105", "090000"));
    wanted.steps[1].station = AeTitle::new("MR1").unwrap();
    let study = lab.apply(OrderControl::New, &wanted).unwrap().order.procedure.study_uid;
    let statuses = || {
        let record = lab.desk.order("A1").unwrap().unwrap();
        record.order.steps.iter().map(|step| step.status).collect::<Vec<_>>()
    };
    let mut images = Arrived::default();
    images.add("A1", &study, "MR1");
    images.add("A1", &study, "MR1");
    images.add("", &Uid::new("9.9"), "PYMOD1");
    assert_eq!(lab.ris.arrivals(&images).unwrap(), 3);
    assert_eq!(statuses(), [StepStatus::Scheduled, StepStatus::Started]);
    event(&lab.events, events::IMAGES);
    assert_eq!(lab.ris.arrivals(&images).unwrap(), 0);
    // by accession number and patient when the scanner made a UID of its own
    images.add("A1", &Uid::new("9.8"), "PYMOD1");
    assert_eq!(lab.ris.arrivals(&images).unwrap(), 1);
    assert_eq!(statuses(), [StepStatus::Started, StepStatus::Started]);
    // still offered, as a server that only knows files does
    assert_eq!(found(lab.ris.worklist(), &accession("A1")).len(), 2);
}

#[test]
fn images_that_fit_no_order_are_told() {
    let lab = Lab::new();
    let mut others = order("A1");
    others.patient.id.id = "P9".to_owned();
    lab.apply(OrderControl::New, &others).unwrap();
    let mut images = Arrived::default();
    for study in ["9.1", "9.1", "9.2", "9.3"] {
        images.add("", &Uid::new(study), "CT1");
    }
    lab.ris.arrivals(&images).unwrap();
    let told = event(&lab.events, events::UNMATCHED);
    assert!(told.message.contains("study 9.1") && told.message.contains("2 more studies"));
    // the number is right and the patient is not: it says which two patients those are
    images.add("A1", &Uid::new("9.4"), "CT1");
    lab.ris.arrivals(&images).unwrap();
    let warned = event(&lab.events, events::UNMATCHED);
    assert_eq!(warned.outcome, Outcome::Warning);
    for word in ["'P12345'", "'P9'", "A1"] {
        assert!(warned.message.contains(word), "{}", warned.message);
    }
    assert_eq!(lab.desk.order("A1").unwrap().unwrap().order.steps[0].status, StepStatus::Scheduled);
}

#[test]
fn a_started_step_leaves_when_that_is_wished() {
    let lab = Lab::with(RisSettings { started_leaves: true, ..RisSettings::default() });
    let study = lab.apply(OrderControl::New, &order("A1")).unwrap().order.procedure.study_uid;
    let mut images = Arrived::default();
    images.add("A1", &study, "PYMOD1");
    lab.ris.arrivals(&images).unwrap();
    assert_eq!(lab.files(), ["A1.wl"]);
    assert!(found(lab.ris.worklist(), &accession("A1")).is_empty());
    assert_eq!(lab.ris.worklist().entries()[0].status, "STARTED");
}

#[test]
fn changes_of_one_order_from_all_sides_end_in_one_state() {
    let lab = Lab::new();
    lab.apply(OrderControl::New, &order("A1")).unwrap();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let lab = &lab;
            scope.spawn(move || {
                let mut change = order("A1");
                change.steps[0].start_time = format!("{:02}0000", 10 + n);
                lab.apply(OrderControl::Change, &change).unwrap();
            });
        }
    });
    let last = lab.desk.order("A1").unwrap().unwrap().order;
    let shown = lab.ris.worklist().entries().remove(0);
    assert_eq!(shown.start_time, last.steps[0].start_time);
    assert_eq!(lab.files(), ["A1.wl"]);
}

/// PS3.4 table K.6-1: type 1 valued, type 2 there, as DCMTK's server checks it.
#[test]
fn items_have_every_attribute_that_a_scanner_may_count_on() {
    let lab = Lab::new();
    lab.apply(OrderControl::New, &order("A1")).unwrap();
    let item = lab.ris.worklist().find(&[], &Rules::WORKLIST, 1).remove(0);
    let set = &item.dataset;
    for tag in [
        tags::PATIENT_NAME,
        tags::PATIENT_ID,
        tags::REQUESTED_PROCEDURE_ID,
        tags::REQUESTED_PROCEDURE_DESCRIPTION,
        tags::STUDY_INSTANCE_UID,
    ] {
        assert!(!set.str(tag).is_empty(), "{tag}");
    }
    for tag in [
        tags::ACCESSION_NUMBER,
        tags::REFERRING_PHYSICIAN_NAME,
        tags::REQUESTING_PHYSICIAN,
        tags::REFERENCED_STUDY_SEQUENCE,
        tags::REFERENCED_PATIENT_SEQUENCE,
        tags::REQUESTED_PROCEDURE_PRIORITY,
        tags::PATIENT_TRANSPORT_ARRANGEMENTS,
        tags::ADMISSION_ID,
        tags::CURRENT_PATIENT_LOCATION,
        tags::PATIENT_BIRTH_DATE,
        tags::PATIENT_SEX,
        tags::PATIENT_WEIGHT,
        tags::CONFIDENTIALITY_CONSTRAINT_ON_PATIENT_DATA_DESCRIPTION,
        tags::PATIENT_STATE,
        tags::PREGNANCY_STATUS,
        tags::MEDICAL_ALERTS,
        tags::ALLERGIES,
        tags::SPECIAL_NEEDS,
    ] {
        assert!(set.contains(tag), "{tag}");
    }
    for tag in [
        tags::SCHEDULED_STATION_AE_TITLE,
        tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
        tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
        tags::MODALITY,
        tags::SCHEDULED_PROCEDURE_STEP_DESCRIPTION,
        tags::SCHEDULED_PROCEDURE_STEP_ID,
    ] {
        assert!(!item.step_str(tag).is_empty(), "{tag}");
    }
    let step = item.step().unwrap();
    for tag in [
        tags::SCHEDULED_PERFORMING_PHYSICIAN_NAME,
        tags::SCHEDULED_STATION_NAME,
        tags::SCHEDULED_PROCEDURE_STEP_LOCATION,
        tags::PRE_MEDICATION,
        tags::REQUESTED_CONTRAST_AGENT,
    ] {
        assert!(step.contains(tag), "{tag}");
    }
}

#[test]
fn an_order_is_cancelled_by_any_of_its_numbers() {
    let lab = Lab::new();
    lab.apply(OrderControl::New, &order("A1")).unwrap();
    let mut cancel = order("A1");
    cancel.steps.clear();
    // without OBR-18 the order number stands in for the accession number
    cancel.accession = cancel.placer.id.clone();
    let done = lab.apply(OrderControl::Cancel, &cancel).unwrap();
    assert_eq!((done.done, done.order.accession.as_str()), (Done::Changed, "A1"));
    assert_eq!(lab.apply(OrderControl::Cancel, &cancel).unwrap().done, Done::Repeated);
    // it does not come back by itself
    let refused = lab.apply(OrderControl::New, &order("A1")).unwrap_err();
    assert!(refused.to_string().contains("has been cancelled"), "{refused}");
}

/// Files are not synced: what a power failure leaves of one is mended from the desk.
#[test]
fn a_torn_file_is_whole_again_after_the_next_start() {
    let mut lab = Lab::new();
    lab.apply(OrderControl::New, &order("A1")).unwrap();
    let path = lab.folder.path().join("A1.wl");
    let whole = std::fs::read(&path).unwrap();
    for torn in [&[][..], &[0; 4096], &whole[..100], &whole[..whole.len() - 7]] {
        std::fs::write(&path, torn).unwrap();
        lab.reopen();
        assert!(std::fs::read(&path).unwrap() == whole, "{} bytes were left", torn.len());
        assert_eq!(lab.files(), ["A1.wl"]);
    }
}
