//! C-MOVE: retrieve to a third party. PS3.4 C.4.2, PS3.7 9.1.4.
//!
//! The sub-operations are the door's; the loop here counts them, tells the peer after each, and
//! hears its C-CANCEL.

use std::sync::Arc;
use std::time::Instant;

use pacslab_dicom::{Dataset, TransferSyntax};
use pacslab_model::{Uid, Vr, tags};

use super::{Exchange, identifiers, read_identifier};
use crate::association::{Association, AssociationInfo};
use crate::context::Context;
use crate::error::{Error, named};
use crate::events::Told;
use crate::message::{Field, Operation, Priority, Request, SubOperations};
use crate::server::BoxFuture;
use crate::status::{Status, StatusReply};

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
}

/// What came of a sub-operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubOperation {
    Completed,
    /// The object arrived, and the receiver has something to say about it.
    Warning(Uid),
    Failed(Uid),
    /// The rest cannot be performed: the receiver cannot be reached, say.
    Stop {
        reply: StatusReply,
        not_sent: Vec<Uid>,
    },
}

/// The longest list of failed instances that is answered.
const MAX_FAILED: usize = 8192;

/// How far a retrieve has come.
#[derive(Default)]
struct Progress {
    total: usize,
    completed: usize,
    warning: usize,
    failed: usize,
    uids: Vec<Uid>,
}

impl Progress {
    fn count(&mut self, outcome: &SubOperation) {
        match outcome {
            SubOperation::Completed => self.completed += 1,
            SubOperation::Warning(_) => self.warning += 1,
            SubOperation::Failed(uid) => self.fail(std::slice::from_ref(uid)),
            SubOperation::Stop { not_sent, .. } => self.fail(not_sent),
        }
    }

    fn fail(&mut self, uids: &[Uid]) {
        self.failed += uids.len();
        let room = MAX_FAILED.saturating_sub(self.uids.len());
        self.uids.extend(uids.iter().take(room).cloned());
    }

    fn remaining(&self) -> usize {
        self.total.saturating_sub(self.completed + self.warning + self.failed)
    }

    fn counts(&self, with_remaining: bool) -> SubOperations {
        let number = |n: usize| n.min(u16::MAX.into()) as u16;
        SubOperations {
            remaining: with_remaining.then(|| number(self.remaining())),
            completed: number(self.completed),
            failed: number(self.failed),
            warning: number(self.warning),
        }
    }

    /// PS3.4 C.4.2.1.5: success only when nothing failed and nothing was warned of.
    fn status(&self) -> Status {
        match (self.failed + self.warning, self.completed + self.warning) {
            (0, _) => Status::SUCCESS,
            (_, 0) => Status::CANNOT_PERFORM_SUBOPERATIONS,
            _ => Status::SUBOPERATIONS_WARNING,
        }
    }

    /// Failed SOP Instance UID List, only with statuses that are neither success nor pending.
    fn failed_list(&self, reply: &StatusReply) -> Option<Dataset> {
        if self.uids.is_empty() || reply.status.is_success() {
            return None;
        }
        let uids: Vec<&str> = self.uids.iter().map(Uid::as_str).collect();
        Some(Dataset::new().with_str(tags::FAILED_SOP_INSTANCE_UID_LIST, Vr::UI, uids.join("\\")))
    }
}

/// Performs one retrieve.
pub async fn scp(
    association: &mut Association,
    context: &Arc<Context>,
    request: &Request,
    handler: &dyn MoveHandler,
) -> Result<(), Error> {
    let begun = Instant::now();
    let mut progress = Progress::default();
    let mut ids = pacslab_model::Identifiers::default();
    let mut raw: Option<Arc<[u8]>> = None;
    let Operation::Move { sop_class, priority, destination } = &request.operation else {
        return crate::server::refuse(association, context, request).await;
    };
    let reply = match read_identifier(association, context, request).await? {
        Err(reply) => reply,
        Ok((identifier, bytes)) => {
            ids = identifiers(&identifier);
            raw = Some(Arc::from(&bytes[..]));
            let begin = MoveRequest {
                association: association.info().clone(),
                context: context.clone(),
                sop_class: sop_class.clone(),
                destination: destination.clone(),
                message_id: request.message_id,
                priority: *priority,
                identifier,
            };
            perform(association, context, request, handler, begin, &mut progress).await?
        }
    };
    let mut response = request.response(reply.clone());
    let cancelled = reply.status == Status::CANCEL;
    response.counts =
        (progress.total > 0 || reply.status.is_success()).then(|| progress.counts(cancelled));
    let syntax = TransferSyntax::from_uid(context.transfer_syntax.as_str());
    let list = progress.failed_list(&reply).map(|list| pacslab_dicom::encode(&list, &syntax));
    association.queue_response(context, response, list.as_deref());
    association.flush().await?;
    let summary = format!(
        "to {destination}: {} of {} objects sent, {} failed",
        progress.completed + progress.warning,
        progress.total,
        progress.failed
    );
    let mut told = Told::new(Field::Move, summary, &reply, begun.elapsed());
    told.ids = ids;
    told.raw = raw;
    told.fields.push(("destination", destination.clone()));
    told.fields.push(("completed", progress.completed.to_string()));
    told.fields.push(("failed", progress.failed.to_string()));
    association.tell(told);
    Ok(())
}

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
    let reply = loop {
        if cancelled {
            break Status::CANCEL.into();
        }
        let outcome = {
            let mut next = task.next_operation();
            match association.unless_cancelled(id, &mut next).await? {
                Some(outcome) => outcome,
                None => {
                    // what is on its way is brought to its end
                    cancelled = true;
                    next.await
                }
            }
        };
        let Some(outcome) = outcome else { break progress.status().into() };
        progress.count(&outcome);
        if let SubOperation::Stop { reply, .. } = outcome {
            break reply;
        }
        if progress.remaining() > 0 && !cancelled {
            let mut response = request.response(Status::PENDING);
            response.counts = Some(progress.counts(true));
            association.queue_response(context, response, None);
            association.flush().await?;
        }
    };
    task.finish().await;
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
        let failed = dataset.unwrap_or_default();
        let failed = failed.str(tags::FAILED_SOP_INSTANCE_UID_LIST);
        self.failed = failed.split('\\').filter(|uid| !uid.is_empty()).map(Uid::new).collect();
        let summary = format!(
            "{} to {}: {} objects sent, {} failed",
            named(&self.exchange.context.abstract_syntax),
            self.destination,
            u32::from(self.counts.completed) + u32::from(self.counts.warning),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_final_status_follows_from_the_counts() {
        for (completed, warning, failed, status) in [
            (0, 0, 0, Status::SUCCESS),
            (3, 0, 0, Status::SUCCESS),
            (2, 1, 0, Status::SUBOPERATIONS_WARNING),
            (2, 0, 1, Status::SUBOPERATIONS_WARNING),
            (0, 0, 2, Status::CANNOT_PERFORM_SUBOPERATIONS),
        ] {
            let total = completed + warning + failed;
            let progress = Progress { total, completed, warning, failed, uids: vec![] };
            assert_eq!(progress.status(), status);
        }
    }
}
