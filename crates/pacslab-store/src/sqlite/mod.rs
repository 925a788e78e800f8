//! The SQLite files: one writer, a few readers, migrations that only add.

mod amend;
pub(crate) mod desk;
mod find;
mod group;
pub(crate) mod index;
mod ingest;
mod labels;
mod lead;
pub(crate) mod log;
#[cfg(test)]
mod plan_tests;
mod rows;
mod ruin;
mod scope;
mod terms;
pub(crate) mod text;
mod write;

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::{Result, StoreError};

type Sql<T> = std::result::Result<T, rusqlite::Error>;

/// What a database file is, declared by who uses it.
pub(crate) struct Schema {
    /// Statements by version: entry 0 leads from nothing to version 1. Never change one.
    pub(crate) migrations: &'static [&'static str],
    /// `OFF`, `NORMAL` or `FULL`.
    pub(crate) synchronous: &'static str,
    /// It can be made again, or done without.
    pub(crate) spare: bool,
    /// KiB of pages kept in memory by the writer and by each reader.
    pub(crate) cache: (u32, u32),
}

/// What suits a small database.
pub(crate) const SMALL: (u32, u32) = (2048, 1024);

/// An open database. Readers do not wait for the writer (WAL), and are opened when first needed.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    spare: bool,
    cache: u32,
    /// `None`: in memory, where there is but one connection. Closed before the writer, which as
    /// the last one writes the log back.
    readers: Option<Readers>,
    writer: Mutex<Connection>,
}

/// Connections that read: no more than some at a time, whoever comes then waits for one.
#[derive(Debug, Default)]
struct Readers {
    pool: Mutex<Pool>,
    back: Condvar,
}

#[derive(Debug, Default)]
struct Pool {
    /// The last one back is the first one out: its pages are the ones in memory.
    idle: Vec<Connection>,
    out: usize,
}

/// Readers at a time. Each holds its own pages in memory.
const READERS: usize = 4;

impl Readers {
    /// An idle connection, or leave to open one.
    fn take(&self) -> Option<Connection> {
        let mut pool = lock(&self.pool);
        while pool.idle.is_empty() && pool.out >= READERS {
            pool = self.back.wait(pool).unwrap_or_else(PoisonError::into_inner);
        }
        pool.out += 1;
        pool.idle.pop()
    }
}

/// A connection on its way back into the pool, whatever becomes of who reads.
struct Reader<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut pool = lock(&self.readers.pool);
        pool.out -= 1;
        pool.idle.extend(self.connection.take());
        drop(pool);
        self.readers.back.notify_one();
    }
}

