//! The bytes of a pack: a header, then records one after the other, then zeros.
//!
//! ```text
//! pack     "PLABPACK"  format u32  kind u32  number u32  first sequence u64
//!          end sequence u64  replaces u32  bodies u64  zeros  crc u32
//! record   "PLR1"  kind u8  flags u8  0 u16  note length u32  body length u64  sequence u64
//!          previous u32  note crc u32  body crc u32  0 u32  header crc u32   note  body
//! ```
//! All numbers are little endian. `previous` is the header CRC of the record before (of the pack
//! for the first one), and sequence numbers have no gaps: so what an earlier life of the file left
//! behind the end is never taken for a record.
//!
//! A pack that was rewritten (kind 3) holds the records of the one it replaces under their numbers,
//! up to its end; instances that are gone have no body there. The other kinds leave its fields zero.

use super::{Kind, Location, Record};
use crate::error::{Result, StoreError};

pub(super) const PACK_HEADER: usize = 64;
pub(super) const RECORD_HEADER: usize = 48;
/// Notes are small by contract.
pub const MAX_NOTE: usize = 64 << 10;

const PACK_MAGIC: [u8; 8] = *b"PLABPACK";
const RECORD_MAGIC: [u8; 4] = *b"PLR1";
const FORMAT: u32 = 1;
/// The body is a pack of its own; the record holds a reference.
const ELSEWHERE: u8 = 1;
const REFERENCE: usize = 24;

/// The beginning of a pack file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum PackHeader {
    Log {
        number: u32,
        first: u64,
    },
    /// One large body and nothing else; a record in a log names it.
    Single,
    /// A log that was written anew without what is gone.
    Rewritten {
        number: u32,
        first: u64,
        /// After its last record.
        end: u64,
        /// The pack whose records these were.
        replaces: u32,
        /// Bytes of the objects that were there still.
        bodies: u64,
    },
}

impl PackHeader {
    pub(super) fn encode(self) -> [u8; PACK_HEADER] {
        let (kind, number, first) = match self {
            Self::Log { number, first } => (1u32, number, first),
            Self::Single => (2, 0, 0),
            Self::Rewritten { number, first, .. } => (3, number, first),
        };
        let mut bytes = [0; PACK_HEADER];
        bytes[..8].copy_from_slice(&PACK_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&kind.to_le_bytes());
        bytes[16..20].copy_from_slice(&number.to_le_bytes());
        bytes[20..28].copy_from_slice(&first.to_le_bytes());
        if let Self::Rewritten { end, replaces, bodies, .. } = self {
            bytes[28..36].copy_from_slice(&end.to_le_bytes());
            bytes[36..40].copy_from_slice(&replaces.to_le_bytes());
            bytes[40..48].copy_from_slice(&bodies.to_le_bytes());
        }
        let crc = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `Ok(None)`: zeros, the file was being made when the power went.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<Self>, String> {
        if bytes.iter().all(|b| *b == 0) {
            return Ok(None);
        }
        if bytes.len() < PACK_HEADER || bytes[..8] != PACK_MAGIC {
            return Err("it does not begin like a pack".to_owned());
        }
        if crc32fast::hash(&bytes[..60]) != u32_at(bytes, 60) {
            return Err("the CRC of its header is wrong".to_owned());
        }
        let format = u32_at(bytes, 8);
        if format > FORMAT {
            return Err(format!("it has pack format {format}, this version reads {FORMAT}"));
        }
        match u32_at(bytes, 12) {
            1 => Ok(Some(Self::Log { number: u32_at(bytes, 16), first: u64_at(bytes, 20) })),
            2 => Ok(Some(Self::Single)),
            3 => Ok(Some(Self::Rewritten {
                number: u32_at(bytes, 16),
                first: u64_at(bytes, 20),
                end: u64_at(bytes, 28),
                replaces: u32_at(bytes, 36),
                bodies: u64_at(bytes, 40),
            })),
            kind => Err(format!("packs of kind {kind} are not known")),
        }
    }

    /// What the first record names as its predecessor.
    pub(super) fn chain(self) -> u32 {
        u32_at(&self.encode(), 60)
    }
}

/// The header of one record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    kind: u8,
    flags: u8,
    pub(super) note_len: u32,
    pub(super) body_len: u64,
    pub(super) sequence: u64,
    pub(super) previous: u32,
    pub(super) note_crc: u32,
    pub(super) body_crc: u32,
}

