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
    /// Where the body begins in it.
    start: u64,
    len: u64,
    crc: crc32fast::Hasher,
    pub(super) kept: bool,
}

impl Spool {
    /// A pack to be.
    pub(super) fn begin(folder: Folder, number: u32) -> Result<Self> {
        let mut spool = Self::bare(folder, number)?;
        spool.start = PACK_HEADER as u64;
        spool.put(&PackHeader::Single.encode(), 0)?;
        Ok(spool)
    }

    /// The body and nothing else.
    pub(super) fn bare(folder: Folder, number: u32) -> Result<Self> {
        let path = folder.path.join(format!("{number:06}{SUFFIX}"));
        let file = folder.disk.create(&path).map_err(|e| StoreError::io("create", &path, 0, e))?;
        let crc = crc32fast::Hasher::new();
        Ok(Self { folder, path, file, start: 0, len: 0, crc, kept: false })
    }

    fn put(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(|e| StoreError::io("write", &self.path, bytes.len() as u64, e))
    }

    /// Takes the name of a pack, durably. No record names it yet.
    pub(super) fn become_pack(&mut self, number: u32) -> Result<Location> {
        self.rename(self.folder.pack(number))?;
        let disk = &self.folder.disk;
        disk.sync_dir(&self.folder.path).map_err(|e| StoreError::io("sync", &self.path, 0, e))?;
        Ok(self.location(number, self.start))
    }

    /// Takes a name; durable when its folder was synced.
    pub(super) fn rename(&mut self, path: PathBuf) -> Result<()> {
        let disk = &self.folder.disk;
        disk.rename(&self.path, &path).map_err(|e| StoreError::io("rename", &self.path, 0, e))?;
        self.path = path;
        Ok(())
    }

    pub(super) fn location(&self, pack: u32, offset: u64) -> Location {
        Location { pack, offset, len: self.len, crc: self.crc.clone().finalize() }
    }

    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_all().map_err(|e| StoreError::io("sync", &self.path, self.len, e))
    }
}

const SUFFIX: &str = ".part";

pub(super) fn is_spool(name: &str) -> bool {
    name.ends_with(SUFFIX)
}

impl Segment for Spool {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.put(bytes, self.start + self.len)?;
        self.crc.update(bytes);
        self.len += bytes.len() as u64;
        Ok(())
    }

    fn written(&self) -> u64 {
        self.len
    }

    fn seal(self: Box<Self>) -> Result<Sealed> {
        self.sync()?;
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
