//! What goes wrong with storage, told to the person who has to act on it.

use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    #[error("cannot {what} {path}: {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },

    /// Nothing of the batch was kept; the same call works again once there is space.
    #[error("no space left for {needed} bytes in {path}; free some space, nothing was stored")]
    Full { path: PathBuf, needed: u64 },

    /// A limit of the configuration, told first because peers see some 60 characters.
    #[error("{setting} is reached ({limit}): nothing was stored; delete something or raise it")]
    Quota { setting: &'static str, limit: String },

    #[error("{path} is damaged at byte {offset}: {what}; restore it from a backup")]
    Damaged { path: PathBuf, offset: u64, what: String },

    #[error(
        "{path} is damaged ({why}); it holds {what}: restore it from a backup, or move it away to \
         begin without them"
    )]
    Ruined { path: PathBuf, what: String, why: String },

    #[error("nothing is stored at {0}; the index and the packs do not belong together")]
    NoSuchLocation(crate::blobs::Location),

    #[error("database {path}: {source}")]
    Database { path: PathBuf, source: rusqlite::Error },

    /// One sync for several callers has failed, and none of them has an effect.
    #[error("nothing was written to {path}: {why}; the same again may work")]
    Unwritten { path: PathBuf, why: String },

    #[error("{path} holds what this version cannot read: {what}")]
    Unreadable { path: PathBuf, what: String },

    #[error(
        "data folder {path} is in use by another process{}; stop it or choose another folder",
        .pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Locked { path: PathBuf, pid: Option<u32> },

    #[error(
        "data folder {path} has format {found}, this version reads up to {supported}; \
         use a newer version"
    )]
    NewerFormat { path: PathBuf, found: u32, supported: u32 },

    #[error(
        "data folder {path} keeps its objects as {found}, and storage.layout is {wanted}; set \
         storage.layout = \"{found}\", or name a new folder and bring the studies there (docs/storage.md)"
    )]
    Layout { path: PathBuf, found: crate::data_dir::Layout, wanted: crate::data_dir::Layout },

    /// What a caller's own function (a replay visitor, say) came back with.
    #[error("{0}")]
    Other(String),
}

pub(crate) type Result<T, E = StoreError> = std::result::Result<T, E>;

impl StoreError {
    /// Sorts an I/O error: a full disk or an exhausted quota is an error of its own.
    pub(crate) fn io(what: &'static str, path: &Path, needed: u64, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::Full { path: path.to_owned(), needed }
            }
            _ => Self::Io { what, path: path.to_owned(), source },
        }
    }

    pub(crate) fn database(path: &Path, source: rusqlite::Error) -> Self {
        if let rusqlite::Error::SqliteFailure(failure, _) = &source
            && failure.code == rusqlite::ErrorCode::DiskFull
        {
            return Self::Full { path: path.to_owned(), needed: 0 };
        }
        Self::Database { path: path.to_owned(), source }
    }

    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::Quota { .. })
    }
}
