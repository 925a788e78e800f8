//! Compaction: a pack is written anew without the objects that are gone, then the old one goes.
//!
//! Records keep their numbers and their order, so that replaying the log ends in the same state as
//! before. The new pack gets its name when all of it is durable, and stands for the old one from
//! then on; a power failure before that leaves a file that is swept away. Locations in the old pack
//! stay good until it is discarded.

use std::sync::Arc;

use super::pack::{Log, PackBlobs, Writer};
use super::record::{self, PACK_HEADER, PackHeader};
use super::scan::Scan;
use super::{Keep, PackInfo, Record, ReplayRecord, Role};
use crate::blobs::{Kind, Position};
use crate::disk::DiskFile;
use crate::error::{Result, StoreError};

/// Bytes that gather before they are written.
const CHUNK: usize = 4 << 20;

impl Writer {
    pub(super) fn packs(&self) -> Vec<PackInfo> {
        let ends = self.logs.keys().skip(1).copied().map(Some).chain([None]);
        let mut roles: std::collections::HashMap<u32, Role> = self
            .logs
            .iter()
            .zip(ends)
            .map(|((first, log), end)| {
                let size = self.sizes.get(&log.number).copied().unwrap_or_default();
                let role = match (end, log.header) {
                    (None, _) => Role::Last { first: *first },
                    (Some(end), PackHeader::Rewritten { bodies, .. }) => {
                        Role::Log { first: *first, end, bodies }
                    }
                    (Some(end), _) => Role::Log { first: *first, end, bodies: size },
                };
                (log.number, role)
            })
            .collect();
        roles.extend(self.singles.iter().map(|number| (*number, Role::Single)));
        roles.extend(self.replaced.iter().map(|(n, first)| (*n, Role::Replaced { first: *first })));
        self.sizes
            .iter()
            .filter_map(|(number, on_disk)| {
                let role = *roles.get(number)?;
                Some(PackInfo { number: *number, on_disk: *on_disk, role })
            })
            .collect()
    }

    /// The log that begins with this number, and where it ends.
    pub(super) fn log(&self, first: u64) -> Result<(Log, u64)> {
        let log = self
            .logs
            .get(&first)
            .ok_or_else(|| StoreError::Other(format!("no log begins with record {first}")))?;
        let end = self.logs.range(first + 1..).next().map_or(self.sequence, |(next, _)| *next);
        Ok((*log, end))
    }
}

pub(super) fn rewrite(
    blobs: &PackBlobs,
    pack: u32,
    keep: &mut dyn FnMut(&ReplayRecord) -> Result<Keep>,
) -> Result<u32> {
    let (log, first, end, number) = {
        let mut writer = blobs.writer();
        let found = writer.logs.iter().find(|(_, log)| log.number == pack);
        let Some((first, log)) = found.map(|(first, log)| (*first, *log)) else {
            return Err(StoreError::Other(format!("pack {pack} is no log")));
        };
        if writer.logs.range(first + 1..).next().is_none() {
            return Err(StoreError::Other(format!("pack {pack} is the one that is written to")));
        }
        let (_, end) = writer.log(first)?;
        let number = writer.next_pack;
        writer.next_pack += 1;
        (log, first, end, number)
    };
    let folder = &blobs.folder;
    let path = folder.path.join(format!("{number:06}.new.part"));
    let file = folder.disk.create(&path).map_err(|e| StoreError::io("create", &path, 0, e))?;
    let mut copy =
        Copy { file, path: &path, buffer: Vec::new(), at: PACK_HEADER as u64, bodies: 0 };
    let begin = |bodies| PackHeader::Rewritten { number, first, end, replaces: log.number, bodies };
    let done = copy
        .records(blobs, &log, first, end, begin, keep)
        .and_then(|header| finish(blobs, &copy, number, first, header));
    if done.is_err() {
        // what cannot be removed now is when the folder is opened next
        let _ = folder.disk.remove(&path);
    }
    done.map(|()| number)
}

/// Gives the copy its name. Until then it was nobody's.
fn finish(
    blobs: &PackBlobs,
    copy: &Copy<'_>,
    number: u32,
    first: u64,
    header: PackHeader,
) -> Result<()> {
    let folder = &blobs.folder;
    let failed = |what| move |e| StoreError::io(what, copy.path, copy.at, e);
    copy.file.sync_all().map_err(failed("sync"))?;
    folder.disk.rename(copy.path, &folder.pack(number)).map_err(failed("rename"))?;
    folder.disk.sync_dir(&folder.path).map_err(failed("sync"))?;
    let mut writer = blobs.writer();
    writer.sizes.insert(number, copy.at);
    if let Some(old) = writer.logs.insert(first, Log { number, header }) {
        writer.replaced.insert(old.number, first);
    }
    Ok(())
}

