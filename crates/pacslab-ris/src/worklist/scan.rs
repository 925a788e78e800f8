//! What is known of the folder's files, and how it is kept up to date.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant, SystemTime};
use std::{fs, io};

use pacslab_dicom::Dataset;
use pacslab_model::{Clock, Emit, Event, Outcome, tags};

use super::WorklistSettings;
use super::file;
use super::index::Index;
use super::item::Item;
use super::load::{Loaded, Stamp, is_worklist_name, load, metadata};
use super::watch::{Changes, Watch};
use crate::events;

pub(super) struct Shared {
    pub(super) folder: PathBuf,
    pub(super) settings: WorklistSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) emit: Arc<dyn Emit>,
    pub(super) index: RwLock<Index>,
    pub(super) scan: Mutex<Scan>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// What is known of the folder's files.
#[derive(Debug)]
pub(super) struct Scan {
    pub(super) watch: Watch,
    pub(super) files: HashMap<Arc<str>, Seen>,
    /// Files that are bad and not told yet: they may be half-written.
    pub(super) suspects: BTreeSet<Arc<str>>,
    /// The latest time of any file.
    pub(super) newest: Option<SystemTime>,
    pub(super) listed: Option<Instant>,
    /// When a listing last found something to differ.
    pub(super) changed: Option<Instant>,
    pub(super) full: bool,
    pub(super) gone: bool,
}

#[derive(Debug)]
pub(super) struct Seen {
    pub(super) stamp: Stamp,
    /// When a file with this stamp was first seen.
    pub(super) since: Instant,
    /// It was read when nothing could change it any more without changing its stamp.
    pub(super) settled: bool,
    pub(super) digest: u64,
    pub(super) ours: Option<(String, String, String)>,
    pub(super) bad: Option<Bad>,
}

#[derive(Debug)]
pub(super) struct Bad {
    pub(super) reason: String,
    pub(super) since: Instant,
    pub(super) told: bool,
}

/// Times of files may be this coarse: one that is younger can change unnoticed.
const COARSE: Duration = Duration::from_millis(2100);
/// A file that cannot be read for so long is not just being written.
const PATIENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(250);

impl Scan {
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            watch,
            files: HashMap::new(),
            suspects: BTreeSet::new(),
            newest: None,
            listed: None,
            changed: None,
            full: false,
            gone: false,
        }
    }

    /// Since when a stamp is known, and whether what is read now with it is final.
    fn settles(&self, name: &str, stamp: &Stamp, now: Instant) -> (Instant, bool) {
        let before = self.files.get(name).filter(|seen| seen.stamp == *stamp);
        let since = before.map_or(now, |seen| seen.since);
        let old = match (self.newest, stamp.modified) {
            (Some(newest), Some(modified)) => {
                newest.duration_since(modified).is_ok_and(|age| age >= COARSE)
            }
            _ => false,
        };
        (since, old || now.duration_since(since) >= COARSE)
    }
}

impl Shared {
    pub(super) fn lock(&self) -> MutexGuard<'_, Scan> {
        self.scan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tell(&self, kind: &'static str, outcome: Outcome, text: String) {
        let event = Event::new(self.clock.now(), kind, text).outcome(outcome);
        self.emit.emit(event.field("folder", self.folder.display()));
    }

