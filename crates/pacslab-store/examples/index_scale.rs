//! The index as it grows: `cargo run --release -p pacslab-store --example index_scale -- DIR
//! [STUDIES] [IMAGES PER STUDY] [BATCH]`. Says what an image costs (time and processor) at each
//! step, then what questions cost, what is held in memory, and how long opening takes.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a tool for developers")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pacslab_model::{Key, Level, Moment, Query, Tag, Uid, Vr, tags};
use pacslab_store::suite::sim::Dice;
use pacslab_store::{Index, Location, NewInstance, Position, Source, SqliteIndex};

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = PathBuf::from(args.next().unwrap_or_else(|| "target/index_scale".to_owned()));
    let mut number = |usual: u64| args.next().map_or(usual, |text| text.parse().unwrap());
    let (studies, images, batch) = (number(20_000), number(1), number(1));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("index.db");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
    }
    println!("memory at start {} KiB", memory());
    let index = SqliteIndex::open(&path).unwrap();
    fill(&index, studies, images, batch as usize);
    let size = |suffix: &str| {
        std::fs::metadata(format!("{}{suffix}", path.display())).map_or(0, |meta| meta.len() >> 20)
    };
    println!("index.db {} MiB, log {} MiB, memory {} KiB", size(""), size("-wal"), memory());
    drop(index);
    let started = Instant::now();
    let index = SqliteIndex::open(&path).unwrap();
    let position = index.position().unwrap();
    println!(
        "opened in {:?}, position {}, memory {} KiB",
        started.elapsed(),
        position.sequence,
        memory()
    );
    ask(&index, studies);
    println!("memory after queries {} KiB", memory());
    drop(index);
    clean(&dir);
}

fn clean(dir: &Path) {
    let _ = std::fs::remove_dir_all(dir);
}

const FAMILIES: [&str; 20] = [
    "SMITH", "JONES", "DOE", "BROWN", "GARCIA", "MILLER", "DAVIS", "LOPEZ", "WILSON", "MOORE",
    "TAYLOR", "WHITE", "CLARK", "LEWIS", "YOUNG", "KING", "SCOTT", "ADAMS", "BAKER", "NELSON",
];
const GIVEN: [&str; 12] = [
    "JANE", "JOHN", "MARY", "PAUL", "ANNA", "PETER", "LUCY", "MARK", "EVA", "TOM", "JAMES", "RUTH",
];

/// As random as what scanners make; the same number gives the same UID.
fn uid(kind: u64, number: u64) -> String {
    let mut dice = Dice::new(kind * 1_000_003 + number);
    dice.roll(1);
    format!("1.2.826.0.1.3680043.8.498.{}{}.{kind}", dice.roll(u64::MAX >> 12), dice.roll(1 << 40))
}

fn day(number: u64) -> String {
    let (year, month, day) = (2010 + number / 336 % 10, number / 28 % 12 + 1, number % 28 + 1);
    format!("{year}{month:02}{day:02}")
}

