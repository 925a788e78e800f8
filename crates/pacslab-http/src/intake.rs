//! Objects on their way in. A body is passed on to the archive's writer piece by piece; only its
//! beginning is held, until the file meta information is complete.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_core::Stream;
use pacslab_archive::{IngestError, Origin, Receipt, Writer};
use pacslab_dicom::{FileMeta, file};
use pacslab_model::Uid;

use crate::door::Door;
use crate::error::{Error, Result};

/// Group 0002 is never longer in practice; what is, is refused.
const META: usize = 64 << 10;

/// One Part 10 file that arrives in pieces.
pub(crate) struct Intake {
    door: Arc<Door>,
    remote: String,
    /// The study that it must belong to.
    within: Option<Uid>,
    meta: Option<FileMeta>,
    stage: Stage,
}

enum Stage {
    /// The beginning of the file.
    Meta(Vec<u8>),
    Dataset(Box<Writer>),
}

impl Intake {
    pub(crate) fn new(door: &Arc<Door>, remote: &str) -> Self {
        let (door, remote) = (door.clone(), remote.to_owned());
        Self { door, remote, within: None, meta: None, stage: Stage::Meta(Vec::new()) }
    }

    /// Refuses objects of other studies.
    pub(crate) fn within(mut self, study: Option<Uid>) -> Self {
        self.within = study;
        self
    }

    /// Whose object it is, as far as known.
    pub(crate) fn meta(&self) -> Option<&FileMeta> {
        self.meta.as_ref()
    }

    /// May wait for memory that the committer is about to give back; meanwhile nothing is read.
    pub(crate) async fn write(&mut self, piece: &[u8]) -> Result<(), IngestError> {
        if let Stage::Dataset(writer) = &self.stage
            && let Some(room) = writer.room(piece.len())
        {
            room.await;
        }
        match &mut self.stage {
            Stage::Dataset(writer) => writer.write(piece),
            Stage::Meta(begun) => {
                begun.extend_from_slice(piece);
                if begun.len() < META { Ok(()) } else { self.begin() }
            }
        }
    }

    /// The instance is stored when this answers.
    pub(crate) async fn finish(&mut self) -> Result<Receipt, IngestError> {
        if let Stage::Meta(_) = &self.stage {
            self.begin()?;
        }
        match std::mem::replace(&mut self.stage, Stage::Meta(Vec::new())) {
            Stage::Dataset(writer) => writer.finish().await,
            Stage::Meta(_) => Err(IngestError::Closed),
        }
    }

    fn begin(&mut self) -> Result<(), IngestError> {
        if let Stage::Meta(begun) = &self.stage {
            let (meta, start) = file::read_meta(begun).map_err(IngestError::NotDicom)?;
            self.meta = Some(meta.clone());
            let origin = Origin { calling_ae: String::new(), remote: self.remote.clone() };
            let mut writer = self.door.archive.writer(meta, origin).within(self.within.clone());
            writer.write(&begun[start..])?;
            self.stage = Stage::Dataset(Box::new(writer));
        }
        Ok(())
    }
}

/// A request's body, within the limits of length and patience.
pub(crate) struct Upload {
    pieces: BodyDataStream,
    door: Arc<Door>,
    left: u64,
    begun: Instant,
}

/// Bytes a second that a body comes with at least, taken over the whole of it: a byte now and then
/// would hold a connection for years.
const SLOWEST: u64 = 1024;

impl Upload {
    pub(crate) fn new(door: &Arc<Door>, headers: &HeaderMap, body: Body) -> Result<Self> {
        let limit = door.limits.upload;
        let declared = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        let pieces = body.into_data_stream();
        Ok(Self { pieces, door: door.clone(), left: limit, begun: Instant::now() })
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        let next = std::future::poll_fn(|cx| Pin::new(&mut self.pieces).poll_next(cx));
        let pause = self.door.limits.pause;
        let come = self.door.limits.upload - self.left;
        let all = pause + Duration::from_secs(come / SLOWEST);
        let patience = pause.min(all.saturating_sub(self.begun.elapsed()));
        let Ok(next) = tokio::time::timeout(patience, next).await else {
            let why = if patience < pause {
                "the body comes too slowly"
            } else {
                "nothing of the body came for too long"
            };
            return Err(Error::Slow(why.to_owned()));
        };
        let Some(piece) = next else { return Ok(None) };
        let piece = piece.map_err(|e| Error::BadRequest(format!("the body broke off: {e}")))?;
        self.left = self
            .left
            .checked_sub(piece.len() as u64)
            .ok_or_else(|| too_large(self.door.limits.upload))?;
        Ok(Some(piece))
    }
}

fn too_large(limit: u64) -> Error {
    Error::TooLarge(format!("the body is longer than {limit} bytes, the limit of this server"))
}

/// The body of a question: short, or refused.
pub(crate) async fn question(door: &Door, body: Body) -> Result<Bytes> {
    let limit = door.limits.question;
    let read = axum::body::to_bytes(body, limit);
    match tokio::time::timeout(door.limits.pause, read).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Error::TooLarge(format!(
            "the body broke off or is longer than {limit} bytes, the limit for questions"
        ))),
        Err(_) => Err(Error::Slow("the body did not come in time".to_owned())),
    }
}
