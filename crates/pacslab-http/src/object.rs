//! One object out of the archive, its file, and its picture.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderName, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pacslab_archive::{Decoded, Object, Pieces, Room};
use pacslab_codec::Options;
use pacslab_dicom::{Dataset, parse, parse_until};
use pacslab_model::{Tag, Uid, tags};
use pacslab_store::{Scope, Stored};

use crate::door::Door;
use crate::error::{Error, Result};
use crate::stream::{Gone, Pipe, pipe};

/// The stored instance within the scope. A scope names study and series as well where the
/// address does, so that a wrong address finds nothing.
pub(crate) async fn stored(door: &Arc<Door>, scope: Scope) -> Result<Stored> {
    let sop = scope.sop_instances.first().cloned().unwrap_or_default();
    door.archive.instances(scope).await?.into_iter().next().ok_or_else(|| missing(&sop))
}

/// The stored instance within the scope, read.
pub(crate) async fn object(door: &Arc<Door>, scope: Scope) -> Result<Object> {
    Ok(door.archive.object(&stored(door, scope).await?).await?)
}

/// A file as it leaves: up to this size in memory, a longer one as it is read.
const WHOLE: u64 = 1 << 20;

/// The file of an instance as it is stored.
pub(crate) enum File {
    Whole(Bytes),
    /// The first piece, and those that follow.
    Long(Bytes, Rest),
}

/// What follows a first piece.
pub(crate) enum Rest {
    Pieces(Box<Pieces>),
    /// In memory is what it is decoded from.
    Decoded {
        decoded: Box<Decoded>,
        _room: Option<Room>,
    },
}

impl Rest {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        Ok(match self {
            Self::Pieces(pieces) => pieces.next().await?,
            Self::Decoded { decoded, .. } => {
                decoded.next().await.map_err(|error| Error::Unfit(error.to_string()))?
            }
        })
    }
}

/// Room for what is made of an object, until it is sent. The many small ones do not wait for it.
pub(crate) async fn room(door: &Door, stored: &Stored) -> Result<Option<Room>> {
    let len = stored.location.len;
    Ok(if len > WHOLE { Some(door.archive.room(len).await?) } else { None })
}

/// Bytes that take up room until they are sent.
pub(crate) struct Held<T> {
    pub(crate) bytes: T,
    pub(crate) _room: Option<Room>,
}

impl<T: AsRef<[u8]>> AsRef<[u8]> for Held<T> {
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

impl File {
    /// # Errors
    /// It is gone, or damaged as far as is known yet.
    pub(crate) async fn read(door: &Arc<Door>, stored: &Stored) -> Result<Self> {
        if stored.location.len <= WHOLE {
            let object = door.archive.object(stored).await?;
            return Ok(Self::Whole(Bytes::from_owner(object.file)));
        }
        let mut pieces = door.archive.pieces(stored);
        let first = pieces.next().await?.unwrap_or_default();
        Ok(Self::Long(first, Rest::Pieces(Box::new(pieces))))
    }

    /// # Errors
    /// The rest is gone or damaged: the body has to be cut short.
    pub(crate) async fn send(self, pipe: &Pipe) -> Result<Result<(), Gone>> {
        let (mut next, mut rest) = match self {
            Self::Whole(bytes) => return Ok(pipe.send(bytes).await),
            Self::Long(first, rest) => (Some(first), rest),
        };
        while let Some(bytes) = next {
            if pipe.send(bytes).await.is_err() {
                return Ok(Err(Gone));
            }
            next = rest.next().await?;
        }
        Ok(Ok(()))
    }
}

/// A file as an answer, with its length where it is known: who gets less knows that it is no whole.
pub(crate) fn answer(
    door: &Door,
    stored: &Stored,
    file: File,
) -> (Option<[(HeaderName, String); 1]>, Body) {
    let length = match &file {
        // hyper says it
        File::Whole(bytes) => return (None, bytes.clone().into()),
        File::Long(_, rest) => matches!(rest, Rest::Pieces(_))
            .then(|| [(header::CONTENT_LENGTH, stored.location.len.to_string())]),
    };
    let (pipe, body) = pipe(door.limits.pause);
    tokio::spawn(async move {
        if let Err(why) = file.send(&pipe).await {
            pipe.fail(why).await;
        }
    });
    (length, body)
}

pub(crate) fn missing(sop: &Uid) -> Error {
    Error::NotFound(format!("instance {sop} is not in the archive, or not at this address"))
}

/// Work on an object that takes its time: parsing, pixels.
pub(crate) async fn with<T: Send + 'static>(
    object: Object,
    work: impl FnOnce(Object) -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(move || work(object))
        .await
        .map_err(|_| Error::Internal("the object could not be worked on".to_owned()))?
}

pub(crate) fn dataset(object: &Object) -> Result<Dataset> {
    Ok(parse(object.dataset(), &object.meta.transfer_syntax)?)
}

/// Without pixel data and what follows it.
pub(crate) fn head(object: &Object) -> Result<Dataset> {
    /// Float Pixel Data, the first of the pixel data elements.
    const FLOAT_PIXEL_DATA: Tag = Tag::new(0x7FE0, 0x0008);
    let stop = FLOAT_PIXEL_DATA.min(tags::PIXEL_DATA);
    let set = parse_until(object.dataset(), &object.meta.transfer_syntax, stop)?;
    let parts = set.parts();
    if parts > SHOWN {
        return Err(Error::Unfit(format!(
            "the object has {parts} attributes and items, up to {SHOWN} are shown; retrieve it as \
             a file"
        )));
    }
    Ok(set)
}

/// Attributes and items of one object that are made JSON of, which takes far more room than they.
const SHOWN: usize = 250_000;

/// How a picture is encoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Format {
    Png,
    Jpeg { quality: u8 },
}

/// A frame, counted from 0, as a picture.
pub(crate) async fn picture(
    object: Object,
    frame: usize,
    options: Options,
    format: Format,
) -> Result<Response> {
    let (kind, bytes) = with(object, move |object| {
        let set = dataset(&object)?;
        let syntax = &object.meta.transfer_syntax;
        Ok(match format {
            Format::Png => ("image/png", pacslab_codec::render(&set, syntax, frame, &options)?.0),
            Format::Jpeg { quality } => {
                let jpeg = pacslab_codec::render_jpeg(&set, syntax, frame, &options, quality)?;
                ("image/jpeg", jpeg.0)
            }
        })
    })
    .await?;
    // objects never change: a viewer that scrolls back need not ask again
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=3600")];
    Ok((headers, bytes).into_response())
}
