//! Labels of resources, and patients that are protected. Both end with what they are stuck to.

use pacslab_model::Level;
use rusqlite::{Connection, OptionalExtension, params};

use super::index::signed;
use super::{Sql, scope};

pub(super) const TABLES: &str = "
    CREATE TABLE labels(
        level INTEGER NOT NULL, resource TEXT NOT NULL, label TEXT NOT NULL,
        PRIMARY KEY(level, resource, label)) WITHOUT ROWID;
    CREATE INDEX labels_label ON labels(label, level);
    CREATE TABLE protected(patient_id TEXT PRIMARY KEY) WITHOUT ROWID;
    ";

/// Whether there is such a resource; a label on nothing is not kept.
pub(super) fn put(
    c: &Connection,
    level: Level,
    resource: &str,
    label: &str,
    on: bool,
) -> Sql<bool> {
    if !exists(c, level, resource)? {
        return Ok(false);
    }
    let sql = match on {
        true => "INSERT OR IGNORE INTO labels VALUES(?1, ?2, ?3)",
        false => "DELETE FROM labels WHERE level = ?1 AND resource = ?2 AND label = ?3",
    };
    c.prepare_cached(sql)?.execute(params![level as u8, resource, label])?;
    Ok(true)
}

pub(super) fn of(c: &Connection, level: Level, resource: &str) -> Sql<Vec<String>> {
    c.prepare_cached("SELECT label FROM labels WHERE level = ?1 AND resource = ?2 ORDER BY label")?
        .query_map(params![level as u8, resource], |row| row.get(0))?
        .collect()
}

pub(super) fn labelled(c: &Connection, level: Level, label: &str) -> Sql<Vec<String>> {
    c.prepare_cached(
        "SELECT resource FROM labels WHERE label = ?2 AND level = ?1 ORDER BY resource",
    )?
    .query_map(params![level as u8, label], |row| row.get(0))?
    .collect()
}

pub(super) fn all(c: &Connection) -> Sql<Vec<String>> {
    c.prepare_cached("SELECT DISTINCT label FROM labels ORDER BY label")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// Whether there is such a patient.
pub(super) fn protect(c: &Connection, patient_id: &str, on: bool) -> Sql<bool> {
    if !exists(c, Level::Patient, patient_id)? {
        return Ok(false);
    }
    let sql = match on {
        true => "INSERT OR IGNORE INTO protected VALUES(?1)",
        false => "DELETE FROM protected WHERE patient_id = ?1",
    };
    c.prepare_cached(sql)?.execute([patient_id])?;
    Ok(true)
}

pub(super) fn is_protected(c: &Connection, patient_id: &str) -> Sql<bool> {
    c.prepare_cached("SELECT 1 FROM protected WHERE patient_id = ?1")?
        .query_row([patient_id], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}

pub(super) fn oldest_unprotected(c: &Connection, limit: usize) -> Sql<Vec<String>> {
    c.prepare_cached(
        "SELECT patient_id FROM patients WHERE patient_id NOT IN (SELECT patient_id FROM protected)
         ORDER BY received_at, id LIMIT ?1",
    )?
    .query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| row.get(0))?
    .collect()
}

/// Takes off what is stuck to resources that are gone.
pub(super) fn peel<'a>(
    c: &Connection,
    level: Level,
    resources: impl IntoIterator<Item = &'a str>,
) -> Sql<()> {
    let mut delete = c.prepare_cached("DELETE FROM labels WHERE level = ?1 AND resource = ?2")?;
    let mut unprotect = c.prepare_cached("DELETE FROM protected WHERE patient_id = ?1")?;
    for resource in resources {
        if exists(c, level, resource)? {
            continue;
        }
        delete.execute(params![level as u8, resource])?;
        if level == Level::Patient {
            unprotect.execute([resource])?;
        }
    }
    Ok(())
}

/// The highest level of which an instance is the oldest one.
pub(super) fn begins(c: &Connection, number: u64) -> Sql<Level> {
    let above = c
        .prepare_cached(
            "SELECT se.id, st.id, st.patient FROM instances i CROSS JOIN series se ON se.id = i.series
             CROSS JOIN studies st ON st.id = se.study WHERE i.id = ?1",
        )?
        .query_row([signed(number)], |row| {
            Ok([row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?])
        })
        .optional()?;
    let Some([series, study, patient]) = above else { return Ok(Level::Instance) };
    let older = |sql: &str, of: i64| {
        c.prepare_cached(sql)?.query_row(params![of, signed(number)], |_| Ok(())).optional()
    };
    if older("SELECT 1 FROM instances WHERE series = ?1 AND id < ?2 LIMIT 1", series)?.is_some() {
        return Ok(Level::Instance);
    }
    let within = "SELECT 1 FROM series se CROSS JOIN instances i ON i.series = se.id
        WHERE se.study = ?1 AND i.id < ?2 LIMIT 1";
    if older(within, study)?.is_some() {
        return Ok(Level::Series);
    }
    let within = "SELECT 1 FROM studies st CROSS JOIN series se ON se.study = st.id
        CROSS JOIN instances i ON i.series = se.id WHERE st.patient = ?1 AND i.id < ?2 LIMIT 1";
    Ok(if older(within, patient)?.is_some() { Level::Study } else { Level::Patient })
}

fn exists(c: &Connection, level: Level, resource: &str) -> Sql<bool> {
    Ok(match level {
        Level::Patient => scope::patient(c, resource)?.is_some(),
        Level::Study => scope::study(c, resource)?.is_some(),
        Level::Series => scope::series(c, resource)?.is_some(),
        Level::Instance => scope::instance(c, resource)?.is_some(),
    })
}
