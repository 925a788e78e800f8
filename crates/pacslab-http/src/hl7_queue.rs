//! The queues of outgoing HL7 messages, and what could not be delivered.
//!
//! `GET /ris/hl7/queue?dead=true&destination=NAME&after=N&limit=N`, `GET /ris/hl7/destinations`,
//! `GET` and `DELETE /ris/hl7/queue/{number}`, `POST /ris/hl7/queue/{number}/resend`.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use pacslab_model::metrics::{Kind, Text};
use pacslab_ris::{Letter, LetterFilter, Ris, Tally};
use pacslab_store::StoreError;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::door::{At, Door};
use crate::error::{Error, Result};

pub(crate) fn routes() -> Router<Arc<Door>> {
    Router::new()
        .route("/ris/hl7/destinations", get(destinations))
        .route("/ris/hl7/queue", get(list))
        .route("/ris/hl7/queue/{number}", get(show).delete(remove))
        .route("/ris/hl7/queue/{number}/resend", post(resend))
}

/// The most that one answer lists: messages with documents are long.
const MOST: usize = 100;

#[derive(Debug, Deserialize)]
struct Asked {
    #[serde(default)]
    dead: bool,
    destination: Option<String>,
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

/// How many wait, and since when; how many could not be delivered.
async fn destinations(State(door): At) -> Result {
    let now = door.clock.now().micros;
    let tallies = asked(&door, Ris::tallies).await?;
    let one = |tally: &Tally| {
        let seconds = tally.oldest.map(|oldest| (now - oldest.micros).max(0) as f64 / 1e6);
        json!({
            "destination": tally.destination,
            "configured": tally.known,
            "waiting": tally.waiting,
            "dead": tally.dead,
            "oldest": tally.oldest.map(|oldest| oldest.rfc3339()),
            "oldest_seconds": seconds,
        })
    };
    Ok(Json(tallies.iter().map(one).collect::<Vec<_>>()).into_response())
}

/// Messages that wait, or dead letters, without their text.
async fn list(State(door): At, Query(query): Query<Asked>) -> Result {
    let filter = LetterFilter {
        destination: query.destination,
        dead: query.dead,
        after: query.after,
        limit: query.limit.unwrap_or(MOST).min(MOST),
    };
    let letters = asked(&door, move |ris| ris.letters(&filter)).await?;
    let each = letters.iter().map(|letter| described(letter, query.dead));
    Ok(Json(each.collect::<Vec<_>>()).into_response())
}

async fn show(State(door): At, Path(number): Path<String>) -> Result {
    let number = read(&number)?;
    match asked(&door, move |ris| ris.letter(number)).await? {
        Some((letter, dead)) => {
            let mut told = described(&letter, dead);
            told["message"] = letter.text.into();
            Ok(Json(told).into_response())
        }
        None => Err(none(number)),
    }
}

async fn remove(State(door): At, Path(number): Path<String>) -> Result {
    let number = read(&number)?;
    match asked(&door, move |ris| ris.drop_letter(number)).await? {
        Some(letter) => Ok(Json(described(&letter, false)).into_response()),
        None => Err(none(number)),
    }
}

async fn resend(State(door): At, Path(number): Path<String>) -> Result {
    let number = read(&number)?;
    let found = asked(&door, move |ris| {
        Ok(match ris.resend(number)? {
            Some(letter) => Ok(letter),
            None => Err(ris.letter(number)?.is_some()),
        })
    });
    match found.await? {
        Ok(letter) => Ok(Json(described(&letter, false)).into_response()),
        Err(true) => Err(Error::BadRequest(format!(
            "message {number} is no dead letter: it waits for its turn and is sent by itself"
        ))),
        Err(false) => Err(none(number)),
    }
}

/// Gauges of each destination.
pub(crate) async fn metrics(door: &Arc<Door>, text: &mut Text) -> Result<()> {
    if door.ris.is_none() {
        return Ok(());
    }
    let now = door.clock.now().micros;
    let tallies = asked(door, Ris::tallies).await?;
    type Row = (&'static str, &'static str, fn(&Tally, i64) -> f64);
    let rows: [Row; 3] = [
        ("pacslab_hl7_out_waiting", "HL7 messages that wait for a destination.", |tally, _| {
            tally.waiting as f64
        }),
        ("pacslab_hl7_out_dead", "HL7 messages that could not be delivered.", |tally, _| {
            tally.dead as f64
        }),
        (
            "pacslab_hl7_out_oldest_seconds",
            "How long the first HL7 message in a queue has waited.",
            |tally, now| tally.oldest.map_or(0.0, |at| (now - at.micros).max(0) as f64 / 1e6),
        ),
    ];
    for (name, help, value) in rows {
        text.metric(name, Kind::Gauge, help);
        for tally in &tallies {
            let labels = [("destination", tally.destination.as_str())];
            text.sample(name, &labels, value(tally, now));
        }
    }
    Ok(())
}

fn described(letter: &Letter, dead: bool) -> Value {
    json!({
        "number": letter.number,
        "destination": letter.destination,
        "kind": letter.kind,
        "control_id": letter.control_id,
        "accession": letter.accession,
        "patient_id": letter.patient_id,
        "queued_at": letter.queued_at.rfc3339(),
        "tries": letter.tries,
        "problem": letter.problem,
        "dead": dead,
    })
}

fn read(number: &str) -> Result<u64> {
    number.parse().map_err(|_| {
        Error::BadRequest(format!("'{number}' is no number of a message, as the queue lists them"))
    })
}

fn none(number: u64) -> Error {
    Error::Item(format!("no outgoing HL7 message has number {number}; it may have been delivered"))
}

/// Asks the RIS on a thread that may block.
async fn asked<T: Send + 'static>(
    door: &Arc<Door>,
    ask: impl FnOnce(&Ris) -> Result<T, StoreError> + Send + 'static,
) -> Result<T> {
    let Some(ris) = door.ris.clone() else {
        return Err(Error::NotFound("there is no RIS behind this server".to_owned()));
    };
    tokio::task::spawn_blocking(move || ask(&ris))
        .await
        .map_err(|_| Error::Closing("the server is shutting down".to_owned()))?
        .map_err(|error| Error::Internal(error.to_string()))
}
