//! One thread that commits: batches by what waits, one append, one sync. The index follows.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::Instant;

use pacslab_model::{Emit, Event, Identifiers, METRICS, Moment, Outcome, Uid};
use pacslab_store::{
    Appended, Blobs, Index, Kind, Known, NewInstance, Position, Record, Sealed, StoreError,
};
use tokio::sync::{mpsc, oneshot};

use super::note::{Note, index_entry};
use super::room::Limits;
use super::turns::in_turns;
use super::{IngestError, Origin, Receipt, Received};
use crate::archive::ArchiveError;
use crate::buffers::Buffers;
use crate::change::{Change, Changed, Prepared};
use crate::events;
use crate::header::Header;
use crate::memory::Share;

/// An instance that is complete and waits for its sync.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) note: Note,
    /// The note as the record keeps it: encoded by whoever sent, not by the one who commits.
    pub(crate) encoded: Vec<u8>,
    pub(crate) body: Body,
    /// The memory that it takes.
    pub(crate) share: Share,
}

impl Job {
    /// Bytes that are written for it, or what takes as long.
    fn weight(&self) -> u64 {
        match &self.body {
            Body::Memory { dataset, .. } => dataset.len() as u64,
            // it is on the disk, and has syncs of its own
            Body::Segment(_) => 1 << 20,
        }
    }
}

#[derive(Debug)]
pub(crate) enum Body {
    Memory { head: Vec<u8>, dataset: Vec<u8> },
    Segment(Sealed),
}

type Waiting = (Job, oneshot::Sender<Result<Receipt, IngestError>>);

/// What the committer is asked for, in the order in which it is done.
#[derive(Debug)]
enum Task {
    Store(Waiting),
    Change(ChangeTask),
}

/// What is to be done between batches.
#[derive(Debug)]
pub(crate) enum Request {
    Change {
        change: Change,
        by: Origin,
    },
    /// A pack was rewritten into the log that begins with `first`.
    Moved {
        from: u32,
        first: u64,
    },
    /// Nothing: when it is answered, all that came before is in the index.
    Settle,
}

#[derive(Debug)]
struct ChangeTask {
    request: Request,
    at: Moment,
    reply: oneshot::Sender<Result<(Changed, bool), StoreError>>,
}

/// What one batch may hold. The queue is as long as a batch: senders wait beyond that.
const BATCH: usize = 64;

/// The queue into the committing thread. Dropped: what is queued is committed, then it ends.
#[derive(Debug)]
pub(crate) struct Committer {
    queue: Option<mpsc::Sender<Task>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(crate) fn start(
        blobs: Arc<dyn Blobs>,
        index: Arc<dyn Index>,
        emit: Arc<dyn Emit>,
        buffers: &Arc<Buffers>,
        limits: Limits,
        arrived: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(BATCH);
        let work = Work {
            blobs,
            index,
            emit,
            buffers: Arc::downgrade(buffers),
            limits,
            arrived: Box::new(arrived),
            behind: None,
        };
        let thread =
            std::thread::Builder::new().name("committer".into()).spawn(move || work.run(jobs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(crate) async fn commit(&self, mut job: Job) -> Result<Receipt, IngestError> {
        let queue = self.queue.as_ref().ok_or(IngestError::Closed)?;
        let (reply, answer) = oneshot::channel();
        let _waiting = Waits::begin();
        let place = queue.reserve().await.map_err(|_| IngestError::Closed)?;
        job.share.enter();
        place.send(Task::Store((job, reply)));
        answer.await.map_err(|_| IngestError::Closed)?
    }

    /// Answers what came of it, and whether studies have moved between patients.
    pub(crate) async fn change(
        &self,
        request: Request,
        at: Moment,
    ) -> Result<(Changed, bool), ArchiveError> {
        let queue = self.queue.as_ref().ok_or(ArchiveError::Stopped)?;
        let (reply, answer) = oneshot::channel();
        let task = Task::Change(ChangeTask { request, at, reply });
        queue.send(task).await.map_err(|_| ArchiveError::Stopped)?;
        Ok(answer.await.map_err(|_| ArchiveError::Stopped)??)
    }
}

/// One instance that waits, told of in the metrics until it is dropped.
struct Waits;

impl Waits {
    fn begin() -> Self {
        METRICS.commit_waiting.add(1);
        Self
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        METRICS.commit_waiting.add(-1);
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // a panic there has been reported by the panic hook already
            let _ = thread.join();
        }
    }
}

struct Work {
    blobs: Arc<dyn Blobs>,
    index: Arc<dyn Index>,
    emit: Arc<dyn Emit>,
    buffers: Weak<Buffers>,
    limits: Limits,
    arrived: Box<dyn Fn() + Send>,
    behind: Option<Behind>,
}

/// In the packs, and not in the index, which could not be written to.
enum Behind {
    Instances(Vec<NewInstance>, Position),
    Change(Prepared, Position),
}

impl Work {
    fn run(mut self, mut tasks: mpsc::Receiver<Task>) {
        let mut waiting: Vec<Waiting> = Vec::with_capacity(BATCH);
        let mut change: Option<ChangeTask> = None;
        loop {
            // what came before a change is stored before it
            while change.is_none() && waiting.len() < BATCH {
                match if waiting.is_empty() { tasks.blocking_recv() } else { tasks.try_recv().ok() }
                {
                    Some(Task::Store(one)) => waiting.push(one),
                    Some(Task::Change(task)) => change = Some(task),
                    None => break,
                }
            }
            if waiting.is_empty() && change.is_none() {
                return;
            }
            let batch = next_batch(&mut waiting);
            let (small, large): (Vec<Waiting>, Vec<Waiting>) =
                batch.into_iter().partition(|(job, _)| matches!(job.body, Body::Memory { .. }));
            let tight = small.len() > 1
                && self.limits.are_tight(&*self.blobs, &*self.index, small.iter().map(|(j, _)| j));
            // near a limit each is asked for by itself: some may fit where all do not
            let (together, alone) = if tight { (Vec::new(), small) } else { (small, Vec::new()) };
            if !together.is_empty() {
                self.guarded(|work| work.commit(together));
            }
            // a segment was synced by its own thread; what is left is one small record each
            for one in alone.into_iter().chain(large) {
                self.guarded(|work| work.commit(vec![one]));
            }
            if waiting.is_empty()
                && let Some(task) = change.take()
            {
                self.guarded(|work| work.change(task));
            }
        }
    }

    /// After a panic those without an answer are told; those who come later find a committer.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(self))).is_err() {
            tracing::error!("what was to be committed could not be");
        }
    }

