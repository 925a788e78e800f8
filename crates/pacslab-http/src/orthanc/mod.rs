//! Orthanc's REST routes, so that its clients need no change: same addresses, same JSON, same
//! identifiers. `docs/http.md` lists where we differ on purpose.

mod archive;
mod change;
mod changes;
mod create;
mod create_dicom;
mod find;
pub(crate) mod ids;
mod instance;
pub(crate) mod jobs;
mod modalities;
mod push;
pub(crate) mod queries;
mod remake;
mod resource;
mod system;
mod tags;
mod tools;

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use pacslab_model::Level;
use serde_json::Value;

use crate::door::Door;

pub(crate) fn routes() -> Router<Arc<Door>> {
    let mut router = Router::new()
        .route("/health", get(system::health))
        .route("/system", get(system::system))
        .route("/statistics", get(system::statistics))
        .route("/changes", get(changes::changes))
        .route("/instances", post(create::create))
        .route("/instances/{id}/file", get(instance::file))
        .route("/instances/{id}/header", get(tags::header))
        .route("/instances/{id}/tags", get(tags::tags))
        .route("/instances/{id}/simplified-tags", get(tags::simplified))
        .route("/instances/{id}/frames", get(instance::frames))
        .route("/instances/{id}/frames/{frame}/preview", get(instance::frame_preview))
        .route("/instances/{id}/preview", get(instance::preview))
        .route("/tools/find", post(find::find))
        .route("/tools/lookup", post(find::lookup))
        .route("/tools/bulk-delete", post(change::bulk_delete))
        .route("/tools/create-archive", post(archive::create))
        .route("/tools/labels", get(change::all_labels))
        .route("/patients/{id}/protected", get(change::is_protected).put(change::protect))
        .route("/tools/create-dicom", post(create_dicom::create))
        .route("/tools/now", get(tools::now))
        .route("/tools/now-local", get(tools::now_local))
        .route("/tools/generate-uid", get(tools::generate_uid))
        .route("/tools/accepted-transfer-syntaxes", get(tools::accepted_transfer_syntaxes))
        .route("/plugins", get(tools::plugins))
        .route("/plugins/{id}", get(tools::plugin))
        .route("/peers", get(tools::none))
        .route("/modalities", get(modalities::list))
        .route(
            "/modalities/{id}",
            get(modalities::one).put(modalities::put).delete(modalities::delete),
        )
        .route("/modalities/{id}/configuration", get(modalities::configuration))
        .route("/modalities/{id}/echo", post(modalities::echo))
        .route("/modalities/{id}/store", post(push::store))
        .route("/modalities/{id}/query", post(queries::query))
        .route("/modalities/{id}/find-worklist", post(queries::find_worklist))
        .route("/modalities/{id}/move", post(queries::move_))
        .route("/queries", get(queries::list))
        .route("/queries/{id}", get(queries::one).delete(queries::delete))
        .route("/queries/{id}/level", get(queries::query_level))
        .route("/queries/{id}/modality", get(queries::query_modality))
        .route("/queries/{id}/query", get(queries::query_keys))
        .route("/queries/{id}/retrieve", post(queries::retrieve_all))
        .route("/queries/{id}/answers", get(queries::answers))
        .route("/queries/{id}/answers/{at}", get(queries::answer))
        .route("/queries/{id}/answers/{at}/content", get(queries::content))
        .route("/queries/{id}/answers/{at}/retrieve", post(queries::retrieve_one))
        .route("/jobs", get(jobs::list))
        .route("/jobs/{id}", get(jobs::one))
        .route("/jobs/{id}/cancel", post(jobs::cancel));
    for level in Level::ALL {
        let name = plural(level);
        router = router
            .route(&format!("/{name}"), get(move |at, q| resource::list(level, at, q)))
            .route(
                &format!("/{name}/{{id}}"),
                get(move |at, id| resource::one(level, at, id))
                    .delete(move |at, from, id| change::delete(level, at, from, id)),
            )
            .route(
                &format!("/{name}/{{id}}/labels"),
                get(move |at, id| change::labels(level, at, id)),
            )
            .route(
                &format!("/{name}/{{id}}/labels/{{label}}"),
                get(move |at, id| change::label(level, at, id))
                    .put(move |at, from, id| change::put_label(level, true, at, from, id))
                    .delete(move |at, from, id| change::put_label(level, false, at, from, id)),
            )
            .route(
                &format!("/{name}/{{id}}/metadata"),
                get(move |at, id, q| change::metadata(level, at, id, q)),
            )
            .route(
                &format!("/{name}/{{id}}/metadata/{{item}}"),
                get(move |at, id| change::metadatum(level, at, id)),
            )
            .route(
                &format!("/{name}/{{id}}/modify"),
                post(move |at, id, body| remake::modify(level, at, id, body)),
            )
            .route(
                &format!("/{name}/{{id}}/anonymize"),
                post(move |at, id, body| remake::anonymize(level, at, id, body)),
            )
            .route(
                &format!("/{name}/{{id}}/statistics"),
                get(move |at, id| resource::statistics(level, at, id)),
            );
        if level < Level::Instance {
            router = router.route(
                &format!("/{name}/{{id}}/archive"),
                get(move |at, id| archive::get(level, at, id))
                    .post(move |at, id, body| archive::post(level, at, id, body)),
            );
        }
        for below in Level::ALL.into_iter().filter(|below| *below > level) {
            let path = format!("/{name}/{{id}}/{}", plural(below));
            let handler = move |at, id, q| resource::children(level, below, at, id, q);
            router = router.route(&path, get(handler));
        }
        for above in Level::ALL.into_iter().filter(|above| *above < level) {
            let path = format!("/{name}/{{id}}/{}", singular(above).to_lowercase());
            let handler = move |at, id| resource::parent(level, above, at, id);
            router = router.route(&path, get(handler));
        }
    }
    router
}

/// `Study`
pub(crate) const fn singular(level: Level) -> &'static str {
    match level {
        Level::Patient => "Patient",
        Level::Study => "Study",
        Level::Series => "Series",
        Level::Instance => "Instance",
    }
}

/// `studies`
pub(crate) const fn plural(level: Level) -> &'static str {
    match level {
        Level::Patient => "patients",
        Level::Study => "studies",
        Level::Series => "series",
        Level::Instance => "instances",
    }
}

/// JSON as Orthanc writes it: indented, keys sorted.
pub(crate) fn styled(value: &Value) -> Response {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], text).into_response()
}
