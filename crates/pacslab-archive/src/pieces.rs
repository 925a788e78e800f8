//! A body on its way out, piece by piece: what is in memory of it does not depend on its length.
//!
//! The checksum is folded while it is read, and the piece with the last byte is not handed out
//! before it has agreed: what is damaged never arrives as a whole.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use pacslab_dimse::{self as dimse, BoxFuture, Source};
use pacslab_model::{Event, Identifiers, Outcome};
use pacslab_store::{Reading, StoreError, Stored};
use tokio::task::JoinHandle;

use crate::archive::{Archive, ArchiveError};
use crate::events;

/// The body of an instance. What the system has in memory is read when its turn comes, which is
/// faster than asking another thread; else, while a piece is sent, the next is read.
#[derive(Debug)]
pub struct Pieces {
    archive: Arc<Archive>,
    stored: Stored,
    pool: Arc<Pool>,
    /// A piece was not in memory: those behind it will not be, either.
    cold: bool,
    /// What has not been begun.
    left: Option<Reading>,
    ahead: Option<JoinHandle<Result<(Reading, Bytes), StoreError>>>,
}

impl Pieces {
    pub(crate) fn new(
        archive: Arc<Archive>,
        stored: Stored,
        pool: Arc<Pool>,
        left: Reading,
        now: bool,
    ) -> Self {
        Self { archive, stored, pool, cold: !now, left: Some(left), ahead: None }
    }

    /// Whether nothing comes any more.
    pub fn is_over(&self) -> bool {
        self.ahead.is_none() && self.left.as_ref().is_none_or(|reading| reading.left() == 0)
    }

    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// The object is gone or damaged: what was handed out so far is not to be believed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ArchiveError> {
        if let Some(read) = self.read_now() {
            return read.map(Some);
        }
        self.read_ahead();
        // put back only by its end: this future may be dropped while it waits
        let Some(ahead) = &mut self.ahead else { return Ok(None) };
        let read = ahead.await;
        self.ahead = None;
        let (left, bytes) = read.map_err(|_| ArchiveError::Stopped)??;
        self.left = Some(left);
        self.read_ahead();
        Ok(Some(bytes))
    }

    /// The next piece, if it is in memory.
    fn read_now(&mut self) -> Option<Result<Bytes, ArchiveError>> {
        if self.cold || self.is_over() {
            return None;
        }
        let reading = self.left.as_mut()?;
        let mut piece = self.pool.take();
        let read = self.archive.read_next_now(&self.stored, reading, &mut piece.bytes);
        self.cold = read.is_none();
        Some(read?.map(|read| piece.freeze(read)).map_err(ArchiveError::from))
    }

    fn read_ahead(&mut self) {
        if !self.cold || self.is_over() || self.ahead.is_some() {
            return;
        }
        let Some(mut reading) = self.left.take() else { return };
        let (archive, stored, pool) =
            (self.archive.clone(), self.stored.clone(), self.pool.clone());
        self.ahead = Some(tokio::task::spawn_blocking(move || {
            let mut piece = pool.take();
            let read = archive.read_next(&stored, &mut reading, &mut piece.bytes)?;
            Ok((reading, piece.freeze(read)))
        }));
    }
}

/// A data set: what the first piece holds of it, and the rest.
pub(crate) struct Body {
    pub(crate) first: Option<Bytes>,
    pub(crate) rest: Pieces,
}

impl Source for Body {
    fn next(&mut self) -> BoxFuture<'_, std::io::Result<dimse::Piece>> {
        Box::pin(async move {
            let bytes = match self.first.take() {
                Some(first) => {
                    self.rest.read_ahead();
                    first
                }
                None => {
                    let next = self.rest.next().await.map_err(std::io::Error::other)?;
                    next.unwrap_or_default()
                }
            };
            Ok(dimse::Piece { bytes, last: self.rest.is_over() })
        })
    }
}

impl Archive {
    /// The body of an instance, for who does not need it whole.
    pub fn pieces(self: &Arc<Self>, stored: &Stored) -> Pieces {
        let left = Reading::of(stored.location);
        Pieces::new(self.clone(), stored.clone(), self.small.clone(), left, true)
    }

    /// The next bytes of a body, wherever it lies by now. Blocks.
    pub(crate) fn read_next(
        &self,
        stored: &Stored,
        reading: &mut Reading,
        buffer: &mut [u8],
    ) -> Result<usize, StoreError> {
        let read = match self.blobs.read_next(reading, buffer) {
            Err(error @ StoreError::NoSuchLocation(_)) => match self.whereabouts(stored)? {
                Some(at) => {
                    reading.moved(at);
                    self.blobs.read_next(reading, buffer)
                }
                None => Err(error),
            },
            other => other,
        };
        read.inspect_err(|error| self.tell_damage(stored, error))
    }

    /// The next bytes of a body, if they are in memory and where the index says.
    pub(crate) fn read_next_now(
        &self,
        stored: &Stored,
        reading: &mut Reading,
        buffer: &mut [u8],
    ) -> Option<Result<usize, StoreError>> {
        let read = self.blobs.read_next_now(reading, buffer)?;
        Some(read.inspect_err(|error| self.tell_damage(stored, error)))
    }

    /// All of a body into a buffer of its length. Blocks.
    pub(crate) fn read_whole(&self, stored: &Stored, buffer: &mut [u8]) -> Result<(), StoreError> {
        let mut reading = Reading::of(stored.location);
        let mut done = 0;
        while reading.left() > 0 {
            done += self.read_next(stored, &mut reading, &mut buffer[done..])?;
        }
        Ok(())
    }

    /// What is damaged is not sent, and somebody should know.
    pub(crate) fn tell_damage(&self, stored: &Stored, error: &StoreError) {
        if !matches!(error, StoreError::Damaged { .. }) {
            return;
        }
        let text = format!(
            "instance {} is damaged and is not sent: {error}; pacslab check tells what else is",
            stored.sop_instance
        );
        let ids = Identifiers {
            series_uid: stored.series_uid.to_string(),
            sop_uid: stored.sop_instance.to_string(),
            ..Identifiers::default()
        };
        let event = Event::new(self.clock.now(), events::DAMAGED, text);
        self.emit.emit(event.outcome(Outcome::Failed).ids(ids));
    }
}

/// Buffers of one size that are used again: no pages are asked for and given back with each object.
#[derive(Debug)]
pub(crate) struct Pool {
    size: usize,
    idle: Mutex<Vec<Box<[u8]>>>,
}

/// So many idle ones are kept.
const KEEP: usize = 16;

impl Pool {
    pub(crate) fn new(size: usize) -> Arc<Self> {
        Arc::new(Self { size, idle: Mutex::default() })
    }

    pub(crate) fn take(self: &Arc<Self>) -> Piece {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // fresh ones are zeros that nobody has written yet
        let bytes = idle.unwrap_or_else(|| vec![0; self.size].into());
        Piece { bytes, len: 0, pool: self.clone() }
    }
}

/// A buffer that goes back to its pool.
pub(crate) struct Piece {
    pub(crate) bytes: Box<[u8]>,
    len: usize,
    pool: Arc<Pool>,
}

impl Piece {
    /// The first so many bytes.
    pub(crate) fn freeze(mut self, len: usize) -> Bytes {
        self.len = len;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        let mut idle = self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < KEEP {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}
