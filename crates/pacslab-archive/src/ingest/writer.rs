//! One instance on its way in.

use std::sync::Arc;

use pacslab_dicom::{FileMeta, TransferSyntax};
use pacslab_model::{METRICS, Uid, tags};
use pacslab_store::{MAX_NOTE, Segment, Source};
use twox_hash::XxHash3_128;

use super::committer::{Body, Job};
use super::note::Note;
use super::{IngestError, Origin, Receipt};
use crate::archive::Archive;
use crate::header::{Header, HeaderError, HeaderReader};
use crate::memory::{SMALL, Share};

/// Up to this size a data set gathers in memory, as long as there is room for it; a larger one
/// goes to a segment of its own while it arrives, and the segment becomes a pack.
pub(crate) const IN_MEMORY: usize = 1 << 20;

/// Takes the bytes of one data set (no file meta). Dropped before [`Writer::finish`]: nothing
/// remains.
pub struct Writer {
    archive: Arc<Archive>,
    meta: FileMeta,
    origin: Origin,
    /// The study that it must belong to.
    study: Option<Uid>,
    /// The data set, until a segment takes over.
    buffer: Vec<u8>,
    /// Counts the buffer.
    share: Share,
    large: Option<Large>,
    /// Tells whether an object that comes again is the same. Nothing rests on it but the words for
    /// that, so it is a fast one: SHA-256 was a third of the time of a large image.
    hash: XxHash3_128,
    length: usize,
}

/// A data set that does not fit in memory: its bytes go to disk, its header is read in passing.
struct Large {
    segment: Box<dyn Segment>,
    header: HeaderReader,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("meta", &self.meta).field("length", &self.length).finish()
    }
}

impl Writer {
    pub(crate) fn new(archive: Arc<Archive>, meta: FileMeta, origin: Origin) -> Self {
        let (buffer, share) = (archive.buffers.take(), archive.memory.share());
        let hash = XxHash3_128::new();
        Self { archive, meta, origin, study: None, buffer, share, large: None, hash, length: 0 }
    }

    /// Refuses objects of other studies, when they are finished.
    #[must_use]
    pub fn within(mut self, study: Option<Uid>) -> Self {
        self.study = study;
        self
    }

    /// What to wait for before the next so many bytes are written, if there is something: memory
    /// that the committer is about to give back. It ends by itself. Who writes without waiting has
    /// the object go to disk.
    pub fn room(&self, bytes: usize) -> Option<impl Future<Output = ()> + Send + use<>> {
        match &self.large {
            None => self.share.room(counted(self.buffer.len().saturating_add(bytes))?),
            Some(_) => None,
        }
    }

    /// # Errors
    /// For data sets that no longer fit in memory: the disk is full or fails, or what came is no
    /// data set.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        self.length += bytes.len();
        if self.large.is_none()
            && counted(self.length).is_some_and(|wanted| self.share.grow(wanted))
        {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        off_the_reactor(|| {
            if self.large.is_none() {
                if self.length <= IN_MEMORY {
                    METRICS.receive_spilled.add(1);
                }
                let mut segment = self.archive.blobs.begin_segment()?;
                segment.write(&self.meta.encode())?;
                let header = HeaderReader::new(&self.meta.transfer_syntax);
                self.large = Some(Large { segment, header });
                let gathered = std::mem::take(&mut self.buffer);
                self.append(&gathered)?;
                self.archive.buffers.give(gathered);
                self.share.clear();
            }
            self.append(bytes)
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        if let Some(Large { segment, header }) = &mut self.large {
            header.push(bytes)?;
            segment.write(bytes)?;
            self.hash.write(bytes);
        }
        Ok(())
    }

    /// Stores the instance. What it answers is durable.
    ///
    /// # Errors
    /// See [`IngestError`]; nothing of the instance remains.
    pub async fn finish(mut self) -> Result<Receipt, IngestError> {
        let syntax = &self.meta.transfer_syntax;
        let large = self.large.take();
        let (header, segment) = match large {
            Some(Large { segment, header }) => (header.finish()?, Some(segment)),
            // inflating takes its time
            None if *syntax == TransferSyntax::DeflatedLe => {
                (off_the_reactor(|| Header::read(&self.buffer, syntax))?, None)
            }
            None => (Header::read(&self.buffer, syntax)?, None),
        };
        agree(tags::SOP_CLASS_UID, &self.meta.sop_class, &header.sop_class)?;
        agree(tags::SOP_INSTANCE_UID, &self.meta.sop_instance, &header.sop_instance)?;
        if let Some(study) = &self.study {
            agree(tags::STUDY_INSTANCE_UID, study, &header.study_uid)?;
        }
        let transfer_syntax = Uid::new(syntax.uid());
        let body = match segment {
            None => {
                self.hash.write(&self.buffer);
                let head = self.meta.encode();
                Body::Memory { head, dataset: std::mem::take(&mut self.buffer) }
            }
            Some(segment) => {
                let sealed = tokio::task::spawn_blocking(move || segment.seal())
                    .await
                    .map_err(|_| IngestError::Closed)??;
                Body::Segment(sealed)
            }
        };
        let mut digest = [0; 32];
        digest[..16].copy_from_slice(&self.hash.finish_128().to_be_bytes());
        let origin = std::mem::take(&mut self.origin);
        let share = std::mem::replace(&mut self.share, self.archive.memory.share());
        let note = Note {
            header,
            transfer_syntax,
            digest,
            received_at: self.archive.clock.now(),
            source: Source { calling_ae: origin.calling_ae, remote: origin.remote },
        };
        let encoded = note.encode();
        // here, and not where it would be the failure of all that are committed together
        if encoded.len() > MAX_NOTE {
            let (bytes, limit) = (encoded.len(), MAX_NOTE);
            return Err(HeaderError::TooMuch { bytes, limit }.into());
        }
        self.archive.commit(Job { encoded, note, body, share }).await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.archive.buffers.give(std::mem::take(&mut self.buffer));
    }
}

/// What a buffer of this length takes, which doubles as it grows; `None`: it goes to disk.
fn counted(length: usize) -> Option<usize> {
    (length <= IN_MEMORY).then(|| length.next_power_of_two().max(SMALL))
}

/// A file write may wait for the disk: other connections are not to wait with it.
fn off_the_reactor<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

fn agree(tag: pacslab_model::Tag, said: &Uid, found: &Uid) -> Result<(), IngestError> {
    if said == found {
        return Ok(());
    }
    Err(IngestError::Mismatch { tag, said: said.clone(), found: found.clone() })
}
