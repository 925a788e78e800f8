//! C-STORE, Storage. PS3.4 B, PS3.7 9.1.1.
//!
//! The data set is never looked at here: it goes, as it comes, from the PDU into a [`StoreSink`].

use std::sync::Arc;
use std::time::Instant;

use pacslab_model::{Identifiers, Uid};

use crate::association::{Association, AssociationInfo, Data, Deferred, Heard, Outstanding};
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
    /// What to wait for before the next so many bytes are written, if there is something; it has to
    /// end by itself. Meanwhile nothing is read.
    fn room(&mut self, _bytes: usize) -> Option<BoxFuture<'static, ()>> {
        None
    }

    /// The next bytes. After an error the rest is skipped and the error answered.
    fn write(&mut self, chunk: &[u8]) -> Result<(), StatusReply>;

    /// All bytes have come; the answer is sent when this is ready. With an asynchronous window
    /// the next object arrives meanwhile.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Stored>;
}

/// What came of an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored {
    pub reply: StatusReply,
    /// The study that it was filed under, by who looked into it.
    pub filed: Option<Identifiers>,
}

impl From<StatusReply> for Stored {
    fn from(reply: StatusReply) -> Self {
        Self { reply, filed: None }
    }
}

/// Receives one object. It may be answered later, where the requestor negotiated that several
/// operations are under way at a time.
pub async fn scp(
    association: &mut Association,
    context: &Arc<Context>,
    request: &Request,
    handler: &dyn StoreHandler,
) -> Result<(), Error> {
    let begun = Instant::now();
    let window = association.info().window.theirs;
    if window == 1 {
        let (stored, bytes) = take(association, context, request, handler).await?;
        association.tell_stored(bytes, begun, &stored.reply);
        if let Some(ids) = stored.filed {
            association.stored_in(ids);
        }
        return Ok(());
    }
    let mut bytes = 0;
    let storing: BoxFuture<'static, Stored> =
        match receive(association, context, request, handler, &mut bytes).await? {
            Ok(sink) => sink.finish(),
            Err(reply) => {
                association.skip_data().await?;
                Box::pin(std::future::ready(Stored::from(reply)))
            }
        };
    let (context, request) = (context.clone(), request.clone());
    association.defer(Deferred { context, request, bytes, begun, storing }).await?;
    // beyond the window nothing is read
    association.settle(window - 1).await
}

/// Receives one object and answers it; gives the answer and the length of the data set.
pub(super) async fn take(
    association: &mut Association,
    context: &Context,
    request: &Request,
    handler: &dyn StoreHandler,
) -> Result<(Stored, u64), Error> {
    let mut bytes = 0;
    let stored = match receive(association, context, request, handler, &mut bytes).await? {
        Ok(sink) => sink.finish().await,
        Err(reply) => {
            association.skip_data().await?;
            reply.into()
        }
    };
    association.respond(context, request.response(stored.reply.clone())).await?;
    Ok((stored, bytes))
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
        if let Some(room) = sink.room(chunk.len()) {
            association.meanwhile(room).await?;
        }
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
        Self::of(sop_class, sop_instance, transfer_syntax, Data::Bytes(data))
    }

    pub fn of(
        sop_class: &'a Uid,
        sop_instance: &'a Uid,
        transfer_syntax: &'a Uid,
        data: Data<'a>,
    ) -> Self {
        Self {
            sop_class,
            sop_instance,
            transfer_syntax,
            data,
            priority: Priority::Medium,
            originator: None,
        }
    }
}

impl Association {
    /// Sends one object and waits for its answer.
    pub async fn store(&mut self, object: StoreRequest<'_>) -> Result<StatusReply, Error> {
        let id = self.begin_store(object).await?;
        let (_, reply) = self.next_stored().await?;
        debug_assert!(self.outstanding.iter().all(|one| one.message_id != id));
        Ok(reply)
    }

    /// Sends one object without waiting for its answer, and gives the id of the request. No more
    /// than [`Self::window`] may be under way.
    pub async fn begin_store(&mut self, object: StoreRequest<'_>) -> Result<u16, Error> {
        let begun = Instant::now();
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
        self.outstanding.push(Outstanding { message_id, bytes, begun });
        Ok(message_id)
    }

    /// The next answer to an object that was sent, in whatever order they come.
    pub async fn next_stored(&mut self) -> Result<(u16, StatusReply), Error> {
        match self.hear_stored().await? {
            Ok((sent, reply)) => {
                self.tell_stored(sent.bytes, sent.begun, &reply);
                Ok((sent.message_id, reply))
            }
            Err(heard) => Err(self.unexpected(heard, ANSWER).await),
        }
    }

    /// The next answer to a sub-operation of the C-GET with the id `get`; `None` when that is
    /// cancelled before.
    pub(super) async fn next_stored_for(
        &mut self,
        get: u16,
    ) -> Result<Option<(u16, StatusReply)>, Error> {
        loop {
            match self.hear_stored().await? {
                Ok((sent, reply)) => return Ok(Some((sent.message_id, reply))),
                Err(Heard::Cancel(id)) if id == get => return Ok(None),
                // of something else: it came too late
                Err(Heard::Cancel(_)) => {}
                Err(other) => return Err(self.unexpected(other, ANSWER).await),
            }
        }
    }

    /// Waits no longer for the answer to an object that was sent.
    pub(super) fn let_go(&mut self, message_id: u16) {
        self.outstanding.retain(|one| one.message_id != message_id);
        self.abandon(message_id);
    }

    async fn hear_stored(&mut self) -> Result<Result<(Outstanding, StatusReply), Heard>, Error> {
        let due: Vec<u16> = self.outstanding.iter().map(|one| one.message_id).collect();
        let response = match self.heard(&due, ANSWER).await? {
            Heard::Response(response) => response,
            other => return Ok(Err(other)),
        };
        self.skip_data().await?;
        // `heard` gives only what is due
        let found = self.outstanding.iter().position(|one| one.message_id == response.message_id);
        let sent = found.map(|at| self.outstanding.remove(at)).ok_or(Error::Over)?;
        Ok(Ok((sent, response.reply)))
    }
}

const ANSWER: &str = "waiting for the response to C-STORE";
