//! `index.db`: the tables, and the trait's methods that are short.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use pacslab_model::{Moment, Query, Tag, Uid};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::ingest::{self, Cache};
use super::{Database, Schema, Sql, amend, find, lock};
use crate::blobs::{Location, Position};
use crate::error::Result;
use crate::index::{
    Arrival, Counts, Index, Ingested, Known, NewInstance, Row, Scope, Source, Stored,
};

/// Attributes that are searched by an index are columns; all are in `attributes`, a JSON object
/// by tag. `odd` marks rows whose searched values hold several (a backslash): the columns cannot
/// answer for those, so every search looks at them besides.
const SCHEMA: Schema = Schema {
    synchronous: "NORMAL",
    spare: true,
    migrations: &["
    CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE patients(
        id INTEGER PRIMARY KEY, patient_id TEXT NOT NULL UNIQUE, odd INTEGER NOT NULL,
        studies INTEGER NOT NULL, series INTEGER NOT NULL, instances INTEGER NOT NULL,
        received_at INTEGER NOT NULL, received_offset INTEGER NOT NULL,
        attributes TEXT NOT NULL);
    CREATE INDEX patients_odd ON patients(odd) WHERE odd = 1;
    CREATE TABLE patient_names(
        fold TEXT NOT NULL, patient INTEGER NOT NULL, PRIMARY KEY(fold, patient)) WITHOUT ROWID;
    CREATE INDEX patient_names_patient ON patient_names(patient);
    CREATE TABLE studies(
        id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, patient INTEGER NOT NULL,
        odd INTEGER NOT NULL, date TEXT NOT NULL, time TEXT NOT NULL, accession TEXT NOT NULL,
        series INTEGER NOT NULL, instances INTEGER NOT NULL,
        modalities TEXT NOT NULL, sop_classes TEXT NOT NULL,
        received_at INTEGER NOT NULL, received_offset INTEGER NOT NULL,
        attributes TEXT NOT NULL);
    CREATE INDEX studies_odd ON studies(odd) WHERE odd = 1;
    CREATE INDEX studies_patient ON studies(patient);
    CREATE INDEX studies_accession ON studies(accession);
    CREATE INDEX studies_date ON studies(date, time, id);
    CREATE TABLE series(
        id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, study INTEGER NOT NULL,
        odd INTEGER NOT NULL, number INTEGER NOT NULL, modality TEXT NOT NULL,
        instances INTEGER NOT NULL,
        received_at INTEGER NOT NULL, received_offset INTEGER NOT NULL,
        attributes TEXT NOT NULL);
    CREATE INDEX series_odd ON series(odd) WHERE odd = 1;
    CREATE INDEX series_study ON series(study, number);
    CREATE TABLE instances(
        id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, series INTEGER NOT NULL,
        odd INTEGER NOT NULL, number INTEGER NOT NULL,
        sop_class TEXT NOT NULL, transfer_syntax TEXT NOT NULL, size INTEGER NOT NULL,
        digest BLOB NOT NULL, pack INTEGER NOT NULL, pack_offset INTEGER NOT NULL,
        length INTEGER NOT NULL, crc INTEGER NOT NULL,
        received_at INTEGER NOT NULL, received_offset INTEGER NOT NULL,
        calling_ae TEXT NOT NULL, remote TEXT NOT NULL, attributes TEXT NOT NULL);
    CREATE INDEX instances_odd ON instances(odd) WHERE odd = 1;
    CREATE INDEX instances_series ON instances(series, number);
    CREATE TABLE arrivals(
        number INTEGER PRIMARY KEY, at INTEGER NOT NULL, at_offset INTEGER NOT NULL,
        accession TEXT NOT NULL, patient_id TEXT NOT NULL, study TEXT NOT NULL,
        series TEXT NOT NULL, instance TEXT NOT NULL, sop_class TEXT NOT NULL,
        calling_ae TEXT NOT NULL);
    "],
};

#[derive(Debug)]
pub struct SqliteIndex {
    db: Database,
    /// What was taken in last; locked before the writer.
    cache: Mutex<Cache>,
    /// Where a damaged one was put.
    aside: Option<PathBuf>,
}

/// One row of each table.
fn probe(c: &Connection) -> Sql<()> {
    for table in ["meta", "patients", "patient_names", "studies", "series", "instances", "arrivals"]
    {
        let sql = format!("SELECT * FROM {table} ORDER BY 1 DESC LIMIT 1");
        c.prepare(&sql)?.query_row([], |_| Ok(())).optional()?;
    }
    Ok(())
}

impl SqliteIndex {
    /// Opens an index, made if it is not there. One that is no database any more is set aside:
    /// it is made again from the blobs.
    pub fn open(path: &Path) -> Result<Self> {
        let (db, aside) = Database::open_or_replace(path, &SCHEMA, probe)?;
        Ok(Self { db, cache: Mutex::default(), aside })
    }

    /// Ends with the value.
    pub fn memory() -> Result<Self> {
        Ok(Self { db: Database::memory(&SCHEMA)?, cache: Mutex::default(), aside: None })
    }
}

impl Index for SqliteIndex {
    fn set_aside(&self) -> Option<&Path> {
        self.aside.as_deref()
    }

    fn ingest(&self, batch: &[NewInstance], upto: Position) -> Result<Vec<Ingested>> {
        let mut cache = lock(&self.cache);
        let answer = self.db.write(|tx| {
            let ingested = ingest::ingest(tx, &mut cache, batch)?;
            put_position(tx, upto)?;
            Ok(ingested)
        });
        if answer.is_err() {
            cache.clear();
        }
        answer
    }

    fn known(&self, sop_instances: &[Uid]) -> Result<Vec<Option<Known>>> {
        self.db.read(|c| sop_instances.iter().map(|uid| known(c, uid.as_str())).collect())
    }

    fn find(&self, query: &Query) -> Result<Vec<Row>> {
        self.db.read(|c| find::find(c, query))
    }

    fn instances(&self, scope: &Scope) -> Result<Vec<Stored>> {
        if scope.is_empty() {
            return Ok(Vec::new());
        }
        self.db.read(|c| find::instances(c, scope))
    }

    fn counts(&self) -> Result<Counts> {
        self.db.read(|c| {
            c.prepare_cached(
                "SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM studies),
                 (SELECT count(*) FROM series),
                 (SELECT coalesce(sum(instances), 0) FROM studies),
                 coalesce((SELECT value FROM meta WHERE name = 'size'), 0)",
            )?
            .query_row([], |row| {
                Ok(Counts {
                    patients: unsigned(row, 0)?,
                    studies: unsigned(row, 1)?,
                    series: unsigned(row, 2)?,
                    instances: unsigned(row, 3)?,
                    size: unsigned(row, 4)?,
                })
            })
        })
    }

    fn position(&self) -> Result<Position> {
        self.db.read(|c| {
            let mut position = Position::default();
            let mut statement = c.prepare_cached("SELECT name, value FROM meta")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let value = unsigned(row, 1)?;
                match row.get_ref(0)?.as_str()? {
                    "sequence" => position.sequence = value,
                    "pack" => position.pack = value as u32,
                    "offset" => position.offset = value,
                    _ => {}
                }
            }
            Ok(position)
        })
    }

    fn set_position(&self, upto: Position) -> Result<()> {
        self.db.write(|tx| put_position(tx, upto))
    }

    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>> {
        self.db.read(|c| {
            c.prepare_cached(
                "SELECT number, at, at_offset, accession, patient_id, study, series, instance,
                 sop_class, calling_ae FROM arrivals WHERE number > ?1 ORDER BY number LIMIT ?2",
            )?
            .query_map(params![signed(cursor), signed(limit as u64)], |row| {
                Ok(Arrival {
                    number: unsigned(row, 0)?,
                    at: moment(row, 1)?,
                    accession: row.get(3)?,
                    patient_id: row.get(4)?,
                    study_uid: uid(row, 5)?,
                    series_uid: uid(row, 6)?,
                    sop_instance: uid(row, 7)?,
                    sop_class: uid(row, 8)?,
                    calling_ae: row.get(9)?,
                })
            })?
            .collect()
        })
    }

    fn remove(&self, sop_instances: &[Uid], upto: Position) -> Result<Vec<Stored>> {
        let mut cache = lock(&self.cache);
        cache.clear();
        self.db.write(|tx| {
            let scope = Scope { sop_instances: sop_instances.to_vec(), ..Scope::default() };
            let found = find::instances(tx, &scope)?;
            amend::remove(tx, &found)?;
            put_position(tx, upto)?;
            Ok(found)
        })
    }

    fn relabel(&self, study: &Uid, changes: &[(Tag, String)], upto: Position) -> Result<bool> {
        let mut cache = lock(&self.cache);
        cache.clear();
        self.db.write(|tx| {
            let there = amend::relabel(tx, study.as_str(), changes)?;
            put_position(tx, upto)?;
            Ok(there)
        })
    }
}

