//! The worklist as the page and programs see it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use pacslab_ris::{Worklist, WorklistEntry};

use crate::door::{At, Door};
use crate::error::{Error, Result};

/// The worklist, seen from here. May block.
pub trait WorklistView: Send + Sync {
    fn entries(&self) -> Vec<WorklistEntry>;
}

impl WorklistView for Worklist {
    fn entries(&self) -> Vec<WorklistEntry> {
        Self::entries(self)
    }
}

pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new().route("/pacslab/worklist", get(list))
}

async fn list(State(door): At) -> Result {
    Ok(Json(entries(&door).await?).into_response())
}

/// What waits for a scanner, by date and time.
pub(crate) async fn entries(door: &Arc<Door>) -> Result<Vec<WorklistEntry>> {
    let worklist = door.worklist.clone();
    let mut entries = tokio::task::spawn_blocking(move || worklist.entries())
        .await
        .map_err(|_| Error::Closing("the server is shutting down".to_owned()))?;
    entries.sort_by(|a, b| {
        (&a.start_date, &a.start_time, &a.accession, &a.step_id).cmp(&(
            &b.start_date,
            &b.start_time,
            &b.accession,
            &b.step_id,
        ))
    });
    Ok(entries)
}
