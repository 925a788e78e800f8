//! `/ris/patients`

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use pacslab_model::order::Identifier;
use pacslab_ris::clerk::PatientWish;
use pacslab_ris::{PatientApplied, PatientRecord, RefusedPatient, patients};
use pacslab_store::StoreError;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MOST, read, with};
use crate::door::At;
use crate::error::{Error, Result};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    /// The last of the page before, and its authority.
    after: String,
    issuer: String,
    limit: Option<usize>,
}

/// Who assigned the identifier of the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Of {
    issuer: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Merge {
    /// The identifier that is no longer used.
    retired: String,
    retired_issuer: String,
}

pub(super) async fn list(State(door): At, Query(asked): Query<Asked>) -> Result {
    let found = with(&door, move |ris| {
        let after = Identifier::new(asked.after, asked.issuer);
        let after = (!after.id.is_empty()).then_some(&after);
        let found = ris.patients(after, asked.limit.unwrap_or(MOST).min(MOST))?;
        Ok::<_, StoreError>(found.iter().map(shown).collect::<Vec<_>>())
    });
    Ok(Json(found.await?).into_response())
}

pub(super) async fn one(State(door): At, Path(id): Path<String>, Query(of): Query<Of>) -> Result {
    let found = with(&door, move |ris| {
        let id = Identifier::new(id, of.issuer);
        match ris.patient(&id)? {
            None => Err(RefusedPatient::Unknown(patients::shown(&id))),
            Some(record) => Ok(shown(&record)),
        }
    });
    Ok(Json(found.await?).into_response())
}

pub(super) async fn new(State(door): At, body: Body) -> Result {
    let wish: PatientWish = read(&door, body).await?;
    let made = with(&door, move |ris| ris.register_patient(&wish)).await?;
    Ok((StatusCode::CREATED, Json(told(&made))).into_response())
}

pub(super) async fn update(
    State(door): At,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    body: Body,
) -> Result {
    let wish: PatientWish = read(&door, body).await?;
    if !wish.id.is_empty() {
        let text = "an identifier is not changed like a name: send A47, or merge the two patients";
        return Err(Error::BadRequest(text.to_owned()));
    }
    let id = Identifier::new(id, of.issuer);
    let changed = with(&door, move |ris| ris.update_patient(&id, &wish)).await?;
    Ok(Json(told(&changed)).into_response())
}

pub(super) async fn merge(
    State(door): At,
    Path(id): Path<String>,
    Query(of): Query<Of>,
    body: Body,
) -> Result {
    let wish: Merge = read(&door, body).await?;
    if wish.retired.is_empty() {
        let text = "say whom to merge into this patient: {\"retired\": \"ID\"}";
        return Err(Error::BadRequest(text.to_owned()));
    }
    let id = Identifier::new(id, of.issuer);
    let retired = Identifier::new(wish.retired, wish.retired_issuer);
    let merged = with(&door, move |ris| ris.merge_patients(&id, &retired)).await?;
    Ok(Json(told(&merged)).into_response())
}

fn shown(record: &PatientRecord) -> Value {
    let mut shown = json!(record.patient);
    shown["presence"] = record.presence.as_str().into();
    shown["location"] = record.visit.location.as_str().into();
    shown["retired"] = json!(record.retired);
    shown
}

fn told(applied: &PatientApplied) -> Value {
    let mut told = shown(&applied.record);
    told["created"] = applied.created.into();
    told["orders"] = applied.orders.into();
    told["remarks"] = json!(applied.remarks);
    told
}