impl Header {
    fn encode(&self) -> [u8; RECORD_HEADER] {
        let mut bytes = [0; RECORD_HEADER];
        bytes[..4].copy_from_slice(&RECORD_MAGIC);
        bytes[4] = self.kind;
        bytes[5] = self.flags;
        bytes[8..12].copy_from_slice(&self.note_len.to_le_bytes());
        bytes[12..20].copy_from_slice(&self.body_len.to_le_bytes());
        bytes[20..28].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.previous.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.note_crc.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.body_crc.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..44]);
        bytes[44..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None`: no record is here.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..RECORD_HEADER)?;
        if bytes[..4] != RECORD_MAGIC || crc32fast::hash(&bytes[..44]) != u32_at(bytes, 44) {
            return None;
        }
        Some(Self {
            kind: bytes[4],
            flags: bytes[5],
            note_len: u32_at(bytes, 8),
            body_len: u64_at(bytes, 12),
            sequence: u64_at(bytes, 20),
            previous: u32_at(bytes, 28),
            note_crc: u32_at(bytes, 32),
            body_crc: u32_at(bytes, 36),
        })
    }

    /// `Err`: the number, of a newer version.
    pub(super) fn kind(&self) -> Result<Kind, u8> {
        Kind::from_u8(self.kind).ok_or(self.kind)
    }

    pub(super) fn is_elsewhere(&self) -> bool {
        self.flags & ELSEWHERE != 0
    }

    /// What the next record names as its predecessor.
    pub(super) fn chain(&self) -> u32 {
        u32_at(&self.encode(), 44)
    }

    /// Bytes of the whole record.
    pub(super) fn total(&self) -> u64 {
        RECORD_HEADER as u64 + u64::from(self.note_len) + self.body_len
    }
}

/// What a record adds to a pack.
pub(super) fn size(record: &Record<'_>) -> u64 {
    (RECORD_HEADER + record.note.len() + record.head.len() + record.body.len()) as u64
}

/// Appends a record to `buffer`, all but its body; answers its header.
pub(super) fn push(
    buffer: &mut Vec<u8>,
    record: &Record<'_>,
    elsewhere: bool,
    sequence: u64,
    previous: u32,
) -> Header {
    let mut crc = crc32fast::Hasher::new();
    crc.update(record.head);
    crc.update(record.body);
    let header = Header {
        kind: record.kind as u8,
        flags: if elsewhere { ELSEWHERE } else { 0 },
        note_len: record.note.len() as u32,
        body_len: (record.head.len() + record.body.len()) as u64,
        sequence,
        previous,
        note_crc: crc32fast::hash(record.note),
        body_crc: crc.finalize(),
    };
    buffer.extend_from_slice(&header.encode());
    buffer.extend_from_slice(record.note);
    buffer.extend_from_slice(record.head);
    header
}

pub(super) fn encode_reference(at: &Location) -> [u8; REFERENCE] {
    let mut bytes = [0; REFERENCE];
    bytes[..4].copy_from_slice(&at.pack.to_le_bytes());
    bytes[4..8].copy_from_slice(&at.crc.to_le_bytes());
    bytes[8..16].copy_from_slice(&at.offset.to_le_bytes());
    bytes[16..].copy_from_slice(&at.len.to_le_bytes());
    bytes
}

pub(super) fn decode_reference(bytes: &[u8]) -> Option<Location> {
    (bytes.len() == REFERENCE).then(|| Location {
        pack: u32_at(bytes, 0),
        crc: u32_at(bytes, 4),
        offset: u64_at(bytes, 8),
        len: u64_at(bytes, 16),
    })
}

pub(super) fn check_notes<'a>(notes: impl IntoIterator<Item = &'a [u8]>) -> Result<()> {
    match notes.into_iter().find(|note| note.len() > MAX_NOTE) {
        None => Ok(()),
        Some(note) => Err(StoreError::Other(format!(
            "the note of a record has {} bytes, {MAX_NOTE} are allowed",
            note.len()
        ))),
    }
}

pub(super) fn foreign() -> StoreError {
    StoreError::Other("a segment can only be adopted by the store that began it".to_owned())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_every_flipped_bit_shows() {
        let pack = PackHeader::Log { number: 7, first: 99 };
        let rewritten =
            PackHeader::Rewritten { number: 8, first: 3, end: 99, replaces: 7, bodies: 1 << 40 };
        for header in [pack, rewritten, PackHeader::Single] {
            assert_eq!(PackHeader::decode(&header.encode()), Ok(Some(header)));
        }
        let mut buffer = Vec::new();
        let record = Record { kind: Kind::Instance, note: b"n", head: b"he", body: b"body" };
        let header = push(&mut buffer, &record, false, 99, pack.chain());
        buffer.extend_from_slice(record.body);
        assert_eq!(buffer.len() as u64, size(&record));
        assert_eq!(Header::decode(&buffer), Some(header));
        for bit in 0..RECORD_HEADER * 8 {
            buffer[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&buffer), None, "bit {bit}");
            buffer[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(PackHeader::decode(&[0; PACK_HEADER]), Ok(None));
        assert!(PackHeader::decode(b"DICM").is_err());
    }
}
