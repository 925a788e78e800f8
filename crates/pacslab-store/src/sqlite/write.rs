//! Rows of patients, studies and series, and the terms they are searched by, as they are written.

use std::collections::BTreeSet;

use pacslab_model::{Moment, Tag, tags};
use rusqlite::{Connection, params};

use super::Sql;
use super::ingest::{Cache, Held, number, rank};
use super::terms::Searched;
use super::text::{decode, encode, uid_key};
use crate::index::Texts;

/// What a batch has touched.
pub(super) fn changed(c: &Connection, cache: &mut Cache, searched: &Searched) -> Sql<()> {
    for (id, held) in cache.patients.iter_mut().filter(|(_, held)| held.is_changed()) {
        patient(c, searched, id, held)?;
        held.written();
    }
    for (uid, held) in cache.studies.iter_mut().filter(|(_, held)| held.is_changed()) {
        study(c, searched, uid, held)?;
        held.written();
    }
    for (uid, held) in cache.series.iter_mut().filter(|(_, held)| held.is_changed()) {
        series(c, uid, held)?;
        if held.has_said()
            && let Some(study) = cache.studies.get(&held.parent)
        {
            put_study_terms(c, study.id, study.rank, &searched.terms(&held.texts))?;
        }
        held.written();
    }
    Ok(())
}

pub(super) fn patient(c: &Connection, searched: &Searched, id: &str, held: &Held) -> Sql<()> {
    let at = held.at.unwrap_or(Moment::new(0, 0));
    if held.has_said() {
        c.prepare_cached(if held.is_new() {
            "INSERT INTO patients VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
        } else {
            "UPDATE patients SET patient_id = ?2, studies = ?3, series = ?4, instances = ?5,
             size = ?6, received_at = ?7, received_offset = ?8, held = ?9 WHERE id = ?1"
        })?
        .execute(params![
            held.id,
            id,
            held.studies,
            held.series,
            held.instances,
            held.size,
            at.micros,
            at.offset,
            packed(&held.texts)
        ])?;
        return put_patient_terms(c, held.id, &patient_terms(searched, id, &held.texts));
    }
    c.prepare_cached(
        "UPDATE patients SET studies = ?2, series = ?3, instances = ?4, size = ?5,
         received_at = ?6, received_offset = ?7 WHERE id = ?1",
    )?
    .execute(params![
        held.id,
        held.studies,
        held.series,
        held.instances,
        held.size,
        at.micros,
        at.offset
    ])
    .map(drop)
}

fn study(c: &Connection, searched: &Searched, uid: &str, held: &mut Held) -> Sql<()> {
    let (rank, odd) = rank(&held.texts);
    if rank != held.rank && !held.is_new() {
        let terms = study_terms(c, searched, held.id)?;
        remove_study_terms(c, held.id, held.rank, &terms)?;
        put_study_terms(c, held.id, rank, &terms)?;
    }
    held.rank = rank;
    let at = held.at.unwrap_or(Moment::new(0, 0));
    c.prepare_cached(if held.is_new() {
        "INSERT INTO studies VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
    } else {
        "UPDATE studies SET key = ?2, uid = ?3, patient = ?4, rank = ?5, odd = ?6, series = ?7,
         instances = ?8, size = ?9, modalities = ?10, sop_classes = ?11, received_at = ?12,
         received_offset = ?13, held = ?14 WHERE id = ?1"
    })?
    .execute(params![
        held.id,
        uid_key(uid),
        uid,
        held.parent_id,
        rank,
        odd,
        held.series,
        held.instances,
        held.size,
        joined(&held.modalities),
        joined(&held.sop_classes),
        at.micros,
        at.offset,
        packed(&held.texts)
    ])?;
    if held.has_said() {
        put_study_terms(c, held.id, rank, &searched.terms(&held.texts))?;
    }
    Ok(())
}

