//! `index.db`: the tables, and the trait's methods that are short.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use pacslab_model::{Level, Moment, Query, Tag, Uid, Vr};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::ingest::{self, Cache};
use super::terms::Searched;
use super::text::uid_key;
use super::{Database, Schema, Sql, amend, find, labels, lock, ruin, scope};
use crate::blobs::{Location, Position};
use crate::error::Result;
use crate::index::{
    Arrival, Counts, Index, Ingested, Known, NewInstance, Row, Scope, Source, Stored,
};

/// Rows are numbered as they come, so that new ones lie side by side; UIDs are found by a number
/// made of them (`key`). `rank` is the date and time of the study in seconds: the order of answers.
/// A term is a value of an attribute in the form it is searched in. `held` is all that was said;
/// `odd` marks studies of several dates. The number of an instance is that of its arrival.
/// Why these tables and no others: docs/adr/0014.
const SCHEMA: Schema = Schema {
    synchronous: "NORMAL",
    spare: true,
    cache: (8192, 3072),
    migrations: &[
        // those before were made anew: see `open`
        "",
        "
    CREATE TABLE state(
        id INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, pack INTEGER NOT NULL,
        pack_offset INTEGER NOT NULL, patients INTEGER NOT NULL, studies INTEGER NOT NULL,
        series INTEGER NOT NULL, instances INTEGER NOT NULL, size INTEGER NOT NULL,
        last_patient INTEGER NOT NULL, last_study INTEGER NOT NULL, last_series INTEGER NOT NULL,
        last_instance INTEGER NOT NULL, searched TEXT NOT NULL);
    INSERT INTO state VALUES(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '');
    CREATE TABLE patients(
        id INTEGER PRIMARY KEY, patient_id TEXT NOT NULL, studies INTEGER NOT NULL,
        series INTEGER NOT NULL, instances INTEGER NOT NULL, size INTEGER NOT NULL,
        received_at INTEGER NOT NULL, received_offset INTEGER NOT NULL, held BLOB NOT NULL);
    CREATE TABLE patient_terms(
        tag INTEGER NOT NULL, term TEXT NOT NULL, patient INTEGER NOT NULL,
        PRIMARY KEY(tag, term, patient)) WITHOUT ROWID;
    CREATE TABLE studies(
        id INTEGER PRIMARY KEY, key INTEGER NOT NULL, uid TEXT NOT NULL, patient INTEGER NOT NULL,
        rank INTEGER NOT NULL, odd INTEGER NOT NULL, series INTEGER NOT NULL,
        instances INTEGER NOT NULL, size INTEGER NOT NULL, modalities TEXT NOT NULL,
        sop_classes TEXT NOT NULL, received_at INTEGER NOT NULL, received_offset INTEGER NOT NULL,
        held BLOB NOT NULL);
    CREATE INDEX studies_key ON studies(key);
    CREATE INDEX studies_patient ON studies(patient, rank);
    CREATE INDEX studies_newest ON studies(rank);
    CREATE INDEX studies_odd ON studies(odd) WHERE odd = 1;
    CREATE TABLE study_terms(
        tag INTEGER NOT NULL, term TEXT NOT NULL, rank INTEGER NOT NULL, study INTEGER NOT NULL,
        PRIMARY KEY(tag, term, rank, study)) WITHOUT ROWID;
    CREATE TABLE series(
        id INTEGER PRIMARY KEY, key INTEGER NOT NULL, uid TEXT NOT NULL, study INTEGER NOT NULL,
        number INTEGER NOT NULL, instances INTEGER NOT NULL, size INTEGER NOT NULL,
        received_at INTEGER NOT NULL, received_offset INTEGER NOT NULL, held BLOB NOT NULL);
    CREATE INDEX series_key ON series(key);
    CREATE INDEX series_study ON series(study, number);
    CREATE TABLE instances(
        id INTEGER PRIMARY KEY, key INTEGER NOT NULL, uid TEXT NOT NULL, series INTEGER NOT NULL,
        number INTEGER NOT NULL, sop_class TEXT NOT NULL, transfer_syntax TEXT NOT NULL,
        size INTEGER NOT NULL, digest BLOB NOT NULL, pack INTEGER NOT NULL,
        pack_offset INTEGER NOT NULL, length INTEGER NOT NULL, crc INTEGER NOT NULL,
        received_at INTEGER NOT NULL, received_offset INTEGER NOT NULL,
        calling_ae TEXT NOT NULL, remote TEXT NOT NULL, accession TEXT, held BLOB NOT NULL);
    CREATE INDEX instances_key ON instances(key);
    CREATE INDEX instances_series ON instances(series, number);
    ",
        labels::TABLES,
    ],
};

