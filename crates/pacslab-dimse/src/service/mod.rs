//! DIMSE services: one file each, holding the SCU function and the SCP loop.
//!
//! An SCP function is called with the request that was read, performs it through the trait its
//! door implements, answers it and tells what happened. It owns everything that the protocol
//! asks for: pending responses, C-CANCEL, counters, final status.

pub mod commitment;
pub mod find;
pub mod get;
pub mod move_;
pub mod normalized;
mod retrieve;
pub mod store;
pub mod verification;

use std::future::Future;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use pacslab_dicom::{Dataset, TransferSyntax};
use pacslab_model::{Identifiers, tags};

use crate::association::{Association, Data, TooLong};
use crate::context::Context;
use crate::error::Error;
use crate::message::{Operation, Request, Response};
use crate::status::{Status, StatusReply};

/// The longest identifier that is read, of a request or of an answer.
pub const MAX_IDENTIFIER: usize = 1 << 20;

/// Reads the identifier of a request. The inner error is to be answered.
async fn read_identifier(
    association: &mut Association,
    context: &Context,
    request: &Request,
) -> Result<Result<(Dataset, Bytes), StatusReply>, Error> {
    let field = request.operation.field();
    if !request.has_data {
        let comment = format!("{field} request without an identifier");
        return Ok(Err(StatusReply::new(Status::CANNOT_UNDERSTAND, comment)));
    }
    let bytes = match association.read_data(MAX_IDENTIFIER).await? {
        Ok(bytes) => bytes,
        Err(TooLong { limit }) => {
            let comment = format!("identifier of more than {limit} bytes");
            return Ok(Err(StatusReply::new(Status::OUT_OF_RESOURCES, comment)));
        }
    };
    let syntax = TransferSyntax::from_uid(context.transfer_syntax.as_str());
    Ok(match pacslab_dicom::parse(&bytes, &syntax) {
        Ok(identifier) => Ok((identifier, bytes)),
        Err(problem) => {
            let comment = format!("identifier: {problem}");
            Err(StatusReply::new(Status::CANNOT_UNDERSTAND, comment))
        }
    })
}

/// What a timeline finds a query or a retrieve by.
fn identifiers(identifier: &Dataset) -> Identifiers {
    // a pattern or a list is not what something is called
    let exact = |tag| {
        let text = identifier.str(tag);
        let plain = !text.contains(['*', '?', '\\']) && text.len() <= 64;
        if plain { text.to_owned() } else { String::new() }
    };
    Identifiers {
        accession: exact(tags::ACCESSION_NUMBER),
        patient_id: exact(tags::PATIENT_ID),
        study_uid: exact(tags::STUDY_INSTANCE_UID),
        series_uid: exact(tags::SERIES_INSTANCE_UID),
        sop_uid: exact(tags::SOP_INSTANCE_UID),
    }
}

/// The output of a future that is ready by now.
async fn ready<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|cx| {
        Poll::Ready(match std::pin::Pin::new(&mut *future).poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

/// A request of ours that has several responses. Let go of before the last one, the rest is
/// skipped when it comes.
#[derive(Debug)]
struct Exchange<'a> {
    association: &'a mut Association,
    context: Arc<Context>,
    message_id: u16,
    during: &'static str,
    ended: bool,
}

impl<'a> Exchange<'a> {
    async fn begin(
        association: &'a mut Association,
        operation: Operation,
        identifier: &Dataset,
        during: &'static str,
    ) -> Result<Self, Error> {
        Self::of(association, operation, Some(identifier), during).await
    }

    async fn of(
        association: &'a mut Association,
        operation: Operation,
        dataset: Option<&Dataset>,
        during: &'static str,
    ) -> Result<Self, Error> {
        let context = association.context_for(operation.sop_class().as_str(), None)?;
        let message_id = association.next_message_id();
        let syntax = TransferSyntax::from_uid(context.transfer_syntax.as_str());
        let data = dataset.map(|dataset| pacslab_dicom::encode(dataset, &syntax));
        let request = Request { message_id, has_data: data.is_some(), operation };
        let data = data.as_deref().map_or(Data::None, Data::Bytes);
        association.send_request(&context, request, data).await?;
        Ok(Self { association, context, message_id, during, ended: false })
    }

    /// The next response and its data set.
    async fn next(&mut self) -> Result<(Response, Option<Dataset>), Error> {
        let response = self.association.response(self.message_id, self.during).await?;
        self.read(response).await
    }

    /// Reads the data set of a response.
    async fn read(&mut self, response: Response) -> Result<(Response, Option<Dataset>), Error> {
        self.ended = !response.reply.status.is_pending();
        if !response.has_data {
            return Ok((response, None));
        }
        let what = "the data set of a response";
        let bytes = self.association.read_data(MAX_IDENTIFIER).await?;
        let bytes = bytes.map_err(|TooLong { limit }| Error::TooLong { what, limit })?;
        let syntax = TransferSyntax::from_uid(self.context.transfer_syntax.as_str());
        match pacslab_dicom::parse(&bytes, &syntax) {
            Ok(dataset) => Ok((response, Some(dataset))),
            Err(problem) => Err(Error::DataSet {
                what,
                transfer_syntax: self.context.transfer_syntax.clone(),
                problem: problem.to_string(),
            }),
        }
    }

    async fn cancel(&mut self) -> Result<(), Error> {
        if self.ended {
            return Ok(());
        }
        self.association.send_cancel(&self.context, self.message_id).await
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.association.abandon(self.message_id);
        }
    }
}
