//! An archive with packs in a folder of its own, small objects for it, and histories of them.

#![allow(dead_code, reason = "each test uses some of it")]

use std::fmt::Write;
use std::sync::Arc;

use pacslab_archive::{Archive, Change, Changed, Origin, Parts, Received, Scope};
use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, encode};
use pacslab_model::event::Collect;
use pacslab_model::time::FixedClock;
use pacslab_model::{Level, Moment, Query, Uid, Vr, tags, uids};
use pacslab_store::suite::sim::Dice;
use pacslab_store::{Blobs, FilesBlobs, FilesOptions, Index, PackBlobs, PackOptions, SqliteIndex};

/// Small, so that short histories see many packs.
pub(crate) const SMALL: PackOptions = PackOptions {
    limit: 24 << 10,
    grow: (2 << 10, 8 << 10),
    mark: 3 << 10,
    in_place: 500,
    large: 4 << 10,
};

/// How the objects of a lab are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Layout {
    Pack,
    Files,
}

impl Layout {
    pub(crate) const ALL: [Self; 2] = [Self::Pack, Self::Files];
}

pub(crate) struct Lab {
    pub(crate) layout: Layout,
    pub(crate) archive: Arc<Archive>,
    pub(crate) events: Arc<Collect>,
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) index: Arc<SqliteIndex>,
    pub(crate) folder: tempfile::TempDir,
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(Layout::Pack)
    }

    pub(crate) fn with(layout: Layout) -> Self {
        Self::open(tempfile::tempdir().unwrap(), layout)
    }

    pub(crate) fn open(folder: tempfile::TempDir, layout: Layout) -> Self {
        let events = Arc::new(Collect::default());
        let (packs, objects) = (folder.path().join("packs"), folder.path().join("objects"));
        let files = FilesOptions { log: SMALL, ..FilesOptions::default() };
        let blobs: Arc<dyn Blobs> = match layout {
            Layout::Pack => Arc::new(PackBlobs::open(&packs, SMALL).unwrap()),
            Layout::Files => Arc::new(FilesBlobs::open(&packs, &objects, files).unwrap()),
        };
        let index = Arc::new(SqliteIndex::open(&folder.path().join("index.db")).unwrap());
        let archive = Archive::open(Parts {
            blobs: blobs.clone(),
            index: index.clone(),
            clock: Arc::new(FixedClock(Moment::new(1_767_600_000_000_000, 0))),
            emit: events.clone(),
        })
        .unwrap();
        Self { layout, archive, events, blobs, index, folder }
    }

    /// The same with an index that is made again.
    pub(crate) fn rebuilt(self) -> Self {
        let Self { layout, archive, events, blobs, index, folder } = self;
        drop((archive, events, blobs, index));
        for name in ["index.db", "index.db-wal", "index.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(name));
        }
        Self::open(folder, layout)
    }

    /// Whether it is new.
    pub(crate) async fn store(&self, (meta, bytes): &(FileMeta, Vec<u8>)) -> bool {
        let mut writer = self.archive.writer(meta.clone(), Origin::default());
        writer.write(bytes).unwrap();
        writer.finish().await.unwrap().outcome == Received::New
    }

    pub(crate) async fn change(&self, change: Change) -> Changed {
        self.archive.change(change, Origin::default()).await.unwrap()
    }
}

/// Instance `number` of a series of a study.
pub(crate) fn entry(patient: &str, study: &str, series: u32, number: u32) -> (FileMeta, Vec<u8>) {
    object(patient, study, series, number, 200)
}

