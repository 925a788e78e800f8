//! Objects as files: `000/012/000012345.dcm`, one Part 10 file each, for archives whose folder other
//! programs read.
//!
//! Beside the tree lies the log of the packs, with the same records. Where a pack would hold the body
//! of an instance there is a reference to its file, whose number is that of the record, counted from
//! one. A file is written under another name in the folder of the log, synced, named and its folder
//! synced before the record that counts is written: so a power failure leaves files that no record
//! names, and never a record without its file. Numbers follow one another, and a thousand files share
//! a folder: a batch syncs one folder, as a rule, where hashed names would sync as many as it has files.
//!
//! Room is given back when an object is deleted ([`Blobs::release`]).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::pack::{PackBlobs, PackOptions};
use super::record::{self, RECORD_HEADER};
use super::spool::Spool;
use super::*;
use crate::disk::{Disk, DiskFile, StdDisk};
use crate::error::StoreError;

/// How files are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FilesOptions {
    /// The log beside them.
    pub log: PackOptions,
    /// So many files of a batch are written and synced at a time.
    pub at_once: usize,
}

impl Default for FilesOptions {
    fn default() -> Self {
        Self { log: PackOptions::default(), at_once: 8 }
    }
}

#[derive(Debug)]
pub struct FilesBlobs {
    log: PackBlobs,
    tree: Tree,
    at_once: usize,
    /// Held from the choice of a number to its record.
    order: Mutex<()>,
    /// Files that could not be removed when they were to go: on Windows, while others read them.
    left: Mutex<Vec<u64>>,
}

/// The folder with the files.
#[derive(Clone, Debug)]
struct Tree {
    disk: Arc<dyn Disk>,
    path: PathBuf,
}

/// What a [`Location`] has for a pack when it means a file.
const FILES: u32 = 0;
const REFERENCE: usize = 24;
/// What no record names, and cannot be removed because the log is damaged.
const ASIDE: &str = "unnamed";

impl FilesBlobs {
    /// Opens the log in one folder and the files in another, both made if they are not there.
    pub fn open(log: &Path, files: &Path, options: FilesOptions) -> Result<Self> {
        Self::open_on(Arc::new(StdDisk), log, files, options)
    }

