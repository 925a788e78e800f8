//! Storage Commitment, Push Model. PS3.4 J.3; N-ACTION PS3.7 10.1.4, N-EVENT-REPORT 10.1.1.
//!
//! The SCU asks with an N-ACTION whether the SCP will keep instances for good; the answer is an
//! N-EVENT-REPORT, later, on the same association or on one that the SCP opens as SCP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pacslab_dicom::{Dataset, TransferSyntax};
use pacslab_model::{Tag, Uid, Vr, tags, uids};

use crate::association::{
    Association, AssociationInfo, Data, EventReport, Heard, Reporter, TooLong,
};
use crate::context::Context;
use crate::error::Error;
use crate::events::Told;
use crate::message::{Command, Field, Operation, Request};
use crate::server::BoxFuture;
use crate::status::{Status, StatusReply};

/// The longest list that is read: some 100,000 instances.
pub const MAX_LIST: usize = 16 << 20;

/// An instance by its class and its UID.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Reference {
    pub sop_class: Uid,
    pub sop_instance: Uid,
}

/// What an SCU asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitmentRequest {
    pub transaction: Uid,
    pub references: Vec<Reference>,
}

/// What an SCP answers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CommitmentReport {
    pub transaction: Uid,
    pub committed: Vec<Reference>,
    /// With the Failure Reason (0008,1197).
    pub failed: Vec<(Reference, Status)>,
    /// Where they can be retrieved; empty: not said.
    pub retrieve_aet: String,
}

/// Keeps requests: implemented by the door.
pub trait CommitmentHandler: Send + Sync {
    /// Success is answered when the request is durable. The report comes later, by `reporter`
    /// as long as the association is open.
    fn keep(&self, asked: Asked) -> BoxFuture<'_, Result<(), StatusReply>>;
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub association: Arc<AssociationInfo>,
    pub request: CommitmentRequest,
    pub reporter: Reporter,
}

/// Takes one request.
pub async fn scp(
    association: &mut Association,
    context: &Arc<Context>,
    request: &Request,
    handler: &dyn CommitmentHandler,
) -> Result<(), Error> {
    let begun = Instant::now();
    let Operation::NAction { sop_instance, action_type, .. } = &request.operation else {
        return crate::server::refuse(association, context, request).await;
    };
    let read = read(association, context, request).await?;
    let asked = match (sop_instance.as_str(), action_type) {
        (uids::STORAGE_COMMITMENT_INSTANCE, 1) => {
            read.and_then(|set| CommitmentRequest::read(&set).map_err(invalid))
        }
        (uids::STORAGE_COMMITMENT_INSTANCE, other) => {
            let comment = format!("action type {other}; storage commitment has only 1");
            Err(StatusReply::new(Status::NO_SUCH_ACTION_TYPE, comment))
        }
        _ => Err(StatusReply::new(
            Status::NO_SUCH_INSTANCE,
            format!("the instance is {}", uids::STORAGE_COMMITMENT_INSTANCE),
        )),
    };
    let mut summary = "of storage commitment".to_owned();
    let mut fields = Vec::new();
    let kept = match asked {
        Ok(asked) => {
            summary = format!("commitment of {} instances", asked.references.len());
            fields.push(("transaction", asked.transaction.to_string()));
            let reporter = association.reporter(context);
            let info = association.info().clone();
            handler.keep(Asked { association: info, request: asked, reporter }).await
        }
        Err(reply) => Err(reply),
    };
    let reply = kept.err().unwrap_or(StatusReply::SUCCESS);
    association.respond(context, request.response(reply.clone())).await?;
    let told = Told::new(Field::NAction, summary, &reply, begun.elapsed());
    association.tell(Told { fields, ..told });
    Ok(())
}

fn invalid(why: String) -> StatusReply {
    StatusReply::new(Status::INVALID_ARGUMENT_VALUE, why)
}

/// The data set behind a command. The inner error is to be answered.
async fn read(
    association: &mut Association,
    context: &Context,
    request: &Request,
) -> Result<Result<Dataset, StatusReply>, Error> {
    let field = request.operation.field();
    if !request.has_data {
        return Ok(Err(invalid(format!("{field} without a data set"))));
    }
    let bytes = match association.read_data(MAX_LIST).await? {
        Ok(bytes) => bytes,
        Err(TooLong { limit }) => {
            let comment = format!("a list of more than {limit} bytes; ask in several parts");
            return Ok(Err(StatusReply::new(Status::RESOURCE_LIMITATION, comment)));
        }
    };
    let syntax = TransferSyntax::from_uid(context.transfer_syntax.as_str());
    Ok(pacslab_dicom::parse(&bytes, &syntax).map_err(|problem| invalid(problem.to_string())))
}

