//! The worklist folder: what a scanner asks is answered from memory, yet a file that was completely
//! written, replaced or removed before the question arrives is in the answer, or not.
//!
//! Files are read by whoever notices first: the query that drains the event queue, or the watching
//! thread. Both do it under the scan's own lock; the index is locked only to be changed or read.

use std::collections::{BTreeSet, HashMap};
use std::fs::{self, File, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, file as part10, inflated, parse_until};
use pacslab_model::matching::{Mismatch, Rules};
use pacslab_model::{Clock, Emit, Event, Key, Outcome, tags};

use super::file;
use super::index::Index;
use super::item::{Item, WorklistEntry};
use super::watch::{Changes, Poll, Wake, Watch};
use crate::events;

/// The worklist folder, watched until the value is dropped.
#[derive(Debug)]
pub struct Worklist {
    shared: Arc<Shared>,
    wake: Arc<Wake>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorklistSettings {
    pub poll: Poll,
    /// Values of ScheduledProcedureStepStatus that are offered to scanners that do not ask for a
    /// status. Items without one always are.
    pub offered: Vec<String>,
    /// More items than this are not taken in.
    pub max_items: usize,
    /// Larger files are not read, in bytes.
    pub max_file: u64,
}

impl Default for WorklistSettings {
    fn default() -> Self {
        Self {
            poll: Poll::Auto,
            offered: ["SCHEDULED", "ARRIVED", "READY"].map(str::to_owned).to_vec(),
            max_items: 200_000,
            max_file: 16 << 20,
        }
    }
}

/// A `.wl` file that cannot be served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    pub file: String,
    pub reason: String,
}

#[derive(Debug, thiserror::Error)]
pub enum WorklistError {
    #[error("cannot {what} the worklist folder {path}: {source}")]
    Folder { what: &'static str, path: PathBuf, source: io::Error },
}

impl Worklist {
    /// Reads the folder (which is made if there is none) and watches it.
    ///
    /// # Errors
    /// The folder cannot be made or listed. Files in it that cannot be read are told by events.
    pub fn open(
        folder: impl Into<PathBuf>,
        settings: WorklistSettings,
        clock: Arc<dyn Clock>,
        emit: Arc<dyn Emit>,
    ) -> Result<Self, WorklistError> {
        let folder: PathBuf = folder.into();
        let fail = |what| {
            let path = folder.clone();
            move |source| WorklistError::Folder { what, path, source }
        };
        fs::create_dir_all(&folder).map_err(fail("make"))?;
        fs::read_dir(&folder).map_err(fail("list"))?;
        let watch = Watch::new(&folder, settings.poll);
        let shared = Arc::new(Shared {
            folder,
            settings,
            clock,
            emit,
            index: RwLock::default(),
            scan: Mutex::new(Scan::new(watch)),
        });
        let wake = {
            let mut scan = shared.lock();
            shared.refresh(&mut scan);
            if let Some(why) = scan.watch.why_polled() {
                let text = format!("worklist folder is listed each second: {why}");
                shared.tell(events::WORKLIST_FOLDER, Outcome::Ok, text);
            }
            Arc::new(scan.watch.wake())
        };
        let thread = std::thread::Builder::new().name("worklist".to_owned()).spawn({
            let (shared, wake) = (shared.clone(), wake.clone());
            move || {
                while wake.wait(shared.next_look()) {
                    shared.refresh(&mut shared.lock());
                }
            }
        });
        let thread = Some(thread.map_err(|source| WorklistError::Folder {
            what: "watch",
            path: shared.folder.clone(),
            source,
        })?);
        Ok(Self { shared, wake, thread })
    }

    pub fn folder(&self) -> &Path {
        &self.shared.folder
    }

    /// The items that match all `keys`, by start, at most `limit`: ask for one more than you answer
    /// to know whether there are more.
    ///
    /// Blocks for as long as it takes to read what has changed since the last look.
    pub fn find(&self, keys: &[Key], rules: &Rules, limit: usize) -> Vec<Arc<Item>> {
        self.look();
        self.shared.index().find(keys, rules, limit)
    }

    /// Why the items that do not match do not.
    pub fn explain(&self, keys: &[Key], rules: &Rules) -> Vec<(Arc<Item>, Mismatch)> {
        self.look();
        self.shared.index().explain(keys, rules)
    }

    /// All items by start, those that are not offered included.
    pub fn entries(&self) -> Vec<WorklistEntry> {
        self.look();
        self.shared.index().all().map(|item| item.entry()).collect()
    }