    fn change(&mut self, task: ChangeTask) {
        let ChangeTask { request, at, reply } = task;
        let change = || -> Result<(Changed, bool), StoreError> {
            self.catch_up()?;
            let prepared = match request {
                Request::Change { change, by } => Prepared::new(change, &by, at, &*self.index)?,
                Request::Moved { from, first } => Some(Prepared::moved(from, first, at)),
                Request::Settle => None,
            };
            let Some(prepared) = prepared else { return Ok((Changed::default(), false)) };
            let moves = prepared.moves_studies();
            let end = prepared.record(&*self.blobs)?;
            self.behind = Some(Behind::Change(prepared, end));
            Ok((self.catch_up()?, moves))
        };
        // who asked may have gone away
        let _ = reply.send(change());
    }

    /// All of `batch` or, when storage fails, nothing of it.
    fn commit(&mut self, batch: Vec<Waiting>) {
        let (mut jobs, replies): (Vec<Job>, Vec<_>) = batch.into_iter().unzip();
        let begun = Instant::now();
        let stored = self.store(&mut jobs);
        METRICS.commit_batch.observe(jobs.len() as u64);
        METRICS.commit_time.took(begun.elapsed());
        match stored {
            Ok(outcomes) => {
                if outcomes.iter().any(|outcome| outcome.received == Received::New) {
                    (self.arrived)();
                }
                for ((job, reply), outcome) in jobs.into_iter().zip(replies).zip(outcomes) {
                    if let Received::Duplicate { .. } = outcome.received {
                        self.emit.emit(duplicate(&job, &outcome));
                    }
                    if let Body::Memory { dataset, .. } = job.body
                        && let Some(buffers) = self.buffers.upgrade()
                    {
                        buffers.give(dataset);
                    }
                    // a sender that has gone away does not unstore its instance
                    let _ = reply
                        .send(Ok(Receipt { header: job.note.header, outcome: outcome.received }));
                }
            }
            Err(error) => {
                let full = error.is_full();
                let text = error.to_string();
                if let Some(job) = jobs.first() {
                    self.emit.emit(
                        Event::new(job.note.received_at, events::STORE_FAILED, text.clone())
                            .outcome(Outcome::Failed)
                            .field("instances", jobs.len()),
                    );
                }
                for reply in replies {
                    let error = match full {
                        true => IngestError::Full(text.clone()),
                        false => IngestError::Store(text.clone()),
                    };
                    let _ = reply.send(Err(error));
                }
            }
        }
    }

