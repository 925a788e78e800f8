//! Texts by key, layer over layer, each with its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::nearest::nearest;
use super::value::{Peer, Setting};
use super::{KEYS, KeyInfo};
use crate::exit::{Failure, Result};

/// One value as a layer brings it. A further source of settings is a function that returns these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `dicom.port`
    pub(crate) key: String,
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    File { path: PathBuf, line: usize },
    Variable(String),
    Flag(&'static str),
}

impl Entry {
    /// What was typed on the command line, if it was.
    pub(crate) fn flag(
        flag: &'static str,
        key: &str,
        value: Option<impl ToString>,
    ) -> Option<Self> {
        let text = value?.to_string();
        Some(Self { key: key.to_owned(), text, origin: Origin::Flag(flag) })
    }
}

/// The section whose keys are names that people choose.
const PEERS: &str = "peers.";

/// Where the demo's receiver listens: a C-MOVE destination from the start.
const DEFAULT_PEER: (&str, &str) = ("PYNETSCP", "PYNETSCP@127.0.0.1:11112");

#[derive(Debug, Clone, Default)]
pub(crate) struct Values {
    by_key: BTreeMap<String, (String, Origin)>,
}

impl Values {
    pub(crate) fn defaults(keys: &[KeyInfo]) -> Self {
        let mut by_key = BTreeMap::new();
        for info in keys {
            by_key.insert(info.key.to_owned(), (info.default.to_owned(), Origin::Default));
        }
        let (name, peer) = DEFAULT_PEER;
        by_key.insert(format!("{PEERS}{name}"), (peer.to_owned(), Origin::Default));
        Self { by_key }
    }

    /// Lays a layer over what is there.
    pub(crate) fn apply(&mut self, layer: impl IntoIterator<Item = Entry>) -> Result<()> {
        for Entry { key, text, origin } in layer {
            if !self.by_key.contains_key(&key) && !is_peer(&key) {
                return Err(unknown(&key, &origin));
            }
            self.by_key.insert(key, (text, origin));
        }
        Ok(())
    }

    /// Folders that nobody chose stay inside the one that somebody did.
    pub(super) fn follow(&mut self, folder: &str, inside: &[(&str, &str)]) {
        let Some((chosen, origin)) = self.by_key.get(folder).cloned() else { return };
        if origin == Origin::Default {
            return;
        }
        for (key, name) in inside {
            if let Some(value) = self.by_key.get_mut(*key).filter(|v| v.1 == Origin::Default) {
                let path = Path::new(&chosen).join(name).display().to_string();
                *value = (path, origin.clone());
            }
        }
    }

    /// The value of a declared key.
    pub(super) fn get<T: Setting>(&self, key: &str) -> Result<T> {
        let Some((text, origin)) = self.by_key.get(key) else {
            return Err(Failure::usage(format!("configuration key {key} is not declared")));
        };
        T::read(text).map_err(|why| wrong(key, text, origin, &why))
    }

    pub(super) fn peers(&self) -> Result<BTreeMap<String, Peer>> {
        self.by_key
            .iter()
            .filter_map(|(key, (text, origin))| {
                let name = key.strip_prefix(PEERS)?;
                let peer = Peer::read(text).map_err(|why| wrong(key, text, origin, &why));
                Some(peer.map(|peer| (name.to_owned(), peer)))
            })
            .collect()
    }

    /// Key, value as it may be shown, whether TOML quotes it, and origin; in declared order.
    pub(crate) fn shown(&self) -> Vec<(&str, &str, bool, &Origin)> {
        let declared = KEYS.iter().filter_map(|info| {
            let (text, origin) = self.by_key.get(info.key)?;
            let text = if info.secret { "********" } else { text.as_str() };
            Some((info.key, text, info.quoted, origin))
        });
        let peers = self
            .by_key
            .iter()
            .filter(|(key, _)| key.starts_with(PEERS))
            .map(|(key, (text, origin))| (key.as_str(), text.as_str(), true, origin));
        declared.chain(peers).collect()
    }
}

fn is_peer(key: &str) -> bool {
    key.strip_prefix(PEERS).is_some_and(|name| !name.is_empty() && !name.contains('.'))
}

fn wrong(key: &str, text: &str, origin: &Origin, why: &str) -> Failure {
    let secret = KEYS.iter().any(|info| info.key == key && info.secret);
    let shown = if secret { "********" } else { text };
    Failure::usage(format!("{key} = '{shown}': {why} ({origin})"))
        .hint("`pacslab config show` lists every value and where it came from")
}

fn unknown(key: &str, origin: &Origin) -> Failure {
    let failure = Failure::usage(format!("unknown configuration key {key} ({origin})"));
    match nearest(key, KEYS.iter().map(|info| info.key)) {
        Some(known) => failure.hint(format!("did you mean {}?", origin.spell(known))),
        None => failure.hint("`pacslab config show` lists every key"),
    }
}

impl Origin {
    /// A key as it is written at this place.
    fn spell(&self, key: &str) -> String {
        match self {
            Self::Variable(_) => super::env::variable(key),
            _ => key.to_owned(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}