pub(crate) fn object(
    patient: &str,
    study: &str,
    series: u32,
    number: u32,
    pixels: usize,
) -> (FileMeta, Vec<u8>) {
    let sop = format!("{study}.{series}.{number}");
    let mut set = Dataset::new()
        .with_str(tags::SOP_CLASS_UID, Vr::UI, uids::CT_IMAGE_STORAGE)
        .with_str(tags::SOP_INSTANCE_UID, Vr::UI, sop.as_str())
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study)
        .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, format!("{study}.{series}"))
        .with_str(tags::PATIENT_ID, Vr::LO, patient)
        .with_str(tags::PATIENT_NAME, Vr::PN, format!("DOE^{patient}"))
        .with_str(tags::STUDY_DESCRIPTION, Vr::LO, format!("said by {number}"))
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, format!("A{study}"))
        .with_str(tags::MODALITY, Vr::CS, "CT")
        .with_str(tags::INSTANCE_NUMBER, Vr::IS, number.to_string());
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, vec![number as u8; pixels]);
    let meta = FileMeta {
        sop_class: uids::CT_IMAGE_STORAGE.into(),
        sop_instance: Uid::new(sop),
        transfer_syntax: TransferSyntax::ExplicitLe,
        source_aet: None,
    };
    (meta, encode(&set, &TransferSyntax::ExplicitLe))
}

/// Everything that an index holds, as text; where the objects lie is left out.
pub(crate) fn dump(lab: &Lab) -> String {
    let index = &lab.index;
    let mut text = format!("{:?}\n", index.counts().unwrap());
    for level in Level::ALL {
        let mut rows = index.find(&Query::new(level)).unwrap();
        rows.sort_by(|a, b| a.str(level.key()).cmp(b.str(level.key())));
        for row in rows {
            let key = row.str(level.key());
            let values: Vec<_> = row.iter().collect();
            let stored = row.stored.as_ref().map(|s| (s.size, s.digest, s.location.crc));
            let labels = index.labels_of(level, key).unwrap();
            let protected = level == Level::Patient && index.is_protected(key).unwrap();
            let at = row.received_at;
            writeln!(text, "{level:?} {values:?} {stored:?} {labels:?} {protected} {at:?}")
                .unwrap();
        }
    }
    for arrival in index.arrivals_after(0, usize::MAX >> 1).unwrap() {
        writeln!(text, "{} {} {}", arrival.number, arrival.sop_instance, arrival.at).unwrap();
    }
    text
}

/// A few patients and studies, on which everything happens that can.
pub(crate) async fn random_history(lab: &Lab, seed: u64, steps: u32) {
    let mut dice = Dice::new(seed);
    for _ in 0..steps {
        let patient = format!("P{}", dice.roll(4));
        let study = format!("1.{}", 2 + dice.roll(6));
        match dice.roll(20) {
            0 => drop(lab.change(Change::Delete(Scope::patient(patient))).await),
            1 | 2 => drop(lab.change(Change::Delete(Scope::study(study))).await),
            3 => {
                let series = format!("{study}.{}", dice.roll(3));
                lab.change(Change::Delete(Scope::series(series))).await;
            }
            4 => {
                let one = format!("{study}.{}.{}", dice.roll(3), dice.roll(4));
                lab.change(Change::Delete(Scope::instance(one))).await;
            }
            5 => {
                let values = vec![
                    (tags::PATIENT_ID, patient),
                    (tags::STUDY_DESCRIPTION, format!("said {}", dice.roll(9))),
                ];
                lab.change(Change::Relabel { study: Uid::new(study), values }).await;
            }
            6 => {
                let from = format!("P{}", dice.roll(4));
                lab.change(Change::Merge { from, into: patient, values: Vec::new() }).await;
            }
            7 | 8 => {
                let (level, resource) = match dice.roll(3) {
                    0 => (Level::Patient, patient),
                    1 => (Level::Study, study),
                    _ => (Level::Series, format!("{study}.{}", dice.roll(3))),
                };
                let (label, on) = (format!("l{}", dice.roll(3)), dice.roll(3) > 0);
                lab.change(Change::Label { level, resource, label, on }).await;
            }
            9 => {
                let on = dice.roll(2) == 0;
                lab.change(Change::Protect { patient_id: patient, on }).await;
            }
            _ => {
                let large = if dice.roll(15) == 0 { 2 << 20 } else { 0 };
                let pixels = large + 100 + dice.roll(2000) as usize;
                let one =
                    object(&patient, &study, dice.roll(3) as u32, dice.roll(4) as u32, pixels);
                lab.store(&one).await;
            }
        }
    }
}
