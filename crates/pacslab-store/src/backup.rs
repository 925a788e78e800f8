//! Copies of a data folder, taken while a server writes to it, and brought back.
//!
//! Packs are never changed once a later one is begun, so a second copy to the same place takes over
//! only what is new. The order makes the copy whole: first `lab.db`, whose cursors then point to
//! nothing that is not copied; then the log that is being written, which ends the copy; then all
//! that it and the logs before it name. When compaction removes a pack meanwhile, it begins again.
//! `index.db` is not copied: it is made again from the packs.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::blobs::{PackKind, pack_kind};
use crate::data_dir::{DataDir, Layout};
use crate::disk::{Disk, StdDisk, patiently};
use crate::error::{Result, StoreError};

mod files;

/// What a backup did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, serde::Serialize)]
pub struct Copied {
    /// Packs of the copy.
    pub packs: u64,
    /// Those that were not there yet, or had grown.
    pub new: u64,
    /// Bytes that were copied, read back and compared.
    pub bytes: u64,
    /// Packs that compaction had done away with since the last time.
    pub removed: u64,
    /// Objects that are files of their own: those that were copied.
    pub files: u64,
}

/// Compaction may come between so often.
const TRIES: usize = 5;

/// Copies the data folder `from`, which may be in use, to the folder `to`, made if it is not there.
pub fn backup(from: &Path, to: &Path) -> Result<Copied> {
    let packs = to.join("packs");
    if fs::canonicalize(from).ok().is_some_and(|from| fs::canonicalize(to).ok() == Some(from)) {
        return Err(StoreError::Other("a backup goes to another folder".to_owned()));
    }
    if to.is_dir() && !packs.is_dir() && fs::read_dir(to).is_ok_and(|mut all| all.next().is_some())
    {
        return Err(StoreError::Other(format!(
            "{} holds something that is no backup; name an empty folder or an earlier backup",
            to.display()
        )));
    }
    fs::create_dir_all(&packs).map_err(|e| StoreError::io("create folder", &packs, 0, e))?;
    if from.join("lab.db").exists() {
        crate::sqlite::copy(&from.join("lab.db"), &to.join("lab.db"))?;
    }
    let layout = |dir: &Path| Ok(DataDir::look(dir)?.format.map(Layout::of));
    let (kept, there) = (layout(from)?.unwrap_or_default(), layout(to)?.unwrap_or_default());
    if kept != there && !list(&packs)?.is_empty() {
        return Err(StoreError::Other(format!(
            "{} is the backup of a folder that keeps its objects as {there}, not as {kept}; \
             name an empty folder",
            to.display()
        )));
    }
    let mut copied = Copied::default();
    if kept == Layout::Files {
        files::copy_files(from, to, &mut copied)?;
        copy_rest(from, to)?;
        return Ok(copied);
    }
    for _ in 0..TRIES {
        if copy_packs(&from.join("packs"), &packs, &mut copied)? {
            copy_rest(from, to)?;
            return Ok(copied);
        }
    }
    Err(StoreError::Other(format!(
        "packs of {} went away while they were copied, {TRIES} times; try again later",
        from.display()
    )))
}

/// Brings a copy back as a data folder, which must be new or empty.
pub fn restore(from: &Path, to: &Path) -> Result<Copied> {
    if !from.join("packs").is_dir() || !from.join("format").is_file() {
        return Err(StoreError::Other(format!("{} is no complete backup", from.display())));
    }
    if fs::read_dir(to).is_ok_and(|mut all| all.next().is_some()) {
        return Err(StoreError::Other(format!(
            "{} is not empty; nothing is overwritten: name a new folder, or move it away",
            to.display()
        )));
    }
    backup(from, to)
}