    /// As [`open`](Self::open), on a file system of the caller's.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        log: &Path,
        files: &Path,
        options: FilesOptions,
    ) -> Result<Self> {
        let log = PackBlobs::open_on(disk.clone(), log, options.log)?;
        disk.create_dir_all(files).map_err(|e| StoreError::io("create folder", files, 0, e))?;
        let tree = Tree { disk, path: files.to_owned() };
        let (begun, clean) = {
            let writer = log.writer();
            (!writer.logs.is_empty(), writer.clean)
        };
        if !begun || !clean {
            let unnamed = tree.after(log.position().sequence)?;
            if !begun && !unnamed.is_empty() {
                // a log is on the disk before the first file it names
                return Err(StoreError::Damaged {
                    path: tree.path,
                    offset: 0,
                    what: format!(
                        "{} objects lie here, but the log that names them is gone",
                        unnamed.len()
                    ),
                });
            }
            // behind a damaged record may stand those that name them, and their numbers come again
            for number in unnamed {
                let (from, to) = (tree.file(number), tree.aside(number));
                tracing::warn!(file = %from.display(), "no record that can be read names this file; set aside");
                tree.disk.rename(&from, &to).map_err(|e| StoreError::io("rename", &from, 0, e))?;
            }
        }
        let at_once = options.at_once.max(1);
        Ok(Self { log, tree, at_once, order: Mutex::default(), left: Mutex::default() })
    }

    /// The number of the file where a body is, if it is in one.
    pub(crate) fn number(at: &Location) -> Option<u64> {
        (at.pack == FILES).then_some(at.offset)
    }

    /// The name of a file below the folder. A thousand of them share a folder, and a thousand
    /// folders each of those above.
    pub(crate) fn name(number: u64) -> String {
        let (above, folder) = (number / 1_000_000, number / 1_000 % 1_000);
        format!("{above:03}/{folder:03}/{number:09}.dcm")
    }

    fn spool(&self) -> Result<Spool> {
        Spool::bare(self.log.folder.clone(), self.log.next_spool())
    }

    /// Bodies on the disk, under no name yet.
    fn written(&self, objects: &[&Record<'_>]) -> Result<Vec<Spool>> {
        let one = |record: &&Record<'_>| -> Result<Spool> {
            let mut spool = self.spool()?;
            spool.write(record.head)?;
            spool.write(record.body)?;
            spool.sync()?;
            Ok(spool)
        };
        if objects.len() < 2 || self.at_once < 2 {
            return objects.iter().map(one).collect();
        }
        // the journal of a file system makes one commit of syncs that come together
        std::thread::scope(|scope| {
            let share = objects.len().div_ceil(self.at_once.min(objects.len()));
            let threads: Vec<_> = objects
                .chunks(share)
                .map(|part| scope.spawn(move || part.iter().map(one).collect::<Result<Vec<_>>>()))
                .collect();
            let parts: Vec<Result<Vec<Spool>>> = threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect();
            let parts: Vec<Vec<Spool>> = parts.into_iter().collect::<Result<_>>()?;
            Ok(parts.into_iter().flatten().collect())
        })
    }

    /// Names the bodies and then writes the records, whose instances they are in their order.
    fn store(&self, batch: &[Record<'_>], mut bodies: Vec<Spool>) -> Result<Appended> {
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let needed = batch.iter().map(|record| match record.kind {
            Kind::Instance => (RECORD_HEADER + record.note.len() + REFERENCE) as u64,
            _ => record::size(record),
        });
        let first = self.log.ready(needed.sum())?;
        let numbers = (first + 1..).zip(batch).filter(|(_, record)| record.kind == Kind::Instance);
        let mut folders = BTreeSet::new();
        let mut locations = Vec::new();
        for ((number, _), body) in numbers.zip(&mut bodies) {
            let path = self.tree.file(number);
            if let Some(folder) = path.parent()
                && folders.insert(folder.to_owned())
            {
                let disk = &self.tree.disk;
                disk.create_dir_all(folder)
                    .map_err(|e| StoreError::io("create folder", folder, 0, e))?;
            }
            body.rename(path)?;
            locations.push(body.location(FILES, number));
        }
        self.sync(folders)?;
        let references: Vec<_> = locations.iter().map(record::encode_reference).collect();
        let mut each = references.iter();
        let records: Vec<Record<'_>> = batch
            .iter()
            .map(|record| match record.kind {
                Kind::Instance => {
                    let reference = each.next().map_or(&[][..], |reference| &reference[..]);
                    Record { head: reference, body: &[], ..*record }
                }
                _ => *record,
            })
            .collect();
        let is_instance = |record: &Record<'_>| record.kind == Kind::Instance;
        let appended = self.log.append_some(&records, is_instance);
        // a record that may have got there is made void by the next pack; without one the files
        // stay, for the number will be used again
        let stays = appended.is_ok() || self.log.writer().current.is_none();
        bodies.iter_mut().for_each(|body| body.kept = stays);
        let Appended { locations: inside, end } = appended?;
        let mut files = locations.into_iter();
        let locations = inside
            .into_iter()
            .zip(batch)
            .map(|(at, record)| match is_instance(record) {
                true => files.next().unwrap_or(at),
                false => at,
            })
            .collect();
        Ok(Appended { locations, end })
    }

    fn sync(&self, folders: BTreeSet<PathBuf>) -> Result<()> {
        for folder in folders {
            let synced = self.tree.disk.sync_dir(&folder);
            synced.map_err(|e| StoreError::io("sync", &folder, 0, e))?;
        }
        Ok(())
    }

    /// The file of a body, if it is there and as long as it was when it was stored.
    fn file(&self, at: &Location) -> Result<Arc<dyn DiskFile>> {
        let path = self.tree.file(at.offset);
        let missing = |e: &std::io::Error| e.kind() == std::io::ErrorKind::NotFound;
        let file = match self.tree.disk.view(&path) {
            // a log that was brought back names it again
            Err(error) if missing(&error) => self.tree.disk.view(&self.tree.aside(at.offset)),
            other => other,
        };
        let file = file.map_err(|error| match missing(&error) {
            true => StoreError::NoSuchLocation(*at),
            false => StoreError::io("open", &path, 0, error),
        })?;
        let len = file.len().map_err(|e| StoreError::io("read", &path, 0, e))?;
        if len == at.len {
            return Ok(file);
        }
        let what = format!("it has {len} bytes, and had {}", at.len);
        Err(StoreError::Damaged { path, offset: 0, what })
    }

    fn read_file(&self, at: &Location, offset: u64, len: usize) -> Result<Vec<u8>> {
        let file = self.file(at)?;
        let mut bytes = vec![0; at.len.saturating_sub(offset).min(len as u64) as usize];
        let read = self.fill(&*file, at, offset, &mut bytes)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    fn fill(
        &self,
        file: &dyn DiskFile,
        at: &Location,
        offset: u64,
        buffer: &mut [u8],
    ) -> Result<usize> {
        file.read_at(buffer, offset)
            .map_err(|e| StoreError::io("read", &self.tree.file(at.offset), 0, e))
    }

    /// Removes files; those that cannot go now are tried again with the next ones.
    fn remove(&self, numbers: impl IntoIterator<Item = u64>) -> Result<()> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let numbers: BTreeSet<u64> =
            std::mem::take(&mut *left).into_iter().chain(numbers).collect();
        let mut folders = BTreeSet::new();
        for number in numbers {
            for path in [self.tree.file(number), self.tree.aside(number)] {
                match self.tree.disk.remove(&path) {
                    Ok(()) => folders.extend(path.parent().map(Path::to_owned)),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => {
                        tracing::warn!(file = %path.display(), %error, "a file that is no longer \
                            needed cannot be removed");
                        left.push(number);
                    }
                }
            }
        }
        drop(left);
        self.sync(folders)
    }
}

