//! Limits of the archive: what comes is refused, or the oldest patients go.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pacslab_archive::{Change, IngestError, Origin, Quota, Received, Scope};
use support::{Lab, dump, object};

async fn put(lab: &Lab, patient: &str, number: u32) -> Result<Received, IngestError> {
    let (meta, bytes) = object(patient, &format!("1.{patient}"), 1, number, 10_000);
    let mut writer = lab.archive.writer(meta, Origin::default());
    writer.write(&bytes).unwrap();
    writer.finish().await.map(|receipt| receipt.outcome)
}

async fn patients(lab: &Lab) -> Vec<String> {
    let mut all = Vec::new();
    for number in 1..9 {
        let id = number.to_string();
        if !lab.archive.instances(Scope::patient(id.as_str())).await.unwrap().is_empty() {
            all.push(id);
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_refuses_by_name_and_known_objects_are_no_more() {
    let lab = Lab::new();
    lab.archive.set_quota(Quota { bytes: 25_000, ..Quota::default() });
    assert_eq!(put(&lab, "1", 1).await.unwrap(), Received::New);
    assert_eq!(put(&lab, "1", 2).await.unwrap(), Received::New);
    let error = put(&lab, "2", 1).await.unwrap_err();
    assert!(
        matches!(&error, IngestError::Full(text) if text.starts_with("storage.quota")),
        "{error}"
    );
    assert_eq!(put(&lab, "1", 1).await.unwrap(), Received::Duplicate { identical: true });
    lab.change(Change::Delete(Scope::patient("1"))).await;
    assert_eq!(put(&lab, "2", 1).await.unwrap(), Received::New, "there is room again");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_go_unless_they_are_protected() {
    let lab = Lab::new();
    let quota = Quota { bytes: 35_000, delete_oldest: true, ..Quota::default() };
    lab.archive.set_quota(quota);
    for patient in ["1", "2", "3"] {
        put(&lab, patient, 1).await.unwrap();
    }
    lab.change(Change::Protect { patient_id: "1".into(), on: true }).await;
    lab.events.take();
    put(&lab, "4", 1).await.unwrap();
    assert_eq!(patients(&lab).await, ["1", "3", "4"]);
    let events = lab.events.take();
    assert!(events.iter().any(|event| event.kind == "archive.deleted"
        && event.ids.patient_id == "2"
        && event.fields.iter().any(|(name, value)| name == "by" && value == "storage.quota")));
    // nobody makes room for himself
    put(&lab, "3", 2).await.unwrap();
    assert_eq!(patients(&lab).await, ["1", "3"]);
    lab.change(Change::Protect { patient_id: "3".into(), on: true }).await;
    assert!(matches!(put(&lab, "5", 1).await, Err(IngestError::Full(_))), "all are protected");
    let before = dump(&lab);
    assert_eq!(dump(&lab.rebuilt()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_patients_and_no_more() {
    let lab = Lab::new();
    lab.archive.set_quota(Quota { patients: 2, ..Quota::default() });
    for patient in ["1", "2"] {
        put(&lab, patient, 1).await.unwrap();
    }
    put(&lab, "2", 2).await.unwrap();
    let error = put(&lab, "3", 1).await.unwrap_err().to_string();
    assert!(error.starts_with("storage.max_patients"), "{error}");
    lab.archive.set_quota(Quota { patients: 2, delete_oldest: true, ..Quota::default() });
    put(&lab, "3", 1).await.unwrap();
    assert_eq!(patients(&lab).await, ["2", "3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_keeps_some_room() {
    let lab = Lab::new();
    let free = Arc::new(AtomicU64::new(1 << 30));
    let told = free.clone();
    lab.archive.set_quota(Quota {
        keep_free: 1 << 20,
        free: Some(Arc::new(move || Some(told.load(Ordering::SeqCst)))),
        ..Quota::default()
    });
    put(&lab, "1", 1).await.unwrap();
    free.store(1 << 20, Ordering::SeqCst);
    let error = put(&lab, "1", 2).await.unwrap_err().to_string();
    assert!(error.starts_with("storage.keep_free"), "{error}");
    free.store(1 << 30, Ordering::SeqCst);
    put(&lab, "1", 2).await.unwrap();
}
