//! Changing what is in the index: instances that go, studies that are relabelled.

use std::collections::BTreeSet;

use pacslab_model::{Level, Tag, tags};
use rusqlite::{Connection, params};

use super::Sql;
use super::index::signed;
use super::ingest::{
    Cache, Held, PATIENT, STUDY, clean, collect, insert_patient, joined, load, write_patient,
    write_study,
};
use crate::index::{Stored, Texts};

/// Takes instances out and counts again what is left around them.
pub(super) fn remove(c: &Connection, found: &[Stored]) -> Sql<()> {
    let mut delete = c.prepare_cached("DELETE FROM instances WHERE uid = ?1")?;
    for stored in found {
        delete.execute([stored.sop_instance.as_str()])?;
    }
    let size: u64 = found.iter().map(|stored| stored.size).sum();
    c.execute("UPDATE meta SET value = value - ?1 WHERE name = 'size'", [signed(size)])?;

    let series: BTreeSet<&str> = found.iter().map(|s| s.series_uid.as_str()).collect();
    for uid in series {
        c.execute(
            "UPDATE series SET instances =
             (SELECT count(*) FROM instances i WHERE i.series = series.id) WHERE uid = ?1",
            [uid],
        )?;
        c.execute("DELETE FROM series WHERE uid = ?1 AND instances = 0", [uid])?;
    }
    let studies: BTreeSet<&str> = found.iter().map(|s| s.study_uid.as_str()).collect();
    for uid in studies {
        recount_study(c, uid)?;
    }
    let patients: BTreeSet<&str> = found.iter().map(|s| s.patient_id.as_str()).collect();
    for id in patients {
        recount_patient(c, id)?;
    }
    Ok(())
}

fn recount_study(c: &Connection, uid: &str) -> Sql<()> {
    let gather = |select: &str| -> Sql<String> {
        let mut set = BTreeSet::new();
        let mut statement = c.prepare(select)?;
        let mut rows = statement.query([uid])?;
        while let Some(row) = rows.next()? {
            collect(&mut set, row.get_ref(0)?.as_str()?);
        }
        Ok(joined(&set))
    };
    let modalities = gather(
        "SELECT DISTINCT se.modality FROM series se JOIN studies st ON st.id = se.study
         WHERE st.uid = ?1",
    )?;
    let classes = gather(
        "SELECT DISTINCT i.sop_class FROM instances i JOIN series se ON se.id = i.series
         JOIN studies st ON st.id = se.study WHERE st.uid = ?1",
    )?;
    c.execute(
        "UPDATE studies SET (series, instances) =
         (SELECT count(*), coalesce(sum(se.instances), 0) FROM series se
          WHERE se.study = studies.id), modalities = ?2, sop_classes = ?3 WHERE uid = ?1",
        params![uid, modalities, classes],
    )?;
    c.execute("DELETE FROM studies WHERE uid = ?1 AND series = 0", [uid])?;
    Ok(())
}

/// Without studies it goes.
fn recount_patient(c: &Connection, id: &str) -> Sql<()> {
    c.execute(
        "UPDATE patients SET (studies, series, instances) =
         (SELECT count(*), coalesce(sum(st.series), 0), coalesce(sum(st.instances), 0)
          FROM studies st WHERE st.patient = patients.id) WHERE patient_id = ?1",
        [id],
    )?;
    c.execute(
        "DELETE FROM patient_names WHERE patient IN
         (SELECT id FROM patients WHERE patient_id = ?1 AND studies = 0)",
        [id],
    )?;
    c.execute("DELETE FROM patients WHERE patient_id = ?1 AND studies = 0", [id])?;
    Ok(())
}

/// Whether there is such a study.
pub(super) fn relabel(c: &Connection, study: &str, changes: &[(Tag, String)]) -> Sql<bool> {
    let mut cache = Cache::default();
    let Some(held) = load(c, &mut cache.studies, STUDY, study)? else { return Ok(false) };
    change(&mut held.texts, Level::Study, changes);
    write_study(c, held)?;
    let (row, from) = (held.id, held.parent.clone());
    let to = changes
        .iter()
        .find(|(tag, _)| *tag == tags::PATIENT_ID)
        .map_or(from.clone(), |(_, id)| clean(id).to_owned());

    let patient = match load(c, &mut cache.patients, PATIENT, &to)? {
        Some(held) => {
            change(&mut held.texts, Level::Patient, changes);
            c.execute("DELETE FROM patient_names WHERE patient = ?1", [held.id])?;
            write_patient(c, held)?;
            held.id
        }
        None => {
            let mut held = Held::default();
            change(&mut held.texts, Level::Patient, changes);
            if !to.is_empty() {
                held.texts.insert(tags::PATIENT_ID, to.clone());
            }
            insert_patient(c, &mut cache, &to, held)?
        }
    };
    if from != to {
        c.execute("UPDATE studies SET patient = ?2 WHERE id = ?1", params![row, patient])?;
        c.execute(
            "UPDATE patients SET (received_at, received_offset) =
             (SELECT received_at, received_offset FROM studies WHERE id = ?1) WHERE id = ?2",
            params![row, patient],
        )?;
        recount_patient(c, &from)?;
        recount_patient(c, &to)?;
    }
    Ok(true)
}

/// The unique key of a level is no label.
fn change(texts: &mut Texts, level: Level, changes: &[(Tag, String)]) {
    for (tag, text) in changes {
        if !level.attributes().contains(tag) || *tag == level.key() {
            continue;
        }
        match clean(text) {
            "" => texts.remove(tag),
            text => texts.insert(*tag, text.to_owned()),
        };
    }
}
