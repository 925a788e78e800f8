//! A file system in memory whose power can fail.
//!
//! What was written since the last sync is lost or kept sector by sector (512 bytes), names made,
//! moved or removed since the folder was synced are kept up to some point; a failed sync loses
//! what it should have written, and later syncs do not bring it back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskFile};

const SECTOR: usize = 512;

/// Numbers that follow from a seed.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % below.max(1)
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.roll(256) as u8).collect()
    }
}

/// The disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<State>>);

struct State {
    dice: Dice,
    files: Vec<Contents>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending: Vec<NameChange>,
    /// Operations until the power fails.
    power: Option<u64>,
    off: bool,
    /// Syncs until one fails.
    failing_sync: Option<u64>,
    /// Bytes the disk holds.
    capacity: u64,
}

#[derive(Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone)]
enum NameChange {
    Made(PathBuf, usize),
    Moved(PathBuf, PathBuf, usize),
    Removed(PathBuf, usize),
}

impl SimDisk {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            dice: Dice::new(seed),
            files: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            pending: Vec::new(),
            power: None,
            off: false,
            failing_sync: None,
            capacity: u64::MAX,
        })))
    }

    /// The power fails within so many operations; what is asked then fails.
    pub fn fail_power_after(&self, operations: u64) {
        self.state().power = Some(operations);
    }

    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// The next sync of a file answers EIO.
    pub fn fail_next_sync(&self) {
        self.fail_sync_after(0);
    }

    /// One sync of a file answers EIO, after so many others.
    pub fn fail_sync_after(&self, syncs: u64) {
        self.state().failing_sync = Some(syncs);
    }

    pub fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    pub fn used(&self) -> u64 {
        self.state().used()
    }

    /// The power comes back: only what is durable, or happened to get there, is left.
    pub fn reboot(&self) {
        let state = &mut *self.state();
        for file in &mut state.files {
            file.lose(&mut state.dice);
        }
        let survived = state.dice.roll(state.pending.len() as u64 + 1) as usize;
        let pending = std::mem::take(&mut state.pending);
        for change in pending.into_iter().take(survived) {
            change.apply(&mut state.durable_names);
        }
        state.names = state.durable_names.clone();
        state.power = None;
        state.off = false;
        state.failing_sync = None;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SimDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimDisk")
    }
}

impl State {
    /// Counts an operation; `true`: the power fails during it.
    fn operate(&mut self) -> io::Result<bool> {
        if self.off {
            return Err(power_lost());
        }
        match &mut self.power {
            Some(0) => {
                self.off = true;
                Ok(true)
            }
            Some(left) => {
                *left -= 1;
                Ok(false)
            }
            None => Ok(false),
        }
    }

    fn used(&self) -> u64 {
        let held: BTreeSet<usize> = self.names.values().copied().collect();
        held.iter().map(|file| self.files[*file].now.len() as u64).sum()
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Made(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Moved(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Removed(path, _) => {
                names.remove(path);
            }
        }
    }

    fn file(&self) -> usize {
        match self {
            Self::Made(_, file) | Self::Moved(_, _, file) | Self::Removed(_, file) => *file,
        }
    }

    /// The folder that has to be synced for it.
    fn folder(&self) -> Option<&Path> {
        match self {
            Self::Made(path, _) | Self::Moved(_, path, _) | Self::Removed(path, _) => path.parent(),
        }
    }
}

impl Contents {
    /// Each sector since the last sync gets there or not, and so does the length.
    fn lose(&mut self, dice: &mut Dice) {
        if !self.dirty.is_empty() && dice.roll(2) == 0 {
            self.durable.resize(self.durable.len().max(self.now.len()), 0);
        }
        let keep_of_ten = dice.roll(11);
        for sector in std::mem::take(&mut self.dirty) {
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(self.now.len()).min(self.durable.len());
            if from < to && dice.roll(10) < keep_of_ten {
                self.durable[from..to].copy_from_slice(&self.now[from..to]);
            }
        }
        self.now = self.durable.clone();
    }

    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.now.len() < end {
            self.dirty.extend(self.now.len() / SECTOR..end.div_ceil(SECTOR));
            self.now.resize(end, 0);
        }
        self.now[offset..end].copy_from_slice(bytes);
        self.dirty.extend(offset / SECTOR..end.div_ceil(SECTOR));
    }

