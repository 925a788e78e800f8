use super::*;
use crate::suite::{self, sim::SimDisk};

/// Small, so that a short test sees many packs.
const SMALL: PackOptions = PackOptions {
    limit: 24 << 10,
    grow: (2 << 10, 8 << 10),
    mark: 3 << 10,
    in_place: 500,
    large: 4 << 10,
};

fn open(disk: SimDisk, dir: &Path) -> Result<Arc<dyn Blobs>> {
    Ok(Arc::new(PackBlobs::open_on(Arc::new(disk), dir, SMALL)?))
}

fn put(blobs: &PackBlobs, body: &[u8]) -> Location {
    let record = Record { kind: Kind::Instance, note: b"", head: b"", body };
    blobs.append(&[record]).unwrap().locations[0]
}

/// Where the file system can say so, what was just written needs no waiting.
#[test]
#[cfg(target_os = "linux")]
fn what_was_just_stored_is_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("probe");
    std::fs::write(&path, b"here").unwrap();
    let probe = std::fs::File::open(&path).unwrap();
    let can = DiskFile::read_now(&probe, &mut [0; 4], 0);
    let blobs = PackBlobs::open(dir.path(), PackOptions::default()).unwrap();
    let body = vec![7; 700 << 10];
    let at = put(&blobs, &body);
    // a pack that nobody has read yet is opened by who may wait
    blobs.read_range(&at, 0, 1).unwrap();
    let (mut reading, mut buffer) = (Reading::of(at), vec![0; 1 << 20]);
    let read = blobs.read_next_now(&mut reading, &mut buffer).map(Result::unwrap);
    assert_eq!(read, can.then_some(body.len()));
    assert!(!can || buffer[..body.len()] == body[..]);
}

/// Whose power went had no time to note where the log ends.
fn forget_the_end(dir: &Path) {
    std::fs::remove_file(dir.join("end.mark")).unwrap();
}

/// What was noted is believed as far as the packs agree with it, and no further.
#[test]
fn a_start_reads_what_came_after_the_mark() {
    let dir = tempfile::tempdir().unwrap();
    let open = || PackBlobs::open(dir.path(), PackOptions::default()).unwrap();
    let blobs = open();
    let mut spool = blobs.begin_segment().unwrap();
    spool.write(b"large").unwrap();
    let sealed = spool.seal().unwrap();
    let large = blobs.adopt(sealed, Kind::Instance, b"").unwrap().locations[0];
    put(&blobs, b"first");
    drop(blobs);
    let noted = std::fs::read(dir.path().join("end.mark")).unwrap();
    let blobs = open();
    // nothing new: what was named before is still named
    blobs.sweep().unwrap();
    assert_eq!(blobs.read(&large).unwrap(), b"large");
    let last = put(&blobs, b"last");
    drop(blobs);
    // an older mark: the rest is read
    std::fs::write(dir.path().join("end.mark"), &noted).unwrap();
    let blobs = open();
    assert_eq!(blobs.position().sequence, 3);
    assert_eq!(blobs.read(&last).unwrap(), b"last");
    drop(blobs);
    // the packs of an earlier day beside it: the mark is not believed
    let path = dir.path().join("000001.pack");
    let mut bytes = std::fs::read(&path).unwrap();
    let end = (last.offset - RECORD_HEADER as u64) as usize;
    bytes[end..].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    let blobs = open();
    assert_eq!(blobs.position().sequence, 2);
    blobs.sweep().unwrap();
    assert_eq!(blobs.read(&large).unwrap(), b"large");
}