struct Copy<'a> {
    file: Arc<dyn DiskFile>,
    path: &'a std::path::Path,
    buffer: Vec<u8>,
    /// Where the next byte goes.
    at: u64,
    /// Bytes of bodies kept.
    bodies: u64,
}

impl Copy<'_> {
    fn records(
        &mut self,
        blobs: &PackBlobs,
        log: &Log,
        first: u64,
        end: u64,
        begin: impl Fn(u64) -> PackHeader,
        keep: &mut dyn FnMut(&ReplayRecord) -> Result<Keep>,
    ) -> Result<PackHeader> {
        let old = blobs.folder.pack(log.number);
        let from = blobs.file(log.number)?;
        let damaged = |offset, sequence: u64| StoreError::Damaged {
            path: old.clone(),
            offset,
            what: format!("record {sequence} is not readable"),
        };
        // the header says how much is kept, and the first record names the header: so its place
        // in the chain is known when all has been decided
        let mut fates = Vec::with_capacity((end - first) as usize);
        let mut scan = Scan {
            pack: log.number,
            path: &old,
            file: &*from,
            offset: PACK_HEADER as u64,
            sequence: first,
            chain: Some(log.header.chain()),
            thorough: true,
        };
        while scan.sequence < end {
            let at = scan.offset;
            let found = scan.step()?.ok_or_else(|| damaged(at, scan.sequence))?;
            let record = ReplayRecord {
                kind: found.kind,
                note: found.note,
                location: found.location,
                sequence: found.sequence,
                end: Position { sequence: scan.sequence, pack: log.number, offset: scan.offset },
            };
            let fate = match record.location.len {
                // it was given up before
                0 if record.kind == Kind::Instance => Keep::Whole,
                _ => keep(&record)?,
            };
            if fate == Keep::Whole && !found.elsewhere && record.kind == Kind::Instance {
                self.bodies += record.location.len;
            }
            fates.push(fate);
        }
        let header = begin(self.bodies);
        self.file
            .write_all_at(&header.encode(), 0)
            .map_err(|e| StoreError::io("write", self.path, PACK_HEADER as u64, e))?;
        let mut chain = header.chain();
        let mut scan = Scan {
            offset: PACK_HEADER as u64,
            sequence: first,
            chain: Some(log.header.chain()),
            thorough: false,
            ..scan
        };
        for fate in fates {
            let at = scan.offset;
            let found = scan.step()?.ok_or_else(|| damaged(at, scan.sequence))?;
            let (note, body, elsewhere) = match fate {
                Keep::Note(note) => (note, Vec::new(), false),
                Keep::Whole if found.elsewhere => {
                    (found.note, record::encode_reference(&found.location).to_vec(), true)
                }
                Keep::Whole => {
                    let mut body = vec![0; found.location.len as usize];
                    let read = from
                        .read_at(&mut body, found.location.offset)
                        .map_err(|e| StoreError::io("read", &old, 0, e))?;
                    if read < body.len() || crc32fast::hash(&body) != found.location.crc {
                        return Err(damaged(at, found.sequence));
                    }
                    (found.note, body, false)
                }
            };
            record::check_notes([note.as_slice()])?;
            let record = Record { kind: found.kind, note: &note, head: &body, body: &[] };
            let written = record::push(&mut self.buffer, &record, elsewhere, found.sequence, chain);
            chain = written.chain();
            if self.buffer.len() >= CHUNK {
                self.flush()?;
            }
        }
        self.flush()?;
        Ok(header)
    }

    fn flush(&mut self) -> Result<()> {
        self.file
            .write_all_at(&self.buffer, self.at)
            .map_err(|e| StoreError::io("write", self.path, self.buffer.len() as u64, e))?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

pub(super) fn discard(blobs: &PackBlobs, pack: u32) -> Result<Option<u64>> {
    // whoever begins to read has to open it, which waits for this
    let mut files = blobs.files.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut writer = blobs.writer();
    if !writer.singles.contains(&pack) && !writer.replaced.contains_key(&pack) {
        return Err(StoreError::Other(format!("pack {pack} is still needed")));
    }
    if files.get(&pack).is_some_and(|file| Arc::strong_count(file) > 1) {
        return Ok(None);
    }
    files.remove(&pack);
    let path = blobs.folder.pack(pack);
    blobs.folder.disk.remove(&path).map_err(|e| StoreError::io("remove", &path, 0, e))?;
    writer.singles.remove(&pack);
    writer.replaced.remove(&pack);
    Ok(Some(writer.sizes.remove(&pack).unwrap_or_default()))
}
