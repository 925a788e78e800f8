//! `POST /instances`: an object comes in.

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use pacslab_archive::Received;
use pacslab_model::{Key, Level, Query, Test, Vr, tags};
use serde_json::json;

use super::{ids, styled};
use crate::door::At;
use crate::error::{Error, Result};
use crate::intake::{Intake, Upload};
use crate::serve::Client;

pub(crate) async fn create(
    State(door): At,
    client: Option<Extension<Client>>,
    headers: HeaderMap,
    body: Body,
) -> Result {
    let mut upload = Upload::new(&door, &headers, body)?;
    let remote = client.map(|Extension(Client(from))| from.to_string()).unwrap_or_default();
    let mut intake = Intake::new(&door, &remote);
    // what is refused is read to its end all the same: a client that still sends would see a
    // broken connection instead of the reason
    let mut failed = None;
    while let Some(piece) = upload.next().await? {
        if failed.is_none() {
            failed = intake.write(&piece).await.err();
        }
    }
    let receipt = match failed {
        Some(why) => return Err(why.into()),
        None => intake.finish().await?,
    };
    let query = Query::new(Level::Instance).key(Key {
        tag: tags::SOP_INSTANCE_UID,
        vr: Vr::UI,
        test: Test::Value(receipt.header.sop_instance.to_string()),
    });
    // what the index says: an older object may have filed the study under another patient
    let rows = door.archive.find(query).await?;
    let row = rows.first().ok_or_else(|| {
        Error::Internal("the object was stored, but the index does not show it".to_owned())
    })?;
    let id = ids::of(row, Level::Instance);
    Ok(styled(&json!({
        "ID": id,
        "ParentPatient": ids::of(row, Level::Patient),
        "ParentSeries": ids::of(row, Level::Series),
        "ParentStudy": ids::of(row, Level::Study),
        "Path": format!("/instances/{id}"),
        "Status": match receipt.outcome {
            Received::New => "Success",
            Received::Duplicate { .. } => "AlreadyStored",
        },
    })))
}
