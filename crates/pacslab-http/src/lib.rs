//! The HTTP doors: the page for people, Orthanc's routes, DICOMweb (PS3.18), the event log.
//!
//! Doors translate and hold no rules: what is asked becomes a `model::Query`, what arrives goes
//! into an `archive::Writer`. One route is one function and one line in the router of its folder;
//! errors become HTTP in [`error`] and nowhere else.

mod auth;
mod dicomweb;
mod door;
mod error;
mod events;
mod gate;
mod hl7_queue;
mod intake;
mod metrics;
mod object;
mod orthanc;
mod patience;
mod ris;
mod serve;
mod silent;
mod storage;
mod stream;
mod ui;
pub mod users;
mod worklist;
pub mod zip;

#[doc(hidden)]
pub use dicomweb::fuzz;
pub use door::{Limits, Site, State};
pub use gate::{BoxFuture, Connection, Gate};
pub use metrics::Host;
pub use serve::{Listening, serve, serve_behind};
pub use users::Auth;
pub use worklist::WorklistView;

use axum::{Router, middleware};

use door::Door;

/// Everything that HTTP offers, behind authentication.
pub fn app(state: State) -> Router {
    let door = Door::new(state);
    Router::new()
        .merge(ui::routes())
        .merge(events::routes())
        .merge(worklist::routes())
        .merge(hl7_queue::routes())
        .merge(metrics::routes())
        .merge(storage::routes())
        .merge(ris::routes())
        .merge(orthanc::routes())
        .nest(&door.site.dicomweb_root, dicomweb::routes())
        .fallback(error::no_route)
        .method_not_allowed_fallback(error::no_method)
        .layer(middleware::from_fn_with_state(door.clone(), auth::guard))
        .layer(middleware::from_fn(error::describe))
        .layer(middleware::from_fn_with_state(door.clone(), metrics::count))
        .with_state(door)
}
