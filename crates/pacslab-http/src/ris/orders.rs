//! `/ris/orders`

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use pacslab_model::order::Order;
use pacslab_ris::clerk::OrderWish;
use pacslab_ris::{Applied, OrderState, RefusedOrder, RefusedPatient, Ris};
use pacslab_store::{OrderFilter, StoreError};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MOST, Of, read, with};
use crate::door::At;
use crate::error::Result;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Asked {
    accession: Option<String>,
    patient: Option<String>,
    station: Option<String>,
    modality: Option<String>,
    /// YYYYMMDD
    from: Option<String>,
    to: Option<String>,
    offset: usize,
    limit: Option<usize>,
}

pub(super) async fn list(State(door): At, Query(asked): Query<Asked>) -> Result {
    let filter = OrderFilter {
        accession: asked.accession,
        patient_id: asked.patient,
        station: asked.station,
        modality: asked.modality,
        from_date: asked.from,
        to_date: asked.to,
        offset: asked.offset,
        limit: Some(asked.limit.unwrap_or(MOST).min(MOST)),
        ..OrderFilter::default()
    };
    let found = with(&door, move |ris| {
        let mut found = Vec::new();
        for record in ris.desk().orders(&filter)? {
            found.push(shown(ris, &record.order)?);
        }
        Ok::<_, StoreError>(found)
    });
    Ok(Json(found.await?).into_response())
}

/// The order, of several requested procedures the one that is named, else the first with the
/// others in `further_procedures`.
pub(super) async fn one(
    State(door): At,
    Path(accession): Path<String>,
    Query(of): Query<Of>,
) -> Result {
    let found = with(&door, move |ris| {
        if !of.procedure.is_empty() {
            return Ok(shown(ris, &ris.order_of(&accession, &of.procedure)?.order)?);
        }
        let mut all = Vec::new();
        for known in ris.procedures(&accession)? {
            all.push(shown(ris, &known.order)?);
        }
        let mut first = all.remove(0);
        if !all.is_empty() {
            first["further_procedures"] = all.into();
        }
        Ok::<_, RefusedOrder>(first)
    });
    Ok(Json(found.await?).into_response())
}

pub(super) async fn new(State(door): At, body: Body) -> Result {
    let wish: OrderWish = read(&door, body).await?;
    let made = with(&door, move |ris| {
        let applied = ris.order_exam(&wish)?;
        Ok::<_, RefusedPatient>(told(ris, &applied)?)
    });
    Ok((StatusCode::CREATED, Json(made.await?)).into_response())
}

pub(super) async fn change(
    State(door): At,
    Path(accession): Path<String>,
    Query(of): Query<Of>,
    body: Body,
) -> Result {
    let mut wish: OrderWish = read(&door, body).await?;
    if !of.procedure.is_empty() {
        wish.procedure = of.procedure;
    }
    let changed = with(&door, move |ris| {
        let applied = ris.change_order(&accession, &wish)?;
        Ok::<_, RefusedPatient>(told(ris, &applied)?)
    });
    Ok(Json(changed.await?).into_response())
}

pub(super) async fn cancel(at: At, path: Path<String>, of: Query<Of>) -> Result {
    end(at, path, of, false).await
}

pub(super) async fn discontinue(at: At, path: Path<String>, of: Query<Of>) -> Result {
    end(at, path, of, true).await
}

async fn end(
    State(door): At,
    Path(accession): Path<String>,
    Query(of): Query<Of>,
    discontinue: bool,
) -> Result {
    let ended = with(&door, move |ris| {
        let applied = ris.end_order(&accession, &of.procedure, discontinue)?;
        Ok::<_, RefusedOrder>(told(ris, &applied)?)
    });
    Ok(Json(ended.await?).into_response())
}

/// The order as it is kept, and what it has come to.
fn shown(ris: &Ris, order: &Order) -> std::result::Result<Value, StoreError> {
    let report = ris.report_state(order)?;
    let mut shown = json!(order);
    shown["state"] = OrderState::of(order, report).as_str().into();
    shown["report"] = report.as_str().into();
    Ok(shown)
}

fn told(ris: &Ris, applied: &Applied) -> std::result::Result<Value, StoreError> {
    let mut told = shown(ris, &applied.order)?;
    told["done"] = json!(applied.done);
    told["remarks"] = json!(applied.remarks);
    Ok(told)
}
