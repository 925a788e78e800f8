//! N-CREATE, N-SET and N-GET: objects that live at a peer. PS3.7 10.1.2, 10.1.3, 10.1.5.
//!
//! One request, one response, each with a data set or without.

use std::sync::Arc;
use std::time::Instant;

use pacslab_dicom::{Dataset, TransferSyntax};
use pacslab_model::{Identifiers, Tag, Uid};

use super::Exchange;
use crate::association::{Association, AssociationInfo, TooLong};
use crate::context::Context;
use crate::error::{Error, named};
use crate::events::Told;
use crate::message::{Field, Operation, Request};
use crate::server::BoxFuture;
use crate::status::{Status, StatusReply};

/// The longest data set that is read: a step of some ten thousand images lists them all.
pub const MAX_ATTRIBUTES: usize = 8 << 20;

/// Keeps the objects: implemented by the door.
pub trait NormalizedHandler: Send + Sync {
    /// The effect is durable when this answers.
    fn perform(&self, request: NormalizedRequest) -> BoxFuture<'_, Performed>;
}

#[derive(Clone, Debug)]
pub struct NormalizedRequest {
    pub association: Arc<AssociationInfo>,
    /// [`Operation::NCreate`], [`Operation::NSet`] or [`Operation::NGet`].
    pub operation: Operation,
    /// Attributes and their values; empty where none came.
    pub attributes: Dataset,
}

/// What is answered.
#[derive(Clone, PartialEq, Debug)]
pub struct Performed {
    pub reply: StatusReply,
    /// Where it is another one than asked for: we may choose it in an N-CREATE.
    pub sop_instance: Option<Uid>,
    pub attributes: Option<Dataset>,
    /// What a timeline finds it by.
    pub ids: Identifiers,
}

impl From<StatusReply> for Performed {
    fn from(reply: StatusReply) -> Self {
        Self { reply, sop_instance: None, attributes: None, ids: Identifiers::default() }
    }
}

/// Performs one request.
pub async fn scp(
    association: &mut Association,
    context: &Context,
    request: &Request,
    handler: &dyn NormalizedHandler,
) -> Result<(), Error> {
    let begun = Instant::now();
    let syntax = TransferSyntax::from_uid(context.transfer_syntax.as_str());
    let read = if request.has_data {
        association.read_data(MAX_ATTRIBUTES).await?
    } else {
        Ok(bytes::Bytes::new())
    };
    let parsed = match &read {
        Ok(bytes) if bytes.is_empty() => Ok(Dataset::new()),
        Ok(bytes) => pacslab_dicom::parse(bytes, &syntax).map_err(|problem| {
            StatusReply::new(Status::PROCESSING_FAILURE, format!("data set: {problem}"))
        }),
        Err(TooLong { limit }) => {
            let comment = format!("data set of more than {limit} bytes");
            Err(StatusReply::new(Status::RESOURCE_LIMITATION, comment))
        }
    };
    let performed = match parsed {
        Err(reply) => reply.into(),
        Ok(attributes) => {
            let request = NormalizedRequest {
                association: association.info().clone(),
                operation: request.operation.clone(),
                attributes,
            };
            handler.perform(request).await
        }
    };
    let mut response = request.response(performed.reply.clone());
    if let Some(uid) = performed.sop_instance {
        response.sop_instance = uid;
    }
    let instance = response.sop_instance.clone();
    let data = performed.attributes.map(|set| pacslab_dicom::encode(&set, &syntax));
    association.queue_response(context, response, data.as_deref());
    association.flush().await?;
    let field = request.operation.field();
    let summary = summary(request.operation.sop_class(), &instance);
    let mut told = Told::new(field, summary, &performed.reply, begun.elapsed());
    told.ids = performed.ids;
    told.raw = read.ok().filter(|bytes| !bytes.is_empty()).map(|bytes| Arc::from(&bytes[..]));
    association.tell(told);
    Ok(())
}

fn summary(sop_class: &Uid, instance: &Uid) -> String {
    if instance.is_empty() {
        return named(sop_class);
    }
    format!("{} {instance}", named(sop_class))
}

/// A peer's answer to a request of ours.
#[derive(Clone, PartialEq, Debug)]
pub struct Answered {
    pub reply: StatusReply,
    /// The object it is about; the peer may have chosen it.
    pub sop_instance: Uid,
    pub attributes: Option<Dataset>,
}

impl Association {
    /// Has the peer make an object; without `sop_instance` it chooses the UID.
    pub async fn n_create(
        &mut self,
        sop_class: &str,
        sop_instance: Option<&Uid>,
        attributes: &Dataset,
    ) -> Result<Answered, Error> {
        let operation =
            Operation::NCreate { sop_class: sop_class.into(), sop_instance: sop_instance.cloned() };
        self.normalized(operation, Some(attributes), "waiting for the response to N-CREATE").await
    }

    /// Changes an object of the peer's.
    pub async fn n_set(
        &mut self,
        sop_class: &str,
        sop_instance: &Uid,
        attributes: &Dataset,
    ) -> Result<Answered, Error> {
        let operation =
            Operation::NSet { sop_class: sop_class.into(), sop_instance: sop_instance.clone() };
        self.normalized(operation, Some(attributes), "waiting for the response to N-SET").await
    }

    /// Reads attributes of an object of the peer's; all of them when none is named.
    pub async fn n_get(
        &mut self,
        sop_class: &str,
        sop_instance: &Uid,
        attributes: Vec<Tag>,
    ) -> Result<Answered, Error> {
        let (sop_class, sop_instance) = (sop_class.into(), sop_instance.clone());
        let operation = Operation::NGet { sop_class, sop_instance, attributes };
        self.normalized(operation, None, "waiting for the response to N-GET").await
    }

    async fn normalized(
        &mut self,
        operation: Operation,
        attributes: Option<&Dataset>,
        during: &'static str,
    ) -> Result<Answered, Error> {
        let begun = Instant::now();
        let field: Field = operation.field();
        let asked = operation.sop_instance().cloned().unwrap_or_default();
        let sop_class = operation.sop_class().clone();
        let mut exchange = Exchange::of(self, operation, attributes, during).await?;
        let (response, dataset) = exchange.next().await?;
        drop(exchange);
        let sop_instance = match response.sop_instance.is_empty() {
            true => asked,
            false => response.sop_instance,
        };
        let summary = summary(&sop_class, &sop_instance);
        self.tell(Told::new(field, summary, &response.reply, begun.elapsed()));
        Ok(Answered { reply: response.reply, sop_instance, attributes: dataset })
    }
}
