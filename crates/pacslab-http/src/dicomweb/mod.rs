//! DICOMweb: search (QIDO-RS), retrieve (WADO-RS), store (STOW-RS). PS3.18 10.

mod accept;
mod frames;
#[doc(hidden)]
pub mod fuzz;
mod metadata;
mod multipart;
mod parts;
mod rendered;
mod retrieve;
mod search;
mod store;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use pacslab_model::{Level, Uid};
use pacslab_store::Scope;
use serde::Deserialize;

use crate::door::Door;

pub(crate) fn routes() -> Router<Arc<Door>> {
    const STUDY: &str = "/studies/{study}";
    const SERIES: &str = "/studies/{study}/series/{series}";
    const INSTANCE: &str = "/studies/{study}/series/{series}/instances/{instance}";
    let find = |level| {
        get(move |at, place, params, headers| search::search(level, at, place, params, headers))
    };
    let mut router = Router::new()
        .route("/studies", find(Level::Study).merge(post(store::store)))
        .route("/series", find(Level::Series))
        .route("/instances", find(Level::Instance))
        .route(&format!("{STUDY}/series"), find(Level::Series))
        .route(&format!("{STUDY}/instances"), find(Level::Instance))
        .route(&format!("{SERIES}/instances"), find(Level::Instance));
    for resource in [STUDY, SERIES, INSTANCE] {
        let mut methods = get(retrieve::retrieve);
        if resource == STUDY {
            methods = methods.merge(post(store::store));
        }
        router = router
            .route(resource, methods)
            .route(&format!("{resource}/metadata"), get(metadata::metadata));
    }
    router
        .route(&format!("{INSTANCE}/frames/{{frames}}"), get(frames::frames))
        .route(&format!("{INSTANCE}/bulkdata/{{*path}}"), get(frames::bulkdata))
        .route(&format!("{INSTANCE}/rendered"), get(rendered::instance))
        .route(&format!("{INSTANCE}/thumbnail"), get(rendered::thumbnail))
        .route(&format!("{INSTANCE}/frames/{{frame}}/rendered"), get(rendered::frame))
        // bodies are limited where they are read
        .layer(DefaultBodyLimit::disable())
}

/// The UIDs in an address.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Place {
    study: String,
    series: String,
    instance: String,
}

impl Place {
    fn scope(&self) -> Scope {
        let list = |uid: &str| {
            if uid.is_empty() { Vec::new() } else { vec![Uid::new(uid)] }
        };
        Scope {
            patient_ids: Vec::new(),
            study_uids: list(&self.study),
            series_uids: list(&self.series),
            sop_instances: list(&self.instance),
        }
    }

    /// In words, for errors.
    fn describe(&self) -> String {
        match (self.study.as_str(), self.series.as_str(), self.instance.as_str()) {
            (study, "", _) => format!("study {study}"),
            (study, series, "") => format!("series {series} of study {study}"),
            (_, series, instance) => format!("instance {instance} of series {series}"),
        }
    }
}

/// `application/dicom+json`
fn dicom_json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/dicom+json")], value.to_string()).into_response()
}

/// A Warning header's value. PS3.18 8.3.4.5, RFC 7234 5.5.
fn warning(text: &str) -> String {
    let plain: String =
        text.chars().filter(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\')).collect();
    format!("299 pacslab \"{plain}\"")
}
