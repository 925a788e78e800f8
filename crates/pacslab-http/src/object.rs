//! One object out of the archive, and its picture.

use std::sync::Arc;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use pacslab_archive::Object;
use pacslab_codec::Options;
use pacslab_dicom::{Dataset, parse, parse_until};
use pacslab_model::{Tag, Uid, tags};
use pacslab_store::Scope;

use crate::door::Door;
use crate::error::{Error, Result};

/// The stored instance within the scope. A scope names study and series as well where the
/// address does, so that a wrong address finds nothing.
pub(crate) async fn object(door: &Arc<Door>, scope: Scope) -> Result<Object> {
    let sop = scope.sop_instances.first().cloned().unwrap_or_default();
    let stored =
        door.archive.instances(scope).await?.into_iter().next().ok_or_else(|| missing(&sop))?;
    Ok(door.archive.object(&stored).await?)
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
