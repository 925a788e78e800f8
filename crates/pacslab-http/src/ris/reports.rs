//! `/ris/reports`

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use pacslab_model::PersonName;
use pacslab_ris::{ReportRecord, Signed};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MOST, Of, read, with};
use crate::door::{At, Door};
use crate::error::{Error, Result};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    /// The last accession number of the page before.
    after: String,
    limit: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Wish {
    findings: String,
    impression: String,
    text: String,
    /// FAMILY^GIVEN
    by: String,
    preliminary: bool,
}

pub(super) async fn list(State(door): At, Query(asked): Query<Asked>) -> Result {
    let most = asked.limit.unwrap_or(MOST).min(MOST);
    let found = with(&door, move |ris| ris.reports(&asked.after, most)).await?;
    Ok(Json(found.iter().map(shown).collect::<Vec<_>>()).into_response())
}

pub(super) async fn one(
    State(door): At,
    Path(accession): Path<String>,
    Query(of): Query<Of>,
) -> Result {
    Ok(Json(shown(&found(&door, accession, of).await?)).into_response())
}

pub(super) async fn sign(
    State(door): At,
    Path(accession): Path<String>,
    Query(Of { procedure }): Query<Of>,
    body: Body,
) -> Result {
    let Wish { findings, impression, text, by, preliminary } = read(&door, body).await?;
    let by = PersonName::new(&by);
    let signed = Signed { accession, procedure, findings, impression, text, by, preliminary };
    let applied = with(&door, move |ris| ris.sign(&signed)).await?;
    let mut told = shown(&applied.record);
    told["changed"] = applied.changed.into();
    told["remarks"] = json!(applied.remarks);
    let status = if applied.record.version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(told)).into_response())
}

/// Sends to the PACS again what it did not take.
pub(super) async fn send(
    State(door): At,
    Path(accession): Path<String>,
    Query(of): Query<Of>,
) -> Result {
    let report = found(&door, accession, of).await?;
    let count = with(&door, move |ris| ris.send_report_again(&report)).await?;
    Ok(Json(json!({"again": count})).into_response())
}

/// A document of the report, as it came.
pub(super) async fn document(
    State(door): At,
    Path((accession, at)): Path<(String, usize)>,
    Query(of): Query<Of>,
) -> Result {
    let report = found(&door, accession.clone(), of).await?;
    let none = || Error::NotFound(format!("the report of {accession} has no document {at}"));
    let document = report.documents.get(at).cloned().ok_or_else(none)?;
    let pdf = document.media_type == "application/pdf";
    let bytes = with(&door, move |ris| ris.report_document(&document)).await?.ok_or_else(none)?;
    // what a browser would run is only handed over
    let kind = if pdf { "application/pdf" } else { "application/octet-stream" };
    Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
}

async fn found(door: &Arc<Door>, accession: String, of: Of) -> Result<ReportRecord> {
    let asked = accession.clone();
    let found = with(door, move |ris| match &*of.procedure {
        "" => Ok(ris.report(&asked)?),
        procedure => ris.report_on(&asked, procedure),
    });
    let none = || Error::NotFound(format!("there is no report of order {accession}"));
    found.await?.ok_or_else(none)
}

fn shown(record: &ReportRecord) -> Value {
    let documents = record.documents.iter().enumerate().map(|(at, document)| {
        let path = format!("/ris/reports/{}/documents/{at}", record.accession);
        json!({"media_type": document.media_type, "size": document.size, "path": path})
    });
    let sections = record.sections.iter();
    let sections = sections.map(|section| json!({"code": section.code, "text": section.text}));
    json!({
        "accession": record.accession, "patient_id": record.patient_id,
        "study_uid": record.study_uid, "state": record.state.as_str(), "version": record.version,
        "sections": sections.collect::<Vec<_>>(), "documents": documents.collect::<Vec<_>>(),
        "links": record.links, "interpreter": record.interpreter, "date": record.date,
        "time": record.time, "unmatched": record.unmatched, "objects": record.objects,
    })
}
