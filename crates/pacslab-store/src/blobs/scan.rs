//! Walking along the records of one pack.

use std::path::Path;

use super::record::{self, Header, MAX_NOTE, PACK_HEADER, RECORD_HEADER};
use super::{Kind, Location};
use crate::disk::DiskFile;
use crate::error::{Result, StoreError};

/// A walk: the record at `offset` must be number `sequence` and name `chain` as its predecessor.
pub(super) struct Scan<'a> {
    pub(super) pack: u32,
    pub(super) path: &'a Path,
    pub(super) file: &'a dyn DiskFile,
    pub(super) offset: u64,
    pub(super) sequence: u64,
    /// `None`: not known, when the walk begins in the middle.
    pub(super) chain: Option<u32>,
    /// Bodies are read and their CRC is checked.
    pub(super) thorough: bool,
}

/// One record that is whole.
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) note: Vec<u8>,
    pub(super) location: Location,
    pub(super) sequence: u64,
    pub(super) elsewhere: bool,
}

impl Scan<'_> {
    /// The next record; `None` where the log ends.
    pub(super) fn step(&mut self) -> Result<Option<Found>> {
        let mut start = [0; RECORD_HEADER];
        if self.read(&mut start, self.offset)? < RECORD_HEADER {
            return Ok(None);
        }
        let Some(header) = Header::decode(&start) else { return Ok(None) };
        let fits = header.sequence == self.sequence
            && self.chain.is_none_or(|chain| chain == header.previous)
            && header.note_len as usize <= MAX_NOTE;
        if !fits {
            return Ok(None);
        }
        let mut note = vec![0; header.note_len as usize];
        let note_at = self.offset + RECORD_HEADER as u64;
        if self.read(&mut note, note_at)? < note.len() || crc32fast::hash(&note) != header.note_crc
        {
            return Ok(None);
        }
        let body = Location {
            pack: self.pack,
            offset: note_at + note.len() as u64,
            len: header.body_len,
            crc: header.body_crc,
        };
        if self.thorough && !self.is_whole(&body)? {
            return Ok(None);
        }
        let kind = header.kind().map_err(|kind| StoreError::Unreadable {
            path: self.path.to_owned(),
            what: format!("records of kind {kind} are not known; use a newer version"),
        })?;
        let location = if header.is_elsewhere() { self.reference(&body)? } else { body };
        let sequence = self.sequence;
        self.offset += header.total();
        self.sequence += 1;
        self.chain = Some(header.chain());
        Ok(Some(Found { kind, note, location, sequence, elsewhere: header.is_elsewhere() }))
    }

    fn reference(&self, at: &Location) -> Result<Location> {
        let mut bytes = vec![0; at.len.min(64) as usize];
        self.read(&mut bytes, at.offset)?;
        record::decode_reference(&bytes).ok_or_else(|| StoreError::Damaged {
            path: self.path.to_owned(),
            offset: at.offset,
            what: "a reference to a segment is malformed".to_owned(),
        })
    }

    fn is_whole(&self, body: &Location) -> Result<bool> {
        let mut crc = crc32fast::Hasher::new();
        let mut chunk = vec![0; body.len.min(256 << 10) as usize];
        let mut done = 0;
        while done < body.len {
            let want = (body.len - done).min(chunk.len() as u64) as usize;
            if self.read(&mut chunk[..want], body.offset + done)? < want {
                return Ok(false);
            }
            crc.update(&chunk[..want]);
            done += want as u64;
        }
        Ok(crc.finalize() == body.crc)
    }

    /// Nothing but zeros follows directly: the log ends here as it should.
    pub(super) fn ends_clean(&self) -> Result<bool> {
        let mut next = [0; PACK_HEADER];
        let read = self.read(&mut next, self.offset)?;
        Ok(next[..read].iter().all(|b| *b == 0))
    }

    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buffer, offset).map_err(|e| StoreError::io("read", self.path, 0, e))
    }
}
