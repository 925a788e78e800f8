//! Copies that are taken while the archive works.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;

use pacslab_archive::{Change, Scope, check};
use pacslab_store::backup::{backup, restore};
use support::{Lab, Layout, dump, entry, object, random_history};

/// A copy of the folder, opened.
fn reopened(copy: &Path, layout: Layout) -> Lab {
    let folder = tempfile::tempdir().unwrap();
    restore(copy, &folder.path().join("r")).unwrap();
    let Lab { archive, events, blobs, index, folder: old, .. } = Lab::with(layout);
    drop((archive, events, blobs, index));
    std::fs::remove_dir_all(old.path().join("packs")).unwrap();
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(old.path().join(name));
    }
    std::fs::rename(folder.path().join("r/packs"), old.path().join("packs")).unwrap();
    if layout == Layout::Files {
        std::fs::remove_dir_all(old.path().join("objects")).unwrap();
        std::fs::rename(folder.path().join("r/objects"), old.path().join("objects")).unwrap();
    }
    Lab::open(old, layout)
}

/// What a department would have put there.
fn with_format(lab: &Lab) {
    let format = if lab.layout == Layout::Files { "2\n" } else { "1\n" };
    std::fs::write(lab.folder.path().join("format"), format).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_holds_all_and_the_next_one_only_what_is_new() {
    for layout in Layout::ALL {
        copies_one_after_the_other(layout).await;
    }
}

async fn copies_one_after_the_other(layout: Layout) {
    let lab = Lab::with(layout);
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
        let again = reopened(to.path(), layout);
        assert_eq!(dump(&again), now, "part {part}");
        let checked = check(&*again.blobs, &*again.index, &mut |_| {}).unwrap();
        assert!(checked.is_whole(), "part {part}: {:?}", checked.findings);
        last = copied.packs;
    }
    let same = backup(lab.folder.path(), to.path()).unwrap();
    assert_eq!((same.packs, same.files), (last, 0), "{same:?}");
    match layout {
        Layout::Pack => assert_eq!(same.new, 1, "only the log that is written to"),
        // what was deleted is not in the copy, and the log says so
        Layout::Files => {
            let count = |lab: &Path| files_below(&lab.join("objects"));
            assert_eq!(count(to.path()), count(lab.folder.path()));
        }
    }
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_below(&path) } else { 1 }).sum()
}

/// The layouts hold the same: the folder of one is no place for the backup of another.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_of_one_layout() {
    let to = tempfile::tempdir().unwrap();
    for layout in Layout::ALL {
        let lab = Lab::with(layout);
        with_format(&lab);
        lab.store(&entry("P1", "1.2", 1, 1)).await;
        match backup(lab.folder.path(), to.path()) {
            Ok(_) => assert_eq!(layout, Layout::Pack),
            Err(error) => assert!(error.to_string().contains("as pack, not as files"), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_taken_while_all_goes_on_are_whole() {
    for layout in Layout::ALL {
        copies_while_all_goes_on(layout).await;
    }
}

async fn copies_while_all_goes_on(layout: Layout) {
    let lab = Lab::with(layout);
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
    let again = reopened(to.path(), layout);
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
