//! What `check` finds, and what it leaves alone.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use pacslab_archive::{Change, Checked, Scope, check};
use pacslab_store::{Index as _, Position};
use support::{Lab, object, random_history};

fn checked(lab: &Lab) -> Checked {
    check(&*lab.blobs, &*lab.index, &mut |_| {}).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happened_a_whole_archive_is_whole() {
    for seed in 200..204 {
        let lab = Lab::new();
        random_history(&lab, seed, 80).await;
        let before = checked(&lab);
        assert!(before.is_whole(), "seed {seed}: {:?}", before.findings);
        assert_eq!(before.objects, lab.archive.counts().await.unwrap().instances);
        lab.archive.compact(100).await.unwrap();
        let after = checked(&lab);
        assert!(after.is_whole(), "seed {seed}: {:?}", after.findings);
        assert_eq!((after.objects, after.bytes), (before.objects, before.bytes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn flipped_bits_are_found_in_what_is_needed_only() {
    let lab = Lab::new();
    for number in 1..4 {
        lab.store(&object("P1", "1.2", 1, number, 500)).await;
    }
    lab.change(Change::Delete(Scope::instance("1.2.1.1"))).await;
    let flip = |uid: &str, at: pacslab_store::Location| {
        let path = lab.folder.path().join(format!("packs/{:06}.pack", at.pack));
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[(at.offset + at.len - 7) as usize] ^= 1;
        std::fs::write(&path, bytes).unwrap_or_else(|e| panic!("{uid}: {e}"));
    };
    let mut gone = None;
    lab.blobs
        .replay(Position::default(), &mut |record| {
            gone = gone.or(Some(record.location));
            Ok(())
        })
        .unwrap();
    flip("1.2.1.1", gone.unwrap());
    assert!(checked(&lab).is_whole(), "nobody needs it");
    let at = lab.archive.instances(Scope::instance("1.2.1.2")).await.unwrap()[0].location;
    flip("1.2.1.2", at);
    let found = checked(&lab);
    assert_eq!((found.findings.len(), found.objects), (1, 1));
    assert!(found.findings[0].what.contains("1.2.1.2"), "{:?}", found.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn index_and_packs_that_do_not_agree_are_told() {
    let lab = Lab::new();
    for number in 1..4 {
        lab.store(&object("P1", "1.2", 1, number, 500)).await;
    }
    // behind the archive's back
    let end = lab.blobs.position();
    lab.index.remove(&["1.2.1.1".into()], end).unwrap();
    let found = checked(&lab).findings;
    assert_eq!(found.len(), 1);
    assert!(found[0].what.contains("1.2.1.1") && found[0].advice.contains("--rebuild"));
    let second = lab.archive.instances(Scope::instance("1.2.1.2")).await.unwrap();
    let third = lab.archive.instances(Scope::instance("1.2.1.3")).await.unwrap();
    let moved = [(second[0].sop_instance.clone(), third[0].location)];
    lab.index.relocate(second[0].location.pack, &moved).unwrap();
    assert_eq!(checked(&lab).findings.len(), 2);
    let lab = lab.rebuilt();
    assert!(checked(&lab).is_whole());
    assert_eq!(checked(&lab).objects, 3);
}
