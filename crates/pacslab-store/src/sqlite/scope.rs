//! Places in the hierarchy by their keys, and what is to be sent. PS3.4 C.4.2.1.4.

use std::collections::{BTreeSet, HashMap};

use pacslab_model::{Tag, Uid, tags};
use rusqlite::{Connection, OptionalExtension, params};

use super::Sql;
use super::index::{location, moment, signed, source, uid, unsigned};
use super::terms::Searched;
use super::text::uid_key;
use crate::index::{Arrival, Scope, Stored};

/// A row by what it is ordered by (the rank of a study, a number) and its own number.
pub(super) type At = (i64, i64);

/// Where an instance stands in the order of answers: the newest study comes first.
pub(super) type Place = (std::cmp::Reverse<At>, At, At);

/// The row of a patient.
pub(super) fn patient(c: &Connection, id: &str) -> Sql<Option<i64>> {
    let terms = Searched::new(&[]).terms([(&tags::PATIENT_ID, &id.to_owned())]);
    let term = terms.first().map_or("", |(_, term)| term.as_str());
    c.prepare_cached(
        "SELECT p.id FROM patient_terms t CROSS JOIN patients p ON p.id = t.patient
         WHERE t.tag = ?1 AND t.term = ?2 AND p.patient_id = ?3",
    )?
    .query_row(params![tags::PATIENT_ID.0, term, id], |row| row.get(0))
    .optional()
}

