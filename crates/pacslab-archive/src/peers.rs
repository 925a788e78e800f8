//! Who the department knows: DICOM peers by name, as configured and as registered while it runs.
//!
//! One registry for all who ask: C-MOVE looks a destination up, policy asks who is calling, HTTP
//! lists and changes. What is registered is kept on the desk (drawer `modalities`) and found again
//! after a restart; what is configured is kept by the configuration. A peer reads and writes itself
//! in the JSON forms of Orthanc's `DicomModalities`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use pacslab_dimse::Remote;
use pacslab_model::{AeTitle, Clock};
use pacslab_store::desk::{Desk, Expect, Put};
use pacslab_store::{StoreError, desk};
use serde_json::{Map, Value, json};

/// A DICOM application entity that is known by name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Peer {
    /// What it is called here: `PYNETSCP` in `PUT /modalities/PYNETSCP`.
    pub name: String,
    pub aet: AeTitle,
    /// A name or an address; `*` is a peer that calls and is never called.
    pub host: String,
    pub port: u16,
    pub manufacturer: String,
    /// What it may ask of us.
    pub allow: Allow,
    /// Whether what it is sent may be sent in another transfer syntax.
    pub transcoding: bool,
    pub tls: bool,
    /// The title to call it with, if not the department's own.
    pub local_aet: Option<AeTitle>,
    /// Seconds that an answer may take; 0: as for all others.
    pub timeout: u32,
    /// How it is retrieved from, in Orthanc's words.
    pub retrieve_method: String,
}

/// The services that a peer may ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "one switch for each service, as Orthanc has them"
)]
pub struct Allow {
    pub echo: bool,
    pub store: bool,
    pub find: bool,
    pub find_worklist: bool,
    pub get: bool,
    pub move_: bool,
    pub n_action: bool,
    pub event_report: bool,
}

impl Allow {
    pub const ALL: Self = Self {
        echo: true,
        store: true,
        find: true,
        find_worklist: true,
        get: true,
        move_: true,
        n_action: true,
        event_report: true,
    };
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadPeer {
    #[error(
        "A TCP port number must be in range [1..65534], but found: {found}; \
         give {name} the port it listens on, e.g. 11112"
    )]
    Port { name: String, found: String },
    #[error("the AE title of {name} cannot be used: {why}")]
    Title { name: String, why: pacslab_model::ae::BadAeTitle },
    #[error(
        "{name} is described by {count} values; three or four are expected, \
         e.g. [\"{name}\", \"127.0.0.1\", 11112]"
    )]
    Length { name: String, count: usize },
    #[error(
        "{name} lacks {field}; an example: {{\"AET\": \"{name}\", \"Host\": \"127.0.0.1\", \"Port\": 11112}}"
    )]
    Missing { name: String, field: &'static str },
    #[error("{field} of {name} has to be {expected}, not {found}")]
    Kind { name: String, field: String, expected: &'static str, found: String },
    #[error(
        "{name} cannot be described by {found}; an array or an object is expected, e.g. [\"{name}\", \"127.0.0.1\", 11112]"
    )]
    Form { name: String, found: String },
    #[error("unknown manufacturer '{found}' of {name}; Generic fits all that are not listed: {}", MANUFACTURERS.join(", "))]
    Manufacturer { name: String, found: String },
}

const RETRIEVE_METHODS: [&str; 3] = ["SystemDefault", "C-MOVE", "C-GET"];

const MANUFACTURERS: [&str; 5] =
    ["Generic", "GenericNoWildcardInDates", "GenericNoUniversalWildcard", "Vitrea", "GE"];

/// What Orthanc knew by name once, and as what it takes it now.
const ONCE: [(&str, &str); 6] = [
    ("AgfaImpax", "GenericNoWildcardInDates"),
    ("ClearCanvas", "Generic"),
    ("Dcm4Chee", "Generic"),
    ("EFilm2", "Generic"),
    ("MedInria", "Generic"),
    ("SyngoVia", "GenericNoWildcardInDates"),
];

