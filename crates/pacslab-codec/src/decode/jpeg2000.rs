//! JPEG 2000. ISO/IEC 15444-1, PS3.5 8.2.4.

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

use super::cells;
use crate::describe::Description;

pub(super) fn decode(bytes: &[u8], description: &Description) -> Result<Vec<u8>, String> {
    let (components, signed) = size(bytes)?;
    let settings = DecodeSettings { strict: true, ..DecodeSettings::default() };
    let image = Image::new(bytes, &settings).map_err(|error| error.to_string())?;
    cells::check_size((image.width(), image.height(), components), description)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(|error| error.to_string())?;
    let planes: Vec<_> = decoded.components().iter().collect();
    if planes.len() != components as usize {
        return Err(format!("{} planes came out where {components} belong", planes.len()));
    }
    // the decoder takes all values for unsigned: those below zero stand half the range higher
    let below = if signed { 1_i32 << (image.original_bit_depth().clamp(1, 24) - 1) } else { 0 };
    let value = |plane: usize, at: usize| {
        let value = planes[plane].samples().get(at).copied().unwrap_or_default();
        (value.round() as i32 - below) as u16
    };
    let pixels = description.pixels();
    let values = (0..pixels).flat_map(|at| (0..planes.len()).map(move |plane| (plane, at)));
    cells::fill(values.map(|(plane, at)| value(plane, at)), description)
}

/// Components, and whether their values are signed: the SIZ marker segment. ISO/IEC 15444-1 A.5.1.
fn size(bytes: &[u8]) -> Result<(u32, bool), String> {
    const SIZ: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];
    let at = bytes.windows(4).position(|window| window == SIZ);
    let at = at.ok_or("no JPEG 2000 codestream is in it")?;
    match bytes.get(at + 40..at + 43) {
        Some([high, low, ssiz]) => {
            let components = u16::from_be_bytes([*high, *low]);
            Ok((u32::from(components), ssiz & 0x80 != 0))
        }
        _ => Err("the JPEG 2000 codestream ends in its header".to_owned()),
    }
}
