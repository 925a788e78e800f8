//! Changing what is in the index: instances that go, studies that are relabelled.

use std::collections::{BTreeMap, BTreeSet};

use pacslab_model::{Level, Tag, Uid, tags};
use rusqlite::{Connection, params};

use super::Sql;
use super::index::signed;
use super::ingest::{Cache, Totals, collect, is_key, load_patient, load_study, rank};
use super::labels;
use super::scope;
use super::terms::Searched;
use super::text::{clean, decode, uid_key};
use super::write::{
    joined, packed, patient_terms, put_patient_terms, put_study_terms, remove_patient_terms,
    remove_study_terms, study_terms,
};
use crate::blobs::Location;
use crate::index::{Stored, Texts};

/// Takes instances out and counts again what is left around them.
pub(super) fn remove(c: &Connection, searched: &Searched, found: &[Stored]) -> Sql<()> {
    let mut studies: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for stored in found {
        studies.entry(stored.study_uid.as_str()).or_default().insert(stored.series_uid.as_str());
    }
    let mut before = Vec::new();
    for uid in studies.keys() {
        if let Some((rank, id)) = scope::study(c, uid)? {
            before.push((rank, id, study_terms(c, searched, id)?));
        }
    }
    let mut delete = c.prepare_cached("DELETE FROM instances WHERE key = ?1 AND uid = ?2")?;
    for stored in found {
        let uid = stored.sop_instance.as_str();
        delete.execute(params![uid_key(uid), uid])?;
    }
    let mut totals = Totals::load(c)?;
    totals.instances -= signed(found.len() as u64);
    totals.size -= signed(found.iter().map(|stored| stored.size).sum());
    for uid in studies.values().flatten() {
        let Some((_, (_, id))) = scope::series(c, uid)? else { continue };
        c.execute(
            "UPDATE series SET (instances, size) =
             (SELECT count(*), coalesce(sum(i.size), 0) FROM instances i WHERE i.series = series.id)
             WHERE id = ?1",
            [id],
        )?;
        totals.series -=
            c.execute("DELETE FROM series WHERE id = ?1 AND instances = 0", [id])? as i64;
    }
    for (rank, id, before) in before {
        let patient: i64 =
            c.query_row("SELECT patient FROM studies WHERE id = ?1", [id], |row| row.get(0))?;
        recount_study(c, &mut totals, id)?;
        let after = study_terms(c, searched, id)?;
        let gone: Vec<_> = before.into_iter().filter(|term| !after.contains(term)).collect();
        remove_study_terms(c, id, rank, &gone)?;
        recount_patient(c, searched, &mut totals, patient)?;
    }
    totals.write(c, None)?;
    labels::peel(c, Level::Instance, found.iter().map(|s| s.sop_instance.as_str()))?;
    labels::peel(c, Level::Series, studies.values().flatten().copied())?;
    labels::peel(c, Level::Study, studies.keys().copied())?;
    let patients: BTreeSet<&str> = found.iter().map(|s| s.patient_id.as_str()).collect();
    labels::peel(c, Level::Patient, patients)
}

/// Only what lies in pack `from` still.
pub(super) fn relocate(c: &Connection, from: u32, moved: &[(Uid, Location)]) -> Sql<()> {
    let mut update = c.prepare_cached(
        "UPDATE instances SET pack = ?4, pack_offset = ?5, length = ?6, crc = ?7
         WHERE key = ?1 AND uid = ?2 AND pack = ?3",
    )?;
    for (uid, to) in moved {
        let (uid, offset, len) = (uid.as_str(), signed(to.offset), signed(to.len));
        update.execute(params![uid_key(uid), uid, from, to.pack, offset, len, to.crc])?;
    }
    Ok(())
}

fn recount_study(c: &Connection, totals: &mut Totals, id: i64) -> Sql<()> {
    let (mut modalities, mut classes) = (BTreeSet::new(), BTreeSet::new());
    let mut statement = c.prepare_cached("SELECT id, held FROM series WHERE study = ?1")?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        let texts = decode(row.get_ref(1)?.as_blob()?);
        collect(&mut modalities, texts.get(&tags::MODALITY).map_or("", String::as_str));
        let mut of_series =
            c.prepare_cached("SELECT DISTINCT sop_class FROM instances WHERE series = ?1")?;
        let mut found = of_series.query([row.get::<_, i64>(0)?])?;
        while let Some(class) = found.next()? {
            collect(&mut classes, class.get_ref(0)?.as_str()?);
        }
    }
    c.execute(
        "UPDATE studies SET (series, instances, size) =
         (SELECT count(*), coalesce(sum(se.instances), 0), coalesce(sum(se.size), 0)
          FROM series se WHERE se.study = studies.id), modalities = ?2, sop_classes = ?3
         WHERE id = ?1",
        params![id, joined(&modalities), joined(&classes)],
    )?;
    totals.studies -= c.execute("DELETE FROM studies WHERE id = ?1 AND series = 0", [id])? as i64;
    Ok(())
}

