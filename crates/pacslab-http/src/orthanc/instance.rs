//! The file of an instance and its pictures.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use pacslab_archive::Object;
use pacslab_codec::Options;
use pacslab_model::{Level, Uid};
use pacslab_store::{Scope, Stored};

use super::styled;
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::object::{self, Format};

/// The object with Orthanc's identifier.
pub(crate) async fn object(door: &Arc<Door>, id: &str) -> Result<Object> {
    Ok(door.archive.object(&stored(door, id).await?).await?)
}

async fn stored(door: &Arc<Door>, id: &str) -> Result<Stored> {
    let uid = door.ids.resolve(Level::Instance, id).await?.ok_or(Error::Unknown)?;
    let scope = Scope { sop_instances: vec![Uid::new(&*uid)], ..Scope::default() };
    match object::stored(door, scope).await {
        Err(Error::NotFound(_)) => Err(Error::Unknown),
        other => other,
    }
}

pub(crate) async fn file(State(door): At, Path(id): Path<String>) -> Result {
    let stored = stored(&door, &id).await?;
    let name = format!("attachment; filename=\"{id}.dcm\"");
    let headers = [
        (header::CONTENT_TYPE, "application/dicom".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    let file = object::File::read(&door, &stored).await?;
    Ok((headers, object::answer(&door, &stored, file)).into_response())
}

/// The numbers of the frames, from 0.
pub(crate) async fn frames(State(door): At, Path(id): Path<String>) -> Result {
    let object = object(&door, &id).await?;
    let count =
        object::with(object, |object| Ok(pacslab_codec::frames(&object::head(&object)?))).await?;
    Ok(styled(&(0..count).collect()))
}

pub(crate) async fn preview(State(door): At, Path(id): Path<String>, headers: HeaderMap) -> Result {
    show(&door, &id, 0, &headers).await
}

/// Frames are counted from 0 here, from 1 in DICOMweb.
pub(crate) async fn frame_preview(
    State(door): At,
    Path((id, frame)): Path<(String, usize)>,
    headers: HeaderMap,
) -> Result {
    show(&door, &id, frame, &headers).await
}

async fn show(door: &Arc<Door>, id: &str, frame: usize, headers: &HeaderMap) -> Result {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
    let format =
        if accept.starts_with("image/jpeg") { Format::Jpeg { quality: 90 } } else { Format::Png };
    object::picture(object(door, id).await?, frame, Options::default(), format).await
}
