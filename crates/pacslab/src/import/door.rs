//! Where objects go: into a data folder that nobody uses, through the archive's ingest, to a server
//! over HTTP, or to any PACS by C-STORE.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use pacslab_archive::{Archive, IngestError, Origin, Quota, Received};
use pacslab_dicom::Dataset;
use pacslab_dimse::Proposal;
use pacslab_model::{Uid, Vr, tags, uids};
use serde_json::{Value, json};

use super::{Found, Pieces};
use crate::bench::web::{Asked, Web};
use crate::client::Target;
use crate::exit::{Failure, Result};
use crate::http::{Server, reason_in};
use crate::offline::Offline;

/// Objects under way at a time: they share a sync.
pub(crate) const AT_A_TIME: usize = 16;

#[derive(Debug)]
pub(crate) enum Door {
    Folder(Folder),
    Http(Http),
    Dicom(Dicom),
}

/// What came of an object.
#[derive(Debug)]
pub(crate) enum Outcome {
    New,
    /// There is one with its UID, which stays.
    There,
    Refused(String),
    /// Nothing more can be imported.
    Over(Failure),
}

impl Door {
    /// Which of these SOP instance UIDs are there.
    pub(crate) async fn known(&self, uids: &[Uid]) -> Result<HashSet<Uid>> {
        match self {
            Self::Folder(folder) => folder.known(uids).await,
            Self::Http(http) => http.known(uids).await,
            Self::Dicom(dicom) => dicom.known(uids).await,
        }
    }

    /// One object, by the doors that take them one by one.
    pub(crate) async fn put(&self, found: &Found) -> Outcome {
        match self {
            Self::Folder(folder) => folder.put(found).await,
            Self::Http(http) => http.put(found).await,
            Self::Dicom(_) => Outcome::Refused("an association takes many at a time".to_owned()),
        }
    }

    /// For people.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Folder(folder) => folder.offline.folder.path().display().to_string(),
            Self::Http(http) => http.server.url(),
            Self::Dicom(dicom) => dicom.target.peer.to_string(),
        }
    }
}

/// The data folder of a department that is stopped.
#[derive(Debug)]
pub(crate) struct Folder {
    archive: Arc<Archive>,
    /// Nobody else uses it meanwhile. Dropped last.
    offline: Offline,
}

impl Folder {
    /// Blocks. What the server would refuse for want of room is refused here, too.
    pub(crate) fn open(offline: Offline, quota: Quota) -> Result<Self> {
        let archive = offline.archive()?;
        archive.set_quota(quota);
        Ok(Self { archive, offline })
    }

    async fn known(&self, uids: &[Uid]) -> Result<HashSet<Uid>> {
        let (archive, asked) = (self.archive.clone(), uids.to_vec());
        let known = tokio::task::spawn_blocking(move || {
            let known = archive.index().known(&asked)?;
            Ok(asked.into_iter().zip(known).filter_map(|(uid, known)| known.map(|_| uid)).collect())
        });
        known
            .await
            .map_err(|_| Failure::failed("the import ended before its time"))?
            .map_err(crate::offline::failed)
    }

