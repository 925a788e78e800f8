//! Which fragments a frame is made of. PS3.5 A.4, A.4.4 (RLE), PS3.3 C.7.6.3.1.8 (extended offsets).

use std::ops::Range;

use pacslab_dicom::{Dataset, Value};

use super::EXTENDED_OFFSET_TABLE;
use crate::error::Error;

/// An item of a fragment sequence begins with its tag and its length.
const ITEM_HEADER: u64 = 8;

/// `items` are the basic offset table and then the fragments. Ranges count fragments from 0.
///
/// # Errors
/// Neither a table nor the number of fragments nor where images begin in them tells.
pub fn frame_fragments(
    dataset: &Dataset,
    items: &[Vec<u8>],
    frames: usize,
) -> Result<Vec<Range<usize>>, Error> {
    let none = Error::Fragments { fragments: 0, frames };
    let (basic, fragments) = items.split_first().ok_or(none)?;
    let refused = Error::Fragments { fragments: fragments.len(), frames };
    if fragments.is_empty() || frames == 0 || frames > fragments.len() {
        return Err(refused);
    }
    if frames == 1 {
        return Ok(std::iter::once(0..fragments.len()).collect());
    }
    if frames == fragments.len() {
        return Ok((0..frames).map(|frame| frame..frame + 1).collect());
    }
    let extended = match dataset.get(EXTENDED_OFFSET_TABLE).map(|element| &element.value) {
        Some(Value::Bytes(bytes)) => {
            bytes.as_chunks::<8>().0.iter().map(|offset| u64::from_le_bytes(*offset)).collect()
        }
        _ => Vec::new(),
    };
    let basic: Vec<u64> =
        basic.as_chunks::<4>().0.iter().map(|o| u64::from(u32::from_le_bytes(*o))).collect();
    by_offsets(&extended, fragments, frames)
        .or_else(|| by_offsets(&basic, fragments, frames))
        .or_else(|| by_beginnings(fragments, frames))
        .ok_or(refused)
}

/// Offsets count from the first fragment's item, its header included.
fn by_offsets(offsets: &[u64], fragments: &[Vec<u8>], frames: usize) -> Option<Vec<Range<usize>>> {
    if offsets.len() != frames {
        return None;
    }
    let mut at = 0;
    let mut starts = Vec::with_capacity(frames);
    for (number, fragment) in fragments.iter().enumerate() {
        if offsets.get(starts.len()) == Some(&at) {
            starts.push(number);
        }
        at += ITEM_HEADER + fragment.len() as u64;
    }
    ranges(&starts, fragments.len(), frames)
}

/// Without a table: a fragment that begins as an image does begins a frame. SOI of JPEG, SOC of
/// JPEG 2000.
fn by_beginnings(fragments: &[Vec<u8>], frames: usize) -> Option<Vec<Range<usize>>> {
    let begins =
        |f: &[u8]| f.starts_with(&[0xFF, 0xD8, 0xFF]) || f.starts_with(&[0xFF, 0x4F, 0xFF]);
    let starts: Vec<usize> =
        (0..fragments.len()).filter(|number| begins(&fragments[*number])).collect();
    ranges(&starts, fragments.len(), frames)
}

fn ranges(starts: &[usize], fragments: usize, frames: usize) -> Option<Vec<Range<usize>>> {
    if starts.len() != frames || starts.first() != Some(&0) {
        return None;
    }
    let ends = starts.iter().skip(1).copied().chain([fragments]);
    Some(starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(items: &[&[u8]], frames: usize) -> Option<Vec<Range<usize>>> {
        let items: Vec<Vec<u8>> = items.iter().map(|item| item.to_vec()).collect();
        frame_fragments(&Dataset::new(), &items, frames).ok()
    }

    #[test]
    fn frames_find_their_fragments() {
        let table =
            |offsets: &[u32]| offsets.iter().flat_map(|o| o.to_le_bytes()).collect::<Vec<u8>>();
        let (a, b): (&[u8], &[u8]) = (&[0xFF, 0xD8, 0xFF, 1], &[1, 2]);
        assert_eq!(assigned(&[b"", a, b], 1).unwrap()[0], 0..2);
        assert_eq!(assigned(&[b"", b, b], 2), Some(vec![0..1, 1..2]));
        // a table says it, whatever is in the fragments
        assert_eq!(assigned(&[&table(&[0, 22]), b, a, b], 2), Some(vec![0..2, 2..3]));
        // a table that points between fragments is believed as little as none
        assert_eq!(assigned(&[&table(&[0, 21]), a, b, a], 2), Some(vec![0..2, 2..3]));
        assert_eq!(assigned(&[b"", b, a, b], 2), None);
        assert_eq!(assigned(&[b"", b], 2), None);
        assert_eq!(assigned(&[], 1), None);
        assert_eq!(assigned(&[b""], 1), None);
    }
}
