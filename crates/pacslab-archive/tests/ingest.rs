//! Ingest, query and retrieve, as a door uses them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pacslab_archive::{Archive, IngestError, Origin, Parts, Received};
use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, encode, file};
use pacslab_model::event::Collect;
use pacslab_model::time::FixedClock;
use pacslab_model::{Level, Moment, Query, Tag, Uid, Vr, tags, uids};
use pacslab_store::{
    Arrival, Blobs, Counts, Index, Ingested, Known, Location, MemoryBlobs, NewInstance, Position,
    Row, Scope, SqliteIndex, StoreError, Stored,
};

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
    let index = Arc::new(SqliteIndex::open(&folder.path().join("index.db")).unwrap());
    open_with(folder, blobs, index)
}

fn open_with(folder: tempfile::TempDir, blobs: Arc<dyn Blobs>, index: Arc<dyn Index>) -> Lab {
    let events = Arc::new(Collect::default());
    let archive = Archive::open(Parts {
        blobs: blobs.clone(),
        index,
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

/// An archive whose index can be made to fail.
#[derive(Debug)]
struct Moody {
    index: SqliteIndex,
    broken: AtomicBool,
}

impl Index for Moody {
    fn ingest(&self, batch: &[NewInstance], upto: Position) -> Result<Vec<Ingested>, StoreError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Full { path: "index.db".into(), needed: 0 });
        }
        self.index.ingest(batch, upto)
    }

    fn known(&self, uids: &[Uid]) -> Result<Vec<Option<Known>>, StoreError> {
        self.index.known(uids)
    }

    fn find(&self, query: &Query) -> Result<Vec<Row>, StoreError> {
        self.index.find(query)
    }

    fn instances(&self, scope: &Scope) -> Result<Vec<Stored>, StoreError> {
        self.index.instances(scope)
    }

    fn counts(&self) -> Result<Counts, StoreError> {
        self.index.counts()
    }

    fn position(&self) -> Result<Position, StoreError> {
        self.index.position()
    }

    fn set_position(&self, upto: Position) -> Result<(), StoreError> {
        self.index.set_position(upto)
    }

    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>, StoreError> {
        self.index.arrivals_after(cursor, limit)
    }

    fn remove(&self, uids: &[Uid], upto: Position) -> Result<Vec<Stored>, StoreError> {
        self.index.remove(uids, upto)
    }

    fn relabel(
        &self,
        study: &Uid,
        changes: &[(Tag, String)],
        upto: Position,
    ) -> Result<bool, StoreError> {
        self.index.relabel(study, changes, upto)
    }

    fn label(
        &self,
        level: Level,
        resource: &str,
        label: &str,
        on: bool,
        upto: Position,
    ) -> Result<bool, StoreError> {
        self.index.label(level, resource, label, on, upto)
    }

    fn labels_of(&self, level: Level, resource: &str) -> Result<Vec<String>, StoreError> {
        self.index.labels_of(level, resource)
    }

    fn labelled(&self, level: Level, label: &str) -> Result<Vec<String>, StoreError> {
        self.index.labelled(level, label)
    }

    fn labels(&self) -> Result<Vec<String>, StoreError> {
        self.index.labels()
    }

    fn protect(&self, patient_id: &str, on: bool, upto: Position) -> Result<bool, StoreError> {
        self.index.protect(patient_id, on, upto)
    }

    fn is_protected(&self, patient_id: &str) -> Result<bool, StoreError> {
        self.index.is_protected(patient_id)
    }

    fn last_arrival(&self) -> Result<u64, StoreError> {
        self.index.last_arrival()
    }

    fn begin(&self, arrivals: &[u64]) -> Result<Vec<Level>, StoreError> {
        self.index.begin(arrivals)
    }

    fn oldest_unprotected(&self, limit: usize) -> Result<Vec<String>, StoreError> {
        self.index.oldest_unprotected(limit)
    }

    fn held(&self) -> Result<BTreeMap<u32, u64>, StoreError> {
        self.index.held()
    }

    fn relocate(&self, from: u32, moved: &[(Uid, Location)]) -> Result<(), StoreError> {
        self.index.relocate(from, moved)
    }
}

