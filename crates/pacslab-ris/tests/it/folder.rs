//! A file that is completely written, replaced or removed before a query arrives is in its answer.

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, file as part10};
use pacslab_model::event::Collect;
use pacslab_model::matching::Rules;
use pacslab_model::{Key, Tag, Uid, Vr, tags, uids};
use pacslab_ris::worklist::{Poll, answer};
use pacslab_ris::{Worklist, WorklistSettings, events};
use pacslab_store::disk::patiently;
use tempfile::TempDir;

use super::support::*;

struct Folder {
    dir: TempDir,
    events: Arc<Collect>,
    worklist: Worklist,
}

impl Folder {
    fn new(settings: WorklistSettings) -> Self {
        let dir = TempDir::new().unwrap();
        let events = Arc::new(Collect::default());
        let worklist = worklist(dir.path(), settings, &events);
        Self { dir, events, worklist }
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    fn has(&self, accession: &str) -> bool {
        !found(&self.worklist, &super::support::accession(accession)).is_empty()
    }
}

fn every_change_is_seen(rounds: usize, settings: WorklistSettings) {
    let folder = Folder::new(settings);
    let path = |name: &str| folder.dir.path().join(name);
    // the worklist itself may be reading the file between two queries
    let rename = |from, to| patiently(|| fs::rename(path(from), path(to))).unwrap();
    for round in 0..rounds {
        let (a, b) = (format!("A{round}"), format!("B{round}"));
        folder.write("plain.wl", &wl(&a));
        assert!(folder.has(&a), "created in round {round}");
        // the same length, within the same tick of the file system's clock
        folder.write("plain.wl", &wl(&b));
        assert!(folder.has(&b) && !folder.has(&a), "rewritten in place in round {round}");
        folder.write("beside.tmp", &wl(&a));
        rename("beside.tmp", "renamed.WL");
        assert!(folder.has(&a) && folder.has(&b), "renamed in round {round}");
        folder.write("beside.tmp", &wl(&b));
        rename("beside.tmp", "renamed.WL");
        assert!(!folder.has(&a), "replaced in round {round}");
        patiently(|| fs::remove_file(path("plain.wl"))).unwrap();
        rename("renamed.WL", "away.txt");
        assert!(!folder.has(&b), "gone in round {round}");
    }
    assert_eq!(folder.worklist.len(), 0);
    assert_eq!(folder.worklist.unreadable(), []);
}

#[test]
fn changes_are_seen_at_once() {
    every_change_is_seen(400, WorklistSettings::default());
}

#[test]
fn changes_are_seen_at_once_where_there_are_no_events() {
    every_change_is_seen(60, WorklistSettings { poll: Poll::Always, ..Default::default() });
}

#[test]
fn nobody_misses_a_file_while_others_write_and_ask() {
    let folder = Folder::new(WorklistSettings::default());
    std::thread::scope(|scope| {
        for writer in 0..3 {
            let folder = &folder;
            scope.spawn(move || {
                for n in 0..200 {
                    let name = format!("W{writer}N{n}");
                    folder.write(&format!("{name}.wl"), &wl(&name));
                    assert!(folder.has(&name), "{name}");
                }
            });
        }
    });
    assert_eq!(folder.worklist.len(), 600);
}

#[test]
fn what_happens_between_queries_is_taken_in_without_one() {
    let folder = Folder::new(WorklistSettings::default());
    folder.write("broken.wl", b"this is no DICOM file");
    let told = event(&folder.events, events::WORKLIST_UNREADABLE);
    assert!(told.message.starts_with("broken.wl is skipped: no DICOM file"), "{}", told.message);
    // it is told once
    folder.write("next.wl", &wl("N1"));
    assert!(folder.has("N1"));
    folder.write("other.wl", b"neither is this");
    let told = event(&folder.events, events::WORKLIST_UNREADABLE);
    assert!(told.message.starts_with("other.wl"), "{}", told.message);
    assert_eq!(folder.worklist.unreadable().len(), 2);
    folder.write("broken.wl", &wl("B1"));
    assert!(folder.has("B1"));
    assert_eq!(folder.worklist.unreadable().len(), 1);
}

#[test]
fn half_a_file_is_no_item_and_no_complaint() {
    let folder = Folder::new(WorklistSettings::default());
    let bytes = wl("H1");
    let mut file = fs::File::create(folder.dir.path().join("half.wl")).unwrap();
    let (first, rest) = bytes.split_at(bytes.len() - 7);
    file.write_all(first).unwrap();
    assert!(!folder.has("H1"));
    assert_eq!(folder.worklist.unreadable()[0].file, "half.wl");
    file.write_all(rest).unwrap();
    drop(file);
    assert!(folder.has("H1"));
    assert_eq!(folder.worklist.unreadable(), []);
    let told = folder.events.take();
    assert!(told.iter().all(|event| event.kind != events::WORKLIST_UNREADABLE), "{told:?}");
}

#[test]
fn only_wl_files_of_the_folder_itself_are_items() {
    let folder = Folder::new(WorklistSettings { max_file: 10_000, ..Default::default() });
    fs::create_dir(folder.dir.path().join("sub")).unwrap();
    fs::create_dir(folder.dir.path().join("folder.wl")).unwrap();
    folder.write("sub/inner.wl", &wl("S1"));
    folder.write("lockfile", b"");
    folder.write("item.dcm", &wl("D1"));
    folder.write("UPPER.WL", &wl("U1"));
    folder.write("large.wl", &vec![0; 10_001]);
    assert_eq!(found(&folder.worklist, &[]), ["U1"]);
    let bad = folder.worklist.unreadable();
    assert!(bad[0].reason.contains("10001 bytes"), "{bad:?}");
}

#[test]
fn a_lost_folder_is_told_and_comes_back() {
    let folder = Folder::new(WorklistSettings::default());
    folder.write("a.wl", &wl("A1"));
    assert!(folder.has("A1"));
    fs::remove_dir_all(folder.dir.path()).unwrap();
    assert!(!folder.has("A1"));
    fs::create_dir(folder.dir.path()).unwrap();
    folder.write("b.wl", &wl("B1"));
    assert!(folder.has("B1"));
    folder.write("c.wl", &wl("C1"));
    assert!(folder.has("C1"));
}

#[test]
fn items_beyond_the_limit_are_told() {
    let folder = Folder::new(WorklistSettings { max_items: 2, ..Default::default() });
    for n in 0..4 {
        folder.write(&format!("{n}.wl"), &wl(&format!("A{n}")));
    }
    assert_eq!(folder.worklist.len(), 2);
    let told = event(&folder.events, events::WORKLIST_FOLDER);
    assert!(told.message.contains("more than 2 items"), "{}", told.message);
}

/// A file with two steps, one of them begun, and one that nobody declared.
fn file_of_steps() -> Vec<u8> {
    let step = |id: &str, time: &str, status: &str| {
        Dataset::new()
            .with_str(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, "CT1")
            .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, "20260105")
            .with_str(tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM, time)
            .with_str(tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH, id)
            .with_str(tags::SCHEDULED_PROCEDURE_STEP_STATUS, Vr::CS, status)
    };
    let set = Dataset::new()
        .with_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100")
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, "M1")
        .with_str(tags::PATIENT_NAME, Vr::PN, "Müller^Jörg")
        .with_items(
            tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE,
            vec![
                step("LATE", "180000", "SCHEDULED"),
                step("EARLY", "0900", ""),
                step("BEGUN", "0800", "STARTED"),
            ],
        );
    let meta = FileMeta {
        sop_class: Uid::new(uids::MODALITY_WORKLIST_FIND),
        sop_instance: Uid::new("1.2.3"),
        transfer_syntax: TransferSyntax::ImplicitLe,
        source_aet: None,
    };
    part10::write(&meta, &set)
}

