//! `POST /tools/create-dicom`: an object out of tags, and a picture or a document. PS3.3 A.8.1 (Secondary
//! Capture), A.45.1 (Encapsulated PDF).

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pacslab_dicom::{Dataset, FileMeta, TransferSyntax};
use pacslab_model::{Level, Tag, Uid, Vr, tags};
use pacslab_store::Row;
use serde::Deserialize;
use serde_json::{Value, json};

use super::modalities::from_json;
use super::{ids, remake, resource, styled};
use crate::door::{At, Door};
use crate::error::{Error, Result};

const SECONDARY_CAPTURE: &str = "1.2.840.10008.5.1.4.1.1.7";
const ENCAPSULATED_PDF: &str = "1.2.840.10008.5.1.4.1.1.104.1";

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Request {
    tags: BTreeMap<String, Value>,
    content: Option<Value>,
    parent: Option<String>,
    force: bool,
}

pub(crate) async fn create(State(door): At, body: Body) -> Result {
    // a picture in base64: more than a question, less than an upload
    let limit = usize::try_from(door.limits.upload).unwrap_or(usize::MAX).min(256 << 20);
    let body = tokio::time::timeout(door.limits.pause, axum::body::to_bytes(body, limit)).await;
    let body = match body {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(why)) => return Err(Error::TooLarge(format!("the body: {why}"))),
        Err(_) => return Err(Error::Slow("the body did not come in time".to_owned())),
    };
    let request: Request = from_json(&body)?;
    let parent = match &request.parent {
        Some(id) => Some(parent(&door, id).await?),
        None => None,
    };
    let (meta, set) = tokio::task::spawn_blocking({
        let door = door.clone();
        move || made(&door, &request, parent.as_ref())
    })
    .await
    .map_err(|_| Error::Internal("the object could not be made".to_owned()))??;
    let keys = [tags::PATIENT_ID, tags::STUDY_INSTANCE_UID, tags::SERIES_INSTANCE_UID];
    let keys: Vec<String> = keys.iter().map(|tag| set.str(*tag).to_owned()).collect();
    let sop = meta.sop_instance.clone();
    let [patient, study, series] = remake::store(&door, meta, set).await?;
    let id = ids::instance(&keys[0], &keys[1], &keys[2], sop.as_str());
    Ok(styled(&json!({
        "ID": id,
        "ParentPatient": patient,
        "ParentSeries": series,
        "ParentStudy": study,
        "Path": format!("/instances/{id}"),
        "Status": "Success",
    })))
}

/// A patient, study or series that the object is to belong to.
async fn parent(door: &Door, id: &str) -> Result<(Level, Row)> {
    for level in [Level::Study, Level::Series, Level::Patient] {
        match resource::row(door, level, id).await {
            Ok(row) => return Ok((level, row)),
            Err(Error::Unknown) => {}
            Err(why) => return Err(why),
        }
    }
    Err(Error::NotFound(format!("Parent: there is no patient, study or series {id}")))
}

fn made(
    door: &Arc<Door>,
    request: &Request,
    parent: Option<&(Level, Row)>,
) -> Result<(FileMeta, Dataset)> {
    let now = door.clock.now();
    let mut set = Dataset::new();
    set.put_str(tags::SPECIFIC_CHARACTER_SET, Vr::CS, "ISO_IR 192");
    let name = door.jobs.next_name(now);
    let uid = |what: &str| Uid::from_parts(&["pacslab", "create", &name, what]).to_string();
    set.put_str(tags::SOP_CLASS_UID, Vr::UI, SECONDARY_CAPTURE);
    for (tag, what) in [
        (tags::STUDY_INSTANCE_UID, "study"),
        (tags::SERIES_INSTANCE_UID, "series"),
        (tags::SOP_INSTANCE_UID, "instance"),
    ] {
        set.put_str(tag, Vr::UI, uid(what));
    }
    for tag in [tags::STUDY_DATE, tags::SERIES_DATE, tags::INSTANCE_CREATION_DATE] {
        set.put_str(tag, Vr::DA, now.da());
    }
    for tag in [tags::STUDY_TIME, tags::SERIES_TIME, tags::INSTANCE_CREATION_TIME] {
        set.put_str(tag, Vr::TM, now.tm());
    }
    set.put_str(tags::MODALITY, Vr::CS, "OT");
    // how it came to be: converted by a workstation (PS3.3 C.8.6.1)
    set.put_str(Tag::new(0x0008, 0x0064), Vr::CS, "WSD");
    for tag in [tags::PATIENT_NAME, tags::PATIENT_ID, tags::ACCESSION_NUMBER] {
        remake::put_value(&mut set, tag, &json!(""))?;
    }
    if let Some((level, row)) = parent {
        let of_parent = |tag: &Tag| Level::of(*tag).is_some_and(|of| of <= *level);
        for (tag, text) in row.iter().filter(|(tag, _)| of_parent(tag)) {
            remake::put_value(&mut set, tag, &json!(text))?;
        }
    }
    for (name, value) in &request.tags {
        let tag = remake::tag_of(name)?;
        let inherited = |(level, _): &(Level, Row)| Level::of(tag).is_some_and(|of| of <= *level);
        if !request.force && parent.is_some_and(inherited) {
            return Err(Error::BadRequest(format!(
                "{name} is that of Parent; leave it out, or set \"Force\": true"
            )));
        }
        remake::put_value(&mut set, tag, value)?;
    }
    if let Some(content) = &request.content {
        put_content(&mut set, content)?;
    }
    let meta = FileMeta {
        sop_class: Uid::new(set.str(tags::SOP_CLASS_UID)),
        sop_instance: Uid::new(set.str(tags::SOP_INSTANCE_UID)),
        transfer_syntax: TransferSyntax::ExplicitLe,
        source_aet: None,
    };
    Ok((meta, set))
}

/// `data:image/png;base64,…`, JPEG or PDF.
fn put_content(set: &mut Dataset, content: &Value) -> Result<()> {
    const DOCUMENT: Tag = Tag::new(0x0042, 0x0011);
    const MIME_TYPE: Tag = Tag::new(0x0042, 0x0012);
    let wrong = || {
        Error::BadRequest(
            "Content: a data URI is wanted, \"data:image/png;base64,…\", with PNG, JPEG or PDF"
                .to_owned(),
        )
    };
    let uri = content.as_str().ok_or_else(wrong)?;
    let (kind, encoded) =
        uri.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,")).ok_or_else(wrong)?;
    let mut bytes = STANDARD
        .decode(encoded.trim())
        .map_err(|why| Error::BadRequest(format!("Content is no base64: {why}")))?;
    match kind {
        "image/png" | "image/jpeg" => Ok(pacslab_codec::put_picture(set, &bytes)?),
        "application/pdf" => {
            if bytes.len() % 2 == 1 {
                bytes.push(0);
            }
            set.put_str(tags::SOP_CLASS_UID, Vr::UI, ENCAPSULATED_PDF);
            set.put_str(MIME_TYPE, Vr::LO, kind);
            set.put_bytes(DOCUMENT, Vr::OB, bytes);
            Ok(())
        }
        _ => Err(wrong()),
    }
}