impl CommitmentRequest {
    /// Reads the action information: PS3.4 table J.3-1.
    fn read(set: &Dataset) -> Result<Self, String> {
        let references = references(set, tags::REFERENCED_SOP_SEQUENCE)?;
        if references.is_empty() {
            return Err("no instance in the Referenced SOP Sequence (0008,1199)".to_owned());
        }
        Ok(Self { transaction: transaction(set)?, references })
    }

    fn write(&self) -> Dataset {
        let items = self.references.iter().map(Reference::item).collect();
        Dataset::new()
            .with_str(tags::TRANSACTION_UID, Vr::UI, self.transaction.as_str())
            .with_items(tags::REFERENCED_SOP_SEQUENCE, items)
    }
}

impl CommitmentReport {
    /// Event type 1: all of them; 2: there are failures. PS3.4 table J.3-2.
    pub fn event_type(&self) -> u16 {
        if self.failed.is_empty() { 1 } else { 2 }
    }

    /// As it is sent.
    pub fn event(&self) -> EventReport {
        let mut set =
            Dataset::new().with_str(tags::TRANSACTION_UID, Vr::UI, self.transaction.as_str());
        if !self.retrieve_aet.is_empty() && !self.committed.is_empty() {
            set.put_str(tags::RETRIEVE_AE_TITLE, Vr::AE, self.retrieve_aet.as_str());
        }
        if !self.committed.is_empty() {
            let items = self.committed.iter().map(Reference::item).collect();
            set.put_items(tags::REFERENCED_SOP_SEQUENCE, items);
        }
        let failed = |(reference, reason): &(Reference, Status)| {
            let mut item = reference.item();
            item.put_u16(tags::FAILURE_REASON, reason.0);
            item
        };
        if !self.failed.is_empty() {
            set.put_items(tags::FAILED_SOP_SEQUENCE, self.failed.iter().map(failed).collect());
        }
        EventReport {
            sop_class: uids::STORAGE_COMMITMENT_PUSH.into(),
            sop_instance: uids::STORAGE_COMMITMENT_INSTANCE.into(),
            event_type: self.event_type(),
            information: set,
            summary: self.summary(),
        }
    }

    fn summary(&self) -> String {
        let (committed, failed) = (self.committed.len(), self.failed.len());
        format!("{committed} instances committed, {failed} failed")
    }

    fn read(set: &Dataset) -> Result<Self, String> {
        let committed = references(set, tags::REFERENCED_SOP_SEQUENCE)?;
        let reasons = set.items(tags::FAILED_SOP_SEQUENCE).iter();
        let reasons = reasons.map(|item| item.u16(tags::FAILURE_REASON).unwrap_or_default());
        let failed = references(set, tags::FAILED_SOP_SEQUENCE)?;
        let failed = failed.into_iter().zip(reasons.map(Status)).collect();
        let retrieve_aet = set.str(tags::RETRIEVE_AE_TITLE).trim().to_owned();
        Ok(Self { transaction: transaction(set)?, committed, failed, retrieve_aet })
    }
}

impl Reference {
    fn item(&self) -> Dataset {
        Dataset::new()
            .with_str(tags::REFERENCED_SOP_CLASS_UID, Vr::UI, self.sop_class.as_str())
            .with_str(tags::REFERENCED_SOP_INSTANCE_UID, Vr::UI, self.sop_instance.as_str())
    }
}

fn transaction(set: &Dataset) -> Result<Uid, String> {
    let uid = Uid::new(set.str(tags::TRANSACTION_UID));
    match uid.is_valid() {
        true => Ok(uid),
        false => Err(format!("'{uid}' is no Transaction UID (0008,1195)")),
    }
}

fn references(set: &Dataset, sequence: Tag) -> Result<Vec<Reference>, String> {
    let read = |(at, item): (usize, &Dataset)| {
        let uid = |tag| {
            let uid = Uid::new(item.str(tag));
            match uid.is_valid() {
                true => Ok(uid),
                false => Err(format!("item {} of {sequence}: '{uid}' is no UID {tag}", at + 1)),
            }
        };
        Ok(Reference {
            sop_class: uid(tags::REFERENCED_SOP_CLASS_UID)?,
            sop_instance: uid(tags::REFERENCED_SOP_INSTANCE_UID)?,
        })
    };
    set.items(sequence).iter().enumerate().map(read).collect()
}

/// What an SCU answers to a report.
pub type Accept<'a> = &'a (dyn Fn(&CommitmentReport) -> StatusReply + Sync);