    /// How many items there are.
    pub fn len(&self) -> usize {
        self.look();
        self.shared.index().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Files that cannot be served, and why. A file that is being written may be among them.
    pub fn unreadable(&self) -> Vec<Unreadable> {
        self.look();
        let scan = self.shared.lock();
        let mut found: Vec<Unreadable> = scan
            .files
            .iter()
            .filter_map(|(file, seen)| {
                let reason = seen.bad.as_ref()?.reason.clone();
                Some(Unreadable { file: file.to_string(), reason })
            })
            .collect();
        found.sort_by(|a, b| a.file.cmp(&b.file));
        found
    }

    /// Files that we wrote, with a hash of their bytes and whose they are.
    pub(crate) fn our_files(&self) -> Vec<OurFile> {
        self.look();
        let scan = self.shared.lock();
        let ours = scan.files.iter().filter_map(|(name, seen)| {
            let (accession, issuer, step_id) = seen.ours.clone()?;
            Some(OurFile { name: name.clone(), digest: seen.digest, accession, issuer, step_id })
        });
        ours.collect()
    }

    /// Takes in what has changed.
    fn look(&self) {
        self.shared.refresh(&mut self.shared.lock());
    }
}

impl Drop for Worklist {
    fn drop(&mut self) {
        self.wake.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Debug)]
pub(crate) struct OurFile {
    pub name: Arc<str>,
    pub digest: u64,
    pub accession: String,
    pub issuer: String,
    pub step_id: String,
}

/// `.wl` in any case: what worklist servers take for theirs.
pub(super) fn is_worklist_name(name: &str) -> bool {
    name.len() > 3 && name.get(name.len() - 3..).is_some_and(|end| end.eq_ignore_ascii_case(".wl"))
}

/// To see whether bytes have changed; never kept.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

struct Shared {
    folder: PathBuf,
    settings: WorklistSettings,
    clock: Arc<dyn Clock>,
    emit: Arc<dyn Emit>,
    index: RwLock<Index>,
    scan: Mutex<Scan>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("folder", &self.folder).finish_non_exhaustive()
    }
}

/// What is known of the folder's files.
#[derive(Debug)]
struct Scan {
    watch: Watch,
    files: HashMap<Arc<str>, Seen>,
    /// Files that are bad and not told yet: they may be half-written.
    suspects: BTreeSet<Arc<str>>,
    /// The latest time of any file.
    newest: Option<SystemTime>,
    listed: Option<Instant>,
    /// When a listing last found something to differ.
    changed: Option<Instant>,
    full: bool,
    gone: bool,
}

#[derive(Debug)]
struct Seen {
    stamp: Stamp,
    /// When a file with this stamp was first seen.
    since: Instant,
    /// It was read when nothing could change it any more without changing its stamp.
    settled: bool,
    digest: u64,
    ours: Option<(String, String, String)>,
    bad: Option<Bad>,
}

#[derive(Debug)]
struct Bad {
    reason: String,
    since: Instant,
    told: bool,
}

/// What tells whether a file is another one than before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Inode and time of change, where there are any.
    more: (u64, i64, i64),
}

impl Stamp {
    fn of(meta: &Metadata) -> Self {
        #[cfg(unix)]
        let more = {
            use std::os::unix::fs::MetadataExt;
            (meta.ino(), meta.ctime(), meta.ctime_nsec())
        };
        #[cfg(not(unix))]
        let more = (0, 0, 0);
        Self { length: meta.len(), modified: meta.modified().ok(), more }
    }
}

/// Times of files may be this coarse: one that is younger can change unnoticed.
const COARSE: Duration = Duration::from_millis(2100);
/// A file that cannot be read for so long is not just being written.
const PATIENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(250);

impl Scan {
    fn new(watch: Watch) -> Self {
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
    fn lock(&self) -> MutexGuard<'_, Scan> {
        self.scan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn index(&self) -> std::sync::RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn index_mut(&self) -> std::sync::RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, kind: &'static str, outcome: Outcome, text: String) {
        let event = Event::new(self.clock.now(), kind, text).outcome(outcome);
        self.emit.emit(event.field("folder", self.folder.display()));
    }

    /// When the watching thread looks even if nobody wakes it.
    fn next_look(&self) -> Option<Duration> {
        let scan = self.lock();
        if scan.suspects.is_empty() { scan.watch.tick() } else { Some(RETRY) }
    }

    fn refresh(&self, scan: &mut Scan) {
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
        let (stamp, loaded) = match self.load(name) {
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

    fn load(&self, name: &str) -> Loaded {
        let path = self.folder.join(name);
        let meta = match fs::metadata(&path) {
            Ok(meta) if meta.is_file() => meta,
            _ => return Loaded::Nothing,
        };
        let stamp = Stamp::of(&meta);
        let limit = self.settings.max_file;
        if stamp.length > limit {
            let reason = format!("it has {} bytes; up to {limit} are read", stamp.length);
            return Loaded::File(stamp, Err(reason));
        }
        let mut bytes = Vec::with_capacity(stamp.length as usize);
        let read = File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Loaded::Nothing,
            Err(error) => return Loaded::File(stamp, Err(error.to_string())),
        }
        let parsed = parse(&bytes, limit as usize);
        Loaded::File(stamp, parsed.map(|(meta, dataset)| (digest(&bytes), meta, dataset)))
    }
}

enum Loaded {
    /// No file of that name.
    Nothing,
    File(Stamp, Result<(u64, FileMeta, Dataset), String>),
}

/// A step becomes an item with everything of the file in it: what a file may multiply to.
const MAX_STEPS: usize = 100;

fn parse(bytes: &[u8], limit: usize) -> Result<(FileMeta, Dataset), String> {
    let text = |error: pacslab_dicom::ParseError| error.to_string();
    let (meta, start) = part10::read_meta(bytes).map_err(text)?;
    let body = &bytes[start..];
    let dataset = match &meta.transfer_syntax {
        syntax @ TransferSyntax::DeflatedLe => {
            let plain = inflated(body, syntax, limit).map_err(text)?;
            parse_until(&plain, &TransferSyntax::ExplicitLe, tags::PIXEL_DATA)
        }
        syntax => parse_until(body, syntax, tags::PIXEL_DATA),
    }
    .map_err(text)?;
    let steps = dataset.items(tags::SCHEDULED_PROCEDURE_STEP_SEQUENCE).len();
    if steps > MAX_STEPS {
        return Err(format!(
            "it has {steps} scheduled procedure steps; up to {MAX_STEPS} are read"
        ));
    }
    Ok((meta, dataset))
}

/// Of the file itself, not of a link to it. Windows brings it along with the listing.
fn metadata(entry: &fs::DirEntry) -> Option<Metadata> {
    if cfg!(windows) && !entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
        return entry.metadata().ok();
    }
    fs::metadata(entry.path()).ok()
}
