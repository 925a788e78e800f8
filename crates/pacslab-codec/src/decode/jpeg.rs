//! JPEG: baseline, extended with 8 bits, lossless. ISO/IEC 10918-1, PS3.5 8.2.1.

use jpeg_decoder::{ColorTransform, Decoder};

use super::cells;
use crate::describe::{Description, Photometric};

/// Whether a JPEG transfer syntax loses something: then its colours are transformed, too.
pub(super) fn is_lossy(uid: &str) -> bool {
    matches!(uid, "1.2.840.10008.1.2.4.50" | "1.2.840.10008.1.2.4.51")
}

pub(super) fn decode(bytes: &[u8], description: &Description) -> Result<Vec<u8>, String> {
    let begun = Frame::of(bytes)?;
    cells::check_size((begun.columns, begun.rows, begun.components), description)?;
    let lossless = begun.marker == SOF3;
    if begun.precision > 8 && !lossless {
        return Err(format!("{} bits with losses cannot be decoded here", begun.precision));
    }
    let mut decoder = Decoder::new(bytes);
    // frame header and data set agree, so this is what has to come out
    decoder.set_max_decoding_buffer_size(description.pixels() * description.samples as usize * 4);
    decoder.set_color_transform(match description.photometric {
        Photometric::YbrFull | Photometric::YbrTransformed if !lossless => ColorTransform::YCbCr,
        Photometric::Monochrome { .. } | Photometric::Palette => ColorTransform::Grayscale,
        _ => ColorTransform::None,
    });
    let pixels = decoder.decode().map_err(|error| error.to_string())?;
    match begun.precision > 8 {
        // 16 bits in the order of this machine
        true => {
            let words = pixels.as_chunks::<2>().0.iter();
            cells::fill(words.map(|word| u16::from_ne_bytes(*word)), description)
        }
        false => cells::fill(pixels.iter().map(|value| u16::from(*value)), description),
    }
}

const SOF3: u8 = 0xC3;

/// What the frame header says. ISO/IEC 10918-1 B.2.2.
struct Frame {
    marker: u8,
    precision: u8,
    rows: u32,
    columns: u32,
    components: u32,
}

impl Frame {
    /// Read before the decoder sees it: what is larger than it says is not even tried.
    fn of(bytes: &[u8]) -> Result<Self, String> {
        let mut rest = bytes.strip_prefix(&[0xFF, 0xD8]).ok_or("it does not begin as JPEG does")?;
        loop {
            let no_header = "the JPEG ends before its frame header";
            rest = match rest {
                [0xFF, 0xFF, ..] => &rest[1..],
                [0xFF, marker @ 0xC0..=0xCF, _, _, precision, r1, r0, c1, c0, components, ..]
                    if !matches!(marker, 0xC4 | 0xC8 | 0xCC) =>
                {
                    return Ok(Self {
                        marker: *marker,
                        precision: *precision,
                        rows: u32::from(u16::from_be_bytes([*r1, *r0])),
                        columns: u32::from(u16::from_be_bytes([*c1, *c0])),
                        components: u32::from(*components),
                    });
                }
                [0xFF, _, high, low, ..] => {
                    let length = usize::from(u16::from_be_bytes([*high, *low]));
                    rest.get(2 + length..).ok_or(no_header)?
                }
                _ => return Err(no_header.to_owned()),
            };
        }
    }
}
