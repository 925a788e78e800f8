//! Pixels for people to look at: a frame of an image becomes 8 bits a sample, then PNG or JPEG.
//! PS3.3 C.7.6.3 (Image Pixel), C.11.1 (Modality LUT), C.11.2 (VOI LUT), PS3.18 8.7.4.
//!
//! Stored value -> rescale -> window -> display value. Uncompressed pixel data only; what is
//! compressed is refused by name.

mod color;
mod describe;
mod error;
mod gray;
mod picture;
mod samples;

use pacslab_dicom::{Dataset, TransferSyntax};

pub use error::Error;
pub use gray::{Function, Window};
pub use picture::{Jpeg, Picture, Png};

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
    let description = Description::of(dataset)?;
    let samples = description.frame(dataset, syntax, frame)?;
    let picture = match description.photometric {
        Photometric::Monochrome { .. } => {
            gray::show(dataset, &description, samples, frame, options)
        }
        Photometric::Palette => color::palette(dataset, &description, samples)?,
        Photometric::Rgb | Photometric::YbrFull => color::show(&description, samples),
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