fn step_key(tag: Tag, vr: Vr, value: &str) -> Key {
    Key::parse(tag, vr, value).unwrap()
}

fn step_ids(worklist: &Worklist, keys: Vec<Key>) -> Vec<String> {
    let keys = [Key::items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, keys)];
    let items = worklist.find(&keys, &Rules::WORKLIST, usize::MAX);
    items.iter().map(|item| item.step_str(tags::SCHEDULED_PROCEDURE_STEP_ID).to_owned()).collect()
}

#[test]
fn each_step_is_an_answer_in_the_order_of_their_start() {
    let folder = Folder::new(WorklistSettings::default());
    folder.write("m.wl", &file_of_steps());
    let (date, time, status) = (
        tags::SCHEDULED_PROCEDURE_STEP_START_DATE,
        tags::SCHEDULED_PROCEDURE_STEP_START_TIME,
        tags::SCHEDULED_PROCEDURE_STEP_STATUS,
    );
    assert_eq!(step_ids(&folder.worklist, vec![]), ["EARLY", "LATE"]);
    let asked = |keys: Vec<(Tag, Vr, &str)>| {
        let keys = keys.into_iter().map(|(tag, vr, value)| step_key(tag, vr, value)).collect();
        step_ids(&folder.worklist, keys)
    };
    assert_eq!(asked(vec![(status, Vr::CS, "STARTED")]), ["BEGUN"]);
    assert_eq!(asked(vec![(date, Vr::DA, "20260104-20260105")]), ["EARLY", "LATE"]);
    assert_eq!(asked(vec![(date, Vr::DA, "20260106-")]), [""; 0]);
    // one interval, not each day's morning
    let (days, times) = ((date, Vr::DA, "20260104-20260106"), (time, Vr::TM, "1000-1100"));
    assert_eq!(asked(vec![days, times]), ["EARLY", "LATE"]);
    let (days, times) = ((date, Vr::DA, "20260105-20260106"), (time, Vr::TM, "1000-1100"));
    assert_eq!(asked(vec![days, times]), ["LATE"]);
    let station = tags::SCHEDULED_STATION_AE_TITLE;
    assert_eq!(asked(vec![(station, Vr::AE, "CT1")]), ["EARLY", "LATE"]);
    assert_eq!(asked(vec![(station, Vr::AE, "CT*")]), [""; 0]);
    assert_eq!(asked(vec![(station, Vr::AE, "CT2")]), [""; 0]);

    let name = |value: &str| vec![Key::parse(tags::PATIENT_NAME, Vr::PN, value).unwrap()];
    for (value, count) in
        [("MÜLLER*", 2), ("Müller^Jörg", 2), ("M?ller^*", 2), ("Mu*", 0), ("*Jörg", 2)]
    {
        assert_eq!(found(&folder.worklist, &name(value)).len(), count, "{value}");
    }

    let why = folder.worklist.explain(&name("DOE*"), &Rules::WORKLIST);
    assert_eq!(why.len(), 3);
    assert_eq!(why[0].1.found.as_deref(), Some("Müller^Jörg"));
    let hidden = folder.worklist.explain(&[], &Rules::WORKLIST);
    assert_eq!(hidden.len(), 1);
    assert_eq!(hidden[0].1.found.as_deref(), Some("STARTED"));
}