fn image(study: u64, number: u64) -> NewInstance {
    let mut dice = Dice::new(study);
    let patient = study / 2;
    let (family, given) = (FAMILIES[dice.roll(20) as usize], GIVEN[dice.roll(12) as usize]);
    let date = day(dice.roll(3360));
    let series = number / 20;
    let text = |tag: Tag, value: &str| (tag, value.to_owned());
    let attributes = vec![
        text(tags::PATIENT_NAME, &format!("{family}^{given}{patient}")),
        text(tags::PATIENT_BIRTH_DATE, "19610203"),
        text(tags::PATIENT_SEX, "F"),
        text(tags::STUDY_DATE, &date),
        text(tags::STUDY_TIME, "101530"),
        text(tags::ACCESSION_NUMBER, &format!("ACC{study:08}")),
        text(tags::STUDY_ID, &format!("{study}")),
        text(tags::STUDY_DESCRIPTION, "CT abdomen with contrast"),
        text(tags::REFERRING_PHYSICIAN_NAME, "HOUSE^GREGORY"),
        text(tags::INSTITUTION_NAME, "General Hospital"),
        text(tags::MODALITY, ["CT", "MR", "CR", "US"][(study % 4) as usize]),
        text(tags::SERIES_NUMBER, &(series + 1).to_string()),
        text(tags::SERIES_DESCRIPTION, "axial 5 mm soft tissue"),
        text(tags::SERIES_DATE, &date),
        text(tags::SERIES_TIME, "101540"),
        text(tags::BODY_PART_EXAMINED, "ABDOMEN"),
        text(tags::PROTOCOL_NAME, "Abdomen routine"),
        text(tags::STATION_NAME, &format!("CT{}", study % 7)),
        text(tags::MANUFACTURER, "PACS Lab"),
        text(tags::FRAME_OF_REFERENCE_UID, &uid(4, study)),
        text(tags::INSTANCE_NUMBER, &(number % 20 + 1).to_string()),
        text(tags::CONTENT_DATE, &date),
        text(tags::CONTENT_TIME, "101541.250000"),
        text(tags::IMAGE_TYPE, "ORIGINAL\\PRIMARY\\AXIAL"),
        text(tags::ROWS, "64"),
        text(tags::COLUMNS, "64"),
        text(tags::BITS_ALLOCATED, "16"),
        text(tags::IMAGE_POSITION_PATIENT, "-160.5\\-160.5\\12.5"),
        text(tags::SLICE_LOCATION, "12.5"),
    ];
    NewInstance {
        attributes,
        patient_id: format!("PID{patient:08}"),
        study_uid: Uid::new(uid(1, study)),
        series_uid: Uid::new(uid(2, study * 1000 + series)),
        sop_instance: Uid::new(uid(3, study * 100_000 + number)),
        sop_class: Uid::new("1.2.840.10008.5.1.4.1.1.2"),
        transfer_syntax: Uid::new("1.2.840.10008.1.2.1"),
        size: 8742,
        digest: [study as u8; 32],
        location: Location { pack: 1, offset: study * 9000, len: 8742, crc: 7 },
        received_at: Moment::new(1_767_225_600_000_000 + study as i64 * 1000, 3600),
        source: Source { calling_ae: "LOADGEN".to_owned(), remote: "127.0.0.1:50112".to_owned() },
    }
}

/// Steps of the report: how much grows between two lines.
const STEPS: u64 = 10;

fn fill(index: &SqliteIndex, studies: u64, images: u64, batch: usize) {
    let all = studies * images;
    let mut sequence = 0;
    let mut done = 0;
    for step in 0..STEPS {
        let end = all * (step + 1) / STEPS;
        let (mut wall, mut cpu, mut slowest) = (Duration::ZERO, 0, Duration::ZERO);
        let first = done;
        while done < end {
            let entries: Vec<NewInstance> = (done..(done + batch as u64).min(end))
                .map(|n| image(n / images, n % images))
                .collect();
            done += entries.len() as u64;
            sequence += entries.len() as u64;
            let upto = Position { sequence, pack: 1, offset: sequence };
            let uids: Vec<Uid> = entries.iter().map(|new| new.sop_instance.clone()).collect();
            let (started, spent) = (Instant::now(), own_cpu());
            // what the committer does with each batch
            index.known(&uids).unwrap();
            index.ingest(&entries, upto).unwrap();
            wall += started.elapsed();
            cpu += own_cpu() - spent;
            slowest = slowest.max(started.elapsed());
        }
        let each = |nanos: f64| nanos / 1e3 / (done - first) as f64;
        println!(
            "{done:>8} images, {batch} per batch: {:.1} us each, {:.1} us cpu (this thread), slowest batch {slowest:?}, all threads {:.1} s",
            each(wall.as_nanos() as f64),
            each(cpu as f64),
            all_cpu() as f64 / 1e9,
        );
    }
}

/// Nanoseconds on a processor; 0 where that cannot be asked.
fn own_cpu() -> u64 {
    cpu_of(Path::new("/proc/thread-self/schedstat"))
}

fn cpu_of(path: &Path) -> u64 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

fn all_cpu() -> u64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else { return 0 };
    threads.flatten().map(|thread| cpu_of(&thread.path().join("schedstat"))).sum()
}

/// KiB that are resident, files that are mapped left out and with them.
fn memory() -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or("?").to_owned()
    };
    format!("{} (own {})", field("VmRSS:"), field("RssAnon:"))
}

