//! Room is given back while the archive works, and nothing else changes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use pacslab_archive::{Change, Scope, check};
use pacslab_store::{Index as _, Role};
use support::{Lab, Layout, dump, entry, object, random_history};

#[tokio::test(flavor = "multi_thread")]
async fn what_was_deleted_gives_its_room_back() {
    let lab = Lab::new();
    for number in 0..60 {
        lab.store(&object("P1", "1.2", number % 4, number, 1500)).await;
    }
    lab.store(&object("P1", "1.3", 1, 1, 2 << 20)).await;
    let before = lab.blobs.usage().on_disk;
    let kept = lab.archive.instances(Scope::series("1.2.0")).await.unwrap();
    assert_eq!(lab.archive.compact(50).await.unwrap().rewritten, 0, "all of it is needed");
    for series in 1..4 {
        lab.change(Change::Delete(Scope::series(format!("1.2.{series}")))).await;
    }
    lab.change(Change::Delete(Scope::study("1.3"))).await;
    lab.events.take();
    let state = dump(&lab);
    let done = lab.archive.compact(50).await.unwrap();
    assert!(done.rewritten >= 2 && done.removed > done.rewritten, "{done:?}");
    assert!(done.freed > (2 << 20) && lab.blobs.usage().on_disk < before - done.freed + 1);
    let events = lab.events.take();
    assert_eq!(events.last().unwrap().kind, "archive.compacted");
    // those who looked before it find what they looked for
    for stored in &kept {
        let at = lab.index.known(std::slice::from_ref(&stored.sop_instance)).unwrap()[0]
            .clone()
            .unwrap();
        let (_, bytes) = object("P1", "1.2", 0, number(stored.sop_instance.as_str()), 1500);
        assert!(lab.archive.object(stored).await.unwrap().dataset() == bytes);
        assert!(at.location != stored.location || lab.blobs.read(&at.location).is_ok());
    }
    assert_eq!(dump(&lab), state);
    assert_eq!(lab.archive.compact(50).await.unwrap().rewritten, 0, "once is enough");
    let lab = lab.rebuilt();
    assert_eq!(dump(&lab), state);
    assert!(lab.blobs.packs().iter().all(|pack| !matches!(pack.role, Role::Replaced { .. })));
}

/// Where each object is a file, it goes with the deletion; the index tells the same when it is made
/// again, and compaction says that there is nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_when_its_object_is_deleted() {
    let lab = Lab::with(Layout::Files);
    for number in 0..12 {
        lab.store(&object("P1", "1.2", number % 2, number, 1500)).await;
    }
    lab.store(&object("P1", "1.3", 1, 1, 2 << 20)).await;
    let files = |lab: &Lab| -> Vec<String> {
        let folder = lab.folder.path().join("objects/000/000");
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(files(&lab).len(), 13);
    lab.change(Change::Delete(Scope::series("1.2.1"))).await;
    lab.change(Change::Delete(Scope::study("1.3"))).await;
    assert_eq!(files(&lab).len(), 6);
    // what comes again is a new file
    assert!(lab.store(&object("P1", "1.2", 1, 1, 1500)).await);
    let done = lab.archive.compact(100).await.unwrap();
    assert!(done.needless && done.removed == 0, "{done:?}");
    let (state, left) = (dump(&lab), files(&lab));
    assert_eq!(left.len(), 7);
    let lab = lab.rebuilt();
    assert_eq!((dump(&lab), files(&lab)), (state, left));
    for stored in lab.index.instances(&all(&lab)).unwrap() {
        lab.archive.object(&stored).await.unwrap();
    }
    let checked = check(&*lab.blobs, &*lab.index, &mut |_| {}).unwrap();
    assert!(checked.is_whole(), "{:?}", checked.findings);
    assert_eq!(checked.objects, 7);
}

fn number(sop: &str) -> u32 {
    sop.rsplit('.').next().unwrap().parse().unwrap()
}

/// Names of patients that are gone are in no file any more.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_patient_who_is_gone_no_name_remains() {
    let lab = Lab::new();
    lab.store(&entry("SECRET", "1.2", 1, 1)).await;
    for number in 0..40 {
        lab.store(&object("P1", "1.3", 1, number, 1500)).await;
    }
    lab.change(Change::Delete(Scope::patient("SECRET"))).await;
    let holds = |lab: &Lab, text: &str| {
        let files = std::fs::read_dir(lab.folder.path().join("packs")).unwrap();
        files
            .map(|file| std::fs::read(file.unwrap().path()).unwrap())
            .any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
    };
    assert!(holds(&lab, "DOE^SECRET"));
    lab.archive.compact(100).await.unwrap();
    assert!(!holds(&lab, "DOE^SECRET"), "the name is still there");
    assert!(holds(&lab, "DOE^P1"));
}

/// Whatever happened before and between, the index is the same and the packs tell it again.
#[tokio::test(flavor = "multi_thread")]
async fn compaction_in_random_histories_changes_nothing() {
    let mut rewritten = 0;
    for seed in 100..106 {
        let mut lab = Lab::new();
        for part in 0..4 {
            random_history(&lab, seed * 10 + part, 40).await;
            let before = dump(&lab);
            rewritten += lab.archive.compact(90).await.unwrap().rewritten;
            assert_eq!(dump(&lab), before, "seed {seed}");
            for stored in lab.index.instances(&all(&lab)).unwrap() {
                lab.blobs.read(&stored.location).unwrap();
            }
            if part % 2 == 1 {
                lab = lab.rebuilt();
                let after = dump(&lab);
                assert!(after == before, "seed {seed}:\n{before}\n--- made again:\n{after}");
            }
        }
    }
    assert!(rewritten > 10, "only {rewritten} packs were rewritten");
}

fn all(lab: &Lab) -> Scope {
    let arrivals = lab.index.arrivals_after(0, 100_000).unwrap();
    Scope {
        sop_instances: arrivals.into_iter().map(|arrival| arrival.sop_instance).collect(),
        ..Scope::default()
    }
}

/// Reads, stores and deletions go on while packs are rewritten over and over.
#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_while_packs_are_rewritten() {
    let lab = Lab::new();
    for number in 0..40 {
        lab.store(&object("P1", "1.2", 1, number, 1500)).await;
    }
    let found = lab.archive.instances(Scope::study("1.2")).await.unwrap();
    let archive = lab.archive.clone();
    let compacting = tokio::spawn(async move {
        for _ in 0..12 {
            archive.compact(100).await.unwrap();
        }
    });
    let mut round = 0;
    while !compacting.is_finished() || round == 0 {
        round += 1;
        let (one, two) = (entry("P2", "1.3", 1, round), entry("P2", "1.3", 2, round));
        lab.store(&one).await;
        lab.store(&two).await;
        lab.change(Change::Delete(Scope::series("1.3.1"))).await;
        for stored in &found {
            let object = lab.archive.object(stored).await.unwrap();
            assert_eq!(object.meta.sop_instance, stored.sop_instance);
        }
    }
    compacting.await.unwrap();
    assert_eq!(lab.archive.counts().await.unwrap().instances, 40 + u64::from(round));
    let before = dump(&lab);
    assert_eq!(dump(&lab.rebuilt()), before);
}