    /// When the watching thread looks even if nobody wakes it.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let scan = self.lock();
        if scan.suspects.is_empty() { scan.watch.tick() } else { Some(RETRY) }
    }

    pub(super) fn refresh(&self, scan: &mut Scan) {
        let changes = scan.watch.changes(&self.folder);
        // where there are no events a folder's time is as coarse as those of its files
        let due = scan.watch.tick().unwrap_or(Duration::MAX);
        let stale = scan.watch.lists()
            && (scan.changed.is_some_and(|at| at.elapsed() < COARSE)
                || scan.listed.is_none_or(|at| at.elapsed() >= due));
        match changes {
            Changes::Unknown => {
                self.list(scan);
                scan.changed = scan.listed;
            }
            Changes::Files(_) if stale => self.list(scan),
            Changes::Files(files) => {
                for file in files {
                    self.read(scan, &file);
                }
            }
        }
        if !scan.suspects.is_empty() {
            self.settle(scan);
        }
    }

    /// Compares the whole folder with what is known.
    fn list(&self, scan: &mut Scan) {
        let begun = Instant::now();
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) => return self.lost(scan, &error),
        };
        if std::mem::take(&mut scan.gone) {
            self.tell(events::WORKLIST_FOLDER, Outcome::Ok, "worklist folder is back".to_owned());
        }
        let mut there = HashMap::with_capacity(scan.files.len());
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_worklist_name(&name)
                && let Some(meta) = metadata(&entry)
                && meta.is_file()
            {
                there.insert(Arc::<str>::from(name), Stamp::of(&meta));
            }
        }
        scan.newest = there.values().filter_map(|stamp| stamp.modified).max();
        let gone: Vec<Arc<str>> =
            scan.files.keys().filter(|name| !there.contains_key(*name)).cloned().collect();
        for name in gone {
            self.forget(scan, &name);
        }
        let mut changed: Vec<Arc<str>> = there
            .into_iter()
            .filter(|(name, stamp)| {
                scan.files.get(name).is_none_or(|seen| seen.stamp != *stamp || !seen.settled)
            })
            .map(|(name, _)| name)
            .collect();
        changed.sort();
        for name in changed {
            self.read(scan, &name);
        }
        scan.listed = Some(begun);
    }

    fn lost(&self, scan: &mut Scan, error: &io::Error) {
        for name in scan.files.keys().cloned().collect::<Vec<_>>() {
            self.forget(scan, &name);
        }
        if !std::mem::replace(&mut scan.gone, true) {
            let text = format!("worklist folder cannot be listed, the worklist is empty: {error}");
            self.tell(events::WORKLIST_FOLDER, Outcome::Failed, text);
        }
    }

    fn forget(&self, scan: &mut Scan, name: &str) {
        if scan.files.remove(name).is_some() {
            scan.suspects.remove(name);
            self.index_mut().remove(name);
        }
    }

    /// Takes one file in as it now is.
    fn read(&self, scan: &mut Scan, name: &Arc<str>) {
        let read = Instant::now();
        let (stamp, loaded) = match load(&self.folder, name, self.settings.max_file) {
            Loaded::Nothing => return self.forget(scan, name),
            Loaded::File(stamp, loaded) => (stamp, loaded),
        };
        let (since, settled) = scan.settles(name, &stamp, read);
        let (digest, parsed) = match loaded {
            Ok((digest, meta, dataset)) => {
                if scan.files.get(name).is_some_and(|s| s.bad.is_none() && s.digest == digest) {
                    // events come in flocks: nothing has changed
                    if let Some(seen) = scan.files.get_mut(name) {
                        (seen.stamp, seen.since, seen.settled) = (stamp, since, settled);
                    }
                    return;
                }
                (digest, Ok((meta, dataset)))
            }
            Err(reason) => (0, Err(reason)),
        };
        let mut seen = Seen { stamp, since, settled, digest, ours: None, bad: None };
        match parsed {
            Ok((meta, dataset)) => {
                seen.ours = file::ours(&meta.sop_instance, &dataset);
                self.take_in(scan, name, dataset);
                scan.suspects.remove(name);
            }
            Err(reason) => {
                let before = scan.files.get_mut(name).and_then(|seen| seen.bad.take());
                let told = before.as_ref().is_some_and(|bad| bad.told && bad.reason == reason);
                let since = before.filter(|bad| bad.reason == reason).map_or(read, |bad| bad.since);
                if !told {
                    scan.suspects.insert(name.clone());
                }
                seen.bad = Some(Bad { reason, since, told });
                self.index_mut().remove(name);
            }
        }
        scan.files.insert(name.clone(), seen);
    }

    fn take_in(&self, scan: &mut Scan, name: &Arc<str>, dataset: Dataset) {
        let mut items = Item::of_file(name, dataset);
        for item in &mut items {
            let status = item.step_str(tags::SCHEDULED_PROCEDURE_STEP_STATUS);
            let offered = &self.settings.offered;
            item.hidden =
                !status.is_empty() && !offered.iter().any(|one| one.eq_ignore_ascii_case(status));
        }
        let mut index = self.index_mut();
        index.remove(name);
        let room = self.settings.max_items.saturating_sub(index.len());
        let too_many = items.len() > room;
        items.truncate(room);
        index.replace(name, items);
        drop(index);
        if too_many && !std::mem::replace(&mut scan.full, true) {
            let text = format!(
                "the worklist folder holds more than {} items; {name} and what follows is not \
                 offered: remove old files or raise the limit",
                self.settings.max_items
            );
            self.tell(events::WORKLIST_FOLDER, Outcome::Warning, text);
        }
    }

    /// Reads suspects again and names those that stay bad.
    fn settle(&self, scan: &mut Scan) {
        let due =
            |seen: &Seen| seen.bad.as_ref().is_some_and(|bad| bad.since.elapsed() >= PATIENCE);
        let ripe: Vec<Arc<str>> = scan
            .suspects
            .iter()
            .filter(|name| scan.files.get(*name).is_none_or(due))
            .cloned()
            .collect();
        for name in ripe {
            self.read(scan, &name);
            scan.suspects.remove(&name);
            let Some(bad) = scan.files.get_mut(&name).and_then(|seen| seen.bad.as_mut()) else {
                continue;
            };
            if bad.since.elapsed() < PATIENCE {
                // it has changed meanwhile
                scan.suspects.insert(name);
                continue;
            }
            bad.told = true;
            let text = format!("{name} is skipped: {}", bad.reason);
            let event = Event::new(self.clock.now(), events::WORKLIST_UNREADABLE, text)
                .outcome(Outcome::Warning)
                .field("file", self.folder.join(&*name).display());
            self.emit.emit(event);
        }
    }
}
