//! Small answers that Orthanc's clients ask for at their start: the time, what is switched on.

use axum::extract::{Path, Query as Params, State};
use axum::response::Response;
use pacslab_model::{Moment, Uid};
use serde::Deserialize;
use serde_json::json;

use super::modalities::plain;
use super::{resource, styled};
use crate::door::At;
use crate::error::{Error, Result};

pub(crate) async fn now(State(door): At) -> Response {
    plain(resource::timestamp(Moment::new(door.clock.now().micros, 0)))
}

pub(crate) async fn now_local(State(door): At) -> Response {
    plain(resource::timestamp(door.clock.now()))
}

#[derive(Debug, Deserialize)]
pub(crate) struct UidParams {
    level: Option<String>,
}

/// `?level=patient|study|series|instance`.
pub(crate) async fn generate_uid(State(door): At, Params(params): Params<UidParams>) -> Result {
    let level = params.level.unwrap_or_default().to_lowercase();
    let name = door.jobs.next_name(door.clock.now());
    match level.as_str() {
        "patient" => Ok(plain(name)),
        "study" | "series" | "instance" => {
            Ok(plain(Uid::from_parts(&["pacslab", "generate", &name, &level]).to_string()))
        }
        _ => Err(Error::BadRequest(format!(
            "level is '{level}': one of patient, study, series, instance is wanted"
        ))),
    }
}

/// What of Orthanc's plugins is built in here.
const PLUGINS: [(&str, &str); 2] =
    [("dicom-web", "DICOMweb, built in"), ("worklists", "The worklist, built in")];

pub(crate) async fn plugins() -> Response {
    styled(&PLUGINS.map(|(name, _)| name).to_vec().into())
}

pub(crate) async fn plugin(State(door): At, Path(name): Path<String>) -> Result {
    let (id, words) = PLUGINS.iter().find(|(id, _)| *id == name).ok_or(Error::Unknown)?;
    let root = if *id == "dicom-web" { door.site.dicomweb_root.as_str() } else { "" };
    Ok(styled(&json!({
        "Description": words,
        "ExtendsOrthancExplorer": false,
        "ID": id,
        "RootUri": root,
        "Version": door.site.version,
    })))
}

/// Peers of Orthanc's own protocol: there are none here, DICOM peers are `/modalities`.
pub(crate) async fn none() -> Response {
    styled(&json!([]))
}

pub(crate) async fn accepted_transfer_syntaxes() -> Response {
    styled(&json!(pacslab_dicom::dict::transfer_syntaxes().collect::<Vec<_>>()))
}
