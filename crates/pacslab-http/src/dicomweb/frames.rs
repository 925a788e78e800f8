//! Frames and bulk data (WADO-RS). PS3.18 10.4.1.1.6, 10.4.1.1.5.
//!
//! Uncompressed pixels leave in little endian as `application/octet-stream`, compressed ones as they
//! are stored in the media type of their transfer syntax, or decoded for who wants octets: one after
//! the other, as they are sent. What is held for a client takes its part of what all may hold.

use std::sync::Arc;

use axum::extract::{Path, Query as Params, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pacslab_codec::Decoder;
use pacslab_dicom::{Dataset, TransferSyntax, Value};
use pacslab_model::{Tag, tags};
use serde::Deserialize;

use super::Place;
use super::accept::{AcceptParam, Media, accepted};
use super::multipart::Boundary;
use super::retrieve::instances;
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::object::{self, Held};
use crate::stream::pipe;

const RAW: &str = "application/octet-stream";

#[derive(Debug, Deserialize)]
pub(super) struct FramesPlace {
    study: String,
    series: String,
    instance: String,
    frames: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct BulkPlace {
    study: String,
    series: String,
    instance: String,
    path: String,
}

/// Values that go out together.
struct Values {
    media: &'static str,
    /// Named with compressed ones.
    transfer_syntax: Option<String>,
    parts: Parts,
}

enum Parts {
    Ready(Vec<Bytes>),
    /// Frames that are decoded when it is their turn, counted from 0.
    Decoded(Arc<Decoder<'static>>, Vec<usize>),
}

impl Parts {
    fn len(&self) -> usize {
        match self {
            Self::Ready(parts) => parts.len(),
            Self::Decoded(_, frames) => frames.len(),
        }
    }

    /// # Errors
    /// A frame cannot be decoded.
    async fn get(&mut self, at: usize) -> Result<Bytes> {
        match self {
            Self::Ready(parts) => Ok(std::mem::take(&mut parts[at])),
            Self::Decoded(decoder, frames) => {
                let (decoder, frame) = (decoder.clone(), frames[at]);
                let decoded = tokio::task::spawn_blocking(move || decoder.frame(frame)).await;
                let stopped = |_| Error::Internal("a frame could not be decoded".to_owned());
                Ok(decoded.map_err(stopped)??.into())
            }
        }
    }
}

pub(super) async fn frames(
    State(door): At,
    Path(at): Path<FramesPlace>,
    Params(param): Params<AcceptParam>,
    headers: HeaderMap,
) -> Result {
    let numbers = numbers(&at.frames)?;
    let place = Place { study: at.study, series: at.series, instance: at.instance };
    send(&door, &place, &accepted(&param, &headers), move |mut set, syntax, plain| {
        if plain {
            let (_, decoder) = Decoder::take(set, syntax)?;
            let frames: Vec<usize> = numbers.iter().map(|number| number - 1).collect();
            if let Some(missing) = frames.iter().find(|frame| **frame >= decoder.frames()) {
                // says how many there are
                decoder.frame(*missing)?;
            }
            let parts = Parts::Decoded(Arc::new(decoder), frames);
            return Ok(Values { media: RAW, transfer_syntax: None, parts });
        }
        let frames = split(&mut set)?;
        let parts: Result<Vec<Bytes>> = numbers
            .iter()
            .map(|number| {
                frames.get(number - 1).cloned().ok_or_else(|| {
                    let count = frames.len();
                    Error::NotFound(format!("there is no frame {number}: the object has {count}"))
                })
            })
            .collect();
        Ok(pixels(parts?, syntax))
    })
    .await
}

pub(super) async fn bulkdata(
    State(door): At,
    Path(at): Path<BulkPlace>,
    Params(param): Params<AcceptParam>,
    headers: HeaderMap,
) -> Result {
    let place = Place { study: at.study, series: at.series, instance: at.instance };
    let path = at.path;
    send(&door, &place, &accepted(&param, &headers), move |mut set, syntax, _| {
        if path.eq_ignore_ascii_case("7FE00010") {
            if let Some(Value::Bytes(_)) = set.get(tags::PIXEL_DATA).map(|e| &e.value) {
                return Ok(pixels(vec![bytes_of(&mut set, tags::PIXEL_DATA)], syntax));
            }
            return Ok(pixels(split(&mut set)?, syntax));
        }
        let none = || Error::NotFound(format!("the object has no bulk data at '{path}'"));
        let mut steps = path.split('/');
        loop {
            let tag: Tag = steps.next().and_then(|t| t.parse().ok()).ok_or_else(none)?;
            let Some(item) = steps.next() else {
                let bytes = match set.get(tag).map(|element| &element.value) {
                    Some(Value::Bytes(_)) => bytes_of(&mut set, tag),
                    _ => return Err(none()),
                };
                let parts = Parts::Ready(vec![bytes]);
                return Ok(Values { media: RAW, transfer_syntax: None, parts });
            };
            let index: usize = item.parse().map_err(|_| none())?;
            let items = set.items_mut(tag).ok_or_else(none)?;
            if index >= items.len() {
                return Err(none());
            }
            set = items.swap_remove(index);
        }
    })
    .await
}

async fn send(
    door: &Arc<Door>,
    place: &Place,
    accepted: &[Media],
    values: impl FnOnce(Dataset, &TransferSyntax, bool) -> Result<Values> + Send + 'static,
) -> Result {
    let stored = instances(door, place).await?.remove(0);
    let room = object::room(door, &stored).await?;
    let object = door.archive.object(&stored).await?;
    let plain = wants_decoded(accepted, &object.meta.transfer_syntax);
    let values = object::with(object, move |object| {
        let set = object::dataset(&object)?;
        values(set, &object.meta.transfer_syntax, plain)
    })
    .await?;
    let single = choose(accepted, &values)?;
    let kind = match &values.transfer_syntax {
        Some(uid) => format!("{}; transfer-syntax={uid}", values.media),
        None => values.media.to_owned(),
    };
    let cache = (header::CACHE_CONTROL, "private, max-age=3600".to_owned());
    let Values { mut parts, media, .. } = values;
    // what is wrong with the first one is an answer
    let first = parts.get(0).await?;
    if single && parts.len() == 1 {
        let bytes = Bytes::from_owner(Held { bytes: first, _room: room });
        return Ok(([(header::CONTENT_TYPE, kind), cache], bytes).into_response());
    }
    let (pipe, body) = pipe(door.limits.pause);
    let boundary = Boundary::of(&stored);
    let response: Response = boundary.response(media, body);
    tokio::spawn(async move {
        let _room = room;
        let mut next = Ok(first);
        for at in 1..=parts.len() {
            let part = match next {
                Ok(part) => part,
                Err(why) => return pipe.fail(why).await,
            };
            if boundary.part(&pipe, &kind, part).await.is_err() {
                return;
            }
            next = if at < parts.len() { parts.get(at).await } else { Ok(Bytes::new()) };
        }
        let _ = boundary.end(&pipe).await;
    });
    Ok(([cache], response).into_response())
}

/// Whether the client wants it without multipart; or why it cannot have it at all.
fn choose(accepted: &[Media], values: &Values) -> Result<bool> {
    let own = values.transfer_syntax.as_deref();
    if let Some(media) = accepted.iter().find(|media| fits(media, values.media, own)) {
        return Ok(!media.is_multipart() && media.inner() == values.media);
    }
    let syntax = own.map(|uid| format!(" in transfer syntax {uid}")).unwrap_or_default();
    Err(Error::NotAcceptable(format!(
        "these pixels are stored as {}{syntax}; ask for multipart/related; type=\"{}\"; \
         transfer-syntax=*",
        values.media, values.media
    )))
}

/// Whether who accepts this takes values of that media type and transfer syntax.
fn fits(media: &Media, offered: &str, syntax: Option<&str>) -> bool {
    let inner = media.inner();
    let syntax_fits = match (media.transfer_syntax(), syntax) {
        (Some("*"), _) | (None, None) => true,
        (Some(wanted), Some(own)) => wanted == own,
        (Some(wanted), None) => wanted == pacslab_model::uids::EXPLICIT_VR_LE,
        // compressed: asked for by its media type, or whatever there is
        (None, Some(_)) => inner != RAW,
    };
    let class = offered.split('/').next().unwrap_or_default();
    let type_fits = inner == offered
        || inner == "*/*"
        || inner == format!("{class}/*")
        // viewers ask for octets of any transfer syntax and mean 'as it is'
        || (inner == RAW && media.transfer_syntax() == Some("*"));
    syntax_fits && type_fits
}

/// Compressed frames are decoded for who takes octets sooner than what is stored.
fn wants_decoded(accepted: &[Media], syntax: &TransferSyntax) -> bool {
    let stored = media_type(syntax);
    let as_it_is = |media: &Media| fits(media, stored, Some(syntax.uid()));
    let first = accepted.iter().find(|media| as_it_is(media) || fits(media, RAW, None));
    pacslab_codec::can_decode(syntax) && first.is_some_and(|media| !as_it_is(media))
}

fn pixels(parts: Vec<Bytes>, syntax: &TransferSyntax) -> Values {
    let parts = Parts::Ready(parts);
    if !syntax.is_encapsulated() {
        return Values { media: RAW, transfer_syntax: None, parts };
    }
    let media = media_type(syntax);
    Values { media, transfer_syntax: Some(syntax.uid().to_owned()), parts }
}

/// PS3.18 table 8.7.3-5.
fn media_type(syntax: &TransferSyntax) -> &'static str {
    match syntax.uid() {
        "1.2.840.10008.1.2.4.80" | "1.2.840.10008.1.2.4.81" => "image/jls",
        "1.2.840.10008.1.2.4.90" | "1.2.840.10008.1.2.4.91" => "image/jp2",
        "1.2.840.10008.1.2.4.92" | "1.2.840.10008.1.2.4.93" => "image/jpx",
        "1.2.840.10008.1.2.4.110" | "1.2.840.10008.1.2.4.111" | "1.2.840.10008.1.2.4.112" => {
            "image/jxl"
        }
        "1.2.840.10008.1.2.4.201" | "1.2.840.10008.1.2.4.202" | "1.2.840.10008.1.2.4.203" => {
            "image/jphc"
        }
        "1.2.840.10008.1.2.5" => "image/dicom-rle",
        uid if uid.starts_with("1.2.840.10008.1.2.4.10") => "video/mp4",
        uid if uid.starts_with("1.2.840.10008.1.2.4.") => "image/jpeg",
        _ => RAW,
    }
}

/// `1,2,3`, counted from 1.
fn numbers(list: &str) -> Result<Vec<usize>> {
    list.split(',')
        .map(|text| text.parse().ok().filter(|number| *number > 0))
        .collect::<Option<_>>()
        .ok_or_else(|| {
            Error::BadRequest(format!("'{list}' is no list of frames: numbers from 1, like 1,2,3"))
        })
}

fn bytes_of(set: &mut Dataset, tag: Tag) -> Bytes {
    match set.remove(tag).map(|element| element.value) {
        Some(Value::Bytes(bytes)) => bytes.into(),
        _ => Bytes::new(),
    }
}

/// The frames of the pixel data.
fn split(set: &mut Dataset) -> Result<Vec<Bytes>> {
    let count = pacslab_codec::frames(set).max(1);
    match set.remove(tags::PIXEL_DATA).map(|element| element.value) {
        Some(Value::Bytes(bytes)) => native(set, count, bytes.into()),
        Some(Value::Fragments(items)) => encapsulated(set, count, items),
        _ => Err(Error::NotFound("the object has no pixel data, so it has no frames".to_owned())),
    }
}

fn native(set: &Dataset, count: usize, bytes: Bytes) -> Result<Vec<Bytes>> {
    let number = |tag: Tag, default: u16| usize::from(set.u16(tag).unwrap_or(default));
    let bits = number(tags::ROWS, 0)
        .saturating_mul(number(tags::COLUMNS, 0))
        .saturating_mul(number(tags::SAMPLES_PER_PIXEL, 1))
        .saturating_mul(number(tags::BITS_ALLOCATED, 16));
    let needed = bits.saturating_mul(count).div_ceil(8);
    if bits == 0 || bytes.len() < needed {
        let there = bytes.len();
        return Err(Error::Unfit(format!(
            "the pixel data have {there} bytes, {count} frames of this size need {needed}"
        )));
    }
    Ok((0..count).map(|frame| cut(&bytes, frame * bits, bits)).collect())
}

/// Frames of one bit a pixel need not begin at a byte; here they do.
fn cut(bytes: &Bytes, from: usize, bits: usize) -> Bytes {
    let (first, shift, length) = (from / 8, from % 8, bits.div_ceil(8));
    if shift == 0 {
        return bytes.slice(first..first + length);
    }
    (first..first + length)
        .map(|at| {
            let next = bytes.get(at + 1).copied().unwrap_or(0);
            (bytes[at] >> shift) | (next << (8 - shift))
        })
        .collect()
}

/// Compressed frames as they are stored; one may have several fragments.
fn encapsulated(set: &Dataset, count: usize, items: Vec<Vec<u8>>) -> Result<Vec<Bytes>> {
    let ranges = pacslab_codec::frame_fragments(set, &items, count)?;
    let mut fragments = items.into_iter().skip(1);
    let frame = |range: std::ops::Range<usize>| {
        let mut parts: Vec<Vec<u8>> = fragments.by_ref().take(range.len()).collect();
        if parts.len() == 1 { parts.swap_remove(0).into() } else { parts.concat().into() }
    };
    Ok(ranges.into_iter().map(frame).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_lists() {
        assert_eq!(numbers("1,3").unwrap(), [1, 3]);
        assert!(numbers("0").is_err() && numbers("").is_err() && numbers("1,").is_err());
    }

    #[test]
    fn frames_of_single_bits_are_shifted_to_a_byte() {
        // two frames of 3 x 4 bits: 12 bits each
        let bytes = Bytes::from_static(&[0b1010_1010, 0b1111_0000, 0b0000_1111]);
        assert_eq!(&cut(&bytes, 0, 12)[..], &[0b1010_1010, 0b1111_0000]);
        assert_eq!(&cut(&bytes, 12, 12)[..], &[0b1111_1111, 0b0000_0000]);
    }

    #[test]
    fn fragments_become_frames() {
        let one = |text: &str| text.as_bytes().to_vec();
        let set = Dataset::new();
        let joined = encapsulated(&set, 1, vec![vec![], one("ab"), one("cd")]).unwrap();
        assert_eq!(joined, [Bytes::from("abcd")]);
        let table: Vec<u8> = [0u32, 20].iter().flat_map(|n| n.to_le_bytes()).collect();
        let frames = encapsulated(&set, 2, vec![table, one("ab"), one("cd"), one("ef")]).unwrap();
        assert_eq!(frames, [Bytes::from("abcd"), Bytes::from("ef")]);
        assert!(encapsulated(&set, 2, vec![vec![], one("ab"), one("cd"), one("ef")]).is_err());
        assert!(encapsulated(&set, 1, vec![]).is_err());
    }
}