    fn store(&mut self, jobs: &mut [Job]) -> Result<Vec<Committed>, StoreError> {
        self.catch_up()?;
        let uids: Vec<Uid> = jobs.iter().map(|job| job.note.header.sop_instance.clone()).collect();
        let known = self.index.known(&uids)?;
        // within one batch the first of two equal UIDs is the one that is kept
        let mut first: HashMap<&Uid, usize> = HashMap::new();
        let mut fresh = Vec::with_capacity(jobs.len());
        let mut earlier: Vec<Option<Earlier>> = Vec::with_capacity(jobs.len());
        for (at, (uid, known)) in uids.iter().zip(known).enumerate() {
            earlier.push(match (known, first.get(uid)) {
                (Some(known), _) => Some(Earlier::Stored(known)),
                (None, Some(kept)) => Some(Earlier::InBatch(*kept)),
                (None, None) => {
                    first.insert(uid, at);
                    fresh.push(at);
                    None
                }
            });
        }
        if let Some(first) = fresh.first() {
            let (at, fresh) = (jobs[*first].note.received_at, fresh.iter().map(|at| &jobs[*at]));
            self.limits.make_room(&*self.blobs, &*self.index, &*self.emit, fresh, at)?;
        }
        let appended = self.append(jobs, &fresh)?;
        if let Some(appended) = appended {
            let entries: Vec<NewInstance> = fresh
                .iter()
                .zip(&appended.locations)
                .map(|(at, location)| index_entry(jobs[*at].note.clone(), *location))
                .collect();
            self.behind = Some(Behind::Instances(entries, appended.end));
            // what is in the packs is stored, whatever becomes of the index: saying otherwise
            // would have it sent again, and found after the next start all the same
            if let (Err(error), Some(job)) = (self.catch_up(), jobs.first()) {
                let text = format!(
                    "instances are stored, but the index cannot be written; they are found when \
                     it can be, or after a start: {error}"
                );
                self.emit.emit(
                    Event::new(job.note.received_at, events::INDEX_BEHIND, text)
                        .outcome(Outcome::Warning)
                        .field("instances", fresh.len()),
                );
            }
        }
        Ok(earlier
            .into_iter()
            .enumerate()
            .map(|(at, earlier)| {
                let digest = match earlier {
                    None => return Committed { received: Received::New, earlier: None },
                    Some(Earlier::Stored(known)) => known.digest,
                    Some(Earlier::InBatch(kept)) => jobs[kept].note.digest,
                };
                let identical = digest == jobs[at].note.digest;
                Committed { received: Received::Duplicate { identical }, earlier: Some(digest) }
            })
            .collect())
    }

    /// Brings into the index what it lacks. Until that is done nothing else is stored.
    fn catch_up(&mut self) -> Result<Changed, StoreError> {
        let changed = match &mut self.behind {
            None => Changed::default(),
            Some(Behind::Instances(entries, end)) => {
                self.index.defer(entries, *end)?;
                Changed::default()
            }
            Some(Behind::Change(prepared, end)) => {
                let changed = prepared.apply(&*self.blobs, &*self.index, *end)?;
                if let Some(event) = prepared.event(&changed) {
                    self.emit.emit(event);
                }
                changed
            }
        };
        self.behind = None;
        Ok(changed)
    }

    fn append(&self, jobs: &mut [Job], fresh: &[usize]) -> Result<Option<Appended>, StoreError> {
        if let [only] = fresh
            && matches!(jobs[*only].body, Body::Segment(_))
        {
            let empty = Body::Memory { head: Vec::new(), dataset: Vec::new() };
            if let Body::Segment(sealed) = std::mem::replace(&mut jobs[*only].body, empty) {
                let note = &jobs[*only].encoded;
                return self.blobs.adopt(sealed, Kind::Instance, note).map(Some);
            }
        }
        let records: Vec<Record<'_>> = fresh
            .iter()
            .filter_map(|at| match &jobs[*at] {
                Job { encoded, body: Body::Memory { head, dataset }, .. } => {
                    Some(Record { kind: Kind::Instance, note: encoded, head, body: dataset })
                }
                _ => None,
            })
            .collect();
        if records.is_empty() {
            return Ok(None);
        }
        self.blobs.append(&records).map(Some)
    }
}

/// Takes all that waits or, if that is too much at once, in turns: the first of each sender, the
/// second of each, and so on. Those of one sender stay in their order.
fn next_batch(waiting: &mut Vec<Waiting>) -> Vec<Waiting> {
    let all = waiting.iter().map(|(job, _)| (job.note.source.remote.as_str(), job.weight()));
    let chosen = in_turns(&all.collect::<Vec<_>>());
    let (mut batch, mut rest) = (Vec::with_capacity(BATCH), Vec::new());
    for (one, chosen) in waiting.drain(..).zip(chosen) {
        if chosen { batch.push(one) } else { rest.push(one) }
    }
    *waiting = rest;
    batch
}

struct Committed {
    received: Received,
    /// The digest of the instance that was there before.
    earlier: Option<[u8; 32]>,
}

enum Earlier {
    Stored(Known),
    InBatch(usize),
}

fn duplicate(job: &Job, outcome: &Committed) -> Event {
    let identical = outcome.received == Received::Duplicate { identical: true };
    let message = if identical {
        format!("{} was stored before with the same content", job.note.header.sop_instance)
    } else {
        format!(
            "{} was stored before with other content; the first one was kept",
            job.note.header.sop_instance
        )
    };
    Event::new(job.note.received_at, events::DUPLICATE, message)
        .outcome(if identical { Outcome::Ok } else { Outcome::Warning })
        .ids(identifiers(&job.note.header))
        .field("kept", hex(&outcome.earlier.unwrap_or_default()))
        .field("received", hex(&job.note.digest))
        .field("from", &job.note.source.calling_ae)
}

fn identifiers(header: &Header) -> Identifiers {
    Identifiers {
        series_uid: header.series_uid.to_string(),
        sop_uid: header.sop_instance.to_string(),
        ..header.study()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
