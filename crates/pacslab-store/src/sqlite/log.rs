//! `events.db`: a thread that writes what others emit.

use std::fmt::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use pacslab_model::{Emit, Event};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params, params_from_iter};

use super::index::{signed, unsigned};
use super::{Database, Schema, Sql, lock};
use crate::error::Result;
use crate::log::{EventFilter, Heard, Kept, Listener, LogLimits, LogStats, Subscription};

const SCHEMA: Schema = Schema {
    // A crash may cost the last events, never the file; and nobody waits for a disk here.
    synchronous: "OFF",
    spare: true,
    cache: super::SMALL,
    migrations: &["
    CREATE TABLE events(
        id INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL,
        accession TEXT NOT NULL, study_uid TEXT NOT NULL, patient_id TEXT NOT NULL,
        raw_len INTEGER NOT NULL, body TEXT NOT NULL);
    CREATE INDEX events_accession ON events(accession) WHERE accession <> '';
    CREATE INDEX events_study ON events(study_uid) WHERE study_uid <> '';
    CREATE INDEX events_patient ON events(patient_id) WHERE patient_id <> '';
    CREATE INDEX events_kind ON events(kind);
    CREATE TABLE raws(id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
    "],
};

/// The event log. Dropped: what was emitted is written first.
pub struct EventLog {
    shared: Arc<Shared>,
    queue: Option<SyncSender<Message>>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    db: Database,
    limits: LogLimits,
    listeners: Mutex<Vec<Listener>>,
    emitted: AtomicU64,
    dropped: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
}

enum Message {
    Event(Box<Event>),
    Flush(SyncSender<()>),
}

/// The longest a transaction grows, and the longest an event waits for one.
const BATCH: usize = 512;
const GATHER: Duration = Duration::from_millis(20);
const NAP: Duration = Duration::from_millis(4);

impl EventLog {
    /// Opens a log, made if it is not there. A damaged one is set aside: an event log is no reason
    /// to keep a department closed.
    pub fn open(path: &Path, limits: LogLimits) -> Result<Self> {
        let (db, _) = Database::open_or_replace(path, &SCHEMA, |c| {
            last(c)?;
            c.query_row("SELECT count(*) FROM raws", [], |_| Ok(()))
        })?;
        Self::start(db, limits)
    }

    /// Ends with the value.
    pub fn memory(limits: LogLimits) -> Result<Self> {
        Self::start(Database::memory(&SCHEMA)?, limits)
    }

    fn start(db: Database, limits: LogLimits) -> Result<Self> {
        let (last, raw) = db.read(last)?;
        let shared = Arc::new(Shared {
            db,
            limits,
            listeners: Mutex::default(),
            emitted: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let (queue, waiting) = sync_channel(limits.queue.max(1));
        let keeper = Keeper { shared: shared.clone(), last, raw };
        let writer = std::thread::Builder::new()
            .name("events".to_owned())
            .spawn(move || keeper.run(&waiting))
            .map_err(|e| crate::StoreError::io("start", Path::new("event writer"), 0, e))?;
        Ok(Self { shared, queue: Some(queue), writer: Some(writer) })
    }

    /// Newest first.
    pub fn recent(&self, filter: &EventFilter) -> Result<Vec<Kept>> {
        let (sql, values) = recent_statement(filter);
        self.shared.db.read(|c| {
            let mut statement = c.prepare_cached(&sql)?;
            statement.query_map(params_from_iter(values), kept)?.collect()
        })
    }

    /// One event.
    pub fn event(&self, id: u64) -> Result<Option<Kept>> {
        self.shared.db.read(|c| {
            c.prepare_cached("SELECT id, raw_len, body FROM events WHERE id = ?1")?
                .query_row([signed(id)], kept)
                .optional()
        })
    }

    /// The raw payload of an event, as long as it is kept.
    pub fn raw(&self, id: u64) -> Result<Option<Vec<u8>>> {
        self.shared.db.read(|c| {
            c.prepare_cached("SELECT bytes FROM raws WHERE id = ?1")?
                .query_row([signed(id)], |row| row.get(0))
                .optional()
        })
    }

    /// Events from now on. A subscriber that does not keep up with `capacity` loses some and is
    /// told how many.
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        let (sender, receiver) = sync_channel(capacity.max(2));
        let mut missed = 0;
        self.listen(Box::new(move |kept| {
            if missed > 0 {
                match sender.try_send(Heard::Missed(missed)) {
                    Ok(()) => missed = 0,
                    Err(TrySendError::Full(_)) => {
                        missed += 1;
                        return true;
                    }
                    Err(TrySendError::Disconnected(_)) => return false,
                }
            }
            match sender.try_send(Heard::Event(kept.clone())) {
                Ok(()) => true,
                Err(TrySendError::Full(_)) => {
                    missed += 1;
                    true
                }
                Err(TrySendError::Disconnected(_)) => false,
            }
        }));
        Subscription { receiver }
    }

    /// `listener` is called for each event on the log's own thread and must not block; it is
    /// forgotten when it answers `false`. An async caller sends into its own channel from it.
    pub fn listen(&self, listener: Listener) {
        lock(&self.shared.listeners).push(listener);
    }

    /// Waits until everything emitted before is written.
    pub fn flush(&self) {
        let (done, waiting) = sync_channel(1);
        if let Some(queue) = &self.queue
            && queue.send(Message::Flush(done)).is_ok()
        {
            // An error: the writer has ended, and so has written.
            let _ = waiting.recv();
        }
    }

    pub fn stats(&self) -> LogStats {
        let shared = &self.shared;
        LogStats {
            emitted: shared.emitted.load(Relaxed),
            dropped: shared.dropped.load(Relaxed),
            written: shared.written.load(Relaxed),
            failed: shared.failed.load(Relaxed),
        }
    }
}

impl Emit for EventLog {
    fn emit(&self, event: Event) {
        self.shared.emitted.fetch_add(1, Relaxed);
        let sent = self.queue.as_ref().map(|q| q.try_send(Message::Event(Box::new(event))));
        if !matches!(sent, Some(Ok(()))) {
            self.shared.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // A panic there was reported there.
            let _ = writer.join();
        }
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

/// The last number given, and the bytes of raw payloads kept.
fn last(c: &Connection) -> Sql<(u64, u64)> {
    c.query_row(
        "SELECT coalesce(max(id), 0), (SELECT coalesce(sum(raw_len), 0) FROM events) FROM events",
        [],
        |row| Ok((unsigned(row, 0)?, unsigned(row, 1)?)),
    )
}

/// The writing side.
struct Keeper {
    shared: Arc<Shared>,
    last: u64,
    /// Bytes of raw payloads kept.
    raw: u64,
}

impl Keeper {
    fn run(mut self, waiting: &Receiver<Message>) {
        let mut batch = Vec::new();
        let mut flushed = Vec::new();
        loop {
            let ended = match waiting.recv() {
                Ok(message) => {
                    self.take(message, &mut batch, &mut flushed);
                    self.gather(waiting, &mut batch, &mut flushed)
                }
                Err(_) => true,
            };
            if !batch.is_empty() {
                self.write(&batch);
                batch.clear();
            }
            // Dropping the sender is the answer.
            flushed.clear();
            if ended {
                return;
            }
        }
    }

    /// More of what is coming, for one transaction. Answers whether the log has ended.
    fn gather(
        &mut self,
        waiting: &Receiver<Message>,
        batch: &mut Vec<Arc<Kept>>,
        flushed: &mut Vec<SyncSender<()>>,
    ) -> bool {
        let mut silent = Duration::ZERO;
        while batch.len() < BATCH && flushed.is_empty() {
            match waiting.try_recv() {
                Ok(message) => {
                    self.take(message, batch, flushed);
                    silent = Duration::ZERO;
                }
                Err(TryRecvError::Empty) if silent >= GATHER => return false,
                // who waits on the queue is woken by each event, and that is paid by those who
                // emit: it cost a third of an association that only echoes
                Err(TryRecvError::Empty) => {
                    std::thread::sleep(NAP);
                    silent += NAP;
                }
                Err(TryRecvError::Disconnected) => return true,
            }
        }
        false
    }

    /// Those who listen hear it before it is written.
    fn take(
        &mut self,
        message: Message,
        batch: &mut Vec<Arc<Kept>>,
        flushed: &mut Vec<SyncSender<()>>,
    ) {
        match message {
            Message::Flush(done) => flushed.push(done),
            Message::Event(mut event) => {
                self.last += 1;
                if let Some(raw) = &event.raw
                    && raw.len() > self.shared.limits.raw_each
                {
                    event.raw = Some(Arc::from(&raw[..self.shared.limits.raw_each]));
                }
                let raw_len = event.raw.as_ref().map_or(0, |raw| raw.len() as u64);
                let kept = Arc::new(Kept { id: self.last, event: *event, raw_len });
                lock(&self.shared.listeners).retain_mut(|listener| listener(&kept));
                batch.push(kept);
            }
        }
    }

    fn write(&mut self, batch: &[Arc<Kept>]) {
        let limits = self.shared.limits;
        let (last, raw) = (self.last, self.raw);
        let written = self.shared.db.write(|tx| {
            let mut raw = raw;
            for kept in batch {
                insert(tx, kept)?;
                raw += kept.raw_len;
            }
            trim(tx, last, raw, limits)
        });
        match written {
            Ok(raw) => {
                self.raw = raw;
                self.shared.written.fetch_add(batch.len() as u64, Relaxed);
            }
            Err(error) => {
                self.shared.failed.fetch_add(batch.len() as u64, Relaxed);
                tracing::warn!(%error, events = batch.len(), "events were not kept");
            }
        }
    }
}

fn insert(c: &Connection, kept: &Kept) -> Sql<()> {
    let event = &kept.event;
    let body = serde_json::to_string(event)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    c.prepare_cached("INSERT OR REPLACE INTO events VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
        .execute(params![
            signed(kept.id),
            event.at.micros,
            event.kind,
            event.ids.accession,
            event.ids.study_uid,
            event.ids.patient_id,
            signed(kept.raw_len),
            body,
        ])?;
    if let Some(raw) = &event.raw {
        c.prepare_cached("INSERT OR REPLACE INTO raws VALUES(?1, ?2)")?
            .execute(params![signed(kept.id), &raw[..]])?;
    }
    Ok(())
}

/// Forgets the oldest events beyond the number, the oldest payloads beyond the bytes.
fn trim(c: &Connection, last: u64, mut raw: u64, limits: LogLimits) -> Sql<u64> {
    let oldest = signed(last.saturating_sub(limits.events));
    let gone: i64 = c
        .prepare_cached("SELECT coalesce(sum(raw_len), 0) FROM events WHERE id <= ?1")?
        .query_row([oldest], |row| row.get(0))?;
    c.prepare_cached("DELETE FROM events WHERE id <= ?1")?.execute([oldest])?;
    c.prepare_cached("DELETE FROM raws WHERE id <= ?1")?.execute([oldest])?;
    raw = raw.saturating_sub(gone.unsigned_abs());
    while raw > limits.raw_total {
        let first: Option<(i64, i64)> = c
            .prepare_cached("SELECT id, length(bytes) FROM raws ORDER BY id LIMIT 1")?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, len)) = first else { return Ok(0) };
        c.prepare_cached("DELETE FROM raws WHERE id = ?1")?.execute([id])?;
        c.prepare_cached("UPDATE events SET raw_len = 0 WHERE id = ?1")?.execute([id])?;
        raw = raw.saturating_sub(len.unsigned_abs());
    }
    Ok(raw)
}

fn recent_statement(filter: &EventFilter) -> (String, Vec<Value>) {
    let mut sql = String::from("SELECT id, raw_len, body FROM events WHERE 1");
    let mut values: Vec<Value> = Vec::new();
    for (column, wanted) in [
        ("accession", &filter.accession),
        ("study_uid", &filter.study_uid),
        ("patient_id", &filter.patient_id),
    ] {
        if let Some(wanted) = wanted {
            // The second condition lets SQLite see that the partial index may be used.
            let _ = write!(sql, " AND {column} = ? AND {column} <> ''");
            values.push(wanted.clone().into());
        }
    }
    if let Some(prefix) = &filter.kind_prefix {
        sql.push_str(" AND kind >= ? AND kind <= ?");
        values.push(prefix.clone().into());
        values.push(format!("{prefix}\u{10FFFF}").into());
    }
    if let Some(since) = filter.since {
        sql.push_str(" AND at >= ?");
        values.push(since.micros.into());
    }
    if let Some(after) = filter.after {
        sql.push_str(" AND id > ?");
        values.push(signed(after).into());
    }
    let limit = if filter.limit == 0 { 200 } else { filter.limit };
    let _ = write!(sql, " ORDER BY id DESC LIMIT {limit}");
    (sql, values)
}

fn kept(row: &SqlRow<'_>) -> Sql<Kept> {
    let event = serde_json::from_str(row.get_ref(2)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Text, error.into())
    })?;
    Ok(Kept { id: unsigned(row, 0)?, raw_len: unsigned(row, 1)?, event })
}

#[cfg(test)]
mod tests {
    use pacslab_model::{Identifiers, Moment};

    use super::*;

    fn event(n: i64, kind: &'static str) -> Event {
        let ids = Identifiers { accession: format!("A{}", n % 2), ..Identifiers::default() };
        Event::new(Moment::new(n, 0), kind, format!("number {n}")).ids(ids)
    }

    #[test]
    fn the_log_keeps_its_contract() {
        crate::suite::log(&|limits| EventLog::memory(limits).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let count = std::cell::Cell::new(0);
        crate::suite::log(&|limits| {
            count.set(count.get() + 1);
            EventLog::open(&dir.path().join(format!("{}.db", count.get())), limits).unwrap()
        });
    }

    #[test]
    fn numbers_go_on_and_the_oldest_go_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.db");
        let limits = LogLimits { events: 20, raw_each: 10, raw_total: 35, queue: 1000 };
        {
            let log = EventLog::open(&path, limits).unwrap();
            for n in 0..30 {
                log.emit(event(n, "x").raw(vec![7; 100]));
            }
        }
        let log = EventLog::open(&path, limits).unwrap();
        log.emit(event(30, "x"));
        log.flush();
        let kept = log.recent(&EventFilter::default()).unwrap();
        assert_eq!(kept.len(), 20);
        assert_eq!((kept[0].id, kept[19].id), (31, 12));
        let raws: Vec<_> = kept.iter().filter(|k| k.raw_len > 0).collect();
        assert_eq!(raws.len(), 3, "35 bytes hold three payloads cut to 10");
        assert!(raws.iter().all(|k| log.raw(k.id).unwrap().unwrap().len() == 10));
    }

    #[test]
    fn a_full_queue_drops_and_counts() {
        let log = EventLog::memory(LogLimits { queue: 4, ..LogLimits::default() }).unwrap();
        let writer = log.shared.db.writer();
        for n in 0..2000 {
            log.emit(event(n, "x"));
        }
        drop(writer);
        log.flush();
        let stats = log.stats();
        assert!(stats.dropped > 0, "{stats:?}");
        assert_eq!(stats.written + stats.dropped, stats.emitted);
    }
}
