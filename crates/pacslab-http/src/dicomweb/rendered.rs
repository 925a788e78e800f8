//! Rendered frames and thumbnails. PS3.18 10.4.1.1.3, 8.3.5.

use std::sync::Arc;

use axum::extract::{Path, Query as Params, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use pacslab_codec::{Function, Options, Window};
use pacslab_dicom::Value;
use pacslab_model::tags;
use serde::Deserialize;

use super::Place;
use super::accept::{AcceptParam, accepted};
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::object::{self, Format};

/// Encapsulated PDF Storage.
const ENCAPSULATED_PDF: &str = "1.2.840.10008.5.1.4.1.1.104.1";

/// The longer side of a thumbnail.
const THUMBNAIL: u32 = 128;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RenderParams {
    /// `centre,width,function`
    window: Option<String>,
    /// `width,height`
    viewport: Option<String>,
    quality: Option<u8>,
    accept: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FramePlace {
    study: String,
    series: String,
    instance: String,
    frame: usize,
}

pub(super) async fn instance(
    State(door): At,
    Path(place): Path<Place>,
    Params(params): Params<RenderParams>,
    headers: HeaderMap,
) -> Result {
    if let Some(pdf) = document(&door, &place, &params, &headers).await? {
        return Ok(pdf);
    }
    render(&door, &place, 1, &params, None, &headers).await
}

/// An encapsulated PDF is rendered as what it is. PS3.18 8.7.4.
async fn document(
    door: &Arc<Door>,
    place: &Place,
    params: &RenderParams,
    headers: &HeaderMap,
) -> Result<Option<Response>> {
    let stored = object::stored(door, place.scope()).await?;
    if stored.sop_class.as_str() != ENCAPSULATED_PDF {
        return Ok(None);
    }
    let takes = accepted(&AcceptParam::of(params.accept.clone()), headers);
    if !takes.iter().any(|one| ["application/pdf", "*/*"].contains(&one.inner().as_str())) {
        return Err(Error::NotAcceptable("a PDF is rendered as application/pdf".to_owned()));
    }
    let object = door.archive.object(&stored).await?;
    let bytes = object::with(object, |object| {
        let set = object::head(&object)?;
        let held = set.get(tags::ENCAPSULATED_DOCUMENT).map(|element| &element.value);
        let Some(Value::Bytes(bytes)) = held else {
            return Err(Error::NotFound("the object has no document".to_owned()));
        };
        let length = set.number(tags::ENCAPSULATED_DOCUMENT_LENGTH).map(|length| length as usize);
        Ok(bytes[..length.unwrap_or(bytes.len()).min(bytes.len())].to_vec())
    })
    .await?;
    Ok(Some(([(header::CONTENT_TYPE, "application/pdf")], bytes).into_response()))
}

pub(super) async fn thumbnail(
    State(door): At,
    Path(place): Path<Place>,
    Params(params): Params<RenderParams>,
    headers: HeaderMap,
) -> Result {
    render(&door, &place, 1, &params, Some(THUMBNAIL), &headers).await
}

pub(super) async fn frame(
    State(door): At,
    Path(at): Path<FramePlace>,
    Params(params): Params<RenderParams>,
    headers: HeaderMap,
) -> Result {
    let place = Place { study: at.study, series: at.series, instance: at.instance };
    render(&door, &place, at.frame, &params, None, &headers).await
}

async fn render(
    door: &std::sync::Arc<Door>,
    place: &Place,
    frame: usize,
    params: &RenderParams,
    default_size: Option<u32>,
    headers: &HeaderMap,
) -> Result {
    let format = format(params, headers)?;
    let window = params.window.as_deref().map(window).transpose()?;
    let max_size = params.viewport.as_deref().map(viewport).transpose()?.or(default_size);
    let index = frame
        .checked_sub(1)
        .ok_or_else(|| Error::NotFound("there is no frame 0: frames count from 1".to_owned()))?;
    let object = object::object(door, place.scope()).await?;
    object::picture(object, index, Options { window, max_size }, format).await
}

fn format(params: &RenderParams, headers: &HeaderMap) -> Result<Format> {
    let quality = params.quality.unwrap_or(90);
    if !(1..=100).contains(&quality) {
        return Err(Error::BadRequest(format!("'quality' is {quality}, but must be 1 to 100")));
    }
    let param = AcceptParam::of(params.accept.clone());
    for media in accepted(&param, headers) {
        match media.inner().as_str() {
            "image/jpeg" | "image/*" | "*/*" => return Ok(Format::Jpeg { quality }),
            "image/png" => return Ok(Format::Png),
            _ => {}
        }
    }
    Err(Error::NotAcceptable("frames are rendered as image/jpeg or image/png".to_owned()))
}

fn window(text: &str) -> Result<Window> {
    let bad = || {
        Error::BadRequest(format!(
            "'window' is '{text}', but must be centre,width or centre,width,linear (or \
             linear-exact, sigmoid)"
        ))
    };
    let mut parts = text.split(',').map(str::trim);
    let mut number = || parts.next()?.parse::<f64>().ok().filter(|number| number.is_finite());
    let (Some(center), Some(width)) = (number(), number()) else { return Err(bad()) };
    let function = match parts.next().map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "linear") => Function::Linear,
        Some("linear-exact") => Function::LinearExact,
        Some("sigmoid") => Function::Sigmoid,
        Some(_) => return Err(bad()),
    };
    let fits = if function == Function::Linear { width >= 1.0 } else { width > 0.0 };
    if !fits || parts.next().is_some() {
        return Err(bad());
    }
    Ok(Window { center, width, function })
}

/// The whole image has to fit: the shorter side rules.
fn viewport(text: &str) -> Result<u32> {
    let mut sides = text.split(',').map(|side| side.trim().parse::<u32>().ok());
    match (sides.next().flatten(), sides.next().flatten()) {
        (Some(width @ 1..=16_384), Some(height @ 1..=16_384)) => Ok(width.min(height)),
        _ => Err(Error::BadRequest(format!(
            "'viewport' is '{text}', but must be width,height in pixels"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_viewports() {
        assert_eq!(window("-600,1500").unwrap(), Window::new(-600.0, 1500.0));
        assert_eq!(window("40,400,sigmoid").unwrap().function, Function::Sigmoid);
        for bad in ["", "40", "40,0", "40,NaN", "40,inf", "40,400,cubic", "40,400,linear,1"] {
            assert!(window(bad).is_err(), "{bad}");
        }
        assert_eq!(viewport("512,256").unwrap(), 256);
        assert!(viewport("0,1").is_err() && viewport("99999,1").is_err());
    }
}