#[test]
fn answers_hold_what_was_asked_and_no_more() {
    let folder = Folder::new(WorklistSettings::default());
    folder.write("m.wl", &file_of_steps());
    let item = folder.worklist.find(&[], &Rules::WORKLIST, 1).remove(0);
    let asked = Dataset::new()
        .with_str(tags::PATIENT_NAME, Vr::PN, "")
        .with_str(tags::PATIENT_SEX, Vr::CS, "")
        .with_items(
            tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE,
            vec![Dataset::new().with_str(tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH, "").with_str(
                tags::MODALITY,
                Vr::CS,
                "",
            )],
        );
    let told = answer(&item, &asked);
    let expected = Dataset::new()
        .with_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 100")
        .with_str(tags::PATIENT_NAME, Vr::PN, "Müller^Jörg")
        .with_str(tags::PATIENT_SEX, Vr::CS, "")
        .with_items(
            tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE,
            vec![
                Dataset::new()
                    .with_str(tags::SCHEDULED_PROCEDURE_STEP_ID, Vr::SH, "EARLY")
                    .with_str(tags::MODALITY, Vr::CS, ""),
            ],
        );
    assert_eq!(told, expected);
    for whole in [vec![], vec![Dataset::new()]] {
        let asked = Dataset::new().with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, whole);
        let told = answer(&item, &asked);
        assert!(!told.contains(tags::SPECIFIC_CHARACTER_SET), "all ASCII");
        let steps = told.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE);
        assert_eq!((steps.len(), steps[0].len()), (1, 5));
    }
}