#[derive(Debug)]
pub struct SqliteIndex {
    db: Database,
    /// What was taken in last; locked before the writer.
    cache: Mutex<Cache>,
    searched: Searched,
    /// Where a damaged one was put.
    aside: Option<PathBuf>,
}

/// One row of each table.
fn probe(c: &Connection) -> Sql<()> {
    for table in [
        "state",
        "patients",
        "patient_terms",
        "studies",
        "study_terms",
        "series",
        "instances",
        "labels",
        "protected",
    ] {
        let sql = format!("SELECT * FROM {table} ORDER BY 1 DESC LIMIT 1");
        c.prepare(&sql)?.query_row([], |_| Ok(())).optional()?;
    }
    Ok(())
}

impl SqliteIndex {
    /// Opens an index, made if it is not there. One that is no database any more is set aside:
    /// it is made again from the blobs.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_searching(path, &[])
    }

    /// As [`open`](Self::open), and these attributes have an index as well. One that was made
    /// for others, or by an older version, is made again from the blobs.
    pub fn open_searching(path: &Path, also: &[(Tag, Vr)]) -> Result<Self> {
        let searched = Searched::new(also);
        remove_older(path);
        let (mut db, mut aside) = Database::open_or_replace(path, &SCHEMA, probe)?;
        let made_for: String =
            db.read(|c| c.query_row("SELECT searched FROM state", [], |row| row.get(0)))?;
        if made_for != searched.fingerprint() {
            if !made_for.is_empty() {
                tracing::info!(path = %path.display(),
                    "other attributes are to be searched by: the index is made again from the packs");
                drop(db);
                ruin::remove(path);
                (db, aside) = Database::open_or_replace(path, &SCHEMA, probe)?;
            }
            note_searched(&db, &searched)?;
        }
        Ok(Self { db, cache: Mutex::default(), searched, aside })
    }

    /// Ends with the value.
    pub fn memory() -> Result<Self> {
        Self::memory_searching(&[])
    }

    /// As [`open_searching`](Self::open_searching).
    pub fn memory_searching(also: &[(Tag, Vr)]) -> Result<Self> {
        let (db, searched) = (Database::memory(&SCHEMA)?, Searched::new(also));
        note_searched(&db, &searched)?;
        Ok(Self { db, cache: Mutex::default(), searched, aside: None })
    }
}

#[cfg(test)]
impl SqliteIndex {
    /// The only one there is when it is in memory.
    pub(super) fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.db.writer()
    }
}

fn note_searched(db: &Database, searched: &Searched) -> Result<()> {
    db.write(|tx| tx.execute("UPDATE state SET searched = ?1", [searched.fingerprint()]).map(drop))
}

/// An index is made again rather than changed: the packs hold all that it needs.
fn remove_older(path: &Path) {
    let version = || -> Sql<u32> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
        let c = Connection::open_with_flags(path, flags)?;
        c.query_row("PRAGMA user_version", [], |row| row.get(0))
    };
    if path.exists()
        && !header_is_current(path)
        && let Ok(version) = version()
        && version > 0
        && (version as usize) < SCHEMA.migrations.len()
    {
        tracing::info!(path = %path.display(), version,
            "the index was made by an older version: it is made again from the packs");
        ruin::remove(path);
    }
}

