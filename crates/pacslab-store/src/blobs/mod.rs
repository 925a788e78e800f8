//! Where objects live: an append-only log of records, each with a body of any size.
//!
//! Every change of the archive is a record (an object that arrived, a deletion, a relabelling),
//! so that replaying the log ends in the same state. Appending is for one writer at a time that
//! also brings the index up to date in the same order; reading is for everybody.

mod files;
mod mark;
mod memory;
mod pack;
mod record;
mod recover;
mod rewrite;
mod scan;
mod spool;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use files::{FilesBlobs, FilesOptions};
pub use memory::MemoryBlobs;
pub use pack::{PackBlobs, PackOptions};
pub use record::MAX_NOTE;

use crate::error::{Result, StoreError};

/// What a pack file is, for who copies it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PackKind {
    /// Records are appended to it, or were.
    Log,
    /// Complete since it has its name, or no pack.
    Other,
}

pub(crate) fn pack_kind(path: &std::path::Path) -> PackKind {
    use std::io::Read;
    let mut head = [0; record::PACK_HEADER];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    match read.ok().and_then(|()| record::PackHeader::decode(&head).ok().flatten()) {
        Some(record::PackHeader::Log { .. }) => PackKind::Log,
        _ => PackKind::Other,
    }
}

pub trait Blobs: Send + Sync + fmt::Debug {
    /// Stores the batch with one sync. Durable when `Ok`; nothing of it is kept otherwise.
    fn append(&self, batch: &[Record<'_>]) -> Result<Appended>;

    /// The whole body, checked against its CRC.
    fn read(&self, at: &Location) -> Result<Vec<u8>>;

    /// A part of the body, unchecked; shorter where the body ends.
    fn read_range(&self, at: &Location, offset: u64, len: usize) -> Result<Vec<u8>>;

    /// Reads a part of the body, unchecked, into a buffer that is used again; answers how much
    /// there was.
    fn read_into(&self, at: &Location, offset: u64, buffer: &mut [u8]) -> Result<usize>;

    /// Reads the next piece of a body and folds it into its checksum. The piece with the last byte
    /// is an error where the checksum is wrong, so who waits for it has sent nothing that passes
    /// for a whole.
    fn read_next(&self, so_far: &mut Reading, buffer: &mut [u8]) -> Result<usize> {
        let read = self.read_into(&so_far.at, so_far.done, buffer)?;
        if read == 0 && so_far.left() > 0 {
            return Err(StoreError::NoSuchLocation(so_far.at));
        }
        self.fold(so_far, &buffer[..read])
    }

    /// As [`read_next`](Self::read_next) for what needs no waiting, which may be less than there is
    /// room for. `None`: the next byte may have to be waited for, or it fails; nothing was read.
    fn read_next_now(&self, so_far: &mut Reading, buffer: &mut [u8]) -> Option<Result<usize>> {
        /// What is in the caches of the core when its checksum is computed.
        const CHUNK: usize = 128 << 10;
        let mut read = 0;
        loop {
            let wanted = so_far.left().min((buffer.len() - read) as u64).min(CHUNK as u64) as usize;
            let chunk = &mut buffer[read..read + wanted];
            if !self.read_into_now(&so_far.at, so_far.done, chunk) {
                return (read > 0).then_some(Ok(read));
            }
            if let Err(error) = self.fold(so_far, chunk) {
                return Some(Err(error));
            }
            read += wanted;
            if read == buffer.len() || so_far.left() == 0 {
                return Some(Ok(read));
            }
        }
    }

    /// Fills the buffer with a part of the body, unchecked, if that needs no waiting. `false`: it
    /// may have to wait, or to fail.
    fn read_into_now(&self, at: &Location, offset: u64, buffer: &mut [u8]) -> bool {
        let _ = (at, offset, buffer);
        false
    }

    /// What was read next of a body.
    fn fold(&self, so_far: &mut Reading, read: &[u8]) -> Result<usize> {
        let Reading { at, done, crc } = so_far;
        crc.update(read);
        *done += read.len() as u64;
        match *done < at.len || crc.clone().finalize() == at.crc {
            true => Ok(read.len()),
            false => Err(self.damaged(at)),
        }
    }

    /// Reads all of a body and compares its CRC, without holding it.
    fn verify(&self, at: &Location) -> Result<()> {
        const CHUNK: u64 = 1 << 20;
        let mut chunk = vec![0; at.len.min(CHUNK) as usize];
        let mut so_far = Reading::of(*at);
        while so_far.left() > 0 {
            self.read_next(&mut so_far, &mut chunk)?;
        }
        Ok(())
    }

    /// The CRC of a body is wrong.
    fn damaged(&self, at: &Location) -> StoreError {
        StoreError::Other(format!("the CRC of the object at {at} is wrong"))
    }

    /// A large body is written to a place of its own while it arrives.
    fn begin_segment(&self) -> Result<Box<dyn Segment>>;

    /// Makes a sealed segment the body of a record. Durable when `Ok`.
    fn adopt(&self, sealed: Sealed, kind: Kind, note: &[u8]) -> Result<Appended>;

    /// Visits the records from `from` (the default is the beginning) in the order they were
    /// appended, without their bodies. Answers the position after the last one.
    fn replay(
        &self,
        from: Position,
        visit: &mut dyn FnMut(&ReplayRecord) -> Result<()>,
    ) -> Result<Position>;

    /// Removes bodies that no record came to name. To be called when the index has agreed that the
    /// records are all there.
    fn sweep(&self) -> Result<()> {
        Ok(())
    }

    /// After the last record.
    fn position(&self) -> Position;

    /// The packs, in the order in which they were begun. A store that cannot be compacted has none.
    fn packs(&self) -> Vec<PackInfo> {
        Vec::new()
    }

    /// Visits the records of the log that begins with this sequence number, whatever pack it is
    /// in by now.
    fn walk(&self, first: u64, visit: &mut dyn FnMut(&ReplayRecord) -> Result<()>) -> Result<()> {
        let _ = (first, visit);
        Ok(())
    }

    /// Writes a log into a new pack without the bodies that `keep` gives up; records and their
    /// numbers stay. Durable when `Ok`: from then on it stands for the old pack, which is there
    /// until it is discarded, for those who read it. Never the last log. One at a time.
    fn rewrite(
        &self,
        pack: u32,
        keep: &mut dyn FnMut(&ReplayRecord) -> Result<Keep>,
    ) -> Result<u32> {
        let _ = keep;
        Err(StoreError::Other(format!("pack {pack} cannot be rewritten in this store")))
    }

    /// Removes a pack that is needed by nobody: one that was replaced, or a large body that is
    /// gone. Answers the bytes that are free now; `None`: somebody is reading it, try again later.
    fn discard(&self, pack: u32) -> Result<Option<u64>> {
        let _ = pack;
        Ok(None)
    }

    /// Bodies that are needed by nobody any more: the record that says so is in the log, the index
    /// is about to follow. Where [`frees_at_once`](Self::frees_at_once) they are gone afterwards,
    /// after a power failure as well, unless the system does not let go of them now: then the next
    /// call tries again. Elsewhere compaction does it. Done twice it is the same.
    fn release(&self, gone: &[Location]) -> Result<()> {
        let _ = gone;
        Ok(())
    }

    /// What is released is gone: there is nothing to compact.
    fn frees_at_once(&self) -> bool {
        false
    }

    fn usage(&self) -> Usage;
}

/// A body that is being written. Dropped: removed.
pub trait Segment: Send {
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    fn written(&self) -> u64;

    /// Syncs what was written. To be done on the caller's own thread, before the record is
    /// handed to the writer.
    fn seal(self: Box<Self>) -> Result<Sealed>;
}

/// A synced segment that no record names yet. Dropped: removed.
pub struct Sealed(pub(crate) Box<dyn SealedBody>);

pub(crate) trait SealedBody: Send {
    fn len(&self) -> u64;
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any>;
}

impl Sealed {
    /// Bytes of the body.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u64 {
        self.0.len()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("len", &self.len()).finish()
    }
}

/// One change, borrowed from whoever makes it. The body is `head` followed by `body`: file meta
/// and data set need not be copied together first.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub kind: Kind,
    /// What the archive wants to find again on replay; its own format, at most 64 KiB.
    pub note: &'a [u8],
    pub head: &'a [u8],
    pub body: &'a [u8],
}

