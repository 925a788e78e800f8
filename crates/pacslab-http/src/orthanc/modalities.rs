//! `/modalities`: the peers of the department. They are read and changed while it runs, and asked
//! whether they are there.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query as Params, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use pacslab_archive::Peer;
use pacslab_model::{Emit, Event};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::resource::ListParams;
use super::styled;
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::intake::question;

/// A peer was made known, or is known differently.
const REGISTERED: &str = "peer.registered";
const FORGOTTEN: &str = "peer.forgotten";

/// What can be asked of a modality: the addresses below it.
const PARTS: [&str; 6] = ["configuration", "echo", "find-worklist", "move", "query", "store"];

/// What every call may change about the peer for this once.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Once {
    pub(crate) local_aet: Option<String>,
    pub(crate) called_aet: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) port: Option<Value>,
    pub(crate) timeout: Option<u32>,
}

pub(crate) async fn list(State(door): At, Params(params): Params<ListParams>) -> Result {
    let all = door.peers.all();
    Ok(styled(&match params.expands(false) {
        false => all.keys().map(|name| Value::from(name.as_str())).collect(),
        true => all.iter().map(|(name, peer)| (name.clone(), peer.to_orthanc())).collect(),
    }))
}

pub(crate) async fn one(State(door): At, Path(name): Path<String>) -> Result {
    door.peers.get(&name).ok_or(Error::Unknown)?;
    Ok(styled(&PARTS.into_iter().collect()))
}

pub(crate) async fn configuration(State(door): At, Path(name): Path<String>) -> Result {
    Ok(styled(&peer(&door, &name)?.to_orthanc()))
}

/// Registers a peer or changes it. It is durable when this answers, and a C-MOVE destination.
pub(crate) async fn put(State(door): At, Path(name): Path<String>, body: Body) -> Result {
    if name.is_empty() || name.chars().count() > 64 || name.contains(char::is_control) {
        return Err(Error::BadRequest(format!(
            "{name:?} cannot be the name of a modality: up to 64 characters that can be printed"
        )));
    }
    let body = question(&door, body).await?;
    let value: Value = serde_json::from_slice(&body).map_err(|error| {
        let example = format!("{{\"AET\": \"{name}\", \"Host\": \"127.0.0.1\", \"Port\": 11112}}");
        Error::BadFile(format!("the body is no JSON: {error}; an example: {example}"))
    })?;
    let peer = Peer::from_orthanc(&name, &value)?;
    let now = peer.to_string();
    let was = changed(&door, move |door| door.peers.put(peer)).await?.map(|was| was.to_string());
    if was.as_ref() != Some(&now) {
        let before = was.map_or_else(String::new, |was| format!(", before as {was}"));
        tell(&door, REGISTERED, format!("{now} is known{before}"));
    }
    Ok(plain(""))
}

pub(crate) async fn delete(State(door): At, Path(name): Path<String>) -> Result {
    let known = name.clone();
    let was = changed(&door, move |door| door.peers.remove(&known)).await?;
    let was = was.ok_or_else(|| unknown(&door, &name))?;
    tell(&door, FORGOTTEN, format!("{was} is known no more"));
    Ok(plain(""))
}

/// C-ECHO.
pub(crate) async fn echo(State(door): At, Path(name): Path<String>, body: Body) -> Result {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Echo {
        #[serde(flatten)]
        once: Once,
        check_find: bool,
    }
    let peer = peer(&door, &name)?;
    let asked: Echo = read(&door, body).await?;
    if asked.check_find {
        return Err(Error::BadRequest(
            "CheckFind is not done here; POST /modalities/{id}/query tells the same".to_owned(),
        ));
    }
    let peer = asked.once.apply(peer)?;
    door.caller.echo(&peer).await?;
    Ok(styled(&json!({})))
}

/// The peer of an address below `/modalities`.
pub(crate) fn peer(door: &Door, name: &str) -> Result<Peer> {
    door.peers.get(name).ok_or_else(|| unknown(door, name))
}

fn unknown(door: &Door, name: &str) -> Error {
    let all = door.peers.all();
    let known: Vec<&str> = all.keys().map(String::as_str).collect();
    Error::Item(format!(
        "no modality is called {name}; known are {}; PUT /modalities/{name} registers it",
        if known.is_empty() { "none".to_owned() } else { known.join(", ") }
    ))
}

/// A body of JSON that may be left out.
pub(crate) async fn read<T: DeserializeOwned + Default>(door: &Door, body: Body) -> Result<T> {
    let body = question(door, body).await?;
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    from_json(&body)
}

pub(crate) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body)
        .map_err(|error| Error::BadFile(format!("the body cannot be read as JSON: {error}")))
}

impl Once {
    pub(crate) fn apply(&self, peer: Peer) -> Result<Peer> {
        let mut object = peer.to_orthanc();
        let mut put = |field: &str, value: Option<Value>| {
            if let Some(value) = value {
                object[field] = value;
            }
        };
        put("LocalAet", self.local_aet.clone().map(Value::from));
        put("AET", self.called_aet.clone().map(Value::from));
        put("Host", self.host.clone().map(Value::from));
        put("Port", self.port.clone());
        // 0 and what is left out: as for all others
        put("Timeout", self.timeout.filter(|seconds| *seconds > 0).map(Value::from));
        Ok(Peer::from_orthanc(&peer.name, &object)?)
    }
}

fn tell(door: &Door, kind: &'static str, text: String) {
    door.events.emit(Event::new(door.clock.now(), kind, text));
}

/// Desk and disk are not waited for on the threads that serve.
async fn changed<T: Send + 'static>(
    door: &Arc<Door>,
    change: impl FnOnce(&Door) -> std::result::Result<T, pacslab_store::StoreError> + Send + 'static,
) -> Result<T> {
    let door = door.clone();
    let done = tokio::task::spawn_blocking(move || change(&door)).await;
    Ok(done.map_err(|_| Error::Closing("the server is shutting down".to_owned()))??)
}

pub(crate) fn plain(text: impl Into<String>) -> Response {
    ([(header::CONTENT_TYPE, "text/plain")], text.into()).into_response()
}
