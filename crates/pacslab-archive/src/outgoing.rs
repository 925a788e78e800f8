//! Instances on their way out: read ahead, in a transfer syntax that the other end takes.
//! PS3.4 B.4.1 (who sends chooses among the accepted contexts), PS3.5 10.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use pacslab_dicom::{TransferSyntax, dict, encode, file, parse};
use pacslab_dimse::service::get::{Failed, Object};
use pacslab_dimse::{Contexts, Error, Payload};
use pacslab_model::{Uid, uids};
use pacslab_store::{Reading, StoreError, Stored};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use crate::archive::{Archive, ArchiveError, syntax_of};
use crate::decoded::Decoded;
use crate::pieces::{Body, Piece, Pieces};

/// Instances for one receiver, in their order. What the system has in memory is read when its turn
/// comes; of what the device has to be asked for, the next are read while some are sent.
#[derive(Debug)]
pub struct Outgoing {
    archive: Arc<Archive>,
    waiting: VecDeque<Stored>,
    /// For what is ready and what is under way.
    contexts: Option<Arc<Contexts>>,
    ready: VecDeque<(Stored, Result<Object, String>)>,
    /// For what is ready, and the last that was taken.
    held: Option<OwnedSemaphorePermit>,
    /// For what is ready, if the last that was taken is of another batch.
    prepared: Option<OwnedSemaphorePermit>,
    ahead: Option<Ahead>,
    /// So many batches are read by another thread before memory is tried again.
    cold: u32,
}

/// A batch that is being read.
#[derive(Debug)]
struct Ahead {
    batch: Arc<[Stored]>,
    held: OwnedSemaphorePermit,
    reading: JoinHandle<Vec<Result<Object, String>>>,
}

/// Bytes that are read at once: several instances, or a piece of one that is larger.
pub(crate) const BATCH: usize = 1 << 20;

/// The same where they are in memory, so that the first leaves soon.
const NOW: usize = 128 << 10;

/// After a batch that was not in memory, so many are not expected there.
const COLD: u32 = 8;

/// Of an object that comes in pieces these are in memory: one is sent, the next is read.
const PIECES: u64 = 2 * BATCH as u64;

/// What all retrieves of the DICOM doors and pushes hold together, in KiB. An object that has to be
/// whole for another transfer syntax and is larger waits until it is the only one. Nobody holds
/// anything while he waits, so each wait ends with those who send, or with their timeouts
/// (ADR 0015).
pub(crate) const OUTGOING: usize = 256 << 10;

impl Outgoing {
    pub fn new(archive: Arc<Archive>, instances: Vec<Stored>) -> Self {
        let waiting = instances.into();
        let (ready, held, prepared) = (VecDeque::new(), None, None);
        Self { archive, waiting, contexts: None, ready, held, prepared, ahead: None, cold: 0 }
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
        if let Some(prepared) = self.prepared.take() {
            // the last one of another batch was sent
            self.held = Some(prepared);
        }
        if self.ready.is_empty() {
            // the last one was sent
            self.held = None;
            if self.ahead.is_none() && !self.waiting.is_empty() {
                let (count, room) = self.next_batch(contexts, self.at_once());
                let room = self.archive.outgoing.clone().acquire_many_owned(room).await;
                // nobody closes it
                let room = room.ok()?;
                self.held = self.read(contexts, count, room);
            }
        }
        if self.ready.is_empty() {
            // put back only by its end: this future may be dropped while it waits
            let objects = (&mut self.ahead.as_mut()?.reading).await;
            let Ahead { batch, held, .. } = self.ahead.take()?;
            self.held = Some(held);
            let objects = objects.unwrap_or_else(|_| {
                batch.iter().map(|_| Err(ArchiveError::Stopped.to_string())).collect()
            });
            self.ready = batch.iter().cloned().zip(objects).collect();
        }
        let taken = self.ready.pop_front();
        if self.cold > 0 {
            // another thread reads while this one is sent
            self.prepare();
        }
        taken
    }

