//! How far the last log was written and synced, noted beside it: so that opening reads what came
//! after, and not a quarter of a gigabyte each time.
//!
//! A mark is a hint. It is written behind a sync and never synced itself; one that is torn, old, of
//! another log or of a copy that ends earlier is not believed, and the log is read from its beginning.

use std::collections::HashSet;
use std::path::PathBuf;

use super::pack::{Current, Folder};
use super::record::PACK_HEADER;
use super::scan::Scan;
use crate::error::Result;

const MAGIC: [u8; 8] = *b"PLMARK1\n";
/// Magic, five numbers, the count of names, CRC.
const FIXED: usize = 8 + 5 * 8 + 4 + 4;

/// The end of a log at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Mark {
    pub(super) pack: u64,
    /// The log's first sequence number.
    pub(super) first: u64,
    /// Where the last record before the end begins.
    pub(super) last: u64,
    pub(super) end: u64,
    /// Of the next record.
    pub(super) sequence: u64,
    /// Packs with one large body that this log names.
    pub(super) named: Vec<u32>,
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [self.pack, self.first, self.last, self.end, self.sequence] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend((self.named.len() as u32).to_le_bytes());
        self.named.iter().for_each(|number| bytes.extend(number.to_le_bytes()));
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let body = bytes.get(..FIXED).and(bytes.strip_prefix(&MAGIC))?;
        let (numbers, rest) = body.split_at(5 * 8);
        let numbers: Vec<u64> =
            numbers.as_chunks::<8>().0.iter().map(|number| u64::from_le_bytes(*number)).collect();
        let (words, _) = rest.as_chunks::<4>();
        let count = u32::from_le_bytes(*words.first()?) as usize;
        let named = words.get(1..1 + count)?.iter().map(|word| u32::from_le_bytes(*word));
        let mark = Self {
            pack: numbers[0],
            first: numbers[1],
            last: numbers[2],
            end: numbers[3],
            sequence: numbers[4],
            named: named.collect(),
        };
        // an older, longer one may lie behind it
        let own = mark.encode();
        bytes.starts_with(&own).then_some(mark)
    }
}

/// Notes where a log ends by now; all before that is on the disk. That it fails costs time at the
/// next start and nothing else.
pub(super) fn write(folder: &Folder, first: u64, sequence: u64, current: &Current) {
    if current.end == PACK_HEADER as u64 {
        return;
    }
    let mark = Mark {
        pack: u64::from(current.number),
        first,
        last: current.last,
        end: current.end,
        sequence,
        named: current.named.clone(),
    };
    let path = path(folder);
    let file = folder.disk.open(&path).or_else(|_| folder.disk.create(&path));
    if let Err(error) = file.and_then(|file| file.write_all_at(&mark.encode(), 0)) {
        tracing::debug!(path = %path.display(), %error, "how far the packs are written is not noted");
    }
}

/// Moves a walk to the end that was noted, if that holds. Answers the packs that are named before.
pub(super) fn skip(folder: &Folder, scan: &mut Scan<'_>) -> Result<HashSet<u32>> {
    let none = Ok(HashSet::new());
    let Some(mark) = read(folder) else { return none };
    let of_this_log = mark.pack == u64::from(scan.pack)
        && mark.first == scan.sequence
        && mark.sequence > mark.first
        && (PACK_HEADER as u64..mark.end).contains(&mark.last);
    if !of_this_log {
        return none;
    }
    // the last record has to be there, whole, and end where the mark says
    let mut probe = Scan { offset: mark.last, sequence: mark.sequence - 1, chain: None, ..*scan };
    if probe.step()?.is_some() && probe.offset == mark.end {
        (scan.offset, scan.sequence, scan.chain) = (probe.offset, probe.sequence, probe.chain);
        return Ok(mark.named.into_iter().collect());
    }
    none
}

fn read(folder: &Folder) -> Option<Mark> {
    /// Names of more large bodies than a log has room for.
    const MOST: u64 = 16 << 20;
    let file = folder.disk.open(&path(folder)).ok()?;
    let len = file.len().ok().filter(|len| *len <= MOST)?;
    let mut bytes = vec![0; len as usize];
    let read = file.read_at(&mut bytes, 0).ok()?;
    Mark::decode(&bytes[..read])
}

fn path(folder: &Folder) -> PathBuf {
    folder.path.join("end.mark")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_comes_back_and_a_spoiled_one_does_not() {
        let mark =
            Mark { pack: 7, first: 100, last: 4096, end: 5000, sequence: 120, named: vec![8, 9] };
        let bytes = mark.encode();
        assert_eq!(Mark::decode(&bytes), Some(mark.clone()));
        let longer = [bytes.clone(), vec![1, 2, 3, 4]].concat();
        assert_eq!(Mark::decode(&longer), Some(mark));
        for at in 0..bytes.len() {
            let mut spoiled = bytes.clone();
            spoiled[at] ^= 0x10;
            assert_eq!(Mark::decode(&spoiled), None, "byte {at}");
            assert_eq!(Mark::decode(&bytes[..at]), None);
        }
    }
}