/// A look at the file itself: a connection opened for this alone would write the log back when it
/// closes. What the log alone knows yet is asked of SQLite.
fn header_is_current(path: &Path) -> bool {
    /// Where SQLite's file format keeps the version that its user gives.
    const USER_VERSION: usize = 60;
    let mut header = [0; USER_VERSION + 4];
    let read = std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut header));
    let current = (SCHEMA.migrations.len() as u32).to_be_bytes();
    read.is_ok() && header[USER_VERSION..] == current
}

impl Index for SqliteIndex {
    fn set_aside(&self) -> Option<&Path> {
        self.aside.as_deref()
    }

    fn ingest(&self, batch: &[NewInstance], upto: Position) -> Result<Vec<Ingested>> {
        let mut cache = lock(&self.cache);
        let answer =
            self.db.write(|tx| ingest::ingest(tx, &mut cache, &self.searched, batch, upto));
        if answer.is_err() {
            cache.clear();
        }
        answer
    }

    fn known(&self, sop_instances: &[Uid]) -> Result<Vec<Option<Known>>> {
        self.db.read(|c| sop_instances.iter().map(|uid| known(c, uid.as_str())).collect())
    }

    fn find(&self, query: &Query) -> Result<Vec<Row>> {
        self.db.read(|c| find::find(c, &self.searched, query))
    }

    fn instances(&self, scope: &Scope) -> Result<Vec<Stored>> {
        if scope.is_empty() {
            return Ok(Vec::new());
        }
        self.db.read(|c| scope::instances(c, scope))
    }

    fn counts(&self) -> Result<Counts> {
        self.db.read(|c| {
            c.prepare_cached("SELECT patients, studies, series, instances, size FROM state")?
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
            c.prepare_cached("SELECT sequence, pack, pack_offset FROM state")?.query_row(
                [],
                |row| {
                    Ok(Position {
                        sequence: unsigned(row, 0)?,
                        pack: row.get(1)?,
                        offset: unsigned(row, 2)?,
                    })
                },
            )
        })
    }

    fn set_position(&self, upto: Position) -> Result<()> {
        self.db.write(|tx| put_position(tx, upto))
    }

    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>> {
        self.db.read(|c| scope::arrivals(c, cursor, limit))
    }

    fn last_arrival(&self) -> Result<u64> {
        self.db.read(|c| {
            c.prepare_cached("SELECT coalesce(max(id), 0) FROM instances")?
                .query_row([], |row| unsigned(row, 0))
        })
    }

    fn begin(&self, arrivals: &[u64]) -> Result<Vec<Level>> {
        self.db.read(|c| arrivals.iter().map(|number| labels::begins(c, *number)).collect())
    }

    fn remove(&self, sop_instances: &[Uid], upto: Position) -> Result<Vec<Stored>> {
        let mut cache = lock(&self.cache);
        cache.clear();
        self.db.write(|tx| {
            let scope = Scope { sop_instances: sop_instances.to_vec(), ..Scope::default() };
            let found = scope::instances(tx, &scope)?;
            amend::remove(tx, &self.searched, &found)?;
            put_position(tx, upto)?;
            Ok(found)
        })
    }

    fn relabel(&self, study: &Uid, changes: &[(Tag, String)], upto: Position) -> Result<bool> {
        let mut cache = lock(&self.cache);
        cache.clear();
        self.db.write(|tx| {
            let there = amend::relabel(tx, &self.searched, study.as_str(), changes)?;
            put_position(tx, upto)?;
            Ok(there)
        })
    }

    fn label(
        &self,
        level: Level,
        resource: &str,
        label: &str,
        on: bool,
        upto: Position,
    ) -> Result<bool> {
        self.db.write(|tx| {
            let there = labels::put(tx, level, resource, label, on)?;
            put_position(tx, upto)?;
            Ok(there)
        })
    }

