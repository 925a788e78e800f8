//! C-GET: retrieve over the association of the request. PS3.4 C.4.3, PS3.7 9.1.3.
//!
//! The objects come from the door; the loop here sends each as a C-STORE to the requestor, where
//! that is SCP of its SOP class (role selection, PS3.7 D.3.3.4), counts, and hears the C-CANCEL.

use std::sync::Arc;
use std::time::Instant;

use pacslab_dicom::Dataset;
use pacslab_model::Uid;
use tokio::time::timeout;

use super::retrieve::{Progress, Retrieve, arrived, failed_uids};
use super::store::{self, StoreHandler, StoreRequest};
use super::{Exchange, read_identifier, ready};
use crate::association::{Association, AssociationInfo, Heard};
use crate::context::{Context, Contexts};
use crate::error::{Error, named, seconds};
use crate::events::Told;
use crate::message::{Field, Operation, Priority, Request, SubOperations};
use crate::server::BoxFuture;
use crate::source::Payload;
use crate::status::{Status, StatusReply};

pub use super::retrieve::{Failed, SubOperation};

/// Begins retrieves: implemented by the door.
pub trait GetHandler: Send + Sync {
    /// An error is the final response.
    fn begin(&self, request: GetRequest) -> BoxFuture<'_, Result<Box<dyn GetTask>, StatusReply>>;
}

#[derive(Clone, Debug)]
pub struct GetRequest {
    pub association: Arc<AssociationInfo>,
    pub context: Arc<Context>,
    /// What the requestor takes, and in which transfer syntaxes.
    pub contexts: Arc<Contexts>,
    pub sop_class: Uid,
    pub priority: Priority,
    pub identifier: Dataset,
}

/// The objects of a retrieve, one after the other. Dropped when the peer cancels.
pub trait GetTask: Send {
    /// How many there are.
    fn total(&self) -> usize;

    /// The next object, in the transfer syntax of a context of the association; `None` when
    /// there are no more. What cannot be sent counts as failed, and the others go on.
    fn next(&mut self) -> BoxFuture<'_, Option<Result<Object, Failed>>>;

    /// The last one has been sent; while the requestor takes it in, there is time to get the next
    /// ready. Does not wait.
    fn prepare(&mut self) {}
}

/// An object as it is sent.
#[derive(Debug)]
pub struct Object {
    pub sop_class: Uid,
    pub sop_instance: Uid,
    pub transfer_syntax: Uid,
    /// The data set without file meta information.
    pub data: Payload,
}

/// Performs one retrieve.
pub async fn scp(
    association: &mut Association,
    context: &Arc<Context>,
    request: &Request,
    handler: &dyn GetHandler,
) -> Result<(), Error> {
    let mut retrieve = Retrieve::begin();
    let Operation::Get { sop_class, priority } = &request.operation else {
        return crate::server::refuse(association, context, request).await;
    };
    let reply = match read_identifier(association, context, request).await? {
        Err(reply) => reply,
        Ok((identifier, bytes)) => {
            retrieve.asked(&identifier, &bytes);
            let begin = GetRequest {
                association: association.info().clone(),
                context: context.clone(),
                contexts: association.agreed().clone(),
                sop_class: sop_class.clone(),
                priority: *priority,
                identifier,
            };
            perform(association, context, request, handler, begin, &mut retrieve.progress).await?
        }
    };
    let whom = ("to the requestor".to_owned(), Vec::new());
    retrieve.conclude(association, context, request, reply, whom).await
}

/// Runs the sub-operations, sends the pending responses, gives the final status.
async fn perform(
    association: &mut Association,
    context: &Arc<Context>,
    request: &Request,
    handler: &dyn GetHandler,
    begin: GetRequest,
    progress: &mut Progress,
) -> Result<StatusReply, Error> {
    let id = request.message_id;
    let mut beginning = handler.begin(begin);
    let mut task = match association.unless_cancelled(id, &mut beginning).await? {
        None => return Ok(Status::CANCEL.into()),
        Some(Err(reply)) => return Ok(reply),
        Some(Ok(task)) => task,
    };
    progress.total = task.total();
    let mut sending = Sending { id, sent: Vec::new(), over: false };
    loop {
        let mut cancelled = match sending.fill(association, task.as_mut(), progress).await? {
            Filled::Cancelled => return Ok(Status::CANCEL.into()),
            Filled::Ended if sending.sent.is_empty() => return Ok(progress.reply()),
            Filled::Failed | Filled::Ended if sending.sent.is_empty() => false,
            _ => sending.answer(association, progress).await?,
        };
        cancelled = cancelled || association.cancelled(id).await?;
        if cancelled {
            sending.wind_up(association, progress).await?;
            return Ok(Status::CANCEL.into());
        }
        progress.queue_pending(association, context, request);
    }
}

