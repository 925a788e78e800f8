//! Store (STOW-RS). PS3.18 10.5, I.2.

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use pacslab_archive::{IngestError, Receipt};
use pacslab_dicom::{Dataset, json};
use pacslab_model::{Tag, Uid, Vr};

use super::accept::Media;
use super::parts::Parts;
use super::{Place, dicom_json, warning};
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::intake::{Intake, Upload};
use crate::serve::Client;

const FAILED_SOP_SEQUENCE: Tag = Tag::new(0x0008, 0x1198);
const OTHER_FAILURES_SEQUENCE: Tag = Tag::new(0x0008, 0x119A);
const REFERENCED_SOP_SEQUENCE: Tag = Tag::new(0x0008, 0x1199);
const REFERENCED_SOP_CLASS_UID: Tag = Tag::new(0x0008, 0x1150);
const REFERENCED_SOP_INSTANCE_UID: Tag = Tag::new(0x0008, 0x1155);
const FAILURE_REASON: Tag = Tag::new(0x0008, 0x1197);
const RETRIEVE_URL: Tag = Tag::new(0x0008, 0x1190);

/// Warning header fields of one answer; more would be refused by clients.
const MOST_WARNINGS: usize = 20;

pub(super) async fn store(
    State(door): At,
    place: Option<Path<Place>>,
    client: Option<Extension<Client>>,
    headers: HeaderMap,
    body: Body,
) -> Result {
    let boundary = boundary(&headers)?;
    let study = place.map(|Path(place)| place.study).filter(|uid| !uid.is_empty()).map(Uid::new);
    let remote = client.map(|Extension(Client(from))| from.to_string()).unwrap_or_default();
    let upload = Upload::new(&door, &headers, body)?;
    let mut outcome = Outcome::default();
    let mut parts = Parts::new(upload, &boundary);
    while parts.next().await? {
        let mut intake = Intake::new(&door, &remote).within(study.clone());
        // a part that fails is read to its end: the next one may be fine
        let mut failed = None;
        while let Some(piece) = parts.chunk().await? {
            if failed.is_none() {
                failed = intake.write(&piece).await.err();
            }
        }
        let result = match failed {
            Some(why) => Err(why),
            None => intake.finish().await,
        };
        let about = intake.meta().map(|meta| (meta.sop_class.clone(), meta.sop_instance.clone()));
        outcome.note(&door, parts.number(), about, result);
    }
    outcome.answer()
}

fn boundary(headers: &HeaderMap) -> Result<String> {
    boundary_of(headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or(""))
}

pub(super) fn boundary_of(kind: &str) -> Result<String> {
    let media = Media::parse(kind);
    let wanted = "multipart/related; type=\"application/dicom\"";
    if !media.is_multipart() || !matches!(media.inner().as_str(), "application/dicom" | "*/*") {
        return Err(Error::MediaType(format!("the body is '{kind}', but must be {wanted}")));
    }
    match media.parameter("boundary") {
        Some(boundary) if !boundary.is_empty() => Ok(boundary.to_owned()),
        _ => Err(Error::BadRequest(format!("Content-Type '{kind}' names no boundary"))),
    }
}

#[derive(Default)]
struct Outcome {
    stored: Vec<Dataset>,
    /// With the SOP instance they are about.
    failed: Vec<Dataset>,
    other: Vec<Dataset>,
    warnings: Vec<String>,
}

impl Outcome {
    fn note(
        &mut self,
        door: &Door,
        part: usize,
        about: Option<(Uid, Uid)>,
        result: Result<Receipt, IngestError>,
    ) {
        let reference = |class: &Uid, instance: &Uid| {
            Dataset::new().with_str(REFERENCED_SOP_CLASS_UID, Vr::UI, class.as_str()).with_str(
                REFERENCED_SOP_INSTANCE_UID,
                Vr::UI,
                instance.as_str(),
            )
        };
        match result {
            Ok(Receipt { header, .. }) => {
                let url = format!(
                    "{}/studies/{}/series/{}/instances/{}",
                    door.dicomweb_url(),
                    header.study_uid,
                    header.series_uid,
                    header.sop_instance
                );
                self.stored.push(reference(&header.sop_class, &header.sop_instance).with_str(
                    RETRIEVE_URL,
                    Vr::UR,
                    url,
                ));
            }
            Err(why) => {
                if self.warnings.len() < MOST_WARNINGS {
                    self.warnings.push(format!("part {part}: {why}"));
                }
                let (list, mut item) = match about {
                    Some((class, instance)) => (&mut self.failed, reference(&class, &instance)),
                    None => (&mut self.other, Dataset::new()),
                };
                item.put_u16(FAILURE_REASON, reason(&why));
                list.push(item);
            }
        }
    }

    fn answer(self) -> Result {
        if self.stored.len() + self.failed.len() + self.other.len() == 0 {
            return Err(Error::BadRequest("the body has no parts".to_owned()));
        }
        let all_failed = self.stored.is_empty();
        let some_failed = !self.failed.is_empty() || !self.other.is_empty();
        let status = match (all_failed, some_failed) {
            (true, _) => StatusCode::CONFLICT,
            (false, true) => StatusCode::ACCEPTED,
            (false, false) => StatusCode::OK,
        };
        let mut set = Dataset::new();
        for (tag, items) in [
            (REFERENCED_SOP_SEQUENCE, self.stored),
            (FAILED_SOP_SEQUENCE, self.failed),
            (OTHER_FAILURES_SEQUENCE, self.other),
        ] {
            if !items.is_empty() {
                set.put_items(tag, items);
            }
        }
        let mut response = (status, dicom_json(&json::to_json(&set))).into_response();
        for text in &self.warnings {
            if let Ok(value) = HeaderValue::from_str(&warning(text)) {
                response.headers_mut().append(header::WARNING, value);
            }
        }
        Ok(response)
    }
}

/// The status a C-STORE would have had. PS3.18 I.2.2.
fn reason(error: &IngestError) -> u16 {
    match error {
        IngestError::Full(_) => 0xA700,
        IngestError::Mismatch { .. } => 0xA900,
        IngestError::NotDicom(_) | IngestError::Header(_) => 0xC000,
        IngestError::Store(_) | IngestError::Closed => 0x0110,
    }
}
