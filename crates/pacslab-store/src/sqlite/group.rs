//! Writes of several callers in one transaction: one sync for all who came meanwhile.
//!
//! A caller runs its own writes under the lock, in a savepoint of the transaction that is open. If
//! somebody waits for the lock the commit is left to them, and whoever finds nobody waiting commits
//! for all. Nobody waits for company: a lone caller commits at once. All are answered after the
//! commit that holds what they wrote, and what they read of each other before.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use rusqlite::Connection;

use super::{Database, Sql, lock};
use crate::error::{Result, StoreError};

/// Callers of one transaction: beyond that those who are in wait too long.
const MOST: usize = 256;

#[derive(Debug, Default)]
pub(crate) struct Group {
    /// Callers on their way to the lock.
    coming: AtomicUsize,
    /// Only locked by who holds the writer.
    turn: Mutex<Turn>,
    committed: Condvar,
}

#[derive(Debug, Default)]
struct Turn {
    /// Transactions that have ended. The open one, if there is one, has this number.
    ended: u64,
    /// Callers whose writes are in the open transaction; 0: none is open.
    joined: usize,
    /// What became of transactions that failed, and how many are still to be told.
    failed: BTreeMap<u64, (usize, String)>,
}

/// Whether what a caller wrote is kept.
pub(crate) enum Keep<T> {
    Yes(T),
    No(T),
}

impl Group {
    /// Runs `write`; what it wrote is durable when this comes back with `Ok`, unless it said
    /// [`Keep::No`].
    pub(crate) fn write<T>(
        &self,
        db: &Database,
        write: impl FnOnce(&Connection) -> Sql<Keep<T>>,
    ) -> Result<T> {
        self.coming.fetch_add(1, Ordering::SeqCst);
        let mut writer = lock(&db.writer);
        self.coming.fetch_sub(1, Ordering::SeqCst);
        let mine = {
            let mut turn = lock(&self.turn);
            if turn.joined == 0 {
                writer.execute_batch("BEGIN IMMEDIATE").map_err(|e| db.failed(e))?;
            }
            turn.joined += 1;
            turn.ended
        };
        let answer = catch_unwind(AssertUnwindSafe(|| in_savepoint(&writer, write)));
        if writer.is_autocommit() {
            // SQLite ends a transaction by itself when a write to the file fails
            let why = match &answer {
                Ok(Err(error)) => error.to_string(),
                _ => "the transaction was rolled back".to_owned(),
            };
            self.end(Err(why));
        }
        loop {
            let (over, joined) = {
                let turn = lock(&self.turn);
                (turn.ended > mine, turn.joined)
            };
            if over {
                break;
            }
            if self.coming.load(Ordering::SeqCst) == 0 || joined >= MOST {
                let done = writer.execute_batch("COMMIT");
                if done.is_err() && !writer.is_autocommit() {
                    // nothing of it is kept, whatever this says
                    let _ = writer.execute_batch("ROLLBACK");
                }
                self.end(done.map_err(|error| error.to_string()));
                break;
            }
            writer = self.committed.wait(writer).unwrap_or_else(PoisonError::into_inner);
        }
        let failed = self.told(mine);
        drop(writer);
        let answer = answer.unwrap_or_else(|panic| resume_unwind(panic)).map_err(|e| db.failed(e));
        match failed {
            // its own error says more
            Some(why) if answer.is_ok() => {
                Err(StoreError::Unwritten { path: db.path.clone(), why })
            }
            _ => answer,
        }
    }

    /// The open transaction has ended. The caller holds the writer.
    fn end(&self, result: std::result::Result<(), String>) {
        let mut turn = lock(&self.turn);
        let (number, joined) = (turn.ended, std::mem::take(&mut turn.joined));
        turn.ended += 1;
        if let Err(why) = result {
            turn.failed.insert(number, (joined, why));
        }
        self.committed.notify_all();
    }

    /// Why a transaction failed, once for each of its callers.
    fn told(&self, number: u64) -> Option<String> {
        let mut turn = lock(&self.turn);
        let (left, why) = turn.failed.get_mut(&number)?;
        let why = why.clone();
        *left -= 1;
        if *left == 0 {
            turn.failed.remove(&number);
        }
        Some(why)
    }
}

