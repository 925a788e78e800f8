//! The department for programs: orders, patients, reports. What HL7 does, in JSON.
//!
//! Names are in `snake_case`; errors are as on all routes.

mod orders;
mod patients;
mod reports;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use pacslab_ris::reports::RefusedReport;
use pacslab_ris::{RefusedOrder, RefusedPatient, Ris};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::door::Door;
use crate::error::{Error, Result};
use crate::intake::question;

pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new()
        .route("/ris/orders", get(orders::list).post(orders::new))
        .route("/ris/orders/{accession}", get(orders::one).patch(orders::change))
        .route("/ris/orders/{accession}/cancel", post(orders::cancel))
        .route("/ris/orders/{accession}/discontinue", post(orders::discontinue))
        .route("/ris/patients", get(patients::list).post(patients::new))
        .route("/ris/patients/{id}", get(patients::one).patch(patients::update))
        .route("/ris/patients/{id}/merge", post(patients::merge))
        .route("/ris/reports", get(reports::list))
        .route("/ris/reports/{accession}", get(reports::one))
        .route("/ris/reports/{accession}/sign", post(reports::sign))
        .route("/ris/reports/{accession}/send", post(reports::send))
        .route("/ris/reports/{accession}/documents/{at}", get(reports::document))
}

/// Which requested procedure of an order with several.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Of {
    /// Requested procedure id.
    procedure: String,
}

/// The longest page of a list.
const MOST: usize = 1000;

/// Does something with the RIS that may block.
async fn with<T, E>(
    door: &Arc<Door>,
    work: impl FnOnce(&Ris) -> std::result::Result<T, E> + Send + 'static,
) -> Result<T>
where
    T: Send + 'static,
    E: Into<Error> + Send + 'static,
{
    let Some(ris) = door.ris.clone() else {
        return Err(Error::NotFound("this server has no orders, only an archive".to_owned()));
    };
    tokio::task::spawn_blocking(move || work(&ris))
        .await
        .map_err(|_| Error::Closing("the server is shutting down".to_owned()))?
        .map_err(Into::into)
}

/// A body in JSON; none is one that says nothing.
async fn read<T: DeserializeOwned + Default>(door: &Door, body: Body) -> Result<T> {
    let body = question(door, body).await?;
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body)
        .map_err(|error| Error::BadJson(format!("the body is not what is expected here: {error}")))
}

impl From<RefusedOrder> for Error {
    fn from(refused: RefusedOrder) -> Self {
        let text = refused.to_string();
        match refused {
            RefusedOrder::Unknown { .. }
            | RefusedOrder::NoSuchProcedure { .. }
            | RefusedOrder::NoSuchStep { .. } => Self::NotFound(text),
            RefusedOrder::Store(error) => error.into(),
            RefusedOrder::File(_) => Self::Internal(text),
            RefusedOrder::Duplicate { .. } | RefusedOrder::Step { .. } => Self::Conflict(text),
            _ => Self::BadRequest(text),
        }
    }
}

impl From<RefusedPatient> for Error {
    fn from(refused: RefusedPatient) -> Self {
        let text = refused.to_string();
        match refused {
            RefusedPatient::Order(refused) => refused.into(),
            RefusedPatient::Store(error) => error.into(),
            RefusedPatient::Unknown(_) => Self::NotFound(text),
            _ => Self::Conflict(text),
        }
    }
}

impl From<RefusedReport> for Error {
    fn from(refused: RefusedReport) -> Self {
        let text = refused.to_string();
        match refused {
            RefusedReport::Order(refused) => refused.into(),
            RefusedReport::Store(error) => error.into(),
            RefusedReport::Unknown(_) => Self::NotFound(text),
            RefusedReport::Unexpected { .. } => Self::Conflict(text),
            _ => Self::BadRequest(text),
        }
    }
}
