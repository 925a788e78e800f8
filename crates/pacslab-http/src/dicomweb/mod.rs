//! DICOMweb. PS3.18 10.

use std::sync::Arc;

use axum::Router;

use crate::door::Door;

pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new()
}
