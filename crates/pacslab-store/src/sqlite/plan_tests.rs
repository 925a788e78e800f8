//! Every statement that a question, an image or a deletion runs is looked at as SQLite plans it:
//! none may walk over a big table, and none may sort what an index has in order.

use std::cell::RefCell;
use std::collections::BTreeSet;

use pacslab_model::{Key, Level, Query, Tag, Uid, Vr, tags};
use rusqlite::Connection;
use rusqlite::trace::{TraceEvent, TraceEventCodes};

use super::index::SqliteIndex;
use crate::blobs::Position;
use crate::index::{Index, Scope};
use crate::suite::{held_attributes, instance};

thread_local! {
    static STATEMENTS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
}

fn note(event: TraceEvent<'_>) {
    if let TraceEvent::Stmt(statement, _) = event {
        let sql = statement.sql().into_owned();
        STATEMENTS.with(|all| all.borrow_mut().insert(sql));
    }
}

fn listen(c: &mut Connection, to: bool) {
    c.trace_v2(TraceEventCodes::SQLITE_TRACE_STMT, to.then_some(note)).unwrap();
}

/// What was run since the last time, and how SQLite goes about it.
fn plans(index: &SqliteIndex) -> Vec<(String, Vec<String>)> {
    let all = STATEMENTS.with(RefCell::take);
    let mut c = index.connection();
    listen(&mut c, false);
    let all = all.into_iter().filter(|sql| !sql.starts_with("BEGIN") && sql != "COMMIT");
    let planned = all.map(|sql| {
        let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = statement.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get(3).unwrap());
        }
        drop(rows);
        drop(statement);
        (sql, steps)
    });
    let planned = planned.collect();
    listen(&mut c, true);
    planned
}

fn assert_planned_well(index: &SqliteIndex, what: &str) {
    for (sql, steps) in plans(index) {
        for step in &steps {
            // one row; and what a list of bound values or a counted sub-select is called
            let small = ["SCAN state", "SCAN CONSTANT ROW", "SCAN (subquery"];
            let scans = step.contains("SCAN") && !small.iter().any(|name| step.starts_with(name));
            assert!(!scans && !step.contains("TEMP B-TREE"), "{what}: {sql}\n{steps:#?}");
        }
    }
}

fn filled() -> SqliteIndex {
    let index = SqliteIndex::memory().unwrap();
    listen(&mut index.connection(), true);
    for study in 0..9 {
        let batch: Vec<_> = (1..4).map(|n| instance(study, n, n)).collect();
        index.ingest(&batch, Position::default()).unwrap();
    }
    index
}

fn ask(index: &SqliteIndex, keys: Vec<Key>, level: Level) {
    let query = Query { keys, ..Query::new(level) };
    let found = index.find(&query).unwrap();
    let after = found.first().map(crate::index::Row::cursor);
    index.find(&Query { limit: Some(2), offset: 1, ..query.clone() }).unwrap();
    index.find(&Query { after, limit: Some(2), ..query }).unwrap();
}

fn kinds(vr: Vr) -> &'static [&'static str] {
    match vr {
        Vr::DA => {
            &["20260105", "20260101-20260107", "20260105-", "-20260105", "20260101\\20260102"]
        }
        Vr::TM => &["1015", "10-11"],
        Vr::UI => &["1.2.3", "1.2.1\\1.2.2"],
        Vr::PN => &["DOE^JANE1", "doe*", "*jane*", "D?E*", "=x*", "A\\B"],
        _ => &["A1", "A*", "*1", "A?", "A\\B"],
    }
}

