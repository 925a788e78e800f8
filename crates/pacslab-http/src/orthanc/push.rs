//! `POST /modalities/{id}/store`: resources of the archive go to a peer.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use pacslab_archive::{Delivered, Scope, Stored};
use pacslab_model::{Level, Uid};
use serde::Deserialize;
use serde_json::{Value, json};

use super::modalities::{Once, from_json, peer};
use super::{change, ids, jobs, singular};
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::intake::question;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Order {
    resources: Option<Resources>,
    synchronous: Option<bool>,
    asynchronous: Option<bool>,
    priority: i64,
    permissive: bool,
    storage_commitment: bool,
    move_originator_aet: Option<String>,
    #[serde(rename = "MoveOriginatorID")]
    move_originator_id: u16,
    #[serde(flatten)]
    once: Once,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Resources {
    One(String),
    Several(Vec<String>),
}

impl From<Resources> for Vec<String> {
    fn from(resources: Resources) -> Self {
        match resources {
            Resources::One(id) => vec![id],
            Resources::Several(ids) => ids,
        }
    }
}

pub(crate) async fn store(State(door): At, Path(name): Path<String>, body: Body) -> Result {
    let peer = peer(&door, &name)?;
    let mut order = read(&question(&door, body).await?)?;
    if order.storage_commitment {
        return Err(Error::BadRequest(
            "StorageCommitment is not asked for here; leave it out".to_owned(),
        ));
    }
    let peer = order.once.apply(peer)?;
    let ids: Vec<String> = order.resources.take().map(Vec::from).unwrap_or_default();
    let (resources, instances) = gather(&door, &ids).await?;
    let total = instances.len();
    let mut content = json!({
        "Description": "REST API",
        "FailedInstancesCount": 0,
        "InstancesCount": total,
        "LocalAet": door.caller.aet(&peer),
        "RemoteAet": peer.aet,
    });
    if !ids.is_empty() {
        content["ParentResources"] = ids.into();
        content["Resources"] = resources.into();
    }
    let originator = order.move_originator_aet.map(|aet| (aet, order.move_originator_id));
    let mut delivery = door.caller.delivery(&peer, instances, originator)?;
    let plan = jobs::Plan {
        kind: "DicomModalityStore",
        priority: order.priority,
        content,
        asynchronous: order.asynchronous.unwrap_or(order.synchronous == Some(false)),
    };
    let permissive = order.permissive;
    jobs::run(&door, plan, |job| async move {
        let (mut done, mut failed) = (0, 0);
        let mut ended = Ok(());
        while let Some(delivered) = delivery.next().await {
            if let Delivered::Failed { sop_instance, why } = delivered {
                failed += 1;
                job.show("FailedInstancesCount", failed.into());
                if !permissive {
                    ended = Err(Error::Network(format!("{sop_instance} was not stored: {why}")));
                    break;
                }
            }
            done += 1;
            job.progress(done, total);
            ended = job.check();
            if ended.is_err() {
                break;
            }
        }
        delivery.finish().await;
        ended
    })
    .await
}

/// An identifier as text or JSON, a list of them, or an object with everything.
fn read(body: &[u8]) -> Result<Order> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim().trim_matches('"');
    if ids::is_id(text) {
        let resources = Some(Resources::One(text.to_owned()));
        return Ok(Order { resources, ..Order::default() });
    }
    let value: Value = from_json(body).map_err(|_| {
        Error::BadFile(format!(
            "'{}' is no identifier of a resource, and no JSON; POST /tools/lookup finds the \
             identifier of an accession number or a UID",
            text.chars().take(64).collect::<String>()
        ))
    })?;
    let of = |what| Err(Error::BadFile(what));
    match value {
        Value::Object(_) => {
            let order: Order = from_json(body)?;
            match order.resources {
                Some(_) => Ok(order),
                None => of("Resources is missing: the identifiers of what is to be sent".into()),
            }
        }
        Value::String(id) => Ok(Order { resources: Some(Resources::One(id)), ..Order::default() }),
        Value::Array(_) => {
            let resources = Resources::Several(from_json(body)?);
            Ok(Order { resources: Some(resources), ..Order::default() })
        }
        _ => of("the body has to be an identifier, a list of them, or an object".into()),
    }
}

/// The resources by kind, and their instances, each once.
async fn gather(door: &Arc<Door>, ids: &[String]) -> Result<(Vec<Value>, Vec<Stored>)> {
    let mut seen: HashSet<Uid> = HashSet::new();
    let (mut resources, mut instances) = (Vec::new(), Vec::new());
    for id in ids {
        if !ids::is_id(id) {
            return Err(Error::BadFile(format!(
                "{id:?} is no identifier of a resource; POST /tools/lookup finds it for an \
                 accession number or a UID"
            )));
        }
        let (level, key) = change::any(door, id)
            .await?
            .ok_or_else(|| Error::NotFound(format!("there is no resource {id}")))?;
        resources.push(json!({"ID": id, "Type": singular(level)}));
        for stored in door.archive.instances(Scope::of(level, &*key)).await? {
            if seen.insert(stored.sop_instance.clone()) {
                instances.push(stored);
            }
        }
    }
    Ok((resources, instances))
}

/// The instances of one resource of this level.
pub(crate) async fn gather_at(door: &Arc<Door>, level: Level, id: &str) -> Result<Vec<Stored>> {
    let key = door.ids.resolve(level, id).await?.ok_or(Error::Unknown)?;
    let instances = door.archive.instances(Scope::of(level, &*key)).await?;
    if instances.is_empty() { Err(Error::Unknown) } else { Ok(instances) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "a147d94a-9c5d7a91-e35df32c-1fa39119-9076f177";

    #[test]
    fn all_forms_of_a_body_are_read() {
        for body in [
            ID.to_owned(),
            format!(" {ID}\n"),
            format!("\"{ID}\""),
            format!("[\"{ID}\"]"),
            format!("{{\"Resources\": \"{ID}\"}}"),
            format!("{{\"Resources\": [\"{ID}\"], \"Synchronous\": false, \"Unheard\": 1}}"),
        ] {
            let order = read(body.as_bytes()).unwrap();
            let ids: Vec<String> = order.resources.unwrap().into();
            assert_eq!(ids, [ID], "{body}");
        }
        for body in ["", "nope", "7", "{}", "[1]"] {
            assert!(matches!(read(body.as_bytes()), Err(Error::BadFile(_))), "{body}");
        }
    }
}
