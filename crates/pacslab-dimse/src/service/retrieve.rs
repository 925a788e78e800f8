//! What C-MOVE and C-GET have in common: sub-operations, their counts, the final status.
//! PS3.4 C.4.2.1.5 to C.4.2.1.8 and C.4.3.1.3 to C.4.3.1.5.

use std::sync::Arc;
use std::time::Instant;

use pacslab_dicom::{Dataset, TransferSyntax};
use pacslab_model::{Identifiers, Uid, Vr, tags};

use super::identifiers;
use crate::association::Association;
use crate::context::Context;
use crate::error::Error;
use crate::events::Told;
use crate::message::{Request, SubOperations};
use crate::status::{Status, StatusReply};

/// What came of a sub-operation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SubOperation {
    Completed,
    /// The object arrived, and the receiver has something to say about it.
    Warning(Uid),
    Failed(Failed),
    /// The rest cannot be performed: the receiver cannot be reached, say.
    Stop {
        reply: StatusReply,
        not_sent: Vec<Uid>,
    },
}

/// An object that did not get to its receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    pub sop_instance: Uid,
    /// The requestor sees the first one as the Error Comment, of 64 characters.
    pub why: String,
}

/// A retrieve that a peer asked for, from its request to its final response.
pub(super) struct Retrieve {
    pub(super) progress: Progress,
    begun: Instant,
    ids: Identifiers,
    raw: Option<Arc<[u8]>>,
}

impl Retrieve {
    pub(super) fn begin() -> Self {
        let (progress, ids) = (Progress::default(), Identifiers::default());
        Self { progress, begun: Instant::now(), ids, raw: None }
    }

    /// The identifier has been read.
    pub(super) fn asked(&mut self, identifier: &Dataset, bytes: &[u8]) {
        self.ids = identifiers(identifier);
        self.raw = Some(Arc::from(bytes));
    }

    /// Sends the final response and tells what came of it.
    pub(super) async fn conclude(
        self,
        association: &mut Association,
        context: &Context,
        request: &Request,
        reply: StatusReply,
        (whom, mut fields): (String, Vec<(&'static str, String)>),
    ) -> Result<(), Error> {
        let progress = &self.progress;
        let mut response = request.response(reply.clone());
        response.counts = progress.final_counts(&reply);
        let syntax = TransferSyntax::from_uid(context.transfer_syntax.as_str());
        let list = progress.failed_list(&reply).map(|list| pacslab_dicom::encode(&list, &syntax));
        association.queue_response(context, response, list.as_deref());
        association.flush().await?;
        let field = request.operation.field();
        let summary = format!("{whom}: {}", progress.summary());
        let mut told = Told::new(field, summary, &reply, self.begun.elapsed());
        fields.push(("completed", progress.completed.to_string()));
        fields.push(("failed", progress.failed.to_string()));
        fields.extend(progress.why.clone().map(|why| ("why", why)));
        told.ids = self.ids;
        told.raw = self.raw;
        told.fields = fields;
        association.tell(told);
        Ok(())
    }
}

/// The longest list of failed instances that is answered.
const MAX_FAILED: usize = 8192;

/// How far a retrieve has come.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) total: usize,
    completed: usize,
    warning: usize,
    failed: usize,
    /// Why the first one failed.
    why: Option<String>,
    uids: Vec<Uid>,
}

impl Progress {
    pub(super) fn count(&mut self, outcome: &SubOperation) {
        match outcome {
            SubOperation::Completed => self.completed += 1,
            SubOperation::Warning(_) => self.warning += 1,
            SubOperation::Failed(Failed { sop_instance, why }) => {
                self.why.get_or_insert_with(|| why.clone());
                self.fail(std::slice::from_ref(sop_instance));
            }
            SubOperation::Stop { not_sent, .. } => self.fail(not_sent),
        }
    }

    fn fail(&mut self, uids: &[Uid]) {
        self.failed += uids.len();
        let room = MAX_FAILED.saturating_sub(self.uids.len());
        self.uids.extend(uids.iter().take(room).cloned());
    }

    /// Objects that the receiver has.
    fn sent(&self) -> usize {
        self.completed + self.warning
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

    /// Puts a pending response into the buffer; not for the last sub-operation, which the final
    /// response tells of.
    pub(super) fn queue_pending(
        &self,
        association: &mut Association,
        context: &Context,
        request: &Request,
    ) {
        if self.remaining() > 0 {
            let mut response = request.response(Status::PENDING);
            response.counts = Some(self.counts(true));
            association.queue_response(context, response, None);
        }
    }

    fn summary(&self) -> String {
        let mut text =
            format!("{} of {} objects sent, {} failed", self.sent(), self.total, self.failed);
        if let Some(why) = &self.why {
            text += &format!(", the first because {why}");
        }
        text
    }

    /// The counts of the final response; a refusal before the first sub-operation has none.
    fn final_counts(&self, reply: &StatusReply) -> Option<SubOperations> {
        let cancelled = reply.status == Status::CANCEL;
        (self.total > 0 || reply.status.is_success()).then(|| self.counts(cancelled))
    }

    /// Success only when nothing failed and nothing was warned of.
    pub(super) fn reply(&self) -> StatusReply {
        let status = match (self.failed + self.warning, self.sent()) {
            (0, _) => Status::SUCCESS,
            (_, 0) => Status::CANNOT_PERFORM_SUBOPERATIONS,
            _ => Status::SUBOPERATIONS_WARNING,
        };
        match &self.why {
            Some(why) => StatusReply::new(status, why),
            None => status.into(),
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

/// What the final response of a retrieve of ours says did not arrive.
pub(super) fn failed_uids(dataset: Option<Dataset>) -> Vec<Uid> {
    let dataset = dataset.unwrap_or_default();
    let list = dataset.str(tags::FAILED_SOP_INSTANCE_UID_LIST);
    list.split('\\').filter(|uid| !uid.is_empty()).map(Uid::new).collect()
}

/// Objects that the counts of a response say have arrived.
pub(super) fn arrived(counts: SubOperations) -> u32 {
    u32::from(counts.completed) + u32::from(counts.warning)
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
            let progress = Progress { total, completed, warning, failed, ..Progress::default() };
            assert_eq!(progress.reply().status, status);
        }
    }

    #[test]
    fn the_first_failure_explains_the_final_status() {
        let mut progress = Progress { total: 3, ..Progress::default() };
        for (uid, why) in [("1.2", "the disk is full"), ("1.3", "something else")] {
            let failed = Failed { sop_instance: Uid::from(uid), why: why.into() };
            progress.count(&SubOperation::Failed(failed));
        }
        let reply = progress.reply();
        assert_eq!(reply.comment.as_deref(), Some("the disk is full"));
        let list = progress.failed_list(&reply);
        assert_eq!(failed_uids(list), [Uid::from("1.2"), Uid::from("1.3")]);
        assert_eq!(progress.remaining(), 1);
    }
}