impl Association {
    /// Asks for commitment. The reports that came before the response come with it.
    pub async fn ask_commitment(
        &mut self,
        asked: &CommitmentRequest,
        accept: Accept<'_>,
    ) -> Result<(StatusReply, Vec<CommitmentReport>), Error> {
        let begun = Instant::now();
        let context = self.context_for(uids::STORAGE_COMMITMENT_PUSH, None)?;
        let message_id = self.next_message_id();
        let syntax = TransferSyntax::from_uid(context.transfer_syntax.as_str());
        let data = pacslab_dicom::encode(&asked.write(), &syntax);
        let operation = Operation::NAction {
            sop_class: uids::STORAGE_COMMITMENT_PUSH.into(),
            sop_instance: uids::STORAGE_COMMITMENT_INSTANCE.into(),
            action_type: 1,
        };
        let request = Request { message_id, has_data: true, operation };
        self.send_request(&context, request, Data::Bytes(&data)).await?;
        let during = "waiting for the response to N-ACTION";
        let mut early = Vec::new();
        loop {
            match self.heard(&[message_id], during).await? {
                Heard::Response(response) => {
                    let summary = format!("commitment of {} instances", asked.references.len());
                    let reply = response.reply;
                    self.tell(Told::new(Field::NAction, summary, &reply, begun.elapsed()));
                    return Ok((reply, early));
                }
                Heard::Request(context, request) if is_report(&request) => {
                    early.extend(take_report(self, &context, &request, accept).await?);
                }
                other => return Err(self.unexpected(other, during).await),
            }
        }
    }

    /// The next report on this association. `None`: the peer released it, or nothing came within
    /// `limit`; can be given up before, as long as nothing has come.
    pub async fn next_commitment(
        &mut self,
        limit: Duration,
        accept: Accept<'_>,
    ) -> Result<Option<CommitmentReport>, Error> {
        let until = Instant::now() + limit;
        loop {
            if !self.speaks(until.saturating_duration_since(Instant::now())).await {
                return Ok(None);
            }
            match self.next_command().await? {
                None => return Ok(None),
                Some((context, Command::Request(request))) if is_report(&request) => {
                    if let Some(report) = take_report(self, &context, &request, accept).await? {
                        return Ok(Some(report));
                    }
                }
                Some((context, Command::Request(request))) => {
                    crate::server::refuse(self, &context, &request).await?;
                }
                Some((_, Command::Response(_) | Command::Cancel { .. })) => {}
            }
        }
    }
}

/// Whether a request is a report on a commitment.
pub fn is_report(request: &Request) -> bool {
    matches!(&request.operation, Operation::EventReport { sop_class, .. }
        if sop_class.as_str() == uids::STORAGE_COMMITMENT_PUSH)
}

/// Takes a report and answers it as `accept` has it; `None`: it was refused.
pub async fn take_report(
    association: &mut Association,
    context: &Context,
    request: &Request,
    accept: Accept<'_>,
) -> Result<Option<CommitmentReport>, Error> {
    let begun = Instant::now();
    let read = read(association, context, request).await?;
    let report = read.and_then(|set| CommitmentReport::read(&set).map_err(invalid));
    let (reply, report) = match report {
        Ok(report) => (accept(&report), Some(report)),
        Err(reply) => (reply, None),
    };
    association.respond(context, request.response(reply.clone())).await?;
    let summary = report.as_ref().map_or_else(String::new, CommitmentReport::summary);
    association.tell(Told::new(Field::EventReport, summary, &reply, begun.elapsed()));
    Ok(report.filter(|_| reply.status.is_done()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(n: u32) -> Reference {
        Reference { sop_class: "1.2".into(), sop_instance: Uid::new(format!("1.2.3.{n}")) }
    }

    #[test]
    fn requests_and_reports_are_read_as_written() {
        let references = vec![reference(1), reference(2)];
        let asked = CommitmentRequest { transaction: "1.9".into(), references };
        assert_eq!(CommitmentRequest::read(&asked.write()), Ok(asked));
        let report = CommitmentReport {
            transaction: "1.9".into(),
            committed: vec![reference(1)],
            failed: vec![(reference(2), Status::NO_SUCH_INSTANCE)],
            retrieve_aet: "PACSLAB".into(),
        };
        let event = report.event();
        assert_eq!(event.event_type, 2);
        assert_eq!(CommitmentReport::read(&event.information), Ok(report));
    }

    #[test]
    fn what_is_no_request_is_told_why() {
        let whole = CommitmentRequest { transaction: "1.9".into(), references: vec![reference(1)] };
        let mut nothing = whole.write();
        nothing.put_items(tags::REFERENCED_SOP_SEQUENCE, Vec::new());
        let mut unnamed = whole.write();
        unnamed.put_str(tags::TRANSACTION_UID, Vr::UI, "");
        let mut half = whole.write();
        half.put_items(tags::REFERENCED_SOP_SEQUENCE, vec![Dataset::new()]);
        for (set, word) in [(nothing, "1199"), (unnamed, "Transaction"), (half, "item 1")] {
            let why = CommitmentRequest::read(&set).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }
}