/// The sub-operations under way: one, or as many as the requestor's window takes.
struct Sending {
    /// The message id of the C-GET.
    id: u16,
    sent: Vec<(u16, Uid)>,
    over: bool,
}

enum Filled {
    /// The window is full, or what comes next is not read yet.
    Enough,
    /// One that cannot be sent was counted.
    Failed,
    Ended,
    Cancelled,
}

impl Sending {
    /// Sends what there is, up to the window.
    async fn fill(
        &mut self,
        association: &mut Association,
        task: &mut dyn GetTask,
        progress: &mut Progress,
    ) -> Result<Filled, Error> {
        while self.sent.len() < association.window() && !self.over {
            let mut getting = task.next();
            let next = match ready(&mut getting).await {
                // the pending response leaves with the object behind it, in one write
                Some(next) => next,
                None if !self.sent.is_empty() => return Ok(Filled::Enough),
                None => {
                    association.flush().await?;
                    match association.unless_cancelled(self.id, &mut getting).await? {
                        Some(next) => next,
                        None => return Ok(Filled::Cancelled),
                    }
                }
            };
            drop(getting);
            let failed = match next {
                None => {
                    self.over = true;
                    break;
                }
                Some(Err(failed)) => failed,
                Some(Ok(mut object)) => match self.send(association, &mut object).await {
                    Ok(()) => {
                        task.prepare();
                        continue;
                    }
                    // nothing was sent
                    Err(error @ Error::ContextRefused { .. }) => {
                        Failed { sop_instance: object.sop_instance, why: error.to_string() }
                    }
                    Err(error) => return Err(error),
                },
            };
            progress.count(&SubOperation::Failed(failed));
            return Ok(if self.sent.is_empty() { Filled::Failed } else { Filled::Enough });
        }
        Ok(if self.over { Filled::Ended } else { Filled::Enough })
    }

    async fn send(
        &mut self,
        association: &mut Association,
        object: &mut Object,
    ) -> Result<(), Error> {
        let Object { sop_class, sop_instance, transfer_syntax, data } = object;
        let store = StoreRequest::of(sop_class, sop_instance, transfer_syntax, data.data());
        // a requestor that takes nothing can still cancel
        association.heed_cancel(Some(self.id));
        let begun = association.begin_store(store).await;
        association.heed_cancel(None);
        let message_id = begun?;
        self.sent.push((message_id, sop_instance.clone()));
        Ok(())
    }

    /// After a C-CANCEL: what is on its way is brought to its end, if the requestor still answers.
    async fn wind_up(
        &mut self,
        association: &mut Association,
        progress: &mut Progress,
    ) -> Result<(), Error> {
        let grace = association.timeouts().artim;
        let answers = async {
            while !self.sent.is_empty() {
                self.answer(association, progress).await?;
            }
            Ok(())
        };
        match timeout(grace, answers).await {
            Ok(answered) => answered,
            // the final response still finds its place; what comes late is skipped
            Err(_) if association.is_between_messages() => {
                for (message_id, _) in self.sent.drain(..) {
                    association.let_go(message_id);
                }
                Ok(())
            }
            // the server aborts
            Err(_) => Err(Error::Denied(format!(
                "the C-GET was cancelled, and a message that the requestor had begun did not end \
                 for {}",
                seconds(&grace)
            ))),
        }
    }

    /// Takes the next answer; tells whether the C-GET is cancelled instead.
    async fn answer(
        &mut self,
        association: &mut Association,
        progress: &mut Progress,
    ) -> Result<bool, Error> {
        let Some((message_id, reply)) = association.next_stored_for(self.id).await? else {
            return Ok(true);
        };
        let found = self.sent.iter().position(|(id, _)| *id == message_id);
        let (_, sop_instance) = self.sent.swap_remove(found.ok_or(Error::Over)?);
        progress.count(&match reply.status {
            status if status.is_success() => SubOperation::Completed,
            status if status.is_done() => SubOperation::Warning(sop_instance),
            _ => {
                let why = format!("it answered {reply}");
                SubOperation::Failed(Failed { sop_instance, why })
            }
        });
        Ok(false)
    }
}

