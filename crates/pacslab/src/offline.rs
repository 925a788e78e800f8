//! The data folder of a department that is stopped, for commands that look after it.

use std::sync::Arc;

use pacslab_archive::{Archive, Parts};
use pacslab_model::event::Silent;
use pacslab_store::{Blobs, DataDir, SqliteIndex, StoreError};

use crate::clock::SystemClock;
use crate::config::{Attributes, Config, StorageLayout};
use crate::exit::{Failure, Result};

/// Nobody else uses the folder while this is there.
#[derive(Debug)]
pub(crate) struct Offline {
    pub(crate) folder: DataDir,
    /// What the index searches besides: one that was made otherwise would be made again.
    also: Attributes,
}

impl Offline {
    /// `None`: a server uses it. A folder is not made where there is none.
    pub(crate) fn unless_in_use(config: &Config) -> Result<Option<Self>> {
        let dir = &config.storage.dir;
        if !dir.join("packs").is_dir() {
            return Err(Failure::usage(format!("{} is no data folder of PACS Lab", dir.display()))
                .hint("name it with --data, or set storage.dir in pacslab.toml"));
        }
        Self::made(config)
    }

    /// The same, and a folder is made where there is none.
    pub(crate) fn made(config: &Config) -> Result<Option<Self>> {
        let dir = &config.storage.dir;
        // one that is there keeps objects as it does, whatever the configuration says of servers
        let opened = match config.storage.layout {
            StorageLayout::Disk(layout) if !dir.join("format").exists() => {
                DataDir::open_as(dir, layout)
            }
            _ => DataDir::open(dir),
        };
        match opened {
            Ok(folder) => Ok(Some(Self { folder, also: config.index.also.clone() })),
            Err(StoreError::Locked { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// The objects, as they are.
    pub(crate) fn blobs(&self) -> Result<Arc<dyn Blobs>> {
        self.folder.blobs().map_err(failed)
    }

    pub(crate) fn index(&self) -> Result<Arc<SqliteIndex>> {
        SqliteIndex::open_searching(&self.folder.index_db(), &self.also.0)
            .map(Arc::new)
            .map_err(failed)
    }

    /// The archive, its index brought up to date.
    pub(crate) fn archive(&self) -> Result<Arc<Archive>> {
        Archive::open(Parts {
            blobs: self.blobs()?,
            index: self.index()?,
            clock: Arc::new(SystemClock),
            emit: Arc::new(Silent),
        })
        .map_err(|error| Failure::failed(error.to_string()))
    }
}

pub(crate) fn failed(error: StoreError) -> Failure {
    let damaged = matches!(error, StoreError::Damaged { .. });
    let failure = Failure::failed(error.to_string());
    match damaged {
        true => failure.hint("docs/storage.md says what may be done about damage"),
        false => failure,
    }
}