#[test]
fn packs_keep_the_contract() {
    let root = tempfile::tempdir().unwrap();
    let count = std::cell::Cell::new(0);
    for options in [PackOptions::default(), SMALL] {
        suite::blobs(&|| {
            count.set(count.get() + 1);
            let dir = root.path().join(count.get().to_string());
            Arc::new(PackBlobs::open(&dir, options).unwrap())
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
fn compaction_keeps_what_is_wanted_whenever_the_power_fails() {
    suite::compaction_frees_room(&open);
    for seed in 0..300 {
        suite::compaction(seed, &open);
    }
}

#[test]
fn failed_syncs_and_full_disks() {
    suite::failing_sync(&open);
    suite::full_disk(&open);
}

/// Nobody knows what of the batch is on the disk: nothing goes there any more.
#[test]
fn a_pack_that_failed_is_retired() {
    let disk = SimDisk::new(3);
    let blobs = open(disk.clone(), Path::new("/packs")).unwrap();
    let put = |body| {
        let record = Record { kind: Kind::Instance, note: b"", head: b"", body };
        blobs.append(&[record]).map(|appended| appended.locations[0])
    };
    let first = put(b"first").unwrap();
    disk.fail_next_sync();
    assert!(put(b"second").is_err());
    assert_ne!(put(b"third").unwrap().pack, first.pack);
}

#[test]
fn an_empty_store_is_small_and_goes_on_where_it_ended() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = PackBlobs::open(dir.path(), PackOptions::default()).unwrap();
    assert_eq!(blobs.usage(), Usage::default());
    let first = put(&blobs, b"first");
    assert!(blobs.usage().on_disk <= 1 << 20);
    drop(blobs);
    let blobs = PackBlobs::open(dir.path(), PackOptions::default()).unwrap();
    let second = put(&blobs, b"second");
    assert_eq!(first.pack, second.pack);
    assert_eq!(blobs.position().sequence, 2);
    assert_eq!(blobs.read(&first).unwrap(), b"first");
}

/// A batch of which only the second record reached the disk, then one more of its first
/// record's length: what lies behind it looks like the next record but for its predecessor.
#[test]
fn what_an_earlier_life_left_behind_the_end_is_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let open = || PackBlobs::open(dir.path(), PackOptions::default()).unwrap();
    let record = |body| Record { kind: Kind::Instance, note: b"", head: b"", body };
    let torn = open().append(&[record(&[1; 99]), record(&[2; 99])]).unwrap();
    let path = dir.path().join("000001.pack");
    let mut bytes = std::fs::read(&path).unwrap();
    let first = torn.locations[0];
    bytes[PACK_HEADER..(first.offset + first.len) as usize].fill(0);
    std::fs::write(&path, &bytes).unwrap();
    forget_the_end(dir.path());
    let blobs = open();
    assert_eq!(blobs.position().sequence, 0);
    assert_eq!(put(&blobs, &[3; 99]).offset, first.offset);
    drop(blobs);
    assert_eq!(open().position().sequence, 1);
}

#[test]
fn flipped_bits_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = PackBlobs::open(dir.path(), PackOptions::default()).unwrap();
    let at = put(&blobs, b"some object");
    let path = dir.path().join("000001.pack");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[at.offset as usize + 3] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = blobs.read(&at).unwrap_err();
    assert!(error.to_string().contains("000001.pack"), "{error}");
    assert!(blobs.verify(&at).is_err());
    // in pieces the last one is missing, wherever the bit is
    let (mut reading, mut buffer) = (Reading::of(at), [0; 4]);
    for _ in 0..2 {
        assert_eq!(blobs.read_next(&mut reading, &mut buffer).unwrap(), 4);
    }
    let error = blobs.read_next(&mut reading, &mut buffer).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    drop(blobs);
    bytes[9] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = PackBlobs::open(dir.path(), PackOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { offset: 0, .. }), "{error}");
}

/// One flipped bit in the log had the next start delete every large object behind it.
#[test]
fn a_damaged_log_costs_no_objects() {
    let dir = tempfile::tempdir().unwrap();
    let open = || PackBlobs::open(dir.path(), PackOptions::default());
    let blobs = open().unwrap();
    let at = put(&blobs, b"some object");
    let mut segment = blobs.begin_segment().unwrap();
    segment.write(&[9; 100_000]).unwrap();
    blobs.adopt(segment.seal().unwrap(), Kind::Instance, b"").unwrap();
    drop(blobs);
    let path = dir.path().join("000001.pack");
    let whole = std::fs::read(&path).unwrap();
    let mut flipped = whole.clone();
    flipped[at.offset as usize + 3] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    open().unwrap().sweep().unwrap();
    // the pack is brought back from a backup
    std::fs::remove_file(dir.path().join("000003.pack")).ok();
    std::fs::write(&path, &whole).unwrap();
    let blobs = open().unwrap();
    blobs.sweep().unwrap();
    assert_eq!(blobs.position().sequence, 2);
    drop(blobs);
    assert!(dir.path().join("000002.pack").exists());
    std::fs::remove_file(&path).unwrap();
    let error = open().unwrap_err().to_string();
    assert!(error.contains("1 objects lie here"), "{error}");
}

#[test]
fn other_files_are_left_alone_and_unfinished_ones_go() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("readme.txt"), "mine").unwrap();
    std::fs::write(dir.path().join("000009.part"), "half").unwrap();
    std::fs::write(dir.path().join("7.pack"), "mine too").unwrap();
    std::fs::write(dir.path().join("+000008.pack"), "mine too").unwrap();
    PackBlobs::open(dir.path(), PackOptions::default()).unwrap();
    assert!(dir.path().join("readme.txt").exists());
    assert!(!dir.path().join("000009.part").exists());
}
