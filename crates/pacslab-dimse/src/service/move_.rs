//! C-MOVE: retrieve to a third party. PS3.4 C.4.2, PS3.7 9.1.4.
//!
//! The sub-operations are the door's; the loop here counts them, tells the peer after each, and
//! hears its C-CANCEL.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_dicom::Dataset;
use pacslab_model::Uid;
use tokio::time::timeout;

use super::retrieve::{Progress, Retrieve, arrived, failed_uids};
use super::{Exchange, read_identifier};
use crate::association::{Association, AssociationInfo};
use crate::context::Context;
use crate::error::{Error, named};
use crate::events::Told;
use crate::message::{Field, Operation, Priority, Request, SubOperations};
use crate::server::BoxFuture;
use crate::status::{Status, StatusReply};

pub use super::retrieve::{Failed, SubOperation};

/// Begins retrieves: implemented by the door.
pub trait MoveHandler: Send + Sync {
    /// An error (0xA801 for an unknown destination, with a comment) is the final response.
    fn begin(&self, request: MoveRequest) -> BoxFuture<'_, Result<Box<dyn MoveTask>, StatusReply>>;
}

#[derive(Clone, Debug)]
pub struct MoveRequest {
    pub association: Arc<AssociationInfo>,
    pub context: Arc<Context>,
    pub sop_class: Uid,
    pub destination: String,
    /// With the title of the requestor, the Move Originator of the sub-operations.
    pub message_id: u16,
    pub priority: Priority,
    pub identifier: Dataset,
}

/// A retrieve under way.
pub trait MoveTask: Send {
    /// How many sub-operations there are.
    fn total(&self) -> usize;

    /// Performs the next sub-operation; `None` when there are no more.
    fn next_operation(&mut self) -> BoxFuture<'_, Option<SubOperation>>;

    /// Called once at the end, also after a C-CANCEL: the place to release associations.
    fn finish(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Called instead when a sub-operation was cut short: there is nothing to wait for any more.
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.finish()
    }
}

/// Performs one retrieve.
pub async fn scp(
    association: &mut Association,
    context: &Arc<Context>,
    request: &Request,
    handler: &dyn MoveHandler,
) -> Result<(), Error> {
    let mut retrieve = Retrieve::begin();
    let Operation::Move { sop_class, priority, destination } = &request.operation else {
        return crate::server::refuse(association, context, request).await;
    };
    let reply = match read_identifier(association, context, request).await? {
        Err(reply) => reply,
        Ok((identifier, bytes)) => {
            retrieve.asked(&identifier, &bytes);
            let begin = MoveRequest {
                association: association.info().clone(),
                context: context.clone(),
                sop_class: sop_class.clone(),
                destination: destination.clone(),
                message_id: request.message_id,
                priority: *priority,
                identifier,
            };
            perform(association, context, request, handler, begin, &mut retrieve.progress).await?
        }
    };
    let whom = (format!("to {destination}"), vec![("destination", destination.clone())]);
    retrieve.conclude(association, context, request, reply, whom).await
}

/// How long a sub-operation may go on after a C-CANCEL: its receiver may take nothing.
const GRACE: Duration = Duration::from_secs(2);

/// Runs the sub-operations, sends the pending responses, gives the final status.
async fn perform(
    association: &mut Association,
    context: &Arc<Context>,
    request: &Request,
    handler: &dyn MoveHandler,
    begin: MoveRequest,
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
    let mut cancelled = false;
    // whether a sub-operation is still under way at the end
    let mut cut = false;
    let reply = loop {
        if cancelled {
            break Status::CANCEL.into();
        }
        let outcome = {
            let mut next = task.next_operation();
            match association.unless_cancelled(id, &mut next).await? {
                Some(outcome) => outcome,
                None => {
                    // what is on its way is brought to its end, if it comes to one
                    cancelled = true;
                    let Ok(outcome) = timeout(GRACE, next).await else {
                        cut = true;
                        break Status::CANCEL.into();
                    };
                    outcome
                }
            }
        };
        let Some(outcome) = outcome else { break progress.reply() };
        progress.count(&outcome);
        if let SubOperation::Stop { reply, .. } = outcome {
            break reply;
        }
        if !cancelled {
            progress.queue_pending(association, context, request);
            association.flush().await?;
        }
    };
    if cut {
        task.stop().await
    } else {
        task.finish().await
    }
    Ok(reply)
}

/// A retrieve of ours under way.
#[derive(Debug)]
pub struct Moving<'a> {
    exchange: Exchange<'a>,
    destination: String,
    begun: Instant,
    counts: SubOperations,
    reply: Option<StatusReply>,
    failed: Vec<Uid>,
}

impl Association {
    /// Asks the peer to send what the identifier names to an application entity that it knows.
    pub async fn move_(
        &mut self,
        sop_class: &str,
        destination: &str,
        identifier: &Dataset,
    ) -> Result<Moving<'_>, Error> {
        let begun = Instant::now();
        let destination = destination.to_owned();
        let operation = Operation::Move {
            sop_class: sop_class.into(),
            priority: Priority::Medium,
            destination: destination.clone(),
        };
        let during = "waiting for a response to C-MOVE";
        let exchange = Exchange::begin(self, operation, identifier, during).await?;
        let counts = SubOperations::default();
        Ok(Moving { exchange, destination, begun, counts, reply: None, failed: Vec::new() })
    }
}

impl Moving<'_> {
    /// The next progress; `None` when the final response has come.
    pub async fn next(&mut self) -> Result<Option<SubOperations>, Error> {
        if self.reply.is_some() {
            return Ok(None);
        }
        let (response, dataset) = self.exchange.next().await?;
        if let Some(counts) = response.counts {
            self.counts = counts;
        }
        if response.reply.status.is_pending() {
            return Ok(Some(self.counts));
        }
        self.failed = failed_uids(dataset);
        let summary = format!(
            "{} to {}: {} objects sent, {} failed",
            named(&self.exchange.context.abstract_syntax),
            self.destination,
            arrived(self.counts),
            self.counts.failed
        );
        let told = Told::new(Field::Move, summary, &response.reply, self.begun.elapsed());
        self.exchange.association.tell(told);
        self.reply = Some(response.reply);
        Ok(None)
    }

    /// Reads on to the end.
    pub async fn finish(mut self) -> Result<(StatusReply, SubOperations, Vec<Uid>), Error> {
        while self.next().await?.is_some() {}
        let reply = self.reply.take().unwrap_or(StatusReply::SUCCESS);
        Ok((reply, self.counts, std::mem::take(&mut self.failed)))
    }

    /// Asks the peer to stop.
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