pub(super) fn known(c: &Connection, uid: &str) -> Sql<Option<Known>> {
    c.prepare_cached("SELECT digest, pack, pack_offset, length, crc FROM instances WHERE uid = ?1")?
        .query_row([uid], |row| Ok(Known { digest: row.get(0)?, location: location(row, 1)? }))
        .optional()
}

fn put_position(c: &Connection, at: Position) -> Sql<()> {
    let mut statement = c.prepare_cached("INSERT OR REPLACE INTO meta VALUES(?1, ?2)")?;
    statement.execute(params!["sequence", signed(at.sequence)])?;
    statement.execute(params!["pack", at.pack])?;
    statement.execute(params!["offset", signed(at.offset)])?;
    Ok(())
}

/// The columns of [`stored`], from the aliases `p`, `st`, `se`, `i`.
pub(super) const STORED: &str = "p.patient_id, st.uid, se.uid, i.uid, i.sop_class, \
    i.transfer_syntax, i.size, i.digest, i.pack, i.pack_offset, i.length, i.crc, \
    i.received_at, i.received_offset, i.calling_ae, i.remote";

pub(super) fn stored(row: &SqlRow<'_>, at: usize) -> Sql<Stored> {
    Ok(Stored {
        patient_id: row.get(at)?,
        study_uid: uid(row, at + 1)?,
        series_uid: uid(row, at + 2)?,
        sop_instance: uid(row, at + 3)?,
        sop_class: uid(row, at + 4)?,
        transfer_syntax: uid(row, at + 5)?,
        size: unsigned(row, at + 6)?,
        digest: row.get(at + 7)?,
        location: location(row, at + 8)?,
        received_at: moment(row, at + 12)?,
        source: Source { calling_ae: row.get(at + 14)?, remote: row.get(at + 15)? },
    })
}

