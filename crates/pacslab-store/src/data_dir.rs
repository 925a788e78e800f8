//! The data folder: who may use it, what is where in it, and in which format.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::blobs::{Blobs, FilesBlobs, FilesOptions, PackBlobs, PackOptions};
use crate::disk::{Disk, StdDisk};
use crate::error::{Result, StoreError};

/// What this version writes at most. Older formats are migrated when opened.
pub const FORMAT: u32 = 2;

/// How the objects of a folder are kept. It is chosen when the folder is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Layout {
    #[default]
    Pack,
    /// Versions that do not know it refuse the folder, by its format.
    Files,
}

impl Layout {
    fn format(self) -> u32 {
        match self {
            Self::Pack => 1,
            Self::Files => 2,
        }
    }

    pub(crate) fn of(format: u32) -> Self {
        if format == Self::Files.format() { Self::Files } else { Self::Pack }
    }
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pack => "pack",
            Self::Files => "files",
        })
    }
}

/// A data folder that this process holds. The lock ends with the value, or with the process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    layout: Layout,
    _lock: File,
}

/// What can be seen of a data folder without using it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The number of its format; `None`: it holds no data yet.
    pub format: Option<u32>,
    /// Another process holds it.
    pub locked: bool,
    /// The number of that process, where it can be read.
    pub pid: Option<u32>,
}

impl DataDir {
    /// Looks at a folder that is there; nothing in it is changed.
    ///
    /// # Errors
    /// The folder cannot be read, or its format is no number.
    pub fn look(path: &Path) -> Result<Seen> {
        std::fs::read_dir(path).map_err(|e| StoreError::io("read data folder", path, 0, e))?;
        let format = read_format(path)?;
        let Ok(mut file) = File::open(path.join("lock")) else {
            return Ok(Seen { format, ..Seen::default() });
        };
        // shared, so that two who look do not meet, and for a moment only
        let locked = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        let mut text = String::new();
        let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
        Ok(Seen { format, locked, pid: pid.filter(|_| locked) })
    }

    /// Makes the folder if it is not there, takes its lock and checks its format.
    pub fn open(path: &Path) -> Result<Self> {
        Self::opened(path, None)
    }

    /// The same; objects are to be kept in this way.
    ///
    /// # Errors
    /// They are kept in another way there already, besides those of [`open`](Self::open).
    pub fn open_as(path: &Path, layout: Layout) -> Result<Self> {
        Self::opened(path, Some(layout))
    }

    fn opened(path: &Path, wanted: Option<Layout>) -> Result<Self> {
        let io = |what| move |source| StoreError::io(what, path, 0, source);
        std::fs::create_dir_all(path).map_err(io("create data folder"))?;
        let lock = lock(path)?;
        let layout = match read_format(path)? {
            Some(found) if found > FORMAT => {
                return Err(StoreError::NewerFormat {
                    path: path.to_owned(),
                    found,
                    supported: FORMAT,
                });
            }
            Some(found) => Layout::of(found),
            None => {
                let layout = wanted.unwrap_or_default();
                write_format(path, layout.format())?;
                layout
            }
        };
        let layout = match wanted {
            Some(wanted) if wanted != layout => {
                let found = layout;
                // one that holds orders only may have another yet
                if StdDisk.list(&path.join("packs")).is_ok_and(|packs| !packs.is_empty()) {
                    return Err(StoreError::Layout { path: path.to_owned(), found, wanted });
                }
                write_format(path, wanted.format())?;
                wanted
            }
            _ => layout,
        };
        let dir = Self { path: path.to_owned(), layout, _lock: lock };
        let packs = dir.packs();
        StdDisk
            .create_dir_all(&packs)
            .map_err(|e| StoreError::io("create folder", &packs, 0, e))?;
        Ok(dir)
    }

    /// The objects, as the folder keeps them.
    pub fn blobs(&self) -> Result<Arc<dyn Blobs>> {
        Ok(match self.layout {
            Layout::Pack => Arc::new(PackBlobs::open(&self.packs(), PackOptions::default())?),
            Layout::Files => Arc::new(FilesBlobs::open(
                &self.packs(),
                &objects(&self.path),
                FilesOptions::default(),
            )?),
        })
    }

