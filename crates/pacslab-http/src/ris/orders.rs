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

use super::{MOST, read, with};
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

pub(super) async fn one(State(door): At, Path(accession): Path<String>) -> Result {
    let found = with(&door, move |ris| {
        let known = ris.desk().order(&accession)?;
        let known = known.ok_or(RefusedOrder::Unknown { number: accession })?;
        Ok::<_, RefusedOrder>(shown(ris, &known.order)?)
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

pub(super) async fn change(State(door): At, Path(accession): Path<String>, body: Body) -> Result {
    let wish: OrderWish = read(&door, body).await?;
    let changed = with(&door, move |ris| {
        let applied = ris.change_order(&accession, &wish)?;
        Ok::<_, RefusedPatient>(told(ris, &applied)?)
    });
    Ok(Json(changed.await?).into_response())
}

pub(super) async fn cancel(at: At, path: Path<String>) -> Result {
    end(at, path, false).await
}

pub(super) async fn discontinue(at: At, path: Path<String>) -> Result {
    end(at, path, true).await
}

async fn end(State(door): At, Path(accession): Path<String>, discontinue: bool) -> Result {
    let ended = with(&door, move |ris| {
        let applied = ris.end_order(&accession, discontinue)?;
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
