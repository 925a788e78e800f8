//! Copies of a folder whose objects are files.
//!
//! A file goes when its object is deleted, at once: one that the copied log names may be gone before
//! it is copied. The record of the deletion is durable before that, so a log that is copied later has
//! it. So log and files are copied in turns, each turn the files of what the log has more, until none
//! of those is missing: what was missing before is deleted in the log that the copy ends with.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::{Copied, copy, copy_packs};
use crate::blobs::{Blobs, FilesBlobs, PackBlobs, PackOptions, Position};
use crate::data_dir::objects;
use crate::disk::{Disk, StdDisk, patiently};
use crate::error::{Result, StoreError};

/// Most need two or three; one that needs all is of a folder where all that comes goes at once.
const TURNS: usize = 100;

pub(super) fn copy_files(from: &Path, to: &Path, copied: &mut Copied) -> Result<()> {
    let mut turn = Turn {
        from: &objects(from),
        to: &objects(to),
        copied,
        folders: BTreeSet::new(),
        gone: Vec::new(),
        missing: false,
    };
    make(turn.to)?;
    let mut upto = 0;
    for _ in 0..TURNS {
        // each copies what came during the one before
        turn.missing = false;
        if !copy_packs(&from.join("packs"), &to.join("packs"), turn.copied)? {
            continue;
        }
        // nobody else uses the copy
        let log = PackBlobs::open(&to.join("packs"), PackOptions::default())?;
        let wanted = Position { sequence: upto, ..Position::default() };
        let end = log.replay(wanted, &mut |record| match FilesBlobs::number(&record.location) {
            Some(number) => turn.one(number, record.location.len),
            None => Ok(()),
        })?;
        upto = end.sequence;
        if !turn.missing {
            return turn.finish();
        }
    }
    Err(StoreError::Other(format!(
        "objects of {} were deleted as fast as they came while they were copied; try again later",
        from.display()
    )))
}

struct Turn<'a> {
    from: &'a Path,
    to: &'a Path,
    copied: &'a mut Copied,
    /// To be synced.
    folders: BTreeSet<std::path::PathBuf>,
    /// Files of the copy whose objects were deleted since.
    gone: Vec<std::path::PathBuf>,
    /// A file is not there that the log names.
    missing: bool,
}

impl Turn<'_> {
    fn one(&mut self, number: u64, len: u64) -> Result<()> {
        let name = FilesBlobs::name(number);
        let (source, target) = (self.from.join(&name), self.to.join(&name));
        let there = fs::metadata(&target).is_ok_and(|found| found.len() == len);
        if there && source.exists() {
            return Ok(());
        }
        if !source.exists() {
            self.missing = true;
            self.gone.extend(target.exists().then_some(target));
            return Ok(());
        }
        if let Some(folder) = target.parent()
            && self.folders.insert(folder.to_owned())
        {
            make(folder)?;
        }
        match copy(&source, &target) {
            Ok(bytes) => {
                self.copied.bytes += bytes;
                self.copied.files += 1;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.missing = true,
            Err(error) => return Err(StoreError::io("copy", &source, len, error)),
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        for path in self.gone {
            patiently(|| fs::remove_file(&path))
                .map_err(|e| StoreError::io("remove", &path, 0, e))?;
        }
        for folder in self.folders {
            StdDisk.sync_dir(&folder).map_err(|e| StoreError::io("sync", &folder, 0, e))?;
        }
        Ok(())
    }
}

fn make(folder: &Path) -> Result<()> {
    StdDisk.create_dir_all(folder).map_err(|e| StoreError::io("create folder", folder, 0, e))
}
