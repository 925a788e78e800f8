//! What the routes work with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_archive::{Archive, Caller, Peers};
use pacslab_model::{AeTitle, Clock};
use pacslab_ris::Ris;
use pacslab_store::EventLog;

use crate::metrics::Host;
use crate::orthanc::ids::Ids;
use crate::orthanc::jobs::Jobs;
use crate::orthanc::queries::Queries;
use crate::users::Auth;
use crate::worklist::WorklistView;

/// What the HTTP doors are made of.
#[derive(Clone)]
pub struct State {
    pub archive: Arc<Archive>,
    /// Who is known, shared with the DICOM door.
    pub peers: Arc<Peers>,
    /// What calls them.
    pub caller: Caller,
    pub worklist: Arc<dyn WorklistView>,
    /// Orders, patients, reports; `None`: an archive alone.
    pub ris: Option<Arc<Ris>>,
    pub events: Arc<EventLog>,
    pub clock: Arc<dyn Clock>,
    /// `None`: everybody may do everything.
    pub auth: Option<Auth>,
    /// What the process uses and has, for monitoring.
    pub host: Host,
    pub site: Site,
    pub limits: Limits,
}

/// How the department introduces itself.
#[derive(Clone, Debug)]
pub struct Site {
    pub aet: AeTitle,
    /// What `/system` calls it.
    pub name: String,
    pub version: String,
    pub dicom_port: u16,
    pub http_port: u16,
    pub mllp_port: Option<u16>,
    /// Names that requests may be addressed to, beside localhost and addresses; `*`: any.
    pub hosts: Vec<String>,
    /// Where DICOMweb is found; begins with a slash and does not end with one.
    pub dicomweb_root: String,
    /// `https://pacs.example.org`: what links in answers begin with. `None`: links are relative,
    /// because the `Host` of a request is not reliable behind proxies and with some clients.
    pub public_url: Option<String>,
}

impl Site {
    pub fn new(aet: AeTitle, version: impl Into<String>) -> Self {
        Self {
            aet,
            name: "PACS Lab".to_owned(),
            version: version.into(),
            dicom_port: 4242,
            http_port: 8042,
            mllp_port: None,
            hosts: Vec::new(),
            dicomweb_root: "/dicom-web".to_owned(),
            public_url: None,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest body of an upload.
    pub upload: u64,
    /// The longest body of a question in JSON.
    pub question: usize,
    /// How long a sender may pause within a body, and a receiver may take nothing.
    pub pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { upload: 1 << 30, question: 1 << 20, pause: Duration::from_secs(30) }
    }
}

/// The state as the routes share it.
pub(crate) struct Door {
    pub(crate) archive: Arc<Archive>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) caller: Caller,
    pub(crate) worklist: Arc<dyn WorklistView>,
    pub(crate) ris: Option<Arc<Ris>>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) auth: Option<Auth>,
    pub(crate) host: Host,
    pub(crate) begun: Instant,
    pub(crate) site: Site,
    pub(crate) limits: Limits,
    pub(crate) ids: Ids,
    pub(crate) jobs: Jobs,
    pub(crate) queries: Queries,
}

/// How handlers take the state.
pub(crate) type At = axum::extract::State<Arc<Door>>;

impl Door {
    pub(crate) fn new(state: State) -> Arc<Self> {
        let State {
            archive,
            peers,
            caller,
            worklist,
            ris,
            events,
            clock,
            auth,
            host,
            mut site,
            limits,
        } = state;
        let root = site.dicomweb_root.trim_matches('/');
        site.dicomweb_root = format!("/{}", if root.is_empty() { "dicom-web" } else { root });
        let ids = Ids::new(archive.clone());
        Arc::new(Self {
            archive,
            peers,
            caller,
            worklist,
            ris,
            events,
            clock,
            auth,
            host,
            begun: Instant::now(),
            site,
            limits,
            ids,
            jobs: Jobs::default(),
            queries: Queries::default(),
        })
    }

    /// The beginning of links to DICOMweb resources.
    pub(crate) fn dicomweb_url(&self) -> String {
        let base = self.site.public_url.as_deref().unwrap_or("").trim_end_matches('/');
        format!("{base}{}", self.site.dicomweb_root)
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("site", &self.site).finish_non_exhaustive()
    }
}
