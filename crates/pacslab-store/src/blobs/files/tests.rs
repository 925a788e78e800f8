use super::*;
use crate::suite::{self, sim::SimDisk};

/// A small log, so that a short test sees many packs; one file after the other, so that what
/// happens follows from the seed.
const SMALL: FilesOptions = FilesOptions {
    log: PackOptions {
        limit: 2 << 10,
        grow: (512, 1 << 10),
        mark: 700,
        in_place: 500,
        large: 128 << 10,
    },
    at_once: 1,
};

fn open(disk: SimDisk, dir: &Path) -> Result<Arc<dyn Blobs>> {
    Ok(Arc::new(FilesBlobs::open_on(Arc::new(disk), dir, &dir.join("objects"), SMALL)?))
}

fn on_disk(dir: &Path) -> Result<FilesBlobs> {
    FilesBlobs::open(&dir.join("packs"), &dir.join("objects"), FilesOptions::default())
}

fn put(blobs: &FilesBlobs, body: &[u8]) -> Location {
    let record = Record { kind: Kind::Instance, note: b"", head: b"", body };
    blobs.append(&[record]).unwrap().locations[0]
}

#[test]
fn files_keep_the_contract() {
    let root = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    for options in [FilesOptions::default(), SMALL] {
        suite::blobs(&|| {
            count.set(count.get() + 1);
            let dir = root.path().join(count.get().to_string());
            let blobs = FilesBlobs::open(&dir.join("packs"), &dir.join("objects"), options);
            Arc::new(blobs.unwrap())
        });
    }
    suite::blobs(&|| open(SimDisk::new(1), Path::new("/x")).unwrap());
}

#[test]
fn power_failures_lose_nothing_acknowledged() {
    for seed in 0..400 {
        suite::power_failures(seed, &open);
    }
}

#[test]
fn what_is_released_stays_gone_whenever_the_power_fails() {
    for seed in 0..300 {
        suite::compaction(seed, &open);
    }
}

#[test]
fn failed_syncs_and_full_disks() {
    suite::failing_sync(&open);
    suite::full_disk(&open);
}

/// What other programs see: each object in a file of its own, nothing before or behind it.
#[test]
fn a_file_is_the_object() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = on_disk(dir.path()).unwrap();
    let record = |body| Record { kind: Kind::Instance, note: b"", head: b"DICM", body };
    let delete = Record { kind: Kind::Delete, note: b"", head: b"", body: b"1.2" };
    blobs.append(&[record(b"one"), delete, record(b"three")]).unwrap();
    let mut segment = blobs.begin_segment().unwrap();
    segment.write(b"DICM large").unwrap();
    blobs.adopt(segment.seal().unwrap(), Kind::Instance, b"").unwrap();
    let file =
        |number: u64| std::fs::read(dir.path().join(format!("objects/000/000/{number:09}.dcm")));
    assert_eq!(file(1).unwrap(), b"DICMone");
    assert!(file(2).is_err(), "no object");
    assert_eq!(file(3).unwrap(), b"DICMthree");
    assert_eq!(file(4).unwrap(), b"DICM large");
    let files = std::fs::read_dir(dir.path().join("objects/000/000")).unwrap().count();
    assert_eq!(files, 3, "and nothing else");
    drop(blobs);
    let blobs = on_disk(dir.path()).unwrap();
    blobs.sweep().unwrap();
    assert_eq!(put(&blobs, b"five").offset, 5);
    assert_eq!(file(4).unwrap(), b"DICM large");
}

#[test]
fn a_thousand_files_share_a_folder() {
    let tree = Tree { disk: Arc::new(StdDisk), path: PathBuf::from("x") };
    for (number, path) in [
        (1, "x/000/000/000000001.dcm"),
        (1_234_567, "x/001/234/001234567.dcm"),
        (1_234_567_890, "x/1234/567/1234567890.dcm"),
    ] {
        assert_eq!(tree.file(number), Path::new(path));
    }
}

/// A batch whose power went between its files and its record.
#[test]
fn files_that_no_record_names_go_when_the_index_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = on_disk(dir.path()).unwrap();
    let first = put(&blobs, b"first");
    drop(blobs);
    let stray =
        |number: u64| dir.path().join(format!("objects/000/00{}/{number:09}.dcm", number / 1000));
    std::fs::create_dir_all(dir.path().join("objects/000/001")).unwrap();
    for number in [2, 1_001] {
        std::fs::write(stray(number), "half").unwrap();
    }
    std::fs::write(dir.path().join("objects/readme.txt"), "mine").unwrap();
    let blobs = on_disk(dir.path()).unwrap();
    assert!(stray(2).exists());
    blobs.sweep().unwrap();
    assert!(!stray(2).exists() && !stray(1_001).exists());
    assert!(dir.path().join("objects/readme.txt").exists());
    assert_eq!(blobs.read(&first).unwrap(), b"first");
}

/// One flipped bit in the log must not cost the files that the records behind it name.
#[test]
fn a_damaged_log_costs_no_objects() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = on_disk(dir.path()).unwrap();
    let all: Vec<Location> =
        [&b"first"[..], b"second", b"third"].map(|body| put(&blobs, body)).into();
    drop(blobs);
    let path = dir.path().join("packs/000001.pack");
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[record::PACK_HEADER + RECORD_HEADER + 5] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    std::fs::remove_file(dir.path().join("packs/end.mark")).unwrap();
    let blobs = on_disk(dir.path()).unwrap();
    assert_eq!(blobs.position().sequence, 0);
    blobs.sweep().unwrap();
    put(&blobs, b"another");
    drop(blobs);
    // the log is brought back from a backup, the new one goes
    std::fs::remove_file(dir.path().join("packs/000002.pack")).unwrap();
    std::fs::remove_file(dir.path().join("objects/000/000/000000001.dcm")).unwrap();
    std::fs::write(&path, &whole).unwrap();
    let blobs = on_disk(dir.path()).unwrap();
    blobs.sweep().unwrap();
    for (at, body) in all.iter().zip([&b"first"[..], b"second", b"third"]) {
        assert_eq!(blobs.read(at).unwrap(), body);
    }
    drop(blobs);
    std::fs::remove_dir_all(dir.path().join("packs")).unwrap();
    std::fs::write(dir.path().join("objects/000/000/000000001.dcm"), "x").unwrap();
    let error = on_disk(dir.path()).unwrap_err().to_string();
    assert!(error.contains("1 objects lie here"), "{error}");
}

#[test]
fn files_that_others_changed_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = on_disk(dir.path()).unwrap();
    let at = put(&blobs, b"some object");
    let path = dir.path().join("objects/000/000/000000001.dcm");
    std::fs::write(&path, "same length").unwrap();
    let error = blobs.read(&at).unwrap_err().to_string();
    assert!(error.contains("000000001.dcm") && error.contains("CRC"), "{error}");
    std::fs::write(&path, "shorter").unwrap();
    let error = blobs.read(&at).unwrap_err().to_string();
    assert!(error.contains("7 bytes, and had 11"), "{error}");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(blobs.read(&at), Err(StoreError::NoSuchLocation(_))));
}
