//! Databases that are none any more: garbage, half a file, pages that contradict each other.
//!
//! One that can be made again, or done without, is set aside and begun anew: for whoever wants to
//! look, and so that a damaged index never keeps a department closed. Damage that only shows at
//! work leaves a mark beside the file, and the next start sets it aside.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::{Database, Schema, Sql};
use crate::error::{Result, StoreError};

/// Whether the file itself is what is wrong.
pub(super) fn is_ruined(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
    matches!(error, rusqlite::Error::SqliteFailure(failure, _)
        if matches!(failure.code, NotADatabase | DatabaseCorrupt))
}

/// What cannot be spared is for a person to bring back.
pub(super) fn for_a_person(path: &Path, what: &str, error: StoreError) -> StoreError {
    match error {
        StoreError::Database { source, .. } if is_ruined(&source) => StoreError::Ruined {
            path: path.to_owned(),
            what: what.to_owned(),
            why: source.to_string(),
        },
        other => other,
    }
}

/// Leaves word for the next start.
pub(super) fn mark(path: &Path) {
    if marked(path).exists() {
        return;
    }
    tracing::error!(path = %path.display(), "a database is damaged; the next start makes it again");
    // without the mark the next start may find the damage by itself
    let _ = fs::write(marked(path), b"damage was found here\n");
}

/// Takes a database away that is made again.
pub(super) fn remove(path: &Path) {
    // what is still there is found when it is opened
    let _ = fs::remove_file(path);
    remove_logs(path);
}

fn remove_logs(path: &Path) {
    for ending in ["-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        // not there after a clean end
        let _ = fs::remove_file(PathBuf::from(name));
    }
}

fn marked(path: &Path) -> PathBuf {
    path.with_extension("db.ruined")
}

impl Database {
    /// Opens a database that can be spared; one that is ruined is set aside, and its new name
    /// is the second value. `probe` reads a little of everything.
    pub(crate) fn open_or_replace(
        path: &Path,
        schema: &Schema,
        probe: impl Fn(&Connection) -> Sql<()>,
    ) -> Result<(Self, Option<PathBuf>)> {
        let opened = || {
            let db = Self::open(path, schema)?;
            db.read(&probe)?;
            Ok(db)
        };
        let why = if marked(path).exists() {
            "damage was found when it was last used".to_owned()
        } else {
            match opened() {
                Err(StoreError::Database { source, .. }) if is_ruined(&source) => {
                    source.to_string()
                }
                other => return Ok((other?, None)),
            }
        };
        let aside = path.with_extension("db.damaged");
        tracing::warn!(path = %path.display(), aside = %aside.display(), why,
            "a database is damaged; it is set aside and begun anew");
        match crate::disk::patiently(|| fs::rename(path, &aside)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io("set aside", path, 0, error));
            }
            _ => {}
        }
        remove_logs(path);
        let db = Self::open(path, schema)?;
        let _ = fs::remove_file(marked(path));
        Ok((db, Some(aside)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema {
        migrations: &["CREATE TABLE a(x)", "CREATE TABLE b(x)"],
        synchronous: "NORMAL",
        spare: true,
        cache: super::super::SMALL,
    };

    fn probe(c: &Connection) -> Sql<()> {
        c.query_row("SELECT count(*) FROM a", [], |_| Ok(()))
    }

    fn fill(db: &Database) {
        db.write(|tx| {
            for n in 0..2000 {
                tx.execute("INSERT INTO a VALUES(?1)", [format!("{n:0100}")])?;
            }
            Ok(())
        })
        .unwrap();
    }

    /// A folder whose files were partly overwritten could not be opened at all.
    #[test]
    fn garbage_behind_a_good_first_page_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let (db, aside) = Database::open_or_replace(&path, &SCHEMA, probe).unwrap();
        assert_eq!(aside, None);
        fill(&db);
        db.writer().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        drop(db);
        let mut bytes = fs::read(&path).unwrap();
        bytes[4096..].fill(0x5A);
        fs::write(&path, bytes).unwrap();
        let (db, aside) = Database::open_or_replace(&path, &SCHEMA, probe).unwrap();
        assert!(aside.is_some_and(|aside| aside.exists()));
        fill(&db);
    }

    #[test]
    fn damage_found_at_work_is_acted_on_at_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let (db, _) = Database::open_or_replace(&path, &SCHEMA, probe).unwrap();
        let corrupt = || {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
            Err::<(), _>(rusqlite::Error::SqliteFailure(code, None))
        };
        assert!(db.read(|_| corrupt()).is_err());
        drop(db);
        let (db, aside) = Database::open_or_replace(&path, &SCHEMA, probe).unwrap();
        assert!(aside.is_some());
        drop(db);
        assert_eq!(Database::open_or_replace(&path, &SCHEMA, probe).unwrap().1, None);
    }
}
