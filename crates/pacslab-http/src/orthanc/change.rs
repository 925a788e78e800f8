//! Deletion, protected patients and labels.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use pacslab_archive::{Change, Changed, Origin, Scope};
use pacslab_model::{Key, Level, Query, Test, Vr};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ids, plural, resource, singular, styled};
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::intake::question;
use crate::serve::Client;

type From = Option<Extension<Client>>;

/// `DELETE /{level}/{id}`: what is empty then goes as well.
pub(crate) async fn delete(
    level: Level,
    State(door): At,
    client: From,
    Path(id): Path<String>,
) -> Result {
    let row = resource::row(&door, level, &id).await?;
    let scope = Scope::of(level, row.str(level.key()));
    change(&door, Change::Delete(scope), client).await?;
    let above = Level::ALL.into_iter().rev().filter(|above| *above < level);
    for above in above {
        let key = row.str(above.key());
        if !exists(&door, above, key).await? {
            continue;
        }
        let id = ids::of(&row, above);
        return Ok(styled(&json!({"RemainingAncestor": {
            "ID": id, "Path": format!("/{}/{id}", plural(above)), "Type": singular(above),
        }})));
    }
    Ok(styled(&json!({"RemainingAncestor": null})))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Bulk {
    resources: Vec<String>,
}

/// `POST /tools/bulk-delete`: identifiers of any level; those that are not there do no harm.
pub(crate) async fn bulk_delete(State(door): At, client: From, body: Body) -> Result {
    let body = question(&door, body).await?;
    let bulk: Bulk = serde_json::from_slice(&body).map_err(|e| {
        Error::BadRequest(format!("the body must be {{\"Resources\": [identifiers]}}: {e}"))
    })?;
    for id in &bulk.resources {
        if let Some((level, key)) = any(&door, id).await? {
            change(&door, Change::Delete(Scope::of(level, &*key)), client).await?;
        }
    }
    Ok(plain(String::new()))
}

/// What an identifier of no stated level stands for.
pub(crate) async fn any(door: &Arc<Door>, id: &str) -> Result<Option<(Level, Arc<str>)>> {
    // studies are what is named most
    for level in [Level::Study, Level::Series, Level::Instance, Level::Patient] {
        if let Some(key) = door.ids.resolve(level, id).await? {
            return Ok(Some((level, key)));
        }
    }
    Ok(None)
}

/// `GET /patients/{id}/protected`: `1` or `0`.
pub(crate) async fn is_protected(State(door): At, Path(id): Path<String>) -> Result {
    let patient = key(&door, Level::Patient, &id).await?;
    let protected = door.archive.is_protected(&patient).await?;
    Ok(plain(String::from(if protected { "1" } else { "0" })))
}

pub(crate) async fn protect(
    State(door): At,
    client: From,
    Path(id): Path<String>,
    body: Body,
) -> Result {
    let patient_id = key(&door, Level::Patient, &id).await?;
    let body = question(&door, body).await?;
    let on = match String::from_utf8_lossy(&body).trim() {
        "1" | "true" => true,
        "0" | "false" => false,
        other => {
            let other: String = other.chars().take(32).collect();
            return Err(Error::BadFile(format!(
                "the body is '{other}': 1 protects the patient, 0 ends it"
            )));
        }
    };
    change(&door, Change::Protect { patient_id, on }, client).await?;
    Ok(plain(String::new()))
}

/// `GET /{level}/{id}/labels`
pub(crate) async fn labels(level: Level, State(door): At, Path(id): Path<String>) -> Result {
    let key = key(&door, level, &id).await?;
    Ok(styled(&door.archive.labels_of(level, &key).await?.into()))
}

/// `GET /{level}/{id}/labels/{label}`: an empty answer, or 404.
pub(crate) async fn label(
    level: Level,
    State(door): At,
    Path((id, label)): Path<(String, String)>,
) -> Result {
    let key = key(&door, level, &id).await?;
    match door.archive.labels_of(level, &key).await?.contains(&label) {
        true => Ok(plain(String::new())),
        false => Err(Error::NotFound(format!("there is no label '{label}' on this resource"))),
    }
}

/// `PUT` and `DELETE /{level}/{id}/labels/{label}`
pub(crate) async fn put_label(
    level: Level,
    on: bool,
    State(door): At,
    client: From,
    Path((id, label)): Path<(String, String)>,
) -> Result {
    let resource = key(&door, level, &id).await?;
    if on && !is_label(&label) {
        return Err(Error::BadRequest(format!(
            "'{label}' is no label: 1 to 64 of the letters a to z in either case, digits, - and _"
        )));
    }
    change(&door, Change::Label { level, resource, label, on }, client).await?;
    Ok(plain(String::new()))
}

/// `GET /tools/labels`: all that are in use.
pub(crate) async fn all_labels(State(door): At) -> Result {
    Ok(styled(&door.archive.labels().await?.into()))
}

/// Orthanc's rule.
fn is_label(label: &str) -> bool {
    (1..=64).contains(&label.len())
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// `Labels` and `LabelsConstraint` of `/tools/find`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Labelled {
    labels: Vec<String>,
    labels_constraint: Option<String>,
}

impl Labelled {
    /// Which unique keys of the level satisfy it. `None`: there is nothing to satisfy.
    pub(crate) async fn test(&self, door: &Door, level: Level) -> Result<Option<Wanted>> {
        let constraint = self.labels_constraint.as_deref().unwrap_or("All");
        if !["All", "Any", "None"].contains(&constraint) {
            return Err(Error::BadRequest(format!(
                "'LabelsConstraint' is '{constraint}', but must be All, Any or None"
            )));
        }
        let mut labels = self.labels.iter();
        let Some(first) = labels.next() else { return Ok(None) };
        let set = async |label: &String| -> Result<std::collections::BTreeSet<String>> {
            Ok(door.archive.labelled(level, label).await?.into_iter().collect())
        };
        let mut keys = set(first).await?;
        for label in labels {
            let more = set(label).await?;
            match constraint {
                "All" => keys.retain(|key| more.contains(key)),
                _ => keys.extend(more),
            }
        }
        Ok(Some(match constraint {
            "None" => Wanted::NotThese(keys),
            _ => Wanted::These(keys),
        }))
    }
}

/// Resources by their unique keys.
pub(crate) enum Wanted {
    These(std::collections::BTreeSet<String>),
    NotThese(std::collections::BTreeSet<String>),
}

impl Wanted {
    pub(crate) fn accepts(&self, key: &str) -> bool {
        match self {
            Self::These(keys) => keys.contains(key),
            Self::NotThese(keys) => !keys.contains(key),
        }
    }
}

pub(crate) async fn change(door: &Arc<Door>, change: Change, client: From) -> Result<Changed> {
    let remote = client.map(|Extension(Client(from))| from.to_string()).unwrap_or_default();
    Ok(door.archive.change(change, Origin { calling_ae: String::new(), remote }).await?)
}

/// The unique key of a resource that is there.
async fn key(door: &Arc<Door>, level: Level, id: &str) -> Result<String> {
    Ok(resource::row(door, level, id).await?.str(level.key()).to_owned())
}

async fn exists(door: &Arc<Door>, level: Level, key: &str) -> Result<bool> {
    let vr = if level == Level::Patient { Vr::LO } else { Vr::UI };
    let key = Key { tag: level.key(), vr, test: Test::Value(key.to_owned()) };
    let query = Query { limit: Some(1), ..Query::new(level).key(key) };
    Ok(!door.archive.find(query).await?.is_empty())
}

pub(super) fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain")], text).into_response()
}

/// `GET /{level}/{id}/metadata`: what is known of the arrival. `?expand` gives the values.
pub(crate) async fn metadata(
    level: Level,
    State(door): At,
    Path(id): Path<String>,
    axum::extract::Query(params): axum::extract::Query<resource::ListParams>,
) -> Result {
    let row = resource::row(&door, level, &id).await?;
    let values = resource::metadata(&row);
    match params.expands(false) {
        true => Ok(styled(&values.into_iter().map(|(n, v)| (n, Value::from(v))).collect())),
        false => Ok(styled(&values.into_iter().map(|(name, _)| name).collect())),
    }
}

/// `GET /{level}/{id}/metadata/{name}`: one value as text.
pub(crate) async fn metadatum(
    level: Level,
    State(door): At,
    Path((id, name)): Path<(String, String)>,
) -> Result {
    let row = resource::row(&door, level, &id).await?;
    let values = resource::metadata(&row);
    let value = values.into_iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    value.map(plain).ok_or_else(|| {
        Error::Item(format!("there is no metadata '{name}' here; /metadata lists what there is"))
    })
}