/// The index must answer what the engine answers, whatever the keys.
#[test]
fn the_index_finds_what_a_look_at_every_item_finds() {
    use pacslab_model::matching::matches;
    let folder = Folder::new(WorklistSettings::default());
    for n in 0..60 {
        let mut order = order(&format!("A{}", n / 2));
        order.patient.id.id = format!("P{}", n % 7);
        order.patient.name =
            format!("{}^{n}", ["DOE", "Doe=山田", "MÜLLER"][n % 3]).as_str().into();
        order.steps[0].station = format!("CT{}", n % 4).parse().unwrap();
        order.steps[0].start_date = format!("202601{:02}", 1 + n % 9);
        order.steps[0].start_time = format!("{:02}3000", n % 24);
        let bytes = pacslab_ris::worklist::file::bytes(&order, &order.steps[0], Default::default());
        folder.write(&format!("{n}.wl"), &bytes);
    }
    let all = folder.worklist.find(&[], &Rules::WORKLIST, usize::MAX);
    assert_eq!(all.len(), 60);
    let tops = [
        vec![],
        vec![(tags::ACCESSION_NUMBER, Vr::SH, "A7")],
        vec![(tags::ACCESSION_NUMBER, Vr::SH, "A1*"), (tags::PATIENT_ID, Vr::LO, "P3")],
        vec![(tags::PATIENT_NAME, Vr::PN, "doe*")],
        vec![(tags::PATIENT_NAME, Vr::PN, "山*")],
        vec![(tags::PATIENT_NAME, Vr::PN, "müller^2*"), (tags::PATIENT_ID, Vr::LO, "P?")],
        vec![(tags::PATIENT_ID, Vr::LO, "P1\\P2")],
    ];
    let steps = [
        vec![],
        vec![(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, "CT1")],
        vec![(tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, "CT9")],
        vec![(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, "20260103")],
        vec![
            (tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, "20260105-"),
            (tags::SCHEDULED_STATION_AE_TITLE, Vr::AE, "CT2"),
        ],
        vec![
            (tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, "20260102-20260104"),
            (tags::SCHEDULED_PROCEDURE_STEP_START_TIME, Vr::TM, "10-12"),
        ],
        vec![(tags::SCHEDULED_PROCEDURE_STEP_START_DATE, Vr::DA, "-20260102")],
    ];
    let keys = |list: &[(Tag, Vr, &str)]| -> Vec<Key> {
        list.iter().map(|(tag, vr, value)| Key::parse(*tag, *vr, value).unwrap()).collect()
    };
    let mut matched = 0;
    for top in &tops {
        for step in &steps {
            let mut asked = keys(top);
            asked.push(Key::items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, keys(step)));
            for rules in
                [Rules::WORKLIST, Rules::QUERY, Rules { fold_all: true, ..Rules::WORKLIST }]
            {
                let answered = folder.worklist.find(&asked, &rules, usize::MAX);
                let expected: Vec<_> = all
                    .iter()
                    .filter(|item| matches(&asked, &item.dataset, &rules).is_match())
                    .map(|item| item.file.clone())
                    .collect();
                let answered: Vec<_> = answered.iter().map(|item| item.file.clone()).collect();
                assert_eq!(answered, expected, "{asked:?}");
                matched += answered.len();
            }
        }
    }
    assert!(matched > 500, "{matched}");
}

