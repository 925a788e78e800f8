//! Copies that are taken while the archive works.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;

use pacslab_archive::{Change, Scope, check};
use pacslab_store::backup::{backup, restore};
use support::{Lab, dump, entry, object, random_history};

/// A copy of the folder, opened.
fn reopened(copy: &Path) -> Lab {
    let folder = tempfile::tempdir().unwrap();
    restore(copy, &folder.path().join("r")).unwrap();
    let lab = Lab::new();
    let Lab { archive, events, blobs, index, folder: old } = lab;
    drop((archive, events, blobs, index));
    std::fs::remove_dir_all(old.path().join("packs")).unwrap();
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(old.path().join(name));
    }
    std::fs::rename(folder.path().join("r/packs"), old.path().join("packs")).unwrap();
    Lab::open(old)
}

/// What a department would have put there.
fn with_format(lab: &Lab) {
    std::fs::write(lab.folder.path().join("format"), "1\n").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_holds_all_and_the_next_one_only_what_is_new() {
    let lab = Lab::new();
    with_format(&lab);
    let to = tempfile::tempdir().unwrap();
    let mut last = 0;
    for part in 0..5 {
        random_history(&lab, 300 + part, 40).await;
        if part % 2 == 1 {
            lab.archive.compact(90).await.unwrap();
        }
        let copied = backup(lab.folder.path(), to.path()).unwrap();
        let now = dump(&lab);
        let again = reopened(to.path());
        assert_eq!(dump(&again), now, "part {part}");
        let checked = check(&*again.blobs, &*again.index, &mut |_| {}).unwrap();
        assert!(checked.is_whole(), "part {part}: {:?}", checked.findings);
        last = copied.packs;
    }
    let same = backup(lab.folder.path(), to.path()).unwrap();
    assert_eq!((same.packs, same.new), (last, 1), "only the log that is written to");
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_taken_while_all_goes_on_are_whole() {
    let lab = Lab::new();
    with_format(&lab);
    for number in 0..30 {
        lab.store(&object("P1", "1.2", 1, number, 1500)).await;
    }
    let to = tempfile::tempdir().unwrap();
    let (from, target) = (lab.folder.path().to_owned(), to.path().to_owned());
    let copying = tokio::task::spawn_blocking(move || {
        for _ in 0..8 {
            backup(&from, &target).unwrap();
        }
    });
    let mut round = 0;
    while !copying.is_finished() {
        round += 1;
        lab.store(&entry("P2", "1.3", 1, round)).await;
        lab.store(&object("P3", "1.4", 1, round, if round % 9 == 0 { 2 << 20 } else { 900 })).await;
        if round % 7 == 0 {
            lab.change(Change::Delete(Scope::study("1.3"))).await;
        }
        if round % 40 == 0 {
            lab.archive.compact(60).await.unwrap();
        }
    }
    copying.await.unwrap();
    let again = reopened(to.path());
    let checked = check(&*again.blobs, &*again.index, &mut |_| {}).unwrap();
    assert!(checked.is_whole(), "{:?}", checked.findings);
    assert!(checked.objects >= 30, "{checked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_overwritten() {
    let lab = Lab::new();
    with_format(&lab);
    lab.store(&entry("P1", "1.2", 1, 1)).await;
    let to = tempfile::tempdir().unwrap();
    std::fs::write(to.path().join("mine.txt"), "x").unwrap();
    let error = backup(lab.folder.path(), to.path()).unwrap_err().to_string();
    assert!(error.contains("no backup"), "{error}");
    assert!(restore(lab.folder.path(), to.path()).unwrap_err().to_string().contains("not empty"));
    std::fs::remove_file(to.path().join("mine.txt")).unwrap();
    let error = restore(to.path(), &to.path().join("new")).unwrap_err().to_string();
    assert!(error.contains("no complete backup"), "{error}");
    assert!(backup(lab.folder.path(), lab.folder.path()).is_err(), "onto itself");
}