/// The disk was full for the index only: the sender was told that nothing was stored, the next
/// batch moved the index past what it lacked, and after a rebuild the refused images were there.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_index_could_not_take_in_is_stored_and_comes_later() {
    let index =
        Arc::new(Moody { index: SqliteIndex::memory().unwrap(), broken: AtomicBool::new(false) });
    let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::default());
    let lab = open_with(tempfile::tempdir().unwrap(), blobs, index.clone());
    assert_eq!(store(&lab, "1.2", 1, 10).await.unwrap(), Received::New);
    index.broken.store(true, Ordering::SeqCst);
    assert_eq!(store(&lab, "1.2", 2, 10).await.unwrap(), Received::New);
    assert_eq!(lab.events.take().last().unwrap().kind, "archive.index_behind");
    let refused = store(&lab, "1.2", 3, 10).await.unwrap_err();
    assert!(matches!(refused, IngestError::Full(_)), "{refused}");
    assert_eq!(lab.blobs.position().sequence, 2, "nothing of it was stored");
    index.broken.store(false, Ordering::SeqCst);
    let again = store(&lab, "1.2", 2, 10).await.unwrap();
    assert_eq!(again, Received::Duplicate { identical: true });
    assert_eq!(store(&lab, "1.2", 3, 10).await.unwrap(), Received::New);
    assert_eq!(lab.archive.counts().await.unwrap().instances, 3);
    assert_eq!(index.position().unwrap().sequence, 3);
}

/// Three megabytes of a maker's own stood before the UIDs: the object was refused as having none.
#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_begins_with_something_large_is_filed() {
    let lab = lab();
    let (meta, _) = ct("1.2", 1, 0);
    for (syntax, sop) in
        [(TransferSyntax::ExplicitLe, "1.2.1.7"), (TransferSyntax::DeflatedLe, "1.2.1.8")]
    {
        let (_, bytes) = ct("1.2", 1, 100);
        let mut set = pacslab_dicom::parse(&bytes, &TransferSyntax::ExplicitLe).unwrap();
        set.put_str(tags::SOP_INSTANCE_UID, Vr::UI, sop);
        let mut state = 1_u32;
        let noise = (0..3 << 20).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        set.put_bytes(Tag::new(0x0009, 0x1001), Vr::OB, noise.collect());
        let bytes = encode(&set, &syntax);
        assert!(bytes.len() > 2 << 20, "{}", bytes.len());
        let meta =
            FileMeta { sop_instance: Uid::new(sop), transfer_syntax: syntax, ..meta.clone() };
        let mut writer = lab.archive.writer(meta, Origin::default());
        for chunk in bytes.chunks(16_000) {
            writer.write(chunk).unwrap();
        }
        let receipt = writer.finish().await.unwrap();
        assert_eq!(receipt.header.text(tags::ACCESSION_NUMBER), "ACC1001");
    }
}

/// An object whose attributes are novels failed everybody's objects that were committed with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_absurd_object_is_refused_alone() {
    let lab = Arc::new(lab());
    let (meta, bytes) = ct("1.2", 1, 0);
    let mut set = pacslab_dicom::parse(&bytes, &TransferSyntax::ExplicitLe).unwrap();
    for level in Level::ALL {
        for tag in level.attributes() {
            if !tag_is_needed(*tag) {
                // control characters are written as six letters each
                set.put_str(*tag, Vr::UT, "\u{1}".repeat(5_000));
            }
        }
    }
    let absurd = encode(&set, &TransferSyntax::ExplicitLe);
    let mut tasks = Vec::new();
    for n in 0..100 {
        let (lab, meta, absurd) = (lab.clone(), meta.clone(), absurd.clone());
        tasks.push(tokio::spawn(async move {
            let mut writer = lab.archive.writer(meta, Origin::default());
            writer.write(&absurd).unwrap();
            let error = writer.finish().await.unwrap_err();
            assert!(error.to_string().contains("indexed attributes"), "{error}");
            store(&lab, "1.5", n, 50).await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(lab.archive.counts().await.unwrap().instances, 100);
}

fn tag_is_needed(tag: Tag) -> bool {
    matches!(
        tag,
        tags::SOP_CLASS_UID
            | tags::SOP_INSTANCE_UID
            | tags::STUDY_INSTANCE_UID
            | tags::SERIES_INSTANCE_UID
    )
}
