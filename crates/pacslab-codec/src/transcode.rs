//! From one transfer syntax to another. PS3.5 8.2, A.4, G.
//!
//! Between uncompressed ones nothing but the encoding differs, which is the business of whoever
//! writes the data set. RLE Lossless is the one compression that is written.

use pacslab_dicom::{Dataset, Element, TransferSyntax, Value};
use pacslab_model::{Vr, tags};

use crate::decode::{can_decode, decompress};
use crate::describe::{Description, syntax_name};
use crate::error::Error;

/// RLE Lossless.
pub const RLE: &str = "1.2.840.10008.1.2.5";

/// Whether objects can be changed from one transfer syntax to another.
pub fn can_transcode(from: &TransferSyntax, to: &TransferSyntax) -> bool {
    let readable = !from.is_encapsulated() || can_decode(from);
    from == to || (readable && (!to.is_encapsulated() || to.uid() == RLE))
}

/// Makes the pixels of a data set fit another transfer syntax; objects without pixels stay as they
/// are.
///
/// # Errors
/// One of the two is not mastered, the pixels are not what the object says, or they would need more
/// than `limit` bytes ([`Error::Heavy`]).
pub fn transcode(
    mut dataset: Dataset,
    from: &TransferSyntax,
    to: &TransferSyntax,
    limit: usize,
) -> Result<Dataset, Error> {
    if from == to {
        return Ok(dataset);
    }
    if to.is_encapsulated() && to.uid() != RLE {
        return Err(Error::Encoder(syntax_name(to.uid())));
    }
    let pixels = dataset.get(tags::PIXEL_DATA).map(|element| &element.value);
    if from.is_encapsulated() && matches!(pixels, Some(Value::Fragments(_))) {
        dataset = decompress(&dataset, from, limit)?;
    }
    if to.is_encapsulated() {
        compress(&mut dataset)?;
    }
    Ok(dataset)
}

fn compress(dataset: &mut Dataset) -> Result<(), Error> {
    let Some(element) = dataset.get(tags::PIXEL_DATA) else { return Ok(()) };
    let Value::Bytes(pixels) = &element.value else { return Ok(()) };
    let description = Description::of(dataset)?;
    let cell = (description.samples * description.allocated / 8) as usize;
    if description.allocated == 1 || cell > 15 {
        return Err(Error::Encoder("RLE Lossless of such pixels".to_owned()));
    }
    let size = description.pixels() * cell;
    // the basic offset table; none is given
    let mut fragments = vec![Vec::new()];
    for frame in 0..description.frames {
        let start = frame.saturating_mul(size);
        let present = pixels.len().saturating_sub(start) as u64;
        let short = Error::Short { frame: frame + 1, needed: size as u64, present };
        let plain = pixels.get(start..start.saturating_add(size)).ok_or(short)?;
        fragments.push(match description.planar {
            true => encode(&interleaved(plain, &description), &description),
            false => encode(plain, &description),
        });
    }
    if description.samples > 1 {
        // in RLE the planes stand apart whatever it says; 0 is what most readers expect
        dataset.put_u16(tags::PLANAR_CONFIGURATION, 0);
    }
    let value = Value::Fragments(fragments);
    dataset.put(Element { tag: tags::PIXEL_DATA, vr: Vr::OB, value });
    Ok(())
}

/// Plane after plane becomes pixel after pixel.
fn interleaved(plain: &[u8], description: &Description) -> Vec<u8> {
    let width = description.allocated as usize / 8;
    let plane = description.pixels() * width;
    (0..description.pixels())
        .flat_map(|pixel| {
            (0..description.samples as usize).flat_map(move |sample| {
                let at = sample * plane + pixel * width;
                plain[at..at + width].iter().copied()
            })
        })
        .collect()
}

/// Bytes of an RLE header: how many segments there are, and where they begin.
const HEADER: usize = 64;

/// Compresses a frame. A segment holds one byte of every sample, the high ones first.
fn encode(pixels: &[u8], description: &Description) -> Vec<u8> {
    let width = description.allocated as usize / 8;
    let cell = description.samples as usize * width;
    let mut out = vec![0; HEADER];
    out[..4].copy_from_slice(&(cell as u32).to_le_bytes());
    let mut row = Vec::with_capacity(description.columns as usize);
    for segment in 0..cell {
        let start = (out.len() as u32).to_le_bytes();
        out[4 * (segment + 1)..4 * (segment + 2)].copy_from_slice(&start);
        let first = segment / width * width + (width - 1 - segment % width);
        // a run does not reach over the end of a row
        for line in pixels.chunks_exact(description.columns as usize * cell) {
            row.clear();
            row.extend(line.iter().skip(first).step_by(cell));
            pack(&row, &mut out);
        }
        if out.len() % 2 == 1 {
            out.push(0);
        }
    }
    out
}

fn pack(mut row: &[u8], out: &mut Vec<u8>) {
    let run = |bytes: &[u8]| bytes.iter().take(128).take_while(|byte| **byte == bytes[0]).count();
    while let Some(first) = row.first() {
        let same = run(row);
        if same > 1 {
            out.extend([(257 - same) as u8, *first]);
            row = &row[same..];
            continue;
        }
        // up to where three are the same: a run of two within saves nothing
        let mut end = 1;
        while end < row.len().min(128) && run(&row[end..]) < 3 {
            end += 1;
        }
        out.push((end - 1) as u8);
        out.extend_from_slice(&row[..end]);
        row = &row[end..];
    }
}