/// `false`: one was removed meanwhile.
fn copy_packs(from: &Path, to: &Path, copied: &mut Copied) -> Result<bool> {
    let there = list(to)?;
    let written = there.iter().rev().find(|name| is_log(&to.join(name))).cloned();
    let last = list(from)?.into_iter().rev().find(|name| is_log(&from.join(name)));
    let Some(last) = last else { return Ok(true) };
    let mut one = |name: &String, always: bool| -> Result<bool> {
        let (source, target) = (from.join(name), to.join(name));
        if !always && same(&source, &target) {
            return Ok(true);
        }
        match copy(&source, &target) {
            Ok(bytes) => {
                copied.bytes += bytes;
                copied.new += 1;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(StoreError::io("copy", &source, 0, error)),
        }
    };
    if !one(&last, true)? {
        return Ok(false);
    }
    // all that its records name is on the disk by now
    let source = list(from)?;
    for name in source.iter().filter(|name| **name != last) {
        // one that was begun since belongs to the next copy
        if *name > last && is_log(&from.join(name)) {
            continue;
        }
        // the log that was copied unfinished the last time
        if !one(name, written.as_ref() == Some(name))? {
            return Ok(false);
        }
    }
    let wanted: BTreeSet<&String> = source.iter().collect();
    for name in there.iter().filter(|name| !wanted.contains(name)) {
        let path = to.join(name);
        patiently(|| fs::remove_file(&path)).map_err(|e| StoreError::io("remove", &path, 0, e))?;
        copied.removed += 1;
    }
    StdDisk.sync_dir(to).map_err(|e| StoreError::io("sync", to, 0, e))?;
    copied.packs = list(to)?.len() as u64;
    Ok(true)
}

fn copy_rest(from: &Path, to: &Path) -> Result<()> {
    // the format last: without it no backup is complete
    for name in ["users", "format"] {
        let (source, target) = (from.join(name), to.join(name));
        if source.is_file() {
            copy(&source, &target).map_err(|e| StoreError::io("copy", &source, 0, e))?;
        }
    }
    StdDisk.sync_dir(to).map_err(|e| StoreError::io("sync", to, 0, e))
}

/// Names of packs, in order.
fn list(packs: &Path) -> Result<Vec<String>> {
    let names = StdDisk.list(packs).map_err(|e| StoreError::io("list", packs, 0, e))?;
    let mut names: Vec<String> = names.into_iter().filter(|name| is_pack_name(name)).collect();
    names.sort_by_key(|name| (name.len(), name.clone()));
    Ok(names)
}

fn is_pack_name(name: &str) -> bool {
    let digits = name.strip_suffix(".pack").unwrap_or_default();
    digits.len() >= 6 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_log(path: &Path) -> bool {
    pack_kind(path) == PackKind::Log
}

/// One that is complete is there already.
fn same(source: &Path, target: &Path) -> bool {
    let head = |path: &Path| -> io::Result<(u64, [u8; 64])> {
        let mut file = File::open(path)?;
        let mut head = [0; 64];
        file.read_exact(&mut head)?;
        Ok((file.metadata()?.len(), head))
    };
    matches!((head(source), head(target)), (Ok(a), Ok(b)) if a == b)
}

/// Through a second name; read back and compared.
fn copy(source: &Path, target: &Path) -> io::Result<u64> {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let mut input = File::open(source)?;
    let mut output = File::create(&part)?;
    let mut chunk = vec![0; 1 << 20];
    let (mut crc, mut bytes) = (crc32fast::Hasher::new(), 0);
    loop {
        let read = input.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        crc.update(&chunk[..read]);
        output.write_all(&chunk[..read])?;
        bytes += read as u64;
    }
    output.sync_all()?;
    drop(output);
    let (mut back, mut again) = (File::open(&part)?, crc32fast::Hasher::new());
    loop {
        let read = back.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        again.update(&chunk[..read]);
    }
    drop(back);
    if crc.finalize() != again.finalize() {
        return Err(io::Error::other("what was written does not read back alike"));
    }
    patiently(|| fs::rename(&part, target))?;
    Ok(bytes)
}