#[test]
fn no_question_walks_over_a_table() {
    let index = filled();
    assert_planned_well(&index, "taking in");
    index.connection().execute("DELETE FROM studies WHERE uid = 'none'", []).unwrap();
    assert!(plans(&index).iter().any(|(_, steps)| steps[0] == "SCAN studies"), "it would be seen");
    let keys: Vec<(Tag, Vr)> =
        held_attributes().into_iter().chain([(tags::MODALITIES_IN_STUDY, Vr::CS)]).collect();
    for level in Level::ALL {
        ask(&index, Vec::new(), level);
        for (tag, vr) in keys.iter().filter(|(tag, _)| Level::of(*tag) <= Some(level)) {
            for text in kinds(*vr) {
                let Ok(key) = Key::parse(*tag, *vr, text) else { continue };
                ask(&index, vec![key.clone()], level);
                let date = Key::parse(tags::STUDY_DATE, Vr::DA, "20260101-20260107").unwrap();
                if level > Level::Patient {
                    ask(&index, vec![key.clone(), date], level);
                }
                let name = Key::parse(tags::PATIENT_NAME, Vr::PN, "doe*").unwrap();
                ask(&index, vec![name, key], level);
            }
        }
        assert_planned_well(&index, level.as_str());
    }
}

#[test]
fn nothing_else_does() {
    let index = filled();
    let two = |a: &str, b: &str| vec![Uid::new(a), Uid::new(b)];
    for scope in [
        Scope::patient("P1"),
        Scope::study("1.2.1"),
        Scope::series("1.2.1.1"),
        Scope::instance("1.2.1.1.1"),
        Scope { series_uids: two("1.2.1.1", "1.2.2.1"), ..Scope::study("1.2.1") },
    ] {
        assert!(!index.instances(&scope).unwrap().is_empty());
    }
    index.known(&two("1.2.1.1.1", "1.9")).unwrap();
    index.counts().unwrap();
    index.arrivals_after(3, 10).unwrap();
    index.position().unwrap();
    index.set_position(Position::default()).unwrap();
    assert_planned_well(&index, "reading");
    let mut late = instance(1, 1, 9);
    late.attributes.push((tags::STUDY_DESCRIPTION, "came later".to_owned()));
    index.ingest(&[late], Position::default()).unwrap();
    index
        .relabel(&Uid::new("1.2.1"), &[(tags::PATIENT_ID, "Q".into())], Position::default())
        .unwrap();
    index.remove(&two("1.2.1.1.1", "1.2.2.1.1"), Position::default()).unwrap();
    for (sql, steps) in plans(&index) {
        for step in steps {
            // what is distinct within one study may be sorted
            let scans = step.contains("SCAN") && !step.starts_with("SCAN state");
            assert!(!scans || step.starts_with("SCAN CONSTANT"), "{sql}: {step}");
        }
    }
}

/// The attributes that other archives have an index for: Orthanc's identifiers, and modality and
/// station, which it has not.
#[test]
fn what_is_asked_for_every_day_leads() {
    let index = filled();
    let mut wrong = Vec::new();
    let key = Key::parse(tags::INSTITUTION_NAME, Vr::LO, "A1").unwrap();
    index.find(&Query::new(Level::Study).key(key)).unwrap();
    assert!(STATEMENTS.with(RefCell::take).contains(super::lead::ALL), "all are looked at");
    for (tag, vr) in [
        (tags::PATIENT_ID, Vr::LO),
        (tags::PATIENT_NAME, Vr::PN),
        (tags::PATIENT_BIRTH_DATE, Vr::DA),
        (tags::STUDY_DATE, Vr::DA),
        (tags::ACCESSION_NUMBER, Vr::SH),
        (tags::STUDY_DESCRIPTION, Vr::LO),
        (tags::MODALITIES_IN_STUDY, Vr::CS),
        (tags::MODALITY, Vr::CS),
        (tags::STATION_NAME, Vr::SH),
        (tags::STUDY_INSTANCE_UID, Vr::UI),
        (tags::SERIES_INSTANCE_UID, Vr::UI),
        (tags::SOP_INSTANCE_UID, Vr::UI),
    ] {
        for text in kinds(vr) {
            let Ok(key) = Key::parse(tag, vr, text) else { continue };
            STATEMENTS.with(RefCell::take);
            index.find(&Query::new(Level::Instance).key(key)).unwrap();
            if STATEMENTS.with(RefCell::take).contains(super::lead::ALL) {
                wrong.push(format!("{tag} {text}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