impl Blobs for FilesBlobs {
    fn append(&self, batch: &[Record<'_>]) -> Result<Appended> {
        record::check_notes(batch.iter().map(|r| r.note))?;
        let objects: Vec<&Record<'_>> = batch.iter().filter(|r| r.kind == Kind::Instance).collect();
        let bodies = self.written(&objects)?;
        self.store(batch, bodies)
    }

    fn read(&self, at: &Location) -> Result<Vec<u8>> {
        if at.pack != FILES {
            return self.log.read(at);
        }
        let bytes = self.read_file(at, 0, usize::try_from(at.len).unwrap_or(usize::MAX))?;
        if crc32fast::hash(&bytes) == at.crc {
            return Ok(bytes);
        }
        Err(self.damaged(at))
    }

    fn damaged(&self, at: &Location) -> StoreError {
        match at.pack {
            FILES => StoreError::Damaged {
                path: self.tree.file(at.offset),
                offset: 0,
                what: "the CRC of the object is wrong".to_owned(),
            },
            _ => self.log.damaged(at),
        }
    }

    fn read_range(&self, at: &Location, offset: u64, len: usize) -> Result<Vec<u8>> {
        match at.pack {
            FILES => self.read_file(at, offset, len),
            _ => self.log.read_range(at, offset, len),
        }
    }

    fn read_into(&self, at: &Location, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        if at.pack != FILES {
            return self.log.read_into(at, offset, buffer);
        }
        let file = self.file(at)?;
        let len = at.len.saturating_sub(offset).min(buffer.len() as u64) as usize;
        self.fill(&*file, at, offset, &mut buffer[..len])
    }

    /// A file of its own has to be opened first.
    fn read_into_now(&self, at: &Location, offset: u64, buffer: &mut [u8]) -> bool {
        at.pack != FILES && self.log.read_into_now(at, offset, buffer)
    }

    fn begin_segment(&self) -> Result<Box<dyn Segment>> {
        Ok(Box::new(self.spool()?))
    }

    fn adopt(&self, sealed: Sealed, kind: Kind, note: &[u8]) -> Result<Appended> {
        record::check_notes([note])?;
        let spool = sealed.0.into_any().downcast::<Spool>().map_err(|_| record::foreign())?;
        if spool.folder.path != self.log.folder.path || kind != Kind::Instance {
            return Err(record::foreign());
        }
        self.store(&[Record { kind, note, head: &[], body: &[] }], vec![*spool])
    }

    fn replay(
        &self,
        from: Position,
        visit: &mut dyn FnMut(&ReplayRecord) -> Result<()>,
    ) -> Result<Position> {
        self.log.replay(from, visit)
    }

    fn sweep(&self) -> Result<()> {
        self.log.sweep()?;
        if !self.log.writer().clean {
            return Ok(());
        }
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let unnamed = self.tree.after(self.log.position().sequence)?;
        if !unnamed.is_empty() {
            tracing::info!(files = unnamed.len(), "removing what an interrupted write left behind");
        }
        self.remove(unnamed)
    }

    fn position(&self) -> Position {
        self.log.position()
    }

    /// The logs: none is ever rewritten.
    fn packs(&self) -> Vec<PackInfo> {
        let mut packs = self.log.packs();
        for pack in &mut packs {
            if let Role::Log { first, .. } | Role::Last { first } = pack.role {
                pack.role = Role::Records { first };
            }
        }
        packs
    }

    fn walk(&self, first: u64, visit: &mut dyn FnMut(&ReplayRecord) -> Result<()>) -> Result<()> {
        self.log.walk(first, visit)
    }

    fn release(&self, gone: &[Location]) -> Result<()> {
        self.remove(gone.iter().filter(|at| at.pack == FILES).map(|at| at.offset))
    }

    fn frees_at_once(&self) -> bool {
        true
    }

    /// Of the log; what the objects take the index knows.
    fn usage(&self) -> Usage {
        self.log.usage()
    }
}

impl Tree {
    fn file(&self, number: u64) -> PathBuf {
        self.path.join(FilesBlobs::name(number))
    }

    fn aside(&self, number: u64) -> PathBuf {
        self.file(number).with_extension(ASIDE)
    }

    /// The files with greater numbers than this.
    fn after(&self, last: u64) -> Result<Vec<u64>> {
        let mut found = Vec::new();
        for above in self.numbers(&self.path, "", last / 1_000_000)? {
            let path = self.path.join(format!("{above:03}"));
            let from = (last / 1_000).saturating_sub(above * 1_000);
            for folder in self.numbers(&path, "", from)? {
                let path = path.join(format!("{folder:03}"));
                found.extend(self.numbers(&path, ".dcm", last + 1)?);
            }
        }
        found.retain(|number| *number > last);
        Ok(found)
    }

    /// The names in a folder that are numbers from `least` on, before `suffix`.
    fn numbers(&self, folder: &Path, suffix: &str, least: u64) -> Result<Vec<u64>> {
        let failed = |e| StoreError::io("list", folder, 0, e);
        let names = self.disk.list(folder).map_err(failed)?;
        let numbers = names.iter().filter_map(|name| name.strip_suffix(suffix)?.parse().ok());
        Ok(numbers.filter(|number| *number >= least).collect())
    }
}

#[cfg(test)]
mod tests;
