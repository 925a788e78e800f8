//! One instance on its way in.

use std::sync::Arc;

use pacslab_dicom::FileMeta;
use pacslab_model::{Uid, tags};
use pacslab_store::{Segment, Source};
use sha2::{Digest, Sha256};

use super::committer::{Body, Job};
use super::note::Note;
use super::{IngestError, Origin, Receipt};
use crate::archive::Archive;
use crate::header::Header;

/// Up to this size a data set gathers in memory; a larger one goes to a segment of its own
/// while it arrives, and the segment becomes a pack.
pub(crate) const IN_MEMORY: usize = 1 << 20;

/// Takes the bytes of one data set (no file meta). Dropped before [`Writer::finish`]: nothing
/// remains.
pub struct Writer {
    archive: Arc<Archive>,
    meta: FileMeta,
    origin: Origin,
    /// The data set, or its first bytes once a segment took over.
    buffer: Vec<u8>,
    segment: Option<Box<dyn Segment>>,
    hash: Sha256,
    length: usize,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("meta", &self.meta).field("length", &self.length).finish()
    }
}

impl Writer {
    pub(crate) fn new(archive: Arc<Archive>, meta: FileMeta, origin: Origin) -> Self {
        let buffer = archive.buffers.take();
        Self { archive, meta, origin, buffer, segment: None, hash: Sha256::new(), length: 0 }
    }

    /// # Errors
    /// The disk is full or fails, for data sets that no longer fit in memory.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), IngestError> {
        self.length += bytes.len();
        let room = if self.segment.is_none() { IN_MEMORY - self.buffer.len() } else { 0 };
        let (gathered, rest) = bytes.split_at(room.min(bytes.len()));
        self.buffer.extend_from_slice(gathered);
        if rest.is_empty() {
            return Ok(());
        }
        off_the_reactor(|| {
            let segment = match &mut self.segment {
                Some(segment) => segment,
                none => {
                    let mut segment = self.archive.blobs.begin_segment()?;
                    segment.write(&self.meta.encode())?;
                    segment.write(&self.buffer)?;
                    self.hash.update(&self.buffer);
                    none.insert(segment)
                }
            };
            segment.write(rest)?;
            self.hash.update(rest);
            Ok(())
        })
    }

    /// Stores the instance. What it answers is durable.
    ///
    /// # Errors
    /// See [`IngestError`]; nothing of the instance remains.
    pub async fn finish(mut self) -> Result<Receipt, IngestError> {
        let syntax = &self.meta.transfer_syntax;
        let header = if self.segment.is_none() {
            Header::read(&self.buffer, syntax)?
        } else {
            Header::read_prefix(&self.buffer, self.length, syntax)?
        };
        agree(tags::SOP_CLASS_UID, &self.meta.sop_class, &header.sop_class)?;
        agree(tags::SOP_INSTANCE_UID, &self.meta.sop_instance, &header.sop_instance)?;
        let transfer_syntax = Uid::new(syntax.uid());
        let body = match self.segment.take() {
            None => {
                self.hash.update(&self.buffer);
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
        let digest: [u8; 32] = std::mem::take(&mut self.hash).finalize().into();
        let origin = std::mem::take(&mut self.origin);
        let note = Note {
            header,
            transfer_syntax,
            digest,
            received_at: self.archive.clock.now(),
            source: Source { calling_ae: origin.calling_ae, remote: origin.remote },
        };
        let job = Job { encoded: note.encode(), note, body };
        self.archive.commit(job).await
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.archive.buffers.give(std::mem::take(&mut self.buffer));
    }
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
