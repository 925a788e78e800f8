//! What happened, one JSON object a line, and live if wanted.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Extension, Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use pacslab_store::{EventFilter, Kept};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::serve::Closing;
use crate::stream::{Gone, Pipe, pipe};

/// The most events of one answer.
const MOST: usize = 10_000;
/// Events that wait for a slow follower; beyond that it is told how many it missed.
const WAITING: usize = 1_024;

pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new().route("/pacslab/events", get(list)).route("/pacslab/events/{id}/raw", get(raw))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    after: Option<u64>,
    kind: Option<String>,
    accession: Option<String>,
    study: Option<String>,
    patient: Option<String>,
    limit: Option<usize>,
    follow: Option<bool>,
}

impl Wanted {
    fn filter(&self) -> EventFilter {
        EventFilter {
            accession: self.accession.clone(),
            study_uid: self.study.clone(),
            patient_id: self.patient.clone(),
            kind_prefix: self.kind.clone(),
            since: None,
            after: self.after,
            limit: self.limit.unwrap_or(200).clamp(1, MOST),
        }
    }

    fn accepts(&self, kept: &Kept) -> bool {
        let is =
            |wanted: &Option<String>, found: &str| wanted.as_deref().is_none_or(|w| w == found);
        let event = &kept.event;
        self.after.is_none_or(|after| kept.id > after)
            && self.kind.as_deref().is_none_or(|kind| event.kind.starts_with(kind))
            && is(&self.accession, &event.ids.accession)
            && is(&self.study, &event.ids.study_uid)
            && is(&self.patient, &event.ids.patient_id)
    }
}

async fn list(
    State(door): At,
    Query(wanted): Query<Wanted>,
    closing: Option<Extension<Closing>>,
) -> Result {
    let filter = wanted.filter();
    // listened first, read then: nothing falls between
    let live = wanted.follow.unwrap_or(false).then(|| listen(&door));
    let log = door.events.clone();
    let mut past = tokio::task::spawn_blocking(move || {
        // what happened before somebody asks is in the answer
        log.flush();
        log.recent(&filter)
    })
    .await
    .map_err(|_| Error::Closing("the server is shutting down".to_owned()))??;
    past.reverse();
    let (pipe, body) = pipe(door.limits.pause);
    tokio::spawn(async move {
        let _ = tell(&pipe, &wanted, past, live, closing.map(|Extension(closing)| closing)).await;
    });
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

struct Live {
    events: mpsc::Receiver<Arc<Kept>>,
    missed: Arc<std::sync::atomic::AtomicU64>,
}

fn listen(door: &Door) -> Live {
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use tokio::sync::mpsc::error::TrySendError;
    let (sender, events) = mpsc::channel(WAITING);
    let missed = Arc::new(AtomicU64::new(0));
    let lost = missed.clone();
    door.events.listen(Box::new(move |kept| match sender.try_send(kept.clone()) {
        Ok(()) => true,
        Err(TrySendError::Full(_)) => {
            lost.fetch_add(1, Relaxed);
            true
        }
        Err(TrySendError::Closed(_)) => false,
    }));
    Live { events, missed }
}

async fn tell(
    pipe: &Pipe,
    wanted: &Wanted,
    past: Vec<Kept>,
    live: Option<Live>,
    closing: Option<Closing>,
) -> Result<(), Gone> {
    let told: BTreeSet<u64> = past.iter().map(|kept| kept.id).collect();
    let mut lines = Vec::new();
    for kept in &past {
        line(kept, &mut lines);
    }
    drop(past);
    pipe.send(lines).await?;
    let Some(mut live) = live else { return Ok(()) };
    let mut closing = closing.map(|Closing(receiver)| receiver);
    loop {
        let kept = tokio::select! {
            kept = live.events.recv() => kept,
            () = pipe.gone() => None,
            () = closed(&mut closing) => None,
        };
        let Some(kept) = kept else { return Ok(()) };
        let mut lines = Vec::new();
        let missed = live.missed.swap(0, std::sync::atomic::Ordering::Relaxed);
        if missed > 0 {
            lines.extend_from_slice(format!("{{\"missed\":{missed}}}\n").as_bytes());
        }
        if wanted.accepts(&kept) && !told.contains(&kept.id) {
            line(&kept, &mut lines);
        }
        if !lines.is_empty() {
            pipe.send(Bytes::from(lines)).await?;
        }
    }
}

async fn closed(closing: &mut Option<tokio::sync::watch::Receiver<bool>>) {
    match closing {
        Some(receiver) => {
            let _ = receiver.wait_for(|closing| *closing).await;
        }
        None => std::future::pending().await,
    }
}

/// The event with its number, and how long its raw payload is where there is one.
pub(crate) fn json(kept: &Kept) -> Value {
    let mut value = serde_json::to_value(&kept.event).unwrap_or_default();
    if let Value::Object(object) = &mut value {
        object.insert("id".to_owned(), kept.id.into());
        // microseconds are for programs; this is the same for people
        object.insert("time".to_owned(), kept.event.at.rfc3339().into());
        if kept.raw_len > 0 {
            object.insert("raw_len".to_owned(), kept.raw_len.into());
        }
    }
    value
}

fn line(kept: &Kept, into: &mut Vec<u8>) {
    into.extend_from_slice(json(kept).to_string().as_bytes());
    into.push(b'\n');
}

async fn raw(State(door): At, Path(id): Path<u64>) -> Result<Response> {
    let log = door.events.clone();
    let bytes = tokio::task::spawn_blocking(move || log.raw(id))
        .await
        .map_err(|_| Error::Closing("the server is shutting down".to_owned()))??;
    let bytes = bytes.ok_or_else(|| {
        Error::NotFound(format!("event {id} has no payload, or it is no longer kept"))
    })?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}