/// Without studies it goes.
fn recount_patient(c: &Connection, searched: &Searched, totals: &mut Totals, id: i64) -> Sql<()> {
    c.execute(
        "UPDATE patients SET (studies, series, instances, size) =
         (SELECT count(*), coalesce(sum(st.series), 0), coalesce(sum(st.instances), 0),
          coalesce(sum(st.size), 0) FROM studies st WHERE st.patient = patients.id) WHERE id = ?1",
        [id],
    )?;
    let mut delete = c.prepare_cached(
        "DELETE FROM patients WHERE id = ?1 AND studies = 0 RETURNING patient_id, held",
    )?;
    let mut rows = delete.query([id])?;
    if let Some(row) = rows.next()? {
        let texts = decode(row.get_ref(1)?.as_blob()?);
        let terms = patient_terms(searched, row.get_ref(0)?.as_str()?, &texts);
        totals.patients -= 1;
        remove_patient_terms(c, id, &terms)?;
    }
    Ok(())
}

/// Whether there is such a study.
pub(super) fn relabel(
    c: &Connection,
    searched: &Searched,
    study: &str,
    changes: &[(Tag, String)],
) -> Sql<bool> {
    let mut cache = Cache::default();
    let Some(held) = load_study(c, &mut cache.studies, study)? else { return Ok(false) };
    let mut totals = Totals::load(c)?;
    let row = held.id;
    let before = study_terms(c, searched, row)?;
    remove_study_terms(c, row, held.rank, &before)?;
    change(&mut held.texts, Level::Study, changes);
    let (rank, odd) = rank(&held.texts);
    c.execute(
        "UPDATE studies SET rank = ?2, odd = ?3, held = ?4 WHERE id = ?1",
        params![row, rank, odd, packed(&held.texts)],
    )?;
    put_study_terms(c, row, rank, &study_terms(c, searched, row)?)?;

    let (from, from_row) = (held.parent.clone(), held.parent_id);
    let at = held.at;
    let to = changes
        .iter()
        .find(|(tag, _)| *tag == tags::PATIENT_ID)
        .map_or(from.clone(), |(_, id)| clean(id).to_owned());
    let patient = match load_patient(c, &mut cache.patients, &to)? {
        Some(held) => {
            remove_patient_terms(c, held.id, &patient_terms(searched, &to, &held.texts))?;
            change(&mut held.texts, Level::Patient, changes);
            c.execute(
                "UPDATE patients SET held = ?2 WHERE id = ?1",
                params![held.id, packed(&held.texts)],
            )?;
            put_patient_terms(c, held.id, &patient_terms(searched, &to, &held.texts))?;
            held.id
        }
        None => {
            let mut texts = Texts::new();
            change(&mut texts, Level::Patient, changes);
            totals.last_patient += 1;
            totals.patients += 1;
            c.execute(
                "INSERT INTO patients VALUES(?1, ?2, 0, 0, 0, 0, 0, 0, ?3)",
                params![totals.last_patient, to, packed(&texts)],
            )?;
            let terms = patient_terms(searched, &to, &texts);
            put_patient_terms(c, totals.last_patient, &terms)?;
            totals.last_patient
        }
    };
    if from != to {
        c.execute("UPDATE studies SET patient = ?2 WHERE id = ?1", params![row, patient])?;
        if let Some(at) = at {
            c.execute(
                "UPDATE patients SET received_at = ?2, received_offset = ?3 WHERE id = ?1",
                params![patient, at.micros, at.offset],
            )?;
        }
        recount_patient(c, searched, &mut totals, from_row)?;
        recount_patient(c, searched, &mut totals, patient)?;
        labels::peel(c, Level::Patient, [from.as_str()])?;
    }
    totals.write(c, None)?;
    Ok(true)
}

/// The unique key of a level is no label.
fn change(texts: &mut Texts, level: Level, changes: &[(Tag, String)]) {
    for (tag, text) in changes {
        if !level.attributes().contains(tag) || is_key(*tag) {
            continue;
        }
        match clean(text) {
            "" => texts.remove(tag),
            text => texts.insert(*tag, text.to_owned()),
        };
    }
}
