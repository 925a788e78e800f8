//! `POST /instances`: an object comes in, or a ZIP file of them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use bytes::Bytes;
use pacslab_archive::{IngestError, Receipt, Received};
use pacslab_dicom::zip::{MAGIC, Part, Stream};
use pacslab_model::{Key, Level, Query, Test, Vr, tags};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{ids, styled};
use crate::door::{At, Door};
use crate::error::{Error, Result};
use crate::intake::{Intake, Upload};
use crate::serve::Client;

/// Members of a ZIP file that are stored at the same time: they share a sync.
const AT_A_TIME: usize = 16;
/// Members of one ZIP file: the answer names them all.
const MOST: usize = 100_000;

pub(crate) async fn create(
    State(door): At,
    client: Option<Extension<Client>>,
    headers: HeaderMap,
    body: Body,
) -> Result {
    let mut upload = Upload::new(&door, &headers, body)?;
    let remote = client.map(|Extension(Client(from))| from.to_string()).unwrap_or_default();
    let mut begun = Vec::new();
    while begun.len() < MAGIC.len()
        && let Some(piece) = upload.next().await?
    {
        begun.extend_from_slice(&piece);
    }
    let begun = Bytes::from(begun);
    if begun.starts_with(MAGIC) {
        return all(&door, &remote, begun, upload).await;
    }
    let mut intake = Intake::new(&door, &remote);
    // what is refused is read to its end all the same: a client that still sends would see a
    // broken connection instead of the reason
    let mut failed = intake.write(&begun).await.err();
    while let Some(piece) = upload.next().await? {
        if failed.is_none() {
            failed = intake.write(&piece).await.err();
        }
    }
    let receipt = match failed {
        Some(why) => return Err(why.into()),
        None => intake.finish().await?,
    };
    Ok(styled(&answer(&door, &receipt).await?))
}

/// A ZIP file is unpacked while it arrives. What is no DICOM in it is left out of the answer, as
/// Orthanc does since 1.8.2; what came before something that cannot be read stays.
async fn all(door: &Arc<Door>, remote: &str, begun: Bytes, mut upload: Upload) -> Result {
    let mut unpacked = Unpacked::new(door, remote);
    let mut outcome = unpacked.push(&begun).await;
    while let Some(piece) = upload.next().await? {
        if outcome.is_ok() {
            outcome = unpacked.push(&piece).await;
        }
    }
    outcome?;
    let receipts = unpacked.finish().await?;
    let mut answers = Vec::new();
    for receipt in receipts {
        answers.push(answer(door, &receipt).await?);
    }
    Ok(styled(&Value::Array(answers)))
}

/// The members of a ZIP file on their way in.
struct Unpacked<'a> {
    door: &'a Arc<Door>,
    remote: &'a str,
    stream: Stream,
    members: usize,
    open: Option<(String, Intake, Option<IngestError>)>,
    storing: JoinSet<(usize, Result<Receipt, IngestError>)>,
    stored: Vec<(usize, Receipt)>,
}

impl<'a> Unpacked<'a> {
    fn new(door: &'a Arc<Door>, remote: &'a str) -> Self {
        let (storing, stored) = (JoinSet::new(), Vec::new());
        let stream = Stream::new(door.limits.upload);
        Self { door, remote, stream, members: 0, open: None, storing, stored }
    }

    async fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.push(bytes);
        while let Some(part) = self.stream.next_part()? {
            match part {
                Part::Begin(name) => {
                    self.members += 1;
                    if self.members > MOST {
                        return Err(Error::TooLarge(format!(
                            "a ZIP file has at most {MOST} members; send the rest in another one"
                        )));
                    }
                    self.open = Some((name, Intake::new(self.door, self.remote), None));
                }
                Part::Data(data) => {
                    if let Some((_, intake, failed @ None)) = &mut self.open {
                        *failed = intake.write(&data).await.err();
                    }
                    // much may come of a small piece: others are not to wait for all of it
                    tokio::task::yield_now().await;
                }
                Part::End => self.end().await?,
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<()> {
        let Some((name, mut intake, failed)) = self.open.take() else { return Ok(()) };
        if name.ends_with('/') {
            return Ok(());
        }
        if let Some(why) = failed {
            return settle(Err(why)).map(drop);
        }
        if self.storing.len() >= AT_A_TIME {
            self.next().await?;
        }
        let number = self.members;
        self.storing.spawn(async move { (number, intake.finish().await) });
        Ok(())
    }

    async fn next(&mut self) -> Result<()> {
        if let Some(ended) = self.storing.join_next().await {
            let (number, result) = ended.map_err(|error| Error::Internal(error.to_string()))?;
            if let Some(receipt) = settle(result)? {
                self.stored.push((number, receipt));
            }
        }
        Ok(())
    }

    /// In the order of the ZIP file.
    async fn finish(mut self) -> Result<Vec<Receipt>> {
        while !self.storing.is_empty() {
            self.next().await?;
        }
        self.stream.finish()?;
        self.stored.sort_by_key(|(number, _)| *number);
        Ok(self.stored.into_iter().map(|(_, receipt)| receipt).collect())
    }
}

/// What is no object, or no whole one, is left out; a disk that is full is no matter of one.
fn settle(result: Result<Receipt, IngestError>) -> Result<Option<Receipt>> {
    match result {
        Ok(receipt) => Ok(Some(receipt)),
        Err(IngestError::NotDicom(_) | IngestError::Header(_) | IngestError::Mismatch { .. }) => {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

async fn answer(door: &Door, receipt: &Receipt) -> Result<Value> {
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
    Ok(json!({
        "ID": id,
        "ParentPatient": ids::of(row, Level::Patient),
        "ParentSeries": ids::of(row, Level::Series),
        "ParentStudy": ids::of(row, Level::Study),
        "Path": format!("/instances/{id}"),
        "Status": match receipt.outcome {
            Received::New => "Success",
            Received::Duplicate { .. } => "AlreadyStored",
        },
    }))
}
