//! Opening packs after whatever happened to them.
//!
//! Only the last log can have been written to when the power went: its records are read to the
//! last good CRC. Files that were being made, and bodies that no record came to name, go.

use std::collections::{BTreeMap, HashSet};

use super::pack::{Current, Folder, Writer};
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
        sizes: BTreeMap::new(),
        buffer: Vec::new(),
    };
    let mut unfinished = Vec::new();
    for name in folder.disk.list(&folder.path).map_err(|e| io("list", e))? {
        if is_spool(&name) {
            unfinished.push(folder.path.join(&name));
            continue;
        }
        let Some(number) = name.strip_suffix(".pack").and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        writer.next_pack = writer.next_pack.max(number + 1);
        let path = folder.pack(number);
        let read = |source| StoreError::io("read", &path, 0, source);
        let file = folder.disk.open(&path).map_err(|e| StoreError::io("open", &path, 0, e))?;
        let mut start = [0; PACK_HEADER];
        let len = file.read_at(&mut start, 0).map_err(read)?;
        match PackHeader::decode(&start[..len]) {
            Ok(Some(PackHeader::Log { first, .. })) => {
                writer.logs.insert(number, first);
                writer.sizes.insert(number, file.len().map_err(read)?);
            }
            Ok(Some(PackHeader::Single)) => {
                writer.sizes.insert(number, file.len().map_err(read)?);
            }
            Ok(None) => unfinished.push(path),
            // The power went while the first bytes were written.
            Err(_) if is_empty_behind_header(&*file).map_err(read)? => unfinished.push(path),
            Err(what) => return Err(StoreError::Damaged { path, offset: 0, what }),
        }
    }
    let named = recover_last(folder, &mut writer)?;
    let last = writer.logs.last_key_value().map_or(0, |(number, _)| *number);
    let orphans: Vec<u32> =
        writer.sizes.range(last + 1..).map(|(n, _)| *n).filter(|n| !named.contains(n)).collect();
    for number in orphans {
        writer.sizes.remove(&number);
        unfinished.push(folder.pack(number));
    }
    for path in unfinished {
        tracing::info!(path = %path.display(), "removing what an interrupted write left behind");
        folder.disk.remove(&path).map_err(|e| StoreError::io("remove", &path, 0, e))?;
    }
    Ok(writer)
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

/// Walks the last log to its end, which is where writing goes on. Answers the packs it names.
fn recover_last(folder: &Folder, writer: &mut Writer) -> Result<HashSet<u32>> {
    let mut named = HashSet::new();
    let Some((&number, &first)) = writer.logs.last_key_value() else { return Ok(named) };
    let path = folder.pack(number);
    let file = folder.disk.open(&path).map_err(|e| StoreError::io("open", &path, 0, e))?;
    let chain = PackHeader::Log { number, first }.chain();
    let mut scan = Scan {
        pack: number,
        path: &path,
        file: &*file,
        offset: PACK_HEADER as u64,
        sequence: first,
        chain: Some(chain),
        thorough: true,
    };
    while let Some(found) = scan.step()? {
        if found.elsewhere {
            named.insert(found.location.pack);
        }
    }
    writer.sequence = scan.sequence;
    let (end, chain) = (scan.offset, scan.chain.unwrap_or(chain));
    if scan.ends_clean()? {
        // What was read may still be in the page cache alone, left by a killed process: before
        // it counts as stored it has to be.
        file.sync_all().map_err(|e| StoreError::io("sync", &path, 0, e))?;
        let ready = file.len().map_err(|e| StoreError::io("read", &path, 0, e))?;
        writer.current = Some(Current { number, path, file, end, chain, ready });
    } else {
        // A torn batch. It is left as it is, for whoever wants to look; a new pack is begun.
        tracing::warn!(pack = %path.display(), offset = end,
            "the last batch was not written completely; nothing of it was acknowledged");
        file.sync_all().map_err(|e| StoreError::io("sync", &path, 0, e))?;
    }
    Ok(named)
}