/// `cargo test -p pacslab-ris --release -- ten_thousand --nocapture` prints the times.
#[test]
fn ten_thousand_files() {
    let dir = TempDir::new().unwrap();
    for n in 0..10_000 {
        let mut order = order(&format!("A{n:06}"));
        order.patient.id.id = format!("P{n:06}");
        order.patient.name =
            format!("{}^{n}", ["DOE", "SMITH", "MEYER", "ROE"][n % 4]).as_str().into();
        let station = if n % 100 == 0 { "PYMOD1".to_owned() } else { format!("MOD{:03}", n % 97) };
        order.steps[0].station = station.parse().unwrap();
        order.steps[0].start_date = format!("202601{:02}", 1 + n % 28);
        let bytes = pacslab_ris::worklist::file::bytes(&order, &order.steps[0], Default::default());
        fs::write(dir.path().join(format!("W{n:06}.wl")), bytes).unwrap();
    }
    let events = Arc::new(Collect::default());
    let begun = Instant::now();
    let worklist = worklist(dir.path(), WorklistSettings::default(), &events);
    println!("10,000 files read at start: {:?}", begun.elapsed());
    assert_eq!(worklist.len(), 10_000);
    let step = |tag, vr, value: &str| {
        vec![Key::items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![step_key(tag, vr, value)])]
    };
    let top = |tag, vr, value: &str| vec![Key::parse(tag, vr, value).unwrap()];
    let station = tags::SCHEDULED_STATION_AE_TITLE;
    let date = tags::SCHEDULED_PROCEDURE_STEP_START_DATE;
    let identifier = Dataset::new()
        .with_str(tags::PATIENT_NAME, Vr::PN, "")
        .with_str(tags::PATIENT_ID, Vr::LO, "")
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "")
        .with_items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE, vec![]);
    let time = |what: &str, keys: &[Key], between: &mut dyn FnMut(usize)| {
        let mut count = 0;
        let mut times: Vec<_> = (0..50)
            .map(|round| {
                between(round);
                let begun = Instant::now();
                let items = worklist.find(keys, &Rules::WORKLIST, usize::MAX);
                let searched = begun.elapsed();
                if round == 25 {
                    println!("  of that finding: {searched:?}");
                }
                let answers: Vec<_> = items.iter().map(|item| answer(item, &identifier)).collect();
                let took = begun.elapsed();
                count = answers.len();
                took
            })
            .collect();
        times.sort();
        println!("{what}: {count} answers, median {:?}, worst {:?}", times[25], times[49]);
    };
    let quiet: &mut dyn FnMut(usize) = &mut |_| {};
    time("station", &step(station, Vr::AE, "PYMOD1"), quiet);
    time("accession", &top(tags::ACCESSION_NUMBER, Vr::SH, "A004711"), quiet);
    time("patient name DOE*", &top(tags::PATIENT_NAME, Vr::PN, "DOE*"), quiet);
    time("patient name *^4711", &top(tags::PATIENT_NAME, Vr::PN, "*^4711"), quiet);
    time("one day", &step(date, Vr::DA, "20260105"), quiet);
    time("modality MR (no index)", &step(tags::MODALITY, Vr::CS, "MR"), quiet);
    let bytes = wl("NEW");
    time("station, a file written before each", &step(station, Vr::AE, "MOD001"), &mut |round| {
        fs::write(dir.path().join(format!("X{round}.wl")), &bytes).unwrap();
    });
    time("station, 20 files written before each", &step(station, Vr::AE, "MOD001"), &mut |round| {
        for n in 0..20 {
            fs::write(dir.path().join(format!("Y{round}N{n}.wl")), &bytes).unwrap();
        }
    });
}