    /// To be called when the last that was taken has been sent: while the receiver takes it in, the
    /// next is read, if there is room for it now.
    pub fn prepare(&mut self) {
        let Some(contexts) = self.contexts.clone() else { return };
        let enough = self.ahead.is_some() || (self.cold == 0 && !self.ready.is_empty());
        if enough || self.waiting.is_empty() {
            return;
        }
        let (count, room) = self.next_batch(&contexts, self.at_once());
        if let Ok(held) = self.archive.outgoing.clone().try_acquire_many_owned(room) {
            self.prepared = self.read(&contexts, count, held);
        }
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
        self.prepared = None;
    }

    fn at_once(&self) -> usize {
        if self.cold == 0 { NOW } else { BATCH }
    }

    /// How many are read at once, and the room for them.
    fn next_batch(&self, contexts: &Contexts, at_once: usize) -> (usize, u32) {
        let (mut count, mut bytes) = (0, 0);
        for stored in &self.waiting {
            let more = bytes + stored.location.len;
            if count > 0 && more > at_once as u64 {
                break;
            }
            (count, bytes) = (count + 1, more);
        }
        if let Some(large) = self.waiting.front().filter(|_| bytes > BATCH as u64)
            && fit(contexts, large).is_ok_and(|syntax| syntax == large.transfer_syntax)
        {
            bytes = bytes.min(PIECES);
        }
        (count, (bytes >> 10).clamp(1, OUTGOING as u64) as u32)
    }

    /// Reads a batch. Where it is in memory it is ready, and its room is given back; else another
    /// thread reads it.
    fn read(
        &mut self,
        contexts: &Arc<Contexts>,
        count: usize,
        held: OwnedSemaphorePermit,
    ) -> Option<OwnedSemaphorePermit> {
        if self.cold == 0 {
            let batch = &self.waiting.make_contiguous()[..count];
            if let Some(objects) = objects_now(&self.archive, contexts, batch) {
                self.ready = self.waiting.drain(..count).zip(objects).collect();
                return Some(held);
            }
            self.cold = COLD;
        }
        self.cold -= 1;
        let batch: Arc<[Stored]> = self.waiting.drain(..count).collect();
        let (archive, contexts, job) = (self.archive.clone(), contexts.clone(), batch.clone());
        let reading = tokio::task::spawn_blocking(move || objects(&archive, &contexts, &job));
        self.ahead = Some(Ahead { batch, held, reading });
        None
    }
}

/// Reads a batch without waiting for the device. `None`: it may have to be waited for, or something
/// else takes time.
fn objects_now(
    archive: &Arc<Archive>,
    contexts: &Contexts,
    batch: &[Stored],
) -> Option<Vec<Result<Object, String>>> {
    let as_stored = |one: &Stored| fit(contexts, one).is_ok_and(|fits| fits == one.transfer_syntax);
    if !batch.iter().all(as_stored) {
        return None;
    }
    let mut piece = archive.large.take();
    if let [one] = batch
        && one.location.len > piece.bytes.len() as u64
    {
        let mut reading = Reading::of(one.location);
        let read = archive.read_next_now(one, &mut reading, &mut piece.bytes)?;
        let read = read.map_err(|error| error.to_string());
        let first = read.and_then(|read| body(archive, one, piece.freeze(read), reading, true));
        return Some(vec![first.map(|body| object(one, one.transfer_syntax.clone(), body))]);
    }
    let (mut end, mut ranges) = (0, Vec::with_capacity(batch.len()));
    for one in batch {
        // a batch is no longer than its buffer
        let range = end..end + one.location.len as usize;
        end = range.end;
        let mut reading = Reading::of(one.location);
        let read = archive.read_next_now(one, &mut reading, &mut piece.bytes[range.clone()])?;
        if read.is_ok() && reading.left() > 0 {
            return None;
        }
        ranges.push(read.map(|_| range));
    }
    Some(sliced(batch, contexts, &piece.freeze(end), ranges))
}