impl Peer {
    /// A peer that may do everything.
    pub fn new(name: impl Into<String>, aet: AeTitle, host: impl Into<String>, port: u16) -> Self {
        Self {
            name: name.into(),
            aet,
            host: host.into(),
            port,
            manufacturer: MANUFACTURERS[0].to_owned(),
            allow: Allow::ALL,
            transcoding: true,
            tls: false,
            local_aet: None,
            timeout: 0,
            retrieve_method: RETRIEVE_METHODS[0].to_owned(),
        }
    }

    /// Whether it can be called: it listens somewhere.
    pub fn is_reachable(&self) -> bool {
        self.host != "*"
    }

    /// Where it is called.
    pub fn remote(&self) -> Remote {
        let (host, port) = (self.host.clone(), self.port);
        Remote { aet: self.aet.clone(), host, port, tls: self.tls }
    }

    /// Reads `[AET, host, port]`, `[AET, host, port, manufacturer]` or the object form.
    ///
    /// # Errors
    /// Names the peer, the field and what is expected of it.
    pub fn from_orthanc(name: &str, value: &Value) -> Result<Self, BadPeer> {
        match value {
            Value::Array(values) => match &values[..] {
                [aet, host, port] => Self::read(name, aet, host, port),
                [aet, host, port, made_by] => Ok(Self {
                    manufacturer: manufacturer(name, made_by)?,
                    ..Self::read(name, aet, host, port)?
                }),
                _ => Err(BadPeer::Length { name: name.to_owned(), count: values.len() }),
            },
            Value::Object(fields) => Self::from_fields(name, fields),
            other => Err(BadPeer::Form { name: name.to_owned(), found: other.to_string() }),
        }
    }

    fn read(name: &str, aet: &Value, host: &Value, port: &Value) -> Result<Self, BadPeer> {
        let aet = title(name, "AET", aet)?;
        let host = text(name, "Host", host)?;
        Ok(Self::new(name, aet, host.trim(), port_number(name, port)?))
    }

    fn from_fields(name: &str, fields: &Map<String, Value>) -> Result<Self, BadPeer> {
        let needed =
            |field| fields.get(field).ok_or(BadPeer::Missing { name: name.to_owned(), field });
        let mut peer = Self::read(name, needed("AET")?, needed("Host")?, needed("Port")?)?;
        let set = |target: &mut bool, field: &str| match fields.get(field) {
            None => Ok(()),
            Some(Value::Bool(value)) => {
                *target = *value;
                Ok(())
            }
            Some(other) => Err(kind(name, field, "true or false", other)),
        };
        let allow = &mut peer.allow;
        set(&mut allow.echo, "AllowEcho")?;
        set(&mut allow.store, "AllowStore")?;
        set(&mut allow.find, "AllowFind")?;
        set(&mut allow.find_worklist, "AllowFindWorklist")?;
        set(&mut allow.get, "AllowGet")?;
        set(&mut allow.move_, "AllowMove")?;
        // one switch for both halves of storage commitment, which each may override
        set(&mut allow.n_action, "AllowStorageCommitment")?;
        set(&mut allow.event_report, "AllowStorageCommitment")?;
        set(&mut allow.n_action, "AllowNAction")?;
        set(&mut allow.event_report, "AllowEventReport")?;
        set(&mut peer.transcoding, "AllowTranscoding")?;
        set(&mut peer.tls, "UseDicomTls")?;
        if let Some(value) = fields.get("Manufacturer") {
            peer.manufacturer = manufacturer(name, value)?;
        }
        if let Some(value) = fields.get("RetrieveMethod") {
            let known = RETRIEVE_METHODS.iter().find(|method| value == *method);
            let expected = "SystemDefault, C-MOVE or C-GET";
            peer.retrieve_method =
                known.ok_or_else(|| kind(name, "RetrieveMethod", expected, value))?.to_string();
        }
        // empty: the department's own
        if let Some(value) = fields.get("LocalAet").filter(|value| value.as_str() != Some("")) {
            peer.local_aet = Some(title(name, "LocalAet", value)?);
        }
        if let Some(value) = fields.get("Timeout") {
            peer.timeout = value
                .as_u64()
                .and_then(|seconds| u32::try_from(seconds).ok())
                .ok_or_else(|| kind(name, "Timeout", "a number of seconds", value))?;
        }
        Ok(peer)
    }

