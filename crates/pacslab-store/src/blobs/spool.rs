//! A large body on its way in: a file of its own that may become a pack.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use super::pack::Folder;
use super::record::{PACK_HEADER, PackHeader};
use super::{Location, Sealed, SealedBody, Segment};
use crate::disk::DiskFile;
use crate::error::{Result, StoreError};

/// Removed when dropped, unless `kept`: a record names it.
pub(super) struct Spool {
    pub(super) folder: Folder,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    len: u64,
    crc: crc32fast::Hasher,
    pub(super) kept: bool,
}

impl Spool {
    pub(super) fn begin(folder: Folder, number: u32) -> Result<Self> {
        let path = folder.path.join(format!("{number:06}{SUFFIX}"));
        let file = folder.disk.create(&path).map_err(|e| StoreError::io("create", &path, 0, e))?;
        let spool = Self { folder, path, file, len: 0, crc: crc32fast::Hasher::new(), kept: false };
        spool.put(&PackHeader::Single.encode(), 0)?;
        Ok(spool)
    }

    fn put(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|e| StoreError::io("write", &self.path, bytes.len() as u64, e))
    }

    /// Takes the name of a pack, durably. No record names it yet.
    pub(super) fn become_pack(&mut self, number: u32) -> Result<Location> {
        let pack = self.folder.pack(number);
        let disk = &self.folder.disk;
        disk.rename(&self.path, &pack).map_err(|e| StoreError::io("rename", &self.path, 0, e))?;
        self.path = pack;
        disk.sync_dir(&self.folder.path).map_err(|e| StoreError::io("sync", &self.path, 0, e))?;
        Ok(Location {
            pack: number,
            offset: PACK_HEADER as u64,
            len: self.len,
            crc: self.crc.clone().finalize(),
        })
    }
}

const SUFFIX: &str = ".part";

pub(super) fn is_spool(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

impl Segment for Spool {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.put(bytes, PACK_HEADER as u64 + self.len)?;
        self.crc.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn written(&self) -> u64 {
        self.len
    }

    fn seal(self: Box<Self>) -> Result<Sealed> {
        self.file.sync_all().map_err(|e| StoreError::io("sync", &self.path, self.len, e))?;
        Ok(Sealed(self))
    }
}

impl SealedBody for Spool {
    fn len(&self) -> u64 {
        self.len
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is removed when the folder is opened next.
            let _ = self.folder.disk.remove(&self.path);
        }
    }
}
