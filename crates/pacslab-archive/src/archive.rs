//! The archive: packs and index under one roof.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use pacslab_dicom::{FileMeta, TransferSyntax, file};
use pacslab_model::{Clock, Emit, Event, Outcome, Query};
use pacslab_store::{Blobs, Counts, Index, Row, Scope, StoreError, Stored};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::buffers::Buffers;
use crate::change::{Change, Changed};
use crate::events;
use crate::ingest::{Committer, IngestError, Job, Limits, Origin, Receipt, Request, Writer};
use crate::memory::Memory;
use crate::outgoing::{BATCH, OUTGOING};
use crate::pieces::Pool;
use crate::quota::Quota;
use crate::replay::replay;

/// What an archive is made of.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "clocks and sinks are trait objects")]
pub struct Parts {
    pub blobs: Arc<dyn Blobs>,
    pub index: Arc<dyn Index>,
    pub clock: Arc<dyn Clock>,
    pub emit: Arc<dyn Emit>,
}

pub struct Archive {
    pub(crate) blobs: Arc<dyn Blobs>,
    pub(crate) index: Arc<dyn Index>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) emit: Arc<dyn Emit>,
    pub(crate) buffers: Arc<Buffers>,
    pub(crate) memory: Arc<Memory>,
    /// What is read for those who retrieve, in KiB.
    pub(crate) outgoing: Arc<Semaphore>,
    whole: Arc<Semaphore>,
    /// What it is read into: for DICOM, and for HTTP, where many may be slow.
    pub(crate) large: Arc<Pool>,
    pub(crate) small: Arc<Pool>,
    arrived: Arc<Notify>,
    /// How often studies have moved between patients.
    moves: AtomicU64,
    pub(crate) compacting: tokio::sync::Mutex<()>,
    pub(crate) quota: Arc<RwLock<Quota>>,
    pub(crate) room: Arc<Notify>,
    committer: Committer,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive").field("blobs", &self.blobs).finish_non_exhaustive()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("the record at {at} cannot be understood: {why}")]
    Note { at: pacslab_store::Location, why: serde_json::Error },
    #[error("the object at {at} cannot be read: {why}")]
    Object { at: pacslab_store::Location, why: pacslab_dicom::ParseError },
    #[error("cannot start the committing thread: {0}")]
    Thread(std::io::Error),
    #[error("the operation was stopped because the archive is shutting down")]
    Stopped,
}

/// An instance that was read: what a file of it would hold.
#[derive(Clone, Debug)]
pub struct Object {
    pub meta: FileMeta,
    /// The Part 10 bytes.
    pub file: Arc<[u8]>,
    /// Where the data set starts in them.
    pub start: usize,
    /// Its part of what is in memory whole.
    _room: Arc<OwnedSemaphorePermit>,
}

/// Room in memory, given back when it is dropped.
#[derive(Debug)]
#[allow(dead_code, reason = "it is held, not looked at")]
pub struct Room(OwnedSemaphorePermit);

/// What all objects together take that somebody needs whole: to be looked at, not to be sent, so
/// that no slow receiver holds any of it. In KiB; a larger one waits until it is alone.
const WHOLE: usize = 256 << 10;

impl Object {
    /// The data set as it was stored.
    pub fn dataset(&self) -> &[u8] {
        &self.file[self.start..]
    }
}

impl Archive {
    /// Opens the archive and brings the index up to date with the packs. Blocks.
    ///
    /// # Errors
    /// Storage that fails or holds what this version cannot read.
    pub fn open(parts: Parts) -> Result<Arc<Self>, ArchiveError> {
        let Parts { blobs, index, clock, emit } = parts;
        let buffers = Arc::new(Buffers::default());
        if let Some(aside) = index.set_aside() {
            let text = format!(
                "the index was damaged; it is made again from the packs, and what there was of it \
                 is in {}",
                aside.display()
            );
            emit.emit(
                Event::new(clock.now(), events::INDEX_REMADE, text).outcome(Outcome::Warning),
            );
        }
        replay(&*blobs, &*index, &*clock, &*emit)?;
        blobs.sweep()?;
        let arrived = Arc::new(Notify::new());
        let (told, kept) = (arrived.clone(), &buffers);
        let limits = Limits::default();
        let Limits { quota, room } = limits.clone();
        let committer =
            Committer::start(blobs.clone(), index.clone(), emit.clone(), kept, limits, move || {
                told.notify_one();
            })
            .map_err(ArchiveError::Thread)?;
        Ok(Arc::new(Self {
            blobs,
            index,
            clock,
            emit,
            buffers,
            memory: Arc::default(),
            outgoing: Arc::new(Semaphore::new(OUTGOING)),
            whole: Arc::new(Semaphore::new(WHOLE)),
            large: Pool::new(BATCH),
            small: Pool::new(256 << 10),
            arrived,
            moves: AtomicU64::new(0),
            compacting: tokio::sync::Mutex::new(()),
            quota,
            room,
            committer,
        }))
    }

