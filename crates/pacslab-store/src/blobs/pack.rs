//! stub
use crate::disk::Disk;
use crate::error::Result;
use std::path::Path;
use std::sync::Arc;
#[derive(Debug)]
pub struct PackBlobs;
/// How packs are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PackOptions {
    /// A pack is full at this size.
    pub limit: u64,
    /// Zeros are written ahead in steps that grow from the first to the second.
    pub grow: (u64, u64),
}

impl Default for PackOptions {
    fn default() -> Self {
        Self { limit: 256 << 20, grow: (1 << 20, 16 << 20) }
    }
}
impl PackBlobs {
    /// Opens the packs in a folder, made if it is not there.
    pub fn open(dir: &Path, options: PackOptions) -> Result<Self> {
        Self::open_on(Arc::new(crate::disk::StdDisk), dir, options)
    }

    pub fn open_on(_disk: Arc<dyn Disk>, _dir: &Path, _options: PackOptions) -> Result<Self> {
        Err(super::record::foreign())
    }
}
