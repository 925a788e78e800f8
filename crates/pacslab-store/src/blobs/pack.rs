//! Objects in packs: `000001.pack`, `000002.pack`, …, each filled to a limit.
//!
//! A batch is one write and one `fdatasync` into space that was filled with zeros before, so that
//! no metadata has to be committed with it (measured: 8,600–10,700 syncs a second against
//! 3,500–4,100 for a new file each). A body beyond what fits comfortably is spooled into a file
//! of its own, which becomes a pack when a record of the log names it.
//!
//! What a failure leaves behind is decided by numbers: a pack says with which sequence number it
//! begins, and whatever its predecessor holds from that number on does not count.

mod reading;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::record::{self, PACK_HEADER, PackHeader, RECORD_HEADER};
use super::recover::recover;
use super::rewrite;
use super::scan::Scan;
use super::spool::Spool;
use super::*;
use crate::disk::{Disk, DiskFile, StdDisk};
use crate::error::StoreError;

/// How packs are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackOptions {
    /// A pack is full at this size.
    pub limit: u64,
    /// Zeros are written ahead in steps that grow from the first to the second.
    pub grow: (u64, u64),
    /// How far is written is noted each time so much has come.
    pub mark: u64,
    /// Bodies from this size on are written from where they are: a copy would cost more than another
    /// write.
    pub in_place: usize,
    /// For batches from this size on no zeros are written ahead.
    pub large: u64,
}

impl Default for PackOptions {
    fn default() -> Self {
        Self {
            limit: 256 << 20,
            grow: (1 << 20, 4 << 20),
            mark: 16 << 20,
            in_place: 64 << 10,
            large: 128 << 10,
        }
    }
}

#[derive(Debug)]
pub struct PackBlobs {
    pub(super) folder: Folder,
    options: PackOptions,
    writer: Mutex<Writer>,
    /// Open packs, for those who read.
    pub(super) files: Mutex<HashMap<u32, Arc<dyn DiskFile>>>,
}

/// The folder of the packs.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) path: PathBuf,
}

#[derive(Debug)]
pub(super) struct Writer {
    /// Where the next record goes. `None`: a new pack has to be begun.
    pub(super) current: Option<Current>,
    pub(super) next_pack: u32,
    pub(super) next_spool: u32,
    /// Of the next record.
    pub(super) sequence: u64,
    /// The packs that are logs, by the first sequence number.
    pub(super) logs: BTreeMap<u64, Log>,
    /// Packs with one large body.
    pub(super) singles: BTreeSet<u32>,
    /// Packs whose records another one holds by now, with the first sequence number.
    pub(super) replaced: BTreeMap<u32, u64>,
    /// Bytes of each pack, whatever is in it.
    pub(super) sizes: BTreeMap<u32, u64>,
    pub(super) buffer: Vec<u8>,
    /// Bodies that no record names.
    pub(super) unnamed: Vec<u32>,
    /// The last log ended as it should when it was opened.
    pub(super) clean: bool,
}

/// A pack with records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    pub(super) number: u32,
    pub(super) header: PackHeader,
}

#[derive(Debug)]
pub(super) struct Current {
    pub(super) number: u32,
    pub(super) path: PathBuf,
    pub(super) file: Arc<dyn DiskFile>,
    pub(super) end: u64,
    pub(super) chain: u32,
    /// Space up to here is allocated and durable.
    pub(super) ready: u64,
    /// Room is taken up to here. `None`: the file system does not do that, or has none left.
    pub(super) allocated: Option<u64>,
    /// Where the last record begins.
    pub(super) last: u64,
    /// Packs with one large body that records of this log name.
    pub(super) named: Vec<u32>,
    /// The end when it was noted last.
    pub(super) marked: u64,
}