    fn sync(&mut self) {
        self.durable.resize(self.now.len(), 0);
        for sector in std::mem::take(&mut self.dirty) {
            let from = sector * SECTOR;
            let to = (from + SECTOR).min(self.now.len());
            self.durable[from..to].copy_from_slice(&self.now[from..to]);
        }
    }

    /// As Linux does it: the pages count as clean afterwards, whatever reached the disk.
    fn fail_sync(&mut self, dice: &mut Dice) {
        let seen = self.now.clone();
        self.lose(dice);
        self.durable.resize(self.durable.len().max(seen.len()), 0);
        self.now = seen;
    }
}

fn power_lost() -> io::Error {
    io::Error::other("the power is off")
}

impl Disk for SimDisk {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let state = &mut *self.state();
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if state.operate()? {
            return Err(power_lost());
        }
        let file = state.files.len();
        state.files.push(Contents::default());
        state.change(NameChange::Made(path.to_owned(), file));
        Ok(Arc::new(SimFile { disk: self.clone(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = *self.state().names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(SimFile { disk: self.clone(), file }))
    }

    fn view(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let inside = state.names.keys().filter_map(|path| path.strip_prefix(dir).ok());
        let names: BTreeSet<String> = inside
            .filter_map(|path| Some(path.iter().next()?.to_string_lossy().into_owned()))
            .collect();
        Ok(names.into_iter().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let state = &mut *self.state();
        if state.operate()? {
            return Err(power_lost());
        }
        let file = *state.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        state.change(NameChange::Moved(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let state = &mut *self.state();
        if state.operate()? {
            return Err(power_lost());
        }
        let file = *state.names.get(path).ok_or(io::ErrorKind::NotFound)?;
        state.change(NameChange::Removed(path.to_owned(), file));
        Ok(())
    }

    /// Of this folder only, and what else became of the files that are named there.
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let state = &mut *self.state();
        if state.operate()? {
            return Err(power_lost());
        }
        let here = state.pending.iter().filter(|change| change.folder() == Some(dir));
        let files: BTreeSet<usize> = here.map(NameChange::file).collect();
        let pending = std::mem::take(&mut state.pending);
        let (durable, pending): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|change| files.contains(&change.file()));
        durable.iter().for_each(|change| change.apply(&mut state.durable_names));
        state.pending = pending;
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    file: usize,
}

impl fmt::Debug for SimFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimFile({})", self.file)
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].now.len() as u64)
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let state = &mut *self.disk.state();
        if state.operate()? {
            let part = state.dice.roll(bytes.len() as u64 + 1) as usize;
            state.files[self.file].write(&bytes[..part], offset as usize);
            return Err(power_lost());
        }
        let len = state.files[self.file].now.len() as u64;
        let more = (offset + bytes.len() as u64).saturating_sub(len);
        let free = state.capacity.saturating_sub(state.used());
        if more > free {
            let fits = bytes.len() - (more - free).min(bytes.len() as u64) as usize;
            state.files[self.file].write(&bytes[..fits], offset as usize);
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.files[self.file].write(bytes, offset as usize);
        Ok(())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        let there = self.len()?;
        match (offset + len).checked_sub(there.max(offset)) {
            None | Some(0) => Ok(()),
            Some(more) => self.write_all_at(&vec![0; more as usize], there.max(offset)),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        if state.off {
            return Err(power_lost());
        }
        let now = &state.files[self.file].now;
        let from = (offset as usize).min(now.len());
        let len = buffer.len().min(now.len() - from);
        buffer[..len].copy_from_slice(&now[from..from + len]);
        Ok(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let state = &mut *self.disk.state();
        if state.operate()? {
            return Err(power_lost());
        }
        match &mut state.failing_sync {
            Some(0) => {
                state.failing_sync = None;
                state.files[self.file].fail_sync(&mut state.dice);
                return Err(io::Error::other("EIO"));
            }
            Some(left) => *left -= 1,
            None => {}
        }
        state.files[self.file].sync();
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}