/// Rank and row of a study.
pub(super) fn study(c: &Connection, uid: &str) -> Sql<Option<At>> {
    c.prepare_cached("SELECT rank, id FROM studies WHERE key = ?1 AND uid = ?2")?
        .query_row(params![uid_key(uid), uid], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

/// The study's rank and row, the series' number and row.
pub(super) fn series(c: &Connection, uid: &str) -> Sql<Option<(At, At)>> {
    c.prepare_cached(
        "SELECT st.rank, st.id, se.number, se.id FROM series se
         CROSS JOIN studies st ON st.id = se.study WHERE se.key = ?1 AND se.uid = ?2",
    )?
    .query_row(params![uid_key(uid), uid], |row| {
        Ok(((row.get(0)?, row.get(1)?), (row.get(2)?, row.get(3)?)))
    })
    .optional()
}

pub(super) fn instance(c: &Connection, uid: &str) -> Sql<Option<Place>> {
    c.prepare_cached(
        "SELECT st.rank, st.id, se.number, se.id, i.number, i.id FROM instances i
         CROSS JOIN series se ON se.id = i.series CROSS JOIN studies st ON st.id = se.study
         WHERE i.key = ?1 AND i.uid = ?2",
    )?
    .query_row(params![uid_key(uid), uid], |row| {
        Ok((
            std::cmp::Reverse((row.get(0)?, row.get(1)?)),
            (row.get(2)?, row.get(3)?),
            (row.get(4)?, row.get(5)?),
        ))
    })
    .optional()
}

/// Studies of a patient, with their rank.
pub(super) fn studies_of(c: &Connection, patient: i64, into: &mut Vec<(i64, i64)>) -> Sql<()> {
    let mut statement = c.prepare_cached("SELECT rank, id FROM studies WHERE patient = ?1")?;
    let mut rows = statement.query([patient])?;
    while let Some(row) = rows.next()? {
        into.push((row.get(0)?, row.get(1)?));
    }
    Ok(())
}

/// All that satisfies the lists, in order.
pub(super) fn instances(c: &Connection, scope: &Scope) -> Sql<Vec<Stored>> {
    let names = |uids: &[Uid]| uids.iter().map(|u| u.as_str().to_owned()).collect::<BTreeSet<_>>();
    let wanted = [
        scope.patient_ids.iter().cloned().collect::<BTreeSet<_>>(),
        names(&scope.study_uids),
        names(&scope.series_uids),
        names(&scope.sop_instances),
    ];
    let fits = |stored: &Stored| {
        let keys =
            [stored.patient_id.as_str(), stored.study_uid.as_str(), stored.series_uid.as_str()];
        wanted.iter().zip(keys).all(|(wanted, key)| wanted.is_empty() || wanted.contains(key))
    };
    let mut found = Vec::new();
    let mut above = HashMap::new();
    if !scope.sop_instances.is_empty() {
        let mut places = Vec::new();
        for uid in &wanted[3] {
            places.extend(instance(c, uid)?);
        }
        places.sort_unstable();
        for (_, (_, series), (_, id)) in places {
            stored(c, "i.id = ?1", id, series, &mut above, &mut found)?;
        }
    } else {
        let mut places = Vec::new();
        if !scope.series_uids.is_empty() {
            for uid in &wanted[2] {
                places.extend(series(c, uid)?.map(|(study, own)| (std::cmp::Reverse(study), own)));
            }
        } else {
            let mut studies = Vec::new();
            if !scope.study_uids.is_empty() {
                for uid in &wanted[1] {
                    studies.extend(study(c, uid)?);
                }
            } else {
                for id in &wanted[0] {
                    if let Some(patient) = patient(c, id)? {
                        studies_of(c, patient, &mut studies)?;
                    }
                }
            }
            for at in studies {
                let mut list =
                    c.prepare_cached("SELECT number, id FROM series WHERE study = ?1")?;
                let mut rows = list.query([at.1])?;
                while let Some(row) = rows.next()? {
                    places.push((std::cmp::Reverse(at), (row.get(0)?, row.get(1)?)));
                }
            }
        }
        places.sort_unstable();
        for (_, (_, id)) in places {
            stored(c, "i.series = ?1 ORDER BY i.number, i.id", id, id, &mut above, &mut found)?;
        }
    }
    found.retain(fits);
    Ok(found)
}

/// Patient ID, study and series UID of a series.
pub(super) type Names = (String, Uid, Uid);

pub(super) fn names(c: &Connection, series: i64) -> Sql<Names> {
    c.prepare_cached(
        "SELECT p.patient_id, st.uid, se.uid FROM series se
         CROSS JOIN studies st ON st.id = se.study CROSS JOIN patients p ON p.id = st.patient
         WHERE se.id = ?1",
    )?
    .query_row([series], |row| Ok((row.get(0)?, uid(row, 1)?, uid(row, 2)?)))
}

/// The columns that [`read_stored`] reads.
pub(super) const STORED: &str = "i.uid, i.sop_class, i.transfer_syntax, i.size, i.digest, i.pack, \
    i.pack_offset, i.length, i.crc, i.received_at, i.received_offset, i.calling_ae, i.remote";

pub(super) fn read_stored(row: &rusqlite::Row<'_>, names: &Names) -> Sql<Stored> {
    Ok(Stored {
        patient_id: names.0.clone(),
        study_uid: names.1.clone(),
        series_uid: names.2.clone(),
        sop_instance: uid(row, 0)?,
        sop_class: uid(row, 1)?,
        transfer_syntax: uid(row, 2)?,
        size: unsigned(row, 3)?,
        digest: row.get(4)?,
        location: location(row, 5)?,
        received_at: moment(row, 9)?,
        source: source(row, 11)?,
    })
}

fn stored(
    c: &Connection,
    which: &str,
    id: i64,
    series: i64,
    above: &mut HashMap<i64, Names>,
    found: &mut Vec<Stored>,
) -> Sql<()> {
    if let std::collections::hash_map::Entry::Vacant(entry) = above.entry(series) {
        entry.insert(names(c, series)?);
    }
    let names = &above[&series];
    let mut statement =
        c.prepare_cached(&format!("SELECT {STORED} FROM instances i WHERE {which}"))?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        found.push(read_stored(row, names)?);
    }
    Ok(())
}

/// What arrived and is still there.
pub(super) fn arrivals(c: &Connection, cursor: u64, limit: usize) -> Sql<Vec<Arrival>> {
    const ACCESSION: Tag = tags::ACCESSION_NUMBER;
    c.prepare_cached(
        "SELECT i.id, i.received_at, i.received_offset, i.accession, p.patient_id, st.uid, se.uid,
         i.uid, i.sop_class, i.calling_ae, st.held FROM instances i
         CROSS JOIN series se ON se.id = i.series CROSS JOIN studies st ON st.id = se.study
         CROSS JOIN patients p ON p.id = st.patient WHERE i.id > ?1 ORDER BY i.id LIMIT ?2",
    )?
    .query_map(params![signed(cursor), signed(limit as u64)], |row| {
        let own: Option<String> = row.get(3)?;
        let of_study = || -> Sql<String> {
            let held = row.get_ref(10)?.as_blob()?;
            let found = super::text::iter(held).find(|(tag, _)| *tag == ACCESSION);
            Ok(found.map_or(String::new(), |(_, text)| text.to_owned()))
        };
        Ok(Arrival {
            number: unsigned(row, 0)?,
            at: moment(row, 1)?,
            accession: own.map_or_else(of_study, Ok)?,
            patient_id: row.get(4)?,
            study_uid: uid(row, 5)?,
            series_uid: uid(row, 6)?,
            sop_instance: uid(row, 7)?,
            sop_class: uid(row, 8)?,
            calling_ae: row.get(9)?,
        })
    })?
    .collect()
}
