//! Instances on their way out: read ahead, in a transfer syntax that the other end takes.
//! PS3.4 B.4.1 (who sends chooses among the accepted contexts), PS3.5 10.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use pacslab_dicom::{TransferSyntax, dict, encode, file, parse};
use pacslab_dimse::service::get::{Failed, Object};
use pacslab_dimse::{Contexts, Error};
use pacslab_model::{Uid, uids};
use pacslab_store::Stored;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::task::JoinHandle;

use crate::archive::{Archive, ArchiveError, syntax_of};

/// Instances for one receiver, in their order. While some are sent, the next are read.
#[derive(Debug)]
pub struct Outgoing {
    archive: Arc<Archive>,
    waiting: VecDeque<Stored>,
    /// For what is ready and what is under way.
    contexts: Option<Arc<Contexts>>,
    ready: VecDeque<(Stored, Result<Object, String>)>,
    /// For what is ready, and the last that was taken.
    held: Option<OwnedSemaphorePermit>,
    ahead: Option<Ahead>,
}

/// A batch that is being read.
#[derive(Debug)]
struct Ahead {
    batch: Arc<[Stored]>,
    held: OwnedSemaphorePermit,
    reading: JoinHandle<Vec<Result<Object, String>>>,
}

/// Bytes that are read at once; one instance may be more.
const BATCH: u64 = 1 << 20;

/// What all retrieves of the DICOM doors and pushes hold together, in KiB. An object that is larger
/// waits until it is the only one. Nobody holds anything while he waits, so each wait ends with
/// those who send, or with their timeouts (ADR 0015).
pub(crate) const OUTGOING: usize = 256 << 10;

impl Outgoing {
    pub fn new(archive: Arc<Archive>, instances: Vec<Stored>) -> Self {
        let waiting = instances.into();
        let (ready, held) = (VecDeque::new(), None);
        Self { archive, waiting, contexts: None, ready, held, ahead: None }
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        let ahead = self.ahead.as_ref().map_or(0, |ahead| ahead.batch.len());
        self.waiting.len() + self.ready.len() + ahead
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next one, in the transfer syntax of one of these contexts: the stored one where that
    /// was accepted, else one that the object can be changed to, uncompressed before compressed.
    pub async fn next(&mut self, contexts: &Arc<Contexts>) -> Option<Result<Object, Failed>> {
        let (stored, object) = self.take(contexts).await?;
        Some(object.map_err(|why| Failed { sop_instance: stored.sop_instance, why }))
    }

    /// The next one, and what it is of.
    pub(crate) async fn take(
        &mut self,
        contexts: &Arc<Contexts>,
    ) -> Option<(Stored, Result<Object, String>)> {
        self.turn_to(contexts);
        if self.ready.is_empty() {
            // the last one was sent
            self.held = None;
            if self.ahead.is_none() && !self.waiting.is_empty() {
                let (count, room) = self.next_batch();
                let room = self.archive.outgoing.clone().acquire_many_owned(room).await;
                // nobody closes it
                self.read(contexts, count, room.ok()?);
            }
            // put back only by its end: this future may be dropped while it waits
            let objects = (&mut self.ahead.as_mut()?.reading).await;
            let Ahead { batch, held, .. } = self.ahead.take()?;
            self.held = Some(held);
            let objects = objects.unwrap_or_else(|_| {
                batch.iter().map(|_| Err(ArchiveError::Stopped.to_string())).collect()
            });
            self.ready = batch.iter().cloned().zip(objects).collect();
        }
        self.read_ahead(contexts);
        self.ready.pop_front()
    }

    /// Those that were taken come again before the others.
    pub(crate) fn again(&mut self, taken: impl DoubleEndedIterator<Item = Stored>) {
        self.put_back();
        taken.rev().for_each(|stored| self.waiting.push_front(stored));
    }

    /// Leaves out the next one.
    pub fn skip(&mut self) -> Option<Stored> {
        self.put_back();
        self.waiting.pop_front()
    }

    /// Another association may have agreed on something else.
    fn turn_to(&mut self, contexts: &Arc<Contexts>) {
        if !self.contexts.as_ref().is_some_and(|known| Arc::ptr_eq(known, contexts)) {
            self.put_back();
            self.contexts = Some(contexts.clone());
        }
    }

    fn put_back(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            ahead.reading.abort();
            ahead.batch.iter().rev().for_each(|stored| self.waiting.push_front(stored.clone()));
        }
        while let Some((stored, _)) = self.ready.pop_back() {
            self.waiting.push_front(stored);
        }
    }