/// Of which records the body is a reference to where the body is.
pub(super) type Elsewhere = fn(&Record<'_>) -> bool;

impl PackBlobs {
    /// Opens the packs in a folder, made if it is not there.
    pub fn open(dir: &Path, options: PackOptions) -> Result<Self> {
        Self::open_on(Arc::new(StdDisk), dir, options)
    }

    /// As [`open`](Self::open), on a file system of the caller's.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, options: PackOptions) -> Result<Self> {
        disk.create_dir_all(dir).map_err(|e| StoreError::io("create folder", dir, 0, e))?;
        let folder = Folder { disk, path: dir.to_owned() };
        let writer = recover(&folder)?;
        Ok(Self { folder, options, writer: Mutex::new(writer), files: Mutex::default() })
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of the next record, whose pack is there and takes so many bytes.
    pub(super) fn ready(&self, needed: u64) -> Result<u64> {
        let mut writer = self.writer();
        writer.make_room(&self.folder, &self.options, needed)?;
        Ok(writer.sequence)
    }

    /// Appends records of which some are references.
    pub(super) fn append_some(
        &self,
        batch: &[Record<'_>],
        elsewhere: Elsewhere,
    ) -> Result<Appended> {
        self.writer().append(&self.folder, &self.options, batch, elsewhere)
    }

    pub(super) fn next_spool(&self) -> u32 {
        let mut writer = self.writer();
        writer.next_spool += 1;
        writer.next_spool
    }
}

impl Blobs for PackBlobs {
    fn append(&self, batch: &[Record<'_>]) -> Result<Appended> {
        record::check_notes(batch.iter().map(|r| r.note))?;
        self.writer().append(&self.folder, &self.options, batch, |_| false)
    }

    fn read(&self, at: &Location) -> Result<Vec<u8>> {
        let bytes = self.read_at(at, 0, usize::try_from(at.len).unwrap_or(usize::MAX))?;
        if crc32fast::hash(&bytes) != at.crc {
            return Err(self.damaged(at));
        }
        Ok(bytes)
    }

    fn read_range(&self, at: &Location, offset: u64, len: usize) -> Result<Vec<u8>> {
        self.read_at(at, offset, len)
    }

    fn read_into(&self, at: &Location, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let file = self.holder(at)?;
        let len = (at.len.saturating_sub(offset)).min(buffer.len() as u64) as usize;
        self.fill(&*file, at, offset, &mut buffer[..len])
    }

    fn read_into_now(&self, at: &Location, offset: u64, buffer: &mut [u8]) -> bool {
        self.fill_now(at, offset, buffer)
    }

    fn damaged(&self, at: &Location) -> StoreError {
        StoreError::Damaged {
            path: self.folder.pack(at.pack),
            offset: at.offset,
            what: "the CRC of an object is wrong".to_owned(),
        }
    }

    fn begin_segment(&self) -> Result<Box<dyn Segment>> {
        Ok(Box::new(Spool::begin(self.folder.clone(), self.next_spool())?))
    }

    fn adopt(&self, sealed: Sealed, kind: Kind, note: &[u8]) -> Result<Appended> {
        record::check_notes([note])?;
        let mut spool = sealed.0.into_any().downcast::<Spool>().map_err(|_| record::foreign())?;
        if spool.folder.path != self.folder.path {
            return Err(record::foreign());
        }
        let mut writer = self.writer();
        // Before a number is given to the body, so that it is greater than that of the log whose
        // record names it: so an unnamed one is known after a crash.
        let needed = (RECORD_HEADER + note.len() + 64) as u64;
        writer.make_room(&self.folder, &self.options, needed)?;
        let number = writer.next_pack;
        writer.next_pack += 1;
        let location = spool.become_pack(number)?;
        let reference = record::encode_reference(&location);
        let record = Record { kind, note, head: &reference, body: &[] };
        // before the record: where the log ends may be noted with it, and what no log names goes
        if let Some(current) = &mut writer.current {
            current.named.push(number);
        }
        let appended = writer.append(&self.folder, &self.options, &[record], |_| true)?;
        writer.sizes.insert(number, location.offset + location.len);
        writer.singles.insert(number);
        spool.kept = true;
        Ok(Appended { locations: vec![location], end: appended.end })
    }

    fn replay(
        &self,
        from: Position,
        visit: &mut dyn FnMut(&ReplayRecord) -> Result<()>,
    ) -> Result<Position> {
        let (logs, end) = {
            let writer = self.writer();
            (writer.logs.clone(), writer.position())
        };
        if from.sequence > end.sequence {
            return Err(StoreError::Damaged {
                path: self.folder.path.clone(),
                offset: 0,
                what: format!(
                    "record {} was seen before, but the packs end with {}",
                    from.sequence, end.sequence
                ),
            });
        }
        if let Some(first) = logs.keys().next().filter(|first| **first > from.sequence) {
            return Err(StoreError::Damaged {
                path: self.folder.path.clone(),
                offset: 0,
                what: format!("records {} to {} are in no pack", from.sequence, first - 1),
            });
        }
        let ends = logs.keys().skip(1).copied().chain([end.sequence]);
        for ((first, log), last) in logs.iter().zip(ends) {
            if last > from.sequence {
                self.replay_pack(log, *first, last, from, visit)?;
            }
        }
        Ok(end)
    }

    fn sweep(&self) -> Result<()> {
        let mut writer = self.writer();
        for number in std::mem::take(&mut writer.unnamed) {
            writer.sizes.remove(&number);
            writer.singles.remove(&number);
            super::recover::remove(&self.folder, &self.folder.pack(number))?;
        }
        Ok(())
    }

    fn position(&self) -> Position {
        self.writer().position()
    }

    fn usage(&self) -> Usage {
        let writer = self.writer();
        Usage { packs: writer.sizes.len() as u64, on_disk: writer.sizes.values().sum() }
    }

    fn packs(&self) -> Vec<PackInfo> {
        self.writer().packs()
    }

    fn walk(&self, first: u64, visit: &mut dyn FnMut(&ReplayRecord) -> Result<()>) -> Result<()> {
        let (log, end) = self.writer().log(first)?;
        self.replay_pack(&log, first, end, Position::default(), visit)
    }

    fn rewrite(
        &self,
        pack: u32,
        keep: &mut dyn FnMut(&ReplayRecord) -> Result<Keep>,
    ) -> Result<u32> {
        rewrite::rewrite(self, pack, keep)
    }

    fn discard(&self, pack: u32) -> Result<Option<u64>> {
        rewrite::discard(self, pack)
    }
}

/// A clean end: the next start need not read the last log again.
impl Drop for PackBlobs {
    fn drop(&mut self) {
        self.writer().mark(&self.folder, 1);
    }
}

impl PackBlobs {
    /// The records of one log from `from` up to, but not including, number `last`.
    fn replay_pack(
        &self,
        log: &Log,
        first: u64,
        last: u64,
        from: Position,
        visit: &mut dyn FnMut(&ReplayRecord) -> Result<()>,
    ) -> Result<()> {
        let number = log.number;
        let path = self.folder.pack(number);
        let file = self.file(number)?;
        let mut scan = Scan {
            pack: number,
            path: &path,
            file: &*file,
            offset: PACK_HEADER as u64,
            sequence: first,
            chain: Some(log.header.chain()),
            thorough: false,
        };
        if from.pack == number && from.sequence > first && from.offset > PACK_HEADER as u64 {
            let mut probe =
                Scan { offset: from.offset, sequence: from.sequence, chain: None, ..scan };
            if probe.step()?.is_some() {
                scan = Scan { offset: from.offset, sequence: from.sequence, chain: None, ..probe };
            }
        }
        while scan.sequence < last {
            let at = scan.offset;
            let Some(found) = scan.step()? else {
                return Err(StoreError::Damaged {
                    path: path.clone(),
                    offset: at,
                    what: format!("record {} is not readable", scan.sequence),
                });
            };
            if found.sequence < from.sequence {
                continue;
            }
            let end = Position { sequence: scan.sequence, pack: number, offset: scan.offset };
            visit(&ReplayRecord {
                kind: found.kind,
                note: found.note,
                location: found.location,
                sequence: found.sequence,
                end,
            })?;
        }
        Ok(())
    }
}

impl Writer {
    fn position(&self) -> Position {
        let (pack, offset) = self.current.as_ref().map_or((0, 0), |c| (c.number, c.end));
        Position { sequence: self.sequence, pack, offset }
    }

    fn append(
        &mut self,
        folder: &Folder,
        options: &PackOptions,
        batch: &[Record<'_>],
        elsewhere: Elsewhere,
    ) -> Result<Appended> {
        if batch.is_empty() {
            return Ok(Appended { locations: Vec::new(), end: self.position() });
        }
        let needed = batch.iter().map(record::size).sum();
        self.make_room(folder, options, needed)?;
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let answer = match &mut self.current {
            Some(current) => {
                let (locations, chain, last, bodies) =
                    encode(&mut buffer, batch, options.in_place, elsewhere, self.sequence, current);
                current.write(&Bytes { gathered: &buffer, bodies }, options).map(|()| {
                    current.last = last;
                    current.end += needed;
                    current.chain = chain;
                    self.sequence += batch.len() as u64;
                    let taken = current.ready.max(current.allocated.unwrap_or_default());
                    self.sizes.insert(current.number, taken);
                    locations
                })
            }
            None => Err(Failed::Retire(std::io::Error::other("no pack is open"))),
        };
        // a batch of many objects must not hold its memory for ever
        buffer.shrink_to(4 << 20);
        self.buffer = buffer;
        match answer {
            Ok(locations) => {
                self.mark(folder, options.mark);
                Ok(Appended { locations, end: self.position() })
            }
            Err(failed) => {
                let retired = self.current.take_if(|_| matches!(failed, Failed::Retire(_)));
                let path = retired.as_ref().or(self.current.as_ref()).map(|c| c.path.clone());
                if let Some(path) = &retired {
                    tracing::error!(pack = %path.path.display(), "a pack failed and is retired");
                    // The next pack says what of this one counts. If it cannot be begun now, it
                    // will be with the next batch.
                    let _ = self.make_room(folder, options, needed);
                }
                let (Failed::Undone(source) | Failed::Retire(source)) = failed;
                Err(StoreError::io("write", &path.unwrap_or_default(), needed, source))
            }
        }
    }

    /// Notes how far is written, when `step` bytes have come since that was done last.
    fn mark(&mut self, folder: &Folder, step: u64) {
        let Some((first, _)) = self.logs.last_key_value() else { return };
        let Some(current) = &mut self.current else { return };
        if current.end - current.marked >= step.max(1) {
            current.marked = current.end;
            mark::write(folder, *first, self.sequence, current);
        }
    }

    /// Ends with an open pack that takes `needed` bytes.
    fn make_room(&mut self, folder: &Folder, options: &PackOptions, needed: u64) -> Result<()> {
        if self.current.as_ref().is_some_and(|current| {
            current.end + needed <= options.limit || current.end == PACK_HEADER as u64
        }) {
            return Ok(());
        }
        self.current = None;
        let number = self.next_pack;
        // Never used twice: a file of this number may be left behind half made.
        self.next_pack += 1;
        let header = PackHeader::Log { number, first: self.sequence };
        let path = folder.pack(number);
        let failed = |source| StoreError::io("create", &path, needed, source);
        let file = folder.disk.create(&path).map_err(failed)?;
        let ahead = if number == 1 { options.grow.0 } else { options.grow.1 };
        let made = || {
            file.write_all_at(&header.encode(), 0)?;
            let ready = PACK_HEADER as u64;
            let ready = write_zeros(&*file, ready, ahead.clamp(ready, options.limit.max(ready)))?;
            file.sync_all()?;
            folder.disk.sync_dir(&folder.path)?;
            Ok(ready)
        };
        match made() {
            Ok(ready) => {
                self.logs.insert(self.sequence, Log { number, header });
                self.sizes.insert(number, ready);
                self.current = Some(Current {
                    number,
                    path,
                    file,
                    end: PACK_HEADER as u64,
                    chain: header.chain(),
                    ready,
                    allocated: Some(ready),
                    last: 0,
                    named: Vec::new(),
                    marked: PACK_HEADER as u64,
                });
                Ok(())
            }
            Err(source) => {
                // If even this fails, recovery passes over it: it holds no record.
                let _ = folder.disk.remove(&path);
                Err(failed(source))
            }
        }
    }
}

/// How a write failed.
enum Failed {
    /// Nothing of it is there; the pack goes on.
    Undone(std::io::Error),
    /// Nobody knows what of it is there.
    Retire(std::io::Error),
}

impl Current {
    fn write(&mut self, bytes: &Bytes<'_>, options: &PackOptions) -> Result<(), Failed> {
        let large = bytes.len() >= options.large;
        if large {
            self.allocate(self.end + bytes.len(), options);
        }
        let mut end = self.end;
        for part in bytes.parts() {
            if let Err(error) = self.file.write_all_at(part, end) {
                return Err(self.undo(error));
            }
            end += part.len() as u64;
        }
        if end <= self.ready {
            return self.file.sync_data().map_err(Failed::Retire);
        }
        // Beyond the zeros: new ones are written behind this batch, one sync for both. A large
        // batch is worth a commit of metadata; zeros for it would cost as much as the batch.
        let step = match large {
            true => 0,
            false => end.clamp(options.grow.0, options.grow.1.max(options.grow.0)),
        };
        let target = (end + step).min(options.limit.max(end));
        let ready = match write_zeros(&*self.file, end, target) {
            Ok(ready) => ready,
            Err(error) => return Err(Failed::Retire(error)),
        };
        self.file.sync_all().map_err(Failed::Retire)?;
        self.ready = ready;
        Ok(())
    }

    /// Takes room beyond `end`, where there is not enough: a sync that has to take it for each of
    /// some thousand blocks costs more (measured: a third of its time).
    fn allocate(&mut self, end: u64, options: &PackOptions) {
        let Some(allocated) = self.allocated else { return };
        let from = allocated.max(self.ready);
        if end <= from {
            return;
        }
        let step = end.clamp(options.grow.0, 2 * options.grow.1.max(options.grow.0));
        let target = (end + step).min(options.limit.max(end));
        self.allocated = self.file.allocate(from, target - from).ok().map(|()| target);
    }

    /// After a write that did not fit: no part of it may be found as a record.
    fn undo(&self, error: std::io::Error) -> Failed {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        if !matches!(error.kind(), StorageFull | QuotaExceeded) {
            return Failed::Retire(error);
        }
        let len = self.file.len().unwrap_or(u64::MAX);
        let header = len.saturating_sub(self.end).min(RECORD_HEADER as u64) as usize;
        let wiped = self
            .file
            .write_all_at(&[0; RECORD_HEADER][..header], self.end)
            .and_then(|()| self.file.sync_data());
        match wiped {
            Ok(()) => Failed::Undone(error),
            Err(_) => Failed::Retire(error),
        }
    }
}

/// What is appended: large bodies lie between what was gathered, each at its place in that.
struct Bytes<'a> {
    gathered: &'a [u8],
    bodies: Vec<(usize, &'a [u8])>,
}

impl Bytes<'_> {
    fn len(&self) -> u64 {
        let bodies: usize = self.bodies.iter().map(|(_, body)| body.len()).sum();
        (self.gathered.len() + bodies) as u64
    }

    fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.bodies.iter().map(|(at, _)| *at));
        let ends = self.bodies.iter().map(|(at, _)| *at).chain([self.gathered.len()]);
        let bodies = self.bodies.iter().map(|(_, body)| *body).chain([&[][..]]);
        let parts = begins.zip(ends).zip(bodies);
        parts
            .flat_map(|((begin, end), body)| [&self.gathered[begin..end], body])
            .filter(|part| !part.is_empty())
    }
}

type Encoded<'a> = (Vec<Location>, u32, u64, Vec<(usize, &'a [u8])>);

