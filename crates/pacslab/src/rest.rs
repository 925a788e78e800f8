//! Orthanc's REST routes from the client's side: what commands and the demonstration ask of our
//! server or of an Orthanc, alike.

use serde_json::{Value, json};

use crate::config::Peer;
use crate::exit::{Failure, Result};
use crate::http::{Answer, Server, encode};

const JSON: &str = "application/json";

/// A resource of a PACS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Orthanc's identifier.
    pub(crate) id: String,
    /// `Study`
    pub(crate) kind: String,
}

impl Found {
    /// `/studies/a147…`
    pub(crate) fn path(&self) -> String {
        let kind = match self.kind.as_str() {
            "Patient" => "patients",
            "Study" => "studies",
            "Series" => "series",
            _ => "instances",
        };
        format!("/{kind}/{}", self.id)
    }
}

/// What has this UID, or else the studies of this accession number.
pub(crate) async fn named_so(server: &Server, word: &str) -> Result<Vec<Found>> {
    let mut found = lookup(server, word).await?;
    // a patient may be called as an accession number is
    found.retain(|one| one.kind != "Patient");
    match found.is_empty() {
        true => studies(server, word).await,
        false => Ok(found),
    }
}

/// The studies of an accession number, which Orthanc does not look up.
pub(crate) async fn studies(server: &Server, accession: &str) -> Result<Vec<Found>> {
    let body = json!({"Level": "Study", "Query": {"AccessionNumber": accession}}).to_string();
    let answer = server.ask("POST", "/tools/find", Some((JSON, body.as_bytes()))).await?;
    let rows = answer.json()?;
    let ids = rows.as_array().into_iter().flatten().filter_map(Value::as_str);
    Ok(ids.map(|id| Found { id: id.to_owned(), kind: "Study".to_owned() }).collect())
}

/// The resources that have a UID or a patient ID.
pub(crate) async fn lookup(server: &Server, word: &str) -> Result<Vec<Found>> {
    let answer = server.ask("POST", "/tools/lookup", Some(("text/plain", word.as_bytes()))).await?;
    let rows = answer.json()?;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let found = rows.as_array().into_iter().flatten();
    Ok(found.map(|row| Found { id: text(row, "ID"), kind: text(row, "Type") }).collect())
}

/// A GET of JSON.
pub(crate) async fn get(server: &Server, path: &str) -> Result<Value> {
    server.ask("GET", path, None).await?.json()
}

/// The address of a modality, or of a part of it.
pub(crate) fn modality(name: &str, part: &str) -> String {
    format!("/modalities/{}{part}", encode(name))
}

/// Makes a peer known, or changes what is known of it.
pub(crate) async fn register(
    server: &Server,
    name: &str,
    peer: &Peer,
    more: &[(&str, Value)],
) -> Result<()> {
    let mut body = json!({"AET": peer.aet.as_str(), "Host": peer.host, "Port": peer.port});
    if peer.tls {
        body["UseDicomTls"] = true.into();
    }
    for (key, value) in more {
        body[*key] = value.clone();
    }
    let body = body.to_string();
    let answer = server.ask("PUT", &modality(name, ""), Some((JSON, body.as_bytes()))).await?;
    answer.success().map(drop)
}

/// Lets the PACS ask a modality whether it is there.
pub(crate) async fn echo(server: &Server, name: &str, seconds: u32) -> Result<Answer> {
    let body = json!({"Timeout": seconds}).to_string();
    server.ask("POST", &modality(name, "/echo"), Some((JSON, body.as_bytes()))).await
}

/// Begins to send resources to a modality: the identifier of the job.
pub(crate) async fn push(server: &Server, name: &str, ids: &[String]) -> Result<String> {
    let body = json!({"Resources": ids, "Synchronous": false}).to_string();
    let path = modality(name, "/store");
    let answer = server.ask("POST", &path, Some((JSON, body.as_bytes()))).await?;
    let begun = named(server, name, answer)?.json()?;
    begun["ID"].as_str().map(str::to_owned).ok_or_else(|| {
        Failure::failed(format!("{} answered {path} without a job: {begun}", server.url()))
    })
}

/// 404 of a modality is an unknown name; Orthanc says so for some routes only.
pub(crate) fn named(server: &Server, name: &str, answer: Answer) -> Result<Answer> {
    if answer.status() != 404 {
        return Ok(answer);
    }
    Err(Failure::failed(format!("{} knows no modality {name}", server.url())).hint(format!(
        "`pacslab modality list` shows those it knows; `pacslab modality register \
         {name}@HOST:PORT` adds it"
    )))
}