/// A retrieve of ours under way. Let go of before its end, its association is of no more use.
pub struct Getting<'a> {
    exchange: Exchange<'a>,
    handler: &'a dyn StoreHandler,
    begun: Instant,
    bytes: u64,
    counts: SubOperations,
    reply: Option<StatusReply>,
    failed: Vec<Uid>,
}

/// What happens in a retrieve of ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Got {
    /// An object came and was answered so.
    Object { sop_class: Uid, sop_instance: Uid, bytes: u64, reply: StatusReply },
    /// The peer tells how far it is.
    Progress(SubOperations),
}

impl Association {
    /// Asks the peer for what the identifier names; it sends the objects over this association,
    /// and `handler` takes them. Their SOP classes have to be proposed with the role of SCP
    /// ([`crate::Proposal::to_get`]).
    pub async fn get<'a>(
        &'a mut self,
        sop_class: &str,
        identifier: &Dataset,
        handler: &'a dyn StoreHandler,
    ) -> Result<Getting<'a>, Error> {
        let begun = Instant::now();
        let operation = Operation::Get { sop_class: sop_class.into(), priority: Priority::Medium };
        let during = "waiting for objects or a response to C-GET";
        let exchange = Exchange::begin(self, operation, identifier, during).await?;
        let counts = SubOperations::default();
        Ok(Getting { exchange, handler, begun, bytes: 0, counts, reply: None, failed: Vec::new() })
    }
}

impl Getting<'_> {
    /// What happens next; `None` when the final response has come.
    pub async fn next(&mut self) -> Result<Option<Got>, Error> {
        if self.reply.is_some() {
            return Ok(None);
        }
        let Exchange { association, message_id, during, .. } = &mut self.exchange;
        let response = match association.heard(&[*message_id], during).await? {
            Heard::Response(response) => response,
            Heard::Request(context, request) => {
                return self.take(&context, request).await.map(Some);
            }
            other => return Err(association.unexpected(other, during).await),
        };
        let (response, dataset) = self.exchange.read(response).await?;
        if let Some(counts) = response.counts {
            self.counts = counts;
        }
        if response.reply.status.is_pending() {
            return Ok(Some(Got::Progress(self.counts)));
        }
        self.failed = failed_uids(dataset);
        let summary = format!(
            "{}: {} objects received, {} bytes, {} failed",
            named(&self.exchange.context.abstract_syntax),
            arrived(self.counts),
            self.bytes,
            self.counts.failed
        );
        let told = Told::new(Field::Get, summary, &response.reply, self.begun.elapsed());
        self.exchange.association.tell(told);
        self.reply = Some(response.reply);
        Ok(None)
    }

    /// Performs a sub-operation. A peer that gave no answer to the roles but sends all the same
    /// meant yes.
    async fn take(&mut self, context: &Context, request: Request) -> Result<Got, Error> {
        let Exchange { association, during, .. } = &mut self.exchange;
        match &request.operation {
            Operation::Store { sop_class, sop_instance, .. } => {
                let (stored, bytes) =
                    store::take(association, context, &request, self.handler).await?;
                self.bytes += bytes;
                let reply = stored.reply;
                let (sop_class, sop_instance) = (sop_class.clone(), sop_instance.clone());
                Ok(Got::Object { sop_class, sop_instance, bytes, reply })
            }
            _ => {
                let heard = Heard::Request(Arc::new(context.clone()), request);
                Err(association.unexpected(heard, during).await)
            }
        }
    }

    /// Reads on to the end.
    pub async fn finish(mut self) -> Result<(StatusReply, SubOperations, Vec<Uid>), Error> {
        while self.next().await?.is_some() {}
        let reply = self.reply.take().unwrap_or(StatusReply::SUCCESS);
        Ok((reply, self.counts, std::mem::take(&mut self.failed)))
    }

    /// Asks the peer to stop; what is on its way still comes.
    pub async fn cancel(&mut self) -> Result<(), Error> {
        self.exchange.cancel().await
    }

    /// The numbers of the last response.
    pub fn counts(&self) -> SubOperations {
        self.counts
    }

    /// The final status, once [`Self::next`] has given `None`.
    pub fn reply(&self) -> Option<&StatusReply> {
        self.reply.as_ref()
    }

    /// What the peer says it could not send.
    pub fn failed(&self) -> &[Uid] {
        &self.failed
    }
}

impl std::fmt::Debug for Getting<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Getting")
            .field("exchange", &self.exchange)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}