impl Database {
    pub(crate) fn open(path: &Path, schema: &Schema) -> Result<Self> {
        let failed = |source| StoreError::database(path, source);
        let mut writer = Connection::open(path).map_err(failed)?;
        let pragmas = format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous={}; PRAGMA cache_size=-{}; \
             PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=16777216; \
             PRAGMA wal_autocheckpoint=4000; \
             PRAGMA foreign_keys=OFF;",
            schema.synchronous, schema.cache.0
        );
        writer.execute_batch(&pragmas).map_err(failed)?;
        migrate(path, &mut writer, schema)?;
        let readers = Some(Readers::default());
        let (spare, cache) = (schema.spare, schema.cache.1);
        Ok(Self { path: path.to_owned(), spare, cache, writer: prepared(writer), readers })
    }

    pub(crate) fn memory(schema: &Schema) -> Result<Self> {
        let path = PathBuf::from(":memory:");
        let mut writer =
            Connection::open_in_memory().map_err(|e| StoreError::database(&path, e))?;
        migrate(&path, &mut writer, schema)?;
        Ok(Self { path, spare: false, cache: 0, writer: prepared(writer), readers: None })
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        let Some(readers) = &self.readers else {
            return read(&lock(&self.writer)).map_err(|e| self.failed(e));
        };
        let mut reader = Reader { readers, connection: readers.take() };
        let connection = match &mut reader.connection {
            Some(connection) => connection,
            none => none.insert(self.reader().map_err(|e| self.failed(e))?),
        };
        let run = || -> Sql<T> {
            // one state of the database, however many statements it takes
            let transaction = connection.transaction()?;
            let answer = read(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        };
        run().map_err(|e| self.failed(e))
    }

    /// Runs `write` in a transaction that is committed when it comes back with `Ok`.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&Transaction<'_>) -> Sql<T>) -> Result<T> {
        let mut writer = lock(&self.writer);
        let run = || -> Sql<T> {
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let answer = write(&transaction)?;
            transaction.commit()?;
            Ok(answer)
        };
        run().map_err(|e| self.failed(e))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Holds up whoever writes.
    #[cfg(test)]
    pub(crate) fn writer(&self) -> MutexGuard<'_, Connection> {
        lock(&self.writer)
    }

    fn failed(&self, source: rusqlite::Error) -> StoreError {
        if self.spare && ruin::is_ruined(&source) {
            ruin::mark(&self.path);
        }
        StoreError::database(&self.path, source)
    }

    fn reader(&self) -> Sql<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.execute_batch(&format!(
            "PRAGMA cache_size=-{}; PRAGMA temp_store=MEMORY;",
            self.cache
        ))?;
        connection.set_prepared_statement_cache_capacity(48);
        Ok(connection)
    }
}

/// A consistent copy of a database that somebody may be writing to.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let failed = |source| StoreError::database(from, source);
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(StoreError::io("remove", &part, 0, error));
        }
        _ => {}
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags).map_err(failed)?;
    source.busy_timeout(std::time::Duration::from_secs(30)).map_err(failed)?;
    source.execute("VACUUM INTO ?1", [part.to_string_lossy()]).map_err(failed)?;
    drop(source);
    let copy = || -> std::io::Result<()> {
        std::fs::OpenOptions::new().write(true).open(&part)?.sync_all()?;
        crate::disk::patiently(|| std::fs::rename(&part, to))
    };
    copy().map_err(|e| StoreError::io("copy", from, 0, e))
}

fn prepared(writer: Connection) -> Mutex<Connection> {
    writer.set_prepared_statement_cache_capacity(64);
    Mutex::new(writer)
}

/// A panic in another thread leaves a rolled-back transaction, not a broken connection.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn migrate(path: &Path, connection: &mut Connection, schema: &Schema) -> Result<()> {
    let failed = |source| StoreError::database(path, source);
    let version: u32 =
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(failed)?;
    let version = version as usize;
    if version > schema.migrations.len() {
        return Err(StoreError::Unreadable {
            path: path.to_owned(),
            what: format!(
                "schema version {version}, known up to {}; use a newer version",
                schema.migrations.len()
            ),
        });
    }
    if version == schema.migrations.len() {
        return Ok(());
    }
    let transaction = connection.transaction().map_err(failed)?;
    for statements in &schema.migrations[version..] {
        transaction.execute_batch(statements).map_err(failed)?;
    }
    transaction
        .pragma_update(None, "user_version", schema.migrations.len() as u32)
        .and_then(|()| transaction.commit())
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_add_and_newer_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.db");
        let one = Schema {
            migrations: &["CREATE TABLE a(x)"],
            synchronous: "NORMAL",
            spare: false,
            cache: SMALL,
        };
        let two = Schema { migrations: &["CREATE TABLE a(x)", "CREATE TABLE b(x)"], ..one };
        drop(Database::open(&path, &one).unwrap());
        let db = Database::open(&path, &two).unwrap();
        let tables: i64 = db
            .read(|c| c.query_row("SELECT count(*) FROM sqlite_schema", [], |r| r.get(0)))
            .unwrap();
        assert_eq!(tables, 2);
        drop(db);
        let error = Database::open(&path, &one).unwrap_err();
        assert!(error.to_string().contains("schema version 2"), "{error}");
    }
}
