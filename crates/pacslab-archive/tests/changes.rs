//! Deletion, relabelling, merging, labels and protection; and that the packs tell all of it again.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use pacslab_archive::{Change, Origin, Scope};
use pacslab_model::{Level, Uid, tags};
use support::{Lab, Layout, dump, entry, random_history};

fn delete(scope: Scope) -> Change {
    Change::Delete(scope)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_gone_and_may_come_again() {
    let lab = Lab::new();
    lab.store(&entry("P1", "1.2", 1, 1)).await;
    lab.store(&entry("P1", "1.2", 2, 1)).await;
    lab.store(&entry("P1", "1.3", 1, 1)).await;
    let by = Origin { calling_ae: "PYMOD1".into(), remote: "127.0.0.1:5".into() };
    let gone = lab.archive.change(delete(Scope::series("1.2.2")), by).await.unwrap();
    assert_eq!(gone.deleted.len(), 1);
    assert_eq!(lab.archive.counts().await.unwrap().series, 2);
    let events = lab.events.take();
    let event = events.last().unwrap();
    assert_eq!((&*event.kind, event.ids.study_uid.as_str()), ("archive.deleted", "1.2"));
    assert!(event.fields.iter().any(|(name, value)| name == "by" && value == "PYMOD1@127.0.0.1:5"));
    let again = lab.change(delete(Scope::series("1.2.2"))).await;
    assert!(!again.found && lab.events.take().is_empty(), "nothing there, nothing told");
    lab.change(delete(Scope::patient("P1"))).await;
    let counts = lab.archive.counts().await.unwrap();
    assert_eq!((counts.patients, counts.instances, counts.size), (0, 0, 0));
    assert!(lab.store(&entry("P1", "1.2", 1, 1)).await, "it is new again");
    let lab = lab.rebuilt();
    assert_eq!(lab.archive.counts().await.unwrap().instances, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_study_moves_to_another_patient_and_patients_become_one() {
    let lab = Lab::new();
    for study in ["1.2", "1.3"] {
        lab.store(&entry("P1", study, 1, 1)).await;
    }
    lab.store(&entry("P2", "1.4", 1, 1)).await;
    let moves = lab.archive.moves();
    let values = vec![(tags::PATIENT_ID, "P2".into()), (tags::STUDY_DESCRIPTION, "X".into())];
    lab.change(Change::Relabel { study: Uid::new("1.2"), values }).await;
    assert_ne!(lab.archive.moves(), moves);
    assert_eq!(lab.archive.instances(Scope::patient("P2")).await.unwrap().len(), 2);
    let name = vec![(tags::PATIENT_NAME, "ROE^RICHARD".to_owned())];
    let merge = Change::Merge { from: "P2".into(), into: "P1".into(), values: name };
    assert_eq!(lab.change(merge.clone()).await.studies, 2);
    assert!(!lab.change(merge).await.found, "P2 is no more");
    assert_eq!(lab.archive.counts().await.unwrap().patients, 1);
    assert_eq!(lab.archive.instances(Scope::patient("P1")).await.unwrap().len(), 3);
    let before = dump(&lab);
    assert!(before.contains("ROE^RICHARD"), "{before}");
    assert_eq!(dump(&lab.rebuilt()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_protection_are_told_again_by_the_packs() {
    let lab = Lab::new();
    lab.store(&entry("P1", "1.2", 1, 1)).await;
    let label = |on| Change::Label {
        level: Level::Study,
        resource: "1.2".into(),
        label: "teaching".into(),
        on,
    };
    assert!(lab.change(label(true)).await.found);
    assert!(lab.change(Change::Protect { patient_id: "P1".into(), on: true }).await.found);
    let nobody = Change::Protect { patient_id: "P9".into(), on: true };
    let end = lab.blobs.position();
    assert!(!lab.change(nobody).await.found);
    assert_eq!(lab.blobs.position(), end, "what changes nothing is not recorded");
    let lab = lab.rebuilt();
    assert_eq!(lab.archive.labels_of(Level::Study, "1.2").await.unwrap(), ["teaching"]);
    assert!(lab.archive.is_protected("P1").await.unwrap());
    lab.change(label(false)).await;
    assert!(lab.rebuilt().archive.labels().await.unwrap().is_empty());
}

/// The index is the same whether it was there all the time or is made again from the packs.
#[tokio::test(flavor = "multi_thread")]
async fn random_histories_are_replayed_to_the_same_index() {
    for (seed, layout) in (0..6).flat_map(|seed| Layout::ALL.map(|layout| (seed, layout))) {
        let lab = Lab::with(layout);
        random_history(&lab, seed, 100).await;
        let before = dump(&lab);
        let after = dump(&lab.rebuilt());
        assert!(before == after, "seed {seed} {layout:?}: \n{before}\n--- made again:\n{after}");
    }
}
