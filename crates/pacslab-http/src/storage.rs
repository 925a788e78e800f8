//! What an operator asks of the storage while the server runs.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::response::IntoResponse;
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;

use crate::door::{At, Door};
use crate::error::{Error, Result};

pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new().route("/pacslab/compact", post(compact))
}

#[derive(Debug, Deserialize)]
struct Compact {
    /// Packs of which less than this is needed are written anew.
    #[serde(default = "half")]
    below: u8,
}

fn half() -> u8 {
    50
}

/// Gives back the room of deleted objects; answers when it is done.
async fn compact(State(door): At, Query(asked): Query<Compact>) -> Result {
    if asked.below > 100 {
        return Err(Error::BadRequest(format!("below is {}: 0 to 100 percent", asked.below)));
    }
    // goes on when the client has gone away: half a compaction helps nobody
    let archive = door.archive.clone();
    let done = tokio::spawn(async move { archive.compact(asked.below).await })
        .await
        .map_err(|_| Error::Internal("the compaction ended with a panic".to_owned()))??;
    Ok(Json(done).into_response())
}
