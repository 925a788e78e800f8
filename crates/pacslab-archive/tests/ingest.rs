//! Ingest, query and retrieve, as a door uses them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::Arc;

use pacslab_archive::{Archive, IngestError, Origin, Parts, Received};
use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, encode, file};
use pacslab_model::event::Collect;
use pacslab_model::time::FixedClock;
use pacslab_model::{Level, Moment, Query, Uid, Vr, tags, uids};
use pacslab_store::{Blobs, MemoryBlobs, Scope, SqliteIndex};

struct Lab {
    archive: Arc<Archive>,
    events: Arc<Collect>,
    folder: tempfile::TempDir,
    blobs: Arc<dyn Blobs>,
}

fn lab() -> Lab {
    let folder = tempfile::tempdir().unwrap();
    let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
    open(folder, blobs)
}

fn open(folder: tempfile::TempDir, blobs: Arc<dyn Blobs>) -> Lab {
    let events = Arc::new(Collect::default());
    let archive = Archive::open(Parts {
        blobs: blobs.clone(),
        index: Arc::new(SqliteIndex::open(&folder.path().join("index.db")).unwrap()),
        clock: Arc::new(FixedClock(Moment::new(1_700_000_000_000_000, 0))),
        emit: events.clone(),
    })
    .unwrap();
    Lab { archive, events, folder, blobs }
}

fn ct(study: &str, number: u32, pixels: usize) -> (FileMeta, Vec<u8>) {
    let sop = format!("{study}.1.{number}");
    let mut set = Dataset::new()
        .with_str(tags::SOP_CLASS_UID, Vr::UI, uids::CT_IMAGE_STORAGE)
        .with_str(tags::SOP_INSTANCE_UID, Vr::UI, sop.as_str())
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study)
        .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, format!("{study}.1"))
        .with_str(tags::PATIENT_ID, Vr::LO, "P12345")
        .with_str(tags::PATIENT_NAME, Vr::PN, "DOE^JANE")
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, "ACC1001")
        .with_str(tags::MODALITY, Vr::CS, "CT")
        .with_str(tags::INSTANCE_NUMBER, Vr::IS, number.to_string());
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![number as u8; pixels]);
    let meta = FileMeta {
        sop_class: uids::CT_IMAGE_STORAGE.into(),
        sop_instance: Uid::new(sop),
        transfer_syntax: TransferSyntax::ExplicitLe,
        source_aet: Some("PYMOD1".into()),
    };
    (meta, encode(&set, &TransferSyntax::ExplicitLe))
}

async fn store(
    lab: &Lab,
    study: &str,
    number: u32,
    pixels: usize,
) -> Result<Received, IngestError> {
    let (meta, bytes) = ct(study, number, pixels);
    let mut writer = lab.archive.writer(meta, Origin::default());
    for chunk in bytes.chunks(10_000) {
        writer.write(chunk)?;
    }
    writer.finish().await.map(|receipt| receipt.outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_found_and_read_back_as_they_came() {
    let lab = lab();
    for (number, pixels) in [(1, 100), (2, 3 << 20)] {
        assert_eq!(store(&lab, "1.2", number, pixels).await.unwrap(), Received::New);
    }
    let query = Query::new(Level::Study).with(tags::PATIENT_NAME, Vr::PN, "doe*").unwrap();
    let rows = lab.archive.find(query).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].str(tags::ACCESSION_NUMBER), "ACC1001");
    assert_eq!(rows[0].number(tags::NUMBER_OF_STUDY_RELATED_INSTANCES), Some(2));
    let stored = lab.archive.instances(Scope::study("1.2")).await.unwrap();
    for (stored, (number, pixels)) in stored.iter().zip([(1, 100), (2, 3 << 20)]) {
        let object = lab.archive.object(stored).await.unwrap();
        let (meta, bytes) = ct("1.2", number, pixels);
        assert_eq!(object.meta, meta);
        assert!(object.dataset() == bytes, "instance {number}");
        assert_eq!(file::read(&object.file).unwrap().0, meta);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_two_is_kept_and_an_event_names_both() {
    let lab = lab();
    assert_eq!(store(&lab, "1.2", 1, 10).await.unwrap(), Received::New);
    let again = store(&lab, "1.2", 1, 10).await.unwrap();
    assert_eq!(again, Received::Duplicate { identical: true });
    let other = store(&lab, "1.2", 1, 12).await.unwrap();
    assert_eq!(other, Received::Duplicate { identical: false });
    let stored = lab.archive.instances(Scope::study("1.2")).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert!(lab.archive.object(&stored[0]).await.unwrap().dataset() == ct("1.2", 1, 10).1);
    let events = lab.events.take();
    let conflict = events.last().unwrap();
    assert_eq!(conflict.kind, "archive.duplicate");
    let digests: Vec<&str> = conflict
        .fields
        .iter()
        .filter(|(name, _)| name == "kept" || name == "received")
        .map(|(_, value)| value.as_str())
        .collect();
    assert!(digests.len() == 2 && digests[0] != digests[1], "{digests:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_each_stored_once() {
    let lab = Arc::new(lab());
    let tasks: Vec<_> = (0..200_u32)
        .map(|n| {
            let lab = lab.clone();
            // every instance comes twice, at the same time
            tokio::spawn(async move { store(&lab, "1.2", n / 2, 50).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    for task in tasks {
        new += usize::from(task.await.unwrap() == Received::New);
    }
    assert_eq!(new, 100);
    assert_eq!(lab.archive.counts().await.unwrap().instances, 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_index_is_made_again_from_the_packs() {
    let first = lab();
    for number in 0..20 {
        store(&first, "1.2", number, 10).await.unwrap();
    }
    let query = || Query::new(Level::Instance);
    let before = first.archive.find(query()).await.unwrap();
    let Lab { archive, blobs, folder, .. } = first;
    drop(archive);
    drop(folder);
    let second = open(tempfile::tempdir().unwrap(), blobs);
    assert_eq!(second.archive.find(query()).await.unwrap(), before);
    let events = second.events.take();
    assert_eq!(events[0].kind, "archive.replayed");
    assert!(second.folder.path().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_filed_leaves_nothing_behind() {
    let lab = lab();
    let (mut meta, bytes) = ct("1.2", 1, 2 << 20);
    let mut cut = lab.archive.writer(meta.clone(), Origin::default());
    cut.write(&bytes[..200]).unwrap();
    assert!(matches!(cut.finish().await, Err(IngestError::Header(_))));
    let mut dropped = lab.archive.writer(meta.clone(), Origin::default());
    dropped.write(&bytes).unwrap();
    drop(dropped);
    meta.sop_instance = Uid::new("9.9");
    let mut other = lab.archive.writer(meta, Origin::default());
    other.write(&bytes).unwrap();
    let error = other.finish().await.unwrap_err();
    assert!(error.to_string().contains("SOPInstanceUID"), "{error}");
    assert!(lab.archive.ingest_file(b"junk", Origin::default()).await.is_err());
    assert_eq!(lab.archive.counts().await.unwrap().instances, 0);
    assert_eq!(lab.blobs.position().sequence, MemoryBlobs::default().position().sequence);
}