    /// Deletes, relabels, merges, labels or protects. What it answers is durable.
    ///
    /// # Errors
    /// Storage fails or is full, or the archive is shutting down.
    pub async fn change(&self, change: Change, by: Origin) -> Result<Changed, ArchiveError> {
        self.request(Request::Change { change, by }).await
    }

    pub(crate) async fn request(&self, request: Request) -> Result<Changed, ArchiveError> {
        let answer = self.committer.change(request, self.clock.now()).await;
        // one that failed may be done later
        if !matches!(answer, Ok((_, false))) {
            self.moves.fetch_add(1, Ordering::Release);
        }
        answer.map(|(changed, _)| changed)
    }

    /// Changes whenever studies have moved to other patients: what was made of patient IDs is to
    /// be made again.
    pub fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    /// How much of what arrives is held in memory at a time, over all doors.
    pub fn set_receive_memory(&self, bytes: u64) {
        self.memory.limit(bytes);
    }

    /// Begins an instance whose data set arrives in pieces.
    pub fn writer(self: &Arc<Self>, meta: FileMeta, origin: Origin) -> Writer {
        Writer::new(self.clone(), meta, origin)
    }

    /// Takes a whole Part 10 file in.
    ///
    /// # Errors
    /// Bytes that are no DICOM file, and all that [`Writer::finish`] can answer.
    pub async fn ingest_file(
        self: &Arc<Self>,
        bytes: &[u8],
        origin: Origin,
    ) -> Result<Receipt, IngestError> {
        let (meta, start) = file::read_meta(bytes).map_err(IngestError::NotDicom)?;
        let mut writer = self.writer(meta, origin);
        writer.write(&bytes[start..])?;
        writer.finish().await
    }

    pub(crate) async fn commit(&self, job: Job) -> Result<Receipt, IngestError> {
        self.committer.commit(job).await
    }

    /// # Errors
    /// The index fails.
    pub async fn find(self: &Arc<Self>, query: Query) -> Result<Vec<Row>, ArchiveError> {
        self.blocking(move |archive| Ok(archive.index.find(&query)?)).await
    }

    /// The instances to retrieve, in the order they are sent.
    ///
    /// # Errors
    /// The index fails.
    pub async fn instances(self: &Arc<Self>, scope: Scope) -> Result<Vec<Stored>, ArchiveError> {
        self.blocking(move |archive| Ok(archive.index.instances(&scope)?)).await
    }

    /// An object in memory as a whole; it has to be let go of before another is asked for.
    ///
    /// # Errors
    /// The object is gone or damaged.
    pub async fn object(self: &Arc<Self>, stored: &Stored) -> Result<Object, ArchiveError> {
        let stored = stored.clone();
        let at = stored.location;
        let room = (at.len >> 10).clamp(1, WHOLE as u64) as u32;
        // nobody closes it
        let room = self.whole.clone().acquire_many_owned(room).await;
        let _room = Arc::new(room.map_err(|_| ArchiveError::Stopped)?);
        self.blocking(move |archive| {
            let bytes = archive.body(&stored)?;
            let (meta, start) =
                file::read_meta(&bytes).map_err(|why| ArchiveError::Object { at, why })?;
            Ok(Object { meta, file: bytes.into(), start, _room })
        })
        .await
    }

    /// A part of what all who are sent something take together, for an object that leaves changed:
    /// there is no reading that in pieces. Waits until there is room.
    ///
    /// # Errors
    /// The archive is shutting down.
    pub async fn room(&self, bytes: u64) -> Result<Room, ArchiveError> {
        let room = (bytes >> 10).clamp(1, OUTGOING as u64) as u32;
        let room = self.outgoing.clone().acquire_many_owned(room).await;
        room.map(Room).map_err(|_| ArchiveError::Stopped)
    }

    /// # Errors
    /// The index fails.
    pub async fn counts(self: &Arc<Self>) -> Result<Counts, ArchiveError> {
        self.blocking(|archive| Ok(archive.index.counts()?)).await
    }

    /// Waits until instances have arrived since the last call: a hint to look at the arrivals of
    /// the index, for one who waits.
    pub async fn arrived(&self) {
        self.arrived.notified().await;
    }

    pub fn index(&self) -> &Arc<dyn Index> {
        &self.index
    }

    pub(crate) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, ArchiveError> {
        let archive = self.clone();
        tokio::task::spawn_blocking(move || work(&archive))
            .await
            .map_err(|_| ArchiveError::Stopped)?
    }
}

/// The transfer syntax an instance is stored in.
pub fn syntax_of(stored: &Stored) -> TransferSyntax {
    TransferSyntax::from_uid(stored.transfer_syntax.as_str())
}