/// What a record tells. Numbers are part of the format: add, never change.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum Kind {
    Instance = 1,
    Delete = 2,
    Hide = 3,
    Relabel = 4,
    Merge = 5,
    Label = 6,
    Protect = 7,
    /// A pack was rewritten: what lay in one lies in another.
    Moved = 8,
}

impl Kind {
    pub(crate) fn from_u8(number: u8) -> Option<Self> {
        use Kind::*;
        [Instance, Delete, Hide, Relabel, Merge, Label, Protect, Moved]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// Where a body is. `pack` 0: in the file with the number `offset`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Location {
    pub pack: u32,
    pub offset: u64,
    pub len: u64,
    /// CRC-32 of the body.
    pub crc: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pack {} byte {} length {}", self.pack, self.offset, self.len)
    }
}

/// A body that is read in pieces, and its checksum so far.
#[derive(Clone, Debug)]
pub struct Reading {
    at: Location,
    done: u64,
    crc: crc32fast::Hasher,
}

impl Reading {
    pub fn of(at: Location) -> Self {
        Self { at, done: 0, crc: crc32fast::Hasher::new() }
    }

    /// Bytes that have not been read.
    pub fn left(&self) -> u64 {
        self.at.len.saturating_sub(self.done)
    }

    /// The same bytes lie there by now.
    pub fn moved(&mut self, to: Location) {
        self.at = to;
    }
}

/// A point between two records. `sequence` is that of the next record; `pack` and `offset` say
/// where it is expected.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Position {
    pub sequence: u64,
    pub pack: u32,
    pub offset: u64,
}

impl PartialOrd for Position {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.sequence.cmp(&other.sequence))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// One for each record, in order.
    pub locations: Vec<Location>,
    /// After the last record: what the index notes once it has taken the batch in.
    pub end: Position,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReplayRecord {
    pub kind: Kind,
    pub note: Vec<u8>,
    pub location: Location,
    pub sequence: u64,
    /// After this record.
    pub end: Position,
}

/// What becomes of a record when its pack is rewritten.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Keep {
    /// It stays as it is.
    Whole,
    /// Its body is gone, and this is left of its note.
    Note(Vec<u8>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackInfo {
    pub number: u32,
    pub on_disk: u64,
    pub role: Role,
}

/// What a pack is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// A log that holds records `first` to `end`, with so many bytes of bodies at most.
    Log { first: u64, end: u64, bodies: u64 },
    /// The log that is written to, or was last: never rewritten.
    Last { first: u64 },
    /// One large body.
    Single,
    /// Records whose bodies are files of their own: never rewritten.
    Records { first: u64 },
    /// Its records are in another pack by now, the log that begins with `first`.
    Replaced { first: u64 },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Usage {
    pub packs: u64,
    /// Bytes of the files, preallocated space included.
    pub on_disk: u64,
}
