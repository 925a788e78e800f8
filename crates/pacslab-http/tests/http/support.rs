//! A department in memory, and objects for it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use pacslab_archive::{Archive, Caller, Origin, Parts, Peers};
use pacslab_dicom::{Dataset, FileMeta, TransferSyntax, file};
use pacslab_http::{Auth, Limits, Site, State, WorklistView, app};
use pacslab_model::time::FixedClock;
use pacslab_model::{AeTitle, Clock, Moment, Tag, Uid, Vr, tags, uids};
use pacslab_ris::WorklistEntry;
use pacslab_store::{EventLog, LogLimits, MemoryBlobs, SqliteIndex};
use tower::ServiceExt;

/// 2026-01-05T08:00:00Z
pub(crate) const NOW: Moment = Moment::new(1_767_600_000_000_000, 0);

pub(crate) struct Lab {
    pub(crate) archive: Arc<Archive>,
    pub(crate) events: Arc<EventLog>,
    pub(crate) app: Router,
    _folder: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: axum::http::HeaderMap,
    pub(crate) bytes: bytes::Bytes,
}

struct Waiting;

impl WorklistView for Waiting {
    fn entries(&self) -> Vec<WorklistEntry> {
        vec![WorklistEntry {
            accession: "ACC1001".into(),
            patient_id: "P12345".into(),
            patient_name: "DOE^JANE".into(),
            modality: "CT".into(),
            station: "PYMOD1".into(),
            start_date: "20260105".into(),
            start_time: "081000".into(),
            status: "SCHEDULED".into(),
            description: "CT CHEST <W> CONTRAST".into(),
            ..WorklistEntry::default()
        }]
    }
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut State)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let events = Arc::new(EventLog::memory(LogLimits::default()).unwrap());
        let clock: Arc<dyn Clock> = Arc::new(FixedClock(NOW));
        let archive = Archive::open(Parts {
            blobs: Arc::new(MemoryBlobs::default()),
            index: Arc::new(SqliteIndex::open(&folder.path().join("index.db")).unwrap()),
            clock: clock.clone(),
            emit: events.clone(),
        })
        .unwrap();
        let aet = AeTitle::new("PACSLAB").unwrap();
        let mut state = State {
            archive: archive.clone(),
            peers: Arc::new(Peers::default()),
            caller: Caller::titled(archive.clone(), aet.clone(), events.clone(), clock.clone()),
            worklist: Arc::new(Waiting),
            ris: None,
            events: events.clone(),
            clock,
            auth: None,
            host: pacslab_http::Host::default(),
            site: Site::new(aet, "0.1.0"),
            limits: Limits::default(),
        };
        change(&mut state);
        Self { archive, events, app: app(state), _folder: folder }
    }

    pub(crate) async fn store(&self, object: &Dataset) {
        self.store_as(object, TransferSyntax::ExplicitLe).await;
    }

    pub(crate) async fn store_as(&self, object: &Dataset, syntax: TransferSyntax) {
        let bytes = part_10(object, syntax);
        self.archive.ingest_file(&bytes, Origin::default()).await.unwrap();
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, bytes }
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.get_as(uri, "*/*").await
    }

    pub(crate) async fn get_as(&self, uri: &str, accept: &str) -> Answer {
        let request = Request::get(uri).header(header::ACCEPT, accept);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, uri: &str, body: impl Into<Body>) -> Answer {
        let request = Request::builder().method(Method::POST).uri(uri);
        self.send(request.body(body.into()).unwrap()).await
    }
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        self
    }

    /// The bodies of a multipart answer with their content types.
    pub(crate) fn parts(&self) -> Vec<(String, Vec<u8>)> {
        let kind = self.header(header::CONTENT_TYPE).to_owned();
        let boundary = kind.split("boundary=").nth(1).unwrap_or_else(|| panic!("{kind}"));
        let delimiter = format!("--{boundary}");
        let mut rest = &self.bytes[..];
        let mut parts = Vec::new();
        let find = |text: &[u8], what: &[u8]| text.windows(what.len()).position(|w| w == what);
        while let Some(at) = find(rest, delimiter.as_bytes()) {
            rest = &rest[at + delimiter.len()..];
            if rest.starts_with(b"--") {
                break;
            }
            let head = find(rest, b"\r\n\r\n").unwrap();
            let end = find(rest, format!("\r\n{delimiter}").as_bytes()).unwrap();
            let text = String::from_utf8_lossy(&rest[..head]);
            let kind = text.trim().trim_start_matches("Content-Type: ").to_owned();
            parts.push((kind, rest[head + 4..end].to_vec()));
        }
        parts
    }
}

/// A user who may come in, for tests of authentication.
pub(crate) fn orthanc_user() -> Auth {
    Auth::new([0; 32]).user("orthanc", "orthanc")
}

pub(crate) fn part_10(object: &Dataset, syntax: TransferSyntax) -> Vec<u8> {
    let meta = FileMeta {
        sop_class: Uid::new(object.str(tags::SOP_CLASS_UID)),
        sop_instance: Uid::new(object.str(tags::SOP_INSTANCE_UID)),
        transfer_syntax: syntax,
        source_aet: None,
    };
    file::write(&meta, object)
}

/// One slice of a CT: 4 x 4 pixels of 16 bits that count up from `number`.
pub(crate) fn ct(study: &str, number: u16) -> Dataset {
    let mut set = Dataset::new()
        .with_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192")
        .with_str(tags::SOP_CLASS_UID, Vr::UI, uids::CT_IMAGE_STORAGE)
        .with_str(tags::SOP_INSTANCE_UID, Vr::UI, format!("{study}.1.{number}"))
        .with_str(tags::STUDY_DATE, Vr::DA, "20260105")
        .with_str(tags::STUDY_TIME, Vr::TM, "080000")
        .with_str(tags::ACCESSION_NUMBER, Vr::SH, "ACC1001")
        .with_str(tags::MODALITY, Vr::CS, "CT")
        .with_str(tags::STUDY_DESCRIPTION, Vr::LO, "CT <chest>")
        .with_str(tags::PATIENT_NAME, Vr::PN, "Dö^Jane")
        .with_str(tags::PATIENT_ID, Vr::LO, "P12345")
        .with_str(tags::PATIENT_BIRTH_DATE, Vr::DA, "19800101")
        .with_str(tags::PATIENT_SEX, Vr::CS, "F")
        .with_str(tags::STUDY_INSTANCE_UID, Vr::UI, study)
        .with_str(tags::SERIES_INSTANCE_UID, Vr::UI, format!("{study}.1"))
        .with_str(tags::SERIES_NUMBER, Vr::IS, "2")
        .with_str(tags::INSTANCE_NUMBER, Vr::IS, number.to_string())
        .with_str(tags::PHOTOMETRIC_INTERPRETATION, Vr::CS, "MONOCHROME2");
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1),
        (tags::ROWS, 4),
        (tags::COLUMNS, 4),
        (tags::BITS_ALLOCATED, 16),
        (tags::BITS_STORED, 16),
        (Tag::new(0x0028, 0x0102), 15),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        set.put_u16(tag, value);
    }
    let pixels = (0..16).flat_map(|at| (number + at).to_le_bytes()).collect();
    set.put_bytes(tags::PIXEL_DATA, Vr::OW, pixels);
    set
}
