//! The page for people.

use std::sync::Arc;

use axum::Router;

use crate::door::Door;

pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new()
}
