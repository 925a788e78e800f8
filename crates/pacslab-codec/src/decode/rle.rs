//! RLE: byte planes, each packed by itself. PS3.5 annex G.

use crate::describe::Description;

const HEADER: usize = 64;
/// PS3.5 G.5: a header has room for this many segments.
const MOST_SEGMENTS: usize = 15;

pub(super) fn decode(bytes: &[u8], description: &Description) -> Result<Vec<u8>, String> {
    let cell = match description.allocated {
        8 | 16 | 32 => description.allocated as usize / 8,
        bits => return Err(format!("BitsAllocated is {bits}, RLE has 8, 16 or 32")),
    };
    let planes = cell * description.samples as usize;
    let segments = segments(bytes)?;
    if segments.len() != planes {
        return Err(format!("{} segments where {planes} belong", segments.len()));
    }
    let pixels = description.pixels();
    let mut frame = vec![0; pixels * planes];
    let mut plane = Vec::with_capacity(pixels);
    for (number, segment) in segments.into_iter().enumerate() {
        unpack(segment, &mut plane, pixels)?;
        // sample by sample, of each the most significant byte first (G.2)
        let (sample, byte) = (number / cell, cell - 1 - number % cell);
        let cells = frame[sample * cell + byte..].iter_mut().step_by(planes);
        cells.zip(&plane).for_each(|(to, from)| *to = *from);
    }
    Ok(frame)
}

fn segments(bytes: &[u8]) -> Result<Vec<&[u8]>, String> {
    let header = bytes.get(..HEADER).ok_or("the RLE header of 64 bytes is missing")?;
    let words: Vec<usize> =
        header.as_chunks::<4>().0.iter().map(|w| u32::from_le_bytes(*w) as usize).collect();
    let count = words[0];
    if !(1..=MOST_SEGMENTS).contains(&count) {
        return Err(format!("{count} segments: there are 1 to {MOST_SEGMENTS}"));
    }
    let starts = &words[1..=count];
    let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
    let cut = |(start, end): (&usize, usize)| {
        bytes.get(*start..end).filter(|_| *start >= HEADER).ok_or_else(|| {
            format!("a segment from byte {start} to {end}, in a frame of {} bytes", bytes.len())
        })
    };
    starts.iter().zip(ends).map(cut).collect()
}

/// PackBits. What follows the last pixel is padding. PS3.5 G.3.2.
fn unpack(mut packed: &[u8], plane: &mut Vec<u8>, pixels: usize) -> Result<(), String> {
    plane.clear();
    while plane.len() < pixels {
        let short = || format!("the segment ends after {} of {pixels} bytes", plane.len());
        let (control, rest) = packed.split_first().ok_or_else(short)?;
        match *control {
            128 => packed = rest,
            literal @ 0..128 => {
                let length = usize::from(literal) + 1;
                let run = rest.get(..length).ok_or_else(short)?;
                plane.extend_from_slice(run);
                packed = &rest[length..];
            }
            repeated => {
                let (value, rest) = rest.split_first().ok_or_else(short)?;
                plane.resize(plane.len() + 257 - usize::from(repeated), *value);
                packed = rest;
            }
        }
    }
    plane.truncate(pixels);
    Ok(())
}