    /// Reads the next ones while others are sent, if there is room for them now.
    fn read_ahead(&mut self, contexts: &Arc<Contexts>) {
        if self.ahead.is_some() || self.waiting.is_empty() {
            return;
        }
        let (count, room) = self.next_batch();
        match self.archive.outgoing.clone().try_acquire_many_owned(room) {
            Ok(held) => self.read(contexts, count, held),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {}
        }
    }

    /// How many are read at once, and the room for them.
    fn next_batch(&self) -> (usize, u32) {
        let (mut count, mut bytes) = (0, 0);
        for stored in &self.waiting {
            let more = bytes + stored.location.len;
            if count > 0 && more > BATCH {
                break;
            }
            (count, bytes) = (count + 1, more);
        }
        (count, (bytes >> 10).clamp(1, OUTGOING as u64) as u32)
    }

    fn read(&mut self, contexts: &Arc<Contexts>, count: usize, held: OwnedSemaphorePermit) {
        let batch: Arc<[Stored]> = self.waiting.drain(..count).collect();
        let (archive, contexts, job) = (self.archive.clone(), contexts.clone(), batch.clone());
        let reading = tokio::task::spawn_blocking(move || {
            job.iter().map(|stored| object(&archive, &contexts, stored)).collect()
        });
        self.ahead = Some(Ahead { batch, held, reading });
    }
}

fn object(archive: &Archive, contexts: &Contexts, stored: &Stored) -> Result<Object, String> {
    let transfer_syntax = fit(contexts, stored)?;
    let bytes = archive.body(stored).map_err(|error| error.to_string())?;
    let (_, start) = file::read_meta(&bytes).map_err(|error| error.to_string())?;
    let mut data = Bytes::from(bytes).slice(start..);
    if transfer_syntax != stored.transfer_syntax {
        let (from, to) = (syntax_of(stored), TransferSyntax::from_uid(transfer_syntax.as_str()));
        let tree = parse(&data, &from).map_err(|error| error.to_string())?;
        let tree = pacslab_codec::transcode(tree, &from, &to, LARGEST);
        let tree = tree.map_err(|error| error.to_string())?;
        data = encode(&tree, &to).into();
    }
    Ok(Object {
        sop_class: stored.sop_class.clone(),
        sop_instance: stored.sop_instance.clone(),
        transfer_syntax,
        data,
    })
}

/// The most bytes of uncompressed pixels: they are in memory as a whole.
const LARGEST: usize = 1 << 30;

/// What an object is changed to where its own syntax is not accepted: the first of these that is.
const OTHERS: [&str; 5] = [
    uids::EXPLICIT_VR_LE,
    uids::IMPLICIT_VR_LE,
    uids::DEFLATED_EXPLICIT_VR_LE,
    uids::EXPLICIT_VR_BE,
    pacslab_codec::RLE,
];

/// The syntax to send in.
fn fit(contexts: &Contexts, stored: &Stored) -> Result<Uid, String> {
    let (class, own) = (stored.sop_class.as_str(), &stored.transfer_syntax);
    let refused = match contexts.request(class, Some(own.as_str())) {
        Ok(_) => return Ok(own.clone()),
        Err(refused) => refused,
    };
    let fits = |uid: &&str| {
        pacslab_codec::can_transcode(&syntax_of(stored), &TransferSyntax::from_uid(uid))
            && contexts.request(class, Some(uid)).is_ok()
    };
    match (OTHERS.into_iter().find(fits), refused) {
        (Some(uid), _) => Ok(Uid::from(uid)),
        // short, because the peer sees 64 characters of it
        (_, Error::ContextRefused { reason, .. }) => {
            Err(format!("{}: {reason}", dict::uid_name(class).unwrap_or(class)))
        }
        (_, refused) => Err(refused.to_string()),
    }
}
