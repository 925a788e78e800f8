//! Colour: RGB, YBR_FULL and palettes. PS3.3 C.7.6.3.1.2, C.7.9.

use pacslab_dicom::{Dataset, Value};
use pacslab_model::Tag;

use crate::describe::{Description, Photometric};
use crate::error::Error;
use crate::picture::Picture;
use crate::samples::Samples;

/// Descriptors and data of the red, green and blue lookup tables.
const TABLES: [(Tag, Tag); 3] = [
    (Tag::new(0x0028, 0x1101), Tag::new(0x0028, 0x1201)),
    (Tag::new(0x0028, 0x1102), Tag::new(0x0028, 0x1202)),
    (Tag::new(0x0028, 0x1103), Tag::new(0x0028, 0x1203)),
];

pub(crate) fn show(description: &Description, samples: Samples<'_>) -> Picture {
    let bytes = samples.bytes();
    let pixels = description.pixels();
    let mut rgb: Vec<u8> = if description.planar {
        (0..pixels).flat_map(|at| [bytes[at], bytes[at + pixels], bytes[at + 2 * pixels]]).collect()
    } else {
        bytes.to_vec()
    };
    if description.photometric == Photometric::YbrFull {
        for pixel in rgb.as_chunks_mut::<3>().0 {
            *pixel = rgb_of_ybr(*pixel);
        }
    }
    Picture::rgb(description.columns, description.rows, rgb)
}

/// The full-range inverse of PS3.3 C.7.6.3.1.2.
fn rgb_of_ybr([y, b, r]: [u8; 3]) -> [u8; 3] {
    let (y, b, r) = (f64::from(y), f64::from(b) - 128.0, f64::from(r) - 128.0);
    [y + 1.402 * r, y - 0.344_136 * b - 0.714_136 * r, y + 1.772 * b]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}

pub(crate) fn palette(
    dataset: &Dataset,
    description: &Description,
    samples: Samples<'_>,
) -> Result<Picture, Error> {
    let [red, green, blue] = TABLES.map(|(descriptor, data)| Table::of(dataset, descriptor, data));
    let tables = [red?, green?, blue?];
    let mut rgb = Vec::with_capacity(samples.len() * 3);
    samples.for_each(|stored| rgb.extend(tables.iter().map(|table| table.look_up(stored))));
    Ok(Picture::rgb(description.columns, description.rows, rgb))
}

/// One lookup table, its entries reduced to 8 bits.
#[derive(Debug)]
struct Table {
    first: i64,
    entries: Vec<u8>,
}

impl Table {
    fn of(dataset: &Dataset, descriptor: Tag, data: Tag) -> Result<Self, Error> {
        let missing = |tag, name| Error::Missing { tag, name };
        let described = dataset.numbers(descriptor);
        let [count, first, bits] = described[..] else {
            return Err(missing(descriptor, "PaletteColorLookupTableDescriptor"));
        };
        let bytes = match dataset.get(data).map(|element| &element.value) {
            Some(Value::Bytes(bytes)) if !bytes.is_empty() => bytes,
            _ => return Err(missing(data, "PaletteColorLookupTableData")),
        };
        // 0 stands for 65,536, which 16 bits cannot say
        let count = if count == 0.0 { 1 << 16 } else { count as usize };
        let entries: Vec<u8> = if bits > 8.0 || bytes.len() >= 2 * count {
            let high = if bits > 8.0 { 1 } else { 0 };
            bytes.as_chunks::<2>().0.iter().map(|word| word[high]).take(count).collect()
        } else {
            bytes.iter().copied().take(count).collect()
        };
        Ok(Self { first: first as i64, entries })
    }

    /// Values outside the table take its first or last entry.
    fn look_up(&self, stored: i64) -> u8 {
        let last = self.entries.len().saturating_sub(1) as i64;
        let at = stored.saturating_sub(self.first).clamp(0, last);
        self.entries.get(at as usize).copied().unwrap_or(0)
    }
}