/// Reads a batch: small ones one behind the other into one buffer, of a large one the beginning.
fn objects(
    archive: &Arc<Archive>,
    contexts: &Contexts,
    batch: &[Stored],
) -> Vec<Result<Object, String>> {
    let mut piece = archive.large.take();
    if let [one] = batch
        && one.location.len > piece.bytes.len() as u64
    {
        return vec![large(archive, contexts, one, piece)];
    }
    let mut end = 0;
    let read = |stored: &Stored| {
        // a batch is no longer than its buffer
        let start = end;
        end += stored.location.len as usize;
        archive.read_whole(stored, &mut piece.bytes[start..end]).map(|()| start..end)
    };
    let ranges: Vec<_> = batch.iter().map(read).collect();
    sliced(batch, contexts, &piece.freeze(end), ranges)
}

/// The objects of a batch out of the bytes of all.
fn sliced(
    batch: &[Stored],
    contexts: &Contexts,
    bytes: &Bytes,
    ranges: Vec<Result<Range<usize>, StoreError>>,
) -> Vec<Result<Object, String>> {
    let of = |(stored, range): (&Stored, Result<Range<usize>, StoreError>)| {
        let transfer_syntax = fit(contexts, stored)?;
        let file = bytes.slice(range.map_err(|error| error.to_string())?);
        let data = data(stored, &transfer_syntax, file)?;
        Ok(object(stored, transfer_syntax, data))
    };
    batch.iter().zip(ranges).map(of).collect()
}

/// One that does not fit in a piece: it goes out as it is read.
fn large(
    archive: &Arc<Archive>,
    contexts: &Contexts,
    stored: &Stored,
    mut piece: Piece,
) -> Result<Object, String> {
    let transfer_syntax = fit(contexts, stored)?;
    if transfer_syntax != stored.transfer_syntax {
        drop(piece);
        let file = archive.body(stored).map_err(|error| error.to_string())?;
        let data = data(stored, &transfer_syntax, file.into())?;
        return Ok(object(stored, transfer_syntax, data));
    }
    let mut reading = Reading::of(stored.location);
    let read = archive.read_next(stored, &mut reading, &mut piece.bytes);
    let first = piece.freeze(read.map_err(|error| error.to_string())?);
    let body = body(archive, stored, first, reading, false)?;
    Ok(object(stored, transfer_syntax, body))
}

/// The data set of a file whose first piece has been read, from memory or not.
fn body(
    archive: &Arc<Archive>,
    stored: &Stored,
    first: Bytes,
    reading: Reading,
    now: bool,
) -> Result<Payload, String> {
    let (_, start) = file::read_meta(&first).map_err(|error| error.to_string())?;
    let rest = Pieces::new(archive.clone(), stored.clone(), archive.large.clone(), reading, now);
    Ok(Payload::Pieces(Box::new(Body { first: Some(first.slice(start..)), rest })))
}

/// The data set of a file in the transfer syntax to send in.
fn data(stored: &Stored, transfer_syntax: &Uid, file: Bytes) -> Result<Payload, String> {
    let (_, start) = file::read_meta(&file).map_err(|error| error.to_string())?;
    let data = file.slice(start..);
    if *transfer_syntax == stored.transfer_syntax {
        return Ok(data.into());
    }
    let (from, to) = (syntax_of(stored), TransferSyntax::from_uid(transfer_syntax.as_str()));
    let tree = parse(&data, &from).map_err(|error| error.to_string())?;
    drop((data, file));
    if Decoded::suits(&tree, &from, &to) {
        let decoded = Decoded::new(tree, &from, &to).map_err(|error| error.to_string())?;
        return Ok(Payload::Pieces(Box::new(decoded)));
    }
    let tree = pacslab_codec::transcode(tree, &from, &to, LARGEST);
    Ok(Payload::Whole(encode(&tree.map_err(|error| error.to_string())?, &to).into()))
}

fn object(stored: &Stored, transfer_syntax: Uid, data: Payload) -> Object {
    Object {
        sop_class: stored.sop_class.clone(),
        sop_instance: stored.sop_instance.clone(),
        transfer_syntax,
        data,
    }
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