fn ask(index: &SqliteIndex, studies: u64) {
    let mut dice = Dice::new(7);
    let key = |tag, vr, text: &str| Key::parse(tag, vr, text).unwrap();
    type Make<'a> = Box<dyn Fn(u64) -> Query + 'a>;
    let study = |tag, vr, text: String| Query::new(Level::Study).key(key(tag, vr, &text));
    let family = |n: u64| FAMILIES[n as usize % 20];
    let questions: Vec<(&str, Make<'_>)> = vec![
        (
            "accession",
            Box::new(|n| study(tags::ACCESSION_NUMBER, Vr::SH, format!("ACC{:08}", n % studies))),
        ),
        (
            "patient id",
            Box::new(|n| study(tags::PATIENT_ID, Vr::LO, format!("PID{:08}", n % (studies / 2)))),
        ),
        ("study uid", Box::new(|n| study(tags::STUDY_INSTANCE_UID, Vr::UI, uid(1, n % studies)))),
        (
            "name SMI*",
            Box::new(|n| study(tags::PATIENT_NAME, Vr::PN, format!("{}*", &family(n)[..3]))),
        ),
        (
            "name SMITH^JA*",
            Box::new(|n| study(tags::PATIENT_NAME, Vr::PN, format!("{}^JA*", family(n)))),
        ),
        (
            "name SMI*, 100 newest",
            Box::new(|n| Query {
                limit: Some(100),
                ..study(tags::PATIENT_NAME, Vr::PN, format!("{}*", &family(n)[..3]))
            }),
        ),
        (
            "name *MIT*",
            Box::new(|n| study(tags::PATIENT_NAME, Vr::PN, format!("*{}*", &family(n)[1..]))),
        ),
        (
            "name *1234",
            Box::new(|n| study(tags::PATIENT_NAME, Vr::PN, format!("*A{}", n % (studies / 2)))),
        ),
        (
            "7 days",
            Box::new(|n| {
                study(
                    tags::STUDY_DATE,
                    Vr::DA,
                    format!("{}-{}", day(n % 480 * 7), day(n % 480 * 7 + 6)),
                )
            }),
        ),
        (
            "one day, MR",
            Box::new(|n| {
                study(tags::STUDY_DATE, Vr::DA, day(n % 3360)).key(key(
                    tags::MODALITIES_IN_STUDY,
                    Vr::CS,
                    "MR",
                ))
            }),
        ),
        (
            "MR, 50 newest",
            Box::new(|_| Query {
                limit: Some(50),
                ..study(tags::MODALITIES_IN_STUDY, Vr::CS, "MR".into())
            }),
        ),
        (
            "accession ACC000012*",
            Box::new(|n| {
                study(tags::ACCESSION_NUMBER, Vr::SH, format!("ACC{:07}*", n % studies / 10))
            }),
        ),
        (
            "accession *123",
            Box::new(|n| study(tags::ACCESSION_NUMBER, Vr::SH, format!("*{:06}", n % studies))),
        ),
        ("20 newest", Box::new(|_| Query { limit: Some(20), ..Query::new(Level::Study) })),
        (
            "offset 10000, 20",
            Box::new(|_| Query { limit: Some(20), offset: 10_000, ..Query::new(Level::Study) }),
        ),
        (
            "series of a study",
            Box::new(|n| {
                Query::new(Level::Series).key(key(
                    tags::STUDY_INSTANCE_UID,
                    Vr::UI,
                    &uid(1, n % studies),
                ))
            }),
        ),
        (
            "images of a series",
            Box::new(|n| {
                Query::new(Level::Instance).key(key(
                    tags::SERIES_INSTANCE_UID,
                    Vr::UI,
                    &uid(2, n % studies * 1000),
                ))
            }),
        ),
        (
            "station CT3, 50",
            Box::new(|_| Query {
                limit: Some(50),
                ..Query::new(Level::Series).key(key(tags::STATION_NAME, Vr::SH, "CT3"))
            }),
        ),
    ];
    for (what, make) in &questions {
        let mut times = Vec::new();
        let mut rows = 0;
        let begun = Instant::now();
        while times.len() < 50 && (times.len() < 5 || begun.elapsed() < Duration::from_secs(2)) {
            let query = make(dice.roll(1 << 30));
            let started = Instant::now();
            rows = index.find(&query).unwrap().len();
            times.push(started.elapsed());
        }
        times.sort();
        println!(
            "    find {what}: p50 {:?}, longest {:?}, {rows} rows",
            times[times.len() / 2],
            times[times.len() - 1]
        );
    }
    let started = Instant::now();
    for _ in 0..100 {
        index.counts().unwrap();
    }
    println!("    counts: {:?}", started.elapsed() / 100);
}
