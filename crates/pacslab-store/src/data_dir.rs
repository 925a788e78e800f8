//! The data folder: who may use it, what is where in it, and in which format.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::error::{Result, StoreError};

/// What this version writes. Older formats are migrated when opened.
pub const FORMAT: u32 = 1;

/// A data folder that this process holds. The lock ends with the value, or with the process.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
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
        let io = |what| move |source| StoreError::io(what, path, 0, source);
        std::fs::create_dir_all(path).map_err(io("create data folder"))?;
        let lock = lock(path)?;
        match read_format(path)? {
            Some(found) if found > FORMAT => {
                return Err(StoreError::NewerFormat {
                    path: path.to_owned(),
                    found,
                    supported: FORMAT,
                });
            }
            Some(_) => {}
            None => write_format(path)?,
        }
        let dir = Self { path: path.to_owned(), _lock: lock };
        let packs = dir.packs();
        std::fs::create_dir_all(&packs)
            .map_err(|e| StoreError::io("create folder", &packs, 0, e))?;
        Ok(dir)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Objects.
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
fn write_format(dir: &Path) -> Result<()> {
    let (path, temporary) = (dir.join("format"), dir.join("format.new"));
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        writeln!(file, "{FORMAT}")?;
        file.sync_all()?;
        crate::disk::patiently(|| std::fs::rename(&temporary, &path))?;
        crate::disk::Disk::sync_dir(&crate::disk::StdDisk, dir)
    };
    write().map_err(|e| StoreError::io("write", &path, 8, e))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!((seen.format, seen.locked), (Some(FORMAT), true));
        #[cfg(unix)]
        assert_eq!(seen.pid, Some(std::process::id()));
        drop(held);
        assert!(!DataDir::look(root.path()).unwrap().locked);
        assert!(DataDir::look(&root.path().join("nowhere")).is_err());
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