fn series(c: &Connection, uid: &str, held: &Held) -> Sql<()> {
    let at = held.at.unwrap_or(Moment::new(0, 0));
    c.prepare_cached(if held.is_new() {
        "INSERT INTO series VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    } else {
        "UPDATE series SET key = ?2, uid = ?3, study = ?4, number = ?5, instances = ?6, size = ?7,
         received_at = ?8, received_offset = ?9, held = ?10 WHERE id = ?1"
    })?
    .execute(params![
        held.id,
        uid_key(uid),
        uid,
        held.parent_id,
        number(&held.texts, tags::SERIES_NUMBER),
        held.instances,
        held.size,
        at.micros,
        at.offset,
        packed(&held.texts)
    ])
    .map(drop)
}

pub(super) fn packed(texts: &Texts) -> Vec<u8> {
    encode(texts.iter().map(|(tag, text)| (*tag, text.as_str())))
}

pub(super) fn joined(set: &BTreeSet<String>) -> String {
    set.iter().map(String::as_str).collect::<Vec<_>>().join("\\")
}

/// A patient without an ID is found by the term of none.
pub(super) fn patient_terms(searched: &Searched, id: &str, texts: &Texts) -> Vec<(Tag, String)> {
    let mut terms = searched.terms(texts);
    let own = searched.terms([(&tags::PATIENT_ID, &id.to_owned())]);
    if own.is_empty() {
        terms.push((tags::PATIENT_ID, String::new()));
    }
    terms.extend(own);
    terms
}

/// All terms of a study as the rows are now: its own and those of its series.
pub(super) fn study_terms(
    c: &Connection,
    searched: &Searched,
    study: i64,
) -> Sql<Vec<(Tag, String)>> {
    let mut statement = c.prepare_cached(
        "SELECT held FROM studies WHERE id = ?1 UNION ALL SELECT held FROM series WHERE study = ?1",
    )?;
    let mut rows = statement.query([study])?;
    let mut terms = Vec::new();
    while let Some(row) = rows.next()? {
        terms.extend(searched.terms(&decode(row.get_ref(0)?.as_blob()?)));
    }
    terms.sort_unstable();
    terms.dedup();
    Ok(terms)
}

pub(super) fn put_study_terms(
    c: &Connection,
    study: i64,
    rank: i64,
    terms: &[(Tag, String)],
) -> Sql<()> {
    let mut insert =
        c.prepare_cached("INSERT OR IGNORE INTO study_terms VALUES(?1, ?2, ?3, ?4)")?;
    for (tag, term) in terms {
        insert.execute(params![tag.0, term, rank, study])?;
    }
    Ok(())
}

pub(super) fn remove_study_terms(
    c: &Connection,
    study: i64,
    rank: i64,
    terms: &[(Tag, String)],
) -> Sql<()> {
    let mut delete = c.prepare_cached(
        "DELETE FROM study_terms WHERE tag = ?1 AND term = ?2 AND rank = ?3 AND study = ?4",
    )?;
    for (tag, term) in terms {
        delete.execute(params![tag.0, term, rank, study])?;
    }
    Ok(())
}

pub(super) fn put_patient_terms(c: &Connection, patient: i64, terms: &[(Tag, String)]) -> Sql<()> {
    let mut insert = c.prepare_cached("INSERT OR IGNORE INTO patient_terms VALUES(?1, ?2, ?3)")?;
    for (tag, term) in terms {
        insert.execute(params![tag.0, term, patient])?;
    }
    Ok(())
}

pub(super) fn remove_patient_terms(
    c: &Connection,
    patient: i64,
    terms: &[(Tag, String)],
) -> Sql<()> {
    let mut delete = c.prepare_cached(
        "DELETE FROM patient_terms WHERE tag = ?1 AND term = ?2 AND patient = ?3",
    )?;
    for (tag, term) in terms {
        delete.execute(params![tag.0, term, patient])?;
    }
    Ok(())
}