    async fn put(&self, found: &Found) -> Outcome {
        let stored = async {
            let unreadable = |error: std::io::Error| IngestError::Store(error.to_string());
            let mut pieces = Pieces::of(found).await.map_err(unreadable)?;
            let origin = Origin { calling_ae: String::new(), remote: "import".to_owned() };
            let mut writer = self.archive.writer(found.meta.clone(), origin);
            let mut skip = found.start as usize;
            loop {
                let piece = pieces.next().await.map_err(unreadable)?;
                if piece.is_empty() {
                    return writer.finish().await;
                }
                writer.write(piece.get(skip..).unwrap_or_default())?;
                skip = 0;
            }
        };
        match stored.await {
            Ok(receipt) => match receipt.outcome {
                Received::New => Outcome::New,
                Received::Duplicate { .. } => Outcome::There,
            },
            Err(IngestError::Full(why)) => Outcome::Over(full(why)),
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }
}

/// A server and the connections to it that are free.
#[derive(Debug)]
pub(crate) struct Http {
    server: Server,
    free: Mutex<Vec<Web>>,
    /// It cannot be asked what it has: each object is sent.
    blind: AtomicBool,
}

impl Http {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, free: Mutex::default(), blind: AtomicBool::new(false) }
    }

    /// `/tools/find`, which Orthanc has as well.
    async fn known(&self, uids: &[Uid]) -> Result<HashSet<Uid>> {
        if uids.is_empty() || self.blind.load(Ordering::Relaxed) {
            return Ok(HashSet::new());
        }
        let list = uids.iter().map(Uid::as_str).collect::<Vec<_>>().join("\\");
        let query = json!({
            "Level": "Instance", "Query": {"SOPInstanceUID": list}, "Expand": true,
        });
        let body = query.to_string();
        let asked = Some(("application/json", body.as_bytes()));
        let answer = self.server.ask("POST", "/tools/find", asked).await?;
        if matches!(answer.status(), 404 | 405 | 501) {
            self.blind.store(true, Ordering::Relaxed);
            return Ok(HashSet::new());
        }
        let rows = answer.json()?;
        let uid = |row: &Value| row["MainDicomTags"]["SOPInstanceUID"].as_str().map(Uid::new);
        Ok(rows.as_array().into_iter().flatten().filter_map(uid).collect())
    }

    async fn put(&self, found: &Found) -> Outcome {
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let held = free().pop();
        // one that was not used for a while may have been closed
        let again = held.is_some();
        let mut answer = self.post(held, found).await;
        if again && answer.is_err() {
            answer = self.post(None, found).await;
        }
        match answer {
            Ok((web, outcome)) => {
                free().push(web);
                outcome
            }
            Err(outcome) => outcome,
        }
    }

    async fn post(
        &self,
        held: Option<Web>,
        found: &Found,
    ) -> std::result::Result<(Web, Outcome), Outcome> {
        let mut pieces = match Pieces::of(found).await {
            Ok(pieces) => pieces,
            Err(error) => return Err(Outcome::Refused(error.to_string())),
        };
        let gone = |detail: String| {
            let text = format!("{}: {detail}", self.server.url());
            Outcome::Over(Failure::network(text).hint("is `pacslab serve` running?"))
        };
        let mut web = match held {
            Some(web) => web,
            None => Web::open(&self.server).await.map_err(|fault| gone(fault.detail))?,
        };
        let asked = Asked {
            method: "POST",
            path: "/instances",
            accept: "application/json",
            body: Some(("application/dicom", &[])),
        };
        let (status, body) = web
            .upload(asked, found.length, &mut pieces)
            .await
            .map_err(|fault| gone(fault.detail))?;
        let outcome = match status {
            200 => match serde_json::from_slice::<Value>(body) {
                Ok(told) if told["Status"] == "AlreadyStored" => Outcome::There,
                _ => Outcome::New,
            },
            507 => Outcome::Over(full(reason_in(body))),
            401 | 403 => Outcome::Over(
                Failure::failed(format!("{} does not let us in", self.server.url()))
                    .hint("check name and password of --login NAME:PASSWORD"),
            ),
            _ => Outcome::Refused(format!("status {status}: {}", reason_in(body))),
        };
        Ok((web, outcome))
    }
}

/// A PACS, and whether it says what it has.
#[derive(Debug)]
pub(crate) struct Dicom {
    pub(crate) target: Target,
    blind: AtomicBool,
}

impl Dicom {
    pub(crate) fn new(target: Target) -> Self {
        Self { target, blind: AtomicBool::new(false) }
    }

    /// A C-FIND for a list of SOP instance UIDs, without those of study and series: a PACS may
    /// refuse that (PS3.4 C.4.1.2.1), and gets everything then.
    async fn known(&self, sop_instances: &[Uid]) -> Result<HashSet<Uid>> {
        if sop_instances.is_empty() || self.blind.load(Ordering::Relaxed) {
            return Ok(HashSet::new());
        }
        let list = sop_instances.iter().map(Uid::as_str).collect::<Vec<_>>().join("\\");
        let keys = Dataset::new()
            .with_str(tags::QUERY_RETRIEVE_LEVEL, Vr::CS, "IMAGE")
            .with_str(tags::SOP_INSTANCE_UID, Vr::UI, list)
            .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, "")
            .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, "");
        let root = uids::STUDY_ROOT_FIND;
        let mut association = self.target.connect(Proposal::of(root)).await?;
        let most = sop_instances.len().saturating_mul(4);
        match association.find_all(root, &keys, most).await {
            Ok((rows, reply)) if reply.status.is_success() => {
                let _ = association.release().await;
                Ok(rows.iter().map(|row| Uid::new(row.str(tags::SOP_INSTANCE_UID))).collect())
            }
            _ => {
                self.blind.store(true, Ordering::Relaxed);
                Ok(HashSet::new())
            }
        }
    }
}

fn full(why: String) -> Failure {
    Failure::failed(why)
        .hint("make room, then run the same command again: what has arrived is not imported twice")
}