    fn labels_of(&self, level: Level, resource: &str) -> Result<Vec<String>> {
        self.db.read(|c| labels::of(c, level, resource))
    }

    fn labelled(&self, level: Level, label: &str) -> Result<Vec<String>> {
        self.db.read(|c| labels::labelled(c, level, label))
    }

    fn labels(&self) -> Result<Vec<String>> {
        self.db.read(labels::all)
    }

    fn protect(&self, patient_id: &str, on: bool, upto: Position) -> Result<bool> {
        self.db.write(|tx| {
            let there = labels::protect(tx, patient_id, on)?;
            put_position(tx, upto)?;
            Ok(there)
        })
    }

    fn is_protected(&self, patient_id: &str) -> Result<bool> {
        self.db.read(|c| labels::is_protected(c, patient_id))
    }

    fn oldest_unprotected(&self, limit: usize) -> Result<Vec<String>> {
        self.db.read(|c| labels::oldest_unprotected(c, limit))
    }

    fn held(&self) -> Result<BTreeMap<u32, u64>> {
        self.db.read(|c| {
            c.prepare("SELECT pack, sum(length) FROM instances GROUP BY pack")?
                .query_map([], |row| Ok((row.get(0)?, unsigned(row, 1)?)))?
                .collect()
        })
    }

    fn relocate(&self, from: u32, moved: &[(Uid, Location)]) -> Result<()> {
        self.db.write(|tx| amend::relocate(tx, from, moved))
    }
}

pub(super) fn known(c: &Connection, uid: &str) -> Sql<Option<Known>> {
    c.prepare_cached(
        "SELECT digest, pack, pack_offset, length, crc FROM instances WHERE key = ?1 AND uid = ?2",
    )?
    .query_row(params![uid_key(uid), uid], |row| {
        Ok(Known { digest: row.get(0)?, location: location(row, 1)? })
    })
    .optional()
}

pub(super) fn put_position(c: &Connection, at: Position) -> Sql<()> {
    c.prepare_cached("UPDATE state SET sequence = ?1, pack = ?2, pack_offset = ?3")?
        .execute(params![signed(at.sequence), at.pack, signed(at.offset)])
        .map(drop)
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

pub(super) fn source(row: &SqlRow<'_>, at: usize) -> Sql<Source> {
    Ok(Source { calling_ae: row.get(at)?, remote: row.get(at + 1)? })
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

    /// Every text that is held has terms: the same answers, by other ways.
    #[test]
    fn the_index_keeps_its_contract_whatever_is_searched_by() {
        crate::suite::index(&|| {
            Arc::new(SqliteIndex::memory_searching(&crate::suite::held_attributes()).unwrap())
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

    #[test]
    fn an_index_made_otherwise_is_made_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("index.db");
        let old = Connection::open(&path).unwrap();
        old.execute_batch("CREATE TABLE patients(x); PRAGMA user_version = 1;").unwrap();
        drop(old);
        let at = Position { sequence: 7, pack: 1, offset: 9 };
        let fill = |index: SqliteIndex| {
            let empty = index.position().unwrap() == Position::default();
            index.ingest(&[crate::suite::instance(0, 1, 1)], at).unwrap();
            empty
        };
        let also = [(pacslab_model::tags::PROTOCOL_NAME, Vr::LO)];
        assert!(fill(SqliteIndex::open(&path).unwrap()), "of an older version");
        assert!(!fill(SqliteIndex::open(&path).unwrap()), "as it was");
        assert!(fill(SqliteIndex::open_searching(&path, &also).unwrap()), "for more attributes");
        assert!(!fill(SqliteIndex::open_searching(&path, &also).unwrap()));
        assert!(fill(SqliteIndex::open(&path).unwrap()), "for fewer");
    }
}
