//! A few objects by C-GET, into memory: documents, which are small.

use std::sync::{Arc, Mutex, PoisonError};

use pacslab_dicom::{Dataset, TransferSyntax, parse};
use pacslab_dimse::service::get::Got;
use pacslab_dimse::service::store::{StoreBegin, StoreHandler, StoreSink, Stored};
use pacslab_dimse::{BoxFuture, Proposal, Status, StatusReply};
use pacslab_model::{Uid, uids};

use crate::client::Target;
use crate::exit::{Failure, Result};

/// Longer objects are refused.
const LONGEST: usize = 64 << 20;

/// Asks for the objects of each identifier over one association. `classes` are those that may
/// come, uncompressed.
///
/// # Errors
/// The peer refuses, or does not send over our association.
pub(crate) async fn objects(
    target: &Target,
    classes: &[Uid],
    identifiers: &[Dataset],
) -> Result<Vec<Dataset>> {
    let syntaxes = [uids::EXPLICIT_VR_LE, uids::IMPLICIT_VR_LE].map(Uid::from).to_vec();
    let contexts: Vec<(Uid, Vec<Uid>)> =
        classes.iter().map(|class| (class.clone(), syntaxes.clone())).collect();
    let taken = Taken::default();
    let proposal = Proposal::to_get(uids::STUDY_ROOT_GET, &contexts);
    let mut association = target.connect(proposal).await?;
    for identifier in identifiers {
        let mut getting = association.get(uids::STUDY_ROOT_GET, identifier, &taken).await?;
        while let Some(got) = getting.next().await? {
            if let Got::Object { reply, .. } = got
                && !reply.status.is_done()
            {
                return Err(Failure::failed(format!("an object was not taken: {reply}")));
            }
        }
        if let Some(reply) = getting.reply().filter(|reply| !reply.status.is_success()) {
            return Err(target.refused("C-GET", reply));
        }
    }
    let _ = association.release().await;
    let taken = std::mem::take(&mut *taken.0.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(taken)
}

#[derive(Default)]
struct Taken(Arc<Mutex<Vec<Dataset>>>);

impl StoreHandler for Taken {
    fn begin(&self, store: StoreBegin<'_>) -> std::result::Result<Box<dyn StoreSink>, StatusReply> {
        Ok(Box::new(One {
            taken: self.0.clone(),
            syntax: TransferSyntax::from_uid(store.transfer_syntax.as_str()),
            bytes: Vec::new(),
        }))
    }
}

struct One {
    taken: Arc<Mutex<Vec<Dataset>>>,
    syntax: TransferSyntax,
    bytes: Vec<u8>,
}

impl StoreSink for One {
    fn write(&mut self, chunk: &[u8]) -> std::result::Result<(), StatusReply> {
        if self.bytes.len() + chunk.len() > LONGEST {
            let text = format!("longer than {} MiB", LONGEST >> 20);
            return Err(StatusReply::new(Status::OUT_OF_RESOURCES, text));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Stored> {
        let reply = match parse(&self.bytes, &self.syntax) {
            Ok(object) => {
                self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(object);
                StatusReply::SUCCESS
            }
            Err(error) => StatusReply::new(Status::CANNOT_UNDERSTAND, error.to_string()),
        };
        Box::pin(std::future::ready(reply.into()))
    }
}