    /// The object that `GET /modalities/{name}/configuration` answers.
    pub fn to_orthanc(&self) -> Value {
        json!({
            "AET": self.aet,
            "AllowEcho": self.allow.echo,
            "AllowEventReport": self.allow.event_report,
            "AllowFind": self.allow.find,
            "AllowFindWorklist": self.allow.find_worklist,
            "AllowGet": self.allow.get,
            "AllowMove": self.allow.move_,
            "AllowNAction": self.allow.n_action,
            "AllowStore": self.allow.store,
            "AllowTranscoding": self.transcoding,
            "Host": self.host,
            "LocalAet": self.local_aet.as_ref().map_or("", AeTitle::as_str),
            "Manufacturer": self.manufacturer,
            "Port": self.port,
            "RetrieveMethod": self.retrieve_method,
            "Timeout": self.timeout,
            "UseDicomTls": self.tls,
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.remote())
    }
}

fn kind(name: &str, field: &str, expected: &'static str, found: &Value) -> BadPeer {
    BadPeer::Kind { name: name.into(), field: field.into(), expected, found: found.to_string() }
}

fn text<'a>(name: &str, field: &str, value: &'a Value) -> Result<&'a str, BadPeer> {
    value.as_str().ok_or_else(|| kind(name, field, "text", value))
}

fn title(name: &str, field: &str, value: &Value) -> Result<AeTitle, BadPeer> {
    let aet = AeTitle::new(text(name, field, value)?);
    aet.map_err(|why| BadPeer::Title { name: name.to_owned(), why })
}

/// A number, or a text that is one.
fn port_number(name: &str, value: &Value) -> Result<u16, BadPeer> {
    let found = value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
    match found.parse::<i64>() {
        Ok(port @ 1..=65_534) => Ok(port as u16),
        _ => Err(BadPeer::Port { name: name.to_owned(), found }),
    }
}

fn manufacturer(name: &str, value: &Value) -> Result<String, BadPeer> {
    let found = text(name, "Manufacturer", value)?;
    let now = ONCE.iter().find(|(once, _)| *once == found).map_or(found, |(_, now)| now);
    match MANUFACTURERS.contains(&now) {
        true => Ok(now.to_owned()),
        false => Err(BadPeer::Manufacturer { name: name.to_owned(), found: found.to_owned() }),
    }
}

/// All peers, for everybody who asks at any time. Reading never waits for the disk.
#[derive(Default)]
pub struct Peers {
    known: RwLock<Arc<BTreeMap<String, Peer>>>,
    kept: Option<(Arc<dyn Desk>, Arc<dyn Clock>)>,
}

/// Where registered peers are kept.
const DRAWER: &str = "modalities";

impl Peers {
    /// Peers that are forgotten at the end.
    pub fn new(configured: impl IntoIterator<Item = Peer>) -> Self {
        let known = configured.into_iter().map(|peer| (peer.name.clone(), peer)).collect();
        Self { known: RwLock::new(Arc::new(known)), kept: None }
    }