    pub fn layout(&self) -> Layout {
        self.layout
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Objects, or the log of the files that are objects.
    pub fn packs(&self) -> PathBuf {
        self.path.join("packs")
    }

    pub fn index_db(&self) -> PathBuf {
        self.path.join("index.db")
    }

    pub fn lab_db(&self) -> PathBuf {
        self.path.join("lab.db")
    }

    pub fn events_db(&self) -> PathBuf {
        self.path.join("events.db")
    }
}

/// Where the files are that are objects.
pub(crate) fn objects(dir: &Path) -> PathBuf {
    dir.join("objects")
}

/// The lock file holds the number of the process, for the message to the second one.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let io = |what| {
        let path = path.clone();
        move |source| StoreError::io(what, &path, 0, source)
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io("open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            // Windows does not let others read a locked file: then the number stays unknown.
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(StoreError::Locked { path: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(source)) => return Err(io("lock")(source)),
    }
    file.set_len(0).map_err(io("write"))?;
    file.rewind().map_err(io("write"))?;
    writeln!(file, "{}", std::process::id()).map_err(io("write"))?;
    Ok(file)
}

fn read_format(dir: &Path) -> Result<Option<u32>> {
    let path = dir.join("format");
    match std::fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| StoreError::Unreadable {
            path,
            what: format!("'{}' is no format number", text.trim()),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", &path, 0, error)),
    }
}

/// Through a second name, so that a crash leaves the whole number or none.
fn write_format(dir: &Path, format: u32) -> Result<()> {
    let (path, temporary) = (dir.join("format"), dir.join("format.new"));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        writeln!(file, "{format}")?;
        file.sync_all()?;
        crate::disk::patiently(|| std::fs::rename(&temporary, &path))?;
        StdDisk.sync_dir(dir)
    };
    write().map_err(|e| StoreError::io("write", &path, 8, e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::{Kind, Record};

    #[test]
    fn a_folder_is_made_and_found_again() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b");
        let dir = DataDir::open(&path).unwrap();
        assert!(dir.packs().is_dir());
        drop(dir);
        DataDir::open(&path).unwrap();
        assert_eq!(std::fs::read_to_string(path.join("format")).unwrap(), "1\n");
    }

    #[test]
    fn a_second_user_is_refused_and_told_whose_it_is() {
        let root = tempfile::tempdir().unwrap();
        let _first = DataDir::open(root.path()).unwrap();
        let error = DataDir::open(root.path()).unwrap_err();
        assert!(matches!(error, StoreError::Locked { .. }), "{error}");
        #[cfg(unix)]
        assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    }

    #[test]
    fn looking_changes_nothing() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(DataDir::look(root.path()).unwrap(), Seen::default());
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 0);
        let held = DataDir::open(root.path()).unwrap();
        let seen = DataDir::look(root.path()).unwrap();
        assert_eq!((seen.format, seen.locked), (Some(1), true));
        #[cfg(unix)]
        assert_eq!(seen.pid, Some(std::process::id()));
        drop(held);
        assert!(!DataDir::look(root.path()).unwrap().locked);
        assert!(DataDir::look(&root.path().join("nowhere")).is_err());
    }

    #[test]
    fn a_folder_remembers_how_it_keeps_objects() {
        let root = tempfile::tempdir().unwrap();
        for (name, layout, other) in
            [("a", Layout::Files, Layout::Pack), ("b", Layout::Pack, Layout::Files)]
        {
            let path = root.path().join(name);
            DataDir::open_as(&path, other).unwrap();
            DataDir::open_as(&path, layout).expect("nothing is kept there yet");
            let again = DataDir::open(&path).unwrap();
            assert_eq!(again.layout(), layout);
            let blobs = again.blobs().unwrap();
            assert_eq!(blobs.frees_at_once(), layout == Layout::Files);
            let record = Record { kind: Kind::Instance, note: b"", head: b"", body: b"x" };
            blobs.append(&[record]).unwrap();
            drop((again, blobs));
            let error = DataDir::open_as(&path, other).unwrap_err();
            assert!(matches!(error, StoreError::Layout { .. }), "{error}");
            assert!(
                error.to_string().contains(&format!("storage.layout = \"{layout}\"")),
                "{error}"
            );
            DataDir::open_as(&path, layout).unwrap();
        }
    }

    #[test]
    fn a_newer_format_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("format"), "99\n").unwrap();
        let error = DataDir::open(root.path()).unwrap_err();
        assert!(error.to_string().contains("format 99"), "{error}");
        std::fs::write(root.path().join("format"), "x").unwrap();
        assert!(matches!(DataDir::open(root.path()), Err(StoreError::Unreadable { .. })));
    }
}
