//! An index that is written behind the answers: what is in the packs is stored, and the index
//! follows. One thread takes in what has gathered, so that a transaction serves many images even
//! where one sender waits for each answer. Who asks anything waits until all that was stored
//! before is in the index: nobody sees the delay. After a crash the packs are replayed from the
//! index's position on, as ever.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use pacslab_model::{Level, Query, Tag, Uid};

use crate::blobs::{Location, Position};
use crate::error::{Result, StoreError};
use crate::index::{Arrival, Counts, Index, Ingested, Known, NewInstance, Row, Scope, Stored};

#[derive(Debug)]
pub struct IndexBehind {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    index: Arc<dyn Index>,
    state: Mutex<State>,
    /// For the thread: there is something to do.
    work: Condvar,
    /// For those who wait: an attempt to write has ended.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<NewInstance>,
    upto: Position,
    /// What `waiting` and the transaction under way hold.
    known: HashMap<Uid, Known>,
    /// Instances that were handed over, and those that are in the index.
    queued: u64,
    written: u64,
    attempts: u64,
    /// The last attempt failed, and why.
    failing: bool,
    error: Option<StoreError>,
    /// Somebody waits.
    wanted: bool,
    closed: bool,
}

/// As many make a transaction at once.
const FULL: usize = 64;
/// Fewer gather for so long: the time in which a sender alone sends some dozens.
const GATHER: Duration = Duration::from_millis(20);
/// More than these wait for the index themselves.
const MOST: usize = 1024;
/// Until a failed transaction is tried again.
const AGAIN: Duration = Duration::from_secs(1);