    /// Configured peers, and over them those that were registered before. Blocks.
    ///
    /// # Errors
    /// The desk fails, or holds a peer that this version cannot read.
    pub fn open(
        configured: impl IntoIterator<Item = Peer>,
        desk: Arc<dyn Desk>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        const PAGE: usize = 1_000;
        let peers = Self::new(configured);
        let mut after = String::new();
        loop {
            let page = desk.entries(DRAWER, &after, PAGE)?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.key);
            for entry in page {
                peers.insert(read_entry(&entry)?);
            }
        }
        Ok(Self { kept: Some((desk, clock)), ..peers })
    }

    /// All of them as they are now, by name.
    pub fn all(&self) -> Arc<BTreeMap<String, Peer>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn get(&self, name: &str) -> Option<Peer> {
        self.all().get(name).cloned()
    }

    /// The peers with this title, upper and lower case alike: one title may have several places.
    pub fn titled(&self, aet: &str) -> Vec<Peer> {
        let aet = aet.trim_matches(' ');
        let all = self.all();
        all.values().filter(|peer| peer.aet.as_str().eq_ignore_ascii_case(aet)).cloned().collect()
    }

    /// Where a C-MOVE to this title goes: a peer that listens and has it, or is called so here.
    pub fn destination(&self, title: &str) -> Option<Peer> {
        let title = title.trim_matches(' ');
        let mut titled = self.titled(title);
        titled.retain(Peer::is_reachable);
        let exactly = titled.iter().position(|peer| peer.aet.as_str() == title).unwrap_or(0);
        match titled.is_empty() {
            false => Some(titled.swap_remove(exactly)),
            true => self.get(title).filter(Peer::is_reachable),
        }
    }

    /// Registers a peer, or changes it; what was called so before is answered. Blocks until it is
    /// durable.
    ///
    /// # Errors
    /// The desk fails; then nothing has changed.
    pub fn put(&self, peer: Peer) -> Result<Option<Peer>, StoreError> {
        if self.get(&peer.name).as_ref() == Some(&peer) {
            return Ok(Some(peer));
        }
        if let Some((desk, clock)) = &self.kept {
            let body = peer.to_orthanc().to_string();
            match desk.put_entry(DRAWER, &peer.name, &body, Expect::Any, clock.now())? {
                Put::Stored { .. } | Put::Unchanged { .. } => {}
                Put::Conflict(_) | Put::Gone => {
                    return Err(StoreError::Other(format!("{} could not be kept", peer.name)));
                }
            }
        }
        Ok(self.insert(peer))
    }

    /// Forgets a peer and answers it. One that is configured is back after a restart. Blocks.
    ///
    /// # Errors
    /// The desk fails; then nothing has changed.
    pub fn remove(&self, name: &str) -> Result<Option<Peer>, StoreError> {
        if let Some((desk, _)) = &self.kept {
            desk.remove_entry(DRAWER, name)?;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::make_mut(&mut known).remove(name))
    }

    fn insert(&self, peer: Peer) -> Option<Peer> {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(&mut known).insert(peer.name.clone(), peer)
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.all().iter()).finish()
    }
}

fn read_entry(entry: &desk::DeskEntry) -> Result<Peer, StoreError> {
    let failed = |why: String| {
        StoreError::Other(format!("the kept modality {} cannot be read: {why}", entry.key))
    };
    let body: Value = serde_json::from_str(&entry.body).map_err(|why| failed(why.to_string()))?;
    Peer::from_orthanc(&entry.key, &body).map_err(|why| failed(why.to_string()))
}

#[cfg(test)]
mod tests {
    use pacslab_model::Moment;
    use pacslab_model::time::FixedClock;
    use pacslab_store::SqliteDesk;

    use super::*;

    fn peer(name: &str, aet: &str, host: &str) -> Peer {
        Peer::new(name, AeTitle::new(aet).unwrap(), host, 11112)
    }

    fn read(value: Value) -> Result<Peer, BadPeer> {
        Peer::from_orthanc("SCP", &value)
    }