fn encode<'a>(
    buffer: &mut Vec<u8>,
    batch: &[Record<'a>],
    in_place: usize,
    elsewhere: Elsewhere,
    first: u64,
    current: &Current,
) -> Encoded<'a> {
    let (mut chain, mut last) = (current.chain, current.last);
    let (mut bodies, mut offset) = (Vec::new(), current.end);
    let locations = (first..)
        .zip(batch)
        .map(|(sequence, record)| {
            last = offset;
            let header = record::push(buffer, record, elsewhere(record), sequence, chain);
            if record.body.len() < in_place {
                buffer.extend_from_slice(record.body);
            } else {
                bodies.push((buffer.len(), record.body));
            }
            chain = header.chain();
            offset += header.total();
            Location {
                pack: current.number,
                offset: offset - header.body_len,
                len: header.body_len,
                crc: header.body_crc,
            }
        })
        .collect();
    (locations, chain, last, bodies)
}

/// Writes zeros as far as there is space; answers how far.
fn write_zeros(file: &dyn DiskFile, from: u64, to: u64) -> std::io::Result<u64> {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    const CHUNK: u64 = 1 << 20;
    let zeros = vec![0; to.saturating_sub(from).min(CHUNK) as usize];
    let mut at = from;
    while at < to {
        let len = (to - at).min(CHUNK) as usize;
        match file.write_all_at(&zeros[..len], at) {
            Ok(()) => at += len as u64,
            Err(error) if matches!(error.kind(), StorageFull | QuotaExceeded) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(at)
}

impl Folder {
    pub(super) fn pack(&self, number: u32) -> PathBuf {
        self.path.join(format!("{number:06}.pack"))
    }
}

#[cfg(test)]
mod tests;
