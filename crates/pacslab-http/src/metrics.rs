//! `/metrics` for Prometheus (text format 0.0.4), and Orthanc's `/tools/metrics-prometheus`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use pacslab_model::METRICS;
use pacslab_model::metrics::{Kind, Text, write};
use pacslab_model::open::{self, OpenAssociation};

use serde_json::json;

use crate::door::{At, Door};
use crate::error::Result;

/// What the system tells of the process and its disk; `None` where it does not.
#[derive(Clone, Debug, Default)]
pub struct Host {
    pub disk_free: Option<fn(&std::path::Path) -> Option<u64>>,
    /// The data folder.
    pub folder: std::path::PathBuf,
    /// Resident bytes.
    pub memory: Option<fn() -> Option<u64>>,
    /// Seconds of processor time.
    pub processor: Option<fn() -> Option<f64>>,
}

/// Version 0.0.4, as Orthanc names it too.
const TEXT: &str = "text/plain; version=0.0.4";

pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new()
        .route("/metrics", get(ours))
        .route("/tools/metrics-prometheus", get(orthanc))
        .route("/pacslab/associations", get(associations))
}

/// The associations that are open now, oldest first.
async fn associations(State(door): At) -> Response {
    let now = door.clock.now();
    let one = |open: &Arc<OpenAssociation>| {
        json!({
            "number": open.number,
            "peer": open.peer,
            "calling": open.calling,
            "called": open.called,
            "direction": open.direction,
            "seconds": (now.micros - open.since.micros).max(0) as f64 / 1e6,
            "messages": open.messages(),
            "bytes": open.bytes(),
            "last": open.last(),
        })
    };
    Json(open::associations().iter().map(one).collect::<Vec<_>>()).into_response()
}

async fn ours(State(door): At) -> Result {
    let counts = door.archive.counts().await?;
    let waiting = crate::worklist::entries(&door).await?.len();
    let mut text = Text::default();
    write(&mut text);
    let level = "pacslab_index_resources";
    text.metric(level, Kind::Gauge, "Resources in the index.");
    for (name, count) in [
        ("patient", counts.patients),
        ("study", counts.studies),
        ("series", counts.series),
        ("instance", counts.instances),
    ] {
        text.sample(level, &[("level", name)], count);
    }
    let gauge = Kind::Gauge;
    text.one("pacslab_stored_bytes", gauge, "Bytes of the stored instances.", counts.size);
    text.one("pacslab_worklist_items", gauge, "Steps on the worklist.", waiting);
    text.one(
        "pacslab_uptime_seconds",
        gauge,
        "Since the server began to listen.",
        door.begun.elapsed().as_secs_f64(),
    );
    crate::hl7_queue::metrics(&door, &mut text).await?;
    host(&door, &mut text);
    Ok(([(header::CONTENT_TYPE, TEXT)], text.finish()).into_response())
}

fn host(door: &Door, text: &mut Text) {
    let Host { disk_free, folder, memory, processor } = &door.host;
    if let Some(free) = disk_free.and_then(|free| free(folder)) {
        let help = "Bytes that may still be written where the data folder is.";
        text.one("pacslab_disk_free_bytes", Kind::Gauge, help, free);
    }
    // the names that every client library of Prometheus uses
    if let Some(bytes) = memory.and_then(|memory| memory()) {
        let help = "Resident memory size in bytes.";
        text.one("process_resident_memory_bytes", Kind::Gauge, help, bytes);
    }
    if let Some(seconds) = processor.and_then(|processor| processor()) {
        let help = "Total user and system CPU time spent in seconds.";
        text.one("process_cpu_seconds_total", Kind::Counter, help, seconds);
    }
}

/// Orthanc's names and form: one line each, with the time in milliseconds.
async fn orthanc(State(door): At) -> Result {
    let counts = door.archive.counts().await?;
    let (completed, failed, running) = door.jobs.tally();
    let megabytes = counts.size / (1024 * 1024);
    let millis = door.clock.now().micros / 1000;
    let lines = [
        ("count_instances", counts.instances),
        ("count_patients", counts.patients),
        ("count_series", counts.series),
        ("count_studies", counts.studies),
        ("disk_size_mb", megabytes),
        ("jobs_completed", completed),
        ("jobs_failed", failed),
        ("jobs_pending", 0),
        ("jobs_running", running),
        ("jobs_success", completed - failed.min(completed)),
        ("uncompressed_size_mb", megabytes),
        ("up_time_s", door.begun.elapsed().as_secs()),
    ];
    let mut text = String::new();
    for (name, value) in lines {
        text += &format!("orthanc_{name} {value} {millis}\n");
    }
    Ok(([(header::CONTENT_TYPE, TEXT)], text).into_response())
}

/// Counts each request with its answer.
pub(crate) async fn count(State(door): At, request: Request, next: Next) -> Response {
    let route = class(request.uri().path(), &door.site.dicomweb_root);
    let response = next.run(request).await;
    let status = match response.status().as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        500..=599 => "5xx",
        _ => "other",
    };
    METRICS.http.count(route, status);
    response
}

/// A few words for all addresses: each label of its own costs a monitoring system memory.
fn class(path: &str, dicomweb: &str) -> &'static str {
    const REST: [&str; 11] = [
        "patients",
        "studies",
        "series",
        "instances",
        "modalities",
        "queries",
        "jobs",
        "tools",
        "system",
        "statistics",
        "health",
    ];
    let below = |root: &str| {
        path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    match path.split('/').nth(1).unwrap_or_default() {
        _ if below(dicomweb) => "dicomweb",
        "metrics" => "metrics",
        _ if path == "/tools/metrics-prometheus" => "metrics",
        _ if below("/pacslab/events") => "events",
        "" | "ui" | "pacslab" => "page",
        first if REST.contains(&first) => "rest",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn addresses_have_few_classes() {
        for (path, expected) in [
            ("/dicom-web/studies", "dicomweb"),
            ("/dicom-website", "other"),
            ("/studies/1-2/series", "rest"),
            ("/tools/find", "rest"),
            ("/tools/metrics-prometheus", "metrics"),
            ("/metrics", "metrics"),
            ("/", "page"),
            ("/pacslab/worklist", "page"),
            ("/pacslab/events", "events"),
            ("/wp-login.php", "other"),
        ] {
            assert_eq!(class(path, "/dicom-web"), expected, "{path}");
        }
    }
}
