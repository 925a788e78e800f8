//! Texts by key, layer over layer, each with its origin.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::destination::{self, DESTINATIONS, Destination, Reads};
use super::nearest::nearest;
use super::value::{Password, Peer, Setting};
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
    File {
        path: PathBuf,
        line: usize,
    },
    Variable(String),
    /// A name of Orthanc's configuration, and what it stands in.
    Orthanc {
        name: String,
        within: Box<Origin>,
    },
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

/// The sections whose keys are names that people choose.
pub(super) const PEERS: &str = "peers.";
pub(super) const USERS: &str = "http.users.";

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
            if !self.by_key.contains_key(&key) && !is_named(&key) {
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

    /// Peers with all that is said about them: as `AET@host:port`, or as an array or an object in
    /// the forms of Orthanc's `DicomModalities`.
    pub(super) fn peers(&self) -> Result<BTreeMap<String, pacslab_archive::Peer>> {
        self.named(PEERS, |name, text| match text.starts_with(['[', '{']) {
            true => {
                let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
                pacslab_archive::Peer::from_orthanc(name, &value).map_err(|why| why.to_string())
            }
            false => {
                let Peer { aet, host, port, tls } = Peer::read(text)?;
                let peer = pacslab_archive::Peer::new(name, aet, host, port);
                Ok(pacslab_archive::Peer { tls, ..peer })
            }
        })
    }

    pub(super) fn users(&self) -> Result<BTreeMap<String, Password>> {
        self.named(USERS, |_, text| Password::read(text))
    }

    /// Where HL7 messages go, by name.
    pub(super) fn destinations(&self) -> Result<Vec<Destination>> {
        let keys = self.by_key.keys().filter_map(|key| destination::split(key));
        let names: std::collections::BTreeSet<&str> = keys.map(|(name, _)| name).collect();
        let read = |name: &str| {
            let one = Destination::from_values(name, &Of { values: self, name })?;
            one.check().map_err(|(key, why)| Of { values: self, name }.wrong(key, "", &why))?;
            Ok(one)
        };
        names.into_iter().map(read).collect()
    }

    fn named<T>(
        &self,
        section: &str,
        read: impl Fn(&str, &str) -> std::result::Result<T, String>,
    ) -> Result<BTreeMap<String, T>> {
        self.by_key
            .iter()
            .filter_map(|(key, (text, origin))| {
                let name = key.strip_prefix(section)?;
                let value = read(name, text).map_err(|why| wrong(key, text, origin, &why));
                Some(value.map(|value| (name.to_owned(), value)))
            })
            .collect()
    }

    /// Where the value of a key came from.
    pub(crate) fn origin(&self, key: &str) -> &Origin {
        self.by_key.get(key).map_or(&Origin::Default, |(_, origin)| origin)
    }

    /// Key, value as it may be shown, whether TOML quotes it, and origin; in declared order.
    pub(crate) fn shown(&self) -> Vec<(&str, &str, bool, &Origin)> {
        let declared = KEYS.iter().filter_map(|info| {
            let (text, origin) = self.by_key.get(info.key)?;
            let text = if info.secret { HIDDEN } else { text.as_str() };
            Some((info.key, text, info.quoted, origin))
        });
        let named = |section: &'static str| {
            let entries = self.by_key.iter().filter(move |(key, _)| key.starts_with(section));
            entries.map(|(key, (text, origin))| {
                let text = if is_secret(key) { HIDDEN } else { text.as_str() };
                (key.as_str(), text, true, origin)
            })
        };
        let of_destinations = self.by_key.iter().filter_map(|(key, (text, origin))| {
            let (_, name) = destination::split(key)?;
            let known = destination::KEYS.iter().find(|known| known.name == name)?;
            Some((key.as_str(), text.as_str(), known.quoted, origin))
        });
        declared.chain(of_destinations).chain(named(USERS)).chain(named(PEERS)).collect()
    }
}

/// What was said of one destination.
struct Of<'a> {
    values: &'a Values,
    name: &'a str,
}

impl Of<'_> {
    fn wrong(&self, key: &str, default: &str, why: &str) -> Failure {
        let key = format!("{DESTINATIONS}{}.{key}", self.name);
        match self.values.by_key.get(&key) {
            Some((text, origin)) => wrong(&key, text, origin, why),
            None => wrong(&key, default, &Origin::Default, why),
        }
    }
}

impl Reads<Failure> for Of<'_> {
    fn read<T: Setting>(&self, key: &'static str, default: &str) -> Result<T> {
        let full = format!("{DESTINATIONS}{}.{key}", self.name);
        let text = self.values.by_key.get(&full).map_or(default, |(text, _)| text);
        T::read(text).map_err(|why| self.wrong(key, default, &why))
    }
}

/// What is shown of a secret.
const HIDDEN: &str = "********";

/// A key of the sections that hold chosen names.
fn is_named(key: &str) -> bool {
    destination::split(key).is_some()
        || [PEERS, USERS].iter().any(|section| {
            key.strip_prefix(section).is_some_and(|name| !name.is_empty() && !name.contains('.'))
        })
}

fn is_secret(key: &str) -> bool {
    key.starts_with(USERS) || KEYS.iter().any(|info| info.key == key && info.secret)
}

fn wrong(key: &str, text: &str, origin: &Origin, why: &str) -> Failure {
    let shown = if is_secret(key) { HIDDEN } else { text };
    let failure = Failure::usage(format!("{key} = '{shown}': {why} ({origin})"));
    match key.strip_prefix(PEERS).filter(|_| why.contains("TCP port number")) {
        Some(name) => failure.hint(format!(
            "give the port on which {name} listens, e.g. {name} = \"{name}@127.0.0.1:11112\" under \
             [peers], or ORTHANC__DICOM_MODALITIES='{{\"{name}\":[\"{name}\",\"*\",11112]}}'"
        )),
        None => failure.hint("`pacslab config show` lists every value and where it came from"),
    }
}

fn unknown(key: &str, origin: &Origin) -> Failure {
    let failure = Failure::usage(format!("unknown configuration key {key} ({origin})"));
    if let Some((name, wrong)) =
        key.strip_prefix(DESTINATIONS).and_then(|rest| rest.split_once('.'))
    {
        let known = nearest(wrong, destination::KEYS.iter().map(|known| known.name));
        return match known {
            Some(known) => {
                let known = format!("{DESTINATIONS}{name}.{known}");
                failure.hint(format!("did you mean {}?", origin.spell(&known)))
            }
            None => failure.hint("docs/configuration.md lists the keys of a destination"),
        };
    }
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
            Self::Orthanc { name, within } => write!(f, "{within}, {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}
