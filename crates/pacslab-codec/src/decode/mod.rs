//! Compressed pixels: which fragments a frame is made of, and what is in them. PS3.5 8.2, A.4.
//!
//! A frame comes out as native pixel data has it: little endian, cells of BitsAllocated, the
//! samples of a pixel together. One frame is in memory at a time.

mod cells;
mod fragments;
mod jpeg;
mod jpeg2000;
mod jpeg_ls;
mod rle;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use fragments::frame_fragments;
use pacslab_dicom::{Dataset, Element, TransferSyntax, Value};
use pacslab_model::{Vr, tags};

use crate::describe::{Description, Photometric, syntax_name};
use crate::error::Error;

/// A compressed object that is taken apart frame by frame.
#[derive(Debug)]
pub struct Decoder<'a> {
    description: Description,
    syntax: TransferSyntax,
    kind: Kind,
    fragments: Cow<'a, [Vec<u8>]>,
    /// Where each frame's fragments are.
    ranges: Vec<std::ops::Range<usize>>,
}

/// Bytes of one frame. A few bytes may say that they are the largest image there is.
const LARGEST_FRAME: usize = 1 << 28;

/// The families of compression that can be undone here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Rle,
    /// Baseline, extended, lossless: one marker format. ISO/IEC 10918-1.
    Jpeg,
    /// ISO/IEC 14495-1.
    JpegLs,
    /// ISO/IEC 15444-1.
    Jpeg2000,
}

impl Kind {
    /// `None`: not compressed, or in a way that cannot be undone here.
    fn of(uid: &str) -> Option<Self> {
        let jpeg = uid.strip_prefix("1.2.840.10008.1.2.4.");
        match (uid, jpeg) {
            ("1.2.840.10008.1.2.5", _) => Some(Self::Rle),
            (_, Some("50" | "51" | "57" | "70")) => Some(Self::Jpeg),
            (_, Some("80" | "81")) => Some(Self::JpegLs),
            (_, Some("90" | "91")) => Some(Self::Jpeg2000),
            _ => None,
        }
    }
}

/// Whether objects of a transfer syntax can be made uncompressed.
pub fn can_decode(syntax: &TransferSyntax) -> bool {
    Kind::of(syntax.uid()).is_some()
}

impl<'a> Decoder<'a> {
    /// # Errors
    /// The object has no compressed pixels, or they are of a kind that cannot be decoded here, or
    /// its fragments belong to no frames.
    pub fn new(dataset: &'a Dataset, syntax: &TransferSyntax) -> Result<Self, Error> {
        let description = Description::of(dataset)?;
        let Some(Value::Fragments(items)) = dataset.get(tags::PIXEL_DATA).map(|e| &e.value) else {
            return Err(Error::NoPixels);
        };
        let kind =
            Kind::of(syntax.uid()).ok_or_else(|| Error::Unsupported(syntax_name(syntax.uid())))?;
        let (syntax, fragments) = (syntax.clone(), Cow::Borrowed(&[][..]));
        let decoder = Self { description, syntax, kind, fragments, ranges: Vec::new() };
        if decoder.frame_len() > LARGEST_FRAME {
            return Err(Error::Heavy { needed: decoder.frame_len(), limit: LARGEST_FRAME });
        }
        let ranges = frame_fragments(dataset, items, description.frames)?;
        let fragments = Cow::Borrowed(items.get(1..).unwrap_or_default());
        Ok(Self { fragments, ranges, ..decoder })
    }

