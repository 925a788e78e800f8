//! Pixels for people to look at: a frame of an image becomes 8 bits a sample, then PNG or JPEG.
//! PS3.3 C.7.6.3 (Image Pixel), C.11.1 (Modality LUT), C.11.2 (VOI LUT), PS3.18 8.7.4.
//!
//! Stored value -> rescale -> window -> display value. Compressed frames are decoded first, one at a
//! time; what cannot be decoded here is refused by name.

mod color;
mod decode;
mod describe;
mod error;
mod gray;
mod picture;
mod raster;
mod samples;
mod transcode;

use pacslab_dicom::{Dataset, TransferSyntax, Value};
use pacslab_model::tags;

pub use decode::{Decoder, can_decode, decompress, frame_fragments};
pub use error::Error;
pub use gray::{Function, Window};
pub use picture::{Jpeg, Picture, Png};
pub use raster::put_picture;
pub use transcode::{RLE, can_transcode, transcode};

use describe::{Description, Photometric};

/// How a frame is shown.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Options {
    /// Instead of the window that the object itself recommends.
    pub window: Option<Window>,
    /// Neither side is longer than this; smaller images stay as they are.
    pub max_size: Option<u32>,
}

/// Shows a frame, counted from 0.
///
/// # Errors
/// The object has no pixels, not this frame, a compressed transfer syntax, or attributes that
/// contradict each other.
pub fn picture(
    dataset: &Dataset,
    syntax: &TransferSyntax,
    frame: usize,
    options: &Options,
) -> Result<Picture, Error> {
    let decoded;
    let (description, samples) = match dataset.get(tags::PIXEL_DATA).map(|e| &e.value) {
        Some(Value::Fragments(_)) => {
            let decoder = Decoder::new(dataset, syntax)?;
            decoded = decoder.frame(frame)?;
            let description = decoder.decoded();
            (description, description.samples(&decoded, 0)?)
        }
        _ => {
            let description = Description::of(dataset)?;
            (description, description.frame(dataset, syntax, frame)?)
        }
    };
    let picture = match description.photometric {
        Photometric::Monochrome { .. } => {
            gray::show(dataset, &description, samples, frame, options)
        }
        Photometric::Palette => color::palette(dataset, &description, samples)?,
        Photometric::Rgb | Photometric::YbrFull | Photometric::YbrTransformed => {
            color::show(&description, samples)
        }
    };
    Ok(match options.max_size {
        Some(side) => picture.fit(side),
        None => picture,
    })
}

/// Shows a frame as PNG.
///
/// # Errors
/// As [`picture`].
pub fn render(
    dataset: &Dataset,
    syntax: &TransferSyntax,
    frame: usize,
    options: &Options,
) -> Result<Png, Error> {
    picture(dataset, syntax, frame, options)?.png()
}

/// Shows a frame as JPEG: the default of WADO-RS for rendered resources (PS3.18 8.7.4.1).
///
/// # Errors
/// As [`picture`], and [`Error::Large`] beyond 65,535 pixels a side.
pub fn render_jpeg(
    dataset: &Dataset,
    syntax: &TransferSyntax,
    frame: usize,
    options: &Options,
    quality: u8,
) -> Result<Jpeg, Error> {
    picture(dataset, syntax, frame, options)?.jpeg(quality)
}

/// The number of frames that the object says it has.
pub fn frames(dataset: &Dataset) -> usize {
    describe::frames(dataset)
}

#[cfg(test)]
mod tests;
