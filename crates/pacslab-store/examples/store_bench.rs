//! How fast this machine appends and indexes: `cargo run --release --example store_bench -- DIR`.
//! Measure the limit of the disk in the same minute; on shared hosts it varies by a factor of 40.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::path::{Path, PathBuf};
use std::time::Instant;

use pacslab_model::{Level, Query, Vr, tags};
use pacslab_store::{Blobs, Index, Kind, PackBlobs, PackOptions, Position, Record, SqliteIndex};

fn main() {
    let dir = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "target/bench".to_owned()));
    for (size, records) in [(9_344, 3_000), (525_440, 200)] {
        for batch in [1, 4, 8, 16] {
            append(&dir.join("packs"), size, records, batch);
        }
    }
    for batch in [1, 8, 100] {
        ingest(&dir.join("index.db"), batch);
    }
    both(&dir);
}

fn append(dir: &Path, size: usize, records: usize, batch: usize) {
    let _ = std::fs::remove_dir_all(dir);
    let started = Instant::now();
    let blobs = PackBlobs::open(dir, PackOptions::default()).unwrap();
    let opened = started.elapsed();
    let body = vec![7; size];
    let record = Record { kind: Kind::Instance, note: b"", head: b"", body: &body };
    let records_of_batch = vec![record; batch];
    let mut slowest = std::time::Duration::ZERO;
    let started = Instant::now();
    for _ in 0..records / batch {
        let one = Instant::now();
        blobs.append(&records_of_batch).unwrap();
        slowest = slowest.max(one.elapsed());
    }
    let rate = (records / batch * batch) as f64 / started.elapsed().as_secs_f64();
    println!(
        "append {size} bytes, {batch} per batch: {rate:.0}/s, slowest {slowest:?}, open {opened:?}"
    );
    drop(blobs);
    let started = Instant::now();
    PackBlobs::open(dir, PackOptions::default()).unwrap();
    println!("    opened again in {:?}", started.elapsed());
    let _ = std::fs::remove_dir_all(dir);
}

fn remove_db(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
}

fn object(n: u32) -> pacslab_store::NewInstance {
    let (study, series) = (n / 120, n / 30 % 4);
    let mut new = pacslab_store::suite::instance(study, series, n);
    let given: Vec<_> = new.attributes.iter().map(|(tag, _)| *tag).collect();
    // As many values as a CT image brings.
    for tag in Level::ALL.into_iter().flat_map(Level::attributes) {
        if !given.contains(tag) && tag.0 % 3 != 0 {
            new.attributes.push((*tag, "20260105".to_owned()));
        }
    }
    new
}

fn ingest(path: &Path, batch: usize) {
    remove_db(path);
    let started = Instant::now();
    let index = SqliteIndex::open(path).unwrap();
    let opened = started.elapsed();
    let objects: Vec<_> = (0..24_000).map(object).collect();
    let started = Instant::now();
    for batch in objects.chunks(batch) {
        index.ingest(batch, Position::default()).unwrap();
    }
    let each = started.elapsed().as_secs_f64() * 1e6 / objects.len() as f64;
    println!("index, {batch} per batch: {each:.1} us each, open {opened:?}");
    if batch == 100 {
        ask(&index);
    }
    remove_db(path);
}

fn ask(index: &SqliteIndex) {
    let study = |tag, vr, text| Query::new(Level::Study).with(tag, vr, text).unwrap();
    let images =
        Query::new(Level::Instance).with(tags::SERIES_INSTANCE_UID, Vr::UI, "1.2.100.2").unwrap();
    for (what, query) in [
        ("by patient id", study(tags::PATIENT_ID, Vr::LO, "P77")),
        ("by accession", study(tags::ACCESSION_NUMBER, Vr::SH, "A150")),
        ("by name prefix", study(tags::PATIENT_NAME, Vr::PN, "doe^jane9*")),
        ("30 images of a series", images),
        ("20 newest", Query { limit: Some(20), ..Query::new(Level::Study) }),
        ("all 200 studies", Query::new(Level::Study)),
    ] {
        let started = Instant::now();
        let mut rows = 0;
        for _ in 0..200 {
            rows = index.find(&query).unwrap().len();
        }
        println!("    find {what}: {rows} rows in {:?}", started.elapsed() / 200);
    }
}

/// What an image costs from the wire's end to the answer: one sync, one transaction.
fn both(dir: &Path) {
    for batch in [1, 8] {
        let packs = dir.join("packs");
        let _ = std::fs::remove_dir_all(&packs);
        remove_db(&dir.join("index.db"));
        let blobs = PackBlobs::open(&packs, PackOptions::default()).unwrap();
        let index = SqliteIndex::open(&dir.join("index.db")).unwrap();
        let body = vec![7; 9_344];
        let objects: Vec<_> = (0..4_000).map(object).collect();
        let started = Instant::now();
        for some in objects.chunks(batch) {
            let record = Record { kind: Kind::Instance, note: b"", head: b"", body: &body };
            let appended = blobs.append(&vec![record; some.len()]).unwrap();
            index.ingest(some, appended.end).unwrap();
        }
        let rate = objects.len() as f64 / started.elapsed().as_secs_f64();
        println!("append and index, {batch} per batch: {rate:.0}/s");
        let _ = std::fs::remove_dir_all(&packs);
        remove_db(&dir.join("index.db"));
    }
}
