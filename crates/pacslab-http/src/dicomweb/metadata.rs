//! Metadata: data sets in JSON without their bulk data. PS3.18 10.4.1.1.2, F.2.2.

use std::sync::Arc;

use axum::extract::{Path, Query as Params, State};
use axum::http::{HeaderMap, header};
use axum::response::IntoResponse;
use pacslab_dicom::{Dataset, Element, Value as Held, json};
use pacslab_model::{Vr, tags};
use pacslab_store::Stored;
use serde_json::{Map, Value, json};

use super::Place;
use super::accept::{AcceptParam, accepted, takes_json};
use super::retrieve::instances;
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::object;
use crate::stream::{Gone, Pipe, pipe};

/// Longer binary values are left out and named by an address.
const INLINE: usize = 256;

pub(super) async fn metadata(
    State(door): At,
    Path(place): Path<Place>,
    Params(param): Params<AcceptParam>,
    headers: HeaderMap,
) -> Result {
    if !takes_json(&accepted(&param, &headers)) {
        return Err(Error::NotAcceptable("metadata come as application/dicom+json only".into()));
    }
    let instances = instances(&door, &place).await?;
    let (pipe, body) = pipe(door.limits.pause);
    tokio::spawn(async move {
        match array(&door, &pipe, &instances).await {
            Ok(Ok(()) | Err(Gone)) => {}
            Err(why) => pipe.fail(why).await,
        }
    });
    Ok(([(header::CONTENT_TYPE, "application/dicom+json")], body).into_response())
}

async fn array(door: &Arc<Door>, pipe: &Pipe, instances: &[Stored]) -> Result<Result<(), Gone>> {
    let mut before = "[";
    for stored in instances {
        let text = one(door, stored).await?;
        if pipe.send(format!("{before}{text}")).await.is_err() {
            return Ok(Err(Gone));
        }
        before = ",\n";
    }
    Ok(pipe.send("]").await)
}

async fn one(door: &Arc<Door>, stored: &Stored) -> Result<String> {
    let object = door.archive.object(stored).await?;
    let bulk = format!(
        "{}/studies/{}/series/{}/instances/{}/bulkdata",
        door.dicomweb_url(),
        stored.study_uid,
        stored.series_uid,
        stored.sop_instance
    );
    object::with(object, move |object| {
        let set = object::head(&object)?;
        let mut members = members(&set, &bulk);
        if set.contains(tags::ROWS) && set.contains(tags::BITS_ALLOCATED) {
            let narrow = set.u16(tags::BITS_ALLOCATED).is_some_and(|bits| bits <= 8);
            let encapsulated = object.meta.transfer_syntax.is_encapsulated();
            let vr = if encapsulated || narrow { "OB" } else { "OW" };
            let uri = format!("{bulk}/7FE00010");
            members.insert("7FE00010".to_owned(), json!({"vr": vr, "BulkDataURI": uri}));
        }
        Ok(Value::Object(members).to_string())
    })
    .await
}

fn members(set: &Dataset, path: &str) -> Map<String, Value> {
    let mut members = Map::new();
    for element in set.iter().filter(|element| !element.tag.is_group_length()) {
        let tag = format!("{:08X}", element.tag.0);
        let value = match &element.value {
            Held::Items(items) if !items.is_empty() => {
                let items = items.iter().enumerate().map(|(index, item)| {
                    Value::Object(self::members(item, &format!("{path}/{tag}/{index}")))
                });
                json!({"vr": "SQ", "Value": items.collect::<Value>()})
            }
            Held::Bytes(bytes) if is_bulk(element) && bytes.len() > INLINE => {
                json!({"vr": element.vr.as_str(), "BulkDataURI": format!("{path}/{tag}")})
            }
            _ => json::to_json(&Dataset::from_iter([element.clone()]))[&tag].take(),
        };
        members.insert(tag, value);
    }
    members
}

fn is_bulk(element: &Element) -> bool {
    use Vr::{OB, OD, OF, OL, OV, OW, UN};
    matches!(element.vr, OB | OD | OF | OL | OV | OW | UN)
}

#[cfg(test)]
mod tests {
    use pacslab_model::Tag;

    use super::*;

    #[test]
    fn bulk_data_get_addresses() {
        let waveform = Tag::new(0x5400, 0x1010);
        let mut item = Dataset::new();
        item.put_bytes(waveform, Vr::OW, vec![0; 1000]);
        let mut set = Dataset::new()
            .with_str(tags::PATIENT_ID, Vr::LO, "P1")
            .with_items(Tag::new(0x5400, 0x0100), vec![Dataset::new(), item]);
        set.put_bytes(Tag::new(0x0009, 0x1001), Vr::OB, vec![1, 2]);
        let json = Value::Object(members(&set, "/b"));
        assert_eq!(json["00100020"], json!({"vr": "LO", "Value": ["P1"]}));
        assert_eq!(json["00091001"]["InlineBinary"], "AQI=");
        assert_eq!(
            json["54000100"]["Value"][1]["54001010"],
            json!({"vr": "OW", "BulkDataURI": "/b/54000100/1/54001010"})
        );
    }
}