fn in_savepoint<T>(c: &Connection, write: impl FnOnce(&Connection) -> Sql<Keep<T>>) -> Sql<T> {
    /// Undoes what a caller wrote that failed, or that panicked.
    struct Undo<'a>(&'a Connection, bool);
    impl Drop for Undo<'_> {
        fn drop(&mut self) {
            if self.1 && !self.0.is_autocommit() {
                let _ = self.0.execute_batch("ROLLBACK TO caller; RELEASE caller");
            }
        }
    }
    c.execute_batch("SAVEPOINT caller")?;
    let mut undo = Undo(c, true);
    match write(c)? {
        Keep::No(answer) => Ok(answer),
        Keep::Yes(answer) => {
            c.execute_batch("RELEASE caller")?;
            undo.1 = false;
            Ok(answer)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::super::{SMALL, Schema};
    use super::*;

    const SCHEMA: Schema = Schema {
        synchronous: "FULL",
        spare: false,
        cache: SMALL,
        migrations: &["CREATE TABLE t(n INTEGER PRIMARY KEY, m INTEGER CHECK(m < 100))"],
    };

    fn insert(group: &Group, db: &Database, n: i64) -> Result<()> {
        group.write(db, |c| c.execute("INSERT INTO t VALUES(?1, 1)", [n]).map(|_| Keep::Yes(())))
    }

    fn count(db: &Database) -> i64 {
        db.read(|c| c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))).unwrap()
    }

    #[test]
    fn what_is_answered_is_there_and_what_fails_alone_fails_alone() {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(&dir.path().join("t.db"), &SCHEMA).unwrap();
        let (group, begin) = (Group::default(), Barrier::new(8));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (group, db, begin) = (&group, &db, &begin);
                scope.spawn(move || {
                    begin.wait();
                    for i in 0..50 {
                        let n = thread * 1000 + i;
                        insert(group, db, n).unwrap();
                        let there = db.read(|c| {
                            c.query_row("SELECT m FROM t WHERE n = ?1", [n], |row| {
                                row.get::<_, i64>(0)
                            })
                        });
                        assert_eq!(there.unwrap(), 1, "answered, so there to others");
                        assert!(insert(group, db, n).is_err(), "the same key again");
                        let undone: Result<()> = group.write(db, |c| {
                            c.execute("INSERT INTO t VALUES(?1, 1)", [n + 500])?;
                            Ok(Keep::No(()))
                        });
                        undone.unwrap();
                        let broken: Result<()> = group.write(db, |c| {
                            c.execute("INSERT INTO t VALUES(?1, 1)", [n + 500])?;
                            c.execute("INSERT INTO t VALUES(?1, 100)", [n + 600])?;
                            Ok(Keep::Yes(()))
                        });
                        assert!(broken.unwrap_err().to_string().contains("CHECK"));
                    }
                });
            }
        });
        assert_eq!(count(&db), 400);
    }

    #[test]
    fn who_panics_undoes_its_own() {
        let db = Database::memory(&SCHEMA).unwrap();
        let group = Group::default();
        insert(&group, &db, 1).unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _: Result<()> = group.write(&db, |c| {
                c.execute("INSERT INTO t VALUES(2, 1)", [])?;
                if c.changes() == 1 {
                    panic!("in the middle")
                }
                Ok(Keep::Yes(()))
            });
        }));
        assert!(panicked.is_err());
        insert(&group, &db, 3).unwrap();
        assert_eq!(count(&db), 2);
    }

    /// All of a transaction are told that it failed: none may answer for what is not there.
    #[test]
    fn a_commit_that_fails_fails_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let schema = Schema {
            migrations: &["CREATE TABLE p(n INTEGER PRIMARY KEY);
                CREATE TABLE t(n INTEGER REFERENCES p(n) DEFERRABLE INITIALLY DEFERRED)"],
            ..SCHEMA
        };
        let db = Database::open(&path, &schema).unwrap();
        lock(&db.writer).execute_batch("PRAGMA foreign_keys=ON").unwrap();
        let group = Group::default();
        let held = lock(&db.writer);
        let answers: Vec<Result<()>> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..4)
                .map(|n| {
                    let (group, db) = (&group, &db);
                    // one of them refers to nothing, which SQLite sees when it commits
                    scope.spawn(move || match n {
                        0 => group.write(db, |c| {
                            c.execute("INSERT INTO t VALUES(77)", []).map(|_| Keep::Yes(()))
                        }),
                        _ => group.write(db, |c| {
                            c.execute("INSERT INTO p VALUES(?1)", [n]).map(|_| Keep::Yes(()))
                        }),
                    })
                })
                .collect();
            while group.coming.load(Ordering::SeqCst) < 4 {
                std::thread::yield_now();
            }
            drop(held);
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let there: i64 =
            db.read(|c| c.query_row("SELECT count(*) FROM p", [], |row| row.get(0))).unwrap();
        assert_eq!(there, answers.iter().filter(|answer| answer.is_ok()).count() as i64);
        assert!(answers[0].is_err());
        assert!(lock(&group.turn).failed.is_empty(), "everyone has been told");
        // and it goes on
        group
            .write(&db, |c| c.execute("INSERT INTO p VALUES(9)", []).map(|_| Keep::Yes(())))
            .unwrap();
    }
}
