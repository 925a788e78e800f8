//! One thread that commits: batches by what waits, one append, one sync, one index transaction.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use pacslab_model::{Emit, Event, Identifiers, Outcome, Uid};
use pacslab_store::{
    Appended, Blobs, Index, Ingested, Kind, Known, NewInstance, Position, Record, Sealed,
    StoreError,
};
use tokio::sync::{mpsc, oneshot};

use super::note::{Note, index_entry};
use super::{IngestError, Receipt, Received};
use crate::buffers::Buffers;
use crate::events;
use crate::header::Header;

/// An instance that is complete and waits for its sync.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) note: Note,
    /// The note as the record keeps it: encoded by whoever sent, not by the one who commits.
    pub(crate) encoded: Vec<u8>,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Memory { head: Vec<u8>, dataset: Vec<u8> },
    Segment(Sealed),
}

type Waiting = (Job, oneshot::Sender<Result<Receipt, IngestError>>);

/// What one batch may hold. The queue is as long as a batch: senders wait beyond that.
const BATCH: usize = 64;

/// The queue into the committing thread. Dropped: what is queued is committed, then it ends.
#[derive(Debug)]
pub(crate) struct Committer {
    queue: Option<mpsc::Sender<Waiting>>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(crate) fn start(
        blobs: Arc<dyn Blobs>,
        index: Arc<dyn Index>,
        emit: Arc<dyn Emit>,
        buffers: &Arc<Buffers>,
        arrived: impl Fn() + Send + 'static,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = mpsc::channel(BATCH);
        let work = Work {
            blobs,
            index,
            emit,
            buffers: Arc::downgrade(buffers),
            arrived: Box::new(arrived),
            behind: None,
        };
        let thread =
            std::thread::Builder::new().name("committer".into()).spawn(move || work.run(jobs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    pub(crate) async fn commit(&self, job: Job) -> Result<Receipt, IngestError> {
        let queue = self.queue.as_ref().ok_or(IngestError::Closed)?;
        let (reply, answer) = oneshot::channel();
        queue.send((job, reply)).await.map_err(|_| IngestError::Closed)?;
        answer.await.map_err(|_| IngestError::Closed)?
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
    arrived: Box<dyn Fn() + Send>,
    /// Stored, and not in the index, which could not be written to.
    behind: Option<(Vec<NewInstance>, Position)>,
}

impl Work {
    fn run(mut self, mut jobs: mpsc::Receiver<Waiting>) {
        let mut batch = Vec::with_capacity(BATCH);
        while let Some(first) = jobs.blocking_recv() {
            batch.push(first);
            while batch.len() < BATCH
                && let Ok(next) = jobs.try_recv()
            {
                batch.push(next);
            }
            let (small, large): (Vec<Waiting>, Vec<Waiting>) =
                batch.drain(..).partition(|(job, _)| matches!(job.body, Body::Memory { .. }));
            let mut commit = |batch| {
                // senders without an answer are told; those who come later find a committer
                let work = std::panic::AssertUnwindSafe(|| self.commit(batch));
                if std::panic::catch_unwind(work).is_err() {
                    tracing::error!("a batch of instances could not be committed");
                }
            };
            if !small.is_empty() {
                commit(small);
            }
            // a segment was synced by its own thread; what is left is one small record each
            for one in large {
                commit(vec![one]);
            }
        }
    }

    /// All of `batch` or, when storage fails, nothing of it.
    fn commit(&mut self, batch: Vec<Waiting>) {
        let (mut jobs, replies): (Vec<Job>, Vec<_>) = batch.into_iter().unzip();
        match self.store(&mut jobs) {
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
        let appended = self.append(jobs, &fresh)?;
        if let Some(appended) = appended {
            let entries: Vec<NewInstance> = fresh
                .iter()
                .zip(&appended.locations)
                .map(|(at, location)| index_entry(jobs[*at].note.clone(), *location))
                .collect();
            self.behind = Some((entries, appended.end));
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
    fn catch_up(&mut self) -> Result<(), StoreError> {
        if let Some((entries, end)) = &self.behind {
            let ingested = self.index.ingest(entries, *end)?;
            debug_assert!(ingested.iter().all(|i| matches!(i, Ingested::New { .. })));
            self.behind = None;
        }
        Ok(())
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
