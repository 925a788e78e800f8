//! Decoded values into the cells of native pixel data. PS3.5 8.1.1.

use crate::describe::Description;

/// Values of up to 16 bits, in the order of native pixel data.
pub(super) fn fill(
    values: impl Iterator<Item = u16>,
    description: &Description,
) -> Result<Vec<u8>, String> {
    let count = description.pixels() * description.samples as usize;
    match description.allocated {
        8 => {
            let mut bytes = Vec::with_capacity(count);
            bytes.extend(values.map(|value| value.to_le_bytes()[0]));
            Ok(bytes)
        }
        16 => {
            let mut bytes = Vec::with_capacity(count * 2);
            values.for_each(|value| bytes.extend(value.to_le_bytes()));
            Ok(bytes)
        }
        bits => Err(format!("BitsAllocated is {bits}, compressed images have 8 or 16")),
    }
}

/// The image has to be of the size that the data set says.
pub(super) fn check_size(what: (u32, u32, u32), description: &Description) -> Result<(), String> {
    let wanted = (description.columns, description.rows, description.samples);
    if what == wanted {
        return Ok(());
    }
    let (columns, rows, samples) = what;
    Err(format!(
        "the image in it is {columns} x {rows} with {samples} samples a pixel; the data set says \
         {} x {} with {}",
        wanted.0, wanted.1, wanted.2
    ))
}
