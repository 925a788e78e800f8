//! C-STORE into the archive. PS3.4 B.

use std::sync::{Arc, Mutex, PoisonError};

use pacslab_archive::{Origin, Writer};
use pacslab_dicom::{FileMeta, TransferSyntax};
use pacslab_dimse::message::Request;
use pacslab_dimse::service::store::{self, StoreBegin, StoreHandler, StoreSink};
use pacslab_dimse::{Association, BoxFuture, Context, Error, StatusReply};
use pacslab_model::Identifiers;

use crate::door::Door;
use crate::status_map;

pub(crate) async fn perform(
    door: &Door,
    association: &mut Association,
    context: Arc<Context>,
    request: Request,
) -> Result<(), Error> {
    let storing = Storing { door, filed: Arc::default() };
    store::scp(association, &context, &request, &storing).await?;
    let filed = storing.filed.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(ids) = filed {
        association.stored_in(ids);
    }
    Ok(())
}

/// One C-STORE, and under which study it was filed.
struct Storing<'a> {
    door: &'a Door,
    filed: Filed,
}

type Filed = Arc<Mutex<Option<Identifiers>>>;

impl StoreHandler for Storing<'_> {
    fn begin(&self, store: StoreBegin<'_>) -> Result<Box<dyn StoreSink>, StatusReply> {
        let meta = FileMeta {
            sop_class: store.sop_class.clone(),
            sop_instance: store.sop_instance.clone(),
            transfer_syntax: TransferSyntax::from_uid(store.transfer_syntax.as_str()),
            source_aet: Some(store.association.calling.clone()).filter(|aet| !aet.is_empty()),
        };
        let origin = Origin {
            calling_ae: store.association.calling.clone(),
            remote: store.association.peer.to_string(),
        };
        let writer = self.door.archive.writer(meta, origin);
        Ok(Box::new(Sink { writer, filed: self.filed.clone() }))
    }
}

struct Sink {
    writer: Writer,
    filed: Filed,
}

impl StoreSink for Sink {
    fn write(&mut self, chunk: &[u8]) -> Result<(), StatusReply> {
        self.writer.write(chunk).map_err(|error| status_map::ingest(&error))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, StatusReply> {
        Box::pin(async move {
            match self.writer.finish().await {
                // a duplicate is a success: the sender has nothing to do, and an event tells
                Ok(receipt) => {
                    let mut filed = self.filed.lock().unwrap_or_else(PoisonError::into_inner);
                    *filed = Some(receipt.header.study());
                    StatusReply::SUCCESS
                }
                Err(error) => status_map::ingest(&error),
            }
        })
    }
}
