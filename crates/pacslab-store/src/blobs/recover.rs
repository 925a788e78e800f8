//! Opening packs after whatever happened to them.
//!
//! Only the last log can have been written to when the power went: its records are read to the
//! last good CRC. Files that were being made go at once; bodies that no record came to name go when
//! the index has agreed that the log is all there (`Blobs::sweep`).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use super::mark;
use super::pack::{Current, Folder, Log, Writer};
use super::record::{PACK_HEADER, PackHeader};
use super::scan::Scan;
use super::spool::is_spool;
use crate::disk::DiskFile;
use crate::error::{Result, StoreError};

/// Finds out what is there after whatever happened.
pub(super) fn recover(folder: &Folder) -> Result<Writer> {
    let io = |what, source| StoreError::io(what, &folder.path, 0, source);
    let mut writer = Writer {
        current: None,
        next_pack: 1,
        next_spool: 0,
        sequence: 0,
        logs: BTreeMap::new(),
        singles: BTreeSet::new(),
        replaced: BTreeMap::new(),
        sizes: BTreeMap::new(),
        buffer: Vec::new(),
        unnamed: Vec::new(),
        clean: true,
    };
    let mut unfinished = Vec::new();
    let mut headers = BTreeMap::new();
    for name in folder.disk.list(&folder.path).map_err(|e| io("list", e))? {
        if is_spool(&name) {
            unfinished.push(folder.path.join(&name));
            continue;
        }
        let number = name.strip_suffix(".pack").and_then(|n| n.parse::<u32>().ok());
        // a copy that somebody made beside it (`7.pack`, `+000007.pack`) is not ours
        let Some(number) = number.filter(|n| folder.pack(*n) == folder.path.join(&name)) else {
            continue;
        };
        writer.next_pack = writer.next_pack.max(number.saturating_add(1));
        let path = folder.pack(number);
        let read = |source| StoreError::io("read", &path, 0, source);
        let file = folder.disk.open(&path).map_err(|e| StoreError::io("open", &path, 0, e))?;
        let mut start = [0; PACK_HEADER];
        let len = file.read_at(&mut start, 0).map_err(read)?;
        match PackHeader::decode(&start[..len]) {
            Ok(Some(header)) => {
                headers.insert(number, header);
                writer.sizes.insert(number, file.len().map_err(read)?);
            }
            Ok(None) => unfinished.push(path),
            // The power went while the first bytes were written.
            Err(_) if is_empty_behind_header(&*file).map_err(read)? => unfinished.push(path),
            Err(what) => return Err(StoreError::Damaged { path, offset: 0, what }),
        }
    }
    sort(&mut writer, headers);
    if writer.logs.is_empty() && !writer.sizes.is_empty() {
        // A log is on the disk before the first body it names.
        return Err(StoreError::Damaged {
            path: folder.path.clone(),
            offset: 0,
            what: format!(
                "{} objects lie here, but the log that names them is gone",
                writer.sizes.len()
            ),
        });
    }
    let (named, clean) = recover_last(folder, &mut writer)?;
    let last = writer.logs.last_key_value().map_or(0, |(_, log)| log.number);
    writer.clean = clean;
    // Behind a damaged record may stand those that name them: nothing is touched then.
    if clean {
        let unnamed = writer.singles.range(last + 1..).copied();
        writer.unnamed = unnamed.filter(|n| !named.contains(n)).collect();
    }
    for path in unfinished {
        remove(folder, &path)?;
    }
    Ok(writer)
}

/// What each pack is for. Of two logs that begin with the same number the later one counts: the
/// earlier one was rewritten into it, or was given up before anything was in it.
fn sort(writer: &mut Writer, headers: BTreeMap<u32, PackHeader>) {
    for (number, header) in headers {
        match header {
            PackHeader::Single => drop(writer.singles.insert(number)),
            PackHeader::Log { first, .. } | PackHeader::Rewritten { first, .. } => {
                if let Some(earlier) = writer.logs.insert(first, Log { number, header }) {
                    writer.replaced.insert(earlier.number, first);
                }
            }
        }
    }
}

/// Removes a file that an interrupted write left behind.
pub(super) fn remove(folder: &Folder, path: &Path) -> Result<()> {
    tracing::info!(path = %path.display(), "removing what an interrupted write left behind");
    folder.disk.remove(path).map_err(|e| StoreError::io("remove", path, 0, e))
}

fn is_empty_behind_header(file: &dyn DiskFile) -> std::io::Result<bool> {
    let mut chunk = vec![0; 1 << 20];
    let mut at = PACK_HEADER as u64;
    loop {
        let read = file.read_at(&mut chunk, at)?;
        if read == 0 {
            return Ok(true);
        }
        if chunk[..read].iter().any(|b| *b != 0) {
            return Ok(false);
        }
        at += read as u64;
    }
}

/// Walks the last log to its end, which is where writing goes on. Answers the packs it names, and
/// whether it ends as it should.
fn recover_last(folder: &Folder, writer: &mut Writer) -> Result<(HashSet<u32>, bool)> {
    let mut named = HashSet::new();
    let Some((&first, &Log { number, header })) = writer.logs.last_key_value() else {
        return Ok((named, true));
    };
    let path = folder.pack(number);
    let file = folder.disk.open(&path).map_err(|e| StoreError::io("open", &path, 0, e))?;
    let chain = header.chain();
    let mut scan = Scan {
        pack: number,
        path: &path,
        file: &*file,
        offset: PACK_HEADER as u64,
        sequence: first,
        chain: Some(chain),
        thorough: true,
    };
    named.extend(mark::skip(folder, &mut scan)?);
    let (mut last, marked) = (scan.offset, scan.offset);
    loop {
        let begins = scan.offset;
        let Some(found) = scan.step()? else { break };
        last = begins;
        if found.elsewhere {
            named.insert(found.location.pack);
        }
    }
    writer.sequence = scan.sequence;
    let (end, chain) = (scan.offset, scan.chain.unwrap_or(chain));
    let clean = scan.ends_clean()?;
    if matches!(header, PackHeader::Rewritten { .. }) {
        // complete as it is; what follows begins a pack
    } else if clean {
        // What was read may still be in the page cache alone, left by a killed process: before
        // it counts as stored it has to be.
        file.sync_all().map_err(|e| StoreError::io("sync", &path, 0, e))?;
        let ready = file.len().map_err(|e| StoreError::io("read", &path, 0, e))?;
        let named = named.iter().copied().collect();
        let allocated = Some(ready);
        writer.current =
            Some(Current { number, path, file, end, chain, ready, allocated, last, named, marked });
    } else {
        // A torn batch. It is left as it is, for whoever wants to look; a new pack is begun.
        tracing::warn!(pack = %path.display(), offset = end,
            "the log ends in a batch that is not whole: it was being written when the power went, \
             or the pack is damaged; it is left as it is");
        file.sync_all().map_err(|e| StoreError::io("sync", &path, 0, e))?;
    }
    Ok((named, clean))
}
