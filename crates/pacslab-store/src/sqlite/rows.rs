//! Rows as answers: a level's own columns, what is counted, and the texts as they are held.

use std::sync::Arc;

use pacslab_model::{Cursor, Level, Tag, tags};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow};

use super::Sql;
use super::index::{moment, unsigned};
use super::scope::{Names, read_stored};
use crate::index::{Part, Row};

/// The patient of the last study: that of the next one mostly is another, that of a list of one
/// patient's studies is not.
#[derive(Default)]
pub(super) struct Above {
    patient: Option<(i64, Arc<Part>)>,
}

pub(super) const PATIENT: &str = "SELECT patient_id, studies, series, instances, held, \
    received_at, received_offset, size FROM patients WHERE id = ?1";

fn patient_part(row: &SqlRow<'_>) -> Sql<Part> {
    let mut own = Vec::with_capacity(4);
    put(&mut own, tags::PATIENT_ID, row.get(0)?);
    own.push((tags::NUMBER_OF_PATIENT_RELATED_STUDIES, count(row, 1)?));
    own.push((tags::NUMBER_OF_PATIENT_RELATED_SERIES, count(row, 2)?));
    own.push((tags::NUMBER_OF_PATIENT_RELATED_INSTANCES, count(row, 3)?));
    Ok(Part { own, held: row.get(4)? })
}

pub(super) fn to_patient(c: &Connection, id: i64) -> Sql<Option<Row>> {
    c.prepare_cached(PATIENT)?
        .query_row([id], |row| {
            Ok(Row {
                level: Level::Patient,
                parts: vec![Arc::new(patient_part(row)?)],
                received_at: moment(row, 5)?,
                size: unsigned(row, 7)?,
                place: Cursor(vec![id]),
                stored: None,
            })
        })
        .optional()
}

pub(super) const STUDY: &str = "SELECT uid, series, instances, modalities, sop_classes, held, \
    received_at, received_offset, size, patient FROM studies WHERE id = ?1";

pub(super) fn to_study(c: &Connection, at: (i64, i64), above: &mut Above) -> Sql<Option<Row>> {
    let found = c
        .prepare_cached(STUDY)?
        .query_row([at.1], |row| {
            let mut own = Vec::with_capacity(5);
            put(&mut own, tags::STUDY_INSTANCE_UID, row.get(0)?);
            own.push((tags::NUMBER_OF_STUDY_RELATED_SERIES, count(row, 1)?));
            own.push((tags::NUMBER_OF_STUDY_RELATED_INSTANCES, count(row, 2)?));
            put(&mut own, tags::MODALITIES_IN_STUDY, row.get(3)?);
            put(&mut own, tags::SOP_CLASSES_IN_STUDY, row.get(4)?);
            let part = Arc::new(Part { own, held: row.get(5)? });
            let row_of = Row {
                level: Level::Study,
                parts: vec![part],
                received_at: moment(row, 6)?,
                size: unsigned(row, 8)?,
                place: Cursor(vec![at.0, at.1]),
                stored: None,
            };
            Ok((row_of, row.get::<_, i64>(9)?))
        })
        .optional()?;
    let Some((mut row, patient)) = found else { return Ok(None) };
    let part = match &above.patient {
        Some((id, part)) if *id == patient => part.clone(),
        _ => {
            let part = c.prepare_cached(PATIENT)?.query_row([patient], patient_part)?;
            let part = Arc::new(part);
            above.patient = Some((patient, part.clone()));
            part
        }
    };
    row.parts.insert(0, part);
    Ok(Some(row))
}

/// Number and row of the series of a study, in order, behind `after`.
pub(super) const SERIES_OF: &str = "SELECT number, id FROM series WHERE study = ?1 \
    AND (number, id) > (?2, ?3) ORDER BY number, id";

pub(super) fn series_of(
    c: &Connection,
    study: i64,
    after: Option<(i64, i64)>,
) -> Sql<Vec<(i64, i64)>> {
    let (number, id) = after.unwrap_or((i64::MIN, i64::MIN));
    c.prepare_cached(SERIES_OF)?
        .query_map([study, number, id], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

pub(super) const SERIES: &str = "SELECT uid, instances, held, received_at, received_offset, size \
    FROM series WHERE id = ?1";

pub(super) fn to_series(
    c: &Connection,
    study: (i64, i64),
    at: (i64, i64),
    above: &Row,
) -> Sql<Option<Row>> {
    c.prepare_cached(SERIES)?
        .query_row([at.1], |row| {
            let mut own = Vec::with_capacity(2);
            put(&mut own, tags::SERIES_INSTANCE_UID, row.get(0)?);
            own.push((tags::NUMBER_OF_SERIES_RELATED_INSTANCES, count(row, 1)?));
            let mut parts = above.parts.clone();
            parts.push(Arc::new(Part { own, held: row.get(2)? }));
            Ok(Row {
                level: Level::Series,
                parts,
                received_at: moment(row, 3)?,
                size: unsigned(row, 5)?,
                place: Cursor(vec![study.0, study.1, at.0, at.1]),
                stored: None,
            })
        })
        .optional()
}

/// As `scope::STORED` has them, and what else [`to_instance`] reads.
pub(super) const INSTANCE: &str = "SELECT i.uid, i.sop_class, i.transfer_syntax, i.size, i.digest, \
    i.pack, i.pack_offset, i.length, i.crc, i.received_at, i.received_offset, i.calling_ae, \
    i.remote, i.held, i.number, i.id FROM instances i WHERE i.id = ?1";

pub(super) const INSTANCES_OF: &str = "SELECT i.uid, i.sop_class, i.transfer_syntax, i.size, \
    i.digest, i.pack, i.pack_offset, i.length, i.crc, i.received_at, i.received_offset, \
    i.calling_ae, i.remote, i.held, i.number, i.id FROM instances i WHERE i.series = ?1 \
    AND (i.number, i.id) > (?2, ?3) ORDER BY i.number, i.id";

pub(super) fn to_instance(row: &SqlRow<'_>, names: &Names, above: &Row) -> Sql<Row> {
    let stored = read_stored(row, names)?;
    let mut own = Vec::with_capacity(2);
    put(&mut own, tags::SOP_INSTANCE_UID, stored.sop_instance.as_str().to_owned());
    put(&mut own, tags::SOP_CLASS_UID, stored.sop_class.as_str().to_owned());
    let mut parts = above.parts.clone();
    parts.push(Arc::new(Part { own, held: row.get(13)? }));
    let mut place = above.place.0.clone();
    place.extend([row.get::<_, i64>(14)?, row.get(15)?]);
    Ok(Row {
        level: Level::Instance,
        parts,
        received_at: stored.received_at,
        size: stored.size,
        place: Cursor(place),
        stored: Some(Box::new(stored)),
    })
}

fn put(own: &mut Vec<(Tag, String)>, tag: Tag, text: String) {
    if !text.is_empty() {
        own.push((tag, text));
    }
}

fn count(row: &SqlRow<'_>, at: usize) -> Sql<String> {
    Ok(row.get::<_, i64>(at)?.to_string())
}