impl IndexBehind {
    /// # Errors
    /// There is no thread to be had.
    pub fn new(index: Arc<dyn Index>) -> std::io::Result<Self> {
        let (state, work, done) = (Mutex::default(), Condvar::new(), Condvar::new());
        let shared = Arc::new(Shared { index, state, work, done });
        let own = shared.clone();
        let thread =
            std::thread::Builder::new().name("index".to_owned()).spawn(move || own.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Waits until what was stored so far is in the index. While the index cannot be written,
    /// those who ask see what there is.
    fn settled(&self) -> &dyn Index {
        // whoever stores is told why, and so is the log
        let _ = self.shared.settle();
        &*self.shared.index
    }

    /// For those who write: not past what waits.
    fn settle(&self) -> Result<&dyn Index> {
        self.shared.settle()?;
        Ok(&*self.shared.index)
    }
}

impl Drop for IndexBehind {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.work.notify_all();
        if let Some(thread) = self.thread.take() {
            // a panic there has been reported by the panic hook already
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            let pause = match (state.failing, state.waiting.is_empty()) {
                (true, _) => Some(AGAIN),
                (false, false) => Some(GATHER),
                (false, true) => None,
            };
            let idle = |state: &mut State| {
                let ready = state.waiting.len() >= FULL && !state.failing;
                !(state.closed || state.wanted || ready)
                    && (state.waiting.is_empty() == pause.is_none())
            };
            state = match pause {
                None => self.work.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner),
                Some(pause) => {
                    let waited = self.work.wait_timeout_while(state, pause, idle);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            if state.waiting.is_empty() {
                state.wanted = false;
                if state.closed {
                    return;
                }
                continue;
            }
            if pause.is_none() && state.waiting.len() < FULL && !state.wanted && !state.closed {
                // the first one has come: others may follow
                continue;
            }
            state = self.write(state);
            if state.closed && state.failing {
                // the packs have it; the next start brings it in
                return;
            }
        }
    }

    fn write<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let (batch, upto) = (std::mem::take(&mut state.waiting), state.upto);
        state.wanted = false;
        drop(state);
        let written = catch_unwind(AssertUnwindSafe(|| self.index.ingest(&batch, upto)))
            .unwrap_or_else(|_| Err(StoreError::Other("the index could not be written".into())));
        let mut state = self.lock();
        state.attempts += 1;
        match written {
            Ok(_) => {
                state.written += batch.len() as u64;
                for new in &batch {
                    state.known.remove(&new.sop_instance);
                }
                (state.failing, state.error) = (false, None);
            }
            Err(error) => {
                if !state.failing {
                    tracing::error!(%error, "the index cannot be written; what is stored is found \
                        when it can be, or after a start");
                }
                let later = std::mem::replace(&mut state.waiting, batch);
                state.waiting.extend(later);
                (state.failing, state.error) = (true, Some(error));
            }
        }
        self.done.notify_all();
        state
    }

    fn settle(&self) -> Result<()> {
        let mut state = self.lock();
        let (queued, attempts) = (state.queued, state.attempts);
        while state.written < queued {
            // an attempt that was under way when we came may have been without ours
            if state.failing && state.attempts > attempts {
                return Err(match &state.error {
                    Some(StoreError::Full { path, needed }) => {
                        StoreError::Full { path: path.clone(), needed: *needed }
                    }
                    Some(error) => StoreError::Other(error.to_string()),
                    None => StoreError::Other("the index cannot be written".to_owned()),
                });
            }
            state.wanted = true;
            self.work.notify_all();
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

impl Index for IndexBehind {
    fn set_aside(&self) -> Option<&Path> {
        self.shared.index.set_aside()
    }

    fn ingest(&self, batch: &[NewInstance], upto: Position) -> Result<Vec<Ingested>> {
        self.settle()?.ingest(batch, upto)
    }

    fn defer(&self, batch: &mut Vec<NewInstance>, upto: Position) -> Result<()> {
        let mut state = self.shared.lock();
        if state.failing || state.waiting.len() >= MOST {
            drop(state);
            self.settle()?;
            state = self.shared.lock();
        }
        state.queued += batch.len() as u64;
        state.upto = upto;
        for new in batch.iter() {
            let known = Known { digest: new.digest, location: new.location };
            state.known.insert(new.sop_instance.clone(), known);
        }
        let first = state.waiting.is_empty();
        state.waiting.append(batch);
        if first || state.waiting.len() >= FULL {
            self.shared.work.notify_all();
        }
        Ok(())
    }

    fn known(&self, sop_instances: &[Uid]) -> Result<Vec<Option<Known>>> {
        if self.shared.lock().failing {
            // who stores is told that the index cannot follow
            self.settle()?;
        }
        let waiting: Vec<Option<Known>> = {
            let state = self.shared.lock();
            sop_instances.iter().map(|uid| state.known.get(uid).cloned()).collect()
        };
        let written = self.shared.index.known(sop_instances)?;
        // what was written between the two questions is in the answer to the second
        Ok(waiting.into_iter().zip(written).map(|(one, other)| one.or(other)).collect())
    }

    fn find(&self, query: &Query) -> Result<Vec<Row>> {
        self.settled().find(query)
    }

    fn instances(&self, scope: &Scope) -> Result<Vec<Stored>> {
        self.settled().instances(scope)
    }

    fn counts(&self) -> Result<Counts> {
        self.settled().counts()
    }

    fn position(&self) -> Result<Position> {
        self.settled().position()
    }

    fn set_position(&self, upto: Position) -> Result<()> {
        self.settle()?.set_position(upto)
    }

    fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>> {
        self.settled().arrivals_after(cursor, limit)
    }

    fn remove(&self, sop_instances: &[Uid], upto: Position) -> Result<Vec<Stored>> {
        self.settle()?.remove(sop_instances, upto)
    }

    fn relabel(&self, study: &Uid, changes: &[(Tag, String)], upto: Position) -> Result<bool> {
        self.settle()?.relabel(study, changes, upto)
    }

    fn label(
        &self,
        level: Level,
        resource: &str,
        label: &str,
        on: bool,
        upto: Position,
    ) -> Result<bool> {
        self.settle()?.label(level, resource, label, on, upto)
    }

    fn labels_of(&self, level: Level, resource: &str) -> Result<Vec<String>> {
        self.settled().labels_of(level, resource)
    }

    fn labelled(&self, level: Level, label: &str) -> Result<Vec<String>> {
        self.settled().labelled(level, label)
    }

    fn labels(&self) -> Result<Vec<String>> {
        self.settled().labels()
    }

    fn protect(&self, patient_id: &str, on: bool, upto: Position) -> Result<bool> {
        self.settle()?.protect(patient_id, on, upto)
    }

    fn is_protected(&self, patient_id: &str) -> Result<bool> {
        self.settled().is_protected(patient_id)
    }

    fn oldest_unprotected(&self, limit: usize) -> Result<Vec<String>> {
        self.settled().oldest_unprotected(limit)
    }

    fn last_arrival(&self) -> Result<u64> {
        self.settled().last_arrival()
    }

    fn begin(&self, arrivals: &[u64]) -> Result<Vec<Level>> {
        self.settled().begin(arrivals)
    }

    fn held(&self) -> Result<BTreeMap<u32, u64>> {
        self.settled().held()
    }

    fn relocate(&self, from: u32, moved: &[(Uid, Location)]) -> Result<()> {
        self.settle()?.relocate(from, moved)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::index::SqliteIndex;
    use crate::suite::instance;

    fn behind() -> IndexBehind {
        IndexBehind::new(Arc::new(SqliteIndex::memory().unwrap())).unwrap()
    }

    fn at(sequence: u64) -> Position {
        Position { sequence, pack: 1, offset: sequence }
    }

    #[test]
    fn the_index_keeps_its_contract() {
        crate::suite::index(&|| Arc::new(behind()));
    }

    #[test]
    fn whoever_asks_sees_what_was_stored_before() {
        let index = behind();
        for n in 1..=300 {
            let new = instance(0, 1, n);
            assert_eq!(index.known(std::slice::from_ref(&new.sop_instance)).unwrap(), [None]);
            index.defer(&mut vec![new.clone()], at(n.into())).unwrap();
            let known = index.known(&[new.sop_instance]).unwrap().remove(0);
            assert_eq!(known.map(|known| known.location), Some(new.location));
            if n % 7 == 0 {
                let found = index.find(&Query::new(Level::Instance)).unwrap();
                assert_eq!(found.len(), n as usize);
            }
        }
        assert_eq!(index.position().unwrap(), at(300));
        assert_eq!(index.arrivals_after(0, 1000).unwrap().len(), 300);
        let removed = index.remove(&[instance(0, 1, 300).sop_instance], at(301)).unwrap();
        assert_eq!(removed.len(), 1);
    }

    #[test]
    fn what_waits_is_written_at_the_end() {
        let inner: Arc<dyn Index> = Arc::new(SqliteIndex::memory().unwrap());
        let index = IndexBehind::new(inner.clone()).unwrap();
        index.defer(&mut vec![instance(0, 1, 1)], at(1)).unwrap();
        drop(index);
        assert_eq!(inner.counts().unwrap().instances, 1);
    }

    /// Cannot be written to, for a while.
    #[derive(Debug)]
    struct Full(SqliteIndex, AtomicBool);

    impl Index for Full {
        fn ingest(&self, batch: &[NewInstance], upto: Position) -> Result<Vec<Ingested>> {
            if self.1.load(Ordering::SeqCst) {
                return Err(StoreError::Full { path: "index.db".into(), needed: 0 });
            }
            self.0.ingest(batch, upto)
        }
        fn known(&self, uids: &[Uid]) -> Result<Vec<Option<Known>>> {
            self.0.known(uids)
        }
        fn find(&self, query: &Query) -> Result<Vec<Row>> {
            self.0.find(query)
        }
        fn instances(&self, scope: &Scope) -> Result<Vec<Stored>> {
            self.0.instances(scope)
        }
        fn counts(&self) -> Result<Counts> {
            self.0.counts()
        }
        fn position(&self) -> Result<Position> {
            self.0.position()
        }
        fn set_position(&self, upto: Position) -> Result<()> {
            self.0.set_position(upto)
        }
        fn arrivals_after(&self, cursor: u64, limit: usize) -> Result<Vec<Arrival>> {
            self.0.arrivals_after(cursor, limit)
        }
        fn remove(&self, uids: &[Uid], upto: Position) -> Result<Vec<Stored>> {
            self.0.remove(uids, upto)
        }
        fn relabel(&self, uid: &Uid, changes: &[(Tag, String)], upto: Position) -> Result<bool> {
            self.0.relabel(uid, changes, upto)
        }
        fn label(
            &self,
            level: Level,
            resource: &str,
            label: &str,
            on: bool,
            upto: Position,
        ) -> Result<bool> {
            self.0.label(level, resource, label, on, upto)
        }

        fn labels_of(&self, level: Level, resource: &str) -> Result<Vec<String>> {
            self.0.labels_of(level, resource)
        }

        fn labelled(&self, level: Level, label: &str) -> Result<Vec<String>> {
            self.0.labelled(level, label)
        }

        fn labels(&self) -> Result<Vec<String>> {
            self.0.labels()
        }

        fn protect(&self, patient_id: &str, on: bool, upto: Position) -> Result<bool> {
            self.0.protect(patient_id, on, upto)
        }

        fn is_protected(&self, patient_id: &str) -> Result<bool> {
            self.0.is_protected(patient_id)
        }

        fn oldest_unprotected(&self, limit: usize) -> Result<Vec<String>> {
            self.0.oldest_unprotected(limit)
        }

        fn last_arrival(&self) -> Result<u64> {
            self.0.last_arrival()
        }

        fn begin(&self, arrivals: &[u64]) -> Result<Vec<Level>> {
            self.0.begin(arrivals)
        }

        fn held(&self) -> Result<BTreeMap<u32, u64>> {
            self.0.held()
        }

        fn relocate(&self, from: u32, moved: &[(Uid, Location)]) -> Result<()> {
            self.0.relocate(from, moved)
        }
    }

    #[test]
    fn while_the_index_cannot_be_written_nothing_more_is_stored() {
        let inner = Arc::new(Full(SqliteIndex::memory().unwrap(), AtomicBool::new(true)));
        let index = IndexBehind::new(inner.clone()).unwrap();
        index.defer(&mut vec![instance(0, 1, 1)], at(1)).unwrap();
        assert_eq!(index.counts().unwrap().instances, 0, "who asks sees what there is");
        let refused = index.known(&[Uid::new("1.9")]).unwrap_err();
        assert!(refused.is_full(), "{refused}");
        assert!(index.defer(&mut vec![instance(0, 1, 2)], at(2)).is_err(), "and is not taken over");
        assert!(index.set_position(at(9)).is_err(), "not past what waits");
        inner.1.store(false, Ordering::SeqCst);
        index.defer(&mut vec![instance(0, 1, 2)], at(2)).unwrap();
        assert_eq!(index.counts().unwrap().instances, 2);
        assert_eq!(index.position().unwrap(), at(2));
    }
}
