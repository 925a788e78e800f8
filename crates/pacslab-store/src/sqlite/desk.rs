//! `lab.db`: orders and what else must never be lost.

use std::fmt::Write;
use std::path::Path;

use pacslab_model::Moment;
use pacslab_model::order::{Order, StepStatus};
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params, params_from_iter};

use super::group::{Group, Keep};
use super::index::{moment, signed, unsigned};
use super::{Database, Schema, Sql, ruin};
use crate::desk::{Desk, DeskEntry, Expect, OrderFilter, OrderRecord, Papers, Put, StepChange};
use crate::error::{Result, StoreError};

/// The order is kept whole as JSON; what is searched is repeated in columns.
const SCHEMA: Schema = Schema {
    synchronous: "FULL",
    spare: false,
    // a busy day's orders
    cache: (16_384, 4096),
    migrations: &["
    CREATE TABLE orders(
        id INTEGER PRIMARY KEY, accession TEXT NOT NULL, issuer TEXT NOT NULL,
        patient_id TEXT NOT NULL, placer TEXT NOT NULL, filler TEXT NOT NULL,
        study_uid TEXT NOT NULL, version INTEGER NOT NULL,
        created_at INTEGER NOT NULL, created_offset INTEGER NOT NULL,
        changed_at INTEGER NOT NULL, changed_offset INTEGER NOT NULL,
        body TEXT NOT NULL, UNIQUE(accession, issuer));
    CREATE INDEX orders_patient ON orders(patient_id);
    CREATE INDEX orders_placer ON orders(placer);
    CREATE INDEX orders_filler ON orders(filler);
    CREATE INDEX orders_study ON orders(study_uid);
    CREATE TABLE steps(
        order_id INTEGER NOT NULL, step_id TEXT NOT NULL, status TEXT NOT NULL,
        modality TEXT NOT NULL, station TEXT NOT NULL,
        start_date TEXT NOT NULL, start_time TEXT NOT NULL,
        PRIMARY KEY(order_id, step_id)) WITHOUT ROWID;
    CREATE INDEX steps_status ON steps(status, start_date);
    CREATE INDEX steps_date ON steps(start_date);
    CREATE TABLE numbers(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE cursors(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE answers(
        id INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL, control_id TEXT NOT NULL,
        at INTEGER NOT NULL, at_offset INTEGER NOT NULL, answer BLOB NOT NULL,
        UNIQUE(sender, control_id));
    CREATE TABLE entries(
        drawer TEXT NOT NULL, key TEXT NOT NULL, version INTEGER NOT NULL,
        changed_at INTEGER NOT NULL, changed_offset INTEGER NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY(drawer, key)) WITHOUT ROWID;
    "],
};

/// Answers kept for messages that come again: days of a busy interface.
const ANSWERS: i64 = 20_000;

/// One row of each table.
fn probe(c: &Connection) -> Sql<()> {
    for table in ["orders", "steps", "numbers", "cursors", "answers", "entries"] {
        let sql = format!("SELECT * FROM {table} ORDER BY 1 DESC LIMIT 1");
        c.prepare(&sql)?.query_row([], |_| Ok(())).optional()?;
    }
    Ok(())
}

#[derive(Debug)]
pub struct SqliteDesk {
    db: Database,
    group: Group,
}

impl SqliteDesk {
    pub fn open(path: &Path) -> Result<Self> {
        let open = || {
            let db = Database::open(path, &SCHEMA)?;
            db.read(probe)?;
            Ok(db)
        };
        let what = "orders, steps and what is under way";
        let db = open().map_err(|error| ruin::for_a_person(path, what, error))?;
        Ok(Self { db, group: Group::default() })
    }

    /// Ends with the value.
    pub fn memory() -> Result<Self> {
        Ok(Self { db: Database::memory(&SCHEMA)?, group: Group::default() })
    }

    fn read<T>(&self, read: impl FnOnce(&Draft<'_>) -> Result<T>) -> Result<T> {
        let mut answer = None;
        self.db.read(|c| {
            answer = Some(read(&self.draft(c)));
            Ok(())
        })?;
        answer.unwrap_or_else(|| Err(StoreError::Other("nothing was read".to_owned())))
    }

    fn write<T>(&self, write: impl FnOnce(&Draft<'_>) -> Result<T>) -> Result<T> {
        self.group.write(&self.db, |c| {
            Ok(match write(&self.draft(c)) {
                Ok(answer) => Keep::Yes(Ok(answer)),
                Err(error) => Keep::No(Err(error)),
            })
        })?
    }

    fn draft<'a>(&'a self, c: &'a Connection) -> Draft<'a> {
        Draft { c, path: self.db.path() }
    }
}

impl Desk for SqliteDesk {
    fn together(&self, work: &mut dyn FnMut(&dyn Papers) -> Result<bool>) -> Result<()> {
        self.group.write(&self.db, |c| {
            Ok(match work(&self.draft(c)) {
                Ok(true) => Keep::Yes(Ok(())),
                Ok(false) => Keep::No(Ok(())),
                Err(error) => Keep::No(Err(error)),
            })
        })?
    }
}

impl Papers for SqliteDesk {
    fn put_order(&self, order: &Order, expect: Expect, at: Moment) -> Result<Put<OrderRecord>> {
        self.write(|draft| draft.put_order(order, expect, at))
    }

    fn order(&self, accession: &str) -> Result<Option<OrderRecord>> {
        self.read(|draft| draft.order(accession))
    }

    fn orders(&self, filter: &OrderFilter) -> Result<Vec<OrderRecord>> {
        self.read(|draft| draft.orders(filter))
    }

    fn set_step(
        &self,
        accession: &str,
        step_id: &str,
        from: StepStatus,
        to: StepStatus,
        at: Moment,
    ) -> Result<StepChange> {
        self.write(|draft| draft.set_step(accession, step_id, from, to, at))
    }

    fn next_number(&self, name: &str) -> Result<u64> {
        self.write(|draft| draft.next_number(name))
    }

    fn cursor(&self, name: &str) -> Result<u64> {
        self.read(|draft| draft.cursor(name))
    }

    fn set_cursor(&self, name: &str, value: u64) -> Result<()> {
        self.write(|draft| draft.set_cursor(name, value))
    }

    fn answer(&self, sender: &str, control_id: &str) -> Result<Option<Vec<u8>>> {
        self.read(|draft| draft.answer(sender, control_id))
    }

    fn put_answer(&self, sender: &str, control_id: &str, answer: &[u8], at: Moment) -> Result<()> {
        self.write(|draft| draft.put_answer(sender, control_id, answer, at))
    }

    fn put_entry(
        &self,
        drawer: &str,
        key: &str,
        body: &str,
        expect: Expect,
        at: Moment,
    ) -> Result<Put<DeskEntry>> {
        self.write(|draft| draft.put_entry(drawer, key, body, expect, at))
    }

    fn entry(&self, drawer: &str, key: &str) -> Result<Option<DeskEntry>> {
        self.read(|draft| draft.entry(drawer, key))
    }

    fn entries(&self, drawer: &str, after: &str, limit: usize) -> Result<Vec<DeskEntry>> {
        self.read(|draft| draft.entries(drawer, after, limit))
    }

    fn remove_entry(&self, drawer: &str, key: &str) -> Result<bool> {
        self.write(|draft| draft.remove_entry(drawer, key))
    }
}

/// The desk as one transaction sees it.
#[derive(Debug)]
struct Draft<'a> {
    c: &'a Connection,
    path: &'a Path,
}

impl Draft<'_> {
    fn run<T>(&self, work: impl FnOnce(&Connection) -> Sql<T>) -> Result<T> {
        work(self.c).map_err(|error| StoreError::database(self.path, error))
    }
}

impl Papers for Draft<'_> {
    fn put_order(&self, order: &Order, expect: Expect, at: Moment) -> Result<Put<OrderRecord>> {
        self.run(|c| {
            let there = by_key(c, &order.accession, &order.key())?;
            let version = match decide(there, expect, |held| held.version, |h| h.order == *order) {
                Ok(version) => version,
                Err(refused) => return Ok(refused),
            };
            write_order(c, order, version, at)?;
            Ok(Put::Stored { version })
        })
    }

    fn order(&self, accession: &str) -> Result<Option<OrderRecord>> {
        self.run(|c| newest(c, accession))
    }

    fn orders(&self, filter: &OrderFilter) -> Result<Vec<OrderRecord>> {
        let (sql, values) = orders_statement(filter);
        self.run(|c| {
            let mut statement = c.prepare_cached(&sql)?;
            statement.query_map(params_from_iter(values), order_record)?.collect()
        })
    }

    fn set_step(
        &self,
        accession: &str,
        step_id: &str,
        from: StepStatus,
        to: StepStatus,
        at: Moment,
    ) -> Result<StepChange> {
        self.run(|c| {
            let Some(mut record) = newest(c, accession)? else {
                return Ok(StepChange::NoSuchOrder);
            };
            let Some(step) = record.order.steps.iter_mut().find(|step| step.id == step_id) else {
                return Ok(StepChange::NoSuchStep);
            };
            if step.status != from {
                return Ok(StepChange::Was(step.status));
            }
            step.status = to;
            record.version += 1;
            record.changed_at = at;
            write_order(c, &record.order, record.version, at)?;
            Ok(StepChange::Done(Box::new(record)))
        })
    }

    fn next_number(&self, name: &str) -> Result<u64> {
        self.run(|c| {
            c.prepare_cached(
                "INSERT INTO numbers VALUES(?1, 1)
                 ON CONFLICT(name) DO UPDATE SET value = value + 1 RETURNING value",
            )?
            .query_row([name], |row| unsigned(row, 0))
        })
    }

    fn cursor(&self, name: &str) -> Result<u64> {
        self.run(|c| {
            let value = c
                .prepare_cached("SELECT value FROM cursors WHERE name = ?1")?
                .query_row([name], |row| unsigned(row, 0))
                .optional()?;
            Ok(value.unwrap_or(0))
        })
    }

    fn set_cursor(&self, name: &str, value: u64) -> Result<()> {
        self.run(|c| {
            c.prepare_cached("INSERT OR REPLACE INTO cursors VALUES(?1, ?2)")?
                .execute(params![name, signed(value)])
                .map(drop)
        })
    }

    fn answer(&self, sender: &str, control_id: &str) -> Result<Option<Vec<u8>>> {
        self.run(|c| {
            c.prepare_cached("SELECT answer FROM answers WHERE sender = ?1 AND control_id = ?2")?
                .query_row([sender, control_id], |row| row.get(0))
                .optional()
        })
    }

    fn put_answer(&self, sender: &str, control_id: &str, answer: &[u8], at: Moment) -> Result<()> {
        self.run(|c| {
            c.prepare_cached(
                "INSERT OR REPLACE INTO answers(sender, control_id, at, at_offset, answer)
                 VALUES(?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![sender, control_id, at.micros, at.offset, answer])?;
            c.prepare_cached("DELETE FROM answers WHERE id <= ?1")?
                .execute([c.last_insert_rowid() - ANSWERS])
                .map(drop)
        })
    }

    fn put_entry(
        &self,
        drawer: &str,
        key: &str,
        body: &str,
        expect: Expect,
        at: Moment,
    ) -> Result<Put<DeskEntry>> {
        self.run(|c| {
            let there = entry(c, drawer, key)?;
            let version = match decide(there, expect, |held| held.version, |h| h.body == body) {
                Ok(version) => version,
                Err(refused) => return Ok(refused),
            };
            c.prepare_cached("INSERT OR REPLACE INTO entries VALUES(?1, ?2, ?3, ?4, ?5, ?6)")?
                .execute(params![drawer, key, signed(version), at.micros, at.offset, body])?;
            Ok(Put::Stored { version })
        })
    }

    fn entry(&self, drawer: &str, key: &str) -> Result<Option<DeskEntry>> {
        self.run(|c| entry(c, drawer, key))
    }

    fn entries(&self, drawer: &str, after: &str, limit: usize) -> Result<Vec<DeskEntry>> {
        self.run(|c| {
            c.prepare_cached(&format!(
                "{ENTRY} WHERE drawer = ?1 AND key > ?2 ORDER BY key LIMIT ?3"
            ))?
            .query_map(params![drawer, after, signed(limit as u64)], desk_entry)?
            .collect()
        })
    }

    fn remove_entry(&self, drawer: &str, key: &str) -> Result<bool> {
        self.run(|c| {
            c.prepare_cached("DELETE FROM entries WHERE drawer = ?1 AND key = ?2")?
                .execute([drawer, key])
                .map(|removed| removed > 0)
        })
    }
}

/// The version to write, or why nothing is written.
fn decide<T>(
    there: Option<T>,
    expect: Expect,
    version: impl Fn(&T) -> u64,
    same: impl Fn(&T) -> bool,
) -> std::result::Result<u64, Put<T>> {
    match (there, expect) {
        (None, Expect::Version(_)) => Err(Put::Gone),
        (None, _) => Ok(1),
        (Some(held), Expect::Version(expected)) if version(&held) != expected => {
            Err(Put::Conflict(Box::new(held)))
        }
        (Some(held), _) if same(&held) => Err(Put::Unchanged { version: version(&held) }),
        (Some(held), Expect::New) => Err(Put::Conflict(Box::new(held))),
        (Some(held), _) => Ok(version(&held) + 1),
    }
}

fn write_order(c: &Connection, order: &Order, version: u64, at: Moment) -> Sql<()> {
    let body = serde_json::to_string(order)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    let id: i64 = c
        .prepare_cached(
            "INSERT INTO orders(accession, issuer, patient_id, placer, filler, study_uid, version,
             created_at, created_offset, changed_at, changed_offset, body)
             VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?8, ?9, ?10)
             ON CONFLICT(accession, issuer) DO UPDATE SET patient_id = ?3, placer = ?4,
             filler = ?5, study_uid = ?6, version = ?7, changed_at = ?8, changed_offset = ?9,
             body = ?10 RETURNING id",
        )?
        .query_row(
            params![
                order.accession,
                order.key(),
                order.patient.id.id,
                order.placer.id,
                order.filler.id,
                order.procedure.study_uid.as_str(),
                signed(version),
                at.micros,
                at.offset,
                body,
            ],
            |row| row.get(0),
        )?;
    c.prepare_cached("DELETE FROM steps WHERE order_id = ?1")?.execute([id])?;
    let mut insert =
        c.prepare_cached("INSERT OR REPLACE INTO steps VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
    for step in &order.steps {
        insert.execute(params![
            id,
            step.id,
            step.status.as_str(),
            step.modality,
            step.station.as_str(),
            step.start_date,
            step.start_time,
        ])?;
    }
    Ok(())
}

const ORDER: &str = "SELECT o.body, o.version, o.created_at, o.created_offset, o.changed_at, \
    o.changed_offset FROM orders o";

fn by_key(c: &Connection, accession: &str, issuer: &str) -> Sql<Option<OrderRecord>> {
    c.prepare_cached(&format!("{ORDER} WHERE accession = ?1 AND issuer = ?2"))?
        .query_row([accession, issuer], order_record)
        .optional()
}

fn newest(c: &Connection, accession: &str) -> Sql<Option<OrderRecord>> {
    c.prepare_cached(&format!(
        "{ORDER} WHERE accession = ?1 ORDER BY changed_at DESC, id DESC LIMIT 1"
    ))?
    .query_row([accession], order_record)
    .optional()
}

fn order_record(row: &SqlRow<'_>) -> Sql<OrderRecord> {
    let order = serde_json::from_str(row.get_ref(0)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(OrderRecord {
        order,
        version: unsigned(row, 1)?,
        created_at: moment(row, 2)?,
        changed_at: moment(row, 4)?,
    })
}

fn orders_statement(filter: &OrderFilter) -> (String, Vec<String>) {
    let mut sql = format!("{ORDER} WHERE 1");
    let mut values = Vec::new();
    for (column, wanted) in [
        ("accession", &filter.accession),
        ("patient_id", &filter.patient_id),
        ("placer", &filter.placer_number),
        ("filler", &filter.filler_number),
        ("study_uid", &filter.study_uid),
    ] {
        if let Some(wanted) = wanted {
            let _ = write!(sql, " AND o.{column} = ?");
            values.push(wanted.clone());
        }
    }
    let mut step = String::new();
    if !filter.statuses.is_empty() {
        let marks = vec!["?"; filter.statuses.len()].join(", ");
        let _ = write!(step, " AND s.status IN ({marks})");
        values.extend(filter.statuses.iter().map(|status| status.as_str().to_owned()));
    }
    for (test, wanted) in [
        ("modality = ", &filter.modality),
        ("station = ", &filter.station),
        ("start_date >= ", &filter.from_date),
        ("start_date <= ", &filter.to_date),
    ] {
        if let Some(wanted) = wanted {
            let _ = write!(step, " AND s.{test}?");
            values.push(wanted.clone());
        }
    }
    if !step.is_empty() {
        let _ = write!(sql, " AND o.id IN (SELECT s.order_id FROM steps s WHERE 1{step})");
    }
    let _ = write!(
        sql,
        " ORDER BY (SELECT min(s.start_date || s.start_time) FROM steps s
          WHERE s.order_id = o.id), o.accession, o.id LIMIT {} OFFSET {}",
        filter.limit.map_or(-1, |limit| signed(limit as u64)),
        signed(filter.offset as u64)
    );
    (sql, values)
}

const ENTRY: &str = "SELECT key, body, version, changed_at, changed_offset FROM entries";

fn entry(c: &Connection, drawer: &str, key: &str) -> Sql<Option<DeskEntry>> {
    c.prepare_cached(&format!("{ENTRY} WHERE drawer = ?1 AND key = ?2"))?
        .query_row([drawer, key], desk_entry)
        .optional()
}

fn desk_entry(row: &SqlRow<'_>) -> Sql<DeskEntry> {
    Ok(DeskEntry {
        key: row.get(0)?,
        body: row.get(1)?,
        version: unsigned(row, 2)?,
        changed_at: moment(row, 3)?,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn the_desk_keeps_its_contract() {
        crate::suite::desk(&|| Arc::new(SqliteDesk::memory().unwrap()));
    }

    #[test]
    fn everything_is_there_after_opening_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lab.db");
        let at = Moment::new(1, 0);
        {
            let desk = SqliteDesk::open(&path).unwrap();
            let order = Order { accession: "A1".into(), ..Order::default() };
            desk.put_order(&order, Expect::New, at).unwrap();
            desk.next_number("accession").unwrap();
        }
        let desk = SqliteDesk::open(&path).unwrap();
        assert_eq!(desk.order("A1").unwrap().unwrap().order.accession, "A1");
        assert_eq!(desk.next_number("accession").unwrap(), 2);
    }

    #[test]
    fn answers_are_bounded() {
        let desk = SqliteDesk::memory().unwrap();
        let at = Moment::new(1, 0);
        for n in 0..(ANSWERS + 10) {
            desk.put_answer("S", &n.to_string(), b"AA", at).unwrap();
        }
        assert_eq!(desk.answer("S", "0").unwrap(), None);
        assert!(desk.answer("S", &(ANSWERS + 9).to_string()).unwrap().is_some());
    }

    /// What data folders hold of orders from before a number could have several procedures.
    #[test]
    fn an_order_is_kept_and_known_as_before_unless_it_is_a_further_one() {
        let before =
            r#"{"accession":"A1","filler":{"id":"F1","issuer":"RIS"},"procedure":{"id":"RP1"}}"#;
        let mut order: Order = serde_json::from_str(before).unwrap();
        assert_eq!((order.further, &*order.key(), &*order.shown()), (false, "RIS", "A1"));
        assert!(!serde_json::to_string(&order).unwrap().contains("further"));
        order.further = true;
        assert_eq!((&*order.key(), &*order.shown()), ("RIS\u{1f}RP1", "A1, procedure RP1"));
        let kept = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<Order>(&kept).unwrap(), order);
    }
}