    /// Takes the pixels out of an object: what is left of it is as [`Self::head`] makes it.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn take(
        mut dataset: Dataset,
        syntax: &TransferSyntax,
    ) -> Result<(Dataset, Decoder<'static>), Error> {
        let Decoder { description, syntax, kind, ranges, .. } = Decoder::new(&dataset, syntax)?;
        let items = match dataset.remove(tags::PIXEL_DATA).map(|element| element.value) {
            Some(Value::Fragments(items)) => items,
            _ => return Err(Error::NoPixels),
        };
        // the basic offset table comes first
        let fragments = Cow::Owned(items.into_iter().skip(1).collect());
        let decoder = Decoder { description, syntax, kind, fragments, ranges };
        Ok((decoder.head(&dataset), decoder))
    }

    /// The value representation of the decoded pixels.
    pub fn vr(&self) -> Vr {
        if self.description.allocated > 8 { Vr::OW } else { Vr::OB }
    }

    pub fn frames(&self) -> usize {
        self.description.frames
    }

    /// Bytes of one decoded frame.
    pub fn frame_len(&self) -> usize {
        let cell = self.description.allocated as usize / 8;
        self.description.pixels() * self.description.samples as usize * cell.max(1)
    }

    /// A frame, counted from 0.
    ///
    /// # Errors
    /// There is no such frame, or its bytes are no image of that size.
    pub fn frame(&self, frame: usize) -> Result<Vec<u8>, Error> {
        let range = self.ranges.get(frame).cloned().ok_or(Error::NoSuchFrame {
            wanted: frame.saturating_add(1),
            frames: self.description.frames,
        })?;
        let joined;
        let bytes = match self.fragments.get(range).unwrap_or_default() {
            [one] => one.as_slice(),
            several => {
                joined = several.concat();
                &joined
            }
        };
        let decode = match self.kind {
            Kind::Rle => rle::decode,
            Kind::Jpeg => jpeg::decode,
            Kind::JpegLs => jpeg_ls::decode,
            Kind::Jpeg2000 => jpeg2000::decode,
        };
        // bytes from outside in decoders of others: what they did not think of is an error, too
        let decoded = catch_unwind(AssertUnwindSafe(|| decode(bytes, &self.description)));
        let decoded = decoded.unwrap_or_else(|_| Err("the decoder gave up".to_owned()));
        decoded.and_then(|frame| self.checked(frame)).map_err(|reason| Error::Frame {
            frame: frame + 1,
            syntax: syntax_name(self.syntax.uid()),
            reason,
        })
    }

    fn checked(&self, frame: Vec<u8>) -> Result<Vec<u8>, String> {
        match frame.len() == self.frame_len() {
            true => Ok(frame),
            false => {
                Err(format!("{} bytes came out where {} belong", frame.len(), self.frame_len()))
            }
        }
    }

    /// What the frames are when they are decoded.
    pub(crate) fn decoded(&self) -> Description {
        Description {
            planar: false,
            photometric: match self.turns_rgb() {
                true => Photometric::Rgb,
                false => self.description.photometric,
            },
            ..self.description
        }
    }

    /// Whether the decoder undoes a colour transform with the compression.
    fn turns_rgb(&self) -> bool {
        let photometric = self.description.photometric;
        match self.kind {
            Kind::Jpeg => photometric.is_ybr() && jpeg::is_lossy(self.syntax.uid()),
            Kind::Jpeg2000 => photometric == Photometric::YbrTransformed,
            Kind::Rle | Kind::JpegLs => false,
        }
    }

    /// Makes the data set that describes the decoded frames: everything but the pixel data.
    /// That an image was compressed with losses stays said (PS3.3 C.7.6.1.1.5).
    pub fn head(&self, dataset: &Dataset) -> Dataset {
        let mut head = without_pixels(dataset);
        for offsets in [EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS] {
            head.remove(offsets);
        }
        if self.description.samples > 1 {
            head.put_u16(tags::PLANAR_CONFIGURATION, 0);
            if self.turns_rgb() {
                head.put_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "RGB");
            }
        }
        head
    }
}

pub(crate) const EXTENDED_OFFSET_TABLE: pacslab_model::Tag =
    pacslab_model::Tag::new(0x7FE0, 0x0001);
const EXTENDED_OFFSET_TABLE_LENGTHS: pacslab_model::Tag = pacslab_model::Tag::new(0x7FE0, 0x0002);

/// The pixels are most of an object, so that they are not copied first.
fn without_pixels(dataset: &Dataset) -> Dataset {
    let mut head = Dataset::new();
    dataset.iter().filter(|e| e.tag != tags::PIXEL_DATA).for_each(|e| head.put(e.clone()));
    head
}

/// The whole object uncompressed, in memory.
///
/// # Errors
/// As [`Decoder::new`] and [`Decoder::frame`]; [`Error::Heavy`] when the pixels would need more
/// than `limit` bytes.
pub fn decompress(
    dataset: &Dataset,
    syntax: &TransferSyntax,
    limit: usize,
) -> Result<Dataset, Error> {
    let decoder = Decoder::new(dataset, syntax)?;
    let needed = decoder.frame_len().saturating_mul(decoder.frames());
    if needed > limit {
        return Err(Error::Heavy { needed, limit });
    }
    let mut pixels = Vec::with_capacity(needed + 1);
    for frame in 0..decoder.frames() {
        pixels.extend(decoder.frame(frame)?);
    }
    if pixels.len() % 2 == 1 {
        pixels.push(0);
    }
    let (vr, mut plain) = (decoder.vr(), decoder.head(dataset));
    plain.put(Element { tag: tags::PIXEL_DATA, vr, value: Value::Bytes(pixels) });
    Ok(plain)
}

#[cfg(test)]
mod tests;
