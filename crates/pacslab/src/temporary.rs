//! Folders that end with the program.

use std::path::{Path, PathBuf};

use crate::config::{Config, Loaded, Origin};
use crate::exit::{Failure, Result};

/// The folder of `--ephemeral`: removed at the end.
pub(crate) struct Temporary(Option<PathBuf>);

impl Temporary {
    /// Moves every folder that was not chosen into a temporary one.
    pub(crate) fn take(config: &mut Config, loaded: &Loaded) -> Result<Self> {
        let root = std::env::temp_dir().join(format!("pacslab-{}", std::process::id()));
        let chosen =
            |key: &str| {
                loaded.values.shown().iter().any(|(shown, _, _, origin)| {
                    *shown == key && !matches!(origin, Origin::Default)
                })
            };
        let mut used = false;
        let mut place = |key: &str, dir: &mut PathBuf, name: &str| {
            if !chosen(key) {
                *dir = root.join(name);
                used = true;
            }
        };
        place("storage.dir", &mut config.storage.dir, "data");
        place("worklist.dir", &mut config.worklist.dir, "worklists");
        place("modality.out", &mut config.modality.out, "samples");
        place("receiver.dir", &mut config.receiver.dir, "inbox");
        if used {
            std::fs::create_dir_all(&root)
                .map_err(|error| Failure::file("make the folder", &root, &error))?;
        }
        Ok(Self(used.then_some(root)))
    }

    pub(crate) fn folder(&self) -> Option<&Path> {
        self.0.as_deref()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(root) = self.0.take()
            && let Err(error) = std::fs::remove_dir_all(&root)
        {
            tracing::warn!("cannot remove {}: {error}", root.display());
        }
    }
}
