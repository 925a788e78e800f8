//! C-FIND: query of studies and of worklists. PS3.4 C.4.1, K.4.1, PS3.7 9.1.2.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use pacslab_dicom::{Dataset, TransferSyntax};
use pacslab_model::Uid;

use super::{Exchange, identifiers, read_identifier, ready};
use crate::association::{Association, AssociationInfo};
use crate::context::Context;
use crate::error::{Error, named};
use crate::events::Told;
use crate::message::{Field, Operation, Priority, Request};
use crate::server::BoxFuture;
use crate::status::{Status, StatusReply};

/// Answers queries: implemented by the door.
pub trait FindHandler: Send + Sync {
    fn find(
        &self,
        request: FindRequest,
    ) -> BoxFuture<'_, Result<Box<dyn FindResults>, StatusReply>>;
}

#[derive(Clone, Debug)]
pub struct FindRequest {
    pub association: Arc<AssociationInfo>,
    pub context: Arc<Context>,
    pub sop_class: Uid,
    pub priority: Priority,
    pub identifier: Dataset,
}

/// The matches of a query, one after the other. Dropped when the peer cancels.
pub trait FindResults: Send {
    /// A match with its status, [`Status::PENDING`] or [`Status::PENDING_WARNING`]; `None` at the
    /// end; an error is answered as the final status.
    fn next(&mut self) -> BoxFuture<'_, Option<Result<(Status, Dataset), StatusReply>>>;
}

/// Matches that are there already.
impl FindResults for std::vec::IntoIter<Dataset> {
    fn next(&mut self) -> BoxFuture<'_, Option<Result<(Status, Dataset), StatusReply>>> {
        let next = Iterator::next(self).map(|dataset| Ok((Status::PENDING, dataset)));
        Box::pin(std::future::ready(next))
    }
}

/// Responses that are ready leave in one write of about this size.
const BATCH: usize = 64 * 1024;
/// Between so many answers that are ready at once, the peer is heard.
const LISTEN: usize = 32;

/// Performs one query.
pub async fn scp(
    association: &mut Association,
    context: &Arc<Context>,
    request: &Request,
    handler: &dyn FindHandler,
) -> Result<(), Error> {
    let begun = Instant::now();
    let mut raw = None;
    let mut ids = pacslab_model::Identifiers::default();
    let mut matches = 0;
    let reply = match read_identifier(association, context, request).await? {
        Err(reply) => reply,
        Ok((identifier, bytes)) => {
            ids = identifiers(&identifier);
            raw = Some(bytes);
            let find = FindRequest {
                association: association.info().clone(),
                context: context.clone(),
                sop_class: request.operation.sop_class().clone(),
                priority: priority(&request.operation),
                identifier,
            };
            answer(association, context, request, handler, find, &mut matches).await?
        }
    };
    association.queue_response(context, request.response(reply.clone()), None);
    association.flush().await?;
    let summary = format!("{}: {}", named(request.operation.sop_class()), in_words(matches));
    let mut told = Told::new(Field::Find, summary, &reply, begun.elapsed());
    told.ids = ids;
    told.fields.push(("matches", matches.to_string()));
    told.raw = raw.map(|bytes: Bytes| Arc::from(&bytes[..]));
    association.tell(told);
    Ok(())
}

fn priority(operation: &Operation) -> Priority {
    match operation {
        Operation::Find { priority, .. } => *priority,
        _ => Priority::Medium,
    }
}

/// Sends the pending responses and gives the final status.
async fn answer(
    association: &mut Association,
    context: &Arc<Context>,
    request: &Request,
    handler: &dyn FindHandler,
    find: FindRequest,
    matches: &mut usize,
) -> Result<StatusReply, Error> {
    let id = request.message_id;
    let syntax = TransferSyntax::from_uid(context.transfer_syntax.as_str());
    let mut finding = handler.find(find);
    let mut results = match association.unless_cancelled(id, &mut finding).await? {
        None => return Ok(Status::CANCEL.into()),
        Some(Err(reply)) => return Ok(reply),
        Some(Ok(results)) => results,
    };
    loop {
        let mut next = results.next();
        let next = match ready(&mut next).await {
            Some(next) => next,
            None => {
                association.flush().await?;
                match association.unless_cancelled(id, &mut next).await? {
                    Some(next) => next,
                    None => return Ok(Status::CANCEL.into()),
                }
            }
        };
        let (status, dataset) = match next {
            None => return Ok(StatusReply::SUCCESS),
            Some(Err(reply)) => return Ok(reply),
            Some(Ok(found)) => found,
        };
        *matches += 1;
        let data = pacslab_dicom::encode(&dataset, &syntax);
        association.queue_response(context, request.response(status), Some(&data));
        if association.queued() >= BATCH {
            association.flush().await?;
        }
        if matches.is_multiple_of(LISTEN) && association.cancelled(id).await? {
            return Ok(Status::CANCEL.into());
        }
    }
}

/// The answers to a query of ours.
#[derive(Debug)]
pub struct FindAnswers<'a> {
    exchange: Exchange<'a>,
    begun: Instant,
    matches: usize,
    reply: Option<StatusReply>,
}

impl Association {
    /// Queries the peer; [`FindAnswers::next`] reads the matches as they come.
    pub async fn find(
        &mut self,
        sop_class: &str,
        identifier: &Dataset,
    ) -> Result<FindAnswers<'_>, Error> {
        let begun = Instant::now();
        let operation = Operation::Find { sop_class: sop_class.into(), priority: Priority::Medium };
        let during = "waiting for a response to C-FIND";
        let exchange = Exchange::begin(self, operation, identifier, during).await?;
        Ok(FindAnswers { exchange, begun, matches: 0, reply: None })
    }

    /// All matches, but not more than `limit`, after which the query is cancelled.
    pub async fn find_all(
        &mut self,
        sop_class: &str,
        identifier: &Dataset,
        limit: usize,
    ) -> Result<(Vec<Dataset>, StatusReply), Error> {
        let mut answers = self.find(sop_class, identifier).await?;
        let mut found = Vec::new();
        while let Some((_, dataset)) = answers.next().await? {
            if found.len() < limit {
                found.push(dataset);
                if found.len() == limit {
                    answers.cancel().await?;
                }
            }
        }
        let reply = answers.reply.clone().unwrap_or(StatusReply::SUCCESS);
        Ok((found, reply))
    }
}

impl FindAnswers<'_> {
    /// The next match with its pending status; `None` when the final response has come.
    pub async fn next(&mut self) -> Result<Option<(Status, Dataset)>, Error> {
        if self.reply.is_some() {
            return Ok(None);
        }
        let (response, dataset) = self.exchange.next().await?;
        if response.reply.status.is_pending() {
            self.matches += 1;
            return Ok(Some((response.reply.status, dataset.unwrap_or_default())));
        }
        let sop_class = &self.exchange.context.abstract_syntax;
        let summary = format!("{}: {}", named(sop_class), in_words(self.matches));
        let told = Told::new(Field::Find, summary, &response.reply, self.begun.elapsed());
        self.exchange.association.tell(told);
        self.reply = Some(response.reply);
        Ok(None)
    }

    /// Asks the peer to stop; it answers what it has sent already, then the final status.
    pub async fn cancel(&mut self) -> Result<(), Error> {
        self.exchange.cancel().await
    }

    /// The final status, once [`Self::next`] has given `None`.
    pub fn reply(&self) -> Option<&StatusReply> {
        self.reply.as_ref()
    }
}

fn in_words(matches: usize) -> String {
    if matches == 1 { "1 match".to_owned() } else { format!("{matches} matches") }
}
