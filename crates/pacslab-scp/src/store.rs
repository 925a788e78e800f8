//! C-STORE into the archive. PS3.4 B.

use std::sync::Arc;

use pacslab_archive::{Origin, Writer};
use pacslab_dicom::{FileMeta, TransferSyntax};
use pacslab_dimse::message::Request;
use pacslab_dimse::service::store::{self, StoreBegin, StoreHandler, StoreSink, Stored};
use pacslab_dimse::{Association, BoxFuture, Context, Error, StatusReply};

use crate::door::Door;
use crate::status_map;

pub(crate) async fn perform(
    door: &Door,
    association: &mut Association,
    context: Arc<Context>,
    request: Request,
) -> Result<(), Error> {
    store::scp(association, &context, &request, door).await
}

impl StoreHandler for Door {
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
        Ok(Box::new(Sink(self.archive.writer(meta, origin))))
    }
}

struct Sink(Writer);

impl StoreSink for Sink {
    fn room(&mut self, bytes: usize) -> Option<BoxFuture<'static, ()>> {
        self.0.room(bytes).map(|room| Box::pin(room) as _)
    }

    fn write(&mut self, chunk: &[u8]) -> Result<(), StatusReply> {
        self.0.write(chunk).map_err(|error| status_map::ingest(&error))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Stored> {
        Box::pin(async move {
            match self.0.finish().await {
                // a duplicate is a success: the sender has nothing to do, and an event tells
                Ok(receipt) => {
                    Stored { reply: StatusReply::SUCCESS, filed: Some(receipt.header.study()) }
                }
                Err(error) => status_map::ingest(&error).into(),
            }
        })
    }
}
