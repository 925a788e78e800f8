//! After the images: will the archive keep them? A scanner may delete what is committed.
//! IHE RAD TF-2 4.10, PS3.4 J.

use std::time::Duration;

use pacslab_dimse::service::commitment::{CommitmentReport, CommitmentRequest, Reference};
use pacslab_dimse::{Association, Error as Dimse, Proposal, Status, StatusReply};
use pacslab_model::{Uid, uids};

use crate::acquire::Acquisition;
use crate::scanner::{Error, Scanner};

/// What came of the question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Commitment {
    Reported(CommitmentReport),
    /// It was taken, and the report did not come on the same association in time.
    Silent,
    Refused(StatusReply),
    /// The archive has no such service.
    NotOffered,
}

impl Commitment {
    /// For people.
    pub fn in_words(&self, pacs: &str) -> String {
        match self {
            Self::Reported(report) if report.failed.is_empty() => {
                format!("{} images committed", report.committed.len())
            }
            Self::Reported(report) => {
                let (committed, failed) = (report.committed.len(), report.failed.len());
                let why =
                    report.failed.first().map(|(one, why)| format!("{}: {why}", one.sop_instance));
                format!(
                    "{committed} images committed, {failed} not, the first is {}",
                    why.unwrap_or_default()
                )
            }
            Self::Silent => format!(
                "{pacs} took the request and wants to report on an association of its own, which \
                 nobody waits for here: `pacslab commit --listen` does"
            ),
            Self::Refused(reply) => format!("{pacs} refused to commit with {reply}"),
            Self::NotOffered => {
                format!("{pacs} commits nothing (storage commitment): it is not asked")
            }
        }
    }
}

impl Scanner {
    /// Asks the archive to commit all images, and waits so long for its report. The UID of the
    /// transaction is used once only.
    ///
    /// # Errors
    /// The association failed.
    pub async fn commit(
        &self,
        acquisition: &Acquisition,
        transaction: Uid,
        wait: Duration,
    ) -> Result<Commitment, Error> {
        let instances = acquisition.instances();
        let asked = CommitmentRequest {
            transaction,
            references: instances
                .map(|one| Reference {
                    sop_class: one.meta.sop_class.clone(),
                    sop_instance: one.meta.sop_instance.clone(),
                })
                .collect(),
        };
        let failed = |source| Error::Commitment { remote: self.archive.clone(), source };
        let proposal = Proposal::of(uids::STORAGE_COMMITMENT_PUSH);
        let mut association =
            match Association::connect(&self.requestor, &self.archive, proposal).await {
                Ok(association) => association,
                Err(Dimse::ContextRefused { .. }) => return Ok(Commitment::NotOffered),
                Err(error) => return Err(failed(error)),
            };
        let accept = |report: &CommitmentReport| match report.transaction == asked.transaction {
            true => StatusReply::SUCCESS,
            false => StatusReply::of(Status::INVALID_ARGUMENT_VALUE),
        };
        let answer = association.ask_commitment(&asked, &accept).await;
        let (reply, mut reports) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                if !association.is_over() {
                    let _ = association.release().await;
                }
                return match error {
                    Dimse::ContextRefused { .. } => Ok(Commitment::NotOffered),
                    error => Err(failed(error)),
                };
            }
        };
        let mut report = reports.pop();
        if reply.status.is_done() && report.is_none() {
            // a peer that closes instead reports another way
            report = association.next_commitment(wait, &accept).await.ok().flatten();
        }
        if !association.is_over() {
            let _ = association.release().await;
        }
        Ok(match report {
            Some(report) => Commitment::Reported(report),
            None if reply.status.is_done() => Commitment::Silent,
            None => Commitment::Refused(reply),
        })
    }
}