    #[test]
    fn both_forms_of_orthanc_are_read_and_written() {
        let short = read(json!(["PYNETSCP", "host.docker.internal", 11112])).unwrap();
        assert_eq!(short.to_string(), "SCP (PYNETSCP@host.docker.internal:11112)");
        assert_eq!(short.allow, Allow::ALL);
        assert_eq!(read(json!(["A", "h", "104", "GE"])).unwrap().manufacturer, "GE");
        assert!(!read(json!(["A", "*", 104])).unwrap().is_reachable());
        let long = read(json!({
            "AET": "A", "Host": "h", "Port": "104", "AllowFind": false,
            "AllowStorageCommitment": false, "AllowEventReport": true,
            "LocalAet": "OTHER", "Timeout": 7, "UseDicomTls": true, "Manufacturer": "SyngoVia",
        }))
        .unwrap();
        assert!(!long.allow.find && !long.allow.n_action && long.allow.event_report);
        assert_eq!((long.port, long.timeout, long.tls), (104, 7, true));
        assert_eq!(long.manufacturer, "GenericNoWildcardInDates");
        assert_eq!(read(long.to_orthanc()).unwrap(), long);
        assert_eq!(read(short.to_orthanc()).unwrap(), short);
    }

    #[test]
    fn what_cannot_be_a_peer_is_told_why() {
        for port in [json!(0), json!(-1), json!(65535), json!("0"), json!("dicom"), json!(1.5)] {
            let error = read(json!(["A", "h", port])).unwrap_err().to_string();
            let found = port.as_str().map_or_else(|| port.to_string(), str::to_owned);
            let sentence =
                format!("A TCP port number must be in range [1..65534], but found: {found};");
            assert!(error.starts_with(&sentence) && error.contains("11112"), "{error}");
        }
        for (value, word) in [
            (json!(["A", "h"]), "2 values"),
            (json!({"AET": "A", "Port": 1}), "lacks Host"),
            (json!(["A\\B", "h", 1]), "A\\B"),
            (json!([1, "h", 1]), "AET"),
            (json!(["A", "h", 1, "Acme"]), "Acme"),
            (json!({"AET": "A", "Host": "h", "Port": 1, "AllowEcho": 1}), "AllowEcho"),
            (json!("A"), "array or an object"),
        ] {
            let error = read(value).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("SCP"), "{error}");
        }
    }

    #[test]
    fn destinations_are_found_by_title_and_by_name() {
        let peers = Peers::new([peer("scanner", "PYMOD1", "*"), peer("inbox", "PYNETSCP", "h")]);
        assert_eq!(peers.destination("PYNETSCP ").unwrap().name, "inbox");
        assert_eq!(peers.destination("pynetscp").unwrap().name, "inbox");
        assert_eq!(peers.destination("inbox").unwrap().name, "inbox");
        assert_eq!(peers.destination("PYMOD1"), None, "it listens nowhere");
        assert_eq!(peers.titled("pymod1").len(), 1);
        peers.put(peer("b", "pynetscp", "h")).unwrap();
        assert_eq!(peers.destination("pynetscp").unwrap().name, "b", "the very title first");
    }

    #[test]
    fn what_was_registered_is_known_after_a_restart() {
        let desk: Arc<dyn Desk> = Arc::new(SqliteDesk::memory().unwrap());
        let clock: Arc<dyn Clock> = Arc::new(FixedClock(Moment::new(1, 0)));
        let open = || Peers::open([peer("A", "A", "configured")], desk.clone(), clock.clone());
        let peers = open().unwrap();
        assert_eq!(peers.put(peer("B", "B", "h")).unwrap(), None);
        assert_eq!(peers.put(peer("A", "A", "registered")).unwrap().unwrap().host, "configured");
        let again = open().unwrap();
        assert_eq!(again.all(), peers.all());
        assert_eq!(again.get("A").unwrap().host, "registered");
        assert_eq!(again.remove("A").unwrap().unwrap().host, "registered");
        assert!(again.remove("B").unwrap().is_some() && again.remove("B").unwrap().is_none());
        assert_eq!(open().unwrap().get("A").unwrap().host, "configured");
        assert_eq!(open().unwrap().get("B"), None);
    }
}
