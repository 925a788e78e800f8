//! C-STORE, Storage. PS3.4 B, PS3.7 9.1.1.
//!
//! The data set is never looked at here: it goes, as it comes, from the PDU into a [`StoreSink`].

use std::sync::Arc;
use std::time::Instant;

use pacslab_model::Uid;

use crate::association::{Association, AssociationInfo, Data, Heard};
use crate::context::Context;
use crate::error::Error;
use crate::message::{MoveOriginator, Operation, Priority, Request};
use crate::server::BoxFuture;
use crate::status::{Status, StatusReply};

/// Takes objects: implemented by the door.
pub trait StoreHandler: Send + Sync {
    /// An object is about to come. A refusal is answered after its data set has been skipped.
    fn begin(&self, store: StoreBegin<'_>) -> Result<Box<dyn StoreSink>, StatusReply>;
}

/// What is known before the first byte of the data set.
#[derive(Clone, Copy, Debug)]
pub struct StoreBegin<'a> {
    pub association: &'a Arc<AssociationInfo>,
    pub abstract_syntax: &'a Uid,
    pub transfer_syntax: &'a Uid,
    pub sop_class: &'a Uid,
    pub sop_instance: &'a Uid,
    pub message_id: u16,
    pub originator: Option<&'a MoveOriginator>,
}

/// Where the data set of one object goes. Dropping it before the end throws the object away.
pub trait StoreSink: Send {
    /// The next bytes. After an error the rest is skipped and the error answered.
    fn write(&mut self, chunk: &[u8]) -> Result<(), StatusReply>;

    /// All bytes have come; the answer is sent when this is ready.
    fn finish(self: Box<Self>) -> BoxFuture<'static, StatusReply>;
}

/// Receives one object.
pub async fn scp(
    association: &mut Association,
    context: &Context,
    request: &Request,
    handler: &dyn StoreHandler,
) -> Result<(), Error> {
    let begun = Instant::now();
    let (reply, bytes) = take(association, context, request, handler).await?;
    association.tell_stored(bytes, begun, &reply);
    Ok(())
}

/// Receives one object and answers it; gives the answer and the length of the data set.
pub(super) async fn take(
    association: &mut Association,
    context: &Context,
    request: &Request,
    handler: &dyn StoreHandler,
) -> Result<(StatusReply, u64), Error> {
    let mut bytes = 0;
    let reply = match receive(association, context, request, handler, &mut bytes).await? {
        Ok(sink) => sink.finish().await,
        Err(reply) => {
            association.skip_data().await?;
            reply
        }
    };
    association.respond(context, request.response(reply.clone())).await?;
    Ok((reply, bytes))
}

type Received = Result<Box<dyn StoreSink>, StatusReply>;

async fn receive(
    association: &mut Association,
    context: &Context,
    request: &Request,
    handler: &dyn StoreHandler,
    bytes: &mut u64,
) -> Result<Received, Error> {
    let Operation::Store { sop_class, sop_instance, originator, .. } = &request.operation else {
        return Ok(Err(Status::UNRECOGNIZED_OPERATION.into()));
    };
    if !request.has_data {
        let comment = "C-STORE request without a data set";
        return Ok(Err(StatusReply::new(Status::CANNOT_UNDERSTAND, comment)));
    }
    let info = association.info().clone();
    let begin = StoreBegin {
        association: &info,
        abstract_syntax: &context.abstract_syntax,
        transfer_syntax: &context.transfer_syntax,
        sop_class,
        sop_instance,
        message_id: request.message_id,
        originator: originator.as_ref(),
    };
    let mut sink = match handler.begin(begin) {
        Ok(sink) => sink,
        Err(reply) => return Ok(Err(reply)),
    };
    while let Some(chunk) = association.data_chunk().await? {
        *bytes += chunk.len() as u64;
        if let Err(reply) = sink.write(&chunk) {
            return Ok(Err(reply));
        }
    }
    Ok(Ok(sink))
}

/// One object to send. Its transfer syntax has to be that of an accepted context.
#[derive(Debug)]
pub struct StoreRequest<'a> {
    pub sop_class: &'a Uid,
    pub sop_instance: &'a Uid,
    pub transfer_syntax: &'a Uid,
    /// The data set without file meta information.
    pub data: Data<'a>,
    pub priority: Priority,
    pub originator: Option<MoveOriginator>,
}

impl<'a> StoreRequest<'a> {
    pub fn new(
        sop_class: &'a Uid,
        sop_instance: &'a Uid,
        transfer_syntax: &'a Uid,
        data: &'a [u8],
    ) -> Self {
        Self {
            sop_class,
            sop_instance,
            transfer_syntax,
            data: Data::Bytes(data),
            priority: Priority::Medium,
            originator: None,
        }
    }
}

impl Association {
    /// Sends one object and waits for its answer.
    pub async fn store(&mut self, object: StoreRequest<'_>) -> Result<StatusReply, Error> {
        let begun = Instant::now();
        let (message_id, bytes) = self.send_store(object).await?;
        let response = self.response(message_id, ANSWER).await?;
        self.skip_data().await?;
        self.tell_stored(bytes, begun, &response.reply);
        Ok(response.reply)
    }

    /// Sends one object as a sub-operation of the C-GET with the id `get`; tells as well whether
    /// that was cancelled before the answer came.
    pub(super) async fn store_for(
        &mut self,
        get: u16,
        object: StoreRequest<'_>,
    ) -> Result<(StatusReply, bool), Error> {
        let (message_id, _) = self.send_store(object).await?;
        let mut cancelled = false;
        let response = loop {
            match self.heard(message_id, ANSWER).await? {
                Heard::Response(response) => break response,
                // of something else: it came too late
                Heard::Cancel(id) => cancelled |= id == get,
                other => return Err(self.unexpected(other, ANSWER).await),
            }
        };
        self.skip_data().await?;
        Ok((response.reply, cancelled))
    }

    /// The id of the request and the length of the data set.
    async fn send_store(&mut self, object: StoreRequest<'_>) -> Result<(u16, u64), Error> {
        let context =
            self.context_for(object.sop_class.as_str(), Some(object.transfer_syntax.as_str()))?;
        let message_id = self.next_message_id();
        let operation = Operation::Store {
            sop_class: object.sop_class.clone(),
            sop_instance: object.sop_instance.clone(),
            priority: object.priority,
            originator: object.originator,
        };
        let request = Request { message_id, has_data: true, operation };
        let bytes = self.send_request(&context, request, object.data).await?;
        Ok((message_id, bytes))
    }
}

const ANSWER: &str = "waiting for the response to C-STORE";