pub(super) fn location(row: &SqlRow<'_>, at: usize) -> Sql<Location> {
    Ok(Location {
        pack: row.get(at)?,
        offset: unsigned(row, at + 1)?,
        len: unsigned(row, at + 2)?,
        crc: row.get(at + 3)?,
    })
}

pub(super) fn moment(row: &SqlRow<'_>, at: usize) -> Sql<Moment> {
    Ok(Moment::new(row.get(at)?, row.get(at + 1)?))
}

pub(super) fn uid(row: &SqlRow<'_>, at: usize) -> Sql<Uid> {
    Ok(Uid::new(row.get::<_, String>(at)?))
}

/// SQLite's integers are signed; nothing here comes near 2^63.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(row: &SqlRow<'_>, at: usize) -> Sql<u64> {
    Ok(u64::try_from(row.get::<_, i64>(at)?).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_index_keeps_its_contract() {
        crate::suite::index(&|| Arc::new(SqliteIndex::memory().unwrap()));
    }

    #[test]
    fn the_index_keeps_its_contract_on_disk() {
        let root = tempfile::tempdir().unwrap();
        let count = std::cell::Cell::new(0);
        crate::suite::index(&|| {
            count.set(count.get() + 1);
            Arc::new(SqliteIndex::open(&root.path().join(count.get().to_string())).unwrap())
        });
    }

    #[test]
    fn a_ruined_index_is_set_aside() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("index.db");
        std::fs::write(&path, "this is no database, whatever its name says").unwrap();
        let index = SqliteIndex::open(&path).unwrap();
        assert_eq!(index.position().unwrap(), Position::default());
        assert!(root.path().join("index.db.damaged").exists());
    }
}
