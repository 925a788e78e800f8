//! The worklist folder: what a scanner asks is answered from memory, yet a file that was completely
//! written, replaced or removed before the question arrives is in the answer, or not.
//!
//! Files are read by whoever notices first: the query that drains the event queue, or the watching
//! thread. Both do it under the scan's own lock; the index is locked only to be changed or read.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::{fs, io};

use pacslab_model::matching::{Mismatch, Rules};
use pacslab_model::{Clock, Emit, Key, Outcome};

use super::item::{Item, WorklistEntry};
use super::scan::{Scan, Shared};
use super::watch::{Poll, Wake, Watch};
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
